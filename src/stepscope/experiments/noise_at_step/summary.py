"""What `noise-at-step` comes to: curves over the disturbed steps, the null beside them, the peak, and propagation.

curves        success, answer kept, R and progress of the branches, with bands; on step, sigma, SNR, with lever arms
clean         the same of the undisturbed runs;  other_seed: of the null
middle        loss in the middle third minus in the outer ones, of success and of the answer kept
switch        first step of the second expert on all clocks, None with one expert
moved         curves, clean, middle and switch of the sweep with the boundary moved, None without one
agreement     how often the task's verdict on the decoded result is that of the latent read-out
propagation   see `propagation`
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from stepscope.executors import Finding
from stepscope.experiments import propagation
from stepscope.experiments.curves import band_of, clocks
from stepscope.experiments.evidence import detectable, interval_of
from stepscope.experiments.noise_at_step.ledger import evidence, is_divided, middle_minus_outer, peak

__all__ = ["summarise"]

Run = Mapping[str, Any]

_SHARES, _CHANGES = (0.0, 1.0), (-1.0, 1.0)
_CURVES = {"success": _SHARES, "kept": _SHARES, "knowledge": None, "progress": _SHARES}


def summarise(findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
    """
    runs = list(_runs(findings))
    moved = [(puzzle, run["moved"]) for puzzle, run in runs if run["moved"] is not None]
    return {
        "n": len(findings),
        "runs": len(runs),
        "num_steps": len(sigmas) - 1,
        **_sweep(runs, findings, sigmas, "experts"),
        "other_seed": {name: _level(runs, "null", name) for name in _CURVES},
        "peak": peak(findings),
        "moved": _sweep(moved, findings, sigmas, "moved_experts") if moved else None,
        "agreement": interval_of([(puzzle, value) for puzzle, run in runs for value in run["agrees"]], _SHARES),
        "propagation": propagation.summarise([(puzzle, run["propagation"]) for puzzle, run in runs]),
        "detectable": {"middle-step-sensitivity": detectable(evidence(findings))},
    }


def _sweep(
    runs: Sequence[tuple[int, Run]], findings: Sequence[Finding], sigmas: Sequence[float], experts: str
) -> dict[str, Any]:
    """One sweep: curves over the disturbed steps, levels without noise, the middle against the rest, the switch."""
    steps = findings[0].puzzle["steps"]
    return {
        "curves": clocks(findings, sigmas, steps)
        | {name: band_of([(puzzle, run[name]) for puzzle, run in runs], bounds) for name, bounds in _CURVES.items()},
        "clean": {name: _level(runs, "clean", name) for name in _CURVES if name != "kept"},
        "middle": {name: _middle(runs, name, steps, len(sigmas) - 1) for name in ("success", "kept")},
        "switch": _switch(findings, sigmas, experts),
    }


def _runs(findings: Sequence[Finding]) -> Iterator[tuple[int, Run]]:
    return ((puzzle, run) for puzzle, finding in enumerate(findings) for run in finding.runs)


def _level(runs: Sequence[tuple[int, Run]], whose: str, name: str) -> dict[str, Any] | None:
    return interval_of([(puzzle, run[whose][name]) for puzzle, run in runs], _CURVES[name])


def _middle(runs: Sequence[tuple[int, Run]], name: str, steps: Sequence[int], num_steps: int) -> dict[str, Any] | None:
    """None where no run has the number, or the steps do not allow it."""
    if not is_divided(steps, num_steps):
        return None
    values = [(puzzle, run[name]) for puzzle, run in runs if None not in run[name]]
    return interval_of([(puzzle, middle_minus_outer(scores, steps, num_steps)) for puzzle, scores in values], _CHANGES)


def _switch(findings: Sequence[Finding], sigmas: Sequence[float], whose: str) -> dict[str, Any] | None:
    """The first step at which another expert answers than before, on three clocks."""
    experts = findings[0].puzzle[whose] or ()
    found = next((step for step, (before, now) in enumerate(pairwise(experts), 1) if now != before), None)
    if found is None:
        return None
    return {name: values[0] for name, values in clocks(findings, sigmas, [found]).items()}
