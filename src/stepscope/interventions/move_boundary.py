"""Another boundary between two experts: the control of every finding near the step at which they change over.

    high_noise answers where the noise level is at least `boundary`, low_noise below

At the model's own boundary it is the identity, and costs nothing.  What stays where it is when the boundary moves is
about noise levels; what moves with it is about the hand-over (an expert then answers at levels that it was not trained
on, so answers may get worse everywhere: compare within a boundary).
"""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

from stepscope.denoise import AbstractIntervention
from stepscope.errors import BadInputError
from stepscope.interventions.indices import settled
from stepscope.interventions.json_form import JsonForm

__all__ = ["MoveBoundary"]


@dataclass(frozen=True)
class MoveBoundary(JsonForm, AbstractIntervention):
    """Let the experts of a model with two hand over at another noise level; a model with one is refused.

    Attributes:
        boundary: in [0, 1], as `boundary_ratio` in a Wan2.2 pipeline; 0 leaves all to the expert for high noise.

    Raises:
        BadInputError: If the boundary is no noise level.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"expert"})

    boundary: float | int

    def __post_init__(self) -> None:
        given = self.boundary
        if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given) or not 0 <= given <= 1:
            raise BadInputError(
                f"boundary came as {given!r}. It is a noise level from 0 to 1. Wan2.2-I2V-A14B has 0.9; give another."
            )
        settled(self, boundary=float(given))

    def acts_at(self, step: int, num_steps: int) -> bool:
        """At every step at which another expert answers than otherwise."""
        return True

    def expert_boundary(self) -> float:
        """The boundary."""
        return float(self.boundary)
