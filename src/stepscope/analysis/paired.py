"""Paired comparison: the same puzzles under two conditions.

    difference   mean(a - b), its interval by cluster bootstrap (percentiles, 95%)
    p            two-sided: of all ways to swap a and b within whole puzzles, the share with a difference as large

With yes-or-no values and one pair a puzzle this is McNemar's exact test (McNemar 1947), a binomial tail; otherwise
signs are flipped at random, or all in turn where there are few puzzles (Phipson, Smyth 2010: never report p = 0).
`holm` corrects a family of such p values (Holm 1979).
"""

import math

import numpy as np
from jaxtyping import Float64, Int

from stepscope.analysis.clusters import Clusters, percentile_interval
from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError

__all__ = ["holm", "paired_bootstrap"]

_FLIPS = 10_000
_ALL_IN_TURN = 12
"""Up to this many clusters every pattern of signs is tried."""


def paired_bootstrap(
    a: Values, b: Values, seed: int, clusters: Values | None = None
) -> tuple[float, float, float, float]:
    """Compare paired values: (mean(a - b), low, high, p).

    Args:
        a: Finite numbers [n].
        b: Their partners [n].
        seed: Seed of bootstrap and sign flips.
        clusters: Label of each pair's puzzle; None if each pair is its own.

    Raises:
        BadInputError: If lengths differ, a value is not finite, or there are fewer than two clusters.
    """
    first, second = float64(a), float64(b)
    if first.shape != second.shape:
        raise BadInputError(f"{first.size} and {second.size} values came. Pairs are needed. Drop what has no partner.")
    groups = Clusters.of(first - second, clusters)
    binary = np.isin(np.concatenate([first, second]), (0.0, 1.0)).all() and groups.sizes.max() == 1
    p = _mcnemar(groups.sums) if binary else _sign_flip(groups.sums, seed)
    return groups.mean, *percentile_interval(groups, seed), p


def holm(p_values: Values) -> Float64[np.ndarray, " n"]:
    """Return p values corrected for their number, in the order given: each may be held against the level on its own.

    Args:
        p_values: [n], each in [0, 1].
    """
    raw = float64(p_values)
    order = np.argsort(raw, kind="stable")
    corrected = np.empty_like(raw)
    corrected[order] = np.minimum(np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1)), 1.0)
    return corrected


def _mcnemar(differences: Float64[np.ndarray, " K"]) -> float:
    up, down = int((differences > 0).sum()), int((differences < 0).sum())
    tail = sum(math.comb(up + down, k) for k in range(min(up, down) + 1))
    return min(1.0, 2 * tail / 2 ** (up + down))


def _sign_flip(sums: Float64[np.ndarray, " K"], seed: int) -> float:
    count = len(sums)
    if count <= _ALL_IN_TURN:
        return _as_large(np.arange(2**count)[:, None] >> np.arange(count) & 1, sums) / 2**count
    generator = np.random.default_rng(seed)
    found = sum(_as_large(generator.integers(2, size=(1, count)), sums) for _ in range(_FLIPS))
    return (found + 1) / (_FLIPS + 1)


def _as_large(signs: Int[np.ndarray, "R K"], sums: Float64[np.ndarray, " K"]) -> int:
    """Count the rows of signs (0 or 1) that make the total as large as the one that was seen."""
    slack = 1e-12 * np.abs(sums).sum()
    return int((np.abs((2 * signs - 1) @ sums) >= abs(sums.sum()) - slack).sum())
