"""Agreement: what a block lets pass, in space and in time, and how shapes are drawn."""

import numpy as np
import pytest

from stepscope.tasks import Sample
from stepscope.tasks.agreement import Question, disagreement, judge
from stepscope.tasks.masks import LazyMasks
from stepscope.tasks.stencils import KINDS, TURNING_KINDS, footprint, stamp

WHITE, RED = (242, 242, 238), (225, 40, 50)


def moving(shift=0.0, colour=RED, frames=9):
    """A square of 16 px that moves to the right at 4 px a frame."""
    video = np.full((frames, 96, 96, 3), WHITE, dtype=np.uint8)
    x = 16 + 4 * np.arange(frames) + shift
    stamp(video, "square", np.stack([np.full(frames, 48.0), x], axis=1), 16, colour)
    return video


def asked(right, wrong, slack=2, patience=0):
    stage = np.ones((96, 96), dtype=bool)
    return Sample("?", right[0], len(right)), Question({"right": right}, wrong, stage, slack, patience)


@pytest.mark.parametrize(("shift", "agrees"), [(0, True), (1, True), (2, True), (4, False), (6, False)])
def test_slack_is_in_pixels(shift, agrees):
    off = disagreement(moving(float(shift)), moving(), 2).sum(axis=(1, 2))
    assert bool((off <= 2).all()) is agrees


def test_patience_is_in_frames_but_not_at_the_end():
    late = np.concatenate([moving()[:1], moving()[:-1]])
    assert not disagreement(late, moving(), 0, 1)[1:-1].any()
    assert disagreement(late, moving(), 0, 1)[-1].any()


def test_half_a_colour_is_none():
    video = moving()
    half = ((video.astype(int) + np.array(WHITE)) // 2).astype(np.uint8)
    assert (disagreement(half, video, 2).sum(axis=(1, 2)) > 2).all()


def test_what_a_verdict_says():
    right, wrong = moving(), moving(colour=(0, 170, 80))
    sample, question = asked(right, {"wrong": wrong[-1]})
    assert judge(right, sample, question).answer == "right"
    told = judge(np.concatenate([right[:4], wrong[4:]]), sample, question)
    assert (told.success, told.answer, told.flags) == (False, "wrong", ())
    assert "which is wrong" in told.explanation
    jump = judge(np.concatenate([sample.still[:-1], right[-1:]]), sample, question)
    assert (jump.answer, jump.flags) == ("right", ("teleport",))


def test_progress_counts_the_frames_that_are_on_the_way():
    right = moving()
    sample, question = asked(right, {})
    stuck = np.concatenate([right[:5], np.repeat(right[4:5], 4, axis=0)])
    assert 0.3 < judge(stuck, sample, question).progress < 0.7
    assert judge(sample.still, sample, question).progress == 0


def test_masks_are_built_once_and_only_if_looked_at():
    built = []
    masks = LazyMasks(lambda: built.append(1) or {"ball": np.zeros((1, 4, 4), dtype=bool)})
    assert built == []
    assert list(masks) == ["ball"]
    assert masks["ball"].shape == (1, 4, 4)
    assert len(masks) == len(built) == 1


def test_a_square_on_whole_pixels_is_crisp():
    frame = np.full((1, 96, 96, 3), WHITE, dtype=np.uint8)
    stamp(frame, "square", np.array([[48.0, 48.0]]), 16, RED)
    red = (frame[0] == RED).all(axis=-1)
    assert red.sum() == 256
    assert red[40:56, 40:56].all()
    assert (frame[0][~red] == WHITE).all()


@pytest.mark.parametrize("kind", TURNING_KINDS)
def test_every_turn_of_a_turning_shape_can_be_seen(kind):
    angles = np.arange(0.0, 360.0, 45.0)
    seen = footprint((96, 96), kind, np.full((8, 2), 48.0), 46, angles)
    differ = (seen[:, None] != seen[None]).sum(axis=(2, 3))
    assert (differ + 1000 * np.eye(8) > 150).all()


def test_no_two_kinds_look_alike():
    seen = np.concatenate([footprint((32, 32), kind, np.array([[16.0, 16.0]]), 16) for kind in KINDS])
    differ = (seen[:, None] != seen[None]).sum(axis=(2, 3))
    assert (differ + 1000 * np.eye(len(KINDS)) > 30).all()


def test_a_shape_may_leave_the_frame():
    assert footprint((32, 32), "circle", np.array([[0.0, 0.0]]), 16)[0].sum() == pytest.approx(np.pi * 16, rel=0.15)
