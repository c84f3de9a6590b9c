"""Another plan put into the latents: the run is made to believe a video that is not the one it was after.

    x <- (1 - a) x + a ((1 - s) x_0_other + s e)

With x the latents, x_0_other the encoded video of a donor (see `donors`), e fresh noise, s sigma and a the strength.
For a = 1 the latents are exactly on the path that the model was trained on, towards the other video.  Donor
`other-valid` asks what it takes to change a choice, `corrupted` what the model repairs (a correct denoiser: all of it),
a foreign plan what it does with one that belongs to another puzzle.  e = noise(seed, step, frame), as in `add_noise`.
Cost: encodings, once a video and plan; no model call.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import torch

from stepscope.denoise import View, interpolate, latents_noise
from stepscope.errors import BadInputError
from stepscope.interventions.donors import RULES, checked_source, donor_video
from stepscope.interventions.indices import checked_strength, settled, sorted_indices, whole_seed
from stepscope.interventions.json_form import JsonForm
from stepscope.interventions.mixture import AbstractMixture
from stepscope.shapes import LatentsBatch

__all__ = ["WrongPlan"]


@dataclass(frozen=True)
class WrongPlan(JsonForm, AbstractMixture):
    """Replace what the latents are about before the model calls of some steps.

    Attributes:
        steps: step indices at which it acts, an int or several; None for all. Kept as a sorted tuple.
        solution: `other-valid`, `corrupted`, the index of one of the sample's solutions, or a video uint8
            [T, Y, X, 3] of the sample's size, kept as `Pixels`.
        strength: a in [0, 1]; 0 is the identity.
        seed: seed of the noise and of the corruption.
        share: of the plan's cells that `corrupted` makes wrong, in (0, 1].

    Raises:
        BadInputError: If any of these cannot be used.
    """

    steps: int | Iterable[int] | None
    solution: Any
    strength: float | int = 1.0
    seed: int = 0
    share: float | int = 0.25

    def __post_init__(self) -> None:
        if not (isinstance(self.share, int | float) and 0 < self.share <= 1):
            raise BadInputError(
                f"share came as {self.share!r}. It is above 0, up to 1. Give 0.25 for every fourth cell."
            )
        settled(
            self,
            steps=sorted_indices("steps", self.steps),
            solution=checked_source("solution", self.solution, RULES),
            strength=checked_strength(self.strength),
            seed=whole_seed(self.seed),
            share=float(self.share),
        )

    def edit_latents(self, latents: LatentsBatch, view: View) -> LatentsBatch:
        """The latents on the way to the donor's video.

        Raises:
            PlanError: If a sample has no such donor.
        """
        rows = [
            view.encode(donor_video(self.solution, sample, row, view.sigma, view.encode, self))
            for sample, row in zip(view.samples, latents, strict=True)
        ]
        shape = cast(tuple[int, int, int, int], tuple(latents.shape[1:]))
        e = latents_noise(self.seed, view.step, shape).to(latents).expand_as(latents)
        other = interpolate(torch.stack(rows).to(latents), e, view.sigma)
        return (1 - self.strength) * latents + self.strength * other
