"""Maps over step and layer of what lies between 0 and 1: means over puzzles, with bands over the map as a whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepscope.experiments.curves import band_of

__all__ = ["map_of"]


def map_of(maps: Sequence[tuple[int, Any]]) -> dict[str, Any] | None:
    """Mean and band of maps, each value in [0, 1]; nothing with none, no band with one puzzle.

    Args:
        maps: Index of the puzzle, and a map of any shape, the same for all.
    """
    band = band_of([(puzzle, np.ravel(each).astype(np.float64).tolist()) for puzzle, each in maps], (0.0, 1.0))
    if band is None:
        return None
    shape = np.shape(maps[0][1])
    return {
        name: None if band[name] is None else np.reshape(band[name], shape).tolist() for name in ("mean", "low", "high")
    }
