"""Localisation: how strongly a map over tokens is lit inside objects, compared to outside of them.

    localisation = mean of E, each token weighted by the share s that objects cover  /  mean of E where s = 0

1: objects are lit like the rest of the scene.  A token at the edge of an object counts inside by its share, and not at
all outside.  A ratio, so that it compares layers whose energies differ by orders of magnitude.  The shares are those of
`cells.cell_shares`.  Limits: a token is a square of pixels, so small objects are seen together with what surrounds
them.  Cost: one pass.
"""

import numpy as np
from jaxtyping import Float64

from stepscope.analysis.values import Values, float64

__all__ = ["localisation"]


def localisation(energy: Values, shares: Float64[np.ndarray, "F H W"]) -> Float64[np.ndarray, "..."]:
    """Return energy inside objects over energy outside.

    Args:
        energy: Maps [..., F, H, W], not negative.
        shares: What objects cover of each token, 0 to 1.

    Returns:
        [...]; NaN where there is nothing inside, nothing outside, or no energy outside.
    """
    maps, outside, axes = float64(energy), shares == 0, (-3, -2, -1)
    if not shares.any() or not outside.any():
        return np.full(maps.shape[:-3], np.nan)
    inner = (maps * shares).sum(axes) / shares.sum()
    outer = (maps * outside).sum(axes) / outside.sum()
    return np.divide(inner, outer, out=np.full_like(inner, np.nan), where=outer > 0)
