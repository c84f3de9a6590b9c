"""Edits of what layers put out: scaled, or skipped.

    ScaleLayer   h <- scale · h at one site of some layers                          scale 1 is the identity
    SkipLayer    h' <- (1 - a) h' + a h at some blocks, h what enters, h' what leaves     strength a = 0 is the identity

With a = 1 a block puts out what it was given, bit for bit.  Cost: one product a tapped site; a skipped block is still
computed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, cast

import torch

from stepscope.denoise import SITES, AbstractIntervention, Address, SiteTap
from stepscope.denoise.denoiser import Site
from stepscope.errors import BadInputError, UnknownNameError
from stepscope.interventions.indices import Indices, acts, checked_strength, settled, sorted_indices
from stepscope.interventions.json_form import JsonForm

__all__ = ["ScaleLayer", "SkipLayer"]


@dataclass(frozen=True)
class ScaleLayer(JsonForm, AbstractIntervention):
    """Scale what one site of some layers puts out.

    Attributes:
        steps: step indices, an int or several; None for all.
        layers: layer indices, an int or several; None for all.
        scale: any finite number; 1 is the identity, 0 knocks the site out.
        site: one of `denoise.SITES`.

    Raises:
        UnknownNameError: If the site does not exist.
        BadInputError: If an index or the scale cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"site"})

    steps: int | Iterable[int] | None
    layers: int | Iterable[int] | None
    scale: float | int
    site: str = "block"

    def __post_init__(self) -> None:
        if self.site not in SITES:
            raise UnknownNameError.of("site", self.site, SITES)
        if not isinstance(self.scale, int | float) or not isfinite(self.scale):
            raise BadInputError(f"scale came as {self.scale!r}. It is a finite number. Give 0 to knock a site out.")
        steps, layers = sorted_indices("steps", self.steps), sorted_indices("layers", self.layers)
        settled(self, steps=steps, layers=layers, scale=float(self.scale))

    @property
    def is_zero(self) -> bool:
        """Whether the scale is 1."""
        return self.scale == 1

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return acts(self, cast(Indices, self.steps), step, num_steps)

    def edit_site(self, hidden: torch.Tensor, address: Address) -> torch.Tensor:
        """The hidden state [B, L, D], scaled."""
        return hidden * self.scale

    def site_taps(self) -> tuple[SiteTap, ...]:
        """One on the site."""
        return (SiteTap(cast(Site, self.site), self.edit_site, _set(self.layers)),)


@dataclass(frozen=True)
class SkipLayer(JsonForm, AbstractIntervention):
    """Let some blocks pass on what they were given.

    Attributes:
        steps: step indices, an int or several; None for all.
        layers: layer indices, an int or several; None for all.
        strength: a in [0, 1]; 1 skips, 0 is the identity.

    Raises:
        BadInputError: If an index or the strength cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"site"})

    steps: int | Iterable[int] | None
    layers: int | Iterable[int] | None
    strength: float | int = 1.0

    def __post_init__(self) -> None:
        steps, layers = sorted_indices("steps", self.steps), sorted_indices("layers", self.layers)
        settled(self, steps=steps, layers=layers, strength=checked_strength(self.strength))

    @property
    def is_zero(self) -> bool:
        """Whether the strength is 0."""
        return self.strength == 0

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return acts(self, cast(Indices, self.steps), step, num_steps)

    def site_taps(self) -> tuple[SiteTap, ...]:
        """One that remembers what enters a block, one that puts it out again."""
        entered: dict[tuple[str, int | None], torch.Tensor] = {}

        def remember(hidden: torch.Tensor, address: Address) -> None:
            entered[address.cfg_branch, address.layer] = hidden

        def skip(hidden: torch.Tensor, address: Address) -> torch.Tensor:
            kept = entered[address.cfg_branch, address.layer]
            return kept if self.strength == 1 else torch.lerp(hidden, kept.to(hidden), float(self.strength))

        layers = _set(self.layers)
        return SiteTap("resid_pre", remember, layers), SiteTap("block", skip, layers)


def _set(layers: object) -> frozenset[int] | None:
    indices = cast(Indices, layers)
    return None if indices is None else frozenset(indices)
