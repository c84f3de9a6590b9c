"""Pairs of pictures under one prompt, as layer swaps need them."""

import numpy as np
import pytest

from stepscope.errors import BadInputError
from stepscope.tasks import FindShape, split_of, with_picture, with_prompt, with_scene
from stepscope.tasks.find_shape import item_name, target_of

TASK = FindShape()


def names(sample):
    return [item_name(item) for item in sample.state["items"]]


def corners(sample):
    return [item["corner"] for item in sample.state["items"]]


@pytest.mark.parametrize("count", [2, 4])
def test_scenes_share_prompt_and_places_and_nothing_else(count):
    for seed in range(4):
        a, b = (TASK.sample(seed, count=count, scene=scene) for scene in "AB")
        assert (a.prompt, corners(a), sorted(names(a))) == (b.prompt, corners(b), sorted(names(b)))
        assert all(one != other for one, other in zip(names(a), names(b), strict=True))
        assert (a.first_frame != b.first_frame).any()
        assert target_of(a.prompt, a.state["items"]) != target_of(b.prompt, b.state["items"])
        assert split_of(a.state) == split_of(b.state) == "test"
        assert all(TASK.score(each.solutions[0], each).success for each in (a, b))


def test_the_answer_of_the_other_scene_marks_another_shape_of_this_one():
    a, b = (TASK.sample(2, scene=scene) for scene in "AB")
    drawn = (b.solutions[0] != b.first_frame).any(axis=-1)
    laid = np.where(drawn[..., None], b.solutions[0], a.first_frame)
    score = TASK.score(laid, a)
    assert score.success is False
    assert score.answer in set(names(a)) - {names(a)[target_of(a.prompt, a.state["items"])]}


def test_the_other_scene_of_a_sample_is_scene_b():
    a, b = (TASK.sample(5, scene=scene) for scene in "AB")
    assert with_scene(a).state == b.state
    assert with_scene(a, other=False) is a


def test_pictures_without_a_partner_are_what_they_were():
    assert TASK.sample(0).prompt == "Mark the green diamond."
    assert TASK.sample(2).prompt == "Mark the green cross."


def test_another_picture_holds_the_named_shape():
    sample = TASK.sample(1)
    others = [with_picture(sample, seed) for seed in range(3)]
    for other in others:
        assert other.prompt == sample.prompt
        assert other.state != sample.state
        assert split_of(other.state) == "test"
        assert TASK.score(other.solutions[0], other).success
        (y, x) = other.state["items"][target_of(other.prompt, other.state["items"])]["corner"]
        assert (y // 32, x // 32) not in {(row // 32, column // 32) for row, column in corners(sample)}
    assert others[0].state != others[1].state
    assert with_picture(sample, 0).state == others[0].state


@pytest.mark.parametrize(
    ("dials", "told"),
    [({"scene": "C"}, "Scene came as 'C'"), ({"scene": "A", "named": False}, "Scene came as 'A'")],
)
def test_scenes_that_do_not_exist_are_refused(dials, told):
    with pytest.raises(BadInputError, match=told):
        TASK.sample(0, **dials)


def test_odd_ones_have_no_name_to_ask_for():
    with pytest.raises(BadInputError, match="names 0"):
        with_picture(TASK.sample(0, named=False, odd=1), 0)
    assert with_prompt(TASK.sample(0)).prompt != TASK.sample(0).prompt
