"""What `step-compression` comes to: every number against the number of steps, and each short run against the long one.

curves   by number of steps: success, R of the first estimate and of the result, exploration (model and observer),
         answer changes a run; each a mean over puzzles with its 95% interval
loss     success of the long run minus that with fewer steps, paired by puzzle and seed; p, and p after Holm
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis import holm, mean_interval, paired_bootstrap
from stepscope.executors import Finding
from stepscope.experiments.evidence import Bounds, Evidence, detectable

__all__ = ["difference_bounds", "summarise"]

Run = Mapping[str, Mapping[str, Any]]

_SEED = 0
_CURVES: Mapping[str, tuple[Callable[[Mapping[str, Any]], float], bool]] = {
    "success": (lambda facts: float(facts["answer"] is not None), False),
    "first_knowledge": (lambda facts: facts["first_knowledge"], False),
    "knowledge": (lambda facts: facts["knowledge"], False),
    "explored": (lambda facts: facts["explored"], True),
    "observer_explored": (lambda facts: facts["observer_explored"], True),
    "changes": (lambda facts: float(facts["changes"]), False),
}
"""From a run to a number, and whether only puzzles with several solutions have it."""


def difference_bounds(findings: Sequence[Finding]) -> tuple[float, float]:
    """Least and largest difference of two multiplicities in these puzzles."""
    most = _most_solutions(findings)
    return 1.0 - most, most - 1.0


def _bounds(findings: Sequence[Finding], name: str) -> Bounds:
    """Of a curve: multiplicity lies between 1 and the number of solutions; R and changes have no upper bound."""
    multiplicity = (1.0, float(_most_solutions(findings)))
    return {"success": (0.0, 1.0), "explored": multiplicity, "observer_explored": multiplicity}.get(name)


def _most_solutions(findings: Sequence[Finding]) -> int:
    return max((finding.puzzle["num_solutions"] for finding in findings), default=1)


def summarise(findings: Sequence[Finding], evidence: Sequence[Evidence]) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        evidence: What they say on the claim.
    """
    several = [finding for finding in findings if finding.puzzle["num_solutions"] > 1]
    counts = sorted(map(int, findings[0].runs[0]))
    return {
        "n": len(findings),
        "several_solutions": len(several),
        "seeds": len(findings[0].runs),
        "steps": counts,
        "calls": [int(findings[0].runs[0][str(count)]["calls"]) for count in counts],
        "curves": {name: _curve(name, several if _CURVES[name][1] else findings, counts) for name in _CURVES},
        "loss": _losses(findings, counts),
        "detectable": detectable(evidence),
    }


def _curve(name: str, findings: Sequence[Finding], counts: Sequence[int]) -> list[dict[str, Any]] | None:
    """One entry for each number of steps; None without puzzles."""
    number, bounds = _CURVES[name][0], _bounds(findings, name)
    return [_number(_values(findings, number, count), bounds) for count in counts] if findings else None


def _values(
    findings: Sequence[Finding], number: Callable[[Mapping[str, Any]], float], count: int
) -> tuple[list[float], list[int]]:
    """A number of every run, and the puzzles that they belong to."""
    found = [(number(run[str(count)]), puzzle) for puzzle, finding in enumerate(findings) for run in finding.runs]
    values, puzzles = zip(*found, strict=True)
    return list(values), list(puzzles)


def _number(found: tuple[list[float], list[int]], bounds: Bounds) -> dict[str, Any]:
    values, puzzles = found
    if len(set(puzzles)) < 2:
        return {"value": float(np.mean(values)), "ci95": None}
    value, *ends = mean_interval(values, _SEED, puzzles, bounds)
    return {"value": value, "ci95": ends}


def _losses(findings: Sequence[Finding], counts: Sequence[int]) -> list[dict[str, Any]]:
    """What is lost with each smaller number of steps; without p where there is one puzzle."""
    success = _CURVES["success"][0]
    longest, puzzles = _values(findings, success, counts[-1])
    losses = []
    for count in counts[:-1]:
        lost = np.subtract(longest, _values(findings, success, count)[0])
        entry = {"steps": count, **_number((lost.tolist(), puzzles), (-1.0, 1.0)), "p": None, "p_holm": None}
        if len(findings) > 1:
            entry["p"] = paired_bootstrap(lost, np.zeros_like(lost), _SEED, puzzles)[3]
        losses.append(entry)
    tested = [entry for entry in losses if entry["p"] is not None]
    for entry, corrected in zip(tested, holm([entry["p"] for entry in tested]) if tested else (), strict=True):
        entry["p_holm"] = float(corrected)
    return losses
