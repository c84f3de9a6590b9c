"""Puzzles on a bench: helpers lay them and judge what comes of them, while the model answers the next ones.

    for columns in Bench(model, names, batch, workers).run(rows, answer): …

`answer` turns a batch of puzzles into named videos, as latents; every one is decoded and scored.  Beside `success` (NaN
for a video that no scorer can read, which is neither right nor wrong) and `progress`, columns hold `rule`, what the
task's rule says without the solution (NaN where a task has none), `knowledge`, R of each, and whatever else `answer`
says of a puzzle.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import desk as desks
from batched import Batched
from cells import Row, draw_row
from check_codec import to_clip
from measures import hull
from stepscope.tasks import Sample
from stepscope.tasks import get as get_task

__all__ = ["Asked", "Bench", "Columns", "Said", "drawn", "joined", "keep", "unscored"]

PLACES = 4  # batches on the desk: two being laid, one answered, one judged
Columns = dict[str, np.ndarray]


class Desk(desks.Desk):
    """A desk with room for several videos a puzzle."""

    def __init__(self, places: int, batch: int, videos: int) -> None:
        """Clear it."""
        super().__init__(places, batch)
        self.videos = desks._shared(places, videos, batch, desks.FRAMES, desks.SIDE, desks.SIDE, 3)

    def judge(self, job: desks.Job) -> list[tuple[float, ...]]:  # type: ignore[override]
        """Success, progress and rule of every video of a puzzle, which is shown without its solutions."""
        (place, spot), row = job
        first, name, state = self.first[place, spot], row["task"], row["state"]
        sample, task = Sample(row["prompt"], first, desks.FRAMES, name, row["seed"], state=state), get_task(name)
        rule = getattr(task, "rule", lambda *_: np.nan)
        scores = [task.score(video, sample) for video in self.videos[place, :, spot]]
        rules = [rule(video, sample) for video in self.videos[place, :, spot]]
        successes = [np.nan if score.success is None else float(score.success) for score in scores]
        return [(right, s.progress, said) for right, s, said in zip(successes, scores, rules, strict=True)]


@dataclass(frozen=True)
class Asked:
    """A batch of puzzles, as the model sees them.

    Attributes:
        rows: what they are.
        condition: [B, C, F, H, W].
        prompt: indices [B].
        solutions: one or two right answers, the same twice where there is one, [2, B, C, F, H, W].
        still: the puzzle at rest [B, C, F, H, W].
        first: first frames uint8 [B, H, W, 3].
    """

    rows: list[Row]
    condition: torch.Tensor
    prompt: torch.Tensor
    solutions: torch.Tensor
    still: torch.Tensor
    first: np.ndarray


@dataclass(frozen=True)
class Said:
    """What came of a batch: latents [B, C, F, H, W] of every name, and further columns [B, …]."""

    videos: Mapping[str, torch.Tensor]
    columns: Mapping[str, np.ndarray]


class Bench:
    """A model with helpers at a desk."""

    def __init__(self, model: Batched, names: Sequence[str], batch: int, helpers: desks.Helpers) -> None:
        """Sit down; `helpers` were hired for `Desk(PLACES, batch, len(names))` before the GPU was touched."""
        self.model, self.names, self.batch, self.helpers = model, tuple(names), batch, helpers

    def run(self, rows: Sequence[Row], todo: np.ndarray, answer: Callable[[Asked], Said]) -> Iterator[Columns]:
        """Columns of each finished batch of the puzzles whose indices are to do."""
        waiting, ahead, judged = self._batches(rows, todo), deque(), deque()
        for batch in (next(waiting, None), next(waiting, None)):
            if batch:
                ahead.append((*batch, self.helpers.ask("lay", _jobs(*batch))))
        while ahead:
            index, mine, place, laid = ahead.popleft()
            columns = self._answered(index, mine, place, np.array(list(laid)), answer)
            judged.append((columns, self.helpers.ask("judge", _jobs(index, mine, place))))
            if len(judged) > 1:  # before the next batch is laid, so that a place is free
                yield self._finished(*judged.popleft())
            if batch := next(waiting, None):
                ahead.append((*batch, self.helpers.ask("lay", _jobs(*batch))))
        while judged:
            yield self._finished(*judged.popleft())

    def _batches(self, rows: Sequence[Row], todo: np.ndarray) -> Iterator[tuple[np.ndarray, list[Row], int]]:
        """Batches of one size; the last is filled up with puzzles that come again."""
        for number, start in enumerate(range(0, len(todo), self.batch)):
            index = np.resize(todo[start : start + self.batch], self.batch)
            yield index, [rows[i] for i in index], number % PLACES

    @torch.no_grad()
    def _answered(
        self, index: np.ndarray, rows: list[Row], place: int, answers: np.ndarray, answer: Callable[[Asked], Said]
    ) -> Columns:
        desk, model = self.helpers.desk, self.model
        first = to_clip(desk.first[place][:, None], model.device)
        shown = desk.solutions[place]
        one = model.encode(to_clip(shown[:, 0], model.device))
        solutions = torch.stack([one, one])
        two = np.flatnonzero(answers == len(solutions))
        if len(two):
            solutions[1, torch.from_numpy(two).to(model.device)] = model.encode(to_clip(shown[two, 1], model.device))
        still = model.encode(first.expand(-1, -1, model.card.num_frames, -1, -1))
        prompt = model.prompts([row["prompt"] for row in rows])
        said = answer(Asked(rows, model.condition(first), prompt, solutions, still, desk.first[place]))
        results = [said.videos[name] for name in self.names]
        for number, result in enumerate(results):
            torch.from_numpy(desk.videos[place, number]).copy_(model.decode(result))
        knowledge, _ = hull(torch.stack(results), solutions, still)
        return {"index": index, "knowledge": knowledge.T.float().cpu().numpy(), **said.columns}

    @staticmethod
    def _finished(columns: Columns, verdicts: Iterator[list[tuple[float, ...]]]) -> Columns:
        success, progress, rule = np.moveaxis(np.array(list(verdicts), np.float32), -1, 0)
        return {**columns, "success": success, "progress": progress, "rule": rule}


def _jobs(index: np.ndarray, rows: list[Row], place: int) -> list[desks.Job]:
    return [((place, spot), row) for spot, row in enumerate(rows)]


def joined(parts: Sequence[Columns], rows: Sequence[Row], names: Sequence[str]) -> Columns:
    """Parts as one, each puzzle once, with the names of the videos, the device, and what identifies a puzzle."""
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[-1] if name not in _ADDED}
    _, unique = np.unique(whole["index"], return_index=True)
    whole = {name: column[unique] for name, column in whole.items()}
    told = {name: np.array([rows[i][name] for i in whole["index"]]) for name in _OF_ROWS}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CPU"
    return whole | told | {"names": np.array(names), "device": np.array(device)}


_OF_ROWS = ("cell", "task", "seed", "puzzle")
_ADDED = ("names", "device", *_OF_ROWS)


def unscored(columns: Columns) -> dict[str, int]:
    """How many videos no scorer could read, by name; names of which all were scored are left out."""
    counts = np.isnan(columns["success"].astype(float)).sum(axis=0)
    return {str(name): int(count) for name, count in zip(columns["names"], counts, strict=True) if count}


def keep(columns: Columns, file: Path) -> None:
    """Write columns, whole or not at all."""
    unfinished = file.with_suffix(".part.npz")
    np.savez_compressed(unfinished, **columns)  # type: ignore[arg-type]
    unfinished.rename(file)


def drawn(jobs: Sequence[tuple[Any, int]], workers: int) -> list[Row]:
    """The puzzles of cells and seeds, in their order."""
    if workers <= 1:
        return [draw_row(job) for job in jobs]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(draw_row, jobs, chunksize=16))
