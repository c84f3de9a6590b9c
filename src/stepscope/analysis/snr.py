"""The observer's clock: how well the noise of a step lets two solutions be told apart.

    SNR = ||Delta|| (1 - sigma) / sigma

Delta is the difference of two solutions in standardised latents.  At SNR z, the observer of two equally likely
solutions is right with probability Phi(z/2).  It is the only axis on which models, sizes and schedules compare.
"""

import numpy as np
from jaxtyping import Float64

from stepscope.analysis.values import Values, float64
from stepscope.shapes import Candidates, Latents

__all__ = ["separation", "signal_to_noise"]


def signal_to_noise(sigmas: Values, delta: float) -> Float64[np.ndarray, " K"]:
    """Return the SNR of each noise level: 0 at sigma 1, infinite at sigma 0.

    Args:
        sigmas: Noise levels [K] in [0, 1].
        delta: Distance between the solutions, see `separation`.
    """
    levels = np.atleast_1d(float64(sigmas))
    signal = delta * (1 - levels)
    return np.divide(signal, levels, where=levels > 0, out=np.full_like(levels, np.inf))


def separation(candidates: Candidates, still: Latents) -> float:
    """Return ||Delta||: the smallest distance between two solutions, or of the only solution from the still video.

    Args:
        candidates: All valid solutions, encoded.
        still: The first frame held still, encoded.
    """
    points = candidates.double().flatten(1)
    if len(points) == 1:
        return float((points[0] - still.double().flatten()).norm())
    return min(float((points[:first] - points[first]).norm(dim=1).min()) for first in range(1, len(points)))
