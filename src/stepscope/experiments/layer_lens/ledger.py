"""From what `layer-lens` measured to its claim: one number a run, and its control.

    fall(l) = 1 - mean over the steps read of R_l
    share   = fall(last of the first three quarters of the layers) / fall(last layer)

Why from 1: R is a distance in units of that of a still video, so the zero of what is known of an answer is R = 1, and
every layer of every model is measured from there; no R is cut off.  What enters block 0 is no such zero: its lens draws
the scene badly or well for reasons of its own (at R far above 1, learning to draw the scene would pass for most of an
answer), and what it knows of the answer is no work of the late layers.  The fall from there is kept beside it, as
`from_input`.  A run whose last layer comes to know next to nothing (a fall below 0.1) says nothing on where it does.  A
lens of too few puzzles makes early layers look ignorant: the share grows with the calibration, and is a lower bound
until it no longer does.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis.claims import Verdict
from stepscope.executors import Finding
from stepscope.experiments.evidence import Evidence, emit, withhold

__all__ = ["CLAIM", "consolidated", "evidence", "judge", "quarter_source", "same"]

CLAIM = "late-layers-consolidate"

_SAME = 0.01
"""How far the lens at the last layer may be from the model's own estimate, relative to it: number types and kernels."""
_LEAST_FALL = 0.1
_FEWEST = 4  # layers that can be cut in quarters


def judge(findings: Sequence[Finding]) -> Verdict:
    """Hold what was found against the claim."""
    lacks = [finding.puzzle["lacks"] for finding in findings if finding.puzzle["lacks"] is not None]
    if lacks:
        return withhold(CLAIM, 0, str(lacks[0]))
    if quarter_source(findings[0].puzzle) is None:
        return withhold(CLAIM, 0, "of the layers that were read, too few lie in the first three quarters")
    return emit(CLAIM, evidence(findings), "puzzles of which the last layer knows something")


def evidence(findings: Sequence[Finding]) -> list[Evidence]:
    """What each run says on the claim that has something to say."""
    return [
        Evidence(puzzle, share, 0.0 if same(run) else math.inf)
        for puzzle, finding in enumerate(findings)
        for run in finding.runs
        if (share := consolidated(run, finding.puzzle)) is not None
    ]


def same(run: Mapping[str, Any]) -> bool:
    """Whether the lens at the last layer is the model's own estimate."""
    return run["error"] <= _SAME


def quarter_source(puzzle: Mapping[str, Any]) -> int | None:
    """Index, among the sources, of the last layer read in the first three quarters; None if there is none."""
    if puzzle["num_layers"] < _FEWEST:
        return None
    early = [index for index, layer in enumerate(puzzle["layers"]) if layer < round(0.75 * puzzle["num_layers"])]
    return early[-1] + 1 if early else None  # before them stands the input


def consolidated(
    run: Mapping[str, Any], puzzle: Mapping[str, Any], lens: str = "knowledge", *, from_input: bool = False
) -> float | None:
    """The share of the fall that is done after three quarters of the layers; None where nothing falls.

    Args:
        run: What one run says.
        puzzle: What all runs of its puzzle share.
        lens: `knowledge`, or `half` for the lens of half the calibration.
        from_input: Whether R falls from what the lens makes of the input, instead of from a still video.
    """
    source = quarter_source(puzzle)
    distances = np.mean(run[lens], axis=0)
    falls = (distances[0] if from_input else 1.0) - distances
    return float(falls[source] / falls[-1]) if source is not None and falls[-1] >= _LEAST_FALL else None
