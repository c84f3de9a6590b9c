"""From what `commitment` measured to its claims: one number a run, and its control.

    exploration-then-convergence   multiplicity at step 0, minus at the last step    control: on a foreign puzzle
    excess-multiplicity            share of steps, model >= 1.5 and observer <= 1.1  control: the observer, read alike
    early-commitment               choice settled in the first half of the steps     control: on a foreign puzzle
    superposition                  several visible in the first quarter, - observer  control: the same, in the results
    self-correction                wrong to right, minus right to wrong              control: the observer's rollout

All but the last need puzzles with several solutions.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis import answer_changes, excess_multiplicity, superposed
from stepscope.analysis.claims import Verdict
from stepscope.executors import Finding
from stepscope.experiments.commitment_measures import MODEL, ROLLOUT, STATE
from stepscope.experiments.evidence import Evidence, emit, withhold

__all__ = ["EVIDENCE", "evidence", "judge"]

Run = Mapping[str, Any]

_UNTESTED = {
    "working-memory": "it needs the identity of a hidden object, which this experiment does not read",
    "perception-before-action": "it needs the places of object and motion, which this experiment does not read",
}
_OPEN_TO_ONE = {"self-correction"}
_BOUNDS = {
    "excess-multiplicity": (0.0, 1.0),
    "early-commitment": (0.0, 1.0),
    "superposition": (-1.0, 1.0),
    "self-correction": (-1.0, 1.0),
}


def judge(id: str, findings: Sequence[Finding]) -> Verdict:
    """Hold what was found against a claim.

    Args:
        id: One of the claims that `commitment` emits.
        findings: The measured puzzles.
    """
    if id in _UNTESTED:
        return withhold(id, 0, _UNTESTED[id])
    kind = "puzzles" if id in _OPEN_TO_ONE else "puzzles with several solutions"
    return emit(id, evidence(id, findings), kind, _BOUNDS.get(id))


def evidence(id: str, findings: Sequence[Finding]) -> list[Evidence]:
    """What each run says on a claim, puzzle by puzzle."""
    return [
        Evidence(puzzle, *EVIDENCE[id](run))
        for puzzle, finding in enumerate(findings)
        if id in _OPEN_TO_ONE or finding.puzzle["num_solutions"] > 1
        for run in finding.runs
    ]


def _exploration(run: Run) -> tuple[float, float | None]:
    return _fall(run[MODEL]), None if run["foreign"] is None else _fall(run["foreign"])


def _excess(run: Run) -> tuple[float, float]:
    chosen = run[STATE]["posterior"]
    model, observer = (excess_multiplicity(run[who]["multiplicity"], chosen) for who in (MODEL, STATE))
    return model, observer


def _early(run: Run) -> tuple[float, float | None]:
    return _settled(run[MODEL]), None if run["foreign"] is None else _settled(run["foreign"])


def _superposition(run: Run) -> tuple[float, float]:
    quarter = max(1, len(run[MODEL]["multiplicity"]) // 4)
    model, observer = (_visible(run[who])[:quarter].mean() for who in (MODEL, STATE))
    return float(model - observer), float(_visible(run["final"])[-1])


def _correction(run: Run) -> tuple[float, float]:
    return _surplus(run[MODEL]["answers"]), _surplus(run[ROLLOUT]["answers"])


EVIDENCE: Mapping[str, Callable[[Run], tuple[float, float | None]]] = {
    "exploration-then-convergence": _exploration,
    "excess-multiplicity": _excess,
    "early-commitment": _early,
    "superposition": _superposition,
    "self-correction": _correction,
}
"""Value and control of one run, by claim."""


def _fall(curves: Run) -> float:
    return curves["multiplicity"][0] - curves["multiplicity"][-1]


def _visible(curves: Run) -> np.ndarray:
    return superposed(curves["multiplicity"], curves["knowledge"])


def _settled(curves: Run) -> float:
    step = curves["commitment_step"]
    return float(step is not None and step < len(curves["multiplicity"]) / 2)


def _surplus(answers: Sequence[int | None]) -> float:
    changes = answer_changes(answers)
    return float(changes.wrong_to_right > 0) - float(changes.right_to_wrong > 0)
