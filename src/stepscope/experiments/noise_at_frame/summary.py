"""What `noise-at-frame` comes to.

asymmetry    A of the model, of the ideal observer (about 0) and of the control (1)
influence    mean share of all movement, from frame to frame; A step by step, beside sigma and the lever arm
survival     the paper's curve (step null: every step) and the single steps: success, answer kept and R, read from all
             frames and from the others, and progress;  `before` is the clean run's, read from the same frames
commitment   when each latent frame commits, and the slope, steps a frame
knock_out    success and R where no frame sees its past, or its future, and the first minus the second
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis import commitment_slope, mean_interval
from stepscope.executors import Finding
from stepscope.experiments.curves import lever_arms
from stepscope.experiments.evidence import detectable
from stepscope.experiments.noise_at_frame.influence import CONTROL, MODEL, OBSERVER
from stepscope.experiments.noise_at_frame.ledger import CLAIM, evidence
from stepscope.experiments.noise_at_frame.measures import ALL, OTHERS

__all__ = ["summarise"]

Facts = dict[str, Any]
Run = Mapping[str, Any]
Runs = Sequence[tuple[int, Run]]

Bounds = tuple[float, float] | None

_SEED = 0
_SHARE = (0.0, 1.0)
_ASYMMETRY = (-1.0, 1.0)
_NUMBERS: dict[str, Bounds] = {"success": _SHARE, "knowledge": None}


def summarise(findings: Sequence[Finding], sigmas: Sequence[float]) -> Facts:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
    """
    runs = [(puzzle, run) for puzzle, finding in enumerate(findings) for run in finding.runs]
    return {
        "n": len(findings),
        "runs": len(runs),
        "num_frames": findings[0].puzzle["num_frames"],
        "asymmetry": {
            who: _of(runs, lambda run, who=who: run["asymmetry"].get(who), _ASYMMETRY)
            for who in (MODEL, OBSERVER, CONTROL)
        },
        "influence": _influence(findings, runs, sigmas),
        "clean": _numbers(runs, lambda run: run["clean"][ALL])
        | {"progress": _of(runs, lambda run: run["clean"]["progress"], _SHARE)},
        "survival": list(_survival(runs)),
        "commitment": _commitment(runs),
        "knock_out": _knock_out(runs),
        "detectable": {CLAIM: detectable(evidence(findings))},
    }


def _of(runs: Runs, number: Callable[[Run], float | None], bounds: Bounds = None) -> Facts | None:
    """Mean and 95% interval of one number a run, over the runs that have it; nothing with none."""
    found = [(puzzle, value) for puzzle, run in runs if (value := number(run)) is not None]
    if not found:
        return None
    puzzles, values = zip(*found, strict=True)
    if len(set(puzzles)) < 2:
        return {"value": float(np.mean(values)), "ci95": None, "n": 1}
    value, low, high = mean_interval(values, _SEED, puzzles, bounds)
    return {"value": value, "ci95": [low, high], "n": len(set(puzzles))}


def _numbers(runs: Runs, ending: Callable[[Run], Run | None], names: Mapping[str, Bounds] = _NUMBERS) -> Facts:
    """Means of an ending's numbers, over the runs that have it."""
    found = [(puzzle, read) for puzzle, run in runs if (read := ending(run)) is not None]
    return {name: _of(found, lambda read, name=name: read[name], bounds) for name, bounds in names.items()}


def _influence(findings: Sequence[Finding], runs: Runs, sigmas: Sequence[float]) -> Facts:
    """Over the puzzles whose videos are as long as the first one's."""
    first, steps = findings[0].puzzle, findings[0].runs[0]["steps"]
    alike = [(puzzle, run) for puzzle, run in runs if findings[puzzle].puzzle["num_frames"] == first["num_frames"]]
    shares = [_shares(np.array(run["influence"]), first["frames"]) for _, run in alike]
    arms = lever_arms(sigmas)
    return {
        "frames": first["frames"],
        "open": first["open"],
        "shares": np.mean(shares, axis=0).tolist(),
        "steps": steps,
        "sigma": [float(sigmas[step]) for step in steps],
        "lever_arm": [arms[step] for step in steps],
        "by_step": [_of(alike, lambda run, at=at: run["by_step"][at], _ASYMMETRY) for at in range(len(steps))],
    }


def _shares(influence: np.ndarray, frames: Sequence[int]) -> np.ndarray:
    """What each disturbed frame moves on each other, all steps together, as a share of all of it; 0 on itself."""
    total = influence.sum(axis=0)
    total[range(len(frames)), frames] = 0.0
    return total / whole if (whole := total.sum()) > 0 else total


def _survival(runs: Runs) -> Iterator[Facts]:
    """One entry a disturbance, in the order of frames; every step before single steps."""
    at: dict[tuple[int, int], list[tuple[int, Run]]] = {}
    for puzzle, run in runs:
        for each in run["disturbed"]:
            at.setdefault((each["frame"], -1 if each["step"] is None else each["step"]), []).append((puzzle, each))
    for (frame, step), found in sorted(at.items()):
        readings = {
            name: _numbers(found, lambda each, name=name: each[name], _NUMBERS | {"kept": _SHARE})
            | {"before": _numbers(found, lambda each, name=name: each[name] and each[name]["before"])}
            for name in (ALL, OTHERS)
        }
        progress = _of(found, lambda each: each["progress"], _SHARE)
        yield {"frame": frame, "step": None if step < 0 else step, **readings, "progress": progress}


def _commitment(runs: Runs) -> Facts:
    steps: dict[int, list[int | None]] = {}
    for _, run in runs:
        for frame, step in run["commitment"]:
            steps.setdefault(frame, []).append(step)
    return {
        "slope": _of(runs, lambda run: commitment_slope(dict(run["commitment"]), run["num_steps"])),
        "frames": [
            {"frame": frame, "n": len(found), "median": _median(found)} for frame, found in sorted(steps.items())
        ],
    }


def _median(steps: Sequence[int | None]) -> float | None:
    """The median step, one that was never reached counted as later than any."""
    middle = float(np.median([np.inf if step is None else step for step in steps]))
    return middle if np.isfinite(middle) else None


def _knock_out(runs: Runs) -> Facts | None:
    """None where attention was not cut."""
    cut = [(puzzle, run["cut"]) for puzzle, run in runs if run["cut"]]
    if not cut:
        return None
    return {
        **{hidden: _numbers(cut, lambda found, hidden=hidden: found[hidden]) for hidden in ("past", "future")},
        "past_minus_future": {
            name: _of(cut, lambda found, name=name: found["past"][name] - found["future"][name], bounds)
            for name, bounds in (("success", _ASYMMETRY), ("knowledge", None))
        },
    }
