"""What `serial-depth` comes to: its claim, and success, gap and knowledge by the number of bounces and of steps.

value     success of the twin minus success of the flight, over flights that bounce and have a twin
control   by what share their lengths differ; it holds if that is less than the claim's delta on average
bought    gap with the fewest steps minus gap with the most: what of the gap is closed by steps
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis.claims import Verdict
from stepscope.executors import Finding
from stepscope.experiments.evidence import Bounds, Evidence, detectable, emit, interval_of
from stepscope.experiments.serial_depth.measures import FLIGHT, TWIN

__all__ = ["evidence", "judge", "summarise"]

Run = Mapping[str, Any]

_CLAIM = "serial-depth-gap"
_SHARE, _DIFFERENCE = (0.0, 1.0), (-1.0, 1.0)


def judge(findings: Sequence[Finding], num_steps: int) -> Verdict:
    """Hold what was found with a number of steps against the claim."""
    return emit(_CLAIM, evidence(findings, num_steps), "flights with a bounce and a twin as long")


def evidence(findings: Sequence[Finding], num_steps: int) -> list[Evidence]:
    """What each run of a flight that bounces says on the claim; runs that could not be scored say nothing."""
    return [
        Evidence(puzzle, gap, abs(finding.puzzle["twin_length"] / finding.puzzle["length"] - 1))
        for puzzle, finding in enumerate(findings)
        for run in finding.runs
        if (gap := _gap(run[str(num_steps)])) is not None
    ]


def summarise(findings: Sequence[Finding], num_steps: int) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        num_steps: The run's own number of steps.
    """
    counts = sorted({int(count) for finding in findings for run in finding.runs for count in run})
    return {
        "n": len(findings),
        "num_steps": num_steps,
        "by_steps": [_with_steps(count, findings) for count in counts],
        "bought": _interval(findings, lambda run: _bought(run, counts), (-2.0, 2.0)) if len(counts) > 1 else None,
        "detectable": {_CLAIM: detectable(evidence(findings, num_steps))},
    }


def _with_steps(count: int, findings: Sequence[Finding]) -> dict[str, Any]:
    depths = sorted({finding.puzzle["depth"] for finding in findings})
    return {
        "num_steps": count,
        "gap": _interval(findings, lambda run: _gap(run[str(count)]), _DIFFERENCE),
        "depths": [_at_depth(depth, str(count), findings) for depth in depths],
    }


def _at_depth(depth: int, count: str, findings: Sequence[Finding]) -> dict[str, Any]:
    here = [finding for finding in findings if finding.puzzle["depth"] == depth]
    paired = [finding for finding in here if finding.puzzle["twin_length"] is not None]
    return {
        "depth": depth,
        "n": len(here),
        "length": float(np.mean([finding.puzzle["length"] for finding in here])),
        "twin_length": float(np.mean([finding.puzzle["twin_length"] for finding in paired])) if paired else None,
        "success": _interval(here, lambda run: run[count][FLIGHT]["success"], _SHARE),
        "twin_success": _interval(paired, lambda run: run[count][TWIN]["success"], _SHARE),
        "gap": _interval(paired, lambda run: _gap(run[count]), _DIFFERENCE),
        "knowledge": _knowledge([run[count][FLIGHT] for finding in here for run in finding.runs]),
        "twin_knowledge": _knowledge([run[count][TWIN] for finding in paired for run in finding.runs]),
    }


def _gap(flights: Run) -> float | None:
    ends = [flights[name]["success"] for name in (TWIN, FLIGHT) if name in flights]
    return ends[0] - ends[1] if len(ends) == 2 and None not in ends else None


def _bought(run: Run, counts: Sequence[int]) -> float | None:
    few, many = (_gap(run[str(count)]) for count in (counts[0], counts[-1]))
    return None if few is None or many is None else few - many


def _knowledge(flights: Sequence[Run]) -> dict[str, Any] | None:
    """Mean R by step, the median step from which on it is known (None: never), and the share of never."""
    if not flights:
        return None
    steps = [found["knowledge_step"] for found in flights]
    middle = float(np.median([np.inf if step is None else step for step in steps]))
    return {
        "mean": np.mean([found["knowledge"] for found in flights], axis=0).tolist(),
        "median": middle if np.isfinite(middle) else None,
        "censored": steps.count(None) / len(steps),
    }


def _interval(
    findings: Sequence[Finding], number: Callable[[Run], float | None], bounds: Bounds
) -> dict[str, Any] | None:
    return interval_of(
        ((puzzle, number(run)) for puzzle, finding in enumerate(findings) for run in finding.runs), bounds
    )
