"""Memory under a switch: who keeps what it was shown is told from who reads the input anew, through the public door."""

import numpy as np
import pytest
import torch
from planted_denoisers import Planted

import stepscope
from stepscope.analysis import ideal_observer
from stepscope.experiments.commitment.memory import line_up
from stepscope.experiments.commitment.switching import (
    EMPTIED,
    PROMPT,
    SWITCHED,
    asked_otherwise,
    switch_steps,
    switches,
)
from stepscope.tasks.find_shape import from_state, target_of

STEPS = 4
COUNT = 7


class Short(Planted):
    latents_shape = (3, 5, 32, 32)


class Watcher(Short):
    """Knows how the scene goes on with these shapes, with a decoy's, and with none; `first_frame` says which."""

    def __init__(self):
        self.scenes = {}

    def believe(self, latents, sigma, answers, sample):
        if sample.seed not in self.scenes:
            self.scenes[sample.seed] = self.known(sample)
        frames, videos = self.scenes[sample.seed]
        (shown,) = (place for place, frame in enumerate(frames) if np.array_equal(frame, sample.first_frame))
        return self.weigh(latents, sigma, videos, shown)

    def known(self, sample):
        known = dict(line_up(sample))
        videos = [known[name] for name in ("same", "other", "nothing")]
        return [video[0] for video in videos], torch.stack([self.encode(video) for video in videos])


class Forgetter(Watcher):
    """Goes by the picture alone, at every step anew."""

    def weigh(self, latents, sigma, videos, shown):
        return videos[shown][None]


class Keeper(Watcher):
    """Goes by the picture in the first half of the run, and by the latents from then on."""

    def weigh(self, latents, sigma, videos, shown):
        early = sigma > 0.7
        return videos[shown][None] if early else ideal_observer(latents, sigma, videos)[0]


class Rounder(Watcher):
    """Draws what it was shown first whatever the picture says, but for the digits that a chunk's company changes."""

    def weigh(self, latents, sigma, videos, shown):
        return videos[0][None] * (1 + 1e-3 * shown)


class Marker(Short):
    """Draws around the shape that the prompt names, at every step anew (`forgets`), or goes by the latents later."""

    def __init__(self, forgets):
        self.forgets = forgets

    def believe(self, latents, sigma, answers, sample):
        items = sample.state["items"]
        videos = torch.stack(
            [self.encode(from_state(sample.state, i, num_frames=9).solutions[0]) for i in range(len(items))]
        )
        early = self.forgets or sigma > 0.7
        shown = videos[target_of(sample.prompt, items)]
        return shown[None] if early else ideal_observer(latents, sigma, videos)[0]


def measured(denoiser, samples=COUNT, task="occlusion", **dials):
    dials = {"num_frames": 9, **dials}
    return stepscope.run("commitment", denoiser, task=task, samples=samples, num_steps=STEPS, shift=2, dials=dials)


@pytest.fixture(scope="module")
def results():
    return {kind: measured(kind()) for kind in (Forgetter, Keeper)}


def memory(result):
    return next(each for each in result.claims if each["id"] == "working-memory")


def means(result, kind, name):
    return [each["value"] for each in result.metrics["switched"][kind][name]]


def test_who_forgets_the_hidden_object_contradicts_the_claim(results):
    found = memory(results[Forgetter])
    assert (found["verdict"], found["value"], found["n"], found["control_passed"]) == ("contradicted", -1, COUNT, True)


def test_who_keeps_it_supports_the_claim(results):
    found = memory(results[Keeper])
    assert (found["verdict"], found["value"], found["control_passed"]) == ("supported", 1, True)


def test_both_let_the_right_shape_out_when_nothing_is_switched(results):
    for result in results.values():
        assert result.metrics["memory"]["emerging"]["same"][-1] == 1


def test_a_switch_that_moves_no_more_than_rounding_is_not_heeded(results):
    found = measured(Rounder(), samples=2).metrics["switched"]
    assert [found[kind]["heeded"] for kind in (SWITCHED, EMPTIED)] == [0, 0]
    assert [results[Keeper].metrics["switched"][kind]["heeded"] for kind in (SWITCHED, EMPTIED)] == [COUNT, COUNT]


@pytest.mark.parametrize("kind", [SWITCHED, EMPTIED])
def test_a_switch_at_step_0_changes_the_answer_of_both(results, kind):
    for result in results.values():
        assert result.metrics["switched"][kind]["steps"] == switch_steps(STEPS) == [0, 1, 2, 3]
        assert (means(result, kind, "kept")[0], means(result, kind, "followed")[0]) == (0, 1)
    assert means(results[Forgetter], kind, "followed") == [1] * 4
    assert means(results[Keeper], kind, "kept")[2:] == [1, 1]


def test_the_observer_beside_reads_the_first_answer_when_the_latents_hold_it(results):
    for result in results.values():
        reader = means(result, SWITCHED, "reader")
        assert reader[0] == pytest.approx(0.5)
        assert reader[2] > 0.99


@pytest.mark.parametrize(("forgets", "verdict", "value"), [(True, "contradicted", -1), (False, "supported", 1)])
def test_a_prompt_that_decides_is_switched_as_well(forgets, verdict, value):
    result = measured(Marker(forgets), task="find-shape", count=2)
    found = memory(result)
    assert (found["verdict"], found["value"], found["control_passed"]) == (verdict, value, True)
    assert set(result.metrics["switched"]) == {PROMPT}


def test_switches_are_branches_of_the_same_tree(results):
    clean, branches = STEPS, 4 + 3 + 2 + 1
    assert results[Keeper].model_calls["made"] == COUNT * (clean + 2 * branches)
    assert results[Keeper].model_calls["planned"] == results[Keeper].model_calls["made"]
    rows = [row for row in results[Forgetter].table.to_pylist() if row["branch"] == f"{SWITCHED}-2"]
    finals = [row for row in rows if row["metric"] == "identity" and row["strategy"] == "single"]
    assert [row["value"] for row in finals] == [0] * COUNT
    assert {row["text"] for row in finals} == {"other, other"}


def test_only_what_decides_is_switched():
    kinds = {
        task: {branch.name.rpartition("-")[0] for branch in switches(stepscope.tasks.get(task).sample(0, **dials), 4)}
        for task, dials in {
            "maze": {}, "maze-two-goals": {}, "bounce": {}, "rotate": {}, "size-pattern": {},
            "tic-tac-toe": {"threat": True}, "find-shape": {}, "occlusion": {},
        }.items()
    }  # fmt: skip
    assert kinds["occlusion"] == {SWITCHED, EMPTIED}
    assert kinds["find-shape"] == kinds["tic-tac-toe"] == {PROMPT}
    assert not any(kinds[task] for task in ("maze", "maze-two-goals", "bounce", "rotate", "size-pattern"))


def test_the_other_prompt_makes_another_answer_right():
    board = stepscope.tasks.get("tic-tac-toe").sample(0, threat=True)
    other = asked_otherwise(board)
    np.testing.assert_array_equal(other.first_frame, board.first_frame)
    assert other.prompt != board.prompt
    assert not np.array_equal(other.solutions[0], board.solutions[0])
    assert asked_otherwise(stepscope.tasks.get("tic-tac-toe").sample(0, side="implied")) is None
    assert asked_otherwise(stepscope.tasks.get("find-shape").sample(0, named=False)) is None
