"""What `layer-lens` reads off the runs of one puzzle: JSON.

A row a source: first what enters block 0, then the chosen layers.

knowledge      R, [step][source]
choice         weight of the candidate that the run ends on, [step][source]
multiplicity   over how many solutions it is spread, [step][source]
half           R through the lens that half of the calibration puzzles give, [step][source]
error          how far the last layer's estimate is from the model's own, relative to it, largest over steps
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from stepscope.analysis import candidate_weights, knowledge, multiplicity
from stepscope.denoise import Run
from stepscope.executors import Measured, Puzzle
from stepscope.experiments.layer_lens.fit import sources, to_last
from stepscope.recorders.places import steps_of
from stepscope.scope import Model, Solutions, Trace
from stepscope.shapes import Trajectory

__all__ = ["lacking", "measure"]

Facts = dict[str, Any]


def lacking(model: Model) -> str | None:
    """What a model lacks to be read through a lens; None if nothing."""
    if model.num_layers == 0:
        return "the model has no layers to look into"
    if not hasattr(model.loaded.denoiser, "head"):
        return "the model does not say how its last lines read a hidden state"
    return None


def measure(puzzle: Puzzle, layers: Sequence[int], asked: Sequence[int] | int) -> Measured:
    """Read the runs of one puzzle.

    Args:
        puzzle: With the hidden states of its clean runs, and the lens.
        layers: The layers that were recorded, the last one last; none for a model that lacks what is needed.
        asked: The steps that were recorded, or how many.
    """
    if not layers:
        return Measured({"lacks": lacking(puzzle.model)}, [{} for _ in puzzle.clean], [[] for _ in puzzle.clean])
    steps = steps_of(asked, puzzle.clean[0].num_steps)
    run = _run_of(puzzle.model, puzzle.clean[0])
    condition = run.denoiser.condition(run.samples, run.guidance, run.negative_prompt)
    runs = [_read(puzzle, trace, steps, run, condition) for trace in puzzle.clean]
    facts = {
        "lacks": None,
        "steps": list(steps),
        "layers": list(layers),
        "num_layers": puzzle.model.num_layers,
        "num_solutions": len(puzzle.solutions.candidates),
    }
    return Measured(facts, runs, [list(_cells(read, facts, run.grid.sigmas.tolist())) for read in runs])


def _run_of(model: Model, trace: Trace) -> Run:
    """The run that a trace is of: its grid, and what the model is shown."""
    return model.run_of(
        trace.sample,
        num_steps=trace.num_steps,
        seed=trace.seed,
        guidance=trace.guidance,
        schedule=trace.schedule,
        shift=trace.shift,
        negative_prompt=trace.negative_prompt,
    )


def _read(puzzle: Puzzle, trace: Trace, steps: Sequence[int], run: Run, condition: Any) -> Facts:
    """What one run says."""
    final = int(candidate_weights(trace.latents[-1], puzzle.solutions.candidates).argmax())
    facts: Facts = {"knowledge": [], "choice": [], "multiplicity": [], "half": [], "error": 0.0}
    lens, solutions = puzzle.prepared, puzzle.solutions
    for index, (step, hidden) in enumerate(zip(steps, sources(trace), strict=True)):
        estimates = _estimates(to_last(lens.maps[index], hidden), trace, step, run, condition)
        coarser = _estimates(to_last(lens.half[index], hidden), trace, step, run, condition)
        facts["half"].append(np.asarray(knowledge(coarser, solutions.candidates, solutions.still)).tolist())
        own = trace.cond_estimates[step]
        error = float((estimates[-1] - own).norm() / own.norm())
        facts["error"] = max(facts["error"], error)
        for name, values in _numbers(estimates, solutions, final).items():
            facts[name].append(values)
    return facts


def _estimates(hidden: torch.Tensor, trace: Trace, step: int, run: Run, condition: Any) -> Trajectory:
    """Clean estimates of hidden states, one after the other, as the model reads its own."""
    denoiser: Any = run.denoiser  # `lacking` has seen that it has a head
    latents = trace.latents[step][None].to(denoiser.device)
    read = [denoiser.head(each[None].to(denoiser.device), latents, step, run.grid, condition) for each in hidden]
    return torch.cat(read).cpu().float()


def _numbers(estimates: Trajectory, solutions: Solutions, final: int) -> dict[str, list[float]]:
    weights = candidate_weights(estimates, solutions.candidates)
    return {
        "knowledge": np.asarray(knowledge(estimates, solutions.candidates, solutions.still)).tolist(),
        "choice": weights[:, final].tolist(),
        "multiplicity": np.asarray(multiplicity(weights)).tolist(),
    }


def _cells(run: Facts, facts: Facts, sigmas: Sequence[float]) -> Iterator[Facts]:
    """The rows of a run."""
    places = [(0, "resid_pre"), *((layer, "block") for layer in facts["layers"])]
    for metric in ("knowledge", "choice", "multiplicity"):
        for step, values in zip(facts["steps"], run[metric], strict=True):
            for (layer, site), value in zip(places, values, strict=True):
                where = {"step": step, "sigma": sigmas[step], "cfg_branch": "cond", "layer": layer, "site": site}
                yield {"metric": metric, "value": value, **where}
