"""What a recorder keeps while it reads blocks: one value a place, (step, CFG branch, layer), and where places are.

    begun  ->  with_value, with_value, …  ->  laid_out        two parts of a stream: joined

A value is whatever the recorder makes of a block's output: a Gram matrix, a sum, a map.  The state is never changed;
every step gives a new one, which shares what it holds with the one before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np
import torch

from stepscope.denoise import RunInfo
from stepscope.recorders.places import Place, laid_out, layers_of

__all__ = ["Kept", "laid_out_by_row"]

T = TypeVar("T")


@dataclass(frozen=True)
class Kept(Generic[T]):
    """What was read so far.

    Attributes:
        run: the run that is read.
        layers: its layers that are read, in their order.
        values: what was made of each block's output.
    """

    run: RunInfo
    layers: tuple[int, ...]
    values: Mapping[Place, T] = field(default_factory=dict)

    @classmethod
    def begun(cls, name: str, run: RunInfo, layers: Sequence[int] | None) -> "Kept[T]":
        """Nothing yet, of these layers or, for None, of all.

        Raises:
            BadInputError: If the model has no layers.
            PlanError: If it lacks some of those asked for.
        """
        return cls(run, layers_of(name, run, layers))

    def with_value(self, place: Place, value: T) -> "Kept[T]":
        """The same and one more value, in place of that which stood there."""
        return replace(self, values={**self.values, place: value})

    def joined(self, other: "Kept[T]", add: Callable[[T, T], T] | None = None) -> "Kept[T]":
        """What both parts of a stream kept; where both did, their sum by `add`, or else what the second kept."""
        both = {
            place: value if add is None or place not in self.values else add(self.values[place], value)
            for place, value in other.values.items()
        }
        return replace(self, values={**self.values, **both})


def laid_out_by_row(kept: Kept[torch.Tensor], dtype: type[np.floating]) -> np.ndarray:
    """Values [B, ...] along [step, cfg_branch, layer, ...]; a batch of more than one comes first."""
    array = laid_out(kept.values, kept.run, kept.layers, dtype)
    return array[:, :, :, 0] if array.shape[3] == 1 else np.moveaxis(array, 3, 0)
