"""The ideal observer: the best belief that anyone can hold about a noisy puzzle whose solutions are known.

When the clean video is one of S known solutions x_i and x_s = (1-s) x + s·noise, the posterior mean has a closed form:

    E[x | x_s] = sum_i w_i x_i,     w = softmax_i( log prior_i - ||x_s - (1-s) x_i||^2 / (2 s^2) )

Two squared norms of tens of thousands of numbers differ by little, so the exponent is taken relative to the first
candidate, in float64:

    log w_i - log w_1 = (1-s)/s^2 <x_s - (1-s)(x_i + x_1)/2, x_i - x_1> + log prior_i - log prior_1

*State-matched* use gives it the model's own latents; the *rollout* lets it denoise from the model's own noise.  Noise
is isotropic in the standardised latents, and only there.  Cost: 2 S dot products over the latents a call.

Source: the ideal denoiser of a finite data set, Karras, Aittala, Aila, Laine 2022, appendix B.3 (arXiv 2206.00364), for
the rectified-flow path.
"""

from itertools import pairwise
from typing import NamedTuple, SupportsFloat

import numpy as np
import torch
from jaxtyping import Float, Float64

from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError
from stepscope.shapes import Candidates, Latents, LatentsBatch, Sigmas, Trajectory, WeightsPerStep

__all__ = ["Rollout", "ideal_observer", "observer_rollout"]

_SMALLEST = np.finfo(np.float64).tiny
_TIE = 1e-12
"""Rounding of the evidence at sigma 0, relative to the largest squared distance between candidates."""


class Rollout(NamedTuple):
    """The ideal observer as a denoiser.

    Attributes:
        latents: [N+1, C, F, H, W], the noise first, the observer's video last.
        clean_estimates: [N, C, F, H, W], its posterior means.
        weights: [N, S], its posterior.
    """

    latents: Trajectory
    clean_estimates: Float[torch.Tensor, "N C F H W"]
    weights: WeightsPerStep


def ideal_observer(
    latents: Latents | LatentsBatch,
    sigma: SupportsFloat,
    candidates: Candidates,
    log_prior: Values | None = None,
) -> tuple[Latents | LatentsBatch, Float64[np.ndarray, "*B S"]]:
    """Return the Bayes-optimal clean estimate and the posterior of the candidates.

    Args:
        latents: Noisy latents x_s, standardised; one video or a batch.
        sigma: Noise level in [0, 1]; at 0 the nearest candidate is certain (ties share), at 1 the prior decides.
        candidates: All valid solutions, encoded.
        log_prior: S numbers up to a constant; None for equal chances.

    Returns:
        The estimate in the form of `latents`, and weights [S] or [B, S] that sum to 1.

    Raises:
        BadInputError: If sigma lies outside [0, 1] or the prior is none.
    """
    level = float(sigma)
    if not 0 <= level <= 1:
        raise BadInputError(f"sigma = {level} came. Allowed is a noise level from 0 to 1. Divide timesteps by 1000.")
    points = candidates.double().flatten(1)
    differences = points - points[0]
    offset = latents.double().reshape(-1, points.shape[1]) - (1 - level) * points[0]
    evidence = (offset @ differences.T - (1 - level) / 2 * differences.square().sum(1)).cpu().numpy()
    if level == 0:
        evidence = _ties(evidence, differences.square().sum(1).max().item())
    weights = _posterior(evidence, level, _prior(log_prior, len(points)))
    shares = torch.from_numpy(weights).to(points.device)
    estimate = (points[0] + shares @ differences).reshape(latents.shape).to(latents.dtype)
    return estimate, weights.reshape(*latents.shape[:-4], -1)


def observer_rollout(
    noise: Latents, sigmas: Sigmas, candidates: Candidates, log_prior: Values | None = None
) -> Rollout:
    """Let the ideal observer denoise with Euler's method from a model's own initial noise.

    Args:
        noise: Initial latents, at the first sigma.
        sigmas: Falling noise levels [N+1], all but the last above 0.
        candidates: All valid solutions, encoded.
        log_prior: S numbers up to a constant; None for equal chances.
    """
    levels = [float(sigma) for sigma in sigmas]
    latents, estimates, weights = [noise.double()], [], []
    for sigma, next_sigma in pairwise(levels):
        estimate, posterior = ideal_observer(latents[-1], sigma, candidates, log_prior)
        estimates.append(estimate)
        weights.append(posterior)
        # Euler along v = (x - x0_hat) / sigma, in the form that lands on x0_hat exactly at sigma 0.
        latents.append(estimate + next_sigma / sigma * (latents[-1] - estimate))
    return Rollout(torch.stack(latents).to(noise.dtype), torch.stack(estimates).to(noise.dtype), np.stack(weights))


def _prior(log_prior: Values | None, count: int) -> Float64[np.ndarray, " S"]:
    prior = np.zeros(count) if log_prior is None else float64(log_prior)
    if prior.shape != (count,) or np.isnan(prior).any() or not np.isfinite(prior.max()):
        raise BadInputError(
            f"log_prior came as {prior.tolist()}. Allowed are {count} numbers, one a candidate, -inf for impossible "
            "ones but not for all. Leave it out for equal chances."
        )
    return prior - prior.max()


def _ties(evidence: Float64[np.ndarray, "B S"], scale: float) -> Float64[np.ndarray, "B S"]:
    """Make evidence equal that differs by rounding alone: without noise, any difference would decide."""
    return np.round(evidence / (_TIE * scale)) * (_TIE * scale) if scale > 0 else np.zeros_like(evidence)


def _posterior(
    evidence: Float64[np.ndarray, "B S"], sigma: float, prior: Float64[np.ndarray, " S"]
) -> Float64[np.ndarray, "B S"]:
    """Weigh the evidence by (1-s)/s^2; what the prior excludes cannot win, however small the noise."""
    lead = np.where(np.isfinite(prior), evidence, -np.inf)
    lead = lead - lead.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        logits = (1 - sigma) / max(sigma * sigma, _SMALLEST) * lead if sigma < 1 else np.zeros_like(lead)
    logits = logits + prior
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
