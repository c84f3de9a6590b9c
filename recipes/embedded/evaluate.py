"""Sample the bundled model on held-out puzzles and write one row a puzzle.

    python evaluate.py prepare --work DIR --edition 2 --count 250     draw the puzzles (CPU)
    python evaluate.py sample  --work DIR --codec DIR --weights DIR/averaged --out FILE.npz
    python evaluate.py table   --out FILE.npz                         what a finished or killed run has so far

`paper` grid, 20 Euler steps, guidance 1, one seed a puzzle (its own).  For each row: success of the decoded clean
estimate at step 0 and at the end, knowledge R and hull weights at every step, and, where there are two solutions, the
weights of the ideal observer rolled out from the same noise (see `measures`).  Float32 with TF32 products.

Every batch holds puzzles of all cells, and what is finished is written every `--save-every` seconds to FILE and to the
work folder, where the same command finds it again: a killed run loses a few batches, and its table is unbiased.
"""

import argparse
import hashlib
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import bank as latent_bank
import cells
import check_codec
import prompts
import puzzles
import transformer as net
import whole
from cells import CELLS, CHOOSING_SEED, FIRST_SEED, Row
from desk import Desk, Helpers
from measures import hull, observer
from stepscope.denoise import initial_latents, paper_grid
from train import load_weights, weight_files

NUM_STEPS = 20
NUM_FRAMES = 17
LATENTS = (32, 5, 12, 12)
PLACES = 4  # batches on the desk: two being laid, one sampled, one judged
Columns = dict[str, np.ndarray]


def prepare(args: argparse.Namespace) -> None:
    """Draw the puzzles of every cell and keep their states."""
    jobs, began = cells.jobs_of(cells.cells_of(args.edition), args.count), time.time()
    with ProcessPoolExecutor(args.workers) as pool:
        rows = list(pool.map(cells.draw_row, jobs, chunksize=16))
    args.work.mkdir(parents=True, exist_ok=True)
    unfinished = args.work / "puzzles.part"
    unfinished.write_text(json.dumps(rows))
    unfinished.rename(args.work / "puzzles.json")
    print(f"{len(rows)} puzzles in {time.time() - began:.0f}s", flush=True)


class Sampler:
    """The model, ready to denoise batches."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Load it, compile it, and choose the codec's memory layout."""
        self.device = torch.device(args.device)
        self.vae = AutoencoderKLWan.from_pretrained(args.codec, torch_dtype=torch.float32).to(self.device).eval()
        self.model = net.build(num_layers=args.layers) if args.layers else net.build()
        self.model.load_state_dict(load_weights(args.weights))
        self.model.to(self.device).eval()
        self.run_block = torch.compile(net.block) if args.compile else net.block
        self.grid = paper_grid(NUM_STEPS, args.shift)
        self.text, self.bias = (t.to(self.device) for t in net.compact_prompts(prompts.embed(puzzles.PROMPTS)))
        shape = (1, -1, 1, 1, 1)
        self.mean = torch.tensor(self.vae.config.latents_mean, device=self.device).view(shape)
        self.std = torch.tensor(self.vae.config.latents_std, device=self.device).view(shape)
        if args.compile:
            whole.fuse()
        with torch.no_grad():
            example = torch.zeros(min(args.batch, 64), *LATENTS, device=self.device)
            self.layout = whole.faster_layout(lambda latents: whole.decode(self.vae, latents), example)

    def encode(self, clip: torch.Tensor) -> torch.Tensor:
        """Standardised latents of clips float [B, 3, T, H, W]."""
        return latent_bank.standardised(self.vae, clip.contiguous(memory_format=self.layout))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Frames uint8 [B, T, H, W, 3] of standardised latents, rounded as diffusers does."""
        laid = (latents * self.std + self.mean).contiguous(memory_format=self.layout)
        clip = whole.decode(self.vae, laid).clamp(-1, 1)
        return ((clip * 0.5 + 0.5) * 255).round().to(torch.uint8).permute(0, 2, 3, 4, 1)

    def denoise(self, first: torch.Tensor, prompt: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Clean estimates [N, B, C, F, H, W] of first frames [B, 3, 1, H, W]; the last is the result."""
        condition = self.encode(latent_bank.condition_clip(first, NUM_FRAMES))
        text, bias = self.text[prompt], self.bias[prompt]
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


