"""From what `noise-at-step` measured to its claim: is it the middle steps that matter?

    value   mean success over branches disturbed in the outer two thirds of the steps, minus in the middle third
            = mean loss in the middle third minus in the outer ones, since all share one clean run
    middle  N/3 <= k < 2N/3
    peak    the step with the largest mean loss over every other puzzle, tested on those in between

Control: the peak stays when the boundary between two experts moves: the value minus that of the sweep with the boundary
moved.  Without that sweep the control counts as not run, and the claim stays open.  A model with one expert has no
boundary; a control that cannot fail is none, so there the claim is not tested, and the value is a number of `metrics`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis.claims import Verdict
from stepscope.executors import Finding
from stepscope.experiments.evidence import Evidence, emit, interval_of, withhold

__all__ = ["evidence", "is_divided", "judge", "middle_minus_outer", "peak"]

_CLAIM = "middle-step-sensitivity"
_CHANGES = (-1.0, 1.0)


def judge(findings: Sequence[Finding]) -> Verdict:
    """Hold what was found against the claim."""
    if not is_divided(*_steps(findings)):
        return withhold(_CLAIM, len(findings), "noise came at no middle step, or at middle steps alone")
    if not findings[0].puzzle["experts"]:
        return withhold(_CLAIM, len(findings), "the model has one expert, and the control needs a boundary to move")
    return emit(_CLAIM, evidence(findings))


def evidence(findings: Sequence[Finding]) -> list[Evidence]:
    """What each run says on the claim; nothing where the disturbed steps do not allow it."""
    steps, count = _steps(findings)
    if not is_divided(steps, count):
        return []
    return [
        Evidence(puzzle, middle_minus_outer(run["success"], steps, count), _control(run, steps, count))
        for puzzle, finding in enumerate(findings)
        for run in finding.runs
    ]


def _control(run: Mapping[str, Any], steps: Sequence[int], count: int) -> float | None:
    if run["moved"] is None:
        return None
    return middle_minus_outer(run["success"], steps, count) - middle_minus_outer(run["moved"]["success"], steps, count)


def is_divided(steps: Sequence[int], num_steps: int) -> bool:
    """Whether some of the steps lie in the middle third, and some do not."""
    return len({_is_middle(step, num_steps) for step in steps}) == 2


def middle_minus_outer(scores: Sequence[float], steps: Sequence[int], num_steps: int) -> float:
    """How much lower a score is where the middle steps were disturbed.

    Args:
        scores: Of the branches, one a disturbed step.
        steps: The disturbed steps, some in the middle and some not.
        num_steps: N.
    """
    middle = np.array([_is_middle(step, num_steps) for step in steps])
    values = np.asarray(scores, dtype=np.float64)
    return float(values[~middle].mean() - values[middle].mean())


def peak(findings: Sequence[Finding]) -> dict[str, Any] | None:
    """Where the loss is largest, chosen on every other puzzle; how much larger than the mean, on the others.

    Returns:
        `step`, `chosen_on` and, of the puzzles on which it is tested, `value`, `ci95` and `n`; None with fewer than
        four puzzles, two to choose on and two to test on.
    """
    if len(findings) < 4:
        return None
    steps, _ = _steps(findings)
    losses = [
        (puzzle, np.subtract(run["clean"]["success"], run["success"]))
        for puzzle, finding in enumerate(findings)
        for run in finding.runs
    ]
    chosen = int(np.mean([loss for puzzle, loss in losses if puzzle % 2 == 0], axis=0).argmax())
    tested = [(puzzle, float(loss[chosen] - loss.mean())) for puzzle, loss in losses if puzzle % 2]
    return {
        "step": steps[chosen],
        "chosen_on": len(findings) - len(findings) // 2,
        **(interval_of(tested, _CHANGES) or {}),
    }


def _steps(findings: Sequence[Finding]) -> tuple[Sequence[int], int]:
    """The disturbed steps, and N."""
    facts = findings[0].puzzle
    return facts["steps"], len(facts["signal_to_noise"])


def _is_middle(step: int, num_steps: int) -> bool:
    return num_steps <= 3 * step < 2 * num_steps
