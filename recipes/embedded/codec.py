"""Train the bundled model's codec: a stock `AutoencoderKLWan`, once for all editions.

Half of the clips are puzzles, half random sprites; three quarters have 5 frames (cheaper, and enough for the causal
cache), the rest 17.  Loss: L1 with saturated colours weighted up to five times (agents and goals are a handful of
pixels), a light KL term, and a little noise on the latents, since a denoiser's latents are never exact.  Weights are
rounded to half precision before the latents' mean and standard deviation are measured.
"""

import time

import torch
from diffusers import AutoencoderKLWan

import puzzles as puzzle_data
import sprites

CONFIG = {
    "base_dim": 24,
    "z_dim": 32,
    "dim_mult": [1, 2, 4],
    "num_res_blocks": 1,
    "temperal_downsample": [True, True],
    "patch_size": 2,
    "in_channels": 12,
    "out_channels": 12,
    "scale_factor_temporal": 4,
    "scale_factor_spatial": 8,
    "latents_mean": [0.0] * 32,
    "latents_std": [1.0] * 32,
}
KL_WEIGHT = 1e-5
LATENT_NOISE = 0.1


def build() -> AutoencoderKLWan:
    """A codec with random weights."""
    return AutoencoderKLWan(**CONFIG)


def loss_of(vae: AutoencoderKLWan, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Training loss and plain L1 of a batch of clips [B, 3, T, H, W]."""
    posterior = vae.encode(clip).latent_dist
    latents = posterior.sample()
    jitter = LATENT_NOISE * torch.rand(len(clip), 1, 1, 1, 1, device=clip.device) * latents.detach().std()
    decoded = vae._decode(latents + jitter * torch.randn_like(latents)).sample
    saturation = clip.amax(1, keepdim=True) - clip.amin(1, keepdim=True)
    error = (decoded.float() - clip).abs()
    kl = posterior.kl() / latents[0].numel()
    return ((1 + 2 * saturation) * error).mean() + KL_WEIGHT * kl.mean(), error.mean()


def train(
    vae: AutoencoderKLWan, data: "puzzle_data.Puzzles", seconds: float, batch: int, device: torch.device, seed: int = 0
) -> None:
    """Train in place for a given time; the learning rate falls to zero with it."""
    import numpy as np

    generator = torch.Generator(device).manual_seed(seed)
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=0.0, betas=(0.9, 0.95), weight_decay=1e-4)
    torch.manual_seed(seed)
    began, step = time.time(), 0
    while (share := (time.time() - began) / seconds) < 1:
        long = rng.random() < 0.25
        num_frames, size = (17, max(batch // 4, 2)) if long else (5, batch)
        half = size // 2
        index = rng.integers(len(data), size=size - half)
        painted = puzzle_data.videos(data, index, 17, device)
        begin = 0 if long else int(rng.integers(0, 4)) * 4
        clip = torch.cat([painted[:, :, begin : begin + num_frames], sprites.clips(half, num_frames, generator, device)])
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * min(1, (1 - share) / 0.5)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss, error = loss_of(vae, clip)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0:
            print(f"codec step {step} {time.time() - began:.0f}s loss {loss.item():.4f} l1 {error.item():.4f}", flush=True)
        step += 1
    print(f"codec: {step} steps in {time.time() - began:.0f}s", flush=True)


@torch.no_grad()
def measure_latents(vae: AutoencoderKLWan, data: "puzzle_data.Puzzles", device: torch.device, count: int = 512) -> None:
    """Round the weights to half precision and write the latents' measured mean and deviation into the config."""
    import numpy as np

    vae.half().float()
    sums = torch.zeros(3, CONFIG["z_dim"], dtype=torch.float64, device=device)
    for start in range(0, count, 64):
        clip = puzzle_data.videos(data, np.arange(start, min(start + 64, count, len(data))), 17, device)
        latents = vae.encode(clip).latent_dist.mode().double().movedim(1, -1).flatten(0, -2)
        sums += torch.stack([torch.ones_like(latents).sum(0), latents.sum(0), latents.pow(2).sum(0)])
    mean = sums[1] / sums[0]
    std = (sums[2] / sums[0] - mean**2).sqrt()
    vae.register_to_config(latents_mean=mean.tolist(), latents_std=std.tolist())
    print("latents std", [round(v, 3) for v in std.tolist()], flush=True)
