"""Training puzzles of the bundled model, drawn from stepscope's own tasks (train split only) in parallel.

Two kinds of columns.  `Puzzles` are painted on the GPU: background picture uint8 [96, 96, 3], order map int16 [24, 24],
last order, and what to paint (see `stepscope.tasks.blocks`); a test holds `videos` equal to the tasks' own.  Families
whose shapes move or grow are kept as whole videos, see `clips`.  `mixtures` says how many of each.
"""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from mixtures import MIXTURES, PROMPTS
from stepscope.tasks import find_shape, maze
from stepscope.tasks import get as get_task
from stepscope.tasks import names as task_names
from stepscope.tasks.find_shape import FindShape
from stepscope.tasks.maze import Maze

__all__ = ["PROMPTS", "TASKS", "Puzzles", "draw", "draw_clips", "draw_painted", "videos"]

TASKS = {
    "maze": Maze(),
    "maze-two-goals": Maze("maze-two-goals", num_goals=2, default_size=9),
    "find-shape": FindShape(),
}


@dataclass
class Puzzles:
    """Columns of puzzles; `kind` 0 paints a trail with an agent at its head, 1 a dark frame."""

    picture: np.ndarray
    order: np.ndarray
    last: np.ndarray
    kind: np.ndarray
    prompt: np.ndarray

    def __len__(self) -> int:
        return len(self.last)

    @classmethod
    def joined(cls, parts: "list[Puzzles]") -> "Puzzles":
        """Several sets as one."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    @classmethod
    def of(cls, rows: list[tuple]) -> "Puzzles":
        """The columns of rows as `draw_painted` gives them."""
        if not rows:
            empty = np.zeros(0, np.int64)
            return cls(np.zeros((0, 96, 96, 3), np.uint8), np.zeros((0, 24, 24), np.int16), empty, empty, empty)
        pictures, orders, lasts, kinds, prompts = zip(*rows, strict=True)
        return cls(np.stack(pictures), np.stack(orders), np.array(lasts), np.array(kinds), np.array(prompts))


def draw_painted(rng: np.random.Generator, name: str, dials: Mapping[str, Any]) -> tuple:
    """One row of `Puzzles`; of several right answers each is as likely."""
    if name == "find-shape":
        return _draw_shapes(rng, **dials)
    state = TASKS[name].draw_state(rng, "train", dials["size"], dials.get("length"))
    ways = maze.ways_of(state)
    way = ways[int(rng.integers(len(ways)))]
    prompt = PROMPTS.index(TASKS[name].prompt)
    return maze.draw_picture(state), maze.order_map(state, way), len(way) - 1, 0, prompt


def _draw_shapes(rng: np.random.Generator, count: int, named: bool = True) -> tuple:
    odd = 0 if named else int(rng.integers(1, 3))
    state = find_shape.draw_state(rng, "train", count, odd)
    items = state["items"]
    right = range(count) if named else find_shape.targets_of(find_shape.ODD_PROMPT, items)
    item = items[right[int(rng.integers(len(right)))]]
    prompt = PROMPTS.index(find_shape.prompt_for(item) if named else find_shape.ODD_PROMPT)
    return find_shape.draw_picture(state), find_shape.order_map(item), find_shape.PERIMETER, 1, prompt


def _draw_part(job: tuple[int, int]) -> Puzzles:
    seed, count = job
    rng = np.random.default_rng([seed, 2026])
    shares = np.array([share for *_, share in MIXTURES[1]])
    picks = rng.choice(len(shares), size=count, p=shares / shares.sum())
    return Puzzles.of([draw_painted(rng, *MIXTURES[1][pick][:2]) for pick in picks])


def draw(count: int, seed: int, workers: int) -> Puzzles:
    """`count` puzzles of the first edition; the same for the same count, seed and part size."""
    part = 500
    jobs = [(seed * 100_000 + i, part) for i in range(-(-count // part))]
    if workers <= 1:
        return Puzzles.joined([_draw_part(job) for job in jobs])
    with ProcessPoolExecutor(workers) as pool:
        return Puzzles.joined(list(pool.map(_draw_part, jobs)))


def _draw_clip(job: tuple[str, int]) -> np.ndarray:
    name, seed = job
    solutions = get_task(name).sample(seed, split="train").solutions
    return solutions[seed % len(solutions)]


def draw_clips(count: int, seed: int, workers: int) -> np.ndarray:
    """`count` solution videos of every other task, for the codec alone: uint8 [n, 17, 96, 96, 3]."""
    jobs = [(name, seed * 1_000_000 + i) for name in task_names() if name not in TASKS for i in range(count)]
    if workers <= 1:
        return np.stack([_draw_clip(job) for job in jobs])
    with ProcessPoolExecutor(workers) as pool:
        return np.stack(list(pool.map(_draw_clip, jobs, chunksize=32)))


def videos(puzzles: Puzzles, index: np.ndarray, num_frames: int, device: torch.device) -> torch.Tensor:
    """Paint a batch: float [B, 3, T, 96, 96] in [-1, 1]."""
    picture = torch.from_numpy(puzzles.picture[index]).to(device).permute(0, 3, 1, 2)[:, :, None]
    order = torch.from_numpy(puzzles.order[index].astype(np.int32)).to(device)
    order = order.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, None, None]
    last = torch.from_numpy(puzzles.last[index]).to(device).double()
    share = torch.arange(num_frames, device=device) / (num_frames - 1)
    front = torch.floor(share.double() * last[:, None] + 0.5)[:, None, :, None, None]
    framed = torch.from_numpy(puzzles.kind[index]).to(device).view(-1, 1, 1, 1, 1) == 1
    trail, agent, mark = (
        torch.tensor(colour, device=device).view(1, 3, 1, 1, 1)
        for colour in (maze.MAZE_PALETTE["trail"], maze.MAZE_PALETTE["agent"], find_shape.PALETTE["mark"])
    )
    video = torch.where((order >= 0) & (order < front), torch.where(framed, mark, trail), picture)
    video = torch.where((order == front) & ~framed, agent, video)
    return video.float() / 127.5 - 1
