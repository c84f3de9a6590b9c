"""Live denoisers: anything that can say a velocity, closed forms first of all.

    latents_shape                               (C, F, H, W)
    velocity(latents [B, C, F, H, W], sigma, samples) -> [B, C, F, H, W]        v = n - x_0
    encode(frames) / decode(latents)            optional; without them latents are pixels in [-1, 1], C = 3, F = T

So the instrument can be tested against answers that are known.  A prediction costs B model calls.
"""

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
import torch

from stepscope.denoise import AbstractDenoiser, Grid, Input, Prediction, Taps, clean_from_velocity
from stepscope.errors import BadInputError, PlanError, StepscopeError
from stepscope.models.folders import first_line
from stepscope.shapes import Frames, Latents, LatentsBatch

__all__ = ["LiveDenoiser", "is_live"]


def is_live(model: object) -> bool:
    """Whether an object (not a class) keeps the contract of a live denoiser."""
    return (
        not isinstance(model, type) and callable(getattr(model, "velocity", None)) and hasattr(model, "latents_shape")
    )


@final
class LiveDenoiser(AbstractDenoiser):
    """A user's object as the engine sees it: one branch, no layers.

    Attributes:
        model: the object.
        shape: (C, F, H, W) of its latents.
    """

    def __init__(self, model: Any, device: torch.device | str = "cpu") -> None:
        """Wrap an object; its latents are made on `device`."""
        self.model = model
        self._device = torch.device(device)
        self.shape = _checked_shape(model.latents_shape)

    @property
    def num_layers(self) -> int:
        """0: there is nothing to attach to."""
        return 0

    @property
    def device(self) -> torch.device:
        """Where latents must be."""
        return self._device

    def latents_shape(self, sample: Input) -> tuple[int, int, int, int]:
        """(C, F, H, W), the same for every sample."""
        return self.shape

    def condition(self, samples: Sequence[Input], guidance: float, negative_prompt: str | None) -> tuple[Input, ...]:
        """The samples themselves.

        Raises:
            PlanError: for guidance other than 1.
        """
        if guidance != 1:
            raise PlanError(f"Guidance came as {guidance}. A live denoiser has no unconditional branch. Leave it at 1.")
        return tuple(samples)

    def collate(self, conditions: Sequence[tuple[Input, ...]]) -> tuple[Input, ...]:
        """The samples of all."""
        return tuple(sample for samples in conditions for sample in samples)

    def expert(self, grid: Grid, step: int, boundary: float | None = None) -> None:
        """There is one expert only."""

    @torch.no_grad()
    def predict(
        self, latents: LatentsBatch, step: int, grid: Grid, condition: tuple[Input, ...], guidance: float, taps: Taps
    ) -> Prediction:
        """One prediction, one call a sample. A velocity in another float type is brought to that of the latents.

        Raises:
            PlanError: for taps, since there are no layers.
            BadInputError: for an answer of another shape, not of floats or not finite, or a `velocity` that fails.
        """
        if taps:
            raise PlanError("Sites or attention masks were asked for. A live denoiser has no layers. Leave them out.")
        sigma = grid.sigma(step)
        velocity = _checked(_answer(self.model.velocity, latents, sigma, condition), latents)
        clean = clean_from_velocity(latents, velocity, sigma)
        return Prediction(velocity, clean, clean, len(latents), velocity)

    def finish(self, latents: LatentsBatch, condition: tuple[Input, ...]) -> LatentsBatch:
        """The last latents are the result."""
        return latents

    @torch.no_grad()
    def encode(self, frames: Frames) -> Latents:
        """The latents of a video: the object's own `encode`, or its pixels in [-1, 1].

        Raises:
            BadInputError: for an `encode` that fails or gives no finite latents.
        """
        if hasattr(self.model, "encode"):
            return _checked_latents(_answer(self.model.encode, frames))
        return torch.from_numpy(frames).to(self.device).permute(3, 0, 1, 2).float() / 127.5 - 1

    @torch.no_grad()
    def decode(self, latents: Latents) -> Frames:
        """The frames of latents: the object's own `decode`, or rounded pixels.

        Raises:
            BadInputError: for latents that are no pixels, or a `decode` that fails or gives no 8-bit frames.
        """
        if hasattr(self.model, "decode"):
            return _checked_frames(_answer(self.model.decode, latents))
        if len(latents) != 3:
            raise BadInputError(
                f"Latents of {len(latents)} channels were to be shown. Without a codec they must have 3, the colours. "
                "Give the denoiser a decode(latents)."
            )
        pixels = ((latents.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return pixels.permute(1, 2, 3, 0).cpu().numpy()


def _answer(function: Callable[..., Any], *given: Any) -> Any:
    """What a function of the user's gives; whatever it raises is theirs to mend, and is told."""
    try:
        return function(*given)
    except StepscopeError:
        raise
    except Exception as error:
        name = getattr(function, "__qualname__", "") or type(function).__name__
        raise BadInputError(
            f"{name}(...) failed ({type(error).__name__}: {first_line(error)}). A live denoiser has velocity(latents, "
            "sigma, samples) and may have encode(frames) and decode(latents). Mend the function."
        ) from error


def _checked_shape(shape: Any) -> tuple[int, int, int, int]:
    try:
        channels, frames, height, width = (int(size) for size in shape)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"latents_shape came as {shape!r}. It must be four sizes (C, F, H, W). Give the denoiser such a tuple."
        ) from error
    if min(channels, frames, height, width) < 1:
        raise BadInputError(f"latents_shape came as {shape!r}. Every size is at least 1. Give (C, F, H, W).")
    return channels, frames, height, width


def _checked(velocity: Any, latents: LatentsBatch) -> LatentsBatch:
    """A velocity that fits the latents, in their number type."""
    expected = f"It must be a float tensor of shape {list(latents.shape)} like the latents."
    if not isinstance(velocity, torch.Tensor):
        raise BadInputError(f"velocity(...) gave a {type(velocity).__name__}. {expected} Return such a tensor.")
    if velocity.shape != latents.shape or not velocity.is_floating_point():
        raise BadInputError(
            f"velocity(...) gave {velocity.dtype} {list(velocity.shape)}. {expected} Return one velocity a sample."
        )
    if not velocity.isfinite().all():
        count = int((~velocity.isfinite()).sum())
        raise BadInputError(
            f"velocity(...) gave {count} values not finite. All must be. Mind sigma 1 and sigma near 0."
        )
    return velocity.to(latents)


def _checked_latents(latents: Any) -> Latents:
    is_tensor = isinstance(latents, torch.Tensor)
    if not is_tensor or latents.ndim != 4 or not latents.is_floating_point() or not latents.isfinite().all():
        came = f"{latents.dtype} {list(latents.shape)}" if is_tensor else f"a {type(latents).__name__}"
        raise BadInputError(
            f"encode(...) gave {came}. It must be a float tensor [C, F, H, W], all finite. Return such a tensor."
        )
    return latents


def _checked_frames(frames: Any) -> Frames:
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        came = f"{frames.dtype} {list(frames.shape)}" if hasattr(frames, "shape") else type(frames).__name__
        raise BadInputError(
            f"decode(...) gave {came}. It must be a uint8 array [T, height, width, 3]. Round to 8 bits."
        )
    return frames
