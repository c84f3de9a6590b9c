"""The ideal observer: the best belief that anyone can hold about a noisy puzzle whose solutions are known.

When the clean video is one of S known solutions x_i and x_s = (1-s) x + s·noise, the posterior mean has a closed form:

    E[x | x_s] = sum_i w_i x_i,     w = softmax_i( log prior_i - ||x_s - (1-s) x_i||^2 / (2 s^2) )

Two squared norms of tens of thousands of numbers differ by little, so the exponent is taken relative to the first
candidate, in float64:

    log w_i - log w_1 = (1-s)/s^2 <x_s - (1-s)(x_i + x_1)/2, x_i - x_1> + log prior_i - log prior_1

*State-matched* use gives it the model's own latents; the *rollout* lets it denoise from the model's own noise.  Seen as
y_s = x_s - (1-s) x_1, an Euler step from s to t is

    y_t = t/s y_s + (1 - t/s) sum_i w_i (x_i - x_1)

so a rollout is S numbers a step, and no latents are looked at but the first.  Noise is isotropic in the standardised
latents, and only there.  Cost: 2 S dot products over the latents a row; S + S^2 a rollout.

Source: the ideal denoiser of a finite data set, Karras, Aittala, Aila, Laine 2022, appendix B.3 (arXiv 2206.00364), for
the rectified-flow path.
"""

from collections.abc import Sequence
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
    sigma: SupportsFloat | Values,
    candidates: Candidates,
    log_prior: Values | None = None,
) -> tuple[Latents | LatentsBatch, Float64[np.ndarray, "*B S"]]:
    """Return the Bayes-optimal clean estimate and the posterior of the candidates.

    Args:
        latents: Noisy latents x_s, standardised; one video or a batch.
        sigma: Noise level in [0, 1], one or one a row; at 0 the nearest candidate is certain (ties share), at 1 the
            prior decides.
        candidates: All valid solutions, encoded.
        log_prior: S numbers up to a constant; None for equal chances.

    Returns:
        The estimate in the form of `latents`, and weights [S] or [B, S] that sum to 1.

    Raises:
        BadInputError: If sigma lies outside [0, 1] or the prior is none.
    """
    points = candidates.double().flatten(1)
    rows = latents.double().reshape(-1, points.shape[1])
    levels = _levels(sigma, len(rows))
    differences = points - points[0]
    lengths = differences.square().sum(1)
    left = torch.from_numpy(1 - levels).to(points.device)[:, None]
    evidence = ((rows - left * points[0]) @ differences.T - left / 2 * lengths).cpu().numpy()
    settled = levels == 0
    evidence[settled] = _ties(evidence[settled], lengths.max().item())
    weights = _posterior(evidence, levels[:, None], _prior(log_prior, len(points)))
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
    levels = _levels(sigmas, len(sigmas))
    points = candidates.double().flatten(1)
    differences = points - points[0]
    start = noise.double().flatten() - (1 - levels[0]) * points[0]
    gram, pull = (differences @ differences.T).cpu().numpy(), (differences @ start).cpu().numpy()
    shares, weights = [np.zeros(len(points))], []
    for sigma, following in pairwise(levels):
        evidence = sigma / levels[0] * pull + gram @ shares[-1] - (1 - sigma) / 2 * gram.diagonal()
        weights.append(_posterior(evidence[None], np.full((1, 1), sigma), _prior(log_prior, len(points)))[0])
        shares.append(weights[-1] + following / sigma * (shares[-1] - weights[-1]))
    left, mixed = (torch.from_numpy(each).to(points) for each in (levels, np.stack(shares)))
    latents = torch.outer(left / left[0], start) + mixed @ differences + torch.outer(1 - left, points[0])
    believed = points[0] + torch.from_numpy(np.stack(weights)).to(points) @ differences
    first, second = (each.unflatten(1, noise.shape).to(noise.dtype) for each in (latents, believed))
    return Rollout(first, second, np.stack(weights))


def _levels(sigma: SupportsFloat | Values, count: int) -> Float64[np.ndarray, " B"]:
    """A noise level for each row."""
    many = isinstance(sigma, (Sequence, np.ndarray, torch.Tensor))
    given = float64(sigma) if many else np.array(float(sigma))
    if given.ndim and given.shape != (count,):
        raise BadInputError(
            f"sigma came with shape {list(given.shape)} for {count} rows of latents. Allowed is one number, or one for "
            "each row. Give as many."
        )
    if not ((given >= 0) & (given <= 1)).all():
        raise BadInputError(
            f"sigma = {given.tolist()} came. Allowed is a noise level from 0 to 1. Divide timesteps by 1000."
        )
    return given + np.zeros(count)


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
    evidence: Float64[np.ndarray, "B S"], sigma: Float64[np.ndarray, "B 1"], prior: Float64[np.ndarray, " S"]
) -> Float64[np.ndarray, "B S"]:
    """Weigh the evidence by (1-s)/s^2; what the prior excludes cannot win, however small the noise."""
    lead = np.where(np.isfinite(prior), evidence, -np.inf)
    lead = lead - lead.max(axis=1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):
        sharp = (1 - sigma) / np.maximum(sigma * sigma, _SMALLEST) * lead
    logits = np.where(sigma < 1, sharp, 0.0) + prior  # at sigma 1, 0 x -inf is no evidence
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
