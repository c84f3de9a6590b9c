"""Quantiles of the beta distribution, all that exact intervals for proportions need.

    I_x(a, b) = x^a (1-x)^b / (a B(a,b)) · 1/(1+ d_1/(1+ d_2/(1+ …)))

The continued fraction (DLMF 8.17.22) converges fast below the mean of the distribution; above it the symmetry
I_x(a,b) = 1 - I_{1-x}(b,a) is used.  The quantile is found by bisection, which needs no derivative and never fails.
"""

import math

__all__ = ["beta_cdf", "beta_quantile"]

_TINY = 1e-300
_PRECISION = 1e-15
_BISECTIONS = 100


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) for a, b > 0."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) / (a * _fraction(x, a, b))


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Return the x at which I_x(a, b) reaches the probability."""
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_cdf(middle, a, b) < probability else (low, middle)
    return (low + high) / 2


def _fraction(x: float, a: float, b: float) -> float:
    """Evaluate 1 + d_1/(1 + d_2/(1 + …)) by Lentz's method, numerators growing beside denominators."""
    value, upper, lower = 1.0, 1.0, 0.0
    term = 0
    while True:
        term += 1
        numerator = _numerator(term, x, a, b)
        lower = 1 / _away_from_zero(1 + numerator * lower)
        upper = _away_from_zero(1 + numerator / upper)
        value *= upper * lower
        if abs(upper * lower - 1) < _PRECISION:
            return value


def _numerator(term: int, x: float, a: float, b: float) -> float:
    m = term // 2
    if term % 2:
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))


def _away_from_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
