"""The branches of `noise-at-frame`: noise in one latent frame, in a single step or in every step; and cut attention.

    frame F           noise in every step, the paper's protocol; its first step is also the reading of step 0
    frame F step K    noise in step K alone
    blind to past     no frame sees earlier ones, in any step      blind to future     no frame sees later ones

Who does not ask for frames gets `place 0` to `place 4` in place of `frame F`, settled when the length of the video is
known: all frames of a short one (places beyond its end do nothing); of a long one two neighbours near each end and the
middle, so that near and far pairs are seen, in both directions.  Steps that are not asked for are 1/20, 1/8, 1/4 and
1/2 of the way: what is going to be drawn is decided early, while sigma is still close to 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from stepscope.denoise import AbstractIntervention, View
from stepscope.interventions import AddNoise, BlockFrames
from stepscope.scope import Branch
from stepscope.shapes import LatentsBatch

__all__ = ["BLIND", "Disturbance", "PlacedNoise", "cuts", "frame_at", "sweep"]

BLIND = {"past": "blind to past", "future": "blind to future"}
"""Branches of cut attention, by what is hidden."""

_PLACES = 5
_PARTS = (1 / 20, 1 / 8, 1 / 4, 1 / 2)


@dataclass(frozen=True)
class Disturbance:
    """One branch with noise in one latent frame.

    Attributes:
        branch: Its name.
        edit: What is done.
        frame: The latent frame, or its place where frames were not asked for.
        placed: Whether it is a place.
        step: The step; None for every step.
    """

    branch: str
    edit: AbstractIntervention
    frame: int
    placed: bool
    step: int | None

    def frame_of(self, num_frames: int) -> int | None:
        """The latent frame in a video of `num_frames`; None if there is none for it."""
        return frame_at(self.frame, num_frames) if self.placed else self.frame


@dataclass(frozen=True)
class PlacedNoise(AbstractIntervention):
    """Noise in the latent frame at a place of the video; nothing where the video is too short for it.

    Attributes:
        noise: What is done to the frame.
        place: Where, from 0 to 4.
    """

    reaches: ClassVar[frozenset[str]] = AddNoise.reaches

    noise: AddNoise
    place: int

    @property
    def is_zero(self) -> bool:
        """Whether the noise is."""
        return self.noise.is_zero

    @property
    def asks_estimate(self) -> bool:
        """Whether the noise does."""
        return self.noise.asks_estimate

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return self.noise.acts_at(step, num_steps)

    def edit_latents(self, latents: LatentsBatch, view: View) -> LatentsBatch:
        """The latents with noise at the place."""
        frame = frame_at(self.place, latents.shape[2])
        return latents if frame is None else replace(self.noise, latent_frames=frame).edit_latents(latents, view)


def frame_at(place: int, num_frames: int) -> int | None:
    """The latent frame at a place; None where the video is too short for it."""
    if num_frames <= _PLACES:
        return place if place < num_frames else None
    return (1, 2, num_frames // 2, num_frames - 2, num_frames - 1)[place]


def sweep(
    noise: AddNoise, frames: tuple[int, ...] | None, steps: tuple[int, ...] | None, video_length: int, num_steps: int
) -> Iterator[Disturbance]:
    """Every disturbance of a run.

    Args:
        noise: What is done to a frame; its own frames and steps are not looked at.
        frames: Latent frames; None for the places.
        steps: Steps; None for the usual ones.
        video_length: Pixel frames of the video; there are no more latent frames.
        num_steps: N.
    """
    usual = {max(1, round(part * num_steps)) for part in _PARTS} & set(range(num_steps))
    for frame in range(min(_PLACES, video_length)) if frames is None else frames:
        name = f"place {frame}" if frames is None else f"frame {frame}"
        for step in (None, *(sorted(usual) if steps is None else steps)):
            edit = replace(noise, steps=step, latent_frames=frame)
            yield Disturbance(
                name if step is None else f"{name} step {step}",
                PlacedNoise(replace(edit, latent_frames=None), frame) if frames is None else edit,
                frame,
                frames is None,
                step,
            )


def cuts() -> list[Branch]:
    """The branches of cut attention."""
    return [Branch(name, [BlockFrames(None, hidden)]) for hidden, name in BLIND.items()]
