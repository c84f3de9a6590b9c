"""What every sweep over steps shares: which steps, which noise, which null, and how a run ended.

noise   a seed for each puzzle, drawn from the option `seed` and the puzzle's content, so that an interval over
        puzzles is one over noises too
null    `other seed`: another run of the same puzzle, which is what replacing all latents at step 0 comes to
ending  the latent read-out of a result: which solution it shows (None for none) and R
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepscope.analysis import hull_coordinates, read_out
from stepscope.errors import BadInputError
from stepscope.executors import sample_digest
from stepscope.scope import Branch, Solutions
from stepscope.shapes import Latents

__all__ = ["NULL", "Ending", "Steps", "ending", "noise_seed", "null_branch", "steps_of"]

NULL = "other seed"
"""Name of the branch that is another run of the same puzzle."""

Steps = tuple[int, ...] | None
"""Sorted, without repetition; None for all."""


@dataclass(frozen=True)
class Ending:
    """How a run ended, by the latent read-out.

    Attributes:
        answer: Index of the solution that the result shows, None for none.
        knowledge: R of the result.
    """

    answer: int | None
    knowledge: float

    @property
    def success(self) -> float:
        """1 if a solution is shown, else 0."""
        return float(self.answer is not None)


def ending(latents: Latents, solutions: Solutions) -> Ending:
    """Read a result."""
    weights, distance = hull_coordinates(latents, solutions.candidates, solutions.still)
    return Ending(read_out(weights, float(distance)), float(distance))


def steps_of(at: Steps, num_steps: int) -> Sequence[int]:
    """The steps of a run that are asked for.

    Raises:
        BadInputError: If the run has no such step.
    """
    if at is not None and at[-1] >= num_steps:
        raise BadInputError(
            f"Step {at[-1]} was asked for. This run has steps 0 to {num_steps - 1}. Leave out those beyond."
        )
    return range(num_steps) if at is None else at


def noise_seed(seed: int, sample: Any) -> int:
    """The seed of the noise that hits a puzzle, 32 bits."""
    return int(hashlib.sha256(f"{seed}/{sample_digest(sample)}".encode()).hexdigest()[:8], 16)


def null_branch(seed: int, sample: Any) -> Branch:
    """Another run of the same puzzle; its seed is none that anybody would ask for."""
    return Branch(NULL, seed=noise_seed(seed, sample))
