"""The rule of a maze without its solution: does the last frame show one legal path, and nothing else?

    mark of a square      how far its colour has moved from the first frame towards trail or agent, 0 to 1
    bottleneck            max over paths from the start to any goal of the least mark on the path
    stray                 the largest mark off that path, walls included
    legality              bottleneck - stray, -1 to 1

One clean path has 1, an empty maze 0, two half-painted ways 0.5 - 0.5 = 0.  It reads what a player sees: walls, start
and goals, which the first frame shows.  It asks for no particular path, so it also judges a clean estimate that is
still faint.  Limits: how the path came about in earlier frames is not looked at.  Cost: one pass over the squares.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.tasks import blocks

__all__ = ["legality"]

Square = tuple[int, int]
Colour = tuple[int, int, int]


def legality(frames: np.ndarray, picture: np.ndarray, state: Mapping[str, Any], colours: Sequence[Colour]) -> float:
    """How much the last frame looks like one legal path, -1 to 1.

    Args:
        frames: uint8 [T, H, W, 3].
        picture: the first frame of the puzzle, uint8 [H, W, 3].
        state: of the puzzle: walls, start, goals, cell_px, origin.
        colours: of the trail and of the agent.
    """
    walls = np.array(state["walls"], dtype=bool)
    marks = _marks(frames[-1], picture, state, colours)
    start, *goals = ((2 * row + 1, 2 * column + 1) for row, column in (state["start"], *state["goals"]))
    marks[start] = 1.0
    bottleneck, path = _widest(marks, walls, start, goals)
    stray = marks.copy()
    stray[tuple(np.array(path).T)] = 0.0
    return float(bottleneck - stray.max())


def _marks(last: np.ndarray, picture: np.ndarray, state: Mapping[str, Any], colours: Sequence[Colour]) -> np.ndarray:
    """The mark of every square, [2n+1, 2n+1]."""
    side = len(state["walls"])
    before, after = blocks.block_means(
        np.stack([picture, last]), state["cell_px"], tuple(state["origin"]), (side, side)
    )
    shares = []
    for colour in colours:
        way = np.asarray(colour, dtype=np.float64) - before
        length = np.square(way).sum(-1)
        moved = ((after - before) * way).sum(-1)
        shares.append(np.divide(moved, length, out=np.zeros_like(moved), where=length > 1))
    return np.clip(np.maximum(*shares), 0.0, 1.0)


def _widest(marks: np.ndarray, walls: np.ndarray, start: Square, goals: Sequence[Square]) -> tuple[float, list[Square]]:
    """The path to a goal whose least mark is largest, and that mark."""
    best, before = {start: 1.0}, dict[Square, Square]()
    queue = [(-1.0, start)]
    while queue:
        width, square = heapq.heappop(queue)
        row, column = square
        for ahead in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            through = min(-width, float(marks[ahead])) if not walls[ahead] else -1.0
            if through > best.get(ahead, -1.0):
                best[ahead], before[ahead] = through, square
                heapq.heappush(queue, (-through, ahead))
    goal = max((goal for goal in goals if goal in best), key=lambda goal: best[goal], default=start)
    path = [goal]
    while path[-1] in before and path[-1] != start:
        path.append(before[path[-1]])
    return (best[goal] if goal != start else 0.0), path
