"""What `frame-count` comes to: every number against the number of frames, and each length against the whole video.

curves     by number of frames: success, R of the first estimate and of the result, coherence
loss       success of the whole video minus that of a shorter one, paired by puzzle and seed; p, and p after Holm
coherent   the fewest frames whose coherence is surely no more than `TOLERATED` below that of the whole video
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from stepscope.analysis import holm, mean_interval, paired_bootstrap
from stepscope.executors import Finding
from stepscope.experiments.evidence import Evidence, detectable

__all__ = ["TOLERATED", "summarise"]

TOLERATED = 0.05
_SEED = 0
_BOUNDS = {"success": (0.0, 1.0), "first_knowledge": None, "knowledge": None, "coherent": (0.0, 1.0)}
_DIFFERENCE = (-1.0, 1.0)


def summarise(
    findings: Sequence[Finding], evidence: Sequence[Evidence], trained: tuple[int, int] | None
) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        evidence: What they say on the claim.
        trained: Lengths of the model's training.
    """
    first = findings[0].runs[0]
    counts = sorted(map(int, first))
    puzzles = [puzzle for puzzle, finding in enumerate(findings) for _ in finding.runs]
    return {
        "n": len(findings),
        "seeds": len(findings[0].runs),
        "frames": counts,
        "latent_frames": [first[str(count)]["latent_frames"] for count in counts],
        "trained": None if trained is None else list(trained),
        "curves": {
            name: [_number(_values(findings, name, count), puzzles, bounds) for count in counts]
            for name, bounds in _BOUNDS.items()
        },
        "loss": _losses(findings, counts, puzzles),
        "fewest_coherent": _fewest(findings, counts, puzzles),
        "detectable": detectable(evidence),
    }


def _values(findings: Sequence[Finding], name: str, count: int) -> Float64[np.ndarray, " n"]:
    facts = [run[str(count)] for finding in findings for run in finding.runs]
    return np.array([float(each["answer"] is not None if name == "success" else each[name]) for each in facts])


def _number(
    values: Float64[np.ndarray, " n"], puzzles: Sequence[int], bounds: tuple[float, float] | None
) -> dict[str, Any]:
    if len(set(puzzles)) < 2:
        return {"value": float(values.mean()), "ci95": None}
    value, *ends = mean_interval(values, _SEED, puzzles, bounds)
    return {"value": value, "ci95": ends}


def _losses(findings: Sequence[Finding], counts: Sequence[int], puzzles: Sequence[int]) -> list[dict[str, Any]]:
    whole, several = _values(findings, "success", counts[-1]), len(findings) > 1
    losses = []
    for count in counts[:-1]:
        lost = whole - _values(findings, "success", count)
        p = paired_bootstrap(lost, np.zeros_like(lost), _SEED, puzzles)[3] if several else None
        losses.append({"frames": count, **_number(lost, puzzles, _DIFFERENCE), "p": p, "p_holm": None})
    if several:
        for entry, corrected in zip(losses, holm([entry["p"] for entry in losses]), strict=True):
            entry["p_holm"] = float(corrected)
    return losses


def _fewest(findings: Sequence[Finding], counts: Sequence[int], puzzles: Sequence[int]) -> int | None:
    """None if no shorter video is known to be as coherent."""
    whole = _values(findings, "coherent", counts[-1])
    for count in counts[:-1]:
        lost = _number(whole - _values(findings, "coherent", count), puzzles, _DIFFERENCE)
        if lost["ci95"] is not None and lost["ci95"][1] <= TOLERATED:
            return count
    return None
