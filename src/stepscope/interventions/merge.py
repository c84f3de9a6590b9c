"""Merging: what several runs of one puzzle have in the same step, averaged into one of them.

    y <- y + a P(m - y),   m = (y + y_1 + … + y_K-1) / K        y one's own, y_i that of donor i

    P           the identity, or (`pooled`) the mean over time and space: seeds share how much, and keep their own where
    matched     then y <- y |y_before| / |y_after|: a mean of K independent parts is 1/sqrt(K) as long, and a shorter
                vector alone may change what the rest of a model does

What y is: `MergeLayers` what a layer puts out, `MergeEstimates` the velocity or the clean estimate, `MergeLatents` the
latents (at step 0 the noise itself).  Donors are branches of the same plan, usually other seeds; they lend what they
have before they merge themselves, so the order of branches means nothing.  Without donors, with strength a = 0, or with
donors that are copies of oneself, it is the identity bit for bit.

The kind of edit is that of the training-free ensemble of *Demystifying Video Reasoning* (arXiv 2603.16870); no code and
few details of it are known (three seeds, early steps, middle layers).  Cost: the tensors of K runs, no model call.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch

from stepscope.denoise import AbstractExchange
from stepscope.errors import BadInputError
from stepscope.interventions.indices import Indices, acts, checked_strength, settled, sorted_indices
from stepscope.interventions.json_form import JsonForm

__all__ = ["AbstractMerge"]


class AbstractMerge(JsonForm, AbstractExchange):
    """Which branches are merged, when, and how. Implementations are frozen dataclasses.

    Attributes:
        donors: names of the branches that are merged into this one; none is the identity.
        steps: step indices, an int or several; None for all.
        pooled: whether only the mean over time and space is merged.
        matched: whether the length of what was there before is restored.
        strength: a in [0, 1]; 0 is the identity.
    """

    donors: Any
    steps: int | Iterable[int] | None
    pooled: bool
    matched: bool
    strength: float | int

    def __post_init__(self) -> None:
        one = isinstance(self.donors, str) or not isinstance(self.donors, Iterable)
        donors = (self.donors,) if one else tuple(self.donors)
        if not all(isinstance(donor, str) and donor.strip() for donor in donors) or len(set(donors)) < len(donors):
            raise BadInputError(
                f"donors came as {list(donors)!r}. They are names of branches, each once. Give for example ['seed-1']."
            )
        steps, strength = sorted_indices("steps", self.steps), checked_strength(self.strength)
        settled(self, donors=donors, steps=steps, strength=strength)

    @property
    def is_zero(self) -> bool:
        """Whether the strength is 0 or there is nobody to merge with."""
        return self.strength == 0 or not self.donors

    @property
    def asks_estimate(self) -> bool:
        """It asks nothing of the model."""
        return False

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return acts(self, cast(Indices, self.steps), step, num_steps)

    @property
    @abstractmethod
    def what(self) -> str:
        """What is merged, in one word."""

    def merged(
        self, own: torch.Tensor, others: Sequence[torch.Tensor], pool: tuple[int, ...], length: tuple[int, ...]
    ) -> torch.Tensor:
        """One's own values, moved towards the mean of all.

        Args:
            own: of any shape.
            others: those of the donors, of the same shape.
            pool: axes of time and space.
            length: axes over which a length is taken.
        """
        shift = torch.stack([other - own for other in others]).sum(0) / (len(others) + 1)
        made = own + self.strength * (shift.mean(pool, keepdim=True) if self.pooled else shift)
        return _lengthened(made, own, length) if self.matched else made


def _lengthened(made: torch.Tensor, own: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """`made` with the lengths of `own`; what has no length keeps none."""
    before = torch.linalg.vector_norm(own, dim=axes, keepdim=True)
    after = torch.linalg.vector_norm(made, dim=axes, keepdim=True)
    return made * torch.where(after > 0, before / after, torch.ones_like(after))
