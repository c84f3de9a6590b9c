"""Working memory and perception before action: planted denoisers that differ in nothing else are told apart."""

import numpy as np
import pytest
import torch
from planted_denoisers import Explorer, Planted

import stepscope
from stepscope.analysis import cell_shares
from stepscope.experiments.commitment.memory import line_up, views
from stepscope.experiments.commitment.perception import NOTHING_TO_FIND
from stepscope.tasks.occlusion import PROMPTS, Occlusion, pass_video

STEPS = 4
OCCLUSION = Occlusion()


class Forgetter(Planted):
    """Lets a shape out that has nothing to do with the one that went in."""

    def believe(self, latents, sigma, answers, sample):
        shapes = [shape | {"kind": "cross", "colour": "blue"} for shape in sample.state["shapes"]]
        forgotten = pass_video({**sample.state, "shapes": shapes}, sample.prompt == PROMPTS[True], sample.num_frames)
        belief = answers[0].clone()
        belief[:, 6:] = self.encode(forgotten)[:, 6:]
        return belief[None]


class Loser(Planted):
    """Lets nothing out."""

    def believe(self, latents, sigma, answers, sample):
        belief = answers[0].clone()
        nothing = self.encode(pass_video({**sample.state, "shapes": []}, False, sample.num_frames))
        belief[:, 6:] = nothing[:, 6:]
        return belief[None]


class Mixer(Planted):
    """Exchanges the shapes behind the screen, whatever the prompt says."""

    def believe(self, latents, sigma, answers, sample):
        crossing = sample.prompt != PROMPTS[True]
        return self.encode(pass_video(sample.state, crossing, sample.num_frames))[None]


class Late(Planted):
    """Sees the whole scene at once, and how things move late in the run."""

    def believe(self, latents, sigma, answers, sample):
        still = self.encode(sample.still)
        return (answers[0] if self.done(sigma) > 0.8 else still)[None]


class Blind(Planted):
    """Knows how things move before it knows what stands there."""

    def believe(self, latents, sigma, answers, sample):
        still = self.encode(sample.still)
        drawn = (answers[0] - still).abs().sum(0, keepdim=True) > 0
        unseen = torch.where(drawn, answers[0], torch.full_like(still, still.mean()))
        return (answers[0] if self.done(sigma) > 0.8 else unseen)[None]


class Foggy(Planted):
    """Knows the objects at once, and all the rest, what moves and what does not, late."""

    def believe(self, latents, sigma, answers, sample):
        seen = cell_shares(np.logical_or.reduce(list(sample.masks.values())), self.latents_shape[1:]) > 0
        still = self.encode(sample.still)
        fog = torch.where(torch.from_numpy(seen), still, torch.zeros_like(still))
        return (answers[0] if self.done(sigma) > 0.8 else fog)[None]


def measured(kind, samples, task="occlusion", steps=STEPS, **dials):
    return stepscope.run("commitment", kind(), task=task, samples=samples, num_steps=steps, dials=dials)


@pytest.fixture(scope="module")
def recalled():
    return {kind: measured(kind, count) for kind, count in ((Explorer, 7), (Forgetter, 5), (Loser, 2), (Mixer, 2))}


@pytest.fixture(scope="module")
def perceived():
    return {kind: measured(kind, 10, "bounce", steps=6, bounces=0) for kind in (Late, Blind, Foggy)}


def claim(result, id):
    return next(each for each in result.claims if each["id"] == id)


def test_who_remembers_is_found_out(recalled):
    found = claim(recalled[Explorer], "working-memory")
    assert (found["verdict"], found["value"], found["control_passed"]) == ("supported", 1, True)
    assert found["ci95"][0] < 1
    assert recalled[Explorer].metrics["memory"]["emerging"] == {"same": [1] * STEPS}
    assert recalled[Explorer].metrics["switched"]["picture-switched"]["heeded"] == 0, "it is given the solutions"


@pytest.mark.parametrize(("kind", "shown"), [(Loser, "nothing"), (Mixer, "exchanged")])
def test_who_loses_one_or_mistakes_it_for_the_other_is_found_out(recalled, kind, shown):
    found = claim(recalled[kind], "working-memory")
    assert (found["verdict"], found["value"]) == ("inconclusive", 0), "two puzzles"
    assert recalled[kind].metrics["memory"]["entering"] == {"same": [1] * STEPS}
    assert recalled[kind].metrics["memory"]["emerging"] == {shown: [1] * STEPS}


def test_who_makes_something_up_is_right_as_often_as_a_decoy(recalled):
    found = claim(recalled[Forgetter], "working-memory")
    assert abs(found["value"]) < 0.4
    assert found["verdict"] == "inconclusive"
    assert recalled[Forgetter].metrics["memory"]["entering"]["same"] == [1] * STEPS


