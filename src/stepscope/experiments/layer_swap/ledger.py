"""From what `layer-swap` measured to its claim: does one layer decide more than the others?

    chosen   the layer with the largest mean flip rate over every other puzzle (ties: the largest mean choice)
    value    on the puzzles in between: flip in that layer minus the mean over layers

Chosen and tested on the same puzzles, the best of many layers would look better than it is.  Flips are those of the
step's own clean estimate, averaged over the steps in `at`.  Control: a swap with itself flips nothing, without a single
exception, neither at its step nor in the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis.claims import Verdict
from stepscope.executors import Finding
from stepscope.experiments.evidence import Evidence, emit, withhold
from stepscope.experiments.layer_swap.measures import SELF, SWAP

__all__ = ["bounds_of", "chosen_layer", "evidence", "judge"]

_CLAIM = "decisive-layer"


def judge(findings: Sequence[Finding]) -> Verdict:
    """Hold what was found against the claim."""
    if not findings[0].puzzle["layers"]:
        return withhold(_CLAIM, 0, "the model has no layers to look into")
    if len(findings) < 4:
        return withhold(
            _CLAIM, len(findings), f"{len(findings)} puzzles came, and it takes two to choose and two to test"
        )
    if len(findings[0].puzzle["layers"]) < 2:
        return withhold(_CLAIM, len(findings), "one layer was swapped, and there is none to compare it with")
    return emit(_CLAIM, evidence(findings), bounds=bounds_of(findings))


def bounds_of(findings: Sequence[Finding]) -> tuple[float, float]:
    """What a layer's flip minus the mean over L layers, itself among them, can be: 1 - 1/L either way."""
    most = 1 - 1 / len(findings[0].puzzle["layers"])
    return -most, most


def chosen_layer(findings: Sequence[Finding]) -> int:
    """Index, among the swapped layers, of the one that is chosen; the first half of the evidence."""
    chosen = [_by_layer(run) for finding in findings[::2] for run in finding.runs]
    flips, choices = np.mean(chosen, axis=0)
    return int(np.lexsort((choices, flips))[-1])


def evidence(findings: Sequence[Finding]) -> list[Evidence]:
    """What each run of the second half says on the claim."""
    layer = chosen_layer(findings)
    flipped = float(any(_flips_itself(run) for _, run in _runs(findings)))
    return [
        Evidence(puzzle, float(flips[layer] - flips.mean()), flipped)
        for puzzle, run in _runs(findings)
        if puzzle % 2
        for flips, _ in [_by_layer(run)]
    ]


def _by_layer(run: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Flip and choice of each layer, mean over steps."""
    return np.mean(run[SWAP]["flip"], axis=0), np.mean(run[SWAP]["choice"], axis=0)


def _flips_itself(run: Mapping[str, Any]) -> bool:
    return any(run[SELF]["flip"]) or any(run[SELF]["final"])


def _runs(findings: Sequence[Finding]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    return ((puzzle, run) for puzzle, finding in enumerate(findings) for run in finding.runs)
