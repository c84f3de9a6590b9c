"""Different puzzles: one that comes twice is run to the same bits twice, and would be counted as two.

    8 samples, first 0     the first eight puzzles of the task's seeds 0, 1, 2, … that differ by what is seen of them
    samples 3, 9           those of these seeds, refused if they are the same

Small families hold few: a shape turned by quarters makes 94 held-out puzzles, and 512 seeds draw each of them about
five times.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from stepscope.errors import BadInputError
from stepscope.executors import content_digest, draw_sample
from stepscope.tasks import Task

__all__ = ["drawn"]

# A family counts as exhausted after so many seeds without a new puzzle, for each that was found, or so many at least.
_IN_VAIN, _AT_LEAST = 4, 64


def drawn(task: Task, samples: int | Iterable[Any], first: int, split: str, dials: Mapping[str, Any]) -> Sequence[Any]:
    """The puzzles of an experiment.

    Args:
        task: Draws them.
        samples: Number of puzzles, or the seeds that make them, or the samples themselves.
        first: The seed from which a number of puzzles is drawn.
        split: "test" or "train".
        dials: Dials of the task.

    Raises:
        BadInputError: If there are no solutions, or not enough different puzzles.
    """
    if isinstance(samples, int):
        if samples < 1:
            raise BadInputError(f"samples came as {samples}. Allowed is 1 or more. Give the number of puzzles.")
        return _different(samples, (draw_sample(task, seed, split, dials) for seed in count(first)))
    named = [each if hasattr(each, "first_frame") else draw_sample(task, each, split, dials) for each in samples]
    for sample in named:
        _check(sample)
    if len({content_digest(sample) for sample in named}) < len(named):
        raise BadInputError(
            f"Of the {len(named)} samples some are the same puzzle. Each puzzle counts once in an interval. "
            "Give other sample seeds, fewer samples, or larger puzzles."
        )
    return named


def _different(wanted: int, samples: Iterable[Any]) -> list[Any]:
    found: dict[str, Any] = {}
    in_vain = 0
    for sample in samples:
        _check(sample)
        known = len(found)
        found.setdefault(content_digest(sample), sample)
        in_vain = 0 if len(found) > known else in_vain + 1
        if len(found) == wanted:
            break
        if in_vain > max(_AT_LEAST, _IN_VAIN * known):
            raise BadInputError(
                f"{wanted} samples were asked for, and {known} different puzzles were found, then none in {in_vain} "
                f"seeds. Each counts once in an interval. Give {known} or fewer samples and more seeds, or other dials."
            )
    return list(found.values())


def _check(sample: Any) -> None:
    """Refuse a puzzle that cannot be measured."""
    if not len(getattr(sample, "solutions", ())):
        raise BadInputError(
            f"Sample {getattr(sample, 'seed', None)} lists no solutions. Knowledge and choice are measured against "
            "all valid solution videos. Choose a task, or dials, for which they are listed."
        )