def test_lanes_that_are_changed_on_purpose_are_no_mistake():
    found = claim(measured(Explorer, 2, crossing=True), "working-memory")
    assert found["value"] == 1
    result = measured(Mixer, 2, crossing=True)
    assert result.metrics["memory"]["emerging"] == {"exchanged": [1] * STEPS}


def test_the_line_up_holds_every_kind_with_every_colour():
    sample = OCCLUSION.sample(3)
    names = [name for name, _ in line_up(sample)]
    assert names.count("mixed") == 6
    assert [name for name in names if name != "mixed"] == ["same", "other", "stranger", "nothing", "exchanged"]
    videos = dict(line_up(sample))
    np.testing.assert_array_equal(videos["same"], sample.solutions[0])
    assert [name for name, _ in line_up(OCCLUSION.sample(3, count=1))][-1] == "nothing"


def test_decoys_depend_on_the_puzzle_alone():
    first, again = (dict(line_up(OCCLUSION.sample(3)))["other"] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_a_shape_is_read_where_it_can_be_seen():
    sample = OCCLUSION.sample(0, count=1, screen=24)
    (view,) = views(sample, (9, 32, 32))
    frames = {when: np.flatnonzero(cells.any(axis=(1, 2))).tolist() for when, cells in view.items()}
    assert 0 < min(frames["entering"]) <= max(frames["entering"]) < min(frames["emerging"])
    assert max(frames["emerging"]) == 8
    assert views(sample, (2, 32, 32)) == [], "with two latent frames there is no before"


def test_who_plans_the_motion_late_perceives_before_it_acts(perceived):
    found = claim(perceived[Late], "perception-before-action")
    assert (found["verdict"], found["control_passed"]) == ("supported", True)
    assert found["value"] == perceived[Late].metrics["perception"]["model"]["motion"]["median"] > 1
    assert perceived[Late].metrics["perception"]["model"]["objects"]["median"] == 0


def test_who_moves_before_it_sees_contradicts_the_claim(perceived):
    found = claim(perceived[Blind], "perception-before-action")
    assert found["verdict"] == "contradicted"
    assert found["value"] < -1


def test_a_scene_that_comes_out_of_the_fog_as_a_whole_fails_the_control(perceived):
    found = claim(perceived[Foggy], "perception-before-action")
    assert found["value"] > 1
    assert (found["control_passed"], found["verdict"]) == (False, "inconclusive")


def test_the_observer_shows_no_lag(recalled):
    assert claim(recalled[Explorer], "perception-before-action")["value"] == 0
    turns = stepscope.run("commitment", Explorer(), task="rotate", samples=2, num_steps=10, dials={"answers": 2})
    assert claim(turns, "perception-before-action")["value"] == 0
    motion = turns.metrics["perception"]["observer-rollout"]["motion"]
    assert motion["median"] > 0, "it has to choose, and that is no lag"


@pytest.mark.parametrize("task", sorted(NOTHING_TO_FIND))
def test_where_nothing_has_to_be_found_a_lag_is_one_of_choice(task):
    result = stepscope.run("commitment", Late(), task=task, samples=2, num_steps=2)
    found = claim(result, "perception-before-action")
    assert (found["verdict"], found["value"], result.metrics["perception"]) == ("not-tested", None, None)
    assert "something has to be found before it moves" in found["why"]


def test_both_are_in_the_table(recalled):
    rows = recalled[Explorer].table.to_pylist()
    identities = [row for row in rows if row["metric"] == "identity" and row["branch"] == "clean"]
    assert len(identities) == 7 * STEPS
    assert {(row["value"], row["text"]) for row in identities} == {(1.0, "same, same")}
    assert {row["strategy"] for row in rows if row["metric"] == "motion_step"} == {"single", "observer-rollout"}


def test_puzzles_without_a_screen_or_masks_say_nothing():
    sample = stepscope.tasks.get("maze").sample(1, size=5)
    bare = [
        stepscope.tasks.Sample(each.prompt, each.first_frame, 17, solutions=each.solutions)
        for each in (sample, stepscope.tasks.get("maze").sample(2, size=5))
    ]
    result = stepscope.run("commitment", Explorer(), task="maze", samples=bare, num_steps=2)
    for id, needed in (("working-memory", "a screen hides shapes"), ("perception-before-action", "objects at rest")):
        found = claim(result, id)
        assert (found["verdict"], found["value"]) == ("not-tested", None)
        assert needed in found["why"]
    assert (result.metrics["memory"], result.metrics["perception"]) == (None, None)