@dataclass
class Batch:
    """Puzzles that are sampled together: their indices in the list, their rows, and their place on the desk."""

    index: np.ndarray
    rows: list[Row]
    place: int

    @property
    def jobs(self) -> list[tuple[tuple[int, int], Row]]:
        """What a helper is asked to lay or to judge."""
        return [((self.place, spot), row) for spot, row in enumerate(self.rows)]

    def noise(self) -> torch.Tensor:
        """The noise that each puzzle starts from, [B, C, F, H, W]."""
        return torch.stack([initial_latents(row["seed"], LATENTS) for row in self.rows])


def batches_of(rows: list[Row], todo: np.ndarray, size: int) -> Iterator[Batch]:
    """Batches of one size, the last one filled up with puzzles that come again."""
    for number, start in enumerate(range(0, len(todo), size)):
        index = np.resize(todo[start : start + size], size)
        yield Batch(index, [rows[i] for i in index], number % PLACES)


@torch.no_grad()
def measure(sampler: Sampler, desk: Desk, batch: Batch, answers: np.ndarray, noise: torch.Tensor) -> Columns:
    """Denoise a batch, leave its videos on the desk, and measure it."""
    device = sampler.device
    first = check_codec.to_clip(desk.first[batch.place][:, None], device)
    prompt = torch.tensor([puzzles.PROMPTS.index(row["prompt"]) for row in batch.rows], device=device)
    noise = noise.to(device)
    estimates = sampler.denoise(first, prompt, noise)
    shown = desk.solutions[batch.place]
    solutions = sampler.encode(check_codec.to_clip(shown[:, 0], device)).expand(2, *noise.shape).clone()
    two = np.flatnonzero(answers == 2)
    if len(two):
        solutions[1, torch.from_numpy(two).to(device)] = sampler.encode(check_codec.to_clip(shown[two, 1], device))
    still = sampler.encode(first.expand(-1, -1, NUM_FRAMES, -1, -1))
    knowledge, weight = hull(estimates, solutions, still)
    seen = observer(noise, solutions, sampler.grid)
    for number, step in enumerate((0, -1)):
        torch.from_numpy(desk.videos[batch.place, number]).copy_(sampler.decode(estimates[step]))
    values = {"knowledge": knowledge, "weight": weight, "observer": seen}
    return {"index": batch.index, **{key: value.T.float().cpu().numpy() for key, value in values.items()}}


def run(args: argparse.Namespace, rows: list[Row], todo: np.ndarray, helpers: Helpers, sampler: Sampler) -> Iterator:
    """Columns of each batch, finished; helpers lay two batches ahead and judge one behind."""
    desk, thread = helpers.desk, ThreadPoolExecutor(1)
    waiting, ahead, judged = batches_of(rows, todo, args.batch), deque(), deque()

    def lay() -> None:
        batch = next(waiting, None)
        if batch is not None:
            ahead.append((batch, helpers.ask("lay", batch.jobs), thread.submit(batch.noise)))

    lay()
    lay()
    while ahead:
        batch, laid, noise = ahead.popleft()
        columns = measure(sampler, desk, batch, np.array(list(laid)), noise.result())
        judged.append((columns, helpers.ask("judge", batch.jobs)))
        if len(judged) > 1:  # before the next batch is laid, so that a place is free
            yield _finished(*judged.popleft())
        lay()
    while judged:
        yield _finished(*judged.popleft())


def _finished(columns: Columns, verdicts: Iterator[list[bool]]) -> Columns:
    first, final = np.array(list(verdicts)).T
    return {**columns, "first": first, "final": final}


