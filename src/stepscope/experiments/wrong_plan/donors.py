"""The donors of `wrong-plan`: which a puzzle can have, and what `interventions.WrongPlan` takes for each."""

from collections.abc import Iterable, Sequence
from typing import Any

from stepscope.errors import PlanError, UnknownNameError
from stepscope.interventions import Pixels

__all__ = ["DONORS", "asked_donors", "donors_of", "name_of", "source"]

DONORS = ("other-valid", "corrupted", "foreign")
"""Whose video is put in."""


def asked_donors(donor: Any) -> tuple[str, ...] | None:
    """The option `donor` in its one spelling, None for all that there are.

    Raises:
        UnknownNameError: If one does not exist.
    """
    if donor is None:
        return None
    several = donor.split(",") if isinstance(donor, str) else list(donor) if isinstance(donor, Iterable) else [donor]
    for each in several or [donor]:
        if each not in DONORS:
            raise UnknownNameError.of("donor", each, DONORS)
    return tuple(each for each in DONORS if each in several)


def donors_of(asked: tuple[str, ...] | None, sample: Any, other: Any | None) -> Sequence[str]:
    """The donors of one puzzle.

    Raises:
        PlanError: If it cannot have one that was asked for.
    """
    lacking = {name: why for name, why in _lacks(sample, other).items() if why}
    for name in asked or ():
        if name in lacking:
            raise PlanError(f"Donor {name!r} was asked for. {lacking[name]} Choose another donor or other puzzles.")
    return [name for name in DONORS if name not in lacking and (asked is None or name in asked)]


def name_of(donor: str, step: int) -> str:
    """Name of the branch into which a donor's video is put at a step."""
    return f"{donor} at step {step}"


def source(donor: str, other: Any | None) -> Any:
    """What `WrongPlan` takes as its solution."""
    return donor if other is None or donor != "foreign" else Pixels(other.solutions[0])


def _lacks(sample: Any, other: Any | None) -> dict[str, str]:
    """What keeps a puzzle from having each donor; empty if nothing does."""
    several = len(sample.solutions) > 1
    return {
        "other-valid": "" if several else "It needs a puzzle with several solutions, and this one has one.",
        "foreign": "" if _fits(sample, other) else "It needs another puzzle of the same size with several solutions.",
    }


def _fits(sample: Any, other: Any | None) -> bool:
    if other is None:
        return False
    return (sample.num_frames, sample.first_frame.shape) == (other.num_frames, other.first_frame.shape)
