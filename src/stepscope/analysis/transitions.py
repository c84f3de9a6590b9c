"""Answer changes: what a run shows at each step, and how often it changes its mind.

    right i   hull weight of solution i >= 0.9 and R <= 0.1
    wrong     R > 0.1 and painted >= 0.9:   a finished drawing that no solution explains
    open      anything else: a blend of solutions, a drawing that has barely begun, or fog

    painted   min_f ||d_f||^2 / max_i ||d_if||^2,  d = x0_hat - x0_still;   0 for fog
    fog       in some frame  n_f > 2.5 max_i n_if  or  ||d_f||^2 > 3 max_i ||d_if||^2
    n         (sum_c e_c)^2 / sum_c e_c^2,  e_c = ||d_c||^2:   over how many cells c of a frame a change is spread

f runs over the latent frames in which a solution draws anything to speak of, i over the solutions.  An answer is drawn
in as few cells as a solution, two answers at once in at most twice as many; what changes more cells, or changes them
more, is a picture that has not cleared, and no answer.  A faint estimate is no wrong answer either, nor is one of which
some frames are unfinished, so a model that merely becomes clear corrects nothing; nor does the ideal observer, whose
estimates lie in the hull.  Changes are counted between one definite answer and the next, open steps left out.  Limits:
a mistake that draws less than the solutions do, or all over the picture, counts as open, so changes are undercounted
rather than invented; where solutions fill more than two fifths of a frame, fog is told by its strength alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float64

from stepscope.analysis.readout import read_out
from stepscope.analysis.values import Values, float64
from stepscope.shapes import Candidates, Latents, LatentsBatch

__all__ = ["WRONG", "AnswerChanges", "answer_changes", "painted", "shown_answers"]

WRONG = -1
"""A definite answer that is no solution."""

_LARGEST_DISTANCE = 0.1
_FINISHED = 0.9
_MOST_PAINTED = 3.0
_MOST_SPREAD = 2.5
"""Over how many cells a drawing may be spread, relative to the solution that takes most."""
_DRAWING = 0.05
"""Least that a solution draws in a frame that counts, relative to the frame with most."""


@dataclass(frozen=True)
class AnswerChanges:
    """How often a run changed its mind.

    Attributes:
        wrong_to_right: A wrong answer gave way to a solution.
        right_to_wrong: A solution gave way to a wrong answer.
        right_to_other: A solution gave way to another solution.
    """

    wrong_to_right: int
    right_to_wrong: int
    right_to_other: int


def painted(estimates: LatentsBatch, candidates: Candidates, still: Latents) -> Float64[np.ndarray, " B"]:
    """Return how much of a drawing each estimate has made on the first frame, in the frame that has least of it.

    Args:
        estimates: Clean estimates, one a step.
        candidates: All valid solutions, encoded.
        still: The first frame held still, encoded.

    Returns:
        At least 0; 1 where every frame has as much as the solution that draws most in it, 0 for fog.
    """
    answers, drawn = _changes(candidates, still), _changes(estimates, still)
    most = answers.sum(-1).amax(0)
    drawing = most >= _DRAWING * most.max()
    amounts = drawn.sum(-1)[:, drawing] / most[drawing]
    spread = _spread(drawn)[:, drawing] / _spread(answers).amax(0)[drawing]
    fog = (amounts > _MOST_PAINTED) | (spread > _MOST_SPREAD)
    return torch.where(fog.any(1), 0.0, amounts.amin(1)).cpu().numpy()


def shown_answers(weights: Values, distances: Values, amounts: Values) -> tuple[int | None, ...]:
    """Return what each step shows: the index of a solution, `WRONG`, or None while it is open.

    Args:
        weights: Hull weights [N, S].
        distances: R [N].
        amounts: How much is painted [N].
    """
    steps = zip(float64(weights), float64(distances), float64(amounts), strict=True)
    return tuple(_shown(row, distance, amount) for row, distance, amount in steps)


def answer_changes(answers: Sequence[int | None]) -> AnswerChanges:
    """Count the changes between definite answers.

    Args:
        answers: What each step shows, see `shown_answers`.
    """
    changes = [(old, new) for old, new in pairwise(each for each in answers if each is not None) if old != new]
    return AnswerChanges(
        wrong_to_right=sum(old == WRONG for old, _ in changes),
        right_to_wrong=sum(new == WRONG for _, new in changes),
        right_to_other=sum(WRONG not in change for change in changes),
    )


def _changes(videos: LatentsBatch, still: Latents) -> Float64[torch.Tensor, "B F N"]:
    """How much each cell of each frame differs from the still video."""
    return (videos.double() - still).square().sum(1).flatten(2)


def _spread(changes: Float64[torch.Tensor, "B F N"]) -> Float64[torch.Tensor, "B F"]:
    """Over how many cells the change of a frame is spread; 0 where nothing changes."""
    return changes.sum(-1).square() / changes.square().sum(-1).clamp_min(torch.finfo(torch.float64).tiny)


def _shown(weights: Float64[np.ndarray, " S"], distance: float, amount: float) -> int | None:
    if distance > _LARGEST_DISTANCE:
        return WRONG if amount >= _FINISHED else None
    return read_out(weights, float(distance))
