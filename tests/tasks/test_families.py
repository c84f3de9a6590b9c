"""Laws that every family obeys: its own answers are right, planted mistakes are not, and no video is scored unread."""

import json
from itertools import pairwise

import numpy as np
import pytest
from planted import (
    FAMILIES,
    IDS,
    VARIANTS,
    as_decoded,
    ghost,
    late_jump,
    leaves_early,
    plainly_differ,
    recoloured,
    rival,
    samples,
    switched,
)

from stepscope import tasks
from stepscope.errors import BadInputError
from stepscope.tasks import canonical, split_of

every_variant = pytest.mark.parametrize(("name", "dials"), VARIANTS, ids=IDS)
every_family = pytest.mark.parametrize("name", FAMILIES)


@every_variant
def test_every_solution_is_right(name, dials):
    task = tasks.get(name)
    for sample in samples(name, dials, 3):
        answers = {task.score(video, sample).answer for video in sample.solutions}
        assert all(task.score(video, sample).success for video in sample.solutions)
        assert all(task.score(video, sample).progress == 1 for video in sample.solutions)
        assert len(answers) == len(sample.solutions) >= 1
        assert None not in answers


@every_variant
def test_a_codec_does_not_turn_right_into_wrong(name, dials):
    task = tasks.get(name)
    for sample in samples(name, dials, 2):
        for video in sample.solutions:
            score = task.score(as_decoded(video, sample.seed), sample)
            assert score.success, score.explanation


@every_variant
def test_stillness_is_no_answer(name, dials):
    task = tasks.get(name)
    for sample in samples(name, dials, 3):
        score = task.score(sample.still, sample)
        assert (score.success, score.progress, score.answer) == (False, 0, None)


@every_variant
def test_a_late_jump_is_flagged(name, dials):
    task = tasks.get(name)
    for sample in samples(name, dials, 2):
        for video in sample.solutions:
            score = task.score(late_jump(video), sample)
            assert score.success is False
            assert "teleport" in score.flags


@every_variant
def test_two_answers_at_once_are_none(name, dials):
    task = tasks.get(name)
    for sample in samples(name, dials, 3):
        one, other = sample.solutions[0], rival(name, sample)
        assert task.score(ghost(one, other), sample).success is False


