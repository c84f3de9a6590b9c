"""Commitment: the step from which on a run holds to what it ends with.

    choice      first step from which on the weight of the *final* candidate is >= 0.9 to the end
    knowledge   first step from which on R <= 0.1 to the end
    answer      first step from which on the thresholded answer is the final one

A run that never commits is *censored*: None, not the last step.  All runs count, not the solved ones alone.  The ideal
observer's own rollout settles the sign of <x_1, Delta> at step 0, so only thresholds can say when it is decided.
"""

from collections.abc import Sequence

import numpy as np

from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError

__all__ = ["answer_commitment_step", "commitment_step", "knowledge_step"]


def commitment_step(weights: Values, threshold: float = 0.9) -> int | None:
    """Return the step at which the choice is made.

    Args:
        weights: Candidate weights [N, S], one row a step.
        threshold: Weight in (0.5, 1] that counts as chosen.

    Returns:
        A step from 0 to N-1, or None where the final weight stays below the threshold.
    """
    table = float64(weights)
    if table.ndim != 2 or 0 in table.shape:
        raise BadInputError(f"Weights of shape {table.shape} came. Allowed is [N, S], a row for each step, N >= 1.")
    if not 0.5 < threshold <= 1:
        raise BadInputError(f"threshold = {threshold} came. Allowed is above 0.5 (so that one alone can win) up to 1.")
    return _held_from(table[:, int(table[-1].argmax())] >= threshold)


def knowledge_step(distances: Values, threshold: float = 0.1) -> int | None:
    """Return the step from which on the solutions are known.

    Args:
        distances: R of each step [N], see `knowledge`.
        threshold: R that counts as known.

    Returns:
        A step from 0 to N-1, or None where R ends above the threshold.
    """
    return _held_from(float64(distances) <= threshold)


def answer_commitment_step(answers: Sequence[str | int | None]) -> int | None:
    """Return the step from which on the answer is the final one.

    Args:
        answers: The answer read at each step; None where none could be read.

    Returns:
        A step from 0 to N-1, or None where the run ends without an answer.
    """
    return _held_from(np.array([answer is not None and answer == answers[-1] for answer in answers], dtype=bool))


def _held_from(holds: np.ndarray) -> int | None:
    """Return the start of the run of True that reaches the end."""
    held = int(np.logical_and.accumulate(holds[::-1]).sum())
    return len(holds) - held if held else None
