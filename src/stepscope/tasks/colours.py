"""Colours of the puzzles made of shapes: saturated, and any two more than 2 x `TOLERANCE` apart in RGB."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["BACKGROUND", "INK", "OUTSIDE", "SHAPE_COLOURS", "Colour"]

Colour = tuple[int, int, int]

BACKGROUND: Colour = (242, 242, 238)
OUTSIDE: Colour = (224, 227, 234)  # beyond a puzzle's walls; never read
INK: Colour = (38, 42, 58)
SHAPE_COLOURS: Mapping[str, Colour] = MappingProxyType(
    {
        "red": (225, 40, 50),
        "green": (0, 170, 80),
        "blue": (50, 110, 240),
        "orange": (255, 170, 0),
        "purple": (170, 50, 205),
    }
)
