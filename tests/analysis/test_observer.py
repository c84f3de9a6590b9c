"""The ideal observer is right as often as it says, and nobody's clean estimate is nearer to the truth."""

from math import erf

import numpy as np
import pytest
import torch

from stepscope.analysis import ideal_observer, knowledge, observer_rollout, separation, signal_to_noise
from stepscope.errors import BadInputError

SHAPE = (2, 2, 3, 3)


def mixture(count: int = 3, scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def draws(
    candidates: torch.Tensor, sigma: float, count: int, prior: np.ndarray | None = None
) -> tuple[np.ndarray, torch.Tensor]:
    truth = np.random.default_rng(1).choice(len(candidates), count, p=prior)
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(count, *SHAPE, generator=generator, dtype=torch.float64)
    return truth, (1 - sigma) * candidates[torch.from_numpy(truth)] + sigma * noise


@pytest.mark.parametrize("prior", [None, np.array([0.2, 0.3, 0.5])])
def test_it_is_calibrated(prior: np.ndarray | None) -> None:
    candidates = mixture()
    truth, latents = draws(candidates, 0.8, 40_000, prior)
    _, weights = ideal_observer(latents, 0.8, candidates, None if prior is None else np.log(prior))
    for low in np.arange(0.1, 0.9, 0.1):
        claimed = (weights >= low) & (weights < low + 0.1)
        right = (np.arange(3) == truth[:, None])[claimed]
        assert claimed.sum() > 500
        assert low - 0.01 <= right.mean() <= low + 0.11


def test_no_other_estimate_is_nearer_on_average() -> None:
    candidates = mixture()
    truth, latents = draws(candidates, 0.8, 20_000)
    estimate, weights = ideal_observer(latents, 0.8, candidates)
    clean = candidates[torch.from_numpy(truth)]

    def error(other: torch.Tensor) -> float:
        return float((other - clean).square().mean())

    best = error(estimate)
    mean = candidates.mean(0)
    assert best < error(estimate + 0.1 * (candidates[0] - mean))
    for stretch in (0.8, 1.2):
        assert best < error(mean + stretch * (estimate - mean))
    assert best < error(candidates[torch.from_numpy(weights.argmax(1))])
    for other_sigma in (0.7, 0.9):
        assert best < error(ideal_observer(latents, other_sigma, candidates)[0])


def test_it_is_the_formula() -> None:
    candidates = mixture(4)
    latents, sigma = mixture(1, seed=5)[0], 0.7
    prior = np.log([0.1, 0.2, 0.3, 0.4])
    _, weights = ideal_observer(latents, sigma, candidates, prior)
    logits = prior - ((latents - (1 - sigma) * candidates) ** 2).flatten(1).sum(1).numpy() / (2 * sigma**2)
    np.testing.assert_allclose(weights, np.exp(logits) / np.exp(logits).sum(), rtol=1e-12)


@pytest.mark.parametrize("sigma", [0.0, 1e-200, 1e-9, 0.1, 0.5, 0.99, 1.0])
def test_its_knowledge_is_perfect_at_every_noise_level(sigma: float) -> None:
    candidates, still = mixture(3, scale=20), mixture(1, seed=9)[0]
    latents = (1 - sigma) * candidates[1] + sigma * mixture(1, seed=7)[0]
    for kind in (torch.float32, torch.float64):
        estimate, weights = ideal_observer(latents.to(kind), sigma, candidates)
        assert estimate.dtype == kind
        assert abs(weights.sum() - 1) < 1e-12
        assert knowledge(estimate, candidates, still) <= 1e-10


def test_without_noise_the_nearest_is_certain_and_ties_share() -> None:
    candidates = mixture(3, scale=30)
    np.testing.assert_array_equal(ideal_observer(candidates[2], 0.0, candidates)[1], [0, 0, 1])
    twins = torch.stack([candidates[0], candidates[1], candidates[0]])
    np.testing.assert_allclose(ideal_observer(candidates[0], 0.0, twins)[1], [0.5, 0, 0.5])
    middle = (candidates[0] + candidates[1]) / 2
    np.testing.assert_allclose(ideal_observer(middle, 0.0, candidates[:2])[1], [0.5, 0.5])
    np.testing.assert_array_equal(ideal_observer(candidates[2], 0.0, candidates, [0, 0, -np.inf])[1][2], 0)


def test_pure_noise_leaves_the_prior() -> None:
    _, weights = ideal_observer(mixture(1, scale=100)[0], 1.0, mixture(3), np.log([0.5, 0.25, 0.25]))
    np.testing.assert_allclose(weights, [0.5, 0.25, 0.25])


def test_far_solutions_cost_no_digits() -> None:
    """A large common part must not drown a small difference: the middle of two solutions weighs them equally."""
    common = 1e6 * mixture(1)[0]
    candidates = common + 1e-3 * mixture(2, seed=3)
    latents = 0.5 * candidates.mean(0)
    np.testing.assert_allclose(ideal_observer(latents, 0.5, candidates)[1], [0.5, 0.5], atol=1e-9)


def test_a_batch_is_its_members() -> None:
    candidates = mixture()
    _, latents = draws(candidates, 0.8, 3)
    estimates, weights = ideal_observer(latents, 0.8, candidates)
    for index in range(3):
        estimate, posterior = ideal_observer(latents[index], 0.8, candidates)
        torch.testing.assert_close(estimate, estimates[index], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(posterior, weights[index], rtol=1e-12)


def test_every_row_may_have_a_noise_level_of_its_own() -> None:
    candidates, levels = mixture(), [1.0, 0.8, 1e-9, 0.0]
    latents = torch.cat([draws(candidates, sigma, 1)[1] for sigma in levels])
    estimates, weights = ideal_observer(latents, levels, candidates, np.log([0.2, 0.3, 0.5]))
    for index, sigma in enumerate(levels):
        estimate, posterior = ideal_observer(latents[index], sigma, candidates, np.log([0.2, 0.3, 0.5]))
        torch.testing.assert_close(estimate, estimates[index], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(posterior, weights[index], rtol=1e-12)


@pytest.mark.parametrize("first", [1.0, 0.7])
def test_the_rollout_is_eulers_method_on_the_observer(first: float) -> None:
    candidates, noise = mixture(3, scale=2), mixture(1, seed=4)[0]
    sigmas = first * torch.tensor([3 * u / (1 + 2 * u) for u in np.linspace(1, 0, 9)], dtype=torch.float64)
    rollout, x = observer_rollout(noise, sigmas, candidates), noise
    for step in range(8):
        estimate, posterior = ideal_observer(x, sigmas[step], candidates)
        torch.testing.assert_close(rollout.latents[step], x, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(rollout.clean_estimates[step], estimate, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(rollout.weights[step], posterior, rtol=1e-10, atol=1e-12)
        x = x + (sigmas[step + 1] - sigmas[step]) * (x - estimate) / sigmas[step]
    torch.testing.assert_close(rollout.latents[-1], x, rtol=1e-12, atol=1e-12)


def test_the_rollout_ends_at_the_side_of_its_noise() -> None:
    candidates = mixture(2, scale=5)
    sigmas = torch.tensor([12 * u / (1 + 11 * u) for u in np.linspace(1, 0, 21)])
    side = (candidates[1] - candidates[0]).flatten()
    for seed in range(10):
        noise = mixture(1, seed=seed)[0]
        rollout = observer_rollout(noise, sigmas, candidates)
        winner = int(noise.flatten() @ side > 0)
        assert rollout.latents.shape == (21, *SHAPE)
        assert rollout.clean_estimates.shape == (20, *SHAPE)
        np.testing.assert_allclose(rollout.weights[0], [0.5, 0.5])
        assert rollout.weights[-1][winner] > 0.99
        torch.testing.assert_close(rollout.latents[-1], rollout.clean_estimates[-1])


def test_the_clock_tells_how_often_the_observer_is_right() -> None:
    candidates, sigma = mixture(2, scale=0.5), 0.6
    truth, latents = draws(candidates, sigma, 20_000)
    weights = ideal_observer(latents, sigma, candidates)[1]
    snr = signal_to_noise([sigma], separation(candidates, candidates[0]))[0]
    assert (weights.argmax(1) == truth).mean() == pytest.approx((1 + erf(snr / 2 / 2**0.5)) / 2, abs=0.01)


def test_the_clock_starts_at_zero_and_never_ends() -> None:
    np.testing.assert_allclose(signal_to_noise([1.0, 0.5, 0.0], 8.0), [0, 8, np.inf])
    still = torch.zeros(SHAPE, dtype=torch.float64)
    assert separation(torch.ones(1, *SHAPE), still) == pytest.approx(6.0)
    points = torch.ones(3, *SHAPE) * torch.tensor([0.0, 10.0, 1.0]).reshape(3, 1, 1, 1, 1)
    assert separation(points, still) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((torch.zeros(SHAPE), 1.5, torch.zeros(2, *SHAPE)), "sigma = 1.5 came"),
        ((torch.zeros(SHAPE), float("nan"), torch.zeros(2, *SHAPE)), "sigma = nan came"),
        ((torch.zeros(SHAPE), [0.5, 0.4], torch.zeros(2, *SHAPE)), "shape \\[2\\] for 1 rows"),
        ((torch.zeros(SHAPE), 0.5, torch.zeros(2, *SHAPE), [0.0]), "2 numbers, one a candidate"),
        ((torch.zeros(SHAPE), 0.5, torch.zeros(2, *SHAPE), [-np.inf, -np.inf]), "but not for all"),
    ],
)
def test_bad_input_is_refused(arguments: tuple, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        ideal_observer(*arguments)
