"""From what `commitment` measured to its claims: one number a run, and its control.

    exploration-then-convergence   multiplicity at step 0, minus at the last step    control: on a foreign puzzle
    excess-multiplicity            share of steps, model >= 1.5 and observer <= 1.1  control: the observer, read alike
    early-commitment               choice settled in the first half of the steps     control: on a foreign puzzle
    superposition                  several visible in the first quarter, - observer  control: the same, in the results
    self-correction                wrong to right, minus right to wrong              control: the observer's rollout
    working-memory                 first answer minus the other, switched half-way   control: switched at step 0
    perception-before-action       motion known later than objects, minus observer   control: parts that do not move

A puzzle says something on the claims for which it is made: with several solutions, with a screen or a prompt that
decides, with objects at rest.  A model that heeds no switch, because its answer comes from elsewhere, is asked instead
whether hidden shapes come out the same rather than like a decoy; its control are two decoys.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepscope.analysis import answer_changes, excess_multiplicity, superposed
from stepscope.analysis.claims import Verdict
from stepscope.executors import Finding
from stepscope.experiments.commitment.measures import MODEL, ROLLOUT, STATE
from stepscope.experiments.commitment.perception import lag
from stepscope.experiments.commitment.switching import decisive, middle
from stepscope.experiments.evidence import Evidence, emit

__all__ = ["CLAIMS", "evidence", "judge"]

Run = Mapping[str, Any]
Pair = tuple[float, float | None]


@dataclass(frozen=True)
class _Reading:
    """How a claim is read off a run.

    Attributes:
        numbers: Value and control of a run.
        kind: The puzzles that say something on it, in words.
        fits: Whether a run of a puzzle does.
    """

    numbers: Callable[[Run], Pair]
    kind: str
    fits: Callable[[Finding, Run], bool]


def judge(id: str, findings: Sequence[Finding]) -> Verdict:
    """Hold what was found against a claim.

    Args:
        id: One of the claims that `commitment` emits.
        findings: The measured puzzles.
    """
    return emit(id, evidence(id, findings), CLAIMS[id].kind, _bounds(id, findings))


def evidence(id: str, findings: Sequence[Finding]) -> list[Evidence]:
    """What each run says on a claim, puzzle by puzzle."""
    return [
        Evidence(puzzle, *CLAIMS[id].numbers(run))
        for puzzle, finding in enumerate(findings)
        for run in finding.runs
        if CLAIMS[id].fits(finding, run)
    ]


def _bounds(id: str, findings: Sequence[Finding]) -> tuple[float, float] | None:
    """Bounds that depend on the puzzles; None for a claim that has its own."""
    most = max((finding.puzzle["num_solutions"] for finding in findings), default=1)
    if id == "exploration-then-convergence":
        return 1.0 - most, most - 1.0
    if id == "perception-before-action":
        steps = len(findings[0].puzzle["signal_to_noise"]) if findings else 1
        # The observer sees the objects at once, and with one solution its motion as well.
        return -float(steps + (steps - 1 if most > 1 else 0)), float(steps)
    return None


def _exploration(run: Run) -> Pair:
    return _fall(run[MODEL]), None if run["foreign"] is None else _fall(run["foreign"])


def _excess(run: Run) -> Pair:
    chosen = run[STATE]["posterior"]
    model, observer = (excess_multiplicity(run[who]["multiplicity"], chosen) for who in (MODEL, STATE))
    return model, observer


def _early(run: Run) -> Pair:
    return _settled(run[MODEL]), None if run["foreign"] is None else _settled(run["foreign"])


def _superposition(run: Run) -> Pair:
    quarter = max(1, len(run[MODEL]["multiplicity"]) // 4)
    model, observer = (_visible(run[who])[:quarter].mean() for who in (MODEL, STATE))
    return float(model - observer), float(_visible(run["final"])[-1])


def _correction(run: Run) -> Pair:
    return _surplus(run[MODEL]["answers"]), _surplus(run[ROLLOUT]["answers"])


def _memory(run: Run) -> Pair:
    found = decisive(run["switched"])
    if found is not None:
        value, control = (found["kept"][at] - found["followed"][at] for at in (middle(found["steps"]), 0))
        return value, control
    shown = [shape["emerging"][-1] for shape in run["memory"]]
    same, other, stranger = (shown.count(look) / len(shown) for look in ("same", "other", "stranger"))
    return same - other, stranger - other


def _perception(run: Run) -> Pair:
    value, control = (
        float(lag(run["perception"][MODEL], part) - lag(run["perception"][ROLLOUT], part))
        for part in ("motion", "rest")
    )
    return value, control


_SEVERAL = ("puzzles with several solutions", lambda finding, run: finding.puzzle["num_solutions"] > 1)

CLAIMS: Mapping[str, _Reading] = {
    "exploration-then-convergence": _Reading(_exploration, *_SEVERAL),
    "excess-multiplicity": _Reading(_excess, *_SEVERAL),
    "early-commitment": _Reading(_early, *_SEVERAL),
    "superposition": _Reading(_superposition, *_SEVERAL),
    "working-memory": _Reading(
        _memory,
        "puzzles in which a screen hides shapes, or in which a prompt that is heeded decides,",
        lambda finding, run: bool(run["memory"]) or decisive(run["switched"]) is not None,
    ),
    "self-correction": _Reading(_correction, "puzzles", lambda finding, run: True),
    "perception-before-action": _Reading(
        _perception,
        "puzzles in which something has to be found before it moves, with masks of objects at rest,",
        lambda finding, run: run["perception"] is not None,
    ),
}
"""How each claim is read."""


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
