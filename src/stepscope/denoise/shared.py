"""One model for a whole tree of branches: asked once for what several need, in chunks of one fixed size.

    chunk = 1    one sample a call: on a CPU a bigger batch gains nothing and changes the last bits
    chunk = K    rows with the same inputs and edits go together; a chunk that is not full repeats its last row

so that the kernels, and with them the last bits, are the same for every chunk.  What is asked of unedited latents
without an edit inside (the clean estimate that `renoise` needs) is remembered until the step is over: a branch takes
it from its trunk's own prediction.  `model_calls` counts the rows that were asked for, not the padding.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, final

import torch

from stepscope.denoise.denoiser import AbstractDenoiser, Address, Input, Prediction, SiteTap, Taps
from stepscope.denoise.schedule import Grid
from stepscope.shapes import LatentsBatch

__all__ = ["Asked", "Inputs", "SharedDenoiser"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a row shows the model besides latents; encoded when first needed, once for each batch size."""

    samples: tuple[Any, ...]
    guidance: float
    negative_prompt: str | None
    encoded: dict[int, Any] = field(default_factory=dict)

    def at(self, denoiser: AbstractDenoiser, rows: int) -> Any:
        """The condition for so many rows."""
        if rows not in self.encoded:
            self.encoded[rows] = denoiser.condition(self.samples * rows, self.guidance, self.negative_prompt)
        return self.encoded[rows]


@dataclass(frozen=True, eq=False)
class Asked:
    """One row that the model is asked about.

    Attributes:
        latents: [1, C, F, H, W].
        grid: the noise levels of its run.
        inputs: what it is shown besides.
        edits: what is attached to its insides and changes them.
        observers: what only looks.
        alike: rows with equal `alike` have the same edits and may share a call; None for a row that goes alone.
    """

    latents: LatentsBatch
    grid: Grid
    inputs: Inputs
    edits: Taps
    observers: Sequence[SiteTap]
    alike: Any


@final
class SharedDenoiser(AbstractDenoiser):
    """A denoiser that remembers conditions for good and plain predictions for a step.

    Attributes:
        inner: the model.
        chunk: rows in every one of its calls.
        model_calls: forwards times rows that were really made.
    """

    def __init__(self, inner: AbstractDenoiser, chunk: int = 1) -> None:
        """Wrap a denoiser."""
        self.inner, self.chunk, self.model_calls = inner, chunk, 0
        self._inputs: dict[Hashable, Inputs] = {}
        self._plain: dict[Hashable, tuple[LatentsBatch, Prediction]] = {}

    @property
    def num_layers(self) -> int:
        """Those of the model."""
        return self.inner.num_layers

    @property
    def device(self) -> torch.device:
        """That of the model."""
        return self.inner.device

    def latents_shape(self, sample: Input) -> tuple[int, int, int, int]:
        """That of the model."""
        return self.inner.latents_shape(sample)

    def expert(self, grid: Grid, step: int) -> str | None:
        """That of the model."""
        return self.inner.expert(grid, step)

    def begin(self, latents: LatentsBatch, grid: Grid) -> LatentsBatch:
        """As the model begins."""
        return self.inner.begin(latents, grid)

    def pipeline_grid(self, sample: Input, num_steps: int, shift: float | int | None) -> Grid:
        """That of the model."""
        return self.inner.pipeline_grid(sample, num_steps, shift)

    def condition(self, samples: Sequence[Input], guidance: float, negative_prompt: str | None) -> Inputs:
        """Equal inputs are one value, so that an edited prompt is encoded once and not at every step."""
        key = (*map(_content, samples), guidance, negative_prompt)
        return self._inputs.setdefault(key, Inputs(tuple(samples), guidance, negative_prompt))

    def predict(
        self, latents: LatentsBatch, step: int, grid: Grid, condition: Inputs, guidance: float, taps: Taps
    ) -> Prediction:
        """One row, edits alone attached; remembered if there are none."""
        known = None if taps else self._plain.get((id(latents), step, id(condition)))
        if known is not None:
            return known[1]
        (prediction,) = self.predict_together([Asked(latents, grid, condition, taps, (), None)], step)
        return prediction

    def predict_together(self, asked: Sequence[Asked], step: int) -> list[Prediction]:
        """Several rows at one step, in their order."""
        answers: dict[int, Prediction] = {}
        for rows in self._chunks(asked):
            group = [asked[row] for row in rows]
            answers.update(zip(rows, self._call(group, step), strict=True))
        for row, prediction in answers.items():
            if not asked[row].edits:  # the latents are kept too: while they live, their id is theirs alone
                key = (id(asked[row].latents), step, id(asked[row].inputs))
                self._plain[key] = asked[row].latents, prediction
        return [answers[row] for row in range(len(asked))]

    def finish(self, latents: LatentsBatch, condition: Inputs) -> LatentsBatch:
        """The result of a run."""
        return self.inner.finish(latents, condition.at(self.inner, 1))

    def forget(self) -> None:
        """A step is over: its predictions are not needed again."""
        self._plain.clear()

    def _chunks(self, asked: Sequence[Asked]) -> Iterator[list[int]]:
        groups: list[tuple[Any, list[int]]] = []
        for row, each in enumerate(asked):
            alike = (id(each.inputs), each.alike)
            known = next((rows for key, rows in groups if key == alike and each.alike is not None), None)
            if known is None:
                groups.append((alike, [row]))
            else:
                known.append(row)
        for _, rows in groups:
            yield from (rows[first : first + self.chunk] for first in range(0, len(rows), self.chunk))

    def _call(self, group: list[Asked], step: int) -> list[Prediction]:
        first, size = group[0], self.chunk
        latents, observers = first.latents, tuple(first.observers)
        if size > 1:
            latents = torch.cat([each.latents for each in group] + [group[-1].latents] * (size - len(group)))
            observers = tuple(_of_row(tap, row) for row, each in enumerate(group) for tap in each.observers)
        taps = Taps((*first.edits.sites, *observers), first.edits.masks)
        prediction = self.inner.predict(
            latents, step, first.grid, first.inputs.at(self.inner, size), first.inputs.guidance, taps
        )
        answers = [prediction] if size == 1 else [_row(prediction, row, size) for row in range(len(group))]
        self.model_calls += sum(answer.model_calls for answer in answers)
        return answers


def _row(prediction: Prediction, row: int, size: int) -> Prediction:
    tensors = {f.name: getattr(prediction, f.name) for f in fields(prediction) if f.name != "model_calls"}
    rows = {name: tensor[row : row + 1] for name, tensor in tensors.items()}
    return Prediction(**rows, model_calls=prediction.model_calls // size)


def _of_row(tap: SiteTap, row: int) -> SiteTap:
    """An observer of a batch that is shown one row of it."""

    def observe(hidden: torch.Tensor, address: Address) -> None:
        tap.function(hidden[row : row + 1], address)

    return SiteTap(tap.site, observe, tap.layers)


def _content(sample: Any) -> Hashable:
    """What tells samples apart: prompt and picture by value, all else by identity."""
    if not hasattr(sample, "__dict__"):
        return id(sample)
    shown = {"prompt", "first_frame", "num_frames"}
    rest = tuple((name, id(value)) for name, value in sorted(vars(sample).items()) if name not in shown)
    frame = sample.first_frame
    return sample.prompt, sample.num_frames, frame.shape, frame.tobytes(), type(sample), rest
