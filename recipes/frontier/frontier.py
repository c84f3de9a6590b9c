"""The frontier of success against model calls, on thousands of puzzles at once.

    python frontier.py prove                            eight puzzles: the same answers as `stepscope.generate`
    python frontier.py choose --out DIR --count 60      compares candidates on validation puzzles: DIR/frozen.json
    python frontier.py test   --out DIR --total 10000   runs what was frozen on puzzles whose seeds follow from it
    python frontier.py table  --out DIR                 what a finished or killed test has so far
    python frontier.py report --out DIR                 results/frontier.parquet, RESULTS.json, RESULTS.md, the figure

Float32 with TF32 products on a GPU, where `--compile` compiles blocks.  Rows are written every `--save-every` seconds,
and the same command goes on from them; every batch holds puzzles of all cells, so that what a limit cuts is unbiased.
"""

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from advance import Runs
from batched import BUNDLED, Batched, noise_of
from bench import PLACES, Asked, Bench, Columns, Desk, Said, drawn, joined, keep
from desk import Helpers
from frontier_results import choose, table, write
from menu import Frontier, candidates, families_of
from outcomes import answered
from proof import prove
from stepscope.models.weights import folder_hash


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["prove", "choose", "test", "table", "report"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--edition", type=int, default=1, choices=[1, 2], help="which families")
    parser.add_argument("--count", type=int, default=60, help="validation puzzles a family")
    parser.add_argument("--total", type=int, default=10_000, help="test puzzles, shared by the families")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--limit", type=float, default=400, help="seconds after which no batch is begun")
    parser.add_argument("--save-every", type=float, default=20)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--workers", type=int, default=max(len(os.sched_getaffinity(0)) - 2, 1))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=Path(__file__).parents[2] / "results")
    parser.add_argument("--summary", type=Path, default=Path(__file__).parent, help="where RESULTS.* go")
    return parser.parse_args()


def measured(args: argparse.Namespace, frontier: Frontier, file: Path) -> Columns:
    """Run a frontier on its puzzles, as far as the time allows."""
    began = saved = time.time()
    rows = drawn(frontier.jobs(), args.workers)
    parts = [dict(np.load(file))] if file.exists() else []
    todo = np.setdiff1d(np.arange(len(rows)), parts[0]["index"] if parts else [])
    if not len(todo):
        return parts[0]
    size = min(args.batch, len(todo))
    helpers = Helpers(Desk(PLACES, size, len(frontier.names)), args.workers if args.workers > 1 else 0)
    model = Batched(args.model, torch.device(args.device), args.compile)
    print(f"{len(rows) - len(todo)} of {len(rows)} done before, ready after {time.time() - began:.0f}s", flush=True)

    def answer(asked: Asked) -> Said:
        seeds = [frontier.noise_seeds(row["seed"]) for row in asked.rows]
        noise = torch.stack([noise_of(place, model.shape, model.device) for place in zip(*seeds, strict=True)])
        return answered(Runs(model, noise, asked.condition, asked.prompt), asked, frontier)

    for part in Bench(model, frontier.names, size, helpers).run(rows, todo, answer):
        parts.append(part)
        if time.time() - saved > args.save_every:
            saved = time.time()
            keep(joined(parts, rows, frontier.names), file)
            print(f"{sum(len(each['index']) for each in parts)} of {len(rows)} after {saved - began:.0f}s", flush=True)
        if time.time() - began > args.limit:
            break
    helpers.leave()
    whole = joined(parts, rows, frontier.names)
    keep(whole, file)
    print(f"{len(whole['index'])} of {len(rows)} after {time.time() - began:.0f}s", flush=True)
    return whole


def chosen(args: argparse.Namespace) -> None:
    """Compare candidates and freeze what is to be tested."""
    found = candidates(folder_hash(args.model), args.edition, args.count)
    frozen = choose(measured(args, found, args.out / "validation.npz"), found)
    count = -(-args.total // len(families_of(args.edition)))
    text = json.dumps(replace(frozen, count=count).to_json(), indent=1)
    (args.out / "frozen.json").write_text(text + "\n")
    print(f"frozen: {frozen.chosen}; {count} puzzles a family", flush=True)


def main(args: argparse.Namespace) -> None:
    """Carry out a stage."""
    torch.set_float32_matmul_precision("high")
    if args.stage == "prove":
        prove(Batched(args.model, torch.device(args.device)), args.model)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    if args.stage == "choose":
        chosen(args)
        return
    frozen = Frontier.from_json(json.loads((args.out / "frozen.json").read_text()))
    file = args.out / "test.npz"
    if args.stage == "test":
        measured(args, frozen, file)
    elif args.stage == "table":
        table(dict(np.load(file)), frozen)
    else:
        write(dict(np.load(file)), frozen, args)


if __name__ == "__main__":
    main(parse())
