"""How well ground truth survives the codec: the share of held-out solutions that still score 1 after a round trip."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from stepscope.tasks import Sample
from stepscope.tasks import get as get_task

CELLS = [
    ("maze", {"size": 5}),
    ("maze", {"size": 7}),
    ("maze", {"size": 9}),
    ("maze", {"size": 11}),
    ("maze-two-goals", {"size": 9}),
    ("maze-two-goals", {"size": 11}),
    ("find-shape", {}),
    ("find-shape", {"named": False}),
    ("tic-tac-toe", {}),
    ("size-pattern", {}),
    ("rotate", {}),
    ("occlusion", {}),
    ("bounce", {}),
]


def _sample(job: tuple[str, dict, int]) -> Sample:
    name, dials, seed = job
    return get_task(name).sample(seed, **dials)


def _score(job: tuple[np.ndarray, Sample]) -> tuple[bool, str]:
    frames, sample = job
    score = get_task(sample.task or "").score(frames, sample)
    return bool(score.success), score.explanation


def samples_of(name: str, dials: dict, seeds: Sequence[int], pool: ProcessPoolExecutor | None) -> list[Sample]:
    """Held-out samples of one cell, in the order of their seeds."""
    jobs = [(name, dials, seed) for seed in seeds]
    return list(pool.map(_sample, jobs, chunksize=16)) if pool else [_sample(job) for job in jobs]


def scores_of(videos: np.ndarray, samples: list[Sample], pool: ProcessPoolExecutor | None) -> list[tuple[bool, str]]:
    """Success and explanation of each video."""
    jobs = list(zip(videos, samples, strict=True))
    return list(pool.map(_score, jobs, chunksize=16)) if pool else [_score(job) for job in jobs]


def to_clip(frames: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 [B, T, H, W, 3] -> float [B, 3, T, H, W] in [-1, 1]."""
    return torch.from_numpy(frames).to(device).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def to_frames(clip: torch.Tensor) -> np.ndarray:
    """Float [B, 3, T, H, W] in [-1, 1] -> uint8 [B, T, H, W, 3], rounded as diffusers does."""
    unit = (clip * 0.5 + 0.5).clamp(0, 1)
    return (unit * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1).cpu().numpy()


@torch.no_grad()
def round_trip(vae: AutoencoderKLWan, frames: np.ndarray, device: torch.device, batch: int = 32) -> np.ndarray:
    """Frames after encode (mode) and decode."""
    out = []
    for start in range(0, len(frames), batch):
        latents = vae.encode(to_clip(frames[start : start + batch], device)).latent_dist.mode()
        out.append(to_frames(vae.decode(latents).sample))
    return np.concatenate(out)


def check(
    vae: AutoencoderKLWan, count: int, device: torch.device, pool: ProcessPoolExecutor | None, first_seed: int = 500_000
) -> dict[str, float]:
    """Success of ground truth through the codec for every cell."""
    rates = {}
    for name, dials in CELLS:
        samples = samples_of(name, dials, range(first_seed, first_seed + count), pool)
        truth = np.stack([sample.solutions[-1] for sample in samples])
        verdicts = scores_of(round_trip(vae, truth, device), samples, pool)
        rates[f"{name} {dials}"] = float(np.mean([success for success, _ in verdicts]))
        faults = sorted({why for success, why in verdicts if not success})
        print(f"codec check {name} {dials}: {rates[f'{name} {dials}']:.4f} {faults[:3]}", flush=True)
    return rates
