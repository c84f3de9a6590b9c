"""Noise put into the latents at chosen steps and latent frames.

With x the latents, e fresh noise, a the strength, s sigma and x_0_hat the clean estimate of the unedited latents:

    replace   (1 - a) x + a e                            destroys what the run has found; at step 0 it is another seed
    add       x + a e                                    also raises the noise level
    vp        sqrt(1 - a^2) x + a e                      keeps the variance of unit-variance latents
    renoise   (1 - a) x + a ((1 - s) x_0_hat + s e)      stays on the path that the model was trained on (for a = 1)

e = noise(seed, step, frame) of `denoise.noise`, with the seed of the intervention: every run and every row of a batch
is hit by the same noise.  Replacing late latents destroys any video, whatever the model does; a correct denoiser takes
part of an `add` out again.  Cost: nothing, but one prediction for each step of `renoise`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, cast

import torch

from stepscope.denoise import AbstractIntervention, View, noise
from stepscope.errors import BadInputError, UnknownNameError
from stepscope.interventions.indices import Indices, acts, checked_strength, sorted_indices, whole_seed, within
from stepscope.interventions.json_form import JsonForm
from stepscope.shapes import LatentsBatch

__all__ = ["MODES", "AddNoise"]

MODES = ("replace", "add", "vp", "renoise")
"""The ways to mix noise in."""


@dataclass(frozen=True)
class AddNoise(JsonForm, AbstractIntervention):
    """Put noise into the latents before the model calls of some steps.

    Attributes:
        mode: one of `MODES`.
        steps: step indices at which it acts, an int or several; None for all. Kept as a sorted tuple.
        latent_frames: latent frame indices that it changes, an int or several; None for all. Kept as a sorted tuple.
        strength: a; in [0, 1], for `add` any number from 0 up. 0 is the identity.
        seed: seed of the noise.

    Raises:
        UnknownNameError: If the mode does not exist.
        BadInputError: If an index, the strength or the seed cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"latents"})

    mode: str
    steps: int | Iterable[int] | None
    latent_frames: int | Iterable[int] | None = None
    strength: float | int = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UnknownNameError.of("mode of AddNoise", self.mode, MODES)
        # A frozen dataclass settles its fields once, here; every spelling of the same indices becomes one value.
        object.__setattr__(self, "steps", sorted_indices("steps", self.steps))
        object.__setattr__(self, "latent_frames", sorted_indices("latent_frames", self.latent_frames))
        object.__setattr__(self, "strength", _strength(self.strength, self.mode))
        object.__setattr__(self, "seed", whole_seed(self.seed))

    @property
    def is_zero(self) -> bool:
        """Whether the strength is 0."""
        return self.strength == 0

    @property
    def asks_estimate(self) -> bool:
        """Only `renoise` does."""
        return self.mode == "renoise"

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`.

        Raises:
            BadInputError: If the run is too short for one of the steps.
        """
        return acts(self, cast(Indices, self.steps), step, num_steps)

    def edit_latents(self, latents: LatentsBatch, view: View) -> LatentsBatch:
        """The latents with noise in the chosen frames.

        Raises:
            BadInputError: If the video is too short for one of the latent frames.
        """
        _, channels, num_frames, height, width = latents.shape
        frames = cast(Indices, self.latent_frames) or tuple(range(num_frames))
        within(self, "latent_frames", frames, num_frames)
        e = torch.stack([noise(self.seed, view.step, frame, (channels, height, width)) for frame in frames], dim=1)
        edited = latents.clone()
        edited[:, :, frames] = self._mixed(latents[:, :, frames], e.to(latents), frames, view)
        return edited

    def _mixed(self, latents: torch.Tensor, e: torch.Tensor, frames: tuple[int, ...], view: View) -> torch.Tensor:
        a, sigma = self.strength, view.sigma
        if self.mode == "renoise":
            e = (1 - sigma) * view.clean_estimate()[:, :, frames] + sigma * e
        keep = {"replace": 1 - a, "add": 1.0, "vp": math.sqrt(max(0.0, 1 - a * a)), "renoise": 1 - a}
        return keep[self.mode] * latents + a * e


def _strength(value: float | int, mode: str) -> float:
    if mode != "add":
        return checked_strength(value, f"Mode {mode!r} allows")
    if not (isinstance(value, int | float) and 0 <= value < math.inf):
        raise BadInputError(
            f"strength came as {value!r}. Mode 'add' allows numbers from 0 up. Give 1 for all of the noise."
        )
    return float(value)
