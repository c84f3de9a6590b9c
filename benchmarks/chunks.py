"""Branches a second of noise-at-step sweeps: one row a call, against chunks of rows of many puzzles, in one process.

    python benchmarks/chunks.py [--model embedded] [--device cuda] [--chunks 1 8 32 64 128] [--puzzles 64] [--json OUT]

Every size runs the same sweep (N + 1 branches a puzzle) on its own forests, after its kernels are warm, until all
puzzles are done or `--seconds` are over; a size that was cut says how many puzzles it did.  A branch is counted when
its trace is on the CPU.  `python` is the time of a row and step that is not the model's: the same sweep with a model
that answers at once.  `apart` is the largest difference of any result from that of one row a call, over the largest of
its latents; `elsewhere` the share of results that are more than a hundredth apart: where two answers are as good as
each other, the last bits choose.  The table comes last; with `--json` rows are also written as they are made.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

import stepscope
from environment import environment
from stepscope import Branch, plan, tasks
from stepscope.interventions import AddNoise
from stepscope.scope import Plan

ROOT = Path(__file__).parents[1]
_ELSEWHERE = 1e-2


class Silent:
    """Answers at once, with latents of the size of the model's."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.latents_shape = shape

    def velocity(self, latents: torch.Tensor, sigma: float, samples: tuple[Any, ...]) -> torch.Tensor:
        """Nothing is believed but what is there."""
        return latents


def loaded(name: str, device: str) -> stepscope.Model:
    """The model; `random` comes from the tests."""
    if name != "random":
        return stepscope.load_model(name, device=device)
    sys.path.insert(0, str(ROOT / "tests"))
    from models.tiny import pipeline  # pyright: ignore[reportMissingImports]

    return stepscope.load_model(pipeline("wan2.2-a14b").to(device), device=device)


def timed(made: Plan, seconds: float, kept: dict[Any, torch.Tensor] | None = None) -> tuple[int, int, float]:
    """Puzzles and branches that were done within a time, and how long they took.

    Args:
        made: the sweep.
        seconds: forests are begun until then.
        kept: where the last latents of every branch go.
    """
    branches, begun, elapsed = 0, time.perf_counter(), 0.0
    for key, trace in made.results():
        branches += 1
        if kept is not None:
            kept[key] = trace.latents[-1].clone()
        elapsed = time.perf_counter() - begun
        if branches % (len(made.branches) * made.at_once()) == 0 and elapsed > seconds:
            break
    return branches // len(made.branches), branches, elapsed


def measured(
    model: stepscope.Model, silent: stepscope.Model, chunk: int, options: argparse.Namespace, alone: dict[Any, Any]
) -> dict[str, Any]:
    """One size: branches a second, and the part of it that is not the model's."""
    samples = [tasks.get("maze-two-goals").sample(seed, size=options.size) for seed in range(options.puzzles)]
    branches = [Branch(f"step {step}", [AddNoise(options.mode, step)]) for step in range(options.steps)]
    settings: dict[str, Any] = {"num_steps": options.steps, "chunk": chunk, "guidance": 1.0}
    plan(model, samples[:1], branches[:1], **settings).run()  # warm
    made = plan(model, samples, branches, **settings)
    kept: dict[Any, torch.Tensor] = {}
    puzzles, count, elapsed = timed(made, options.seconds, kept)
    unasked, _, idle = timed(plan(silent, samples, branches, **settings), options.seconds / 4)
    rows = made.costs[0][0]
    found = {
        "chunk": chunk,
        "puzzles": puzzles,
        "side_by_side": made.at_once(),
        "branches": count,
        "seconds": round(elapsed, 3),
        "branches_per_second": round(count / elapsed, 3),
        "row_step_ms": round(1e3 * elapsed / (rows * puzzles), 3),
        "python_ms": round(1e3 * idle / (rows * unasked), 3),
    }
    if chunk == 1:
        alone.update(kept)
    return found | distance(kept, alone)


def distance(some: dict[Any, torch.Tensor], others: dict[Any, torch.Tensor]) -> dict[str, float | None]:
    """How far results are apart that both hold, over the largest value of each; None where they share none."""
    apart = [
        float((some[key] - others[key]).abs().max() / others[key].abs().max()) for key in some.keys() & others.keys()
    ]
    if not apart:
        return {"apart": None, "elsewhere": None}
    return {"apart": max(apart), "elsewhere": sum(each > _ELSEWHERE for each in apart) / len(apart)}


def table(found: list[dict[str, Any]]) -> str:
    """The numbers in lines."""
    base = found[0]["branches_per_second"]
    lines = [
        f"{'chunk':>5} {'puzzles':>7} {'branches/s':>10} {'times':>6} {'ms/row':>7} {'python':>7} {'apart':>8} "
        f"{'elsewhere':>9}"
    ]
    for row in found:
        far = "" if row["apart"] is None else f" {row['apart']:8.1e} {row['elsewhere']:9.1%}"
        lines.append(
            f"{row['chunk']:5} {row['puzzles']:7} {row['branches_per_second']:10.2f} "
            f"{row['branches_per_second'] / base:6.2f} {row['row_step_ms']:7.3f} {row['python_ms']:7.3f}{far}"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="embedded", help="what stepscope.load_model takes, or random")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--chunks", type=int, nargs="+", default=[1, 8, 32, 64, 128])
    parser.add_argument("--puzzles", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--mode", default="renoise")
    parser.add_argument("--size", type=int, default=9, help="cells along a side of the maze")
    parser.add_argument("--seconds", type=float, default=30, help="no forest of a size is begun after these")
    parser.add_argument("--json", metavar="OUT")
    options = parser.parse_args()
    model = loaded(options.model, options.device)
    sample = tasks.get("maze-two-goals").sample(0, size=options.size)
    silent = stepscope.load_model(Silent(model.loaded.denoiser.latents_shape(sample)), device=options.device)
    found, alone = [], dict[Any, Any]()
    told = {
        "model": options.model,
        "weights_hash": model.weights_hash,
        **{name: getattr(options, name) for name in ("device", "puzzles", "steps", "mode", "size")},
        "environment": environment(options.device),
    }
    for chunk in options.chunks:
        found.append(measured(model, silent, chunk, options, alone))
        print(json.dumps(found[-1]), flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps({**told, "sizes": found}, indent=1) + "\n")
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
