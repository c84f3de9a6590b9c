"""Who answered at each step."""

import numpy as np

from closed_form import Layered, make_run
from stepscope.denoise import Euler, denoise, steps
from stepscope.recorders import Experts


def test_who_answered_is_told_step_by_step():
    run, start = make_run(Layered(), Euler(), num_steps=6)
    told = denoise(run, start, [Experts()])[2]["experts"].tolist()
    assert told == ["high_noise" if run.grid.sigma(step) > 0.9 else "low_noise" for step in range(6)]


def test_the_stream_may_be_cut_anywhere():
    run, start = make_run(Layered(), Euler(), num_steps=3)
    recorder, events = Experts(), [event for event, _ in steps(run, start)]

    def fold(part):
        state = recorder.init(run.info)
        for event in part:
            state = recorder.update(state, event)
        return state

    whole = recorder.finish(fold(events))
    for cut in range(1, len(events)):
        merged = recorder.merge(fold(events[:cut]), fold(events[cut:]))
        np.testing.assert_array_equal(recorder.finish(merged), whole)
