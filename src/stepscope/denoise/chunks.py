"""Rows of many runs in calls of one fixed size, whatever run, seed, branch or sample they belong to.

    size = 1    one sample a call: on a CPU a bigger batch gains nothing and changes the last bits
    size = K    rows of one shape, grid and guidance with the same edits inside go together

A chunk that is not full repeats its last row, so that the kernels, and with them the last bits, are the same for every
chunk.  Inputs differ from row to row: each is encoded once, alone, and those of a chunk are laid side by side by the
family's `collate`; where a family has none, the chunk is encoded together, once for as long as the same rows stand in
it.  Cost of a row besides the model: some views of tensors, and a call for every observer at every layer.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch

from stepscope.denoise.denoiser import AbstractDenoiser, Address, Prediction, SiteTap, Taps
from stepscope.denoise.intervention import AbstractExchange, Lent
from stepscope.denoise.schedule import Grid
from stepscope.shapes import LatentsBatch

__all__ = ["Asked", "Chunks", "Inputs"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a row shows the model besides latents; encoded when first needed."""

    samples: tuple[Any, ...]
    guidance: float
    negative_prompt: str | None
    _encoded: list[Any] = field(default_factory=list)

    def alone(self, denoiser: AbstractDenoiser) -> Any:
        """The condition of the row by itself."""
        if not self._encoded:
            self._encoded.append(denoiser.condition(self.samples, self.guidance, self.negative_prompt))
        return self._encoded[0]


@dataclass(frozen=True, eq=False)
class Asked:
    """One row that the model is asked about.

    Attributes:
        latents: [1, C, F, H, W].
        grid: the noise levels of its run, out of `Chunks.grid`.
        inputs: what it is shown besides.
        edits: what is attached to its insides and changes them.
        observers: what only looks.
        alike: rows with equal `alike` have the same edits and may share a call.
        lent: exchanges that act in this call, each with what its donors put out.
    """

    latents: LatentsBatch
    grid: Grid
    inputs: Inputs
    edits: Taps
    observers: Sequence[SiteTap] = ()
    alike: Any = ()
    lent: Sequence[tuple[AbstractExchange, Sequence[Lent]]] = ()

    @property
    def kind(self) -> Hashable:
        """What rows of one call have in common besides their edits."""
        inputs = self.inputs
        return self.latents.shape, self.latents.dtype, id(self.grid), inputs.guidance, inputs.negative_prompt


@final
class Chunks:
    """A model that is asked in chunks.

    Attributes:
        denoiser: the model.
        size: rows in every one of its calls.
    """

    def __init__(self, denoiser: AbstractDenoiser, size: int = 1) -> None:
        """Ask a denoiser."""
        self.denoiser, self.size = denoiser, size
        self._grids: list[Grid] = []
        self._inputs: dict[Hashable, Inputs] = {}
        self._seen: dict[Hashable, tuple[Sequence[Any], Inputs]] = {}
        self._together: dict[tuple[int, ...], Any] = {}
        self._now: dict[tuple[int, ...], Any] = {}

    def grid(self, grid: Grid) -> Grid:
        """Equal grids as one object."""
        known = next((each for each in self._grids if _equal(each, grid)), None)
        if known is None:
            self._grids.append(grid)
        return known or grid

    def inputs(self, samples: Sequence[Any], guidance: float, negative_prompt: str | None) -> Inputs:
        """Equal inputs as one value, so that an edited prompt is encoded once and not at every step."""
        seen = (*map(id, samples), guidance, negative_prompt)
        if seen not in self._seen:  # the samples are kept too: while they live, their ids are theirs alone
            key = (*map(_content, samples), guidance, negative_prompt)
            inputs = self._inputs.setdefault(key, Inputs(tuple(samples), guidance, negative_prompt))
            self._seen[seen] = samples, inputs
        return self._seen[seen][1]

    def answers(self, asked: Sequence[Asked], step: int) -> list[Prediction]:
        """What the model says of every row at one step, in their order."""
        answers: dict[int, Prediction] = {}
        for rows in self._chunks(asked):
            answers.update(zip(rows, self._call([asked[row] for row in rows], step), strict=True))
        return [answers[row] for row in range(len(asked))]

    def forget(self) -> None:
        """A step is over: what only its own rows needed is not needed again."""
        self._seen.clear()
        self._together, self._now = self._now, {}

    def _chunks(self, asked: Sequence[Asked]) -> Iterator[list[int]]:
        kinds: dict[Hashable, list[tuple[Any, list[int]]]] = {}
        for row, each in enumerate(asked):
            groups = kinds.setdefault(each.kind, [])
            known = next((rows for alike, rows in groups if alike == each.alike), None)
            if known is None:
                groups.append((each.alike, [row]))
            else:
                known.append(row)
        for groups in kinds.values():
            for _, rows in groups:
                yield from (rows[first : first + self.size] for first in range(0, len(rows), self.size))

    def _call(self, group: list[Asked], step: int) -> list[Prediction]:
        first = group[0]
        rows = [*group, *[group[-1]] * (self.size - len(group))]
        sites = (*first.edits.sites, *_exchanged(rows), *_watching(group, self.size))
        latents = first.latents if self.size == 1 else torch.cat([row.latents for row in rows])
        condition = self._condition([row.inputs for row in rows])
        prediction = self.denoiser.predict(
            latents, step, first.grid, condition, first.inputs.guidance, replace(first.edits, sites=sites)
        )
        return [prediction] if self.size == 1 else _apart(prediction, len(group), self.size)

    def _condition(self, rows: Sequence[Inputs]) -> Any:
        """The condition of a chunk."""
        if len(rows) == 1:
            return rows[0].alone(self.denoiser)
        company = tuple(map(id, rows))
        known = self._together if company in self._together else self._now
        if company in known:
            self._now[company] = known[company]
            return known[company]
        collated = self.denoiser.collate([inputs.alone(self.denoiser) for inputs in rows])
        if collated is not None:
            return collated
        samples = [sample for inputs in rows for sample in inputs.samples]
        self._now[company] = self.denoiser.condition(samples, rows[0].guidance, rows[0].negative_prompt)
        return self._now[company]


