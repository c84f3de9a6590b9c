"""Curves over disturbed steps: means with bands over puzzles, and the clocks on which they are drawn.

Bands are simultaneous and, where the values have bounds, leave room for puzzles that were not drawn, see
`analysis.bands`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from stepscope.analysis import mean_band
from stepscope.executors import Finding
from stepscope.experiments.evidence import Bounds

__all__ = ["band_of", "clocks", "lever_arms"]

_SEED = 0


def band_of(curves: Sequence[tuple[int, Sequence[float | None]]], bounds: Bounds = None) -> dict[str, Any] | None:
    """Mean and band of curves; no band with one puzzle, nothing with none.

    Args:
        curves: Index of the puzzle, and a curve; curves with a hole in them are left out.
        bounds: Of the values; infinite on a side that has none.
    """
    whole = [(puzzle, curve) for puzzle, curve in curves if None not in curve]
    if not whole:
        return None
    puzzles, values = [puzzle for puzzle, _ in whole], np.array([curve for _, curve in whole], dtype=np.float64)
    n = len(set(puzzles))
    if n < 2:
        return {"mean": values.mean(axis=0).tolist(), "low": None, "high": None, "n": n}
    band = mean_band(values, _SEED, puzzles, bounds)
    return {**{name: ends.tolist() for name, ends in band._asdict().items()}, "n": n}


def clocks(findings: Sequence[Finding], sigmas: Sequence[float], steps: Sequence[int]) -> dict[str, Any]:
    """The disturbed steps on three clocks, and the lever arm of each.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
        steps: The disturbed steps.
    """
    snr = np.mean([finding.puzzle["signal_to_noise"] for finding in findings], axis=0)
    arms = lever_arms(sigmas)
    return {
        "step": list(steps),
        "sigma": [float(sigmas[step]) for step in steps],
        "signal_to_noise": [float(snr[step]) for step in steps],
        "lever_arm": [arms[step] for step in steps],
    }


def lever_arms(sigmas: Sequence[float]) -> list[float]:
    """How far an edit of the clean estimate moves the next latents, as a share of itself, at each of N steps."""
    levels = np.asarray(sigmas, dtype=np.float64)
    return ((levels[:-1] - levels[1:]) / levels[:-1]).tolist()
