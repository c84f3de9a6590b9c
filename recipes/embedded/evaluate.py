"""Sample the bundled model on held-out puzzles and write one row a puzzle.

    python evaluate.py prepare --work DIR --count 1000             draw the puzzles (CPU)
    python evaluate.py sample  --work DIR --codec DIR --weights DIR/averaged --out FILE.npz

`paper` grid, 20 Euler steps, guidance 1, one seed a puzzle (its own).  For each row: success of the decoded clean
estimate at step 0 and at the end, knowledge R and hull weights at every step, and for two-goal puzzles the weights of
the ideal observer rolled out from the same noise.  Float32 with TF32 products; the batched formulas below are the two-
and one-candidate cases of `stepscope.analysis`, and are tested against it.
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import bank as latent_bank
import check_codec
import prompts
import transformer as net
import whole
from stepscope.denoise import initial_latents, paper_grid
from stepscope.tasks import Sample, with_prompt
from stepscope.tasks import get as get_task
from train import load_weights

NUM_STEPS = 20
CELLS: list[tuple[str, str, dict]] = [
    ("maze-5", "maze", {"size": 5}),
    ("maze-7", "maze", {"size": 7}),
    ("maze-9", "maze", {"size": 9}),
    ("maze-11", "maze", {"size": 11}),
    ("maze-7-long", "maze", {"size": 7, "length": (20, 35)}),
    ("maze-8-long", "maze", {"size": 8, "length": (25, 45)}),
    ("maze-9-mid", "maze", {"size": 9, "length": (20, 35)}),
    ("maze-9-long", "maze", {"size": 9, "length": (36, 60)}),
    ("maze-10-mid", "maze", {"size": 10, "length": (25, 40)}),
    ("maze-11-short", "maze", {"size": 11, "length": (5, 15)}),
    ("maze-11-mid", "maze", {"size": 11, "length": (16, 30)}),
    ("maze-11-long", "maze", {"size": 11, "length": (31, 45)}),
    ("maze-11-longer", "maze", {"size": 11, "length": (46, 60)}),
    ("maze-11-longest", "maze", {"size": 11, "length": (61, 90)}),
    ("two-7", "maze-two-goals", {"size": 7}),
    ("two-9", "maze-two-goals", {"size": 9}),
    ("two-11", "maze-two-goals", {"size": 11}),
    ("find-4", "find-shape", {"count": 4}),
    ("find-6", "find-shape", {"count": 6}),
    ("find-4-other", "find-shape", {"count": 4}),
]
FIRST_SEED = 1_000_000
CHOOSING_SEED = 2_000_000  # puzzles on which the hardest dial is chosen


def _draw(job: tuple[str, dict, int, bool]) -> dict:
    name, dials, seed, other = job
    sample = get_task(name).sample(seed, **dials)
    sample = with_prompt(sample) if other else sample
    return {"seed": seed, "task": name, "prompt": sample.prompt, "state": sample.state}


def _sample(row: dict) -> Sample:
    task = get_task(row["task"])
    if row["task"] == "find-shape":
        from stepscope.tasks import find_shape

        target = find_shape.target_of(row["prompt"], row["state"]["items"])
        return find_shape.from_state(row["state"], target, seed=row["seed"])
    return task.from_state(row["state"], seed=row["seed"])  # type: ignore[attr-defined]


def prepare(args: argparse.Namespace) -> None:
    """Draw the puzzles of every cell and keep their states."""
    jobs, owners = [], []
    for cell, name, dials in CELLS:
        sets = [(FIRST_SEED, args.count)]
        if name == "maze":
            sets.append((CHOOSING_SEED, args.count // 4))
        for first, count in sets:
            jobs += [(name, dials, first + i, cell.endswith("other")) for i in range(count)]
            owners += [cell] * count
    with ProcessPoolExecutor(args.workers) as pool:
        rows = list(pool.map(_draw, jobs, chunksize=32))
    for row, cell in zip(rows, owners, strict=True):
        row["cell"] = cell
    args.work.mkdir(parents=True, exist_ok=True)
    (args.work / "puzzles.json").write_text(json.dumps(rows))
    print(f"{len(rows)} puzzles", flush=True)


class Sampler:
    """The model, ready to denoise batches."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.device = torch.device(args.device)
        self.vae = AutoencoderKLWan.from_pretrained(args.codec, torch_dtype=torch.float32).to(self.device).eval()
        self.model = net.build(num_layers=args.layers) if args.layers else net.build()
        self.model.load_state_dict(load_weights(args.weights))
        self.model.to(self.device).eval()
        self.run_block = torch.compile(net.block) if args.compile else net.block
        self.grid = paper_grid(NUM_STEPS, args.shift)
        self.texts: dict[str, int] = {}

    def encode(self, frames: np.ndarray) -> torch.Tensor:
        """Standardised latents of frames uint8 [B, T, H, W, 3]."""
        return latent_bank.standardised(self.vae, check_codec.to_clip(frames, self.device))

    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """Frames of standardised latents."""
        shape = (1, -1, 1, 1, 1)
        mean = torch.tensor(self.vae.config.latents_mean, device=self.device).view(shape)
        std = torch.tensor(self.vae.config.latents_std, device=self.device).view(shape)
        return check_codec.to_frames(whole.decode(self.vae, latents * std + mean).clamp(-1, 1))

    def denoise(self, samples: list[Sample], noise: torch.Tensor) -> torch.Tensor:
        """Clean estimates [N, B, C, F, H, W]; the last is the result."""
        first = check_codec.to_clip(np.stack([s.first_frame for s in samples])[:, None], self.device)
        condition = latent_bank.standardised(self.vae, latent_bank.condition_clip(first, samples[0].num_frames))
        text, bias = (t.to(self.device) for t in net.compact_prompts(prompts.embed([s.prompt for s in samples])))
        x, estimates = noise, []
        for step in range(NUM_STEPS):
            sigma = self.grid.sigma(step)
            timestep = torch.full((len(x),), sigma * 1000, device=self.device)
            velocity = net.forward(
                self.model, latent_bank.network_input(x, condition), timestep, text, bias, self.run_block
            )
            estimates.append(x - sigma * velocity)
            x = x + (self.grid.sigma(step + 1) - sigma) * velocity
        return torch.stack(estimates)


