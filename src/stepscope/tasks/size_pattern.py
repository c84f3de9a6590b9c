"""Size pattern: every row holds a large, a medium and a small square; fill the marked place.

Rows of three places, each row with a colour and an order of sizes of its own.  One place is empty and marked by a dark
foot below it; the right square has the colour of its row and a size that its row lacks.  If a second place of that row
is empty, two sizes are right: two answers at the same place.  A square grows in steps of 8 px, at the same pace
whatever its size will be, so that two answers part when the smaller one stops.

Dials: `rows` (1–3: the more, the more there is to look past), `answers` (1, 2 or None for either), `num_frames`.
State: {"rows": [{"colour", "sizes" [3], 0 for an empty place}, …], "marked" [row, column]}.
The score is by agreement, see `agreement`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from stepscope.tasks.agreement import Question, judge
from stepscope.tasks.blocks import FRAME
from stepscope.tasks.colours import BACKGROUND, INK, SHAPE_COLOURS, Colour
from stepscope.tasks.dials import check_all, check_choice, draw_in_split
from stepscope.tasks.masks import LazyMasks
from stepscope.tasks.sample import Sample, Score, Split

__all__ = ["SizePattern"]

PALETTE: Mapping[str, Colour] = MappingProxyType({"background": BACKGROUND, "foot": INK, **SHAPE_COLOURS})
SIZES: Mapping[str, int] = MappingProxyType({"small": 8, "medium": 16, "large": 24})  # px
STEP = 8  # px by which a square grows, just after 0, 1/4 and 1/2 of the video: a codec of 4 frames keeps that
PLAIN = 95.0  # RGB distance; colours lie more than twice as far from the background
LARGE = SIZES["large"]
PLACE = 32  # px of a place's side
FOOT = 8  # px of the height of the foot of the marked place
PROMPT = "Fill the marked place: each row has a large, a medium and a small square."


@dataclass(frozen=True)
class SizePattern:
    """Rows of a large, a medium and a small square, one of which is missing."""

    name: str = "size-pattern"
    version: int = 1
    palette = PALETTE

    def sample(
        self, seed: int, *, split: Split = "test", rows: int = 3, answers: int | None = None, num_frames: int = 17
    ) -> Sample:
        """The pattern with this seed.

        Args:
            seed: any non-negative integer.
            split: `"test"` or `"train"`, by content.
            rows: rows in the picture, 1–3.
            answers: right sizes, 1 or 2; None for either, equally often.
            num_frames: frames of the video, at least 3.
        """
        check_all(seed, split, num_frames, 3)
        check_choice("rows", rows, (1, 2, 3))
        check_choice("answers", answers, (1, 2, None))
        rng = np.random.default_rng([seed, rows, 3])
        answers = int(rng.integers(1, 3)) if answers is None else answers
        state = draw_in_split(lambda: _propose(rng, rows, answers), split, f"pattern of {rows} rows")
        return self.from_state(state, num_frames=num_frames, seed=seed)

    def from_state(self, state: Mapping[str, Any], *, num_frames: int = 17, seed: int | None = None) -> Sample:
        """The sample of a state."""
        picture = draw_picture(state)
        return Sample(
            prompt=PROMPT,
            first_frame=picture,
            num_frames=num_frames,
            task=self.name,
            seed=seed,
            solutions=tuple(grow(picture, state, size, num_frames) for size in right_sizes(state)),
            state=state,
            masks=LazyMasks(partial(_masks, state, num_frames)),
        )

    def score(self, frames: np.ndarray, sample: Sample) -> Score:
        """The verdict on `frames` uint8 [T, H, W, 3], by agreement."""
        state, fits = sample.state or {}, right_sizes(sample.state or {})
        first = sample.first_frame
        right = {size: grow(first, state, size, sample.num_frames) for size in fits}
        wrong = {size: grow(first, state, size, 2)[-1] for size in SIZES if size not in fits}
        return judge(frames, sample, Question(right, wrong, _place_mask(state), slack=1, patience=1, tolerance=PLAIN))


def right_sizes(state: Mapping[str, Any]) -> list[str]:
    """The sizes that the row of the marked place lacks, small ones first."""
    row = state["rows"][state["marked"][0]]
    return [size for size in SIZES if size not in row["sizes"]]


def draw_picture(state: Mapping[str, Any]) -> np.ndarray:
    """The first frame, uint8 [96, 96, 3]."""
    picture = np.full((FRAME, FRAME, 3), BACKGROUND, dtype=np.uint8)
    for index, row in enumerate(state["rows"]):
        for column, size in enumerate(row["sizes"]):
            if size:
                place = _square(state, index, column, SIZES[size])
                picture[place] = SHAPE_COLOURS[row["colour"]]
    top, left = _corner(state, *state["marked"])
    picture[top + LARGE : top + LARGE + FOOT, left : left + LARGE] = INK
    return picture


def grow(first: np.ndarray, state: Mapping[str, Any], size: str, num_frames: int) -> np.ndarray:
    """The video in which a square of this size grows in the marked place of `first`, uint8 [T, 96, 96, 3]."""
    video = np.repeat(first[None], num_frames, axis=0)
    video[_growth(state, size, num_frames)] = SHAPE_COLOURS[state["rows"][state["marked"][0]]["colour"]]
    return video


def _growth(state: Mapping[str, Any], size: str, num_frames: int) -> np.ndarray:
    """Where the square in the marked place is, bool [T, 96, 96]."""
    (row, column), masks = state["marked"], np.zeros((num_frames, FRAME, FRAME), dtype=bool)
    steps = np.ceil(np.linspace(0, 4, num_frames) - 1e-9).astype(int)
    for mask, side in zip(masks, np.minimum(steps * STEP, SIZES[size]).tolist(), strict=True):
        mask[_square(state, row, column, side)] = True
    return masks


def _square(state: Mapping[str, Any], row: int, column: int, side: int) -> tuple[slice, slice]:
    """The pixels of a square that stands in a place: on its ground, in its middle, on a pitch of 8 px."""
    top, left = _corner(state, row, column)
    left += -((side - LARGE) // 2 // STEP) * STEP
    return slice(top + LARGE - side, top + LARGE), slice(left, left + side)


def _corner(state: Mapping[str, Any], row: int, column: int) -> tuple[int, int]:
    """Top left pixel (y, x) of a place; the rows stand around the middle of the frame."""
    return (FRAME - PLACE * len(state["rows"])) // 2 + PLACE * row, PLACE * column


def _place_mask(state: Mapping[str, Any]) -> np.ndarray:
    (row, column), mask = state["marked"], np.zeros((FRAME, FRAME), dtype=bool)
    mask[_square(state, row, column, LARGE)] = True
    return mask


def _masks(state: Mapping[str, Any], num_frames: int) -> dict[str, np.ndarray]:
    """Where the marked place is, and the square in each right size as it grows."""
    masks = {"place": np.broadcast_to(_place_mask(state), (num_frames, FRAME, FRAME))}
    for size in right_sizes(state):
        masks[size] = _growth(state, size, num_frames)
    return masks


def _propose(rng: np.random.Generator, count: int, answers: int) -> dict[str, Any]:
    looks = rng.permutation(len(SHAPE_COLOURS))[:count]
    rows = [
        {
            "colour": list(SHAPE_COLOURS)[look],
            "sizes": [list(SIZES)[index] for index in rng.permutation(3)],
        }
        for look in looks
    ]
    marked, empty = int(rng.integers(count)), rng.permutation(3)[:answers].tolist()
    rows[marked]["sizes"] = [0 if column in empty else size for column, size in enumerate(rows[marked]["sizes"])]
    return {"rows": rows, "marked": [marked, empty[0]]}