@every_variant
def test_half_of_one_answer_and_half_of_another_are_none(name, dials):
    task = tasks.get(name)
    for sample in samples(name, dials, 3):
        one, other = sample.solutions[0], rival(name, sample)
        for at in (1 + len(one) // 2, len(one) - 4):
            if plainly_differ(switched(one, other, at), other):
                assert task.score(switched(one, other, at), sample).success is False
            if plainly_differ(switched(other, one, at), one) and leaves_early(name, sample, other):
                assert task.score(switched(other, one, at), sample).success is False


@every_variant
def test_a_switch_in_the_last_frame_only_is_a_mistake(name, dials):
    task = tasks.get(name)
    for sample in samples(name, dials, 3):
        one, other = sample.solutions[0], rival(name, sample)
        if (one[-1] != other[-1]).any():  # both ways round a half-turn end alike
            assert task.score(switched(one, other, len(one) - 1), sample).success is False


@every_variant
def test_another_puzzles_answer_is_a_mistake(name, dials):
    task = tasks.get(name)
    drawn = samples(name, dials, 5)
    for sample, stranger in pairwise(drawn):
        if canonical(sample.state) != canonical(stranger.state):
            assert task.score(stranger.solutions[0], sample).success is False


@every_variant
def test_the_answer_backwards_is_a_mistake(name, dials):
    for sample in samples(name, dials, 3):
        assert tasks.get(name).score(sample.solutions[0][::-1].copy(), sample).success is False


@every_family
def test_a_video_that_cannot_be_read_is_unscored(name):
    task = tasks.get(name)
    sample = task.sample(1)
    video = sample.solutions[0]
    cases = {
        "black": np.zeros_like(video),
        "wrong-length": video[:-1],
        "unreadable": video[:, :64],
    }
    for flag, frames in cases.items():
        score = task.score(frames, sample)
        assert (score.success, score.progress, score.answer, score.flags) == (None, 0, None, (flag,))


@every_family
def test_a_changed_scene_is_flagged(name):
    task = tasks.get(name)
    for sample in samples(name, {}, 3):
        video = sample.solutions[0].copy()
        stays = (video == video[:1]).all(axis=(0, 3))
        video[6:, stays] = (242, 242, 238)
        score = task.score(video, sample)
        assert score.success is False
        assert "scene-changed" in score.flags


@every_family
def test_random_frames_are_no_answer(name):
    task = tasks.get(name)
    sample = task.sample(0)
    frames = np.random.default_rng(0).integers(0, 256, size=sample.still.shape, dtype=np.uint8)
    score = task.score(frames, sample)
    assert (score.success, score.answer) == (False, None)


@every_variant
def test_a_sample_is_a_function_of_its_arguments(name, dials):
    one, again = samples(name, dials, 1)[0], samples(name, dials, 1)[0]
    assert one.prompt == again.prompt
    assert canonical(one.state) == canonical(again.state)
    assert (one.first_frame == again.first_frame).all()
    assert all((a == b).all() for a, b in zip(one.solutions, again.solutions, strict=True))


@every_variant
def test_the_split_is_by_content(name, dials):
    for split in ("test", "train"):
        for sample in samples(name, dials, 5, split):
            assert split_of(sample.state) == split
            assert json.loads(json.dumps(sample.state)) == sample.state


@every_variant
def test_videos_begin_with_the_first_frame_and_differ(name, dials):
    for sample in samples(name, dials, 2):
        assert 1 <= len(sample.solutions) <= 64
        for video in sample.solutions:
            assert video.shape == (sample.num_frames, 96, 96, 3)
            assert video.dtype == np.uint8
        reached = [video[-1] for video in sample.solutions]
        assert all((frame != sample.first_frame).any() for frame in reached)


@every_variant
def test_masks_say_where_things_are(name, dials):
    sample = samples(name, dials, 1)[0]
    assert sample.masks
    for mask in dict(sample.masks).values():
        assert mask.shape == (sample.num_frames, 96, 96)
        assert mask.dtype == bool
        assert mask[-1].any()


@pytest.mark.parametrize("num_frames", [9, 13, 33])
@every_family
def test_a_video_may_have_another_length(name, num_frames):
    task = tasks.get(name)
    for seed in range(3):
        sample = task.sample(seed, num_frames=num_frames)
        assert all(len(video) == num_frames for video in sample.solutions)
        assert all(task.score(video, sample).success for video in sample.solutions)
        assert task.score(sample.still, sample).success is False


@every_family
def test_a_scorer_needs_neither_solutions_nor_masks(name):
    task = tasks.get(name)
    sample = task.sample(4)
    bare = tasks.Sample(sample.prompt, sample.first_frame, sample.num_frames, task=name, state=sample.state)
    assert task.score(sample.solutions[0], bare).success


@every_family
def test_colours_can_be_told_apart(name):
    colours = np.array(list(tasks.get(name).palette.values()), dtype=float)
    gaps = np.linalg.norm(colours[:, None] - colours[None], axis=-1)[np.triu_indices(len(colours), 1)]
    assert gaps.min() > 115  # the oldest palette has red and orange at 117


@pytest.mark.parametrize("name", ["tic-tac-toe", "size-pattern", "rotate", "occlusion", "bounce"])
def test_colours_of_shapes_are_more_than_twice_the_tolerance_apart(name):
    colours = np.array(list(tasks.get(name).palette.values()), dtype=float)
    gaps = np.linalg.norm(colours[:, None] - colours[None], axis=-1)[np.triu_indices(len(colours), 1)]
    assert gaps.min() > 120


@pytest.mark.parametrize("name", ["tic-tac-toe", "size-pattern", "rotate", "occlusion", "bounce"])
def test_another_colour_is_another_thing(name):
    task = tasks.get(name)
    for sample in samples(name, {}, 4):
        video = sample.solutions[0]
        moved = (video[-1] != sample.first_frame).any(axis=-1)
        colour = next(
            value
            for value in task.palette.values()
            if value not in (task.palette["background"], (38, 42, 58)) and (video[-1][moved] == value).all(-1).any()
        )
        other = next(value for value in task.palette.values() if value != colour and sum(value) < 700)
        assert task.score(recoloured(video, colour, other), sample).success is False


@every_family
def test_seed_and_frames_are_checked(name):
    task = tasks.get(name)
    with pytest.raises(BadInputError, match="Sample came as -1"):
        task.sample(-1)
    with pytest.raises(BadInputError, match="Frames came as 1"):
        task.sample(0, num_frames=1)


@pytest.mark.parametrize(
    ("name", "dials", "told"),
    [
        ("maze", {"size": 12}, "Size came as 12"),
        ("maze", {"length": 0}, "Length came as 0"),
        ("find-shape", {"count": 7}, "Count came as 7"),
        ("find-shape", {"named": False, "count": 3}, "An odd one takes 4 to 6 shapes"),
        ("find-shape", {"odd": 1}, "for a named shape"),
        ("find-shape", {"named": False, "odd": 3}, "Odd came as 3"),
        ("tic-tac-toe", {"wins": 3}, "Wins came as 3"),
        ("tic-tac-toe", {"side": "red"}, "Side came as 'red'"),
        ("tic-tac-toe", {"wins": 2, "threat": True}, "No board has both"),
        ("size-pattern", {"rows": 4}, "Rows came as 4"),
        ("size-pattern", {"answers": 3}, "Answers came as 3"),
        ("rotate", {"step": 30}, "Step came as 30"),
        ("rotate", {"example": "none"}, "Example came as 'none'"),
        ("occlusion", {"count": 3}, "Count came as 3"),
        ("occlusion", {"screen": 20}, "Screen came as 20"),
        ("occlusion", {"crossing": True, "count": 1}, "Crossing came with 1 shapes"),
        ("bounce", {"bounces": 5}, "Bounces came as 5"),
        ("bounce", {"length": (90, 20)}, "Length came as"),
        ("bounce", {"length": (16, 24), "bounces": 4}, "There is no flight of 16 to 24 px with 4 bounces"),
    ],
)
def test_a_dial_says_what_it_takes(name, dials, told):
    with pytest.raises(BadInputError, match=r"(Choose|Give|Ask|Leave)") as caught:
        tasks.get(name).sample(0, **dials)
    assert told in str(caught.value)
