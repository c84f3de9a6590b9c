"""Where the video of a wrong plan comes from.

    an index        solutions[index] of the run's own sample
    `other-valid`   the valid solution that the latents speak against most:  argmax_i ||x - (1 - s) x_i||
    `corrupted`     the one that they speak for most, with a known share of its cells wrong
    `Pixels`        a video of the right size, for example the plan of another puzzle

A *cell* is a square of `cell_px` pixels from `origin` (both out of the sample's state; 8 px, a latent cell of usual
codecs, where the state has none).  *Plan cells* are those that ever differ from the first frame.  A plan cell is made
wrong by moving what happens in it to a cell where nothing should: both then show what they must not.  At s = 1 latents
speak for nobody, and the first solution is taken.  Cost: the encoding of the video, or of all solutions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepscope.errors import BadInputError, PlanError
from stepscope.interventions.pixels import Pixels
from stepscope.shapes import Frames, Latents

__all__ = ["RULES", "Corrupted", "checked_source", "corrupt", "donor_video", "owned_video"]

RULES = ("other-valid", "corrupted")
"""The rules that choose a donor by the run's own latents."""

_CELL = 8


@dataclass(frozen=True, eq=False)
class Corrupted:
    """A solution with wrong cells.

    Attributes:
        video: uint8 [T, Y, X, 3].
        wrong: bool [Y, X], the cells that show what they must not.
        share: wrong plan cells over all plan cells.
    """

    video: Frames
    wrong: np.ndarray
    share: float


def donor_video(
    solution: Any, sample: Any, latents: Latents, sigma: float, encode: Callable[[Frames], Latents], options: Any
) -> Frames:
    """The video that a rule, index or value stands for.

    Args:
        solution: one of `RULES`, an index, or `Pixels`.
        sample: the run's own sample.
        latents: x at the step, [C, F, H, W].
        sigma: its noise level.
        encode: frames -> latents.
        options: `share` and `seed` of the corruption.

    Raises:
        PlanError: If the sample has no such donor.
    """
    if not isinstance(solution, str):
        return owned_video(solution, sample)
    solutions = _solutions(sample, 2 if solution == "other-valid" else 1, solution)
    apart = [float((latents - (1 - sigma) * encode(video).to(latents)).norm()) for video in solutions]
    if solution == "other-valid":
        return solutions[int(np.argmax(apart))]
    return corrupt(solutions[int(np.argmin(apart))], sample, options.share, options.seed).video


def owned_video(solution: int | Pixels, sample: Any) -> Frames:
    """A solution of the sample, or a video that fits it.

    Raises:
        PlanError: If the sample has no such solution, or the video another size.
    """
    if isinstance(solution, int):
        return _solutions(sample, solution + 1, solution)[solution]
    expected = (sample.num_frames, *sample.first_frame.shape)
    if solution.array.shape != expected:
        raise PlanError(
            f"A donor video came as {list(solution.array.shape)}. This sample takes {list(expected)}. "
            "Choose a puzzle of that size."
        )
    return solution.array.copy()


def corrupt(solution: Frames, sample: Any, share: float, seed: int) -> Corrupted:
    """Make a share of the plan cells of a solution wrong.

    Args:
        solution: uint8 [T, Y, X, 3].
        sample: whose first frame shows where nothing has happened yet, and whose state says what a cell is.
        share: in (0, 1]; at least one cell becomes wrong.
        seed: seed of the choice.

    Raises:
        PlanError: If nothing happens in the solution, or happens in too many cells.
    """
    changed = (solution != sample.first_frame).any(axis=-1)  # [T, Y, X]
    cells, ever = _cells(sample), changed.any(axis=0)
    plan = [cell for cell in cells if ever[cell].any()]
    rest = [cell for cell in cells if not ever[cell].any()]
    count = max(1, round(share * len(plan)))
    if not plan or len(rest) < count:
        raise PlanError(
            f"A solution with {len(plan)} plan cells and {len(rest)} others was to be corrupted. It needs some of both "
            f"({count} others here). Choose a smaller share or another puzzle."
        )
    draw = np.random.default_rng(seed)
    sources = [plan[index] for index in draw.choice(len(plan), count, replace=False)]
    targets = [rest[index] for index in draw.choice(len(rest), count, replace=False)]
    video, wrong = solution.copy(), np.zeros(sample.first_frame.shape[:2], dtype=bool)
    for (rows, columns), (to_rows, to_columns) in zip(sources, targets, strict=True):
        moved = changed[:, rows, columns]
        video[:, to_rows, to_columns][moved] = solution[:, rows, columns][moved]
        video[:, rows, columns] = sample.first_frame[rows, columns]
        wrong[rows, columns] = wrong[to_rows, to_columns] = True
    return Corrupted(video, wrong, count / len(plan))


def _cells(sample: Any) -> list[tuple[slice, slice]]:
    """Every whole cell, as rows and columns of pixels."""
    state = getattr(sample, "state", None) or {}
    side, (top, left) = state.get("cell_px", _CELL), state.get("origin", (0, 0))
    height, width = sample.first_frame.shape[:2]
    return [
        (slice(y, y + side), slice(x, x + side))
        for y in range(top, height - side + 1, side)
        for x in range(left, width - side + 1, side)
    ]


def _solutions(sample: Any, least: int, asked: object) -> tuple[Frames, ...]:
    solutions = tuple(getattr(sample, "solutions", ()))
    if len(solutions) < least:
        raise PlanError(
            f"Donor {asked!r} was asked for. This sample has {len(solutions)} known solutions and needs {least}. "
            "Choose another task or donor."
        )
    return solutions


def checked_source(name: str, value: Any, rules: tuple[str, ...]) -> Any:
    """A rule, an index from 0 up, or pixels; what an intervention keeps.

    Raises:
        BadInputError: If it is none of these.
    """
    if isinstance(value, np.ndarray) and value.ndim == 4:
        return Pixels(value)
    is_index = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if isinstance(value, Pixels) or is_index or (isinstance(value, str) and value in rules):
        return value
    came = f"an array {list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)
    raise BadInputError(
        f"{name} came as {came}. Allowed are {', '.join(map(repr, rules))}, the index of a solution, or a video uint8 "
        "[T, height, width, 3] (for a foreign plan, a solution of another puzzle). Give one of these."
    )
