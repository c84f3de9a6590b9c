"""The latent bank: every training puzzle encoded once, as the stock pipeline would encode it.

For each puzzle: the standardised latents of its video, and of its condition (first frame, then grey), whose first
latent frame is the video's.  Half of the first frames carry up to 3 grey levels of noise, so that a user's picture need
not be perfect; videos stay clean.  Kept in bfloat16 on the GPU: 83 kB a puzzle at 17 frames.
"""

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import puzzles as puzzle_data
import whole

NOISE_LEVELS = 3


@dataclass
class Bank:
    """Latents of one frame count: video [n, C, F, H, W], condition the same shape, prompt index [n]."""

    video: torch.Tensor
    condition: torch.Tensor
    prompt: torch.Tensor

    def __len__(self) -> int:
        return len(self.prompt)


def standardised(vae: AutoencoderKLWan, clip: torch.Tensor) -> torch.Tensor:
    """Latents [B, C, F, H, W] of clips, by the codec's mode, zero mean and unit deviation a channel."""
    latents = whole.encode(vae, clip)[:, : vae.config.z_dim].float()
    shape = (1, -1, 1, 1, 1)
    mean = torch.tensor(vae.config.latents_mean, device=clip.device).view(shape)
    std = torch.tensor(vae.config.latents_std, device=clip.device).view(shape)
    return (latents - mean) / std


def condition_clip(first: torch.Tensor, num_frames: int) -> torch.Tensor:
    """The clip that conditions the model: the first frame [B, 3, 1, H, W], then grey."""
    return torch.cat([first, first.new_zeros(*first.shape[:2], num_frames - 1, *first.shape[3:])], dim=2)


def network_input(latents: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """Noisy latents, the four mask channels (1 on the first latent frame) and the condition, joined."""
    mask = torch.zeros_like(latents[:, :4])
    mask[:, :, 0] = 1
    return torch.cat([latents, mask, condition], dim=1)


@torch.no_grad()
def encode(
    vae: AutoencoderKLWan, data: "puzzle_data.Puzzles", index: np.ndarray, num_frames: int, device: torch.device,
    batch: int = 256,
) -> Bank:  # fmt: skip
    """Encode the puzzles `index`."""
    generator = torch.Generator(device).manual_seed(1)
    kept: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for start in range(0, len(index), batch):
        video = puzzle_data.videos(data, index[start : start + batch], num_frames, device)
        first = video[:, :, :1]
        noise = torch.rand(first.shape, generator=generator, device=device) * 2 - 1
        noisy = torch.rand(len(first), 1, 1, 1, 1, generator=generator, device=device) < 0.5
        first = (first + noisy * noise * NOISE_LEVELS / 127.5).clamp(-1, 1)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            kept[0].append(standardised(vae, video).bfloat16())
            kept[1].append(standardised(vae, condition_clip(first, num_frames)).bfloat16())
    prompt = torch.from_numpy(data.prompt[index]).to(device)
    return Bank(torch.cat(kept[0]), torch.cat(kept[1]), prompt)
