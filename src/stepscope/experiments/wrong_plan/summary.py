"""What `wrong-plan` comes to: a repair-rate curve for each donor beside the observer's, with bands over puzzles.

clocks       step, sigma and SNR of the edits, and the lever arm of each
donors       for each: repair of the model and of the observer, their difference, the clean run's answer kept, the
             share of runs that end on the observer's answer, and R of the results; `n` puzzles
clean        success and R of the runs without edits
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stepscope.executors import Finding
from stepscope.experiments.curves import band_of, clocks
from stepscope.experiments.evidence import interval_of
from stepscope.experiments.wrong_plan.donors import DONORS

__all__ = ["summarise"]

Runs = Sequence[tuple[int, Mapping[str, Any]]]

_SHARES, _CHANGES = (0.0, 1.0), (-1.0, 1.0)
_CURVES = {"repair": _SHARES, "observer": _SHARES, "kept": _SHARES, "agrees": _SHARES, "knowledge": None}


def summarise(findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
    """
    runs = [(puzzle, run) for puzzle, finding in enumerate(findings) for run in finding.runs]
    of_donors = {
        donor: [(puzzle, run["donors"][donor]) for puzzle, run in runs if donor in run["donors"]] for donor in DONORS
    }
    return {
        "n": len(findings),
        "runs": len(runs),
        "num_steps": len(sigmas) - 1,
        "curves": clocks(findings, sigmas, findings[0].puzzle["steps"]),
        "donors": {donor: _donor(found) for donor, found in of_donors.items() if found},
        "clean": {
            "success": interval_of(
                ((puzzle, float(run["clean"]["answer"] is not None)) for puzzle, run in runs), _SHARES
            ),
            "knowledge": interval_of([(puzzle, run["clean"]["knowledge"]) for puzzle, run in runs]),
        },
    }


def _donor(runs: Runs) -> dict[str, Any]:
    """The curves of one donor."""
    differences = [
        (puzzle, [ours - theirs for ours, theirs in zip(run["repair"], run["observer"], strict=True)])
        for puzzle, run in runs
    ]
    return {
        "n": len({puzzle for puzzle, _ in runs}),
        "difference": band_of(differences, _CHANGES),
        **{name: band_of([(puzzle, run[name]) for puzzle, run in runs], bounds) for name, bounds in _CURVES.items()},
    }
