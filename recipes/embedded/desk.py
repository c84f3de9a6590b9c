"""A desk shared by the process that samples and its helpers: puzzles and videos lie on it, and none travels by pipe.

Pickled through a pipe, a puzzle and its two videos are 4 MB, which took longer than to denoise them.  Here helpers
write first frames and solutions into shared memory and read the decoded videos from it; only rows, some hundred bytes,
travel.  The desk has several places for a batch, so that helpers draw the next one and judge the last one meanwhile.
"""

import mmap
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from cells import Row, sample_of
from stepscope.tasks import Sample
from stepscope.tasks import get as get_task

__all__ = ["Desk", "Helpers"]

SIDE, FRAMES, ANSWERS, VIDEOS = 96, 17, 2, 2
Place = tuple[int, int]
Job = tuple[Place, Row]


def _shared(*shape: int) -> np.ndarray:
    """Memory that processes forked later see as well."""
    memory = mmap.mmap(-1, int(np.prod(shape)))
    return np.frombuffer(memory, np.uint8).reshape(shape)


class Desk:
    """Places for a few batches.

    Attributes:
        first: first frames, uint8 [places, B, 96, 96, 3].
        solutions: the one or two right answers, uint8 [places, B, 2, 17, 96, 96, 3].
        videos: the model's, at step 0 and at the end, uint8 [places, 2, B, 17, 96, 96, 3].
    """

    def __init__(self, places: int, batch: int) -> None:
        """Clear a desk."""
        self.places = places
        self.first = _shared(places, batch, SIDE, SIDE, 3)
        self.solutions = _shared(places, batch, ANSWERS, FRAMES, SIDE, SIDE, 3)
        self.videos = _shared(places, VIDEOS, batch, FRAMES, SIDE, SIDE, 3)

    def lay(self, job: Job) -> int:
        """Put a puzzle on its place; how many right answers it has."""
        place, row = job
        sample = sample_of(row)
        self.first[place] = sample.first_frame
        for answer, frames in enumerate(sample.solutions):
            self.solutions[(*place, answer)] = frames
        return len(sample.solutions)

    def judge(self, job: Job) -> list[bool]:
        """Success of the model's videos; no scorer reads the solutions of a sample."""
        (place, spot), row = job
        sample = Sample(row["prompt"], self.first[place, spot], FRAMES, row["task"], row["seed"], state=row["state"])
        return [bool(get_task(row["task"]).score(video, sample).success) for video in self.videos[place, :, spot]]


_desk: list[Desk] = []  # the desk at which this helper sits


def _sit_down(desk: Desk) -> None:
    _desk[:] = [desk]


def _do(order: tuple[str, Job]) -> Any:
    verb, job = order
    return getattr(_desk[0], verb)(job)


class Helpers:
    """Processes at a desk; with none, the work is done when its result is asked for."""

    def __init__(self, desk: Desk, workers: int) -> None:
        """Hire them; do it before anything touches the GPU, since it forks."""
        self.desk = desk
        fork = multiprocessing.get_context("fork")
        self.pool = ProcessPoolExecutor(workers, fork, _sit_down, (desk,)) if workers else None
        if self.pool:
            self.pool.submit(int).result()  # forks all of them

    def ask(self, verb: str, jobs: Sequence[Job], chunk: int = 8) -> Iterator[Any]:
        """Results of `lay` or `judge` for each job, in turn; the work begins now."""
        work: Callable = getattr(self.desk, verb)
        if self.pool is None:
            return map(work, jobs)
        return self.pool.map(_do, [(verb, job) for job in jobs], chunksize=chunk)

    def leave(self) -> None:
        """Send them home."""
        if self.pool:
            self.pool.shutdown(cancel_futures=True)
