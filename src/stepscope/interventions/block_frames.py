"""Self-attention cut between latent frames: who may not look at whom.

    query frame q may not see key frame k   if  q in `queries`,  k in `keys`,  and
        hidden = "future"   k > q       the past cannot see the future
        hidden = "past"     k < q       the future cannot see the past
        hidden = "both"     k != q

A frame always sees itself, so no row of the mask is empty.  The residual stream of a frame passes untouched; what a
frame learned in earlier steps, or is told by text and first frame, is not taken from it.  Cost: a mask of L² bytes
while a layer runs, L the number of tokens, and attention with a mask.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, cast

import torch

from stepscope.denoise import AbstractIntervention, Address
from stepscope.errors import PlanError, UnknownNameError
from stepscope.interventions.indices import Indices, acts, settled, sorted_indices, within
from stepscope.interventions.json_form import JsonForm

__all__ = ["DIRECTIONS", "BlockFrames"]

DIRECTIONS = ("future", "past", "both")
"""What can be hidden from a frame."""


@dataclass(frozen=True)
class BlockFrames(JsonForm, AbstractIntervention):
    """Hide latent frames from each other in the self-attention of some layers.

    Attributes:
        steps: step indices, an int or several; None for all.
        hidden: one of `DIRECTIONS`.
        queries: latent frames that lose sight, an int or several; None for all, an empty list for none (the identity).
        keys: latent frames that are lost from sight; the same.
        layers: layer indices; None for all.

    Raises:
        UnknownNameError: If the direction does not exist.
        BadInputError: If an index cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"attention"})

    steps: int | Iterable[int] | None
    hidden: str = "future"
    queries: int | Iterable[int] | None = None
    keys: int | Iterable[int] | None = None
    layers: int | Iterable[int] | None = None

    def __post_init__(self) -> None:
        if self.hidden not in DIRECTIONS:
            raise UnknownNameError.of("direction of BlockFrames", self.hidden, DIRECTIONS)
        settled(
            self,
            steps=sorted_indices("steps", self.steps),
            queries=_frames("queries", self.queries),
            keys=_frames("keys", self.keys),
            layers=sorted_indices("layers", self.layers),
        )

    @property
    def is_zero(self) -> bool:
        """Whether no frame loses sight of any."""
        return self.queries == () or self.keys == ()

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return acts(self, cast(Indices, self.steps), step, num_steps)

    def attention_mask(self, address: Address) -> torch.Tensor | None:
        """Bool [F, F], True where a query frame (row) may see a key frame.

        Raises:
            BadInputError: If the video is too short for one of the latent frames.
            PlanError: If nothing is known of the tokens' frames.
        """
        layers = cast(Indices, self.layers)
        if layers is not None and address.layer not in layers:
            return None
        if address.token_grid is None:
            raise PlanError("BlockFrames came for a model without a token grid. It needs frames. Leave it out.")
        blocked = self._blocked(address.token_grid[0])
        return ~blocked if bool(blocked.any()) else None

    def _blocked(self, num_frames: int) -> torch.Tensor:
        query, key = torch.arange(num_frames)[:, None], torch.arange(num_frames)[None, :]
        towards = {"future": key > query, "past": key < query, "both": key != query}[self.hidden]
        return towards & self._among("queries", num_frames)[:, None] & self._among("keys", num_frames)[None, :]

    def _among(self, name: str, num_frames: int) -> torch.Tensor:
        frames = cast(Indices, getattr(self, name))
        if frames is None:
            return torch.ones(num_frames, dtype=torch.bool)
        within(self, name, frames, num_frames)
        return torch.isin(torch.arange(num_frames), torch.tensor(frames))


def _frames(name: str, value: int | Iterable[int] | None) -> Indices:
    if value is None or isinstance(value, int):
        return sorted_indices(name, value)
    several = tuple(value)
    return sorted_indices(name, several) if several else ()
