"""From one number a run to a verdict: mean, interval over puzzles, control, and what could have been found.

value      mean over runs
interval   95%, puzzles drawn with all their seeds; within the bounds that the value has, see `analysis.bounded`
control    the same number where there is nothing to find; it holds if its mean stays below the claim's delta

Where nothing bounds the value, puzzles are drawn with replacement, and values that are all alike have no interval:
nothing says how far a puzzle that was not drawn may lie from them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stepscope.analysis import claims, mean_interval, minimal_detectable_effect
from stepscope.analysis.claims import Verdict

__all__ = ["Bounds", "Evidence", "detectable", "emit", "interval_of", "withhold"]

_SEED = 0

Bounds = tuple[float, float] | None
"""Least and largest value that there can be; None if that is not known."""


@dataclass(frozen=True)
class Evidence:
    """What one run says on a claim.

    Attributes:
        puzzle: Index of its puzzle.
        value: The number, in the units of the claim's metric.
        control: The same where there is nothing to find; None if that could not be measured.
    """

    puzzle: int
    value: float
    control: float | None


def emit(id: str, runs: Sequence[Evidence], kind: str = "puzzles", bounds: Bounds = None) -> Verdict:
    """Hold runs against a claim.

    Args:
        id: Name of the claim.
        runs: Those that say something on it.
        kind: What the puzzles have to be, for the reason if there are too few.
        bounds: Least and largest value that there can be in these puzzles; None for those that the claim itself has.

    Raises:
        BadInputError: If a value lies outside the bounds.
    """
    bounds = claims.get(id).bounds if bounds is None else bounds
    found = interval_of(((each.puzzle, each.value) for each in runs), bounds)
    if found is None or found["n"] < 2:
        n = found["n"] if found else 0
        return withhold(id, n, f"{n} {kind} came, and an interval over puzzles needs at least two")
    controls = [each.control for each in runs if each.control is not None]
    passed = sum(controls) / len(controls) < claims.get(id).delta if len(controls) == len(runs) else None
    return claims.verdict(id, found["value"], found["ci95"], found["n"], passed)


def interval_of(values: Iterable[tuple[int, float | None]], bounds: Bounds = None) -> dict[str, Any] | None:
    """Mean and 95% interval of one number a run: {"value", "ci95", "n"}, or None where no run has it.

    Args:
        values: Index of the puzzle and the number, None where there is none, of each run.
        bounds: Of the numbers.

    Returns:
        `n` counts puzzles; `ci95` is None for one puzzle, and where nothing bounds numbers that are all alike.

    Raises:
        BadInputError: If a number lies outside the bounds.
    """
    found = [(puzzle, value) for puzzle, value in values if value is not None]
    if not found:
        return None
    puzzles, numbers = zip(*found, strict=True)
    n, alike = len(set(puzzles)), len(set(numbers)) == 1
    if n < 2:
        return {"value": sum(numbers) / len(numbers), "ci95": None, "n": n}
    value, *ends = mean_interval(numbers, _SEED, puzzles, bounds)
    return {"value": value, "ci95": None if alike and bounds is None else ends, "n": n}


def withhold(id: str, n: int, reason: str) -> Verdict:
    """Say that a claim was not tested, and why."""
    return claims.verdict(id, None, None, n, None, reason)


def detectable(runs: Sequence[Evidence]) -> float | None:
    """The smallest true mean that these runs would tell from 0, four times in five; None without two puzzles."""
    puzzles = [each.puzzle for each in runs]
    return minimal_detectable_effect([each.value for each in runs], puzzles) if len(set(puzzles)) > 1 else None
