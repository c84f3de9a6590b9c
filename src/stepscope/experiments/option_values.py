"""The values of an experiment's options, from Python or as words from the command line, in their one spelling.

4   [2, 4]   (2, 4)   "2,4"      ->  (4,)   (2, 4)         one or several whole numbers
"a"   ["a", "b"]   "a,b"         ->  ("a",)   ("a", "b")   one or several names
"""

import operator
from collections.abc import Iterable
from typing import Any

from stepscope.errors import BadInputError

__all__ = ["named", "settle", "truth", "whole", "wholes"]


def settle(experiment: Any, **fields: Any) -> None:
    """Write fields of a frozen dataclass that nobody else holds yet: in their one spelling, or as a model has them."""
    for name, value in fields.items():
        object.__setattr__(experiment, name, value)


def truth(name: str, value: Any) -> bool:
    """True or false; no word stands for either, since "no" would be as true as "yes".

    Raises:
        BadInputError: If it is something else.
    """
    if not isinstance(value, bool):
        raise _refused(name, value, "true and false")
    return value


def whole(name: str, value: Any, least: int) -> int:
    """A whole number.

    Raises:
        BadInputError: If it is none, or too small.
    """
    (number,) = _whole(name, (value,), least, f"whole numbers from {least} up")
    return number


def wholes(name: str, value: Any, least: int) -> tuple[int, ...]:
    """Several whole numbers, each once, in their order.

    Raises:
        BadInputError: If there are none, one comes twice, or one is too small.
    """
    allowed = f"whole numbers from {least} up, one or several, each once"
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, Iterable) else (value,)
    try:
        numbers = tuple(int(part) if isinstance(part, str) else part for part in parts)
    except ValueError:
        numbers = ()
    if not numbers or len(set(numbers)) < len(numbers):
        raise _refused(name, value, allowed)
    return _whole(name, numbers, least, allowed)


def named(value: Any) -> tuple[str, ...]:
    """Several names, each once, in their order."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, Iterable) else (value,)
    return tuple(dict.fromkeys(str(part).strip() for part in parts))


def _whole(name: str, values: tuple[Any, ...], least: int, allowed: str) -> tuple[int, ...]:
    try:
        numbers = tuple(operator.index(value) for value in values)
    except TypeError:
        numbers = (least - 1,)
    if min(numbers) < least:
        raise _refused(name, values[0] if len(values) == 1 else list(values), allowed)
    return numbers


def _refused(name: str, value: Any, allowed: str) -> BadInputError:
    return BadInputError(f"{name} came as {value!r}. Allowed are {allowed}. Give one of these.")
