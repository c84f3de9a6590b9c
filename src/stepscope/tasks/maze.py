"""Mazes: lead the green agent to a red goal; it leaves a blue trail.

`maze` has one goal and, being perfect, one solution.  `maze-two-goals` sets the agent midway between two goals, either
of which is right: two solutions, equally likely in the training data.

Dials: `size` n (3–11 cells a side), `length` of the way in cells (an int, or a (low, high) pair, both included) and
`num_frames`.  State: {"size", "walls" [2n+1][2n+1], "start", "goals", "cell_px", "origin"}.

A video succeeds if (1) the walls stay, (2) every frame's marks (trail and agent) are the beginning of one and the same
way from the start, with the agent at its front, never shrinking and never jumping by more than `JUMP` times the even
pace or all the way, and (3) the last frame marks the whole way to a goal and nothing else, without an unclear square.
Before the last frame `UNREAD` unclear squares a frame are let pass: the agent may be caught between two squares.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from stepscope.errors import BadInputError
from stepscope.tasks import blocks
from stepscope.tasks.legal_path import legality
from stepscope.tasks.perfect_maze import Cell, carve, distances, path_between, squares_of
from stepscope.tasks.sample import Sample, Score, Split, check_split, split_of, unreadable

__all__ = ["MAZE_PALETTE", "Maze"]

MAZE_PALETTE: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "floor": (242, 242, 238),
        "wall": (38, 42, 58),
        "agent": (0, 170, 80),
        "goal": (225, 40, 50),
        "trail": (60, 120, 235),
    }
)
BACKGROUND = (224, 227, 234)
FLOOR, WALL, AGENT, GOAL, TRAIL = range(5)
SIZES = range(3, 12)
UNREAD = 2
JUMP = 2
WALLS_KEPT = 0.98
TRIES = 20_000


@dataclass(frozen=True)
class Maze:
    """A family of mazes with one goal or two."""

    name: str = "maze"
    num_goals: int = 1
    version: int = 1
    default_size: int = 7
    palette = MAZE_PALETTE

    def sample(
        self,
        seed: int,
        *,
        split: Split = "test",
        size: int | None = None,
        length: int | tuple[int, int] | None = None,
        num_frames: int = 17,
    ) -> Sample:
        """The maze with this seed.

        Args:
            seed: any non-negative integer; another seed is another maze.
            split: `"test"` or `"train"`, by content.
            size: cells a side, 3–11; 7 for one goal and 9 for two unless given.
            length: moves from cell to cell on the way, or (low, high); for two goals, of either way.
            num_frames: frames of the video, at least 2.
        """
        size = self.default_size if size is None else size
        check_split(split)
        _check_dials(seed, size, num_frames)
        state = self.draw_state(np.random.default_rng([seed, size, self.num_goals]), split, size, length)
        return self.from_state(state, num_frames=num_frames, seed=seed)

    def draw_state(
        self, rng: np.random.Generator, split: Split, size: int, length: int | tuple[int, int] | None
    ) -> dict[str, Any]:
        """Draw puzzles until one has the wanted length and belongs to the split."""
        low, high = self._length_range(size, length)
        for _ in range(TRIES):
            state = self._propose(rng, size, low, high)
            if state is not None and split_of(state) == split:
                return state
        raise BadInputError(
            f"No {self.name} of size {size} has a way of {low} to {high} moves in {TRIES} tries. "
            f"Ways up to about {size * size // 2} are common. Choose another length or size."
        )

    def from_state(self, state: Mapping[str, Any], *, num_frames: int = 17, seed: int | None = None) -> Sample:
        """The sample of a state."""
        picture, ways = draw_picture(state), ways_of(state)
        orders = [order_map(state, way) for way in ways]
        colours = MAZE_PALETTE["trail"], MAZE_PALETTE["agent"]
        return Sample(
            prompt=self.prompt,
            first_frame=picture,
            num_frames=num_frames,
            task=self.name,
            seed=seed,
            solutions=tuple(
                blocks.paint_video(picture, order, len(way) - 1, num_frames, *colours)
                for order, way in zip(orders, ways, strict=True)
            ),
            state=state,
            masks=_masks(state, orders, ways, num_frames),
        )

    @property
    def prompt(self) -> str:
        """What the model is asked."""
        target = "the red goal" if self.num_goals == 1 else "one of the two red goals"
        return f"Solve the maze: move the green agent to {target}."

    def score(self, frames: np.ndarray, sample: Sample) -> Score:
        """The verdict on `frames` uint8 [T, H, W, 3]; see the head of this file for the rule."""
        refused = unreadable(frames, sample)
        if refused is not None:
            return refused
        state = sample.state or {}
        seen = read_squares(frames, state)
        walls = np.array(state["walls"], dtype=bool)
        verdicts = [_follow(seen, walls, way, f"goal-{i}") for i, way in enumerate(ways_of(state))]
        return max(verdicts, key=lambda score: (bool(score.success), score.progress))

    def rule(self, frames: np.ndarray, sample: Sample) -> float:
        """Whether the last frame shows one legal path to a goal, -1 to 1; no solution is looked at."""
        colours = MAZE_PALETTE["trail"], MAZE_PALETTE["agent"]
        return legality(frames, sample.first_frame, sample.state or {}, colours)

    def _length_range(self, size: int, length: int | tuple[int, int] | None) -> tuple[int, int]:
        if length is None:
            return (size, 4 * size) if self.num_goals == 1 else (size // 2, 2 * size)
        low, high = (length, length) if isinstance(length, int) else (int(length[0]), int(length[1]))
        if not 1 <= low <= high < size * size:
            raise BadInputError(
                f"Length came as {length}. It is 1 to {size * size - 1} moves for size {size}, as one number or as "
                f"(low, high). Choose such a length."
            )
        return low, high

    def _propose(self, rng: np.random.Generator, size: int, low: int, high: int) -> dict[str, Any] | None:
        walls = carve(rng, size)
        start = (int(rng.integers(size)), int(rng.integers(size)))
        far, before = distances(walls, start)
        goals = _pick_goals(rng, far, before, start, low, high, self.num_goals)
        return None if goals is None else _state(size, walls, start, goals)


def _pick_goals(
    rng: np.random.Generator, far: np.ndarray, before: dict[Cell, Cell], start: Cell, low: int, high: int, count: int
) -> list[Cell] | None:
    cells = [(int(r), int(c)) for r, c in np.argwhere((far >= low) & (far <= high))]
    if not cells:
        return None
    first = cells[int(rng.integers(len(cells)))]
    if count == 1:
        return [first]
    branch = path_between(before, first)[1]
    others = [cell for cell in cells if abs(far[cell] - far[first]) <= 1 and path_between(before, cell)[1] != branch]
    return [first, others[int(rng.integers(len(others)))]] if others else None


def _state(size: int, walls: np.ndarray, start: Cell, goals: list[Cell]) -> dict[str, Any]:
    squares = 2 * size + 1
    cell_px = blocks.BLOCK * (blocks.FRAME // blocks.BLOCK // squares)
    corner = (blocks.FRAME - squares * cell_px) // 2 // blocks.BLOCK * blocks.BLOCK
    return {
        "size": size,
        "walls": walls.tolist(),
        "start": list(start),
        "goals": [list(goal) for goal in sorted(goals)],
        "cell_px": cell_px,
        "origin": [corner, corner],
    }


def draw_picture(state: Mapping[str, Any]) -> np.ndarray:
    """The first frame of a maze, uint8 [96, 96, 3]."""
    walls = np.array(state["walls"])
    colours = np.array(list(MAZE_PALETTE.values()), dtype=np.uint8)
    grid = colours[np.where(walls == 1, WALL, FLOOR)]
    for row, column in state["goals"]:
        grid[2 * row + 1, 2 * column + 1] = MAZE_PALETTE["goal"]
    row, column = state["start"]
    grid[2 * row + 1, 2 * column + 1] = MAZE_PALETTE["agent"]
    picture = np.full((blocks.FRAME, blocks.FRAME, 3), BACKGROUND, dtype=np.uint8)
    (top, left), side = state["origin"], len(walls) * state["cell_px"]
    picture[top : top + side, left : left + side] = blocks.upscale(grid, state["cell_px"])
    return picture


def ways_of(state: Mapping[str, Any]) -> list[list[Cell]]:
    """The squares of the way from the start to each goal."""
    _, before = distances(np.array(state["walls"]), tuple(state["start"]))
    return [squares_of(path_between(before, (goal[0], goal[1]))) for goal in state["goals"]]


def order_map(state: Mapping[str, Any], way: list[Cell]) -> np.ndarray:
    """When each block of the frame is painted if the agent takes `way`: int16 [24, 24], -1 for never."""
    side = len(state["walls"])
    squares = np.full((side, side), -1, dtype=np.int16)
    for index, square in enumerate(way):
        squares[square] = index
    order = np.full((blocks.FRAME // blocks.BLOCK,) * 2, -1, dtype=np.int16)
    factor = state["cell_px"] // blocks.BLOCK
    top, left = (edge // blocks.BLOCK for edge in state["origin"])
    order[top : top + side * factor, left : left + side * factor] = blocks.upscale(squares, factor)
    return order


def read_squares(frames: np.ndarray, state: Mapping[str, Any]) -> np.ndarray:
    """What every square shows in every frame: int [T, 2n+1, 2n+1], an index of the palette or `UNCLEAR`."""
    side = len(state["walls"])
    means = blocks.block_means(frames, state["cell_px"], tuple(state["origin"]), (side, side))
    return blocks.nearest_colour(means, MAZE_PALETTE)


def _follow(seen: np.ndarray, walls: np.ndarray, way: list[Cell], answer: str) -> Score:
    """The verdict on a video as an attempt at one way."""
    marked = (seen == TRAIL) | (seen == AGENT)
    along = marked[(slice(None), *np.array(way).T)]
    reached = _leading(along)
    progress = float(max(reached[-1] - 1, 0) / (len(way) - 1))
    fault = _fault(seen, walls, way, along, reached)
    if fault is not None:
        explanation, flags = fault
        return Score(False, progress, _answer(reached, along, way, answer), explanation, flags)
    return Score(True, 1.0, answer, f"The agent walks the whole way of {len(way) // 2} moves to {answer}.")


def _answer(reached: np.ndarray, along: np.ndarray, way: list[Cell], answer: str) -> str | None:
    return answer if reached[-1] == len(way) and bool(along[-1].all()) else None


def _fault(
    seen: np.ndarray, walls: np.ndarray, way: list[Cell], along: np.ndarray, reached: np.ndarray
) -> tuple[str, tuple[str, ...]] | None:
    """The first rule that is broken, in words and flags; None if the video is right."""
    marked = (seen == TRAIL) | (seen == AGENT)
    if (seen[:, walls] == WALL).mean(axis=1).min() < WALLS_KEPT:
        through = bool((marked[-1] & walls).any())
        return "The walls do not stay.", ("through-wall",) if through else ("scene-changed",)
    if (marked & walls).any():
        return "The trail passes through a wall.", ("through-wall",)
    if reached[-1] < len(way):
        return f"The last frame shows {max(reached[-1] - 1, 0)} of {len(way) - 1} squares of the way.", ()
    on_way = np.zeros_like(walls)
    on_way[tuple(np.array(way).T)] = True
    if (marked & ~on_way).any():
        return "Squares off the way are marked.", ()
    if np.diff(reached).max() > _longest_jump(len(way) - 1, len(seen) - 1) or reached[0] > 1:
        return "The trail jumps ahead instead of being walked.", ("teleport",)
    if np.diff(reached).min() < 0 or (along.sum(axis=1) - reached).any():
        return "The trail is broken or shrinks on the way.", ()
    return _unclear(seen, walls, way, reached)


def _longest_jump(squares: int, intervals: int) -> int:
    """How many squares the trail may grow from one frame to the next; never the whole way, if there is a choice."""
    evenly = JUMP * math.ceil(squares / intervals) + 1
    return evenly if intervals == 1 else min(evenly, squares - 1)


def _unclear(
    seen: np.ndarray, walls: np.ndarray, way: list[Cell], reached: np.ndarray
) -> tuple[str, tuple[str, ...]] | None:
    free = seen[:, ~walls]
    if (free[-1] == blocks.UNCLEAR).any() or (free == blocks.UNCLEAR).sum(axis=1).max() > UNREAD:
        return "Some squares cannot be read.", ()
    heads = [seen[(t, *way[min(max(front, 1), len(way)) - 1])] for t, front in enumerate(reached)]
    if heads[-1] != AGENT or sum(head != AGENT for head in heads) > UNREAD or (seen[-1] == AGENT).sum() != 1:
        return "The agent is not at the front of its trail.", ()
    return None


def _leading(along: np.ndarray) -> np.ndarray:
    """How many squares from the start on are marked without a gap, int [T]."""
    return np.cumprod(along, axis=1).sum(axis=1)


def _masks(
    state: Mapping[str, Any], orders: list[np.ndarray], ways: list[list[Cell]], num_frames: int
) -> dict[str, np.ndarray]:
    """Where the goals, the ways and (along each way) the agent are, each bool [T, 96, 96]."""
    masks: dict[str, np.ndarray] = {}
    for index, (order, way) in enumerate(zip(orders, ways, strict=True)):
        pixels = blocks.upscale(order, blocks.BLOCK)[None]
        front = blocks.fronts(len(way) - 1, num_frames)[:, None, None]
        masks[f"goal-{index}"] = np.broadcast_to(pixels == len(way) - 1, (num_frames, *pixels.shape[1:]))
        masks[f"way-{index}"] = np.broadcast_to(pixels >= 0, (num_frames, *pixels.shape[1:]))
        masks[f"agent-{index}"] = pixels == front
    return masks


def _check_dials(seed: int, size: int, num_frames: int) -> None:
    if seed < 0:
        raise BadInputError(f"Sample came as {seed}. It is a whole number from 0 on. Choose such a number.")
    if size not in SIZES:
        raise BadInputError(
            f"Size came as {size}. A maze has {SIZES.start} to {SIZES.stop - 1} cells a side. Choose one of these."
        )
    if num_frames < 2:
        raise BadInputError(f"Frames came as {num_frames}. A way takes at least 2. Ask for more frames.")
