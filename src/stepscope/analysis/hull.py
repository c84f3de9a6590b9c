"""Knowledge and choice: the two parts of a clean estimate, split at the hull of the valid solutions.

    hull       = { sum_i w_i x_i : w_i >= 0, sum_i w_i = 1 }
    choice     w = argmin over the simplex of ||x0_hat - sum_i w_i x_i||^2          where in the hull
    knowledge  R = ||x0_hat - hull||^2 / ||x0_still - hull||^2                      how far from it

R is 0 for everyone who knows the solutions, at any noise level, and 1 for the still first frame; only a fall of R along
the steps is computation.  The weights say what is believed among the solutions; `multiplicity` is their perplexity.

The weights are the point of the hull nearest to the estimate: Wolfe's algorithm (P. Wolfe 1976, *Finding the nearest
point in a polytope*, Mathematical Programming 11) on the Gram matrix of the differences x_i - x_1.  It moves from face
to face, solves each exactly and stops after finitely many; on two solutions it is a projection.  Cost: S dot products
an estimate and S^2 once, then small linear systems.  Where the solutions are affinely dependent the weights are one
answer of several; R is unique.
"""

import numpy as np
import torch
from jaxtyping import Float64

from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError
from stepscope.shapes import Candidates, Latents, LatentsBatch

__all__ = ["candidate_weights", "hull_coordinates", "knowledge", "multiplicity"]

_TOLERANCE = 1e-12
"""Slack of the optimality condition, relative to the squared size of the hull."""


def candidate_weights(estimate: Latents | LatentsBatch, candidates: Candidates) -> Float64[np.ndarray, "*B S"]:
    """Return where in the hull of the solutions an estimate lies; the same function for model and observer.

    Args:
        estimate: Clean estimate, standardised latents; one, or one for each step.
        candidates: All valid solutions, encoded.

    Returns:
        Weights [S], or [B, S] for a batch, at least 0, summing to 1.
    """
    points, targets = _flat(estimate, candidates)
    return _weights(targets, points).reshape(*estimate.shape[:-4], -1)


def knowledge(
    estimate: Latents | LatentsBatch, candidates: Candidates, still: Latents
) -> float | Float64[np.ndarray, " B"]:
    """Return R, the squared distance from the hull of the solutions in units of the still video's.

    Args:
        estimate: Clean estimate, standardised latents; one, or one for each step.
        candidates: All valid solutions, encoded.
        still: The first frame held still, encoded.

    Returns:
        R >= 0; a number, or [B] for a batch.

    Raises:
        BadInputError: If the still video is itself a solution.
    """
    return hull_coordinates(estimate, candidates, still)[1]


def hull_coordinates(
    estimate: Latents | LatentsBatch, candidates: Candidates, still: Latents
) -> tuple[Float64[np.ndarray, "*B S"], float | Float64[np.ndarray, " B"]]:
    """Return choice and knowledge, the weights and R of `candidate_weights` and `knowledge`, at the cost of one.

    Args:
        estimate: Clean estimate, standardised latents; one, or one for each step.
        candidates: All valid solutions, encoded.
        still: The first frame held still, encoded.

    Raises:
        BadInputError: If the still video is itself a solution.
    """
    points, targets = _flat(estimate, candidates)
    _, frozen = _flat(still, candidates)
    unit = _squared_distances(frozen, points, _weights(frozen, points))[0]
    if unit <= _TOLERANCE * max(frozen.square().sum().item(), 1.0):
        raise BadInputError(
            "The still video lies in the hull of the solutions. Knowledge is measured against a still video that "
            "solves nothing. Choose a sample in which something has to move."
        )
    weights = _weights(targets, points)
    ratios = _squared_distances(targets, points, weights) / unit
    return weights.reshape(*estimate.shape[:-4], -1), ratios if estimate.ndim == 5 else float(ratios[0])


