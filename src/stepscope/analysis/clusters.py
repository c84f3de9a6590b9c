"""The unit of chance is the puzzle: its seeds, steps and layers are drawn together or not at all.

Values that share a puzzle are not independent, so whatever resamples, resamples puzzles (Cameron, Gelbach, Miller 2008,
*Bootstrap-based improvements for inference with clustered errors*).  A sample is reduced here to one sum and one count
for each cluster; means of resamples are ratios of their totals.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from stepscope.analysis.values import Values, float64
from stepscope.errors import BadInputError

__all__ = ["Clusters", "percentile_interval"]

_RESAMPLES = 10_000
_CELLS = 4_000_000
"""Resamples are drawn in blocks of this many numbers, to bound the memory."""


@dataclass(frozen=True)
class Clusters:
    """Values, summed by cluster.

    Attributes:
        sums: Sum of each cluster's values [K].
        sizes: Number of values of each cluster [K].
    """

    sums: Float64[np.ndarray, " K"]
    sizes: Float64[np.ndarray, " K"]

    @classmethod
    def of(cls, values: Values, labels: Values | None = None) -> "Clusters":
        """Sum values by the label of their cluster; without labels each value is its own.

        Raises:
            BadInputError: If there are fewer than two clusters, or a value is not finite.
        """
        flat = float64(values)
        names = list(range(len(flat))) if labels is None else np.asarray(labels).tolist()
        if flat.ndim != 1 or len(names) != len(flat) or not np.isfinite(flat).all() or len(set(names)) < 2:
            raise BadInputError(
                f"{flat.size} values in {len(set(names))} clusters with {len(names)} labels came. Allowed are finite "
                "values, a label for each, and at least two clusters. Run more samples, or leave out what is missing."
            )
        _, index = np.unique(names, return_inverse=True)
        return cls(np.bincount(index, flat), np.bincount(index).astype(np.float64))

    def __len__(self) -> int:
        return len(self.sums)

    @property
    def mean(self) -> float:
        """Mean over all values."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def standard_error(self) -> float:
        """Cluster-robust standard error of the mean."""
        residuals = self.sums - self.mean * self.sizes
        return float(np.sqrt(len(self) / (len(self) - 1) * np.square(residuals).sum()) / self.sizes.sum())


def percentile_interval(clusters: Clusters, seed: int, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of the mean when clusters are drawn with replacement."""
    means = np.concatenate(list(_resampled_means(clusters, np.random.default_rng(seed))))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled_means(clusters: Clusters, generator: np.random.Generator) -> Iterator[Float64[np.ndarray, " R"]]:
    count = len(clusters)
    block = max(1, min(_RESAMPLES, _CELLS // count))
    for start in range(0, _RESAMPLES, block):
        drawn = generator.integers(count, size=(min(block, _RESAMPLES - start), count))
        yield clusters.sums[drawn].sum(axis=1) / clusters.sizes[drawn].sum(axis=1)
