"""What `commitment` comes to: curves with simultaneous bands for model and observers, and a few numbers beside them.

curves     mean over runs and band, on step, sigma and SNR; choice and multiplicity over several-solution puzzles
settled    median step over all runs, censored ones counted as later than any, and the censored share
frames     commitment step of each latent frame, and its slope, for the model;  0 for an observer by construction
seeds      share of what is drawn that all seeds share, by step; agreement of the seeds' results
memory     what comes out from behind a screen, and goes in: share of each look by step
switched   what is kept and what followed by the step of the switch, beside what the observer could read there
perception when objects, motion and the rest of a scene are known, and the mean R of each by step
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis import answer_changes, commitment_slope, superposed
from stepscope.executors import Finding
from stepscope.experiments.commitment.ledger import CLAIMS, evidence
from stepscope.experiments.commitment.measures import MODEL, ROLLOUT, STATE, solution_shown
from stepscope.experiments.commitment.perception import PARTS
from stepscope.experiments.curves import band_of
from stepscope.experiments.evidence import Bounds, detectable, interval_of

__all__ = ["summarise"]

Run = Mapping[str, Any]

_SHARE = (0.0, 1.0)


def summarise(findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
    """
    runs = list(_runs(findings))
    several = [finding for finding in findings if finding.puzzle["num_solutions"] > 1]
    most = max((finding.puzzle["num_solutions"] for finding in findings), default=1)
    return {
        "n": len(findings),
        "runs": len(runs),
        "several_solutions": len(several),
        "success": _interval(findings, lambda run: float(solution_shown(run["final"]) is not None), _SHARE),
        "curves": _clock(findings, sigmas) | {who: _curves(findings, several, who) for who in (MODEL, STATE, ROLLOUT)},
        "settled": {
            who: {
                "choice": _settled([run[who]["commitment_step"] for _, run in _runs(several)]),
                "knowledge": _settled([run[who]["knowledge_step"] for _, run in runs]),
            }
            for who in (MODEL, STATE, ROLLOUT)
        },
        "multiplicity_excess_at_step_0": _interval(several, _first_excess, (1.0 - most, most - 1.0)),
        "superposed_at_step_0": {who: _interval(several, _superposed_first(who), _SHARE) for who in (MODEL, STATE)},
        "answer_changes": {who: _changes([run for _, run in runs], who) for who in (MODEL, ROLLOUT)},
        "frames": _frames(several),
        "seeds": _seeds(findings),
        "memory": _memory(findings),
        "switched": _switched(findings),
        "perception": _perception(findings),
        "detectable": {id: detectable(evidence(id, findings)) for id in CLAIMS},
    }


def _runs(findings: Sequence[Finding]) -> Iterator[tuple[int, Run]]:
    return ((puzzle, run) for puzzle, finding in enumerate(findings) for run in finding.runs)