def _exchanged(rows: Sequence[Asked]) -> Iterator[SiteTap]:
    """The edits of exchanges, given what the donors of all rows put out."""
    for place, (exchange, lent) in enumerate(rows[0].lent):
        donors = [[row.lent[place][1][donor] for row in rows] for donor in range(len(lent))]
        yield from exchange.taps([_side_by_side(of_rows) for of_rows in donors])


def _side_by_side(lent: Sequence[Lent]) -> Lent:
    if len(lent) == 1:
        return lent[0]
    return {key: torch.cat([each[key] for each in lent]) for key in lent[0]}


def _watching(group: Sequence[Asked], size: int) -> tuple[SiteTap, ...]:
    if size == 1:
        return tuple(group[0].observers)
    return tuple(_of_row(tap, row) for row, each in enumerate(group) for tap in each.observers)


def _of_row(tap: SiteTap, row: int) -> SiteTap:
    """An observer of a batch that is shown one row of it."""

    def observe(hidden: torch.Tensor, address: Address) -> None:
        tap.function(hidden[row : row + 1], address)

    return SiteTap(tap.site, observe, tap.layers)


def _apart(prediction: Prediction, count: int, size: int) -> list[Prediction]:
    """The prediction of each of the first `count` rows; what pads them is let go."""
    names = ("velocity", "clean", "cond", "model_output")
    parts = [_first(getattr(prediction, name), count).split(1) for name in names]
    calls = prediction.model_calls // size
    return [
        Prediction(velocity, clean, cond, calls, output, prediction.output_slope)
        for velocity, clean, cond, output in zip(*parts, strict=True)
    ]


def _first(tensor: torch.Tensor, count: int) -> torch.Tensor:
    return tensor if count == len(tensor) else tensor[:count].clone()


def _equal(one: Grid, other: Grid) -> bool:
    if (one.name, one.shift, one.num_steps) != (other.name, other.shift, other.num_steps):
        return False
    return torch.equal(one.sigmas, other.sigmas) and torch.equal(one.timesteps, other.timesteps)


def _content(sample: Any) -> Hashable:
    """What tells samples apart: prompt and picture by value, all else by identity."""
    if not hasattr(sample, "__dict__"):
        return id(sample)
    shown = {"prompt", "first_frame", "num_frames"}
    rest = tuple((name, id(value)) for name, value in sorted(vars(sample).items()) if name not in shown)
    frame = sample.first_frame
    return sample.prompt, sample.num_frames, frame.shape, frame.tobytes(), type(sample), rest
