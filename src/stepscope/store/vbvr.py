"""The folders of VBVR-Bench: reading the ground truth, and finding a model's videos for it.

    GT/{In-Domain_50,Out-of-Domain_50}/{TASK}_data-generator/{00000}/first_frame.png final_frame.png
                                                                     ground_truth.mp4 prompt.txt
    VIDEOS/{In-Domain_50,Out-of-Domain_50}/{TASK}_data-generator/{00000}.mp4

(Layout of Video-Reason/VBVR-EvalKit at 275472ff.)  What does not fit is told in one line each, and the rest goes on.
A place is made of a known split, a known task and five digits, so nothing that a folder is called leads anywhere else.
"""

import contextlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepscope.errors import BadInputError, RecordError, UnknownNameError
from stepscope.store.vbvr_names import SPLITS, SUFFIX, bench_name, category_of, split_of_task
from stepscope.store.vbvr_video import count_frames, require_av

__all__ = [
    "FILES",
    "MANIFEST",
    "BenchSample",
    "GroundTruth",
    "Place",
    "Videos",
    "find_videos",
    "read_ground_truth",
    "steps_of",
]

FILES = FIRST, FINAL, VIDEO, PROMPT = ("first_frame.png", "final_frame.png", "ground_truth.mp4", "prompt.txt")
MANIFEST = "vbvr.json"
_INDEX = re.compile(r"[0-9]{5}")
_RUNS = re.compile(r"seed-\d+")
_LEAST_FRAMES = 2


@dataclass(frozen=True, order=True)
class Place:
    """Where a sample stands in the benchmark.

    Attributes:
        task: the benchmark's name, without the suffix.
        index: 0 to 99999.
    """

    task: str
    index: int

    @property
    def category(self) -> str:
        """One of `vbvr_names.CATEGORIES`."""
        return category_of(self.task)

    @property
    def path(self) -> Path:
        """`split/TASK_data-generator/00000`, relative."""
        return Path(split_of_task(self.task), f"{self.task}{SUFFIX}", f"{self.index:05d}")


@dataclass(frozen=True)
class BenchSample:
    """One question of the benchmark.

    Attributes:
        place: where it stands.
        folder: where it lies.
    """

    place: Place
    folder: Path

    @property
    def prompt(self) -> str:
        """What is asked."""
        try:
            return (self.folder / PROMPT).read_text(encoding="utf-8").strip()
        except ValueError as error:
            raise RecordError(f"{str(self.folder / PROMPT)!r} is no UTF-8 text ({error}). Fetch it again.") from error


@dataclass(frozen=True)
class GroundTruth:
    """The questions of a folder, in order, and a line for each thing in it that is none."""

    samples: tuple[BenchSample, ...]
    complaints: tuple[str, ...]


@dataclass(frozen=True)
class Videos:
    """A model's answers.

    Attributes:
        runs: by name of the run (empty for the folder itself): {place: video file}.
        complaints: a line for each video that is missing, unreadable or of a wrong length, and for whatever lies there
            and belongs to no question.
    """

    runs: Mapping[str, Mapping[Place, Path]]
    complaints: tuple[str, ...]


def read_ground_truth(folder: Path, own: Collection[str] = (), limit: int | None = None) -> GroundTruth:
    """What questions a folder holds.

    Args:
        folder: of the layout above.
        own: names of tasks that are no part of the benchmark and are let pass.
        limit: at most so many samples a task.

    Raises:
        BadInputError: if it has no folder of the layout, or no whole sample in it.
    """
    halves = [folder / split for split in SPLITS if (folder / split).is_dir()]
    if not halves:
        raise BadInputError(
            f"{str(folder)!r} has neither {' nor '.join(SPLITS)}. The ground truth of VBVR-Bench has one of them. "
            "Give the folder that holds them."
        )
    complaints = [f"{str(odd)!r} is no part of the benchmark." for odd in _children(folder) if _is_odd(odd, halves)]
    samples: list[BenchSample] = []
    for task, path in _tasks(halves, own, complaints):
        found = [sample for sample in _samples(task, path, complaints) if _is_whole(sample, complaints)]
        known = {sample.place for sample in samples}
        complaints += [f"{str(twin.folder)!r} is left out: it is there twice." for twin in found if twin.place in known]
        samples += [sample for sample in found if sample.place not in known][:limit]
    if not samples:
        raise BadInputError(f"{str(folder)!r} holds no whole sample: {'; '.join(complaints[:3])} Give another folder.")
    return GroundTruth(tuple(samples), tuple(complaints))


