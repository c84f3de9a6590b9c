"""What `layer-energy` reads off the runs of one puzzle: JSON, and the maps themselves as tensors.

energy         mean over tokens, [step][layer]
localisation   [step][layer], of all objects together; None where nothing is covered, or everything
control        the same with masks that have nothing to do with the puzzle, [step][layer]
objects        localisation of each kind of mask by itself, mean over steps, {kind: [layer]}
tensors        energy [seed, layer, F, H, W], mean over steps; frames [seed, step, layer, F], mean over rows and columns
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64

from stepscope.analysis import cell_shares, localisation
from stepscope.errors import BadInputError
from stepscope.executors import Measured, Puzzle
from stepscope.scope import Trace

__all__ = ["FOREIGN", "TURNED", "measure"]

FOREIGN, TURNED = "foreign", "turned"

Facts = dict[str, Any]
Masks = Mapping[str, np.ndarray]


def measure(puzzle: Puzzle, objects: Sequence[str] | None) -> Measured:
    """Read the runs of one puzzle.

    Args:
        puzzle: With the token energy of its clean runs.
        objects: What the names of the masks begin with that are objects; None for all.

    Raises:
        BadInputError: If the sample has no such mask.
    """
    maps = [_cond_energy(trace) for trace in puzzle.clean]
    if not all(energy is not None for energy in maps):
        return Measured({"layers": 0}, [{} for _ in maps], [[] for _ in maps])
    energies = np.stack([energy for energy in maps if energy is not None])
    own, (kind, control) = _chosen(puzzle.sample, objects), _control(puzzle, objects)
    grid = energies.shape[-3:]
    runs = [_run(energy, own, control, grid) for energy in energies]
    cells = [list(_cells(run, trace.sigmas.tolist())) for run, trace in zip(runs, puzzle.clean, strict=True)]
    tensors = {
        "energy": torch.from_numpy(energies.mean(1).astype(np.float32)),
        "frames": torch.from_numpy(energies.mean((-2, -1)).astype(np.float32)),
    }
    return Measured({"layers": energies.shape[2], "control": kind}, runs, cells, tensors)


def _cond_energy(trace: Trace) -> Float64[np.ndarray, "N layers F H W"] | None:
    """The energies of the conditional forward; None for a model without layers."""
    energy = trace.records.get("token_energy")
    return None if energy is None else energy[:, 0].astype(np.float64)


def _chosen(sample: Any, objects: Sequence[str] | None) -> Masks:
    """The masks of a sample that are objects."""
    masks = getattr(sample, "masks", {})
    found = {name: mask for name, mask in masks.items() if objects is None or name.startswith(tuple(objects))}
    if masks and not found:
        raise BadInputError(
            f"objects came as {', '.join(objects or ())}. This sample has masks {', '.join(masks)}. Choose among these."
        )
    return found


def _control(puzzle: Puzzle, objects: Sequence[str] | None) -> tuple[str | None, Masks]:
    """Masks that have nothing to do with the puzzle, and how they were come by."""
    own = _chosen(puzzle.sample, objects)
    foreign = {} if puzzle.other is None else _chosen(puzzle.other, objects)
    if foreign and _shape(foreign) == _shape(own):
        return FOREIGN, foreign
    return (TURNED if own else None), {name: mask[:, ::-1, ::-1] for name, mask in own.items()}


def _shape(masks: Masks) -> tuple[int, ...]:
    return next(iter(masks.values()), np.empty(0)).shape


def _run(energy: Float64[np.ndarray, "N layers F H W"], own: Masks, control: Masks, grid: tuple[int, ...]) -> Facts:
    """What one run says."""
    kinds = sorted({_kind(name) for name in own})
    each = {kind: [mask for name, mask in own.items() if _kind(name) == kind] for kind in kinds}
    return {
        "energy": energy.mean((-3, -2, -1)).tolist(),
        "localisation": _localised(energy, list(own.values()), grid),
        "control": _localised(energy, list(control.values()), grid),
        "objects": {kind: _localised(energy.mean(0), masks, grid) for kind, masks in each.items()},
    }


def _kind(name: str) -> str:
    """`goal` for `goal-0` and `goal-1`."""
    return name.rstrip("0123456789").rstrip("- ") or name


def _localised(energy: np.ndarray, masks: Sequence[Bool[np.ndarray, "T Y X"]], grid: tuple[int, ...]) -> Any:
    """Nested lists of localisation, None where there is none."""
    if not masks:
        return None
    found = localisation(energy, cell_shares(np.logical_or.reduce(masks), (grid[0], grid[1], grid[2])))
    return None if np.isnan(found).any() else found.tolist()


def _cells(run: Facts, sigmas: Sequence[float]) -> Iterator[Facts]:
    """The rows of a run: energy and localisation of every step and layer."""
    for metric in ("energy", "localisation"):
        for step, layers in enumerate(run[metric] or ()):
            for layer, value in enumerate(layers):
                yield {
                    "metric": metric,
                    "step": step,
                    "sigma": sigmas[step],
                    "cfg_branch": "cond",
                    "layer": layer,
                    "site": "block",
                    "value": value,
                }
