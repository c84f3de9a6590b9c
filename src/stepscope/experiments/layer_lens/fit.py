"""Fitting the lens: a ridge map from each layer to the last, for each step, on puzzles that are not measured.

    puzzles    training split of the task, of the same dials, seeds from 1,000,000 on, those that are measured left out
    noise      a seed for each, from 1,000,000 on
    sources    [input, block l, block m, ...] as recorded; the last of them is the target

    half       a second lens, of the first half of the puzzles: where it reads much less, there are too few of them

One run a puzzle; hidden states are added up and dropped, 16 D^2 bytes a source and step remain.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from stepscope.analysis import Affine, Regression
from stepscope.denoise import Recorder
from stepscope.errors import BadInputError
from stepscope.executors import Job, draw_sample, sample_digest
from stepscope.scope import Trace

__all__ = ["Lens", "fit", "sources", "to_last"]

_FIRST = 1_000_000
_TRIES = 10
"""Puzzles that are drawn for each that is wanted."""


@dataclass(frozen=True, eq=False)
class Lens:
    """The maps to the last layer.

    Attributes:
        maps: [step][source], for every source but the last.
        half: The same, fitted on the first half of the puzzles, rounded up.
    """

    maps: Sequence[Sequence[Affine]]
    half: Sequence[Sequence[Affine]]


def to_last(maps: Sequence[Affine], hidden: Float[torch.Tensor, "n L D"]) -> Float[torch.Tensor, "n L D"]:
    """The hidden states of all sources as the last layer's; its own as they are."""
    mapped = [each(source) for each, source in zip(maps, hidden[:-1], strict=True)]
    return torch.stack([*mapped, hidden[-1]])


def sources(trace: Trace) -> Float[torch.Tensor, "steps sources L D"]:
    """What was recorded of a run: what enters the first block, then what the chosen ones put out."""
    recorded = [trace.records["raw_resid_pre"], trace.records["raw_block"]]
    return torch.from_numpy(np.concatenate(recorded, axis=1))


def fit(job: Job, recorders: Callable[[], Sequence[Recorder]], count: int, penalty: float | int) -> Lens:
    """Fit the maps.

    Args:
        job: Which model, which task, which settings, and what is measured.
        recorders: Fresh recorders of hidden states.
        count: Puzzles.
        penalty: Of the ridge.

    Raises:
        BadInputError: If the task has too few puzzles beside those that are measured.
    """
    sums: list[list[Regression]] = []
    half = sums
    for index, sample in enumerate(_puzzles(job, count)):
        options = job.recording.settings.options()
        trace = job.model.denoise(sample, seed=_FIRST + index, recorders=recorders(), **options)
        seen = [[Regression.of(source, step[-1]) for source in step[:-1]] for step in sources(trace)]
        sums = (
            [[a.joined(b) for a, b in zip(*pair, strict=True)] for pair in zip(sums, seen, strict=True)]
            if sums
            else seen
        )
        half = sums if 2 * index < count else half
    return Lens(_solved(sums, penalty), _solved(half, penalty))


def _solved(sums: Sequence[Sequence[Regression]], penalty: float | int) -> list[list[Affine]]:
    return [[each.solved(penalty) for each in step] for step in sums]


def _puzzles(job: Job, count: int) -> Sequence[Any]:
    measured = {sample_digest(sample) for sample in job.recording.samples}
    found = list(islice((sample for sample in _drawn(job, count) if sample_digest(sample) not in measured), count))
    if len(found) < count:
        raise BadInputError(
            f"The lens is fitted on {count} puzzles that are not measured, and {len(found)} came. Measure fewer "
            "puzzles, set a smaller calibration, or dials that allow for more puzzles."
        )
    return found


def _drawn(job: Job, count: int) -> Iterator[Any]:
    task: Any = job.recording.task
    dials: Any = job.recording.asked["dials"]
    for seed in range(_FIRST, _FIRST + _TRIES * count):
        yield draw_sample(task, seed, "train", dials)
