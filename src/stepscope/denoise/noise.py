"""Noise that depends on (seed, step, frame) and on nothing else.

    noise(seed, step, frame, shape) ~ N(0, I),   generator seed = first 63 bits of sha256("seed/step/frame")

Batch, order, device count and what was drawn before change nothing, so a branch can be run alone or in company.
Drawn on the CPU in float32 by torch's Mersenne Twister; cost is that of `torch.randn`.
The latents at the start of a run use step `INITIAL`; interventions use the step at which they act; a solver that draws
noise of its own draws it for all frames at once, at frame `ALL_FRAMES`.
"""

import hashlib

import torch

from stepscope.shapes import Latents

__all__ = ["ALL_FRAMES", "INITIAL", "initial_latents", "latents_noise", "noise", "noise_generator"]

INITIAL = -1
ALL_FRAMES = -1


def noise(seed: int, step: int, frame: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Standard normal noise for one latent frame at one step.

    Args:
        seed: any integer.
        step: step index at which the noise is used; `INITIAL` for the start of a run.
        frame: latent frame index.
        shape: shape of the result, usually (C, H, W).
    """
    return torch.randn(shape, generator=noise_generator(seed, step, frame), dtype=torch.float32)


def noise_generator(seed: int, step: int, frame: int) -> torch.Generator:
    """The generator, on the CPU, of which one frame's noise is drawn."""
    digest = hashlib.sha256(f"{seed}/{step}/{frame}".encode()).digest()
    return torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def latents_noise(seed: int, step: int, shape: tuple[int, int, int, int]) -> Latents:
    """Noise for every latent frame of one video, shape (C, F, H, W)."""
    channels, frames, height, width = shape
    return torch.stack([noise(seed, step, frame, (channels, height, width)) for frame in range(frames)], dim=1)


def initial_latents(seed: int, shape: tuple[int, int, int, int]) -> Latents:
    """The pure noise from which the run with this seed starts, shape (C, F, H, W)."""
    return latents_noise(seed, INITIAL, shape)
