"""Hidden states of chosen layers, and who answered: what is kept, of which tokens, however the stream is cut."""

import numpy as np
import pytest
import torch

from closed_form import Layered, make_run
from stepscope.denoise import Address, Euler, RunInfo, SiteEvent, StepEvent, denoise, paper_grid
from stepscope.errors import BadInputError
from stepscope.recorders import Experts, HiddenStates


class Tape:
    """Keeps what another recorder would be given."""

    name = "tape"
    sites = ("block",)

    def init(self, run):
        return []

    def update(self, state, event):
        return [*state, event]

    def merge(self, first, second):
        return first + second

    def finish(self, state):
        return state


@pytest.fixture
def stream():
    run, start = make_run(Layered(), Euler(), num_steps=3, guidance=2.0)
    return run.info, denoise(run, start, [Tape()])[2]["tape"]


def fold(recorder, info, events):
    state = recorder.init(info)
    for event in events:
        state = recorder.update(state, event)
    return state


def test_the_conditional_states_of_the_asked_layers_are_kept_in_their_order(stream):
    info, events = stream
    hidden = HiddenStates([1, 0]).finish(fold(HiddenStates([1, 0]), info, events))
    assert (hidden.shape, hidden.dtype) == ((3, 2, 8, 3), np.float32)
    for event in events:
        if isinstance(event, SiteEvent) and event.address.cfg_branch == "cond":
            kept = hidden[event.address.step, (1, 0).index(event.address.layer)]
            np.testing.assert_array_equal(kept, event.hidden[0].numpy())


def test_of_many_tokens_an_even_choice_is_kept():
    info = RunInfo(paper_grid(1, 3.0), (None,), (0,), 1, ("cond",))
    event = SiteEvent(Address(0, 1.0, None, "cond", 0, "block", (1, 1, 10)), torch.arange(10.0)[None, :, None])
    recorder = HiddenStates([0], rows=4)
    assert recorder.finish(fold(recorder, info, [event]))[0, 0, :, 0].tolist() == [0, 2, 5, 7]


@pytest.mark.parametrize("recorder", [HiddenStates([0, 1]), Experts()])
def test_the_stream_may_be_cut_anywhere(stream, recorder):
    info, events = stream
    seen = events if isinstance(recorder, HiddenStates) else [each for each in events if isinstance(each, StepEvent)]
    whole = recorder.finish(fold(recorder, info, seen))
    for cut in range(1, len(seen)):
        first, second = fold(recorder, info, seen[:cut]), fold(recorder, info, seen[cut:])
        np.testing.assert_array_equal(recorder.finish(recorder.merge(first, second)), whole)


def test_who_answered_is_told_step_by_step():
    run, start = make_run(Layered(), Euler(), num_steps=6)
    told = denoise(run, start, [Experts()])[2]["experts"].tolist()
    assert told == ["high_noise" if run.grid.sigma(step) > 0.9 else "low_noise" for step in range(6)]


@pytest.mark.parametrize("layers", [[], [2], [-1, 0]])
def test_layers_that_do_not_exist_are_refused(layers):
    run, start = make_run(Layered(), Euler(), num_steps=2)
    with pytest.raises(BadInputError, match=r"2 layers, counted from 0"):
        denoise(run, start, [HiddenStates(layers)])
