"""Edits that mix something into the latents with a strength a: x <- (1 - a) x + a y, where y needs no model call.

At a = 0 they are the identity.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, cast

from stepscope.denoise import AbstractIntervention
from stepscope.interventions.indices import Indices, acts

__all__ = ["AbstractMixture"]


class AbstractMixture(AbstractIntervention):
    """When such an edit acts, and when it is nothing. Implementations are frozen dataclasses.

    Attributes:
        steps: step indices at which it acts; None for all.
        strength: a, in [0, 1].
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"latents"})

    steps: int | Iterable[int] | None
    strength: Any

    @property
    def is_zero(self) -> bool:
        """Whether the strength is 0."""
        return self.strength == 0

    @property
    def asks_estimate(self) -> bool:
        """It asks nothing of the model."""
        return False

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return acts(self, cast(Indices, self.steps), step, num_steps)
