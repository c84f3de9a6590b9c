"""Pictures of a page: one WebP sheet a step, at the dearest quality that fits the budget.

A sheet holds the frames of one clean estimate in reading order, `columns` of them a row.  Quality is lowered in one
fixed order, `LADDER`, until all sheets fit; the page says which rung was taken.  Lossless is bit for bit what the model
showed (WebP without colour conversion).
"""

import base64
import contextlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from stepscope.shapes import Frames

__all__ = ["LADDER", "Painter", "Rung", "Sheet", "data_uri", "first_fit", "spread"]

Drawing = TypeVar("Drawing")

_LOSSLESS: dict[str, Any] = {"lossless": True, "exact": True, "method": 2, "quality": 20}
"""`quality` is effort here: five times faster than the default for 2% more bytes."""
_MAX_SHEET_SIDE = 16383


@dataclass(frozen=True)
class Rung:
    """One way to pay for the pictures.

    Attributes:
        quality: WebP quality 1–100, or None for lossless.
        max_side: Longest side of a frame in pixels; larger ones are scaled down.
        max_frames: Frames shown of each step, spread evenly, first and last among them.
        max_steps: Steps shown, spread evenly, first and last among them.
    """

    quality: int | None
    max_side: int
    max_frames: int
    max_steps: int

    @property
    def codec(self) -> str:
        """Return the encoding in words."""
        return "WebP, lossless" if self.quality is None else f"WebP, quality {self.quality}"


LADDER = (
    Rung(None, 256, 49, 100),
    Rung(97, 256, 49, 100),
    Rung(90, 256, 49, 100),
    Rung(90, 160, 25, 50),
    Rung(85, 128, 17, 50),
    Rung(80, 96, 13, 25),
    Rung(75, 96, 9, 13),
    Rung(60, 64, 5, 9),
)


@dataclass(frozen=True)
class Sheet:
    """One encoded picture that holds several frames.

    Attributes:
        uri: data: URI.
        columns: Frames a row of the sheet.
        width: Width of one frame in pixels.
        height: Height of one frame in pixels.
    """

    uri: str
    columns: int
    width: int
    height: int


class Painter:
    """Encodes pictures on one rung and keeps count of what they cost."""

    def __init__(self, rung: Rung, budget: int | float) -> None:
        self.rung = rung
        self._left = budget

    def sheet(self, frames: Frames) -> Sheet:
        """Lay frames out in reading order and encode them.

        Args:
            frames: uint8 [T, Y, X, 3].

        Returns:
            The sheet; frames larger than the rung allows are scaled down by area.
        """
        scaled = _scaled(frames, self.rung.max_side)
        count, height, width = scaled.shape[:3]
        columns = min(count, _MAX_SHEET_SIDE // width)
        uri = data_uri(_webp(_laid_out(scaled, columns), self.rung.quality))
        self._left -= len(uri)
        if self._left < 0:
            raise _OverBudgetError
        return Sheet(uri, columns, width, height)


def spread(count: int, wanted: int) -> list[int]:
    """Choose at most `wanted` indices of range(count), evenly, the first and the last among them."""
    if wanted >= count:
        return list(range(count))
    return sorted({round(i * (count - 1) / max(wanted - 1, 1)) for i in range(wanted)})


def data_uri(webp: bytes) -> str:
    """Wrap encoded bytes for use inside the page."""
    return "data:image/webp;base64," + base64.b64encode(webp).decode()


def first_fit(draw: Callable[[Painter], Drawing], budget: int) -> tuple[Rung, Drawing]:
    """Draw with the first rung whose pictures fit.

    Args:
        draw: Makes the whole drawing with a painter; it is stopped as soon as the budget is spent.
        budget: Bytes for all pictures together.

    Returns:
        The rung and the drawing; the last rung is taken whatever it costs.
    """
    for rung in LADDER[:-1]:
        with contextlib.suppress(_OverBudgetError):
            return rung, draw(Painter(rung, budget))
    return LADDER[-1], draw(Painter(LADDER[-1], math.inf))


class _OverBudgetError(Exception):
    """The pictures so far cost more than the budget."""


def _laid_out(frames: Frames, columns: int) -> np.ndarray:
    count, height, width = frames.shape[:3]
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height, width, 3), np.uint8)
    cells[:count] = frames
    return cells.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)


def _scaled(frames: Frames, max_side: int) -> np.ndarray:
    height, width = frames.shape[1:3]
    scale = max_side / max(height, width)
    if scale >= 1:
        return frames
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX)) for frame in frames])


def _webp(pixels: np.ndarray, quality: int | None) -> bytes:
    stream = io.BytesIO()
    options = _LOSSLESS if quality is None else {"quality": quality, "method": 4}
    Image.fromarray(pixels).save(stream, "WEBP", **options)
    return stream.getvalue()
