"""Train the bundled model's codec: a stock `AutoencoderKLWan`, once for all editions.

Three clips in ten are mazes, the others shapes to be framed, the other tasks' videos and random sprites; three batches
in four have 5 frames (cheaper, and enough for the causal cache), the rest 17.  Loss: L1 with saturated colours weighted
up to three times (agents and goals are a handful of pixels), a light KL term, and a little noise on the latents, as a
denoiser's latents are never exact.  Weights are rounded to half precision before the latents' mean and deviation are
measured.
"""

import time

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import puzzles as puzzle_data
import sprites
import whole
from muon import Muon

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
MAZE_SHARE, SHAPE_SHARE, TASK_SHARE = 0.3, 0.15, 0.25  # of every batch; the rest are sprites
LONG_SHARE = 0.25  # of batches with 17 frames
POLISH_LONG_SHARE = 0.6  # the same when the decoder is trained alone,
POLISH_CHANGED = 4.0  # and the further weight of what a video changes, which is what is scored
KERNEL_LR = 0.01
OTHER_LR = 1e-3


def build() -> AutoencoderKLWan:
    """A codec with random weights."""
    return AutoencoderKLWan(**CONFIG)


def loss_of(vae: AutoencoderKLWan, clip: torch.Tensor, changed: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Training loss and plain L1 of a batch of clips [B, 3, T, H, W]; `changed` weighs what differs from frame 0."""
    mean, log_variance = whole.encode(vae, clip).float().chunk(2, dim=1)
    log_variance = log_variance.clamp(-30, 20)
    latents = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
    jitter = LATENT_NOISE * torch.rand(len(clip), 1, 1, 1, 1, device=clip.device) * mean.detach().std()
    decoded = whole.decode(vae, latents + jitter * torch.randn_like(mean)).float()
    saturation = clip.amax(1, keepdim=True) - clip.amin(1, keepdim=True)
    error = (decoded - clip).abs()
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    moved = ((clip - clip[:, :, :1]).abs().amax(1, keepdim=True) > 0.1).float()
    weight = 1 + 2 * saturation + changed * moved
    return (weight * error).mean() + KL_WEIGHT * kl, error.mean()


def clips_for(
    data: "puzzle_data.Puzzles",
    others: np.ndarray,
    rng: np.random.Generator,
    generator: torch.Generator,
    batch: int,
    device: torch.device,
    long_share: float = LONG_SHARE,
) -> torch.Tensor:
    """One batch of training clips: mazes, shapes, other tasks and sprites; some batches are of long ones."""
    long = rng.random() < long_share
    num_frames, size = (17, max(batch // 4, 4)) if long else (5, batch)
    begin = 0 if long else int(rng.integers(0, 4)) * 4
    index = np.concatenate(
        [
            rng.choice(np.flatnonzero(data.kind == kind), size=max(int(size * share), 1))
            for kind, share in ((0, MAZE_SHARE), (1, SHAPE_SHARE))
        ]
    )
    video = puzzle_data.videos(data, index, 17, device)[:, :, begin : begin + num_frames]
    chosen = rng.integers(len(others), size=max(int(size * TASK_SHARE), 1))
    frames = torch.from_numpy(others[chosen, begin : begin + num_frames]).to(device)
    other = frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1
    moving = sprites.clips(max(size - len(index) - len(chosen), 1), num_frames, generator, device)
    return torch.cat([video, other, moving])


def faster_layout(vae: AutoencoderKLWan, clip: torch.Tensor) -> torch.memory_format:
    """The memory layout in which this card trains faster, by a few steps of each."""
    if clip.device.type != "cuda":
        return torch.contiguous_format
    seconds = {}
    for layout in (torch.contiguous_format, torch.channels_last_3d):
        for repeat in range(8):
            if repeat == 3:
                torch.cuda.synchronize()
                began = time.time()
            with torch.autocast("cuda", torch.bfloat16):
                loss_of(vae, clip.contiguous(memory_format=layout))[0].backward()
        torch.cuda.synchronize()
        seconds[layout] = (time.time() - began) / 5
    print("codec layouts", seconds, flush=True)
    return min(seconds, key=lambda layout: seconds[layout])


def train(
    vae: AutoencoderKLWan,
    data: "puzzle_data.Puzzles",
    others: np.ndarray,
    seconds: float,
    batch: int,
    device: torch.device,
    seed: int = 0,
    decoder_only: bool = False,
) -> None:
    """Train in place for a given time; the learning rate falls to zero with it.

    With `decoder_only` the latents stay what they are, so that a denoiser trained on them keeps its worth; the rates
    are a tenth then, more clips are whole, and what a clip changes weighs more (the agent's last square, on the goal).
    """
    generator = torch.Generator(device).manual_seed(seed)
    rng = np.random.default_rng(seed)
    scale = 0.1 if decoder_only else 1.0
    long_share, changed = (POLISH_LONG_SHARE, POLISH_CHANGED) if decoder_only else (LONG_SHARE, 0.0)
    if decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    learning = [p for p in vae.parameters() if p.requires_grad]
    kernels = [p for p in learning if p.ndim >= 4 and min(p.shape[0], p[0].numel()) >= 8]
    chosen = {id(p) for p in kernels}
    muon = Muon(kernels, decay=0.0)
    adam = torch.optim.AdamW([p for p in learning if id(p) not in chosen], lr=0.0, betas=(0.9, 0.95))
    torch.manual_seed(seed)
    layout = faster_layout(vae, clips_for(data, others, rng, generator, batch, device))
    began, step, errors = time.time(), 0, []
    while (share := (time.time() - began) / seconds) < 1:
        clip = clips_for(data, others, rng, generator, batch, device, long_share)
        clip = clip.contiguous(memory_format=layout)
        rate = scale * min(1, (step + 1) / 100) * min(1, (1 - share) / 0.6)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss, error = loss_of(vae, clip, changed)
        vae.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        muon.step(KERNEL_LR * rate)
        for group in adam.param_groups:
            group["lr"] = OTHER_LR * rate
        adam.step()
        errors.append(error.detach())
        step += 1
        if step % 200 == 0:
            mean = torch.stack(errors).mean().item()
            print(f"codec step {step} {time.time() - began:.0f}s l1 {mean:.4f} rate {rate:.2f}", flush=True)
            errors = []
    print(f"codec: {step} steps in {time.time() - began:.0f}s", flush=True)


@torch.no_grad()
def measure_latents(vae: AutoencoderKLWan, data: "puzzle_data.Puzzles", device: torch.device, count: int = 512) -> None:
    """Round the weights to half precision and write the latents' measured mean and deviation into the config."""
    vae.half().float()
    sums = torch.zeros(3, CONFIG["z_dim"], dtype=torch.float64, device=device)
    for start in range(0, count, 64):
        clip = puzzle_data.videos(data, np.arange(start, min(start + 64, count, len(data))), 17, device)
        latents = whole.encode(vae, clip)[:, : CONFIG["z_dim"]].double().movedim(1, -1).flatten(0, -2)
        sums += torch.stack([torch.ones_like(latents).sum(0), latents.sum(0), latents.pow(2).sum(0)])
    mean = sums[1] / sums[0]
    std = (sums[2] / sums[0] - mean**2).sqrt()
    vae.register_to_config(latents_mean=mean.tolist(), latents_std=std.tolist())
    print("latents std", [round(v, 3) for v in std.tolist()], flush=True)
