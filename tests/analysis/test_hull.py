"""Weights recover what was mixed, R measures what lies outside, and both agree with the geometry."""

import itertools

import numpy as np
import pytest
import torch

from stepscope.analysis import candidate_weights, hull_coordinates, knowledge, multiplicity, read_out
from stepscope.errors import BadInputError

SHAPE = (2, 3, 4, 4)


def cloud(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mix(weights: np.ndarray, candidates: torch.Tensor) -> torch.Tensor:
    return torch.einsum("...s,scfhw->...cfhw", torch.from_numpy(weights), candidates)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("concentration", [0.05, 1.0, 20.0])
def test_planted_mixtures_are_recovered(count: int, concentration: float) -> None:
    planted = np.random.default_rng(count).dirichlet(np.full(count, concentration), size=5)
    candidates = cloud(count)
    np.testing.assert_allclose(candidate_weights(mix(planted, candidates), candidates), planted, atol=1e-8)


@pytest.mark.parametrize("count", [2, 8, 64])
def test_what_stands_off_the_hull_does_not_move_the_weights(count: int) -> None:
    candidates = cloud(count)
    planted = np.random.default_rng(1).dirichlet(np.ones(count))
    off = cloud(1, seed=9)[0].flatten()
    basis, _ = torch.linalg.qr((candidates - candidates[0]).flatten(1)[1:].T)
    off = (off - basis @ (basis.T @ off)).reshape(SHAPE)
    estimate = mix(planted, candidates) + 3 * off
    np.testing.assert_allclose(candidate_weights(estimate, candidates), planted, atol=1e-8)
    still = mix(planted, candidates) + 6 * off
    assert knowledge(estimate, candidates, still) == pytest.approx(0.25, abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_nearest_point_obeys_the_optimality_condition(seed: int) -> None:
    """No vertex of the hull lies in front of the plane through the nearest point, seen from the estimate."""
    count = 2 + seed * 3
    candidates, estimate = cloud(count, seed), 2 * cloud(1, seed=100 + seed)[0]
    weights = candidate_weights(estimate, candidates)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    nearest = mix(weights, candidates)
    gaps = ((candidates - nearest) * (estimate - nearest)).flatten(1).sum(1)
    assert gaps.max() <= 1e-8 * estimate.square().sum()


def test_flat_and_repeated_solutions_are_no_trouble() -> None:
    corners = cloud(2)
    line = torch.stack([corners[0], corners[1], (corners[0] + corners[1]) / 2, corners[0]])
    estimate = 0.7 * corners[0] + 0.3 * corners[1]
    weights = candidate_weights(estimate, line)
    torch.testing.assert_close(mix(weights, line), estimate, rtol=0, atol=1e-10)
    np.testing.assert_allclose(candidate_weights(estimate, corners[:1].repeat(3, 1, 1, 1, 1)).sum(), 1)
    np.testing.assert_array_equal(candidate_weights(estimate, corners[:1].repeat(2, 1, 1, 1, 1)), [1, 0])


def test_two_solutions_are_a_projection() -> None:
    candidates, still = cloud(2), cloud(1, seed=5)[0]
    direction = (candidates[1] - candidates[0]).flatten()
    for seed in range(20):
        estimate = 2 * cloud(1, seed=seed)[0]
        share = float((estimate - candidates[0]).flatten() @ direction / (direction @ direction))
        share = min(max(share, 0.0), 1.0)
        np.testing.assert_allclose(candidate_weights(estimate, candidates), [1 - share, share], atol=1e-12)
    assert knowledge(still, candidates, still) == pytest.approx(1.0)


def test_coordinates_are_choice_and_knowledge() -> None:
    for count in (1, 2, 5):
        candidates, still, estimates = cloud(count), cloud(1, seed=5)[0], cloud(4, seed=6)
        weights, distances = hull_coordinates(estimates, candidates, still)
        np.testing.assert_array_equal(weights, candidate_weights(estimates, candidates))
        np.testing.assert_array_equal(distances, knowledge(estimates, candidates, still))
        one, distance = hull_coordinates(estimates[0], candidates, still)
        assert one.shape == (count,)
        assert distance == pytest.approx(distances[0])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_still_is_one_and_every_solution_is_zero(count: int) -> None:
    candidates, still = cloud(count), cloud(1, seed=5)[0]
    assert knowledge(still, candidates, still) == pytest.approx(1.0, abs=1e-12)
    distances = knowledge(candidates, candidates, still)
    assert np.max(distances) <= 1e-20
    np.testing.assert_allclose(candidate_weights(candidates, candidates), np.eye(count), atol=1e-12)


def test_order_of_the_solutions_does_not_matter() -> None:
    candidates, still, estimate = cloud(4), cloud(1, seed=5)[0], cloud(1, seed=6)[0]
    weights = candidate_weights(estimate, candidates)
    for order in itertools.permutations(range(4)):
        np.testing.assert_allclose(
            candidate_weights(estimate, candidates[list(order)]), weights[list(order)], atol=1e-9
        )
        assert knowledge(estimate, candidates[list(order)], still) == pytest.approx(
            knowledge(estimate, candidates, still)
        )


def test_a_solved_still_video_has_no_knowledge_scale() -> None:
    candidates = cloud(2)
    with pytest.raises(BadInputError, match=r"still video lies in the hull"):
        knowledge(candidates[0], candidates, candidates.mean(0))


def test_multiplicity_counts_what_is_believed() -> None:
    assert multiplicity([1.0, 0.0, 0.0]) == pytest.approx(1)
    assert multiplicity([0.5, 0.5, 0.0]) == pytest.approx(2)
    np.testing.assert_allclose(multiplicity(np.array([[0.25] * 4, [1.0, 0, 0, 0]])), [4, 1])


@pytest.mark.parametrize(
    ("weights", "distance", "shown"),
    [([0.05, 0.95], 0.05, 1), ([0.9, 0.1], 0.1, 0), ([0.11, 0.89], 0.0, None), ([1.0, 0.0], 0.11, None)],
)
def test_the_read_out_needs_choice_and_knowledge(weights: list, distance: float, shown: int | None) -> None:
    assert read_out(weights, distance) == shown
