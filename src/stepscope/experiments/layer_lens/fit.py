"""Fitting the lens: a ridge map from each layer to the last, for each step, on puzzles that are not measured.

    puzzles    training split of the task, of the same dials, seeds from 1,000,000 on, those that are measured left out
    noise      a seed for each, from 1,000,000 on
    half       a second lens, of the first half of the puzzles: where it reads much less, there are too few of them

One run a puzzle, whose hidden states are added up while it runs (see `regressions`).  Cost: 4 D^2 bytes a source, step
and lens on the model's device.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from stepscope.analysis import Affine, Regression
from stepscope.errors import BadInputError
from stepscope.executors import Job, content_digest, draw_sample
from stepscope.experiments.layer_lens.regressions import LensRegressions

__all__ = ["Lens", "fit"]

_FIRST = 1_000_000
_TRIES = 10
"""Puzzles that are drawn for each that is wanted."""

Sums = Sequence[Sequence[Regression]]


@dataclass(frozen=True, eq=False)
class Lens:
    """The maps to the last layer.

    Attributes:
        maps: [step][source], for every source but the last.
        half: The same, fitted on the first half of the puzzles, rounded up.
        denoiser: The model, whose `head` reads the last layer.
    """

    maps: Sequence[Sequence[Affine]]
    half: Sequence[Sequence[Affine]]
    denoiser: Any


def fit(job: Job, recorder: LensRegressions, count: int, penalty: float | int) -> Lens:
    """Fit the maps.

    Args:
        job: Which model, which task, which settings, and what is measured.
        recorder: Adds up the hidden states of a run.
        count: Puzzles.
        penalty: Of the ridge.

    Raises:
        BadInputError: If the task has too few puzzles beside those that are measured.
    """
    sums: Sums = []
    half = sums
    for index, sample in enumerate(_puzzles(job, count)):
        options = job.recording.settings.options()
        trace = job.model.denoise(sample, seed=_FIRST + index, recorders=[recorder], **options)
        seen = trace.records[recorder.name]
        sums = _joined(sums, seen) if sums else seen
        half = sums if 2 * index < count else half
    denoiser = job.model.loaded.denoiser
    return Lens(_solved(sums, penalty, denoiser.device), _solved(half, penalty, denoiser.device), denoiser)


def _joined(first: Sums, second: Sums) -> list[list[Regression]]:
    return [[a.joined(b) for a, b in zip(*steps, strict=True)] for steps in zip(first, second, strict=True)]


def _solved(sums: Sums, penalty: float | int, device: torch.device) -> list[list[Affine]]:
    """The maps, in float32 where the model runs."""
    solved = [[each.solved(penalty) for each in step] for step in sums]
    return [
        [Affine(*(part.to(device, torch.float32) for part in vars(each).values())) for each in step] for step in solved
    ]


def _puzzles(job: Job, count: int) -> Sequence[Any]:
    measured = {content_digest(sample) for sample in job.recording.samples}
    found = list(islice((sample for sample in _drawn(job, count) if content_digest(sample) not in measured), count))
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
