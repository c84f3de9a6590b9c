"""From a trace to the store and back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import stepscope
from closed_form import Observer, Ring
from stepscope import tasks
from stepscope.scope import encode_solutions, stored
from stepscope.store import trace_from_unit, trace_to_unit


class Pair:
    """Two arrays under one name."""

    name = "pair"

    def init(self, run):
        return 0

    def update(self, state, event):
        return state + 1

    def merge(self, first, second):
        return first + second

    def finish(self, state):
        return {"steps": np.array([state]), "half": np.array([state / 2])}


@pytest.fixture(scope="module")
def trace():
    sample = tasks.get("maze-two-goals").sample(3, size=5)
    return stepscope.load_model(Observer(sample)).denoise(sample, num_steps=4, seed=1, recorders=[Pair()])


def test_what_is_stored_is_what_was_seen(trace):
    kept = stored(trace, steps=(1, None))
    for name in ("sigmas", "latents", "clean_estimates"):
        assert torch.equal(getattr(kept, name), getattr(trace, name))
    assert (kept.seed, kept.branch, kept.model_calls) == (1, "clean", 4)
    assert np.array_equal(kept.frames(1), trace.frames(1))
    assert np.array_equal(kept.frames(), trace.frames())


def test_only_the_steps_that_were_asked_for_are_scored(trace):
    kept = stored(trace, steps=(1, None))
    assert [score is not None for score in kept.scores] == [False, True, False, False]
    assert kept.scores[1]["success"] is trace.scores[1].success


def test_the_result_has_a_score_of_its_own(trace):
    moved = replace(trace, latents=trace.latents.flip(0))  # ends on the noise it began with
    kept = stored(moved, steps=(3, None))
    assert (kept.scores[3].success, kept.score.success) == (True, False)
    assert trace_from_unit(trace_to_unit(kept, "0" * 64, "hash")).score == kept.score
    assert stored(moved, steps=(3,)).score is None


def test_another_task_may_score(trace):
    class Contrary:
        name, version, palette, sample = "contrary", 1, {}, None

        def score(self, frames, sample):
            return tasks.Score(False, 0.5, "no", "Never.")

    assert stored(trace, (0, None), task=Contrary()).score.answer == "no"
    assert stored(trace, (0, None)).score.answer != "no"


def test_the_separation_of_the_solutions_is_stored(trace):
    model = stepscope.load_model(Observer(trace.sample))
    solutions = encode_solutions(model, trace.sample)
    delta = float((solutions.candidates[0] - solutions.candidates[1]).double().norm())
    assert stored(trace, solutions=solutions).sample.delta == pytest.approx(delta)
    assert "delta" not in stored(trace).sample


def test_a_stored_trace_is_read_like_a_live_one(trace):
    back = trace_from_unit(trace_to_unit(stored(trace, (0, None)), "0" * 64, "hash"))
    for live, kept in ((trace.score, back.score), (trace.scores[0], back.scores[0])):
        assert (kept.success, kept.progress, kept.answer) == (live.success, live.progress, live.answer)
    assert (back.sample.prompt, back.sample["state"]) == (trace.sample.prompt, back.sample.state)
    with pytest.raises(AttributeError, match=r"no field 'prompts'. There are: .*prompt"):
        _ = back.sample.prompts


def test_records_of_several_arrays_are_stored_one_by_one(trace):
    assert {name: float(array[0]) for name, array in stored(trace).records.items()} == {"pair.steps": 4, "pair.half": 2}


def test_a_unit_gives_it_back(trace):
    kept = stored(trace, steps=(0, None))
    back = trace_from_unit(trace_to_unit(kept, "0" * 64, trace.weights_hash))
    assert torch.equal(back.latents, kept.latents)
    assert back.scores == kept.scores
    assert back.sample["state"] == trace.sample.state
    assert np.array_equal(back.sample["solutions"][1], trace.sample.solutions[1])


def test_a_sample_of_no_task_is_stored_too(puzzle):
    kept = stored(stepscope.load_model(Ring()).denoise(puzzle, num_steps=2))
    assert (kept.sample["prompt"], kept.sample["task"], kept.scores) == ("go", None, (None, None))
    assert trace_to_unit(kept, "0" * 64, "hash").facts["sample"]["seed"] is None
