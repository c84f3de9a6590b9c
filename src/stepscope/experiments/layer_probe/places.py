"""Which tokens are asked what, worked out from the solutions of a sample alone, so that any task will do.

A token *is drawn* by a solution if at least a quarter of its pixels differ from the first picture at the end of its
latent frame; it *is drawn now* if that was not so one latent frame before.

    goal    several solutions: for each, the mean of the last frame's tokens that it alone draws; is it the one chosen?
            one: the quadrants of the last frame; is this the one in which the drawing ends?
    path    a token of the last frame; is it on the way that is chosen?  Against tokens that no solution draws
    agent   a token of the way, in some frame; is it drawn now?  Against other tokens of the way in that frame

Both answers are equally frequent in every puzzle.  Tokens of the way stand against blank ones that look alike in the
first picture, the best matched four pairs of each way: else a probe would only tell floor from wall.  What the picture
gives away all the same is read from the patch embedding.  Cost: a few comparisons of the sample's own videos.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from stepscope.errors import BadInputError
from stepscope.shapes import Frames

__all__ = ["QUESTIONS", "Asked", "asked_of", "drawn_cells", "weights_of"]

QUESTIONS = ("goal", "path", "agent")
"""What is asked."""

Grid = tuple[int, int, int]
Cells = Bool[np.ndarray, "F H W"]

_SHARE = 0.25
_PAIRS = 4  # of each kind and solution


@dataclass(frozen=True)
class Asked:
    """One region that is asked something.

    Attributes:
        question: One of `QUESTIONS`.
        solution: The solution that it is about.
        tokens: Indices of its tokens; their mean is read.
        answer: Yes or no if that solution is chosen; None if that *is* the question.
    """

    question: str
    solution: int
    tokens: tuple[int, ...]
    answer: bool | None

    def label(self, chosen: int) -> bool | None:
        """The right answer, given which solution was chosen; None if nothing is asked then."""
        if self.answer is None:
            return self.solution == chosen
        return self.answer if self.solution == chosen else None


def asked_of(sample: Any, grid: Grid) -> tuple[Asked, ...]:
    """All regions of a sample that are asked something, the same whenever the sample is.

    Args:
        sample: With solutions.
        grid: Of tokens (F, H, W).

    Raises:
        BadInputError: If the video cannot be cut into such tokens.
    """
    _check(sample, grid)
    drawn = np.stack([drawn_cells(video, sample.first_frame, grid) for video in sample.solutions])  # [S, F, H, W]
    draw = np.random.default_rng(0)
    looks = _blocks(sample.first_frame[None].astype(np.float64), grid)[0]
    return (*_goals(drawn, draw), *_paths(drawn, looks, draw), *_agents(drawn, draw))


def weights_of(sample: Any, grid: Grid) -> Float[torch.Tensor, "R L"]:
    """The same as regions for `recorders.ProbeFeatures`."""
    asked = asked_of(sample, grid)
    weights = torch.zeros(len(asked), grid[0] * grid[1] * grid[2])
    for row, each in enumerate(asked):
        weights[row, list(each.tokens)] = 1 / len(each.tokens)
    return weights


def _goals(drawn: np.ndarray, draw: np.random.Generator) -> Iterator[Asked]:
    last = drawn[:, -1]
    if len(drawn) == 1:
        yield from _quadrants(drawn[0], draw)
        return
    for solution, cells in enumerate(last):
        alone = cells & (last.sum(axis=0) == 1)
        if alone.any():
            yield Asked("goal", solution, _indices(drawn.shape[1:], len(drawn[0]) - 1, alone), None)


def _quadrants(drawn: np.ndarray, draw: np.random.Generator) -> Iterator[Asked]:
    """The quadrant in which the drawing ends, and one of the others."""
    _, height, width = drawn.shape
    (rows, columns), half = np.nonzero(_now(drawn)[-1]), np.array([height / 2, width / 2])
    if not len(rows):
        return
    there = tuple(np.array([rows.mean(), columns.mean()]) >= half - 0.5)
    others = [(down, right) for down in (False, True) for right in (False, True) if (down, right) != there]
    for place, answer in ((there, True), (others[draw.integers(3)], False)):
        y, x = np.mgrid[:height, :width]
        inside = ((y >= half[0]) == place[0]) & ((x >= half[1]) == place[1])
        yield Asked("goal", 0, _indices(drawn.shape, len(drawn) - 1, inside), answer)


def _paths(drawn: np.ndarray, looks: np.ndarray, draw: np.random.Generator) -> Iterator[Asked]:
    blank = draw.permutation(np.argwhere(~drawn[:, -1].any(axis=0)))
    for solution, cells in enumerate(drawn[:, -1]):
        on = draw.permutation(np.argwhere(cells))
        apart = np.abs(_at(looks, on)[:, None] - _at(looks, blank)[None]).sum(axis=-1)
        for place, twin in _matched(apart):
            for where, answer in ((on[place], True), (blank[twin], False)):
                yield Asked("path", solution, (_index(drawn.shape[1:], len(drawn[0]) - 1, where),), answer)


def _matched(apart: np.ndarray) -> Iterator[tuple[int, int]]:
    """The pairs that look most alike, each place in one pair at most."""
    left = apart.copy()
    for _ in range(min(_PAIRS, *apart.shape)):
        place, twin = np.unravel_index(left.argmin(), left.shape)
        left[place], left[:, twin] = np.inf, np.inf
        yield int(place), int(twin)


def _at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    return values[places[:, 0], places[:, 1]]


def _agents(drawn: np.ndarray, draw: np.random.Generator) -> Iterator[Asked]:
    for solution, cells in enumerate(drawn):
        now = _now(cells)
        for frame, *place in _some(np.argwhere(now), draw):
            others = np.argwhere(cells[-1] & ~now[frame])
            if len(others):
                for where, answer in ((place, True), (others[draw.integers(len(others))], False)):
                    yield Asked("agent", solution, (_index(drawn.shape[1:], int(frame), where),), answer)


def _now(drawn: np.ndarray) -> np.ndarray:
    """Drawn in this latent frame and not in the one before; nothing is in the first."""
    return drawn & ~np.concatenate([drawn[:1] | True, drawn[:-1]])


def _some(places: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return draw.permutation(places)[:_PAIRS]


def drawn_cells(video: Frames, picture: np.ndarray, grid: Grid) -> Cells:
    """Which cells of a grid (F, H, W) differ from a picture in a quarter of their pixels, at the end of their frame."""
    ends = np.linspace(0, len(video) - 1, grid[0]).round().astype(int)
    return _blocks((video[ends] != picture).any(axis=-1, keepdims=True), grid)[..., 0] >= _SHARE


def _blocks(pixels: np.ndarray, grid: Grid) -> np.ndarray:
    """Means over the pixels of each token, [T, H, W, C]."""
    count, height, width, channels = pixels.shape
    cut = pixels.reshape(count, grid[1], height // grid[1], grid[2], width // grid[2], channels)
    return cut.mean(axis=(2, 4))


def _indices(grid: tuple[int, ...], frame: int, cells: np.ndarray) -> tuple[int, ...]:
    return tuple(_index(grid, frame, place) for place in np.argwhere(cells))


def _index(grid: tuple[int, ...], frame: int, place: Any) -> int:
    return int(np.ravel_multi_index((frame, *place), grid))


def _check(sample: Any, grid: Grid) -> None:
    height, width = sample.first_frame.shape[:2]
    if height % grid[1] or width % grid[2] or not len(getattr(sample, "solutions", ())):
        raise BadInputError(
            f"A sample of {height} x {width} pixels with {len(getattr(sample, 'solutions', ()))} solutions came for "
            f"tokens {list(grid)}. A probe asks whole tokens about solutions. Choose such a task and size."
        )
