"""Latent frames held to a video: they walk straight from their own noise to it, whatever the model says.

    x_f <- (1 - a) x_f + a ((1 - s) z_f + s n_f)

With z the encoded video (by default the first frame held still), n the noise from which the run's seed starts, so that
a frame held at every step moves along one line; a the strength.  What the other frames then do shows what they take
from the held ones.  Cost: one encoding of the video; no model call.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from stepscope.denoise import View, initial_latents, interpolate
from stepscope.interventions.donors import checked_source, owned_video
from stepscope.interventions.indices import Indices, checked_strength, settled, sorted_indices, within
from stepscope.interventions.json_form import JsonForm
from stepscope.interventions.mixture import AbstractMixture
from stepscope.shapes import Frames, LatentsBatch

__all__ = ["HoldFrames"]

_STILL = "still"


@dataclass(frozen=True)
class HoldFrames(JsonForm, AbstractMixture):
    """Hold some latent frames to a video before the model calls of some steps.

    Attributes:
        steps: step indices at which it acts, an int or several; None for all. Kept as a sorted tuple.
        latent_frames: latent frame indices that are held, an int or several; None for all.
        video: `still`, the index of one of the sample's solutions, or a video uint8 [T, Y, X, 3] of its size.
        strength: a in [0, 1]; 0 is the identity.

    Raises:
        BadInputError: If any of these cannot be used.
    """

    steps: int | Iterable[int] | None
    latent_frames: int | Iterable[int] | None
    video: Any = _STILL
    strength: float | int = 1.0

    def __post_init__(self) -> None:
        settled(
            self,
            steps=sorted_indices("steps", self.steps),
            latent_frames=sorted_indices("latent_frames", self.latent_frames),
            video=checked_source("video", self.video, (_STILL,)),
            strength=checked_strength(self.strength),
        )

    def edit_latents(self, latents: LatentsBatch, view: View) -> LatentsBatch:
        """The latents with the chosen frames on their line.

        Raises:
            BadInputError: If the video is too short for one of the latent frames.
            PlanError: If a sample has no such video.
        """
        frames = cast(Indices, self.latent_frames)
        frames = tuple(range(latents.shape[2])) if frames is None else frames
        within(self, "latent_frames", frames, latents.shape[2])
        shape = cast(tuple[int, int, int, int], tuple(latents.shape[1:]))
        clean = torch.stack([view.encode(self._shown(sample)) for sample in view.samples]).to(latents)
        noise = torch.stack([initial_latents(seed, shape) for seed in view.seeds]).to(latents)
        line = interpolate(clean, noise, view.sigma)
        edited = latents.clone()
        edited[:, :, frames] = (1 - self.strength) * latents[:, :, frames] + self.strength * line[:, :, frames]
        return edited

    def _shown(self, sample: Any) -> Frames:
        if self.video == _STILL:
            return np.repeat(sample.first_frame[None], sample.num_frames, axis=0)
        return owned_video(self.video, sample)
