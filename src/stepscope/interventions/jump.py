"""A jump without an edit: the control of every edit of latents.

    x <- x,   the solver's memory void

What differs between this branch and the clean one is the solver's doing; what differs between it and an edited branch
is the edit's.  Under one-step solvers it is the clean run.  Cost: nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, cast

from stepscope.denoise import AbstractIntervention
from stepscope.interventions.indices import Indices, acts, settled, sorted_indices
from stepscope.interventions.json_form import JsonForm

__all__ = ["Jump"]


@dataclass(frozen=True)
class Jump(JsonForm, AbstractIntervention):
    """Declare an edit of the latents before some steps, and make none. It is the zero of edits, told to the solver.

    Attributes:
        steps: step indices, an int or several; None for all. Kept as a sorted tuple.

    Raises:
        BadInputError: If an index cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"latents"})

    steps: int | Iterable[int] | None

    def __post_init__(self) -> None:
        settled(self, steps=sorted_indices("steps", self.steps))

    @property
    def asks_estimate(self) -> bool:
        """It asks nothing."""
        return False

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return acts(self, cast(Indices, self.steps), step, num_steps)
