"""Intervals: how far a number might be from the truth; 95% throughout.

proportion      Clopper, Pearson 1934: exact, beta quantiles; the one to use at 0 or 1
mean            bounds known: see `bounded`;  else cluster bootstrap, percentiles; all 0 or all 1: Clopper–Pearson
effect          (z_0.975 + z_0.8) · standard error: the smallest true mean that would be found in 80% of repetitions
"""

from operator import index
from statistics import NormalDist
from typing import SupportsIndex

import numpy as np

from stepscope.analysis.beta import beta_quantile
from stepscope.analysis.bounded import bounded_interval
from stepscope.analysis.clusters import Clusters, percentile_interval
from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError

__all__ = ["mean_interval", "minimal_detectable_effect", "proportion"]

_TAIL = 0.025
_POWER = 0.8


def proportion(successes: SupportsIndex, n: SupportsIndex) -> tuple[float, float, float]:
    """Return a proportion with its exact interval: (value, low, high).

    Args:
        successes: 0 to n.
        n: At least 1, independent trials.
    """
    k, m = index(successes), index(n) - index(successes)
    if k < 0 or m < 0 or k + m < 1:
        raise BadInputError(f"{k} successes of {k + m} came. Allowed are 0 to n successes of n >= 1. Count again.")
    low = beta_quantile(_TAIL, float(k), m + 1.0) if k else 0.0
    high = beta_quantile(1 - _TAIL, k + 1.0, float(m)) if m else 1.0
    return k / (k + m), low, high


def mean_interval(
    values: Values,
    seed: int,
    clusters: Values | None = None,
    bounds: tuple[float | int, float | int] | None = None,
) -> tuple[float, float, float]:
    """Return a mean with its interval: (value, low, high).

    Args:
        values: Finite numbers [n].
        seed: Seed of whatever is drawn.
        clusters: Label of each value's puzzle; None if each value is its own.
        bounds: Least and largest value that there can be; None if that is not known, and then the bootstrap cannot see
            beyond what came: of few values alike it makes an interval of no width.

    Raises:
        BadInputError: If there are fewer than two clusters, a value is not finite, or it lies outside the bounds.
    """
    if bounds is not None:
        return bounded_interval(values, bounds, seed, clusters)
    groups = Clusters.of(values, clusters)
    if groups.mean in (0.0, 1.0) and np.isin(float64(values), (0.0, 1.0)).all():
        return proportion(round(groups.mean * len(groups)), len(groups))
    return groups.mean, *percentile_interval(groups, seed)


def minimal_detectable_effect(values: Values, clusters: Values | None = None) -> float:
    """Return the smallest true mean (or paired difference) that these data would tell from 0, four times in five.

    Args:
        values: Finite numbers [n].
        clusters: Label of each value's puzzle; None if each value is its own.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - _TAIL) + normal.inv_cdf(_POWER)) * Clusters.of(values, clusters).standard_error
