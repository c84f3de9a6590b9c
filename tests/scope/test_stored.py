"""From a trace to the store and back."""

import numpy as np
import pytest
import torch

import stepscope
from closed_form import Observer, Ring
from stepscope import tasks
from stepscope.scope import stored
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
