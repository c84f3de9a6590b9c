"""How strongly each token is lit in each layer: the L2 norm of a block's output over its channels.

    energy[step, cfg_branch, layer, f, h, w] = || hidden_l(token f, h, w) ||_2

Accumulated in float32 or better, whatever the model's number type, on the model's device.  Cost: one reduction a layer
(under 1% of a forward of a large model) and 4 bytes a token, layer, CFG branch and step, moved to the CPU at the end.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.errors import BadInputError, InternalError

__all__ = ["TokenEnergy"]

_Place = tuple[int, str, int]  # step, CFG branch, layer


@dataclass(frozen=True)
class _Energies:
    run: RunInfo
    norms: dict[_Place, Float[torch.Tensor, "B F H W"]] = field(default_factory=dict)


class TokenEnergy:
    """Recorder `token_energy`: float32 [step, cfg_branch (cond, uncond), layer, F, H, W].

    The axis of CFG branches has length 1 without guidance; a batch of more than one comes first.  Steps that the run
    did not take (a fork begins later) are NaN.
    """

    name = "token_energy"
    sites = ("block",)

    def init(self, run: RunInfo) -> _Energies:
        """No token seen yet.

        Raises:
            BadInputError: If the model has no layers.
        """
        if run.num_layers == 0:
            raise BadInputError(
                "Recorder token_energy came for a model without layers. It reads the layers of a transformer. "
                "Leave it out for this model."
            )
        return _Energies(run)

    def update(self, state: _Energies, event: StepEvent | SiteEvent) -> _Energies:
        """One more layer's norms; steps themselves say nothing about tokens."""
        if isinstance(event, StepEvent):
            return state
        address, hidden = event.address, event.hidden
        if address.layer is None or address.token_grid is None:
            raise InternalError(f"A block was tapped without its layer or token grid: {address}.")
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        norms = torch.linalg.vector_norm(hidden.detach(), dim=-1, dtype=dtype).float()
        place = (address.step, address.cfg_branch, address.layer)
        return replace(state, norms=state.norms | {place: norms.unflatten(1, address.token_grid)})

    def merge(self, first: _Energies, second: _Energies) -> _Energies:
        """The norms of both parts of a stream."""
        return replace(first, norms=first.norms | second.norms)

    def finish(self, state: _Energies) -> np.ndarray:
        """The norms laid out along step, CFG branch, layer and token grid."""
        run, shape = state.run, next(iter(state.norms.values())).shape
        energy = np.full((run.grid.num_steps, len(run.cfg_branches), run.num_layers, *shape), np.nan, np.float32)
        for (step, cfg_branch, layer), norms in state.norms.items():
            energy[step, run.cfg_branches.index(cfg_branch), layer] = norms.cpu().numpy()
        return energy[:, :, :, 0] if shape[0] == 1 else np.moveaxis(energy, 3, 0)
