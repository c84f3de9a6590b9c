"""Tic-tac-toe: play a cell that completes three in a line.

A position has one winning cell for the side that plays, or two, either of which is right: two answers in separate
places.  Whose turn it is stands in the prompt (`side="named"`), or follows from the board (`side="implied"`: squares
begin, so that they play when both sides have as many marks).  The marks are full red squares and blue rings, which are
drawn in blocks of 4 px, one after the other: a square row by row, a ring clockwise from its top left corner.

Dials: `wins` (1, 2 or None for either), `threat` (True: the other side could win elsewhere, so that a line of two is
not enough to go by; it takes one winning cell; False: it could not; None for either), `side`, `num_frames`.
State: {"board" [3][3], 0 empty, 1 square, 2 ring}; the side is not part of it, so that the split by content keeps all
prompts of a board together.  The score is by agreement, see `agreement`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from stepscope.errors import BadInputError
from stepscope.tasks import blocks
from stepscope.tasks.agreement import Question, judge
from stepscope.tasks.blocks import BLOCK, FRAME
from stepscope.tasks.colours import BACKGROUND, INK, SHAPE_COLOURS, Colour
from stepscope.tasks.dials import check_all, check_choice, draw_in_split
from stepscope.tasks.masks import LazyMasks
from stepscope.tasks.sample import Sample, Score, Split

__all__ = ["TicTacToe"]

PALETTE: Mapping[str, Colour] = MappingProxyType(
    {"background": BACKGROUND, "line": INK, "square": SHAPE_COLOURS["red"], "ring": SHAPE_COLOURS["blue"]}
)
SQUARE, RING = 1, 2
SIDES: Mapping[int, str] = MappingProxyType({SQUARE: "square", RING: "ring"})
PROMPTS: Mapping[str, str] = MappingProxyType(
    {
        "square": "Play the winning cell for the red squares.",
        "ring": "Play the winning cell for the blue rings.",
        "implied": "Play the winning cell for the side to move.",
    }
)
CELLS = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")
LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
MARGIN, CELL, LINE = 8, 24, 4  # px
PLAIN = 95.0  # RGB distance; marks lie more than twice as far from the background and from each other
# Blocks (row, column) of a mark in the order in which they are drawn.
STROKES: Mapping[int, tuple[tuple[int, int], ...]] = MappingProxyType(
    {
        SQUARE: tuple((row, column) for row in range(4) for column in range(4)),
        RING: (
            *((0, column) for column in range(3)),
            *((row, 3) for row in range(3)),
            *((3, column) for column in (3, 2, 1)),
            *((row, 0) for row in (3, 2, 1)),
        ),
    }
)


@dataclass(frozen=True)
class TicTacToe:
    """Positions in which one cell or two complete three in a line."""

    name: str = "tic-tac-toe"
    version: int = 1
    palette = PALETTE

    def sample(
        self,
        seed: int,
        *,
        split: Split = "test",
        wins: int | None = None,
        threat: bool | None = None,
        side: str = "named",
        num_frames: int = 17,
    ) -> Sample:
        """The position with this seed.

        Args:
            seed: any non-negative integer.
            split: `"test"` or `"train"`, by content of the board.
            wins: winning cells, 1 or 2; None for either, equally often.
            threat: whether the other side could win too, in a cell of its own; None for either.
            side: `"named"` by the prompt, or `"implied"` by the number of marks.
            num_frames: frames of the video, at least 3.
        """
        check_all(seed, split, num_frames, 3)
        check_choice("wins", wins, (1, 2, None))
        check_choice("threat", threat, (True, False, None))
        check_choice("side", side, ("named", "implied"))
        if wins == 2 and threat:
            raise BadInputError("Wins came as 2 with a threat. No board has both. Leave one of them out.")
        rng = np.random.default_rng([seed, 9])
        player = int(rng.integers(SQUARE, RING + 1))
        wins = (1 if threat else int(rng.integers(1, 3))) if wins is None else wins
        boards = _boards_with(player, wins, threat, side == "implied")
        state = draw_in_split(lambda: _state_of(boards[rng.integers(len(boards))]), split, "board")
        prompt = PROMPTS["implied" if side == "implied" else SIDES[player]]
        return self.from_state(state, prompt, num_frames=num_frames, seed=seed)

    def from_state(
        self, state: Mapping[str, Any], prompt: str, *, num_frames: int = 17, seed: int | None = None
    ) -> Sample:
        """The sample of a board and a prompt."""
        return Sample(
            prompt=prompt,
            first_frame=draw_board(state),
            num_frames=num_frames,
            task=self.name,
            seed=seed,
            solutions=tuple(right_videos(state, prompt, num_frames).values()),
            state=state,
            masks=LazyMasks(partial(_masks, state, prompt, num_frames)),
        )

    def score(self, frames: np.ndarray, sample: Sample) -> Score:
        """The verdict on `frames` uint8 [T, H, W, 3], by agreement."""
        state, first = sample.state or {}, sample.first_frame
        board = np.array(state["board"]).ravel()
        right = right_videos(state, sample.prompt, sample.num_frames)
        empty = np.flatnonzero(board == 0).tolist()
        plays = {_play_name(player, cell): (player, cell) for player in SIDES for cell in empty}
        wrong = {name: mark_video(first, *play, 2)[-1] for name, play in plays.items() if name not in right}
        return judge(frames, sample, Question(right, wrong, _cells_mask(empty), slack=1, patience=1, tolerance=PLAIN))


def player_of(prompt: str, state: Mapping[str, Any]) -> int:
    """Who plays, `SQUARE` or `RING`."""
    board = np.array(state["board"])
    if prompt == PROMPTS["implied"]:
        return SQUARE if (board == SQUARE).sum() == (board == RING).sum() else RING
    named = [player for player, name in SIDES.items() if prompt == PROMPTS[name]]
    if not named:
        raise BadInputError(
            f"The prompt {prompt!r} names no side. It is one of {', '.join(map(repr, PROMPTS.values()))}. Use one."
        )
    return named[0]


def winning_cells(board: np.ndarray, player: int) -> list[int]:
    """The empty cells, 0–8, in which a player completes three in a line."""
    return np.flatnonzero(_wins(board.reshape(1, 9), player)[0]).tolist()


def right_videos(state: Mapping[str, Any], prompt: str, num_frames: int) -> dict[str, np.ndarray]:
    """Every right answer, {`square at top left`: uint8 [T, 96, 96, 3]}."""
    player, first = player_of(prompt, state), draw_board(state)
    cells = winning_cells(np.array(state["board"]), player)
    return {_play_name(player, cell): mark_video(first, player, cell, num_frames) for cell in cells}


def draw_board(state: Mapping[str, Any]) -> np.ndarray:
    """The first frame, uint8 [96, 96, 3]."""
    picture = np.full((FRAME, FRAME, 3), BACKGROUND, dtype=np.uint8)
    span = slice(MARGIN, FRAME - MARGIN)
    for start in (MARGIN + CELL, MARGIN + 2 * CELL + LINE):
        picture[span, start : start + LINE] = INK
        picture[start : start + LINE, span] = INK
    for cell, player in enumerate(np.array(state["board"]).ravel()):
        if player:
            mark = blocks.upscale(_order(int(player), cell), BLOCK) >= 0
            picture[mark] = PALETTE[SIDES[int(player)]]
    return picture


def mark_video(first: np.ndarray, player: int, cell: int, num_frames: int) -> np.ndarray:
    """A mark being drawn into a cell of the picture `first`, uint8 [T, 96, 96, 3]."""
    colour = PALETTE[SIDES[player]]
    return blocks.paint_video(first, _order(player, cell), len(STROKES[player]), num_frames, colour, None)


def _order(player: int, cell: int) -> np.ndarray:
    """When each block of a mark is drawn: int16 [24, 24], -1 for never."""
    order = np.full((FRAME // BLOCK,) * 2, -1, dtype=np.int16)
    top, left = (place.start // BLOCK + 1 for place in _cell_place(cell))
    for index, (row, column) in enumerate(STROKES[player]):
        order[top + row, left + column] = index
    return order


def _cell_place(cell: int) -> tuple[slice, slice]:
    top, left = (MARGIN + index * (CELL + LINE) for index in divmod(int(cell), 3))
    return slice(top, top + CELL), slice(left, left + CELL)


def _cells_mask(cells: list[int]) -> np.ndarray:
    mask = np.zeros((FRAME, FRAME), dtype=bool)
    for cell in cells:
        mask[_cell_place(cell)] = True
    return mask


def _play_name(player: int, cell: int) -> str:
    return f"{SIDES[player]} at {CELLS[cell]}"


def _masks(state: Mapping[str, Any], prompt: str, num_frames: int) -> dict[str, np.ndarray]:
    """Where the right cells are, and the mark in each of them as it is drawn."""
    player, masks = player_of(prompt, state), {}
    for index, cell in enumerate(winning_cells(np.array(state["board"]), player)):
        place = _cells_mask([cell])
        masks[f"cell-{index}"] = np.broadcast_to(place, (num_frames, FRAME, FRAME))
        order = blocks.upscale(_order(player, cell), BLOCK)[None]
        front = blocks.fronts(len(STROKES[player]), num_frames)[:, None, None]
        masks[f"mark-{index}"] = (order >= 0) & (order < front)
    return masks


def _state_of(board: np.ndarray) -> dict[str, Any]:
    return {"board": board.reshape(3, 3).tolist()}


def _wins(boards: np.ndarray, player: int) -> np.ndarray:
    """Where a player completes a line: bool [B, 9] for boards int [B, 9]."""
    wins = np.zeros(boards.shape, dtype=bool)
    for line in LINES:
        for cell in line:
            others = [other for other in line if other != cell]
            wins[:, cell] |= (boards[:, cell] == 0) & (boards[:, others] == player).all(axis=1)
    return wins


@cache
def _positions() -> tuple[np.ndarray, np.ndarray]:
    """Boards of play not yet won, int8 [B, 9], and where each side wins, bool [2, B, 9]."""
    boards = (np.arange(3**9)[:, None] // 3 ** np.arange(9) % 3).astype(np.int8)
    squares, rings = ((boards == player).sum(axis=1) for player in SIDES)
    lines = boards[:, np.array(LINES)]
    won = ((lines == lines[..., :1]) & (lines > 0)).all(axis=2).any(axis=1)
    boards = boards[(abs(squares - rings) <= 1) & ~won]
    return boards, np.stack([_wins(boards, player) for player in SIDES])


@cache
def _boards_with(player: int, wins: int, threat: bool | None, implied: bool) -> np.ndarray:
    """Positions in which a player has so many winning cells, int8 [B, 9]."""
    boards, winning = _positions()
    own, other = winning[player - SQUARE], winning[RING - player]
    fits = own.sum(axis=1) == wins
    if threat is not None:
        fits &= (other & ~own).any(axis=1) == threat
    if implied:
        lead = (boards == SQUARE).sum(axis=1) - (boards == RING).sum(axis=1)
        fits &= lead == player - SQUARE
    return boards[fits]
