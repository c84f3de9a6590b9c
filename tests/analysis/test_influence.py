"""Influence between latent frames, and its asymmetry: which way does a change travel within one step?"""

import numpy as np
import pytest
import torch

from stepscope.analysis import frame_influence, influence_asymmetry, told_frames
from stepscope.errors import BadInputError

FRAMES = 5
LATER = np.triu(np.ones((FRAMES, FRAMES)), 1)


def estimate(seed, frames=FRAMES):
    return torch.randn(2, frames, 3, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (LATER, 1.0),
        (LATER.T, -1.0),
        (LATER + LATER.T, 0.0),
        (3 * LATER + LATER.T, 0.5),
        (LATER + 1e9 * np.eye(FRAMES), 1.0),
        (np.stack([LATER, LATER.T]), 0.0),
        (np.stack([LATER, np.zeros_like(LATER)]), 1.0),
    ],
)
def test_asymmetry_is_the_surplus_of_later_over_earlier(matrix, expected):
    assert influence_asymmetry(matrix) == pytest.approx(expected)


@pytest.mark.parametrize("matrix", [np.zeros((3, 3)), np.eye(3), np.ones((1, 1)), np.zeros((2, 0, 0))])
def test_where_no_frame_moves_another_there_is_none(matrix):
    assert influence_asymmetry(matrix) is None


def test_frames_that_share_one_belief_have_none():
    sizes = np.random.default_rng(0).random(FRAMES)
    assert influence_asymmetry(np.outer(sizes, sizes)) == pytest.approx(0)


def test_evenly_growing_content_alone_gives_a_third():
    growing = np.tile(np.arange(1.0, FRAMES + 1), (FRAMES, 1))
    assert influence_asymmetry(growing) == pytest.approx(1 / 3)


def test_mirroring_time_turns_the_sign():
    matrix = np.random.default_rng(1).random((FRAMES, FRAMES))
    assert influence_asymmetry(matrix[::-1, ::-1]) == pytest.approx(-influence_asymmetry(matrix))


def test_its_unit_does_not_matter():
    matrix = np.random.default_rng(2).random((3, FRAMES, FRAMES))
    assert influence_asymmetry(1e-6 * matrix) == pytest.approx(influence_asymmetry(matrix))


def test_a_matrix_that_is_no_square_is_refused():
    with pytest.raises(BadInputError, match=r"\(2, 5\) came"):
        influence_asymmetry(np.ones((2, 5)))


def test_influence_is_the_movement_of_each_frame():
    before = estimate(0)
    after = before.clone()
    after[:, 3] += 2.0
    expected = np.zeros(FRAMES)
    expected[3] = 2.0 * np.sqrt(2 * 3 * 3)
    np.testing.assert_allclose(frame_influence(before, after), expected, rtol=1e-6)


def test_rounding_is_no_influence():
    before = estimate(0)
    np.testing.assert_array_equal(frame_influence(before, before + 1e-6 * estimate(1)), 0)
    assert (frame_influence(before, before + 1e-3 * estimate(1)) > 0).all()


def test_of_nothing_nothing_moves():
    still = torch.zeros(2, FRAMES, 3, 3)
    np.testing.assert_array_equal(frame_influence(still, still), 0)


def test_told_frames_are_those_that_all_solutions_share_with_the_question():
    still = estimate(0)
    candidates = torch.stack([still, still])
    candidates[0, :, 2] += 1.0
    candidates[:, :, 4] += 1.0
    assert told_frames(candidates, still) == (0, 1, 3)


def test_a_frame_is_not_told_by_what_rounding_adds():
    still = estimate(0)
    candidates = (still + torch.linspace(1e-7, 1, FRAMES)[:, None, None])[None]
    assert told_frames(candidates, still) == (0,)


def test_a_still_solution_tells_nothing_more():
    still = estimate(0)
    assert told_frames(still[None], still) == tuple(range(FRAMES))
