"""Commitment is the start of the last run that reaches the end, or nothing."""

import numpy as np
import pytest

from stepscope.analysis import answer_commitment_step, commitment_step, knowledge_step
from stepscope.errors import BadInputError


def two(first: list[float]) -> np.ndarray:
    return np.stack([first, 1 - np.array(first)], axis=1)


@pytest.mark.parametrize(
    ("first", "step"),
    [
        ([0.5, 0.6, 0.95, 0.99], 2),
        ([0.95, 0.5, 0.9, 0.99], 2),
        ([0.95, 0.96, 0.97, 0.98], 0),
        ([0.5, 0.6, 0.7, 0.95], 3),
        ([0.95, 0.95, 0.95, 0.8], None),
        ([0.99, 0.05, 0.5, 0.02], 3),
        ([0.99, 0.05, 0.04, 0.02], 1),
        ([1.0], 0),
        ([0.6], None),
    ],
)
def test_choice(first: list[float], step: int | None) -> None:
    assert commitment_step(two(first)) == step


def test_a_single_solution_is_chosen_from_the_start() -> None:
    assert commitment_step(np.ones((5, 1))) == 0


def test_a_lower_threshold_is_never_later() -> None:
    steps = [commitment_step(two([0.5, 0.6, 0.8, 0.95]), threshold) for threshold in (0.55, 0.75, 0.9, 0.99)]
    assert steps == [1, 2, 3, None]


@pytest.mark.parametrize(
    ("distances", "step"),
    [([0.5, 0.1, 0.05], 1), ([0.05, 0.2, 0.05], 2), ([0.01, 0.01], 0), ([0.01, 0.2], None), ([], None)],
)
def test_knowledge(distances: list[float], step: int | None) -> None:
    assert knowledge_step(distances) == step


@pytest.mark.parametrize(
    ("answers", "step"),
    [
        (["left", "right", "right"], 1),
        (["right", "left", "right"], 2),
        (["left", None, "left"], 2),
        (["left", "left", None], None),
        ([None, None], None),
        ([0, 1, 1], 1),
        (["a"], 0),
        ([], None),
    ],
)
def test_answers(answers: list, step: int | None) -> None:
    assert answer_commitment_step(answers) == step


@pytest.mark.parametrize("shape", [(3,), (0, 2), (3, 0)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInputError, match=r"Weights of shape"):
        commitment_step(np.zeros(shape))


@pytest.mark.parametrize("threshold", [0.5, 1.5])
def test_a_threshold_lets_one_win(threshold: float) -> None:
    with pytest.raises(BadInputError, match=r"threshold ="):
        commitment_step(np.ones((3, 2)), threshold)
