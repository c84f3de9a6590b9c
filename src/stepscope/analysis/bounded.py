"""The mean of a bounded number: an interval that stays honest for few puzzles, and for puzzles that all say the same.

    high = 97.5% quantile of  sum_i D_i x_i + D_{n+1} b,    D ~ Dirichlet(1, …, 1)  over n values and the bound b
    low  = the same, mirrored, with the least value a

Resampling what was seen never reaches beyond it: six ones have the bootstrap interval [1, 1].  Here the unseen has a
share as well, the worst that the bounds allow.  For values of 0 and 1 this *is* the interval of Clopper and Pearson;
for n values alike, v, it is [v - q (v - a), v + q (b - v)] with q = 1 - 0.025^(1/n); for many values it is the Bayesian
bootstrap.  Two-valued cases are computed exactly by beta quantiles, the others by drawing.

Limits: that it holds the truth in 95% of all cases is proven for special cases alone, values of 0 and 1 among them; no
case in which it fails is known.  Puzzles carry their seeds: a cluster is one draw, with the weight of its size.

Source: Gaffke 2005, *Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
variable*, Mathematical Methods of Statistics 14; Learned-Miller, Thomas 2019, *A new confidence interval for the mean
of a bounded random variable* (arXiv 1905.06208).
"""

import numpy as np
from jaxtyping import Float64

from stepscope.analysis.beta import beta_quantile
from stepscope.analysis.clusters import Clusters
from stepscope.analysis.values import Values
from stepscope.errors import BadInputError

__all__ = ["bounded_ends", "bounded_interval"]

Column = Float64[np.ndarray, " N"]

_LEVEL = 0.975
_DRAWS = 20_000
_CELLS = 4_000_000
"""Weights are drawn in blocks of this many numbers, to bound the memory."""
_ROUNDING = 1e-6
"""How far beyond its bounds a value may be computed, relative to their distance."""


def bounded_interval(
    values: Values, bounds: tuple[float | int, float | int], seed: int, clusters: Values | None = None
) -> tuple[float, float, float]:
    """Return the mean of bounded numbers with its 95% interval: (value, low, high).

    Args:
        values: Finite numbers [n].
        bounds: Least and largest value that there can be.
        seed: Seed of the draws.
        clusters: Label of each value's puzzle; None if each value is its own.

    Raises:
        BadInputError: If there are fewer than two clusters, or a value lies outside the bounds.
    """
    groups = Clusters.of(values, clusters)
    low, high = bounded_ends(groups.sums[:, None], groups.sizes, bounds, seed)
    return groups.mean, float(low[0]), float(high[0])


def bounded_ends(
    sums: Float64[np.ndarray, "K N"],
    sizes: Float64[np.ndarray, " K"],
    bounds: tuple[float | int, float | int],
    seed: int,
) -> tuple[Column, Column]:
    """Return the ends of the intervals of several means over the same clusters: (low, high), each [N].

    Args:
        sums: Sum of each cluster's values, a column a mean.
        sizes: Number of values of each cluster.
        bounds: Least and largest value that there can be; where one is infinite, so is that end.
        seed: Seed of the draws, which all columns share.

    Raises:
        BadInputError: If the mean of a cluster lies outside the bounds.
    """
    least, largest = (float(bound) for bound in bounds)
    means = sums / sizes[:, None]
    distance = largest - least
    slack = _ROUNDING * (distance if np.isfinite(distance) else np.abs(means).max())
    if not least - slack <= means.min() <= means.max() <= largest + slack:
        raise BadInputError(
            f"Values from {means.min():.4g} to {means.max():.4g} came for bounds {least:g} to {largest:g}. No value "
            "may lie outside its bounds. Give wider ones, or none."
        )
    return -_upper(-sums, sizes, -least, seed), _upper(sums, sizes, largest, seed)


def _upper(sums: Float64[np.ndarray, "K N"], sizes: Float64[np.ndarray, " K"], bound: float, seed: int) -> Column:
    """The upper ends: one more cluster, of middling size, has the largest value that there can be."""
    if np.isinf(bound):
        return np.full(sums.shape[1], np.inf)
    usual = sizes.mean()
    sums, sizes = np.vstack([sums, np.full(sums.shape[1], usual * bound)]), np.append(sizes, usual)
    means = sums / sizes[:, None]
    low, ends = means.min(axis=0), means.max(axis=0)
    above, below = (means == ends).sum(axis=0), (means == low).sum(axis=0)
    exact = (above + below == len(means)) & (np.ptp(sizes) == 0)
    drawn = (above < len(means)) & ~exact
    for column in np.flatnonzero(exact):
        share = beta_quantile(_LEVEL, float(above[column]), float(below[column]))
        ends[column] = low[column] + (ends[column] - low[column]) * share
    if drawn.any():
        ends[drawn] = np.quantile(_drawn_means(sums[:, drawn], sizes, seed), _LEVEL, axis=0)
    return ends


def _drawn_means(
    sums: Float64[np.ndarray, "K N"], sizes: Float64[np.ndarray, " K"], seed: int
) -> Float64[np.ndarray, "R N"]:
    generator, count = np.random.default_rng(seed), len(sums)
    block = max(1, min(_DRAWS, _CELLS // count))
    # Exponential weights over their sum are Dirichlet(1, …, 1).
    weights = (generator.standard_exponential((min(block, _DRAWS - at), count)) for at in range(0, _DRAWS, block))
    return np.concatenate([(drawn @ sums) / (drawn @ sizes)[:, None] for drawn in weights])
