"""What a probe reads: hidden states averaged over regions of tokens, at every step and layer, and the inputs likewise.

    features[r, :] = sum_t weights[r, t] · h[t, :]        h tokens [L, D], weights [R, L]

A region is any row of weights: one token, an object, a quadrant.  Inside, h is what enters the first block (the patch
embedding) and what each block puts out, of the conditional forward alone; outside, the latents before the step and the
conditional clean estimate, cut into the same tokens.  In float32 or better, on the model's device.  Cost: one product
[R, L] [L, D] a layer, and 4 R D bytes a layer and step, moved to the CPU as they come.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.errors import BadInputError, InternalError
from stepscope.shapes import Latents

__all__ = ["ProbeFeatures", "Regions", "tokens_of"]

Grid = tuple[int, int, int]
Regions = Callable[[Any, Grid], Float[torch.Tensor, "R L"]]
"""From a sample and the token grid (F, H, W) to weights, tokens in the order (frame, row, column)."""

_Place = tuple[int, str]  # step, source


@dataclass(frozen=True)
class _Features:
    run: RunInfo
    grid: Grid | None = None
    weights: torch.Tensor | None = None
    kept: dict[_Place, Float[torch.Tensor, "R D"]] = field(default_factory=dict)


class ProbeFeatures:
    """Recorder `probe_features`: {source: float32 [step, R, D]}, and the token grid under `grid`.

    Sources are `embedding`, `layer 0` and so on, `latents` and `estimate`.  Steps that the run did not take are NaN.
    One sample at a time.
    """

    name = "probe_features"
    sites = ("resid_pre", "block")

    def __init__(self, regions: Regions, layers: Iterable[int] | None = None) -> None:
        """Keep these regions.

        Args:
            regions: where to look.
            layers: whose output to keep; None for all.
        """
        self.regions, self.layers = regions, None if layers is None else frozenset(layers)

    def init(self, run: RunInfo) -> _Features:
        """No token seen yet.

        Raises:
            BadInputError: If the model lacks one of the layers, or has none.
        """
        if run.num_layers == 0 or max(self.layers or [0]) >= run.num_layers:
            raise BadInputError(
                f"Recorder probe_features came for layers {sorted(self.layers or [])} of a model with "
                f"{run.num_layers}. It reads layers that there are. Choose among them, or another model."
            )
        return _Features(run)

    def update(self, state: _Features, event: StepEvent | SiteEvent) -> _Features:
        """One more layer, or what went into a step and came out of it."""
        if isinstance(event, StepEvent):
            return self._step(state, event)
        address = event.address
        if address.cfg_branch != "cond" or not self._is_wanted(event):
            return state
        if address.token_grid is None:
            raise InternalError(f"A block was tapped without its token grid: {address}.")
        source = "embedding" if address.site == "resid_pre" else f"layer {address.layer}"
        (hidden,) = event.hidden.detach()
        return self._with(self._placed(state, address.token_grid), address.step, source, hidden)

    def merge(self, first: _Features, second: _Features) -> _Features:
        """The features of both parts of a stream."""
        known = second if first.grid is None else first
        return replace(known, kept=first.kept | second.kept)

    def finish(self, state: _Features) -> dict[str, np.ndarray]:
        """The features of each source along the steps, and how the video was cut into tokens."""
        found: dict[str, np.ndarray] = {"grid": np.array(state.grid)}
        for (step, source), rows in state.kept.items():
            empty = np.full((state.run.grid.num_steps, *rows.shape), np.nan, np.float32)
            found.setdefault(source, empty)[step] = rows.numpy()
        return found

    def _is_wanted(self, event: SiteEvent) -> bool:
        layer = event.address.layer
        if event.address.site == "resid_pre":
            return layer == 0
        return self.layers is None or layer in self.layers

    def _placed(self, state: _Features, grid: Grid) -> _Features:
        """The state, once it is known how the video is cut into tokens."""
        if state.grid is not None:
            return state
        return replace(state, grid=grid, weights=self.regions(state.run.samples[0], grid))

    def _step(self, state: _Features, event: StepEvent) -> _Features:
        grid = state.grid
        if grid is None:
            raise InternalError(f"Step {event.step} came to recorder probe_features before any of its layers.")
        for source, batch in {"latents": event.latents, "estimate": event.cond}.items():
            (latents,) = batch.detach()
            state = self._with(state, event.step, source, tokens_of(latents, grid))
        return state

    def _with(self, state: _Features, step: int, source: str, tokens: torch.Tensor) -> _Features:
        assert state.weights is not None
        dtype = torch.promote_types(tokens.dtype, torch.float32)
        rows = state.weights.to(tokens.device, dtype) @ tokens.to(dtype)
        return replace(state, kept=state.kept | {(step, source): rows.to("cpu", torch.float32)})


def tokens_of(latents: Latents, grid: Grid) -> Float[torch.Tensor, "L D"]:
    """Latents cut into the patches of a token grid (F, H, W): one row a token, all values of its patch."""
    channels = len(latents)
    patches = [size // count for size, count in zip(latents.shape[1:], grid, strict=True)]
    cut = latents.reshape(channels, grid[0], patches[0], grid[1], patches[1], grid[2], patches[2])
    return cut.permute(1, 3, 5, 0, 2, 4, 6).reshape(grid[0] * grid[1] * grid[2], -1)
