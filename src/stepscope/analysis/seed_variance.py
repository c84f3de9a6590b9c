"""What seeds share: how much of a clean estimate would any other seed have drawn too?

    d_s        = x0_hat_s - x0_still                      what seed s has drawn on the first frame
    shared     = mean over s != s' of <d_s, d_s'>         the part that seeds have in common
    specific   = mean_s ||d_s||^2 - shared                the part that belongs to one seed
    agreement  = share of pairs of seeds that end on the same solution

Products of *different* seeds make `shared` unbiased: it is the squared length of the expected drawing, which the square
of a mean over K seeds overstates by specific/K (and so it may come out slightly below 0).  The share of a set of
puzzles is sum shared / sum (shared + specific).  Limits: at least two seeds; a change of style that all seeds share
counts as shared, whether it is right or not.  Cost: one pass over the estimates.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64

from stepscope.errors import BadInputError
from stepscope.shapes import Latents

__all__ = ["SeedVariance", "seed_agreement", "seed_variance"]


class SeedVariance(NamedTuple):
    """The two parts of what seeds draw, in squared latent units.

    Attributes:
        shared: What seeds have in common, [N].
        specific: What belongs to one seed, [N], at least 0.
    """

    shared: Float64[np.ndarray, " N"]
    specific: Float64[np.ndarray, " N"]


def seed_variance(estimates: Sequence[Float[torch.Tensor, "N C F H W"]], still: Latents) -> SeedVariance:
    """Split what several seeds draw into a shared and a seed-specific part, step by step.

    Args:
        estimates: Clean estimates of K >= 2 seeds on one puzzle.
        still: The first frame held still, encoded.

    Raises:
        BadInputError: If there are fewer than two seeds.
    """
    count = len(estimates)
    if count < 2:
        raise BadInputError(f"{count} seeds came. What seeds share needs at least two. Give more seeds.")
    total, power = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for each in estimates:
        drawn = (each.double() - still).flatten(1)
        total, power = total + drawn, power + drawn.square().sum(1)
    shared = (total.square().sum(1) - power) / (count * (count - 1))
    return SeedVariance(shared.cpu().numpy(), (power / count - shared).cpu().numpy())


def seed_agreement(answers: Sequence[int | None]) -> float | None:
    """Return the share of pairs of seeds that end on the same solution; None with fewer than two seeds.

    Args:
        answers: The solution that each seed ends on; None (no solution) agrees with nothing.
    """
    pairs = list(combinations(answers, 2))
    return sum(a is not None and a == b for a, b in pairs) / len(pairs) if pairs else None
