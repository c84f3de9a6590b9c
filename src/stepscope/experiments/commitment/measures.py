"""What `commitment` reads off the runs of one puzzle: JSON, from which claims and curves are made without a model.

Three are read in the same way, each by its clean estimates: the model, the state-matched observer, and the observer's
rollout from the model's own noise.  The control lays what the model has drawn over a foreign puzzle:

    foreign weights = hull weights of (x0_hat - still + still') among the solutions of the other puzzle

so that nothing but the drawing can make a choice between solutions that have nothing to do with it.  What comes out
from behind a screen is read by `memory`, what outlives a switch of the input by `switching`, when objects and motion
are known by `perception`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from stepscope.analysis import (
    WRONG,
    Scene,
    candidate_weights,
    commitment_by_frame,
    commitment_step,
    hull_coordinates,
    ideal_observer,
    knowledge_step,
    multiplicity,
    observer_rollout,
    painted,
    seed_agreement,
    seed_variance,
    shown_answers,
)
from stepscope.executors import Measured, Puzzle, reading_rows
from stepscope.experiments.commitment import memory, perception, switching
from stepscope.scope import Reading, Solutions, Trace, read
from stepscope.shapes import Latents, LatentsBatch

__all__ = ["MODEL", "ROLLOUT", "STATE", "measure", "solution_shown"]

MODEL, STATE, ROLLOUT = "model", "observer-state", "observer-rollout"

Facts = dict[str, Any]


def measure(puzzle: Puzzle) -> Measured:
    """Read the runs of one puzzle."""
    traces, solutions = puzzle.clean, puzzle.solutions
    scene, lined = perception.scene_of(puzzle.sample, solutions), memory.known(puzzle)
    readings = [read(trace, solutions) for trace in traces]
    runs = [
        _run(trace, reading, solutions, puzzle.foreign, scene)
        | {"memory": memory.recall(trace.cond_estimates, lined), "switched": found}
        for trace, reading, found in zip(traces, readings, switching.switched(puzzle, lined), strict=True)
    ]
    cells = [list(_cells(*each)) for each in zip(traces, readings, runs, strict=True)]
    return Measured(_puzzle(traces, readings, runs, solutions), runs, cells)


def solution_shown(curves: Mapping[str, Any], step: int = -1) -> int | None:
    """Which solution a step shows by the latent read-out, None for none."""
    answer = curves["answers"][step]
    return None if answer == WRONG else answer


def _puzzle(traces: Sequence[Trace], readings: Sequence[Reading], runs: Sequence[Facts], solutions: Solutions) -> Facts:
    """What all seeds of a puzzle say together."""
    facts: Facts = {
        "num_solutions": len(solutions.candidates),
        "signal_to_noise": readings[0].signal_to_noise.tolist(),
        "agreement": seed_agreement([solution_shown(run["final"]) for run in runs]),
        "rollout_agreement": seed_agreement([solution_shown(run[ROLLOUT]) for run in runs]),
    }
    if len(traces) > 1:
        parts = seed_variance([trace.cond_estimates for trace in traces], solutions.still)
        facts |= {"shared": parts.shared.tolist(), "specific": parts.specific.tolist()}
    return facts


def _run(trace: Trace, reading: Reading, solutions: Solutions, foreign: Solutions | None, scene: Scene | None) -> Facts:
    """What one run says."""
    candidates, sigmas = solutions.candidates, trace.sigmas
    seen, _ = ideal_observer(trace.latents[:-1], sigmas[:-1], candidates)
    rollout = observer_rollout(trace.latents[0], sigmas, candidates).clean_estimates
    chosen = int(reading.weights[-1].argmax())
    return {
        MODEL: _curves(trace.cond_estimates, solutions, chosen),
        STATE: _curves(seen, solutions, chosen) | {"posterior": reading.observer_multiplicity.tolist()},
        ROLLOUT: _curves(rollout, solutions),
        "final": _curves(trace.latents[-1:], solutions),
        "frames": list(commitment_by_frame(trace.cond_estimates, candidates).items()),
        "foreign": None if foreign is None else _foreign(trace.cond_estimates, solutions.still, foreign),
        "perception": None
        if scene is None
        else {
            who: perception.parts(estimates, solutions, scene)
            for who, estimates in ((MODEL, trace.cond_estimates), (ROLLOUT, rollout))
        },
    }


def _curves(estimates: LatentsBatch, solutions: Solutions, chosen: int | None = None) -> Facts:
    """Knowledge and choice of clean estimates; `choice` is the weight of the chosen candidate, by default the last."""
    candidates, still = solutions.candidates, solutions.still
    weights, found = hull_coordinates(estimates, candidates, still)
    distances = np.asarray(found)
    return {
        "knowledge": distances.tolist(),
        "choice": weights[:, int(weights[-1].argmax()) if chosen is None else chosen].tolist(),
        "multiplicity": np.asarray(multiplicity(weights)).tolist(),
        "answers": shown_answers(weights, distances, painted(estimates, candidates, still)),
        "commitment_step": commitment_step(weights),
        "knowledge_step": knowledge_step(distances),
    }


def _foreign(estimates: LatentsBatch, still: Latents, foreign: Solutions) -> Facts:
    weights: Float64[np.ndarray, "N S"] = candidate_weights(estimates - still + foreign.still, foreign.candidates)
    return {
        "multiplicity": np.asarray(multiplicity(weights)).tolist(),
        "commitment_step": commitment_step(weights),
    }


def _cells(trace: Trace, reading: Reading, run: Mapping[str, Any]) -> Iterator[Facts]:
    """The rows of a run: its reading, answers by the latent read-out, frames, memory, switches and perception."""
    sigmas = trace.sigmas.tolist()
    yield from reading_rows(reading, sigmas)
    for step in range(trace.num_steps):
        yield from ({"step": step, "sigma": sigmas[step], **cell} for cell in _answer(solution_shown(run[MODEL], step)))
    yield from _answer(solution_shown(run["final"]))
    for frame, step in run["frames"]:
        yield {"metric": "commitment_step", "frame": frame, "value": _number(step)}
    for step, shown in enumerate(zip(*(shape["emerging"] for shape in run["memory"]), strict=True)):
        kept = {"value": shown.count("same") / len(shown), "text": ", ".join(shown)}
        yield {"metric": "identity", "step": step, "sigma": sigmas[step], **kept}
    for kind, found in run["switched"].items():
        yield from _switched(kind, found)
    for who, found in (run["perception"] or {}).items():
        strategy = "single" if who == MODEL else who
        yield {"metric": "object_step", "strategy": strategy, "value": _number(found["steps"]["objects"])}
        yield {"metric": "motion_step", "strategy": strategy, "value": _number(found["steps"]["motion"])}


def _switched(kind: str, found: Facts) -> Iterator[Facts]:
    """The share that was kept by each branch, and how much of the first answer the observer reads at the switch."""
    for step, kept, shown, weight in zip(*(found[name] for name in ("steps", "kept", "shown", "reader")), strict=True):
        branch = switching.branch_name(kind, step)
        yield {"metric": "identity", "branch": branch, "value": kept, "text": shown}
        yield {"metric": "identity", "branch": branch, "strategy": STATE, "step": step, "value": weight}


def _number(step: int | None) -> float | None:
    return None if step is None else float(step)


def _answer(shown: int | None) -> Iterator[Facts]:
    yield {"metric": "success", "value": float(shown is not None)}
    yield {"metric": "answer", "candidate": shown, "text": None if shown is None else f"solution {shown}"}
