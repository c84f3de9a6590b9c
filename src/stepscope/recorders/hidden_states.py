"""What some layers put out at every step, for an evenly spread choice of tokens: the rows on which runs are compared.

    hidden[step, layer, row, :] = output of the layer's block at token floor(row · L / rows),     rows = min(L, `rows`)

Of the conditional forward alone, in float32, on the CPU.  It keeps whole vectors, so it is for chosen layers: 4 bytes
times steps x layers x rows x D for each branch, 1.3 GB for 50 steps, one layer, 1280 rows and D = 5120.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.errors import BadInputError

__all__ = ["HiddenStates"]


@dataclass(frozen=True)
class _Kept:
    num_steps: int
    rows: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)  # (step, layer) -> [rows, D]


class HiddenStates:
    """Recorder `hidden_states`: float32 [step, layer, row, D], layers in the order in which they were asked for.

    Steps that the run did not take are NaN.  One sample at a time.
    """

    name = "hidden_states"
    sites = ("block",)

    def __init__(self, layers: Iterable[int], rows: int = 1024) -> None:
        """Keep these layers.

        Args:
            layers: indices of transformer blocks.
            rows: most tokens that are kept of each.
        """
        self.layers, self.rows = tuple(layers), rows

    def init(self, run: RunInfo) -> _Kept:
        """No layer seen yet.

        Raises:
            BadInputError: If the model lacks one of the layers.
        """
        if not self.layers or not 0 <= min(self.layers) <= max(self.layers) < run.num_layers:
            raise BadInputError(
                f"Hidden states of the layers {list(self.layers)} were asked for. This model has {run.num_layers} "
                "layers, counted from 0. Choose among them."
            )
        return _Kept(run.grid.num_steps)

    def update(self, state: _Kept, event: StepEvent | SiteEvent) -> _Kept:
        """One more layer's output; steps themselves say nothing about layers."""
        if isinstance(event, StepEvent) or event.address.layer not in self.layers:
            return state
        if event.address.cfg_branch != "cond":
            return state
        (hidden,) = event.hidden.detach()
        chosen = torch.arange(min(self.rows, len(hidden)), device=hidden.device) * len(hidden)
        kept = hidden[chosen // min(self.rows, len(hidden))].to("cpu", torch.float32)
        return replace(state, rows=state.rows | {(event.address.step, event.address.layer): kept})

    def merge(self, first: _Kept, second: _Kept) -> _Kept:
        """The layers of both parts of a stream."""
        return replace(first, rows=first.rows | second.rows)

    def finish(self, state: _Kept) -> np.ndarray:
        """The states laid out along step, layer, token and channel."""
        shape = next(iter(state.rows.values())).shape
        hidden = np.full((state.num_steps, len(self.layers), *shape), np.nan, np.float32)
        for (step, layer), rows in state.rows.items():
            hidden[step, self.layers.index(layer)] = rows.numpy()
        return hidden