def multiplicity(weights: Values) -> float | Float64[np.ndarray, "*B"]:
    """Return how many candidates the weights are spread over: exp of their entropy, 1 to S.

    Args:
        weights: [S], or [..., S] with one set a row.
    """
    shares = float64(weights)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    spread = np.exp(-(shares * logs).sum(axis=-1))
    return spread if shares.ndim > 1 else float(spread)


def _flat(estimate: torch.Tensor, candidates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    points = candidates.double().flatten(1)
    return points, estimate.double().reshape(-1, points.shape[1])


def _squared_distances(
    targets: torch.Tensor, points: torch.Tensor, weights: Float64[np.ndarray, "B S"]
) -> Float64[np.ndarray, " B"]:
    nearest = torch.from_numpy(weights).to(points.device) @ points
    return nearest.sub_(targets).square_().sum(1).cpu().numpy()


def _weights(targets: torch.Tensor, points: torch.Tensor) -> Float64[np.ndarray, "B S"]:
    if len(points) == 1:
        return np.ones((len(targets), 1))
    differences = points - points[0]
    gram = (differences @ differences.T).cpu().numpy()
    pulls = ((targets - points[0]) @ differences.T).cpu().numpy()
    if len(points) == 2:
        return _projected(float(gram[1, 1]), pulls[:, 1])
    return np.stack([_nearest(gram, pull) for pull in pulls])


def _projected(length: float, pulls: Float64[np.ndarray, " B"]) -> Float64[np.ndarray, "B 2"]:
    """The nearest points of a segment of this squared length; of one that is a point, its first end."""
    share = np.clip(pulls / length, 0.0, 1.0) if length > 0 else np.zeros_like(pulls)
    return np.stack([1 - share, share], axis=1)


def _nearest(gram: Float64[np.ndarray, "S S"], pull: Float64[np.ndarray, " S"]) -> Float64[np.ndarray, " S"]:
    """Minimise w'Gw/2 - pull'w over the simplex: grow the face while a vertex outside it would help."""
    slack = _TOLERANCE * max(gram.diagonal().max(), np.abs(pull).max())
    face = [int(np.argmin(gram.diagonal() / 2 - pull))]
    weights = np.zeros(len(pull))
    weights[face] = 1.0
    seen = set()
    # Each face is visited once in exact arithmetic; one that comes back means that the rest is rounding.
    while frozenset(face) not in seen:
        seen.add(frozenset(face))
        slope = gram @ weights - pull
        newcomer = int(np.argmin(slope))
        if newcomer in face or slope[newcomer] >= slope[face].min() - slack:
            break
        face, weights = _settle(gram, pull, [*face, newcomer], weights)
    return weights


def _settle(
    gram: Float64[np.ndarray, "S S"], pull: Float64[np.ndarray, " S"], face: list[int], weights: np.ndarray
) -> tuple[list[int], Float64[np.ndarray, " S"]]:
    """Go to the lowest point of the face's plane; if it lies outside the face, stop at the edge and drop a vertex."""
    while True:
        goal = np.zeros_like(weights)
        goal[face] = _lowest(gram[np.ix_(face, face)], pull[face])
        leaving = [vertex for vertex in face if goal[vertex] <= 0]
        if not leaving:
            return face, goal
        reach = [weights[vertex] / (weights[vertex] - goal[vertex]) if weights[vertex] else 0.0 for vertex in leaving]
        first = leaving[int(np.argmin(reach))]
        weights = weights + min(reach) * (goal - weights)
        weights[first] = 0.0
        face = [vertex for vertex in face if vertex != first]


def _lowest(gram: Float64[np.ndarray, "K K"], pull: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " K"]:
    """Minimise w'Gw/2 - pull'w over sum w = 1, signs free: one linear system with a multiplier."""
    scale = max(float(gram.diagonal().max()), _TOLERANCE)
    system = np.block([[gram / scale, np.ones((len(pull), 1))], [np.ones((1, len(pull))), np.zeros((1, 1))]])
    return np.linalg.lstsq(system, np.append(pull / scale, 1.0), rcond=None)[0][:-1]
