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
from stepscope.executors import Measured, Puzzle
from stepscope.experiments.layer_lens.sources import NAME
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


def measure(puzzle: Puzzle, layers: Sequence[int]) -> Measured:
    """Read the runs of one puzzle.

    Args:
        puzzle: With what the lens saw in its clean runs.
        layers: The layers that it looked at, the last one last; none for a model that lacks what is needed.
    """
    if not layers:
        return Measured({"lacks": lacking(puzzle.model)}, [{} for _ in puzzle.clean], [[] for _ in puzzle.clean])
    first = puzzle.clean[0]
    facts = {
        "lacks": None,
        "steps": first.records[NAME]["steps"].tolist(),
        "layers": list(layers),
        "num_layers": puzzle.model.num_layers,
        "num_solutions": len(puzzle.solutions.candidates),
    }
    runs = [_read(trace, puzzle.solutions) for trace in puzzle.clean]
    return Measured(facts, runs, [list(_cells(read, facts, first.sigmas.tolist())) for read in runs])


def _read(trace: Trace, solutions: Solutions) -> Facts:
    """What one run says."""
    final = int(candidate_weights(trace.latents[-1], solutions.candidates).argmax())
    facts: Facts = {"knowledge": [], "choice": [], "multiplicity": [], "half": [], "error": 0.0}
    seen = {name: torch.from_numpy(each) for name, each in trace.records[NAME].items()}
    for step, estimates, coarser in zip(seen["steps"], seen["estimates"], seen["half"], strict=True):
        facts["half"].append(np.asarray(knowledge(coarser, solutions.candidates, solutions.still)).tolist())
        own = trace.cond_estimates[step]
        facts["error"] = max(facts["error"], float((estimates[-1] - own).norm() / own.norm()))
        for name, values in _numbers(estimates, solutions, final).items():
            facts[name].append(values)
    return facts


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
