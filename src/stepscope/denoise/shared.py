"""One model for a whole tree of branches: asked once for what several need.

What is asked of unedited latents without an edit inside (the clean estimate that `renoise` needs) is remembered until
the step is over: a branch takes it from its trunk's own prediction.  `model_calls` counts the rows that this tree asked
for: neither the padding of chunks nor the rows of other trees that stood in them.

Where a call has several rows, such a question is put off while latents are edited (`Unanswered`), so that those of many
branches are asked together.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import final

import torch

from stepscope.denoise.chunks import Asked, Chunks, Inputs
from stepscope.denoise.denoiser import AbstractDenoiser, Input, Prediction, Taps
from stepscope.denoise.schedule import Grid
from stepscope.shapes import LatentsBatch

__all__ = ["SharedDenoiser", "Unanswered"]


class Unanswered(BaseException):
    """No error: carries a question out of an edit, past whatever that may catch; it is begun again with the answer."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked


@final
class SharedDenoiser(AbstractDenoiser):
    """A denoiser that remembers plain predictions for a step.

    Attributes:
        chunks: the model, and who else asks it.
        model_calls: forwards times rows that were really made for this tree.
    """

    def __init__(self, chunks: Chunks) -> None:
        """Wrap a denoiser that is asked in chunks."""
        self.chunks, self.model_calls = chunks, 0
        self._inner, self._puts_off = chunks.denoiser, False
        self._plain: dict[Hashable, tuple[LatentsBatch, Prediction]] = {}

    @property
    def num_layers(self) -> int:
        """Those of the model."""
        return self._inner.num_layers

    @property
    def device(self) -> torch.device:
        """That of the model."""
        return self._inner.device

    def latents_shape(self, sample: Input) -> tuple[int, int, int, int]:
        """That of the model."""
        return self._inner.latents_shape(sample)

    def expert(self, grid: Grid, step: int, boundary: float | None = None) -> str | None:
        """That of the model."""
        return self._inner.expert(grid, step, boundary)

    def begin(self, latents: LatentsBatch, grid: Grid) -> LatentsBatch:
        """As the model begins."""
        return self._inner.begin(latents, grid)

    def pipeline_grid(self, sample: Input, num_steps: int, shift: float | int | None) -> Grid:
        """That of the model."""
        return self._inner.pipeline_grid(sample, num_steps, shift)

    def condition(self, samples: Sequence[Input], guidance: float, negative_prompt: str | None) -> Inputs:
        """What is yet to be encoded."""
        return self.chunks.inputs(samples, guidance, negative_prompt)

    def predict(
        self, latents: LatentsBatch, step: int, grid: Grid, condition: Inputs, guidance: float, taps: Taps
    ) -> Prediction:
        """One row, edits alone attached; remembered if there are none."""
        known = None if taps else self._plain.get((id(latents), step, id(condition)))
        if known is not None:
            return known[1]
        asked = Asked(latents, grid, condition, taps)
        if self._puts_off and not taps:
            raise Unanswered(asked)
        (prediction,) = self.chunks.answers([asked], step)
        self.keep(asked, step, prediction)
        return prediction

    @contextmanager
    def putting_off(self) -> Iterator[None]:
        """Meanwhile, what is not remembered yet is not asked but raised, if a call has room for more than one row."""
        self._puts_off = self.chunks.size > 1
        try:
            yield
        finally:
            self._puts_off = False

    def keep(self, asked: Asked, step: int, prediction: Prediction) -> None:
        """Count what this tree was told, and remember it until `forget` if nothing was edited inside."""
        self.model_calls += prediction.model_calls
        if not asked.edits and not asked.lent:  # the latents are kept too: while they live, their id is theirs alone
            self._plain[id(asked.latents), step, id(asked.inputs)] = asked.latents, prediction

    def finish(self, latents: LatentsBatch, condition: Inputs) -> LatentsBatch:
        """The result of a run."""
        return self._inner.finish(latents, condition.alone(self._inner))

    def forget(self) -> None:
        """A step is over: its predictions are not needed again."""
        self._plain.clear()
