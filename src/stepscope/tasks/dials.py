"""What families of puzzles share in their dials: checks of the values, and the draw until the split is right."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from stepscope.errors import BadInputError
from stepscope.tasks.sample import Split, check_split, split_of

__all__ = ["check_all", "check_choice", "draw_in_split"]

TRIES = 20_000


def check_choice(dial: str, value: object, allowed: Collection[object]) -> None:
    """Refuse a dial's value that is not allowed; 1 is not True."""
    if not any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in allowed):
        listed = ", ".join(map(repr, allowed))
        raise BadInputError(f"{dial.capitalize()} came as {value!r}. It is one of {listed}. Choose one of these.")


def check_all(seed: int, split: str, num_frames: int, least_frames: int) -> None:
    """Refuse a seed, a split or a number of frames that no family takes."""
    check_split(split)
    if seed < 0:
        raise BadInputError(f"Sample came as {seed}. It is a whole number from 0 on. Choose such a number.")
    if num_frames < least_frames:
        raise BadInputError(
            f"Frames came as {num_frames}. This task takes at least {least_frames}. Ask for more frames."
        )


def draw_in_split(propose: Callable[[], Mapping[str, Any] | None], split: Split, what: str) -> Mapping[str, Any]:
    """The first state proposed (None: nothing this time) that belongs to the split by its content.

    Args:
        propose: draws a state, or None where the draw does not fit the dials.
        split: the split wanted.
        what: the kind of puzzle with its dials, in words, for the message.

    Raises:
        BadInputError: if none came in `TRIES` tries.
    """
    for _ in range(TRIES):
        state = propose()
        if state is not None and split_of(state) == split:
            return state
    raise BadInputError(f"No {what} belongs to the {split} split in {TRIES} tries. Choose other dials.")
