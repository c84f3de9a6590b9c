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

__all__ = ["bounded_interval"]

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
    least, largest = (float(bound) for bound in bounds)
    means = groups.sums / groups.sizes
    slack = _ROUNDING * (largest - least)
    if not least - slack <= means.min() <= means.max() <= largest + slack:
        raise BadInputError(
            f"Values from {means.min():.4g} to {means.max():.4g} came for bounds {least:g} to {largest:g}. No value "
            "may lie outside its bounds. Give wider ones, or none."
        )
    return (
        groups.mean,
        -_upper(-groups.sums, groups.sizes, -least, seed),
        _upper(groups.sums, groups.sizes, largest, seed),
    )


def _upper(sums: Float64[np.ndarray, " K"], sizes: Float64[np.ndarray, " K"], bound: float, seed: int) -> float:
    """The upper end: one more cluster, of middling size, has the largest value that there can be."""
    usual = sizes.mean()
    sums, sizes = np.append(sums, usual * bound), np.append(sizes, usual)
    means = sums / sizes
    low, high = means.min(), means.max()
    above = int((means == high).sum())
    if above == len(means):
        return float(high)
    if np.isin(means, (low, high)).all() and np.ptp(sizes) == 0:
        return float(low + (high - low) * beta_quantile(_LEVEL, float(above), float(len(means) - above)))
    return float(np.quantile(_drawn_means(sums, sizes, seed), _LEVEL))


def _drawn_means(
    sums: Float64[np.ndarray, " K"], sizes: Float64[np.ndarray, " K"], seed: int
) -> Float64[np.ndarray, " R"]:
    generator, count = np.random.default_rng(seed), len(sums)
    block = max(1, min(_DRAWS, _CELLS // count))
    # Exponential weights over their sum are Dirichlet(1, …, 1).
    weights = (generator.standard_exponential((min(block, _DRAWS - at), count)) for at in range(0, _DRAWS, block))
    return np.concatenate([(drawn @ sums) / (drawn @ sizes) for drawn in weights])
