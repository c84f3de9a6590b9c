"""How means are drawn with what they leave open: curves with bands, numbers with intervals, words where none is.

A band is shaded where there is one: a curve over one puzzle has none, nor has a number.
"""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["draw_intervals", "draw_words", "error_bar", "shade"]

_ALPHA = 0.2

Values = Sequence[float | int]
Number = Mapping[str, Any]
"""{"value", "ci95"}; `ci95` is None for one puzzle."""


def shade(panel: Any, places: Values, low: Values | None, high: Values | None, colour: str) -> None:
    """Shade a band; nothing without one."""
    if low is not None and high is not None:
        panel.fill_between(places, low, high, color=colour, alpha=_ALPHA, linewidth=0)


def draw_intervals(panel: Any, places: Values, numbers: Sequence[Number], colour: str, label: str) -> None:
    """Draw numbers as a curve, in the band of their intervals if all have one."""
    panel.plot(places, [number["value"] for number in numbers], color=colour, marker="o", label=label)
    if all(number["ci95"] is not None for number in numbers):
        low, high = zip(*(number["ci95"] for number in numbers), strict=True)
        shade(panel, places, low, high, colour)


def error_bar(number: Number) -> list[list[float]] | None:
    """The lengths of a number's error bar, below and above; None without an interval."""
    if number["ci95"] is None:
        return None
    low, high = number["ci95"]
    return [[max(number["value"] - low, 0)], [max(high - number["value"], 0)]]


def draw_words(panel: Any, words: str) -> None:
    """Say in the middle of a panel why it is empty."""
    panel.text(0.5, 0.5, words, ha="center", transform=panel.transAxes)