def _clock(findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
    snr = np.mean([finding.puzzle["signal_to_noise"] for finding in findings], axis=0)
    return {"step": list(range(len(sigmas) - 1)), "sigma": list(sigmas[:-1]), "signal_to_noise": snr.tolist()}


def _curves(findings: Sequence[Finding], several: Sequence[Finding], who: str) -> dict[str, Any]:
    """Mean and band of each curve; R has no bound above, and the others are about puzzles with several solutions."""
    most = max((finding.puzzle["num_solutions"] for finding in several), default=1)
    return {
        "knowledge": _band(findings, who, "knowledge", (0.0, np.inf)),
        "choice": _band(several, who, "choice", _SHARE),
        "multiplicity": _band(several, who, "multiplicity", (1.0, float(most))),
    }


def _band(findings: Sequence[Finding], who: str, name: str, within: Bounds) -> dict[str, Any] | None:
    """Mean and band of a curve whose values lie within bounds."""
    return band_of([(puzzle, run[who][name]) for puzzle, run in _runs(findings)], within)


def _interval(
    findings: Sequence[Finding], number: Callable[[Run], float | None], bounds: Bounds = None
) -> dict[str, Any] | None:
    """Mean and 95% interval of one number a run, over the runs that have it."""
    return interval_of(((puzzle, number(run)) for puzzle, run in _runs(findings)), bounds)


def _settled(steps: Sequence[int | None]) -> dict[str, Any] | None:
    """Median step, None where half of the runs or more are censored, and the censored share."""
    if not steps:
        return None
    middle = float(np.median([np.inf if step is None else step for step in steps]))
    return {
        "median": middle if np.isfinite(middle) else None,
        "censored": sum(step is None for step in steps) / len(steps),
    }


def _first_excess(run: Run) -> float:
    return run[MODEL]["multiplicity"][0] - run[STATE]["posterior"][0]


def _superposed_first(who: str) -> Callable[[Run], float]:
    return lambda run: float(superposed(run[who]["multiplicity"][:1], run[who]["knowledge"][:1])[0])


def _changes(runs: Sequence[Run], who: str) -> dict[str, int]:
    """How many runs changed their answer, by kind."""
    changes = [answer_changes(run[who]["answers"]) for run in runs]
    kinds = ("wrong_to_right", "right_to_wrong", "right_to_other")
    return {kind: sum(getattr(change, kind) > 0 for change in changes) for kind in kinds}


def _frames(several: Sequence[Finding]) -> dict[str, Any]:
    by_frame: dict[int, list[int | None]] = {}
    for _, run in _runs(several):
        for frame, step in run["frames"]:
            by_frame.setdefault(frame, []).append(step)
    return {
        "settled": [
            {"frame": frame, "n": len(steps), **(_settled(steps) or {})} for frame, steps in sorted(by_frame.items())
        ],
        "slope": _interval(several, lambda run: commitment_slope(dict(run["frames"]), len(run[MODEL]["choice"]))),
    }


def _seeds(findings: Sequence[Finding]) -> dict[str, Any] | None:
    """None with one seed."""
    parts = [finding.puzzle for finding in findings if "shared" in finding.puzzle]
    if not parts:
        return None
    shared, specific = (np.sum([part[name] for part in parts], axis=0) for name in ("shared", "specific"))
    return {
        "shared": (shared / (shared + specific)).tolist(),
        "agreement": float(np.mean([part["agreement"] for part in parts])),
        "rollout_agreement": float(np.mean([part["rollout_agreement"] for part in parts])),
    }


def _memory(findings: Sequence[Finding]) -> dict[str, Any] | None:
    """None where no shape is hidden."""
    shapes = [shape for _, run in _runs(findings) for shape in run["memory"]]
    if not shapes:
        return None
    steps = range(len(shapes[0]["emerging"]))
    return {"shapes": len(shapes)} | {
        when: {
            look: [sum(shape[when][step] == look for shape in shapes) / len(shapes) for step in steps] for look in looks
        }
        for when in ("entering", "emerging")
        for looks in [sorted({shown for shape in shapes for shown in shape[when]})]
    }


def _switched(findings: Sequence[Finding]) -> dict[str, Any] | None:
    """None where nothing could be switched."""
    kinds = {kind: found["steps"] for _, run in _runs(findings) for kind, found in run["switched"].items()}
    return {
        kind: {
            "steps": steps,
            "heeded": sum(run["switched"][kind]["heeded"] for _, run in _runs(findings) if kind in run["switched"]),
            **{
                name: [_interval(findings, _at(kind, name, place), _SHARE) for place in range(len(steps))]
                for name in ("kept", "followed", "reader")
            },
        }
        for kind, steps in kinds.items()
    } or None


def _at(kind: str, name: str, place: int) -> Callable[[Run], float | None]:
    return lambda run: run["switched"][kind][name][place] if kind in run["switched"] else None


def _perception(findings: Sequence[Finding]) -> dict[str, Any] | None:
    """None where no puzzle has objects at rest."""
    found = [run["perception"] for _, run in _runs(findings) if run["perception"] is not None]
    if not found:
        return None
    return {
        who: {
            part: (_settled([each[who]["steps"][part] for each in found]) or {})
            | {"knowledge": np.mean([each[who][part] for each in found], axis=0).tolist()}
            for part in PARTS
        }
        for who in (MODEL, ROLLOUT)
    }
