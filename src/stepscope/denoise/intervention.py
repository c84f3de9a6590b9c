"""Interventions: edits of a run that are data.

An intervention is a frozen dataclass: printable, comparable, serialisable.  It says where it acts
(step x sigma x expert x CFG branch x layer x site x token region) and reaches one or more of

    latents     x_k before the model call of step k (a jump: the solver's memory is voided)
    sample      the prompt and first frame that the model is given from some step on
    site        what a layer puts out
    attention   which latent frames may see which in a layer's self-attention

Of size zero it is the identity, costs nothing and declares no jump.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from stepscope.denoise.denoiser import Address, Site
from stepscope.shapes import LatentsBatch

__all__ = ["AbstractIntervention", "View"]


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
    """

    step: int
    num_steps: int
    sigma: float
    samples: Sequence[Any]
    seeds: Sequence[int]
    clean_estimate: Callable[[], LatentsBatch]


class AbstractIntervention(ABC):
    """An edit of a run. Implementations are frozen dataclasses that override what they reach.

    Attributes:
        reaches: which of `latents`, `condition`, `prompt`, `site`, `attention` it edits.
        sites: the sites of layers that `edit_site` wants to be called on.
    """

    reaches: ClassVar[frozenset[str]] = frozenset()
    sites: ClassVar[tuple[Site, ...]] = ()

    @property
    def is_zero(self) -> bool:
        """Whether the edit is the identity by its size; the engine then leaves it out."""
        return False

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

    def attention_mask(self, address: Address) -> torch.Tensor | None:
        """Bool [F, F], True where a query frame (row) may see a key frame (column); None leaves all visible."""
        return None