def hull(estimates: torch.Tensor, solutions: torch.Tensor, still: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """R and the first candidate's weight, [N, B], for one or two candidates [S, B, ...]."""
    first, last = solutions[0].flatten(1).double(), solutions[-1].flatten(1).double()
    points = estimates.flatten(2).double()
    delta = first - last
    weight = ((points - last) * delta).sum(-1) / delta.square().sum(-1).clamp_min(1e-12)
    weight = weight.clamp(0, 1) if len(solutions) == 2 else torch.ones_like(weight)
    nearest = last + weight[..., None] * delta

    def outside(point: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return (point - (last + w[..., None] * delta)).square().sum(-1)

    flat = still.flatten(1).double()
    at_rest = ((flat - last) * delta).sum(-1) / delta.square().sum(-1).clamp_min(1e-12)
    at_rest = at_rest.clamp(0, 1) if len(solutions) == 2 else torch.ones_like(at_rest)
    return (points - nearest).square().sum(-1) / outside(flat, at_rest), weight


def observer(noise: torch.Tensor, solutions: torch.Tensor, grid: object) -> torch.Tensor:
    """Weight of the first of two candidates for the ideal observer's own rollout, [N, B]."""
    first, last = solutions[0].flatten(1).double(), solutions[1].flatten(1).double()
    x, weights = noise.flatten(1).double(), []
    for step in range(NUM_STEPS):
        s = grid.sigma(step)  # type: ignore[attr-defined]
        logit = (1 - s) / s**2 * ((x - (1 - s) * (first + last) / 2) * (first - last)).sum(-1)
        weight = torch.sigmoid(logit)
        weights.append(weight)
        mean = last + weight[:, None] * (first - last)
        x = x + (grid.sigma(step + 1) - s) * (x - mean) / s  # type: ignore[attr-defined]
    return torch.stack(weights)


@torch.no_grad()
def sample(args: argparse.Namespace) -> None:
    """Denoise, read and score everything, then write it."""
    rows = json.loads((args.work / "puzzles.json").read_text())
    sampler, began = Sampler(args), time.time()
    columns: dict[str, list] = {key: [] for key in ("first", "final", "knowledge", "weight", "observer")}
    batch = args.batch
    with ProcessPoolExecutor(args.workers) as pool:
        waiting = []
        samples_ahead = pool.map(_sample, rows, chunksize=32)
        for start in range(0, len(rows), batch):
            samples = [next(samples_ahead) for _ in rows[start : start + batch]]
            two = all(len(s.solutions) == 2 for s in samples)
            noise = torch.stack([initial_latents(s.seed or 0, (32, 5, 12, 12)) for s in samples]).to(sampler.device)
            estimates = sampler.denoise(samples, noise)
            kept = [np.stack([s.solutions[i] for s in samples]) for i in ((0, 1) if two else (0,))]
            solutions = torch.stack([sampler.encode(frames) for frames in kept])
            still = sampler.encode(np.stack([s.still for s in samples]))
            knowledge, weight = hull(estimates, solutions, still)
            columns["knowledge"].append(knowledge.T.float().cpu().numpy())
            columns["weight"].append(weight.T.float().cpu().numpy())
            ones = torch.ones(len(samples), NUM_STEPS)
            seen = observer(noise, solutions, sampler.grid).T.float().cpu() if two else ones
            columns["observer"].append(seen.numpy())
            for key, step in (("first", 0), ("final", -1)):
                videos = sampler.decode(estimates[step])
                jobs = list(zip(videos, samples, strict=True))
                waiting.append((key, pool.map(check_codec._score, jobs, chunksize=16)))
            if start % (batch * 20) == 0:
                print(f"{start + len(samples)} of {len(rows)} after {time.time() - began:.0f}s", flush=True)
        for key, verdicts in waiting:
            columns[key] += [success for success, _ in verdicts]
    save(args, rows, columns)


def save(args: argparse.Namespace, rows: list[dict], columns: dict[str, list]) -> None:
    """Write the columns and print a table."""
    joined = {key: np.concatenate(columns[key]).astype(np.float16) for key in ("knowledge", "weight", "observer")}
    joined |= {key: np.array(columns[key], dtype=bool) for key in ("first", "final")}
    cell, seed = np.array([row["cell"] for row in rows]), np.array([row["seed"] for row in rows])
    np.savez_compressed(args.out, cell=cell, seed=seed, **joined)
    print(f"{'cell':16} {'set':8} {'n':>5} step0 final  R_0   R_end")
    for name, *_ in CELLS:
        for label, first in (("report", FIRST_SEED), ("choose", CHOOSING_SEED)):
            mine = (cell == name) & (seed >= first) & (seed < first + 1_000_000)
            if mine.any():
                numbers = [joined["first"][mine].mean(), joined["final"][mine].mean()]
                numbers += [joined["knowledge"][mine, k].astype(float).mean() for k in (0, -1)]
                print(f"{name:16} {label:8} {mine.sum():5}", *(f"{v:.3f}" for v in numbers), flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["prepare", "sample"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--codec", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--shift", type=float, default=12.0)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--workers", type=int, default=max(len(os.sched_getaffinity(0)) - 2, 1))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    args = parse()
    (prepare if args.stage == "prepare" else sample)(args)