def sample(args: argparse.Namespace) -> None:
    """Denoise, read and score everything that is not yet done."""
    text = (args.work / "puzzles.json").read_text()
    rows, kept = json.loads(text), args.work / f"rows-{_key(args, text)}.npz"
    done = [dict(np.load(kept))] if kept.exists() else []
    began = saved = time.time()
    todo = np.setdiff1d(np.arange(len(rows)), np.concatenate([part["index"] for part in done] or [[]]))
    if len(todo):
        size = args.batch = min(args.batch, len(todo))
        helpers = Helpers(Desk(PLACES, size), args.workers)
        sampler = Sampler(args)
        print(f"{len(rows) - len(todo)} of {len(rows)} done before, ready after {time.time() - began:.0f}s", flush=True)
        for part in run(args, rows, todo, helpers, sampler):
            done.append(part)
            if time.time() - saved > args.save_every:
                saved = time.time()
                count = save(args, kept, rows, done)
                print(f"{count} of {len(rows)} after {saved - began:.0f}s", flush=True)
        helpers.leave()
    save(args, kept, rows, done)
    print(f"sampled in {time.time() - began:.0f}s", flush=True)
    table(args)


def _key(args: argparse.Namespace, text: str) -> str:
    """What the rows of one model on one set of puzzles are kept under."""
    digest = hashlib.sha256(text.encode())
    for file in weight_files(args.weights):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def save(args: argparse.Namespace, kept: Path, rows: list[Row], done: list[Columns]) -> int:
    """Write what is done, here and in the work folder; how many puzzles that are."""
    names = ("index", "knowledge", "weight", "observer", "first", "final")
    joined: dict[str, Any] = {name: np.concatenate([part[name] for part in done]) for name in names}
    _, unique = np.unique(joined["index"], return_index=True)
    joined = {name: column[unique] for name, column in joined.items()}
    mine = [rows[i] for i in joined["index"]]
    for name in ("cell", "seed", "puzzle"):
        joined[name] = np.array([row[name] for row in mine])
    unfinished = kept.with_suffix(".part.npz")
    np.savez_compressed(unfinished, **joined)
    unfinished.rename(kept)
    shutil.copy(kept, args.out.with_suffix(".part"))
    args.out.with_suffix(".part").rename(args.out)
    return len(mine)


def table(args: argparse.Namespace) -> None:
    """Print what a file of rows says."""
    rows = dict(np.load(args.out))
    print(f"{'cell':20} {'set':6} {'n':>5} {'alike':>5} step0 final  R_0   R_end")
    for name, *_ in CELLS:
        for label, first in (("report", FIRST_SEED), ("choose", CHOOSING_SEED)):
            mine = (rows["cell"] == name) & (rows["seed"] >= first) & (rows["seed"] < first + cells.SPAN)
            if mine.any():
                numbers = [rows["first"][mine].mean(), rows["final"][mine].mean()]
                numbers += [rows["knowledge"][mine, k].astype(float).mean() for k in (0, -1)]
                counts = f"{mine.sum():5} {mine.sum() - len(np.unique(rows['puzzle'][mine])):5}"
                print(f"{name:20} {label:6} {counts}", *(f"{v:.3f}" for v in numbers), flush=True)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["prepare", "sample", "table"])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--edition", type=int, default=1, choices=[1, 2], help="which cells")
    parser.add_argument("--count", type=int, default=250, help="puzzles a cell; four times as many in quoted ones")
    parser.add_argument("--codec", type=Path)
    parser.add_argument("--weights", type=Path, help="DIR/averaged of a training run, or a transformer folder")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--layers", type=int, default=0)
    parser.add_argument("--shift", type=float, default=12.0)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--save-every", type=float, default=15, help="seconds between partial results")
    parser.add_argument("--workers", type=int, default=max(len(os.sched_getaffinity(0)) - 2, 1))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    args = parse()
    {"prepare": prepare, "sample": sample, "table": table}[args.stage](args)
