"""What each token is made of in each layer: its coordinates in one basis, on one scale, for the whole run.

    component[step, cfg_branch, layer, k, f, h, w] = basis_k . (hidden_l(token f, h, w) - mean) / scale

The basis is that of `ComponentBasis`, recorded on a calibration run:

    basis = model.denoise(sample, recorders=[ComponentBasis()]).records["component_basis"]
    model.denoise(sample, recorders=[TokenComponents(basis)])

Computed in float32 or better.  Cost: K D operations a token (under 1% of a forward) and 4 K bytes a token, layer, CFG
branch and step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.errors import BadInputError
from stepscope.recorders.kept import Kept, laid_out_by_row
from stepscope.recorders.places import parts_of, place_of

__all__ = ["TokenComponents"]


_State = Kept[torch.Tensor]


class TokenComponents:
    """Recorder `token_components`: float32 [step, cfg_branch (cond, uncond), layer, K, F, H, W].

    A batch of more than one comes first.  Steps that the run did not take are NaN.
    """

    name = "token_components"
    sites = ("block",)

    def __init__(self, basis: Any, layers: Sequence[int] | None = None) -> None:
        """Project onto a basis in these layers, all of them for None.

        Args:
            basis: the record of a `ComponentBasis`.
            layers: what to read.

        Raises:
            BadInputError: If it is no such record.
        """
        try:
            axes, mean, scale = (torch.as_tensor(basis[key], dtype=torch.float64) for key in ("basis", "mean", "scale"))
            self._axes, self._origin = axes / scale, axes @ mean / scale
        except (KeyError, TypeError, RuntimeError, IndexError) as error:
            raise BadInputError(
                f"A basis came as {type(basis).__name__}, without what is needed of it. It is the record of a "
                "ComponentBasis. Pass trace.records['component_basis']."
            ) from error
        self.layers = layers

    def init(self, run: RunInfo) -> _State:
        """No token seen yet.

        Raises:
            BadInputError: If the model has no layers.
            PlanError: If it lacks some of those asked for.
        """
        return Kept.begun(self.name, run, self.layers)

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more block's tokens.

        Raises:
            BadInputError: If the basis is another model's.
        """
        place = place_of(event, state.layers)
        if place is None or isinstance(event, StepEvent):
            return state
        grid = event.address.token_grid
        assert grid is not None, "place_of refuses an event without one"
        tokens = self._projected(event.hidden.flatten(0, 1)).unflatten(0, (len(event.hidden), *grid)).movedim(-1, 1)
        return state.with_value(place, tokens)

    def merge(self, first: _State, second: _State) -> _State:
        """The coordinates of both parts of a stream."""
        return first.joined(second)

    def finish(self, state: _State) -> np.ndarray:
        """The coordinates, laid out."""
        return laid_out_by_row(state, np.float32)

    def _projected(self, rows: torch.Tensor) -> torch.Tensor:
        """The coordinates of rows [n, D], as [n, K]."""
        if rows.shape[1] != self._axes.shape[1]:
            raise BadInputError(
                f"A basis of {self._axes.shape[1]} channels came for hidden states of {rows.shape[1]}. It must be of "
                "the same model. Calibrate it on this one."
            )
        wide = torch.promote_types(rows.dtype, torch.float32)
        axes, origin = self._axes.to(rows.device, wide), self._origin.to(rows.device, wide)
        return torch.cat([part @ axes.T - origin for part in parts_of(rows, wide)])
