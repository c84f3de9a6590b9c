"""The directions along which tokens differ most, over all layers and steps of a calibration run: one basis for a run.

    covariance = sum over steps, layers, tokens of (h - mean)(h - mean)' / n  =  V diag(lambda) V'
    basis      = the first K rows of V',   scale = sqrt(lambda_1)

Pictures made in one basis and on one scale can be compared across layers and steps; bases fitted panel by panel cannot.
The covariance is streamed exactly, in float64 (a random sketch of 16 numbers finds .4 of the same space).  Only the
conditional forward is read.  Each direction points to where its largest entry is positive.  Cost: D^2 numbers in
float64, and n D^2 operations a block: a price for one calibration run, not for every run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.errors import BadInputError
from stepscope.recorders.places import layers_of, place_of
from stepscope.recorders.scatter import Scatter

__all__ = ["ComponentBasis"]


@dataclass(frozen=True)
class _State:
    layers: tuple[int, ...]
    scatter: Scatter | None = None


class ComponentBasis:
    """Recorder `component_basis`: {"mean" [D], "basis" [K, D], "scale" [], "explained" [K]}, float64.

    `explained` is the share of the variance along each direction.
    """

    name = "component_basis"
    sites = ("block",)

    def __init__(self, count: int = 3, layers: Sequence[int] | None = None) -> None:
        """Find `count` directions in these layers, all of them for None.

        Raises:
            BadInputError: If the count is below 1.
        """
        if count < 1:
            raise BadInputError(f"count came as {count}. Allowed is 1 or more. Ask for 3, a colour each.")
        self.count, self.layers = count, layers

    def init(self, run: RunInfo) -> _State:
        """No token seen yet.

        Raises:
            BadInputError: If the model has no layers.
            PlanError: If it lacks some of those asked for.
        """
        return _State(layers_of(self.name, run, self.layers))

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more block's tokens."""
        place = place_of(event, state.layers)
        if place is None or isinstance(event, StepEvent) or place.cfg_branch != "cond":
            return state
        return replace(state, scatter=Scatter.of(event.hidden.flatten(0, 1), whole=True).joined(state.scatter))

    def merge(self, first: _State, second: _State) -> _State:
        """The tokens of both parts of a stream, or of two runs."""
        return first if second.scatter is None else replace(first, scatter=second.scatter.joined(first.scatter))

    def finish(self, state: _State) -> dict[str, np.ndarray]:
        """The directions of most variance."""
        scatter = state.scatter
        assert scatter is not None, "a run has at least one step"
        values, vectors = torch.linalg.eigh(scatter.scatter / scatter.count)
        values, vectors = values.flip(0).clamp(min=0), vectors.flip(1).T[: self.count]
        largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
        return {
            "mean": scatter.mean.cpu().numpy(),
            "basis": (vectors * largest.sign()).cpu().numpy(),
            "scale": values[0].sqrt().cpu().numpy(),
            "explained": (values / values.sum())[: self.count].cpu().numpy(),
        }
