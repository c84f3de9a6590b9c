"""Influence between latent frames: in one step, does changing a frame move the later ones more than the earlier ones?

    I[f, g] = || x_0_hat(x, noise anew in frame f)_g - x_0_hat(x)_g ||_2       both estimates of the same step
    A       = (sum_{g > f} I - sum_{g < f} I) / sum_{g != f} I                   in [-1, 1]

A is 1 where the estimate of a frame depends on that frame and on earlier ones alone (frame by frame), 0 where influence
is symmetric (as it is between frames that share one belief, I[f, g] ~ a_f a_g), and -1 from the last frame backwards.
Comparing score losses under noise at a step and at a frame cannot tell these apart: the latents of a step are the whole
state, so replacing all of them never hurts less than replacing some.

A is read on a *square* of frames, the same ones as sources and as targets, so that each pair counts in both directions;
sums run over steps too, so that a step in which nothing moves says nothing.  Limits: targets with more content move
further, so noise that is felt alike by all, with content that grows evenly along the video, already gives A = 1/3.
Frames that the question itself tells (the given picture) are best left out: models overwrite or ignore them, in one
direction only.
Cost: one reduction over the latents a frame and step; the estimates are somebody else's.
"""

import numpy as np
import torch
from jaxtyping import Float64

from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError
from stepscope.shapes import Candidates, Latents

__all__ = ["frame_influence", "influence_asymmetry", "told_frames"]

_ROUNDING = 1e-5
"""Movement below this share of a frame's size is rounding, which has no direction."""
_TOLD = 1e-6
"""Largest squared distance of a told frame's solutions from the still video, relative to the farthest frame's."""


def frame_influence(before: Latents, after: Latents) -> Float64[np.ndarray, " F"]:
    """Return how far each frame of a clean estimate has moved.

    Args:
        before: Clean estimate of the untouched latents.
        after: That of the same step with noise in one frame.

    Returns:
        L2 norms [F]; 0 where the movement is rounding.
    """
    moved = _norms(after.double() - before.double())
    size = np.sqrt(np.mean(np.square(_norms(before))))
    return np.where(moved > _ROUNDING * size, moved, 0.0)


def influence_asymmetry(influence: Values) -> float | None:
    """Return A, the share by which frames move later frames more than earlier ones.

    Args:
        influence: I [..., F, F], from the frame in the row to that in the column; leading axes (steps) are summed.

    Returns:
        A in [-1, 1]; None where no frame moves another.

    Raises:
        BadInputError: If the last two axes are no square.
    """
    matrix = float64(influence)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise BadInputError(
            f"Influence of shape {matrix.shape} came. Allowed is [..., F, F], the same frames as rows and as columns. "
            "Choose the columns of the frames that were disturbed."
        )
    total = matrix.sum(axis=tuple(range(matrix.ndim - 2)))
    later, earlier = np.triu(total, 1).sum(), np.tril(total, -1).sum()
    return float((later - earlier) / (later + earlier)) if later + earlier > 0 else None


def told_frames(candidates: Candidates, still: Latents) -> tuple[int, ...]:
    """Return the latent frames that the question itself tells: there all solutions agree with the still video.

    Args:
        candidates: All valid solutions, encoded.
        still: The first frame held still, encoded.
    """
    gaps = (candidates.double() - still.double()).square().sum(dim=(1, 3, 4)).amax(dim=0).cpu().numpy()
    return tuple(np.flatnonzero(gaps <= _TOLD * gaps.max(initial=0.0)).tolist())


def _norms(latents: torch.Tensor) -> Float64[np.ndarray, " F"]:
    return torch.linalg.vector_norm(latents.double(), dim=(0, 2, 3)).cpu().numpy()
