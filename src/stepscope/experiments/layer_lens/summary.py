"""What `layer-lens` comes to: maps over steps and layers, curves over layers with bands, and when each layer knows.

A row of a map is a step, a column a source: first what enters block 0, then the layers in `layers`.

knowledge      `map` [step][source]; `band` over sources {mean, low, high, n}, mean over the steps read
choice         the same, of puzzles with several solutions; weight of the candidate that the run ends on
multiplicity   the same
known          for each step the first layer with a mean R of at most one half; None for none
consolidated   share of the fall of R that is done after three quarters of the layers: `from_still`, the claim's value;
               `from_input`, from what the lens makes of the input; `half`, the first through the lens of half the
               calibration: where it is much lower, calibrate on more puzzles
error          how far the lens at the last layer is from the model's own estimate, largest over runs
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.executors import Finding
from stepscope.experiments.curves import band_of
from stepscope.experiments.evidence import detectable, interval_of
from stepscope.experiments.layer_lens.ledger import CLAIM, consolidated, evidence

__all__ = ["summarise"]

Run = Mapping[str, Any]

_KNOWN = 0.5


def summarise(findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
    """
    first = findings[0].puzzle
    if first["lacks"] is not None:
        return {"n": len(findings), "layers": [], "lacks": first["lacks"]}
    several = [finding for finding in findings if finding.puzzle["num_solutions"] > 1]
    known = _map(findings, "knowledge")
    assert known is not None, "an experiment measures at least one puzzle"
    return {
        "n": len(findings),
        "runs": len(_runs(findings)),
        "several_solutions": len(several),
        "steps": first["steps"],
        "sigma": [float(sigmas[step]) for step in first["steps"]],
        "layers": first["layers"],
        "knowledge": known,
        "choice": _map(several, "choice"),
        "multiplicity": _map(several, "multiplicity"),
        "known": [_first_known(row[1:], first["layers"]) for row in known["map"]],
        "consolidated": {
            "from_still": _share(findings),
            "from_input": _share(findings, from_input=True),
            "half": _share(findings, "half"),
        },
        "error": max(run["error"] for _, run in _runs(findings)),
        "detectable": {CLAIM: detectable(evidence(findings))},
    }


def _runs(findings: Sequence[Finding]) -> list[tuple[int, Run]]:
    return [(puzzle, run) for puzzle, finding in enumerate(findings) for run in finding.runs]


def _map(findings: Sequence[Finding], name: str) -> dict[str, Any] | None:
    """Mean over runs, and band over sources; nothing without puzzles."""
    runs = _runs(findings)
    if not runs:
        return None
    curves = [(puzzle, np.mean(run[name], axis=0).tolist()) for puzzle, run in runs]
    return {"map": np.mean([run[name] for _, run in runs], axis=0).tolist(), "band": band_of(curves)}


def _first_known(distances: Sequence[float], layers: Sequence[int]) -> int | None:
    return next((layer for layer, r in zip(layers, distances, strict=True) if r <= _KNOWN), None)


def _share(findings: Sequence[Finding], lens: str = "knowledge", *, from_input: bool = False) -> dict[str, Any] | None:
    shares = [
        (puzzle, consolidated(run, finding.puzzle, lens, from_input=from_input))
        for puzzle, finding in enumerate(findings)
        for run in finding.runs
    ]
    return interval_of(shares)
