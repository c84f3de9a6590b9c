"""Simultaneous bands: an interval for a whole curve, not for one step at a time.

    mean_k +- c · se_k,     c = 95% quantile over bootstrap draws of max_k |mean*_k - mean_k| / se_k

Puzzles are drawn with their seeds (see `clusters`).  The band holds the true curve as a whole in about 95% of
repetitions, so a bump anywhere in it may be believed; bands of single steps would let one step in twenty stray.

Source: Efron, Tibshirani 1993, *An Introduction to the Bootstrap*; Montiel Olea, Plagborg-Møller 2019,
*Simultaneous confidence bands*, Journal of Applied Econometrics 34 (max-t).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from stepscope.analysis.clusters import Clusters
from stepscope.analysis.values import Values, float64

__all__ = ["Band", "mean_band"]

_RESAMPLES = 2000
_LEVEL = 0.95


class Band(NamedTuple):
    """A mean curve with its simultaneous 95% band, each [N]."""

    mean: Float64[np.ndarray, " N"]
    low: Float64[np.ndarray, " N"]
    high: Float64[np.ndarray, " N"]


def mean_band(curves: Values, seed: int, clusters: Values | None = None) -> Band:
    """Return the mean of curves with a band for all steps at once.

    Args:
        curves: One curve a row [n, N], finite.
        seed: Seed of the bootstrap.
        clusters: Label of each row's puzzle; None if each row is its own.

    Raises:
        BadInputError: If there are fewer than two clusters, or a value is not finite.
    """
    columns = [Clusters.of(column, clusters) for column in float64(curves).T]
    sums, sizes = np.stack([column.sums for column in columns], axis=1), columns[0].sizes
    mean = sums.sum(axis=0) / sizes.sum()
    error = np.array([column.standard_error for column in columns])
    count = len(sizes)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    strayed = np.abs((draws @ sums) / (draws @ sizes)[:, None] - mean)
    ratios = np.divide(strayed, error, where=error > 0, out=np.zeros_like(strayed))
    width = np.quantile(ratios.max(axis=1), _LEVEL) * error
    return Band(mean, mean - width, mean + width)
