"""Training puzzles of the bundled model, drawn from stepscope's own tasks (train split only) in parallel.

A puzzle is kept small: background picture uint8 [96, 96, 3], order map int16 [24, 24], last order, and what to paint
(see `stepscope.tasks.blocks`).  `videos` paints a batch of them on a GPU; a test holds it equal to the task's own.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import torch

from stepscope.tasks import find_shape, maze
from stepscope.tasks import get as get_task
from stepscope.tasks import names as task_names
from stepscope.tasks.find_shape import FindShape
from stepscope.tasks.maze import Maze

TASKS = {
    "maze": Maze(),
    "maze-two-goals": Maze("maze-two-goals", num_goals=2, default_size=9),
    "find-shape": FindShape(),
}
PROMPTS: list[str] = [
    "",
    *(TASKS[name].prompt for name in ("maze", "maze-two-goals")),
    *(f"Mark the {colour} {kind}." for colour in find_shape.COLOURS for kind in find_shape.KINDS),
]

# (task, size or count, length, share of the data).  Long ways are over-represented: they are what is hard.
MIXTURE = [
    ("maze", 5, None, 0.02),
    ("maze", 6, None, 0.02),
    ("maze", 7, None, 0.10),
    ("maze", 8, None, 0.04),
    ("maze", 9, None, 0.10),
    ("maze", 10, None, 0.05),
    ("maze", 11, None, 0.16),
    ("maze", 11, (5, 25), 0.05),
    ("maze-two-goals", 7, None, 0.06),
    ("maze-two-goals", 9, None, 0.12),
    ("maze-two-goals", 11, None, 0.16),
    ("find-shape", 3, None, 0.02),
    ("find-shape", 4, None, 0.06),
    ("find-shape", 6, None, 0.04),
]


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


def _draw_one(rng: np.random.Generator, name: str, size: int, length: tuple[int, int] | None) -> tuple:
    if name == "find-shape":
        state = find_shape.draw_state(rng, "train", size)
        item = state["items"][int(rng.integers(size))]
        prompt = PROMPTS.index(find_shape.prompt_for(item))
        return find_shape.draw_picture(state), find_shape.order_map(item), find_shape.PERIMETER, 1, prompt
    state = TASKS[name].draw_state(rng, "train", size, length)
    ways = maze.ways_of(state)
    way = ways[int(rng.integers(len(ways)))]
    prompt = PROMPTS.index(TASKS[name].prompt)
    return maze.draw_picture(state), maze.order_map(state, way), len(way) - 1, 0, prompt


def _draw_part(job: tuple[int, int]) -> Puzzles:
    seed, count = job
    rng = np.random.default_rng([seed, 2026])
    shares = np.array([share for *_, share in MIXTURE])
    picks = rng.choice(len(MIXTURE), size=count, p=shares / shares.sum())
    rows = [_draw_one(rng, *MIXTURE[pick][:3]) for pick in picks]
    pictures, orders, lasts, kinds, prompts = zip(*rows, strict=True)
    return Puzzles(np.stack(pictures), np.stack(orders), np.array(lasts, np.int32), np.array(kinds), np.array(prompts))


def draw(count: int, seed: int, workers: int) -> Puzzles:
    """`count` training puzzles; the same for the same count, seed and part size."""
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
