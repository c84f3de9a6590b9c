"""Where inside a run a block was read, how much of it at a time, and how what was read is laid out in an array.

place = (step, CFG branch, layer)         values {place: tensor}  ->  array [step, cfg_branch, layer, ...]
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.errors import BadInputError, InternalError, PlanError

__all__ = ["Place", "laid_out", "layers_of", "parts_of", "place_of", "some_tokens", "steps_of"]

_NUMBERS = 2**22
"""How many numbers are brought to a wider type at a time: 32 MiB in float64."""


class Place(NamedTuple):
    """A block's output in one forward."""

    step: int
    cfg_branch: str
    layer: int


def layers_of(name: str, run: RunInfo, layers: Sequence[int] | None) -> tuple[int, ...]:
    """The layers that a recorder reads, all of them for None.

    Raises:
        BadInputError: If the model has no layers.
        PlanError: If it lacks some of those asked for.
    """
    if run.num_layers == 0:
        raise BadInputError(
            f"Recorder {name} came for a model without layers. It reads the layers of a transformer. "
            "Leave it out for this model."
        )
    wanted = tuple(range(run.num_layers)) if layers is None else tuple(layers)
    unknown = [layer for layer in wanted if not 0 <= layer < run.num_layers]
    if unknown or not wanted or len(set(wanted)) < len(wanted):
        raise PlanError(
            f"Recorder {name} came with layers {list(wanted)}. This model has layers 0 to {run.num_layers - 1}, each "
            "named once. Choose among these."
        )
    return wanted


def place_of(event: StepEvent | SiteEvent, layers: Sequence[int]) -> Place | None:
    """The place of an event; None for a step, or a layer that is not wanted."""
    if isinstance(event, StepEvent):
        return None
    address = event.address
    if address.layer is None or address.token_grid is None:
        raise InternalError(f"A block was tapped without its layer or token grid: {address}.")
    return Place(address.step, address.cfg_branch, address.layer) if address.layer in layers else None


def steps_of(name: str, run: RunInfo, asked: Sequence[int] | int | None) -> tuple[int, ...]:
    """The steps that a recorder reads: by name; so many, evenly spread, for a number; all of them for None.

    Raises:
        PlanError: If the run lacks some of them.
    """
    steps = _spread(asked, run.grid.num_steps)
    if not steps or not set(steps) <= set(range(run.grid.num_steps)) or len(set(steps)) < len(steps):
        raise PlanError(
            f"Recorder {name} came with steps {list(steps)}. This run has steps 0 to {run.grid.num_steps - 1}, each "
            "named once. Choose among these."
        )
    return steps


def _spread(asked: Sequence[int] | int | None, num_steps: int) -> tuple[int, ...]:
    if isinstance(asked, int):
        return tuple(np.unique(np.linspace(0, num_steps - 1, max(asked, 0)).round().astype(int)).tolist())
    return tuple(range(num_steps) if asked is None else asked)


def parts_of(rows: torch.Tensor, dtype: torch.dtype) -> Iterator[torch.Tensor]:
    """Rows [n, D] in a wider type, a few at a time, so that a large layer is never copied whole."""
    for part in rows.detach().split(max(1, _NUMBERS // rows.shape[1])):
        yield part.to(dtype)


def some_tokens(count: int, available: int) -> torch.Tensor:
    """Indices of `count` tokens of `available`, the same in every run; all of them if there are no more."""
    shuffled = torch.randperm(available, generator=torch.Generator().manual_seed(0))
    return shuffled[:count].sort().values


def laid_out(
    values: Mapping[Place, torch.Tensor], run: RunInfo, layers: Sequence[int], dtype: type[np.floating]
) -> np.ndarray:
    """The values along [step, cfg_branch, layer, ...]; NaN at steps that the run did not take."""
    shape = next(iter(values.values())).shape
    array = np.full((run.grid.num_steps, len(run.cfg_branches), len(layers), *shape), np.nan, dtype)
    for (step, cfg_branch, layer), value in values.items():
        array[step, run.cfg_branches.index(cfg_branch), layers.index(layer)] = value.cpu().numpy()
    return array
