"""Indices as people give them: one, several, or START:STOP:STRIDE as text."""

import operator
from collections.abc import Iterable
from typing import Any

from stepscope.errors import BadInputError

__all__ = ["chosen"]


def chosen(name: str, value: Any) -> tuple[int, ...] | None:
    """Indices in their one spelling: an int, several, or START:STOP:STRIDE as text; None for the usual ones.

    Raises:
        BadInputError: If they are none.
    """
    if value is None:
        return None
    try:
        indices = _span(value) if isinstance(value, str) else value if isinstance(value, Iterable) else (value,)
        found = tuple(sorted({operator.index(index) for index in indices}))
    except (TypeError, ValueError):
        found = ()
    if not found or found[0] < 0:
        raise BadInputError(
            f"{name} came as {value!r}. Allowed are indices from 0 up: one, several, or START:STOP:STRIDE. "
            f"Give for example {name}=[1, 2], or leave it out."
        )
    return found


def _span(text: str) -> Iterable[int]:
    if ":" not in text:
        return [int(part) for part in text.split(",")]
    start, stop, *stride = text.split(":")
    return range(int(start or 0), int(stop), *(int(part) for part in stride if part))
