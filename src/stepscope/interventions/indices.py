"""The fields that interventions share: at which steps, in which frames or layers, how strongly.

Every spelling of the same indices (3, [3], range(3, 4)) becomes one sorted tuple, so that equal edits are equal values.
"""

import operator
from collections.abc import Iterable, Sequence
from typing import Any

from stepscope.errors import BadInputError

__all__ = ["Indices", "acts", "checked_strength", "settled", "sorted_indices", "whole_seed", "within"]

Indices = tuple[int, ...] | None
"""Sorted, without repetition; None for all."""


def settled(intervention: Any, **fields: Any) -> None:
    """Write fields of a frozen dataclass in their settled form; for `__post_init__` alone."""
    for name, value in fields.items():
        object.__setattr__(intervention, name, value)


def sorted_indices(name: str, value: int | Iterable[int] | None) -> Indices:
    """The indices in their one spelling.

    Raises:
        BadInputError: If they are no indices, or none at all.
    """
    if value is None:
        return None
    try:
        several = value if isinstance(value, Iterable) else (value,)
        indices = tuple(sorted({operator.index(index) for index in several}))
    except TypeError:
        indices = ()
    if not indices or indices[0] < 0:
        raise BadInputError(
            f"{name} came as {value!r}. Allowed are indices from 0 up, one or several, or None for all. "
            f"Give for example {name}=3 or {name}=[3, 4]."
        )
    return indices


def acts(intervention: object, steps: Indices, step: int, num_steps: int) -> bool:
    """Whether an intervention with these steps acts at `step`.

    Raises:
        BadInputError: If the run is too short for one of the steps.
    """
    if steps is None:
        return True
    within(intervention, "steps", steps, num_steps)
    return step in steps


def within(intervention: object, name: str, indices: Sequence[int], length: int) -> None:
    """Refuse indices of a run, video or model that is shorter."""
    if max(indices, default=0) >= length:
        raise BadInputError(
            f"{type(intervention).__name__} has {name} up to {max(indices)}. This run has 0 to {length - 1}. "
            "Leave out those beyond."
        )


def checked_strength(value: float | int, allows: str = "Allowed is") -> float:
    """A strength from 0, the identity, to 1.

    Raises:
        BadInputError: If it lies outside, or is no number.
    """
    if not (isinstance(value, int | float) and 0 <= value <= 1):
        raise BadInputError(f"strength came as {value!r}. {allows} 0 to 1. Give 1 for the whole edit.")
    return float(value)


def whole_seed(value: Any) -> int:
    """A seed: any whole number.

    Raises:
        BadInputError: If it is none.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise BadInputError(f"seed came as {value!r}. Allowed are whole numbers. Give 0 for example.") from None
