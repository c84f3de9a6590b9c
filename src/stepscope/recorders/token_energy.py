"""How strongly each token is lit in each layer: the L2 norm of a block's output over its channels.

    energy[step, cfg_branch, layer, f, h, w] = || hidden_l(token f, h, w) ||_2

Accumulated in float32 or better, whatever the model's number type, on the model's device.  Cost: one reduction a layer
(under 1% of a forward of a large model) and 4 bytes a token, layer, CFG branch and step, moved to the CPU at the end.
"""

import numpy as np
import torch
from jaxtyping import Float

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.recorders.kept import Kept, laid_out_by_row
from stepscope.recorders.places import place_of

__all__ = ["TokenEnergy"]

_State = Kept[Float[torch.Tensor, "B F H W"]]


class TokenEnergy:
    """Recorder `token_energy`: float32 [step, cfg_branch (cond, uncond), layer, F, H, W].

    The axis of CFG branches has length 1 without guidance; a batch of more than one comes first.  Steps that the run
    did not take (a fork begins later) are NaN.
    """

    name = "token_energy"
    sites = ("block",)

    def init(self, run: RunInfo) -> _State:
        """No token seen yet.

        Raises:
            BadInputError: If the model has no layers.
        """
        return Kept.begun(self.name, run, None)

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more layer's norms; steps themselves say nothing about tokens."""
        place = place_of(event, state.layers)
        if place is None or isinstance(event, StepEvent):
            return state
        grid, hidden = event.address.token_grid, event.hidden.detach()
        assert grid is not None, "place_of refuses an event without one"
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        norms = torch.linalg.vector_norm(hidden, dim=-1, dtype=dtype).float()
        return state.with_value(place, norms.unflatten(1, grid))

    def merge(self, first: _State, second: _State) -> _State:
        """The norms of both parts of a stream."""
        return first.joined(second)

    def finish(self, state: _State) -> np.ndarray:
        """The norms laid out along step, CFG branch, layer and token grid."""
        return laid_out_by_row(state, np.float32)
