"""From what `noise-at-frame` measured to its claim: one number a run, 1 - A, and the control's on the same latents.

Runs in which no latent frame moves another say nothing and are left out; where that is all of them, the claim is not
tested, and the reason says why.  A is kept to six digits, so that puzzles which differ by rounding count as alike.

The question is where between frame by frame (0) and no direction (1) a model stands, so a puzzle that was not drawn is
given at most 1 in the interval, or the largest value that came: influence that runs backwards (above 1) is noise around
no direction, and no more of a chain of steps.
"""

from collections.abc import Sequence

from stepscope.analysis.claims import Verdict
from stepscope.executors import Finding
from stepscope.experiments.evidence import Evidence, emit, withhold
from stepscope.experiments.noise_at_frame.influence import CONTROL, MODEL

__all__ = ["CLAIM", "evidence", "judge"]

CLAIM = "cos-over-cof"

_KIND = "puzzles in which one latent frame moves another"


def judge(findings: Sequence[Finding]) -> Verdict:
    """Hold what was found against the claim."""
    found = evidence(findings)
    if not found:
        return withhold(CLAIM, 0, _reason(findings))
    return emit(CLAIM, found, _KIND, (0.0, max(1.0, *(each.value for each in found))))


def evidence(findings: Sequence[Finding]) -> list[Evidence]:
    """What each run says on the claim."""
    return [
        Evidence(puzzle, _complement(asymmetry), None if control is None else _complement(control))
        for puzzle, finding in enumerate(findings)
        for run in finding.runs
        for asymmetry, control in [(run["asymmetry"][MODEL], run["asymmetry"][CONTROL])]
        if asymmetry is not None
    ]


def _complement(asymmetry: float) -> float:
    return round(1 - asymmetry, 6)


def _reason(findings: Sequence[Finding]) -> str:
    if all(len(finding.puzzle["open"]) < 2 for finding in findings):
        frames = max(finding.puzzle["num_frames"] for finding in findings)
        return (
            f"it takes two disturbed latent frames that the question does not tell, and of the video's {frames} fewer "
            "were disturbed or open"
        )
    return "noise in one latent frame moved the clean estimate of no other one, at any of the steps read"