def find_videos(folder: Path, samples: Sequence[BenchSample], num_frames: int | None = None) -> Videos:
    """The videos of a model for these questions.

    Args:
        folder: of the layout above, or one that holds such folders as `seed-0`, `seed-1`, ….
        samples: the questions.
        num_frames: how many frames a video must have; None for what most have (where that is a tie, what their ground
            truths have).

    Raises:
        BadInputError: if the folder does not exist, or PyAV is missing.
    """
    require_av()
    if not folder.is_dir():
        raise BadInputError(f"The videos {str(folder)!r} do not exist. Give the folder that holds the splits.")
    roots = {path.name: path for path in _children(folder) if _RUNS.fullmatch(path.name)} or {"": folder}
    expected = {run: {sample.place: _video_of(root, sample) for sample in samples} for run, root in roots.items()}
    complaints = list(_strangers(folder, {path for found in expected.values() for path in found.values()}))
    lengths: dict[tuple[str, Place], int] = {}
    paths: dict[tuple[str, Place], Path] = {}
    for run, found in expected.items():
        lengths |= {(run, place): count for place, count in _lengths(found, complaints)}
        paths |= {(run, place): path for place, path in found.items()}
    right = _usual(samples, lengths) if num_frames is None else num_frames
    runs: dict[str, dict[Place, Path]] = {run: {} for run in roots}
    for (run, place), count in lengths.items():
        path = paths[run, place]
        if count != right or count < _LEAST_FRAMES:
            complaints.append(f"The video {str(path)!r} has {count} frames; {right} are right (--frames says so).")
        else:
            runs[run][place] = path
    return Videos(runs, tuple(complaints))


def _tasks(halves: Sequence[Path], own: Collection[str], complaints: list[str]) -> Iterator[tuple[str, Path]]:
    for half in halves:
        for path in _children(half):
            try:
                task = bench_name(path.name, own)
            except UnknownNameError as error:
                complaints.append(f"{str(path)!r} is left out. {error}")
                continue
            if split_of_task(task) != half.name:
                complaints.append(f"{str(path)!r} is left out: {task} belongs to {split_of_task(task)}.")
            elif path.is_dir():
                yield task, path


def _samples(task: str, folder: Path, complaints: list[str]) -> Iterator[BenchSample]:
    for path in _children(folder):
        if path.is_dir() and _INDEX.fullmatch(path.name):
            yield BenchSample(Place(task, int(path.name)), path)
        else:
            complaints.append(f"{str(path)!r} is left out: a sample is a folder of five digits.")


def _is_whole(sample: BenchSample, complaints: list[str]) -> bool:
    missing = [name for name in FILES if not (sample.folder / name).is_file()]
    if missing:
        complaints.append(f"{str(sample.folder)!r} is left out: it lacks {', '.join(missing)}.")
    return not missing


def _video_of(root: Path, sample: BenchSample) -> Path:
    """Where the video of a sample lies: under the benchmark's name, or under that of the ground truth's folder."""
    same = root / sample.place.path.with_suffix(".mp4")
    other = same.parent.with_name(sample.folder.parent.name) / same.name
    return other if other.is_file() and not same.is_file() else same


def _lengths(expected: Mapping[Place, Path], complaints: list[str]) -> Iterator[tuple[Place, int]]:
    """The number of frames of each video that is there and can be read."""
    for place, path in expected.items():
        if not path.is_file():
            complaints.append(f"The video {str(path)!r} is missing.")
            continue
        try:
            yield place, count_frames(path)
        except RecordError as error:
            complaints.append(str(error))


def _usual(samples: Sequence[BenchSample], lengths: Mapping[tuple[str, Place], int]) -> int:
    """The number of frames that most videos have; in a tie, or of a single video, what the ground truths have."""
    counts = Counter(lengths.values())
    if len(counts) == 1 and len(lengths) > 1:
        return next(iter(counts))
    truths = Counter(_truth_lengths(samples))
    candidates = {*counts, *truths} if max(counts.values(), default=1) == 1 else {*counts}
    return max(candidates, key=lambda length: (counts[length] or 1, truths[length]), default=0)


def _truth_lengths(samples: Sequence[BenchSample]) -> Iterator[int]:
    for sample in samples:
        with contextlib.suppress(RecordError):  # the self-test tells of it
            yield count_frames(sample.folder / VIDEO)


def steps_of(video: Path) -> Path:
    """Where the steps that led to a video are kept."""
    return video.with_suffix(".safetensors")


def _strangers(folder: Path, videos: set[Path]) -> Iterator[str]:
    """A line for every file, and every folder as a whole, that has to do with no question."""
    files = {folder / MANIFEST, *videos, *map(steps_of, videos)}
    return _others(folder, files, {parent for video in videos for parent in video.parents})


def _others(folder: Path, files: set[Path], folders: set[Path]) -> Iterator[str]:
    for path in _children(folder):
        if path in folders and path.is_dir():
            yield from _others(path, files, folders)
        elif path not in files:
            kind = "folder" if path.is_dir() else "file"
            yield f"The {kind} {str(path)!r} answers no question of the ground truth."


def _children(folder: Path) -> list[Path]:
    """What lies in a folder, but for the hidden files that systems leave."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if not path.name.startswith(".") or path.name.startswith("..")]


def _is_odd(path: Path, halves: Sequence[Path]) -> bool:
    return path.is_dir() and path not in halves
