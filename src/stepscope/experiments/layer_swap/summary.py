"""What `layer-swap` comes to: maps over step and layer with simultaneous bands, and the rates that they lie between.

swap, random   flip, choice and final, each {mean, low, high} [step][layer]
self           the same [step]: a swap with itself
floor          how often the run shows the donor's answer without any swap
ceiling        how often the donor itself does
own            how often the run shows an answer of its own in the end
decisive       the layer that is chosen on one half of the puzzles, and what it is worth on the other
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stepscope.executors import Finding
from stepscope.experiments.evidence import detectable, interval_of
from stepscope.experiments.layer_maps import map_of
from stepscope.experiments.layer_swap.ledger import bounds_of, chosen_layer, evidence
from stepscope.experiments.layer_swap.measures import CLEAN, DONOR, RANDOM, SELF, SWAP

__all__ = ["summarise"]

_SHARE = (0.0, 1.0)


def summarise(findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
    """
    steps = findings[0].puzzle["steps"]
    if not steps:
        return {"n": len(findings), "steps": [], "layers": []}
    return {
        "n": len(findings),
        "runs": sum(len(finding.runs) for finding in findings),
        "steps": steps,
        "sigma": [float(sigmas[step]) for step in steps],
        "lever_arm": [1 - float(sigmas[step + 1] / sigmas[step]) for step in steps],
        "layers": findings[0].puzzle["layers"],
        **{kind: {name: _map(findings, kind, name) for name in _MAPS} for kind in (SWAP, RANDOM, SELF)},
        "floor": _unswapped(findings, CLEAN),
        "ceiling": _unswapped(findings, DONOR),
        "own": interval_of([(puzzle, run["own"]) for puzzle, run in _runs(findings)], _SHARE),
        "decisive": _decisive(findings),
    }


_MAPS = ("flip", "choice", "final")


def _runs(findings: Sequence[Finding]) -> list[tuple[int, Mapping[str, Any]]]:
    return [(puzzle, run) for puzzle, finding in enumerate(findings) for run in finding.runs]


def _map(findings: Sequence[Finding], kind: str, name: str) -> dict[str, Any] | None:
    """Mean and band of a map; None where the task has no such donor."""
    return map_of([(puzzle, run[kind][name]) for puzzle, run in _runs(findings) if run[kind] is not None])


def _unswapped(findings: Sequence[Finding], name: str) -> dict[str, Any]:
    """How often a run that nobody touched shows the donor's answer: at each step, and in the end."""
    return {
        "flip": _map(findings, name, "flip"),
        "final": interval_of([(puzzle, run[name]["final"]) for puzzle, run in _runs(findings)], _SHARE),
    }


def _decisive(findings: Sequence[Finding]) -> dict[str, Any] | None:
    """None with fewer than four puzzles."""
    if len(findings) < 4:
        return None
    runs = evidence(findings)
    return {
        "layer": findings[0].puzzle["layers"][chosen_layer(findings)],
        "chosen_on": (len(findings) + 1) // 2,
        **(interval_of([(each.puzzle, each.value) for each in runs], bounds_of(findings)) or {}),
        "detectable": detectable(runs),
    }
