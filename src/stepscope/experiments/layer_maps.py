"""Maps over step and layer of what lies between 0 and 1: means over puzzles with bands that stay honest for few.

    low = min( max-t band of the whole map, pointwise interval of a bounded mean )        high likewise

The first holds the map as a whole (`analysis.bands`) but cannot see beyond what came: a cell in which all puzzles agree
would have a band of no width.  The second (`analysis.bounded`) leaves room for puzzles that were not drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepscope.analysis import mean_band, mean_interval

__all__ = ["map_of", "mean_of"]

_SEED = 0


def map_of(maps: Sequence[tuple[int, Any]]) -> dict[str, Any] | None:
    """Mean and band of maps, each value in [0, 1]; nothing with none, no band with one puzzle.

    Args:
        maps: Index of the puzzle, and a map of any shape, the same for all.
    """
    if not maps:
        return None
    puzzles, values = [puzzle for puzzle, _ in maps], np.array([each for _, each in maps], dtype=np.float64)
    shape, flat = values.shape[1:], np.clip(values.reshape(len(values), -1), 0, 1)
    if len(set(puzzles)) < 2:
        return {"mean": flat.mean(axis=0).reshape(shape).tolist(), "low": None, "high": None}
    band = mean_band(flat, _SEED, puzzles)
    columns, place = np.unique(flat, axis=1, return_inverse=True)  # cells are often alike
    bounded = np.array([mean_interval(column, _SEED, puzzles, (0, 1))[1:] for column in columns.T])
    low, high = bounded[place.ravel()].T
    ends = {"mean": band.mean, "low": np.clip(band.low, 0, low), "high": np.clip(band.high, high, 1)}
    return {name: end.reshape(shape).tolist() for name, end in ends.items()}


def mean_of(values: Sequence[tuple[int, float]], bounds: tuple[float, float] = (0.0, 1.0)) -> dict[str, Any] | None:
    """Mean and 95% interval of one number a run; nothing with none.

    Args:
        values: Index of the puzzle, and the number.
        bounds: Least and largest number that there can be.
    """
    if not values:
        return None
    puzzles, numbers = zip(*values, strict=True)
    n = len(set(puzzles))
    if n < 2:
        return {"value": float(np.mean(numbers)), "ci95": None, "n": n}
    value, low, high = mean_interval(numbers, _SEED, puzzles, bounds)
    return {"value": value, "ci95": [low, high], "n": n}
