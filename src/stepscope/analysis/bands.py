"""Simultaneous bands: an interval for a whole curve, not for one step at a time.

    mean_k +- c · se_k,     c = 95% quantile over bootstrap draws of max_k |mean*_k - mean_k| / se_k

Puzzles are drawn with their seeds (see `clusters`).  The band holds the true curve as a whole in about 95% of
repetitions, so a bump anywhere in it may be believed; bands of single steps would let one step in twenty stray.

Drawing again cannot see beyond what came: where all puzzles agree, such a band has no width.  Where the values have
bounds, it is made as wide as the interval of the bounded mean (see `bounded`) at each step, which leaves room for what
was not drawn, and never reaches beyond the bounds.

Source: Efron, Tibshirani 1993, *An Introduction to the Bootstrap*; Montiel Olea, Plagborg-Møller 2019,
*Simultaneous confidence bands*, Journal of Applied Econometrics 34 (max-t).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from stepscope.analysis.bounded import bounded_ends
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


def mean_band(
    curves: Values,
    seed: int,
    clusters: Values | None = None,
    bounds: tuple[float | int, float | int] | None = None,
) -> Band:
    """Return the mean of curves with a band for all steps at once.

    Args:
        curves: One curve a row [n, N], finite.
        seed: Seed of the bootstrap.
        clusters: Label of each row's puzzle; None if each row is its own.
        bounds: Least and largest value that there can be, infinite where there is none; None if neither is known.

    Raises:
        BadInputError: If there are fewer than two clusters, a value is not finite, or it lies outside the bounds.
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
    band = Band(mean, mean - width, mean + width)
    return band if bounds is None else _bounded(band, bounds, bounded_ends(sums, sizes, bounds, seed))


def _bounded(
    band: Band,
    bounds: tuple[float | int, float | int],
    ends: tuple[Float64[np.ndarray, " N"], Float64[np.ndarray, " N"]],
) -> Band:
    """The band within the bounds, and as wide as single means allow; a side without a bound stays as it is."""
    wide = [np.where(np.isfinite(end), end, band.mean) for end in ends]
    low = np.minimum(np.maximum(band.low, bounds[0]), wide[0])
    high = np.maximum(np.minimum(band.high, bounds[1]), wide[1])
    # A mean beyond the bounds is there by rounding.
    return Band(band.mean, np.minimum(low, band.mean), np.maximum(high, band.mean))
