"""The latent bank: every training puzzle encoded once, as the stock pipeline would encode it.

For each puzzle: the standardised latents of its video, and of its condition (first frame, then grey), whose first
latent frame is the video's.  Half of the first frames carry up to 3 grey levels of noise, so that a user's picture need
not be perfect; videos stay clean.  Kept in bfloat16 on the GPU: 92 kB a puzzle at 17 frames.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import puzzles as puzzle_data
import transformer as net
import whole
from parts import Part

NOISE_LEVELS = 3
SIDE = 12  # latent pixels of a side
Batch = tuple[torch.Tensor, np.ndarray]


@dataclass
class Bank:
    """Latents of one frame count: video [n, C, F, H, W], condition the same shape, prompt index [n]."""

    video: torch.Tensor
    condition: torch.Tensor
    prompt: torch.Tensor

    def __len__(self) -> int:
        return len(self.prompt)

    @classmethod
    def blank(cls, count: int, num_frames: int, device: torch.device) -> "Bank":
        """Zeros, to compile against while the puzzles are drawn."""
        latents = torch.zeros(
            count, net.LATENT_CHANNELS, (num_frames - 1) // 4 + 1, SIDE, SIDE, dtype=torch.bfloat16, device=device
        )
        return cls(latents, latents, torch.zeros(count, dtype=torch.int64, device=device))

    @classmethod
    def joined(cls, banks: "list[Bank]") -> "Bank":
        """Several banks of one frame count as one."""
        columns = zip(*((bank.video, bank.condition, bank.prompt) for bank in banks), strict=True)
        return cls(*(torch.cat(column) for column in columns))


def standardised(vae: AutoencoderKLWan, clip: torch.Tensor) -> torch.Tensor:
    """Latents [B, C, F, H, W] of clips, by the codec's mode, zero mean and unit deviation a channel."""
    latents = whole.encode(vae, clip)[:, : vae.config.z_dim].float()
    shape = (1, -1, 1, 1, 1)
    mean = torch.tensor(vae.config.latents_mean, device=clip.device).view(shape)
    std = torch.tensor(vae.config.latents_std, device=clip.device).view(shape)
    return ((latents - mean) / std).contiguous()


def condition_clip(first: torch.Tensor, num_frames: int) -> torch.Tensor:
    """The clip that conditions the model: the first frame [B, 3, 1, H, W], then grey."""
    return torch.cat([first, first.new_zeros(*first.shape[:2], num_frames - 1, *first.shape[3:])], dim=2)


def network_input(latents: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """Noisy latents, the four mask channels (1 on the first latent frame) and the condition, joined."""
    mask = torch.zeros_like(latents[:, :4])
    mask[:, :, 0] = 1
    return torch.cat([latents, mask, condition], dim=1)


class Encoder:
    """The codec, ready to encode parts of the training set."""

    def __init__(self, vae: AutoencoderKLWan, device: torch.device, batch: int = 256, threads: int = 6) -> None:
        """Choose the faster memory layout."""
        self.vae, self.device, self.batch = vae, device, batch
        self.threads = ThreadPoolExecutor(threads)
        self.generator = torch.Generator(device).manual_seed(1)
        example = torch.zeros(min(batch, 64), 3, 17, 96, 96, device=device)
        self.layout = whole.faster_layout(self._latents, example)

    @torch.no_grad()
    def encode(self, part: Part) -> Bank:
        """The latents of a part."""
        video, condition, prompt = zip(*(self._rows(*batch) for batch in self._batches(part)), strict=True)
        return Bank(torch.cat(video), torch.cat(condition), torch.from_numpy(np.concatenate(prompt)).to(self.device))

    def _batches(self, part: Part) -> Iterator[Batch]:
        """Clips float [B, 3, T, 96, 96] in [-1, 1], and their prompts."""
        for index in _cut(len(part.painted), self.batch):
            video = puzzle_data.videos(part.painted, index, part.num_frames, self.device)
            yield video, part.painted.prompt[index]
        for index in _cut(len(part.clips), self.batch):
            frames = torch.from_numpy(part.clips.frames(index, self.threads)).to(self.device)
            yield frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1, part.clips.prompt[index]

    def _rows(self, video: torch.Tensor, prompt: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
        first = video[:, :, :1]
        noise = torch.rand(first.shape, generator=self.generator, device=self.device) * 2 - 1
        noisy = torch.rand(len(first), 1, 1, 1, 1, generator=self.generator, device=self.device) < 0.5
        first = (first + noisy * noise * NOISE_LEVELS / 127.5).clamp(-1, 1)
        clips = (video, condition_clip(first, video.shape[2]))
        latents = [self._latents(clip.contiguous(memory_format=self.layout)) for clip in clips]
        return latents[0], latents[1], prompt

    @torch.no_grad()
    def _latents(self, clip: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            return standardised(self.vae, clip).bfloat16()


def _cut(count: int, size: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
