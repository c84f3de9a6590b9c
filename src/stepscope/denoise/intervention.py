"""Interventions: edits of a run that are data.

An intervention is a frozen dataclass: printable, comparable, serialisable.  It says where it acts
(step x sigma x expert x CFG branch x layer x site x token region) and reaches one or more of

    latents     x_k before the model call of step k (a jump: the solver's memory is voided)
    sample      the prompt and first frame that the model is given from some step on
    site        what a layer puts out
    attention   which latent frames may see which in a layer's self-attention
    expert      where one expert hands over to the other
    prediction  what the model says in the end (only exchanges between branches)

Of size zero it is the identity, costs nothing and declares no jump.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from stepscope.denoise.denoiser import Address, Prediction, Site, SiteTap
from stepscope.errors import PlanError
from stepscope.shapes import Frames, Latents, LatentsBatch

__all__ = ["AbstractExchange", "AbstractIntervention", "Lent", "View", "no_codec"]

Lent = Mapping[tuple[str, int | None, str | None], torch.Tensor]
"""What a donor put out in the step: hidden [B, L, D], a row for each row of the call, by (CFG branch, layer, site)."""


def no_codec(frames: Frames) -> Latents:
    """The encoder of a run that was given none."""
    raise PlanError("A video was to be encoded. This run has no codec. Run it through a loaded model.")


@dataclass(frozen=True)
class View:
    """What an intervention on latents may look at, just before the model call of a step.

    Attributes:
        step: index of the step.
        num_steps: N.
        sigma: noise level of the latents.
        samples: the samples of the batch.
        seeds: the seeds of the batch.
        clean_estimate: asks the model for the clean estimate of the unedited latents; each use is counted as a call.
        encode: frames uint8 [T, Y, X, 3] -> latents [C, F, H, W], by the model's own codec.
    """

    step: int
    num_steps: int
    sigma: float
    samples: Sequence[Any]
    seeds: Sequence[int]
    clean_estimate: Callable[[], LatentsBatch]
    encode: Callable[[Frames], Latents] = no_codec


class AbstractIntervention(ABC):
    """An edit of a run. Implementations are frozen dataclasses that override what they reach.

    Attributes:
        reaches: which of `latents`, `condition`, `prompt`, `site`, `attention`, `expert`, `prediction` it edits.
        sites: the sites of layers that `edit_site` wants to be called on.
    """

    reaches: ClassVar[frozenset[str]] = frozenset()
    sites: ClassVar[tuple[Site, ...]] = ()

    @property
    def is_zero(self) -> bool:
        """Whether the edit is the identity by its size; the engine then leaves it out."""
        return False

    @property
    def asks_estimate(self) -> bool:
        """Whether `edit_latents` may want the clean estimate; the order of work in a tree heeds it, no result does."""
        return "latents" in self.reaches

    @abstractmethod
    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step` of a run of `num_steps` steps; refuses a run too short for what was asked."""

    def edit_latents(self, latents: LatentsBatch, view: View) -> LatentsBatch:
        """The latents that enter the model in place of `latents`, shape [B, C, F, H, W]."""
        return latents

    def edit_sample(self, sample: Any, step: int) -> Any:
        """The sample whose prompt and first frame the model is given at `step`."""
        return sample

    def edit_site(self, hidden: torch.Tensor, address: Address) -> torch.Tensor | None:
        """What a layer puts out in place of `hidden` [B, L, D]; None leaves it."""
        return None

    def site_taps(self) -> tuple[SiteTap, ...]:
        """What is attached for one step: `edit_site` on `sites`, unless one edit has to remember another's site."""
        return tuple(SiteTap(site, self.edit_site) for site in self.sites)

    def attention_mask(self, address: Address) -> torch.Tensor | None:
        """Bool [F, F], True where a query frame (row) may see a key frame (column); None leaves all visible."""
        return None

    def expert_boundary(self) -> float | None:
        """The noise level at which one expert hands over to the other; None leaves the model's own."""
        return None


class AbstractExchange(AbstractIntervention):
    """An edit that takes what other branches of the same tree have in the same step: latents, hidden states, estimates.

    What donors lend is what they have before they themselves take something in this step.
    """

    @property
    @abstractmethod
    def donors(self) -> tuple[str, ...]:
        """Names of those branches."""

    def places(self, num_layers: int) -> frozenset[tuple[Site, int]]:
        """The sites and layers of a model with `num_layers` that it wants to see of every donor."""
        return frozenset()

    def taps(self, lent: Sequence[Lent]) -> tuple[SiteTap, ...]:
        """The edit of one prediction, given what each donor put out at `places`."""
        return ()

    def exchange_latents(self, latents: LatentsBatch, lent: Sequence[LatentsBatch]) -> LatentsBatch:
        """The latents [B, C, F, H, W] in place of one's own, given those of each donor before edits of their own."""
        return latents

    def exchange_prediction(self, prediction: Prediction, lent: Sequence[Prediction], sigma: float) -> Prediction:
        """What the solver is told in place of one's own prediction, given that of each donor."""
        return prediction
