"""The bundled model on batches of puzzles: the same function as `stepscope.load_model`, many rows a call.

    x <- x + (s_k+1 - s_k) v(x, s_k),   x0_hat = x - s_k v        on the `paper` grid with the card's shift

Float32 (TF32 products on a GPU) or bfloat16 by autocast; blocks may be compiled one by one.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel

import bank as latent_bank
import prompts
import puzzles
import transformer as net
import whole
from stepscope.denoise import initial_latents, paper_grid
from stepscope.models.cards import folder_card

__all__ = ["BUNDLED", "Batched", "noise_of"]

BUNDLED = Path(__file__).parents[2] / "src" / "stepscope" / "models" / "embedded"


class Batched:
    """Codec, words and transformer of a folder."""

    def __init__(self, folder: Path, device: torch.device, compiled: bool = False, half: bool = False) -> None:
        """Load a folder; `half` computes products of the transformer in bfloat16."""
        self.folder, self.device, self.half = folder, device, half
        self.card = folder_card(folder)
        self.vae = AutoencoderKLWan.from_pretrained(folder / "vae", torch_dtype=torch.float32).to(device).eval()
        self.model = WanTransformer3DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32)
        self.model.to(device).eval().requires_grad_(False)
        self.run_block = torch.compile(net.block) if compiled else net.block
        self.text, self.bias = (t.to(device) for t in net.compact_prompts(prompts.embed(puzzles.PROMPTS)))
        shape = (1, -1, 1, 1, 1)
        self.mean = torch.tensor(self.vae.config.latents_mean, device=device).view(shape)
        self.std = torch.tensor(self.vae.config.latents_std, device=device).view(shape)
        if compiled:
            whole.fuse()

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the latents of one puzzle."""
        frames = (self.card.num_frames - 1) // 4 + 1
        return net.LATENT_CHANNELS, frames, self.card.height // 8, self.card.width // 8

    def velocity(
        self,
        x: torch.Tensor,
        sigma: float,
        condition: torch.Tensor,
        prompt: torch.Tensor,
        run_block: Callable[..., torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """What the model says of latents [B, C, F, H, W] at a noise level, float32; blocks may be run otherwise."""
        timestep = torch.full((len(x),), sigma * 1000, device=self.device)
        joined, run = latent_bank.network_input(x, condition), run_block or self.run_block
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            said = net.forward(self.model, joined, timestep, self.text[prompt], self.bias[prompt], run)
        return said.float()

    def estimates(
        self, noise: torch.Tensor, condition: torch.Tensor, prompt: torch.Tensor, num_steps: int
    ) -> list[torch.Tensor]:
        """The clean estimate of each step; the last is the result."""
        grid, x, found = paper_grid(num_steps, self.card.shift), noise, []
        for step in range(num_steps):
            velocity = self.velocity(x, grid.sigma(step), condition, prompt)
            found.append(x - grid.sigma(step) * velocity)
            x = x + (grid.sigma(step + 1) - grid.sigma(step)) * velocity
        return found

    def encode(self, clip: torch.Tensor) -> torch.Tensor:
        """Standardised latents of clips float [B, 3, T, H, W] in [-1, 1]."""
        return latent_bank.standardised(self.vae, clip)

    def condition(self, first: torch.Tensor) -> torch.Tensor:
        """Condition of first frames float [B, 3, 1, H, W]."""
        return self.encode(latent_bank.condition_clip(first, self.card.num_frames))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Frames uint8 [B, T, H, W, 3], rounded as diffusers does."""
        clip = whole.decode(self.vae, latents * self.std + self.mean).clamp(-1, 1)
        return ((clip * 0.5 + 0.5) * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1)

    def prompts(self, texts: Sequence[str]) -> torch.Tensor:
        """Indices of prompts [B]."""
        return torch.tensor([puzzles.PROMPTS.index(text) for text in texts], device=self.device)


def noise_of(seeds: Sequence[int], shape: Sequence[int], device: torch.device) -> torch.Tensor:
    """The noise that runs with these seeds start from, [B, C, F, H, W]."""
    return torch.stack([initial_latents(seed, tuple(shape)) for seed in seeds]).to(device)
