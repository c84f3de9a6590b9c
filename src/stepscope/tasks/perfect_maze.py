"""Perfect mazes: spanning trees of an n x n grid of cells, drawn by randomised depth-first search.

Drawn on (2n + 1)^2 squares: cell (r, c) is square (2r + 1, 2c + 1), the squares between cells are walls or openings.
Between any two cells there is exactly one path.  Cost: O(n^2).
"""

import itertools

import numpy as np

__all__ = ["carve", "distances", "path_between", "squares_of"]

Cell = tuple[int, int]
STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def carve(rng: np.random.Generator, size: int) -> np.ndarray:
    """A random perfect maze: uint8 [2n+1, 2n+1], 1 for wall, 0 for free."""
    walls = np.ones((2 * size + 1, 2 * size + 1), dtype=np.uint8)
    start = (int(rng.integers(size)), int(rng.integers(size)))
    choices = iter(rng.random(4 * size * size + 4).tolist())
    walls[2 * start[0] + 1, 2 * start[1] + 1] = 0
    stack = [start]
    while stack:
        row, column = stack[-1]
        open_steps = [
            (dr, dc)
            for dr, dc in STEPS
            if 0 <= row + dr < size and 0 <= column + dc < size and walls[2 * (row + dr) + 1, 2 * (column + dc) + 1]
        ]
        if not open_steps:
            stack.pop()
            continue
        dr, dc = open_steps[int(next(choices) * len(open_steps))]
        walls[2 * row + 1 + dr, 2 * column + 1 + dc] = 0
        walls[2 * (row + dr) + 1, 2 * (column + dc) + 1] = 0
        stack.append((row + dr, column + dc))
    return walls


def distances(walls: np.ndarray, source: Cell) -> tuple[np.ndarray, dict[Cell, Cell]]:
    """Moves from `source` to every cell, int [n, n], and the cell before each on the way from it."""
    size = (len(walls) - 1) // 2
    far = np.full((size, size), -1)
    far[source] = 0
    before: dict[Cell, Cell] = {}
    frontier = [source]
    for row, column in frontier:  # grows while it is read: breadth first
        for dr, dc in STEPS:
            cell = (row + dr, column + dc)
            if not walls[2 * row + 1 + dr, 2 * column + 1 + dc] and far[cell] < 0:
                far[cell] = far[row, column] + 1
                before[cell] = (row, column)
                frontier.append(cell)
    return far, before


def path_between(before: dict[Cell, Cell], target: Cell) -> list[Cell]:
    """The cells from the source of `before` to `target`, both included."""
    path = [target]
    while path[-1] in before:
        path.append(before[path[-1]])
    return path[::-1]


def squares_of(path: list[Cell]) -> list[Cell]:
    """The squares that a path of cells covers, openings between cells included: 2 d + 1 of them."""
    squares = [(2 * path[0][0] + 1, 2 * path[0][1] + 1)]
    for (row, column), (next_row, next_column) in itertools.pairwise(path):
        squares.append((row + next_row + 1, column + next_column + 1))
        squares.append((2 * next_row + 1, 2 * next_column + 1))
    return squares
