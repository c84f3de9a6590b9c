"""Where the lens looks: what enters block 0, then what the chosen blocks put out, in the conditional forward.

    source    0  what enters block 0          1, 2, …  the chosen layers, the last layer of the model last of all

The last source is what all others are mapped to.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.denoise.denoiser import Site
from stepscope.recorders.places import layers_of, place_of, steps_of

__all__ = ["NAME", "SITES", "Sources"]

NAME = "lens"
"""Name of the recorders of the lens."""
SITES: tuple[Site, ...] = ("resid_pre", "block")


@dataclass(frozen=True)
class Sources:
    """Some layers at some steps.

    Attributes:
        steps: the steps that are read.
        layers: the layers, the last one of the model among them and last.
    """

    steps: tuple[int, ...]
    layers: tuple[int, ...]

    @classmethod
    def of(cls, run: RunInfo, layers: Sequence[int], steps: Sequence[int] | int) -> "Sources":
        """Those of a run.

        Raises:
            PlanError: If it lacks a step or a layer.
        """
        return cls(steps_of(NAME, run, steps), layers_of(NAME, run, layers))

    @property
    def count(self) -> int:
        """How many there are."""
        return 1 + len(self.layers)

    def index(self, event: StepEvent | SiteEvent) -> int | None:
        """Which source an event shows; None for none of them, or a step that is not read."""
        place = place_of(event, (0, *self.layers))
        if place is None or isinstance(event, StepEvent) or place.cfg_branch != "cond" or place.step not in self.steps:
            return None
        if event.address.site == "resid_pre":
            return 0 if place.layer == 0 else None
        return 1 + self.layers.index(place.layer) if place.layer in self.layers else None
