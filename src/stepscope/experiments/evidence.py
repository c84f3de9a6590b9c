"""From one number a run to a verdict: mean, interval over puzzles, control, and what could have been found.

value     mean over runs, its 95% interval by drawing puzzles with all their seeds
control   the same number where there is nothing to find; it holds if its mean stays below the claim's delta

Where all runs say the same v, resampling cannot see how far the mean may be off.  With n puzzles alike, at most a share
q of all puzzles differs (Clopper–Pearson: q = 1 - 0.025^(1/n)), and those by no more than the range [a, b] allows:

    interval  [v - q (v - a), v + q (b - v)]
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stepscope.analysis import claims, mean_interval, minimal_detectable_effect, proportion
from stepscope.analysis.claims import Verdict

__all__ = ["Evidence", "detectable", "emit", "withhold"]

_SEED = 0


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


def emit(
    id: str, runs: Sequence[Evidence], kind: str = "puzzles", bounds: tuple[float, float] | None = None
) -> Verdict:
    """Hold runs against a claim.

    Args:
        id: Name of the claim.
        runs: Those that say something on it.
        kind: What the puzzles have to be, for the reason if there are too few.
        bounds: Least and largest value that there can be; None if that is not known.
    """
    puzzles = [each.puzzle for each in runs]
    n = len(set(puzzles))
    if n < 2:
        return withhold(id, n, f"{n} {kind} came, and an interval over puzzles needs at least two")
    value, *interval = mean_interval([each.value for each in runs], _SEED, puzzles)
    if bounds is not None and len({each.value for each in runs}) == 1:
        interval = _alike(value, n, *bounds)
    controls = [each.control for each in runs if each.control is not None]
    passed = sum(controls) / len(controls) < claims.get(id).delta if len(controls) == len(runs) else None
    return claims.verdict(id, value, interval, n, passed)


def _alike(value: float, n: int, least: float, largest: float) -> list[float]:
    """The interval of a mean of which n puzzles have shown the same value."""
    *_, differing = proportion(0, n)
    return [value - differing * (value - least), value + differing * (largest - value)]


def withhold(id: str, n: int, reason: str) -> Verdict:
    """Say that a claim was not tested, and why."""
    return claims.verdict(id, None, None, n, None, reason)


def detectable(runs: Sequence[Evidence]) -> float | None:
    """The smallest true mean that these runs would tell from 0, four times in five; None without two puzzles."""
    puzzles = [each.puzzle for each in runs]
    return minimal_detectable_effect([each.value for each in runs], puzzles) if len(set(puzzles)) > 1 else None
