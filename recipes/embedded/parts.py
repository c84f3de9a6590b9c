"""The training set of an edition, drawn part by part in parallel and kept in files, so that a killed run loses little.

    drawing = Drawing(folder, count, seed, edition, workers)     starts at once, in processes of low priority
    for part in drawing: …                                       each part as soon as it is there

Every part is a function of (seed, its number, length, edition) alone; one that lies in the folder is not drawn again.
"""

import os
import pickle
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clips import LEAST_FRAMES, Clips, draw_clip
from mixtures import MIXTURES
from puzzles import TASKS, Puzzles, draw_painted

__all__ = ["FRAME_COUNTS", "Drawing", "Job", "Part", "Share", "draw_part", "jobs_of"]

FRAME_COUNTS = {17: 1.0, 13: 0.06, 9: 0.06, 5: 0.06}  # puzzles of each length, in units of the whole count
PART = 1000
Share = tuple[int, int]  # which of how many


@dataclass
class Part:
    """Puzzles of one length."""

    painted: Puzzles
    clips: Clips
    num_frames: int

    def __len__(self) -> int:
        return len(self.painted) + len(self.clips)


@dataclass(frozen=True)
class Job:
    """A part to be drawn, and where it is kept."""

    edition: int
    seed: int
    number: int
    count: int
    num_frames: int
    folder: Path

    @property
    def file(self) -> Path:
        """Where the part lies."""
        name = f"{self.edition}-{self.seed}-{self.num_frames}-{self.number:04d}-{self.count}.pickle"
        return self.folder / name


def jobs_of(folder: Path, count: int, seed: int, edition: int, share: Share = (0, 1)) -> list[Job]:
    """The parts of a training set of about `count` puzzles that fall to one of several trainers; short clips first."""
    jobs, (rank, trainers) = [], share
    for num_frames, portion in sorted(FRAME_COUNTS.items()):
        total = max(int(count * portion), trainers)
        most = min(PART, total // trainers)  # so that each trainer has some of every length
        sizes = [min(most, total - start) for start in range(0, total, most)]
        numbered = list(enumerate(sizes))[rank::trainers]
        jobs += [Job(edition, seed, number, size, num_frames, folder) for number, size in numbered]
    return jobs


def draw_part(job: Job) -> Part:
    """Draw a part."""
    rng = np.random.default_rng([job.seed, job.number, job.num_frames, job.edition, 2026])
    entries = [entry for entry in MIXTURES[job.edition] if LEAST_FRAMES.get(entry[0], 0) <= job.num_frames]
    shares = np.array([share for *_, share in entries])
    painted, clips = [], []
    for pick in rng.choice(len(entries), size=job.count, p=shares / shares.sum()):
        name, dials, _ = entries[pick]
        if name in TASKS:
            painted.append(draw_painted(rng, name, dials))
        else:
            clips.append(draw_clip(rng, name, dials, job.num_frames))
    prompts = np.array([prompt for _, prompt in clips], np.int64)
    packed = Clips([data for data, _ in clips], prompts, job.num_frames)
    return Part(Puzzles.of(painted), packed, job.num_frames)


def _keep(job: Job) -> None:
    """Draw a part into its file, unless it lies there."""
    if job.file.exists():
        return
    unfinished = job.file.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(pickle.dumps(draw_part(job), protocol=5))
    unfinished.rename(job.file)


def _step_back() -> None:
    os.nice(10)


class Drawing:
    """Parts being drawn; iterate over them once."""

    def __init__(self, folder: Path, count: int, seed: int, edition: int, workers: int, share: Share = (0, 1)) -> None:
        """Start to draw."""
        folder.mkdir(parents=True, exist_ok=True)
        self.jobs = jobs_of(folder, count, seed, edition, share)
        self.pool = ProcessPoolExecutor(workers, initializer=_step_back)
        self.kept: list[Future[None]] = [self.pool.submit(_keep, job) for job in self.jobs]

    def __len__(self) -> int:
        return len(self.jobs)

    def finish(self) -> None:
        """Wait until every part lies in its file."""
        for kept in self.kept:
            kept.result()
        self.pool.shutdown()

    def __iter__(self) -> Iterator[Part]:
        """Each part in turn, as soon as it is drawn."""
        for job, kept in zip(self.jobs, self.kept, strict=True):
            kept.result()
            yield pickle.loads(job.file.read_bytes())
        self.pool.shutdown()
