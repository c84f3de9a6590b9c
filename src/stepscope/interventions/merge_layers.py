"""Merging hidden states: what some layers put out, moved towards the mean over several seeds.

    h_l <- h_l + a P((h_l + h_l,1 + … + h_l,K-1) / K - h_l)        at every chosen layer l, in the chosen steps

h_l,i is what donor i puts out at layer l when it runs by itself, h_l what one puts out after the layers before were
merged: several independent forward passes are read, and their average is written into one.  By default layers are
those of the third quarter of the depth (20 to 29 of 40, as summaries of arXiv 2603.16870 have it).  Controls: `depth`
(0, 1) for all layers, `scatter` for as many layers elsewhere, drawn by a seed.  Cost: the lent tokens of the chosen
layers while a step runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch

from stepscope.denoise import SITES, Address, Lent, SiteTap
from stepscope.denoise.denoiser import Site
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.interventions.indices import Indices, settled, sorted_indices, whole_seed
from stepscope.interventions.merge import AbstractMerge

__all__ = ["MergeLayers"]


@dataclass(frozen=True)
class MergeLayers(AbstractMerge):
    """Merge what some layers put out.

    Attributes:
        donors: names of the branches that are merged into this one; none is the identity.
        steps: step indices, an int or several; None for all.
        site: one of `denoise.SITES`.
        depth: (from, to) as shares of the depth: layer l of L is among them if from <= l / L < to.
        layers: layer indices in place of a depth, an int or several; None to go by depth.
        scatter: seed that draws as many layers from outside; None for the layers themselves.
        pooled: whether only the mean over tokens is merged.
        matched: whether each token keeps its length.
        strength: a in [0, 1]; 0 is the identity.

    Raises:
        UnknownNameError: If the site does not exist.
        BadInputError: If any other of these cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"site"})

    donors: Any = ()
    steps: int | Iterable[int] | None = 0
    site: str = "block"
    depth: Any = (0.5, 0.75)
    layers: int | Iterable[int] | None = None
    scatter: Any = None
    pooled: bool = False
    matched: bool = False
    strength: float | int = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.site not in SITES:
            raise UnknownNameError.of("site", self.site, SITES)
        settled(
            self,
            depth=_checked_depth(self.depth),
            layers=sorted_indices("layers", self.layers),
            scatter=None if self.scatter is None else _checked_scatter(self.scatter),
        )

    @property
    def what(self) -> str:
        """The site."""
        return self.site

    def places(self, num_layers: int) -> frozenset[tuple[Site, int]]:
        """The site at the chosen layers.

        Raises:
            PlanError: If no layer lies at this depth.
        """
        chosen = self.layers_among(num_layers)
        if not chosen:
            low, high = self.depth
            raise PlanError(
                f"MergeLayers has depth {low:g} to {high:g}. A model with {num_layers} layers has none there. Give "
                "layers, or a wider depth."
            )
        return frozenset((cast(Site, self.site), layer) for layer in chosen)

    def layers_among(self, num_layers: int) -> tuple[int, ...]:
        """The layers that are merged in a model with `num_layers`."""
        low, high = self.depth
        named = cast(Indices, self.layers)
        inside = tuple(layer for layer in range(num_layers) if low <= layer / num_layers < high)
        chosen = inside if named is None else named
        if self.scatter is None:
            return chosen
        outside = [layer for layer in range(num_layers) if layer not in chosen]
        drawn = np.random.default_rng(self.scatter).permutation(outside)[: len(chosen)]
        return tuple(sorted(int(layer) for layer in drawn))

    def taps(self, lent: Sequence[Lent]) -> tuple[SiteTap, ...]:
        """The edit of one prediction, given what each donor put out."""

        def merge(hidden: torch.Tensor, address: Address) -> torch.Tensor | None:
            key = (address.cfg_branch, address.layer, address.site)
            if not all(key in given for given in lent):
                return None
            return self.merged(hidden, [given[key].to(hidden) for given in lent], (1,), (2,))

        return (SiteTap(cast(Site, self.site), merge),)


def _checked_depth(depth: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in depth)
    except (TypeError, ValueError):
        low, high = 1.0, 0.0
    if not 0 <= low < high <= 1:
        raise BadInputError(
            f"depth came as {depth!r}. It is (from, to) with 0 <= from < to <= 1. Give (0.5, 0.75) for the third "
            "quarter of the layers."
        )
    return low, high


def _checked_scatter(scatter: Any) -> int:
    seed = whole_seed(scatter)
    if seed < 0:
        raise BadInputError(
            f"scatter came as {seed}. It is a seed from 0 up, or None for the layers themselves. Give 0 for example."
        )
    return seed
