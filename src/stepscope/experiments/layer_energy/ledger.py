"""From what `layer-energy` measured to its claims: one number a run, mean over its steps, and its control.

early-layers-global     localisation, mean of the later three quarters of the layers minus mean of the first
middle-layers-objects   localisation, mean of the middle half of the layers, minus 1
control                 the same number with masks that have nothing to do with the puzzle
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stepscope.analysis.claims import Verdict
from stepscope.executors import Finding
from stepscope.experiments.evidence import Evidence, emit, withhold

__all__ = ["NUMBERS", "evidence", "judge", "untested"]

_FEWEST = 4  # layers that can be cut in quarters


def _later_minus_first(layers: np.ndarray) -> float:
    quarter = round(len(layers) / 4)
    return float(layers[quarter:].mean() - layers[:quarter].mean())


def _middle(layers: np.ndarray) -> float:
    quarter = round(len(layers) / 4)
    return float(layers[quarter : len(layers) - quarter].mean() - 1)


NUMBERS: Mapping[str, Callable[[np.ndarray], float]] = {
    "early-layers-global": _later_minus_first,
    "middle-layers-objects": _middle,
}
"""From localisation by layer [L] to the number of a claim."""


def judge(id: str, findings: Sequence[Finding]) -> Verdict:
    """Hold what was found against a claim.

    Args:
        id: One of `NUMBERS`.
        findings: The measured puzzles.
    """
    reason = untested(findings)
    if reason is not None:
        return withhold(id, 0, reason)
    return emit(id, evidence(id, findings), "puzzles with masks of objects")


def untested(findings: Sequence[Finding]) -> str | None:
    """Why nothing can be tested; None if something can."""
    layers = max((int(finding.puzzle["layers"]) for finding in findings), default=0)
    if layers == 0:
        return "the model has no layers to look into"
    return None if layers >= _FEWEST else f"a model of {layers} layers has no quarters"


def evidence(id: str, findings: Sequence[Finding]) -> list[Evidence]:
    """What each run that has masks says on a claim."""
    number = NUMBERS[id]
    return [
        Evidence(
            puzzle,
            number(np.mean(run["localisation"], axis=0)),
            None if run["control"] is None else number(np.mean(run["control"], axis=0)),
        )
        for puzzle, finding in enumerate(findings)
        for run in finding.runs
        if run.get("localisation") is not None
    ]
