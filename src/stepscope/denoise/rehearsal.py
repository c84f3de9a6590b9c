"""A denoiser that predicts nothing: what a run or a tree would refuse and would cost, found out without a model call.

    v = 0,   model calls counted as the real model would make them

All else is real: interventions act, masks are asked for at every layer, solvers step, recorders begin.  Cost: some
operations on latents a step.
"""

from collections.abc import Sequence
from typing import Any, final

import torch

from stepscope.denoise.denoiser import AbstractDenoiser, Address, Input, Prediction, Taps
from stepscope.denoise.schedule import Grid
from stepscope.shapes import LatentsBatch

__all__ = ["Rehearsal"]


@final
class Rehearsal(AbstractDenoiser):
    """Stands in for a model; on the CPU, whatever the model's device.

    Attributes:
        model: whose layers, shapes and experts it has.
    """

    def __init__(self, model: AbstractDenoiser) -> None:
        """Stand in for `model`."""
        self.model = model

    @property
    def device(self) -> torch.device:
        """The CPU."""
        return torch.device("cpu")

    @property
    def num_layers(self) -> int:
        """Those of the model."""
        return self.model.num_layers

    def latents_shape(self, sample: Input) -> tuple[int, int, int, int]:
        """That of the model."""
        return self.model.latents_shape(sample)

    def begin(self, latents: LatentsBatch, grid: Grid) -> LatentsBatch:
        """As the model begins."""
        return self.model.begin(latents, grid)

    def condition(self, samples: Sequence[Input], guidance: float, negative_prompt: str | None) -> None:
        """Nothing is encoded; what the model could not take is refused."""
        for sample in samples:
            self.model.latents_shape(sample)

    def expert(self, grid: Grid, step: int, boundary: float | None = None) -> str | None:
        """That of the model."""
        return self.model.expert(grid, step, boundary)

    def predict(
        self, latents: LatentsBatch, step: int, grid: Grid, condition: Any, guidance: float, taps: Taps
    ) -> Prediction:
        """Zero velocity, and the calls that it would have cost."""
        _, _, frames, height, width = latents.shape
        for layer in range(self.num_layers):
            place = Address(step, grid.sigma(step), None, "cond", layer, "self_attn", (frames, height, width))
            for mask in taps.masks:
                mask(place)
        nothing = torch.zeros_like(latents)
        calls = len(latents) * (1 if guidance == 1 else 2)
        return Prediction(nothing, latents, latents, calls, nothing)

    def finish(self, latents: LatentsBatch, condition: Any) -> LatentsBatch:
        """The last latents are the result."""
        return latents
