"""Student beside teacher: the same held-out puzzles from the same noise, in 1, 2 and 4 steps.

    python compare.py sample --lora DIR/lora.safetensors --out FILE.npz --count 250 --compile
    python compare.py table  --out FILE.npz                              what a finished or killed run has so far
    python compare.py report --out FILE.npz --lora … --results ../../results     RESULTS.json, RESULTS.md, rows

The student is measured as it ships, merged into float32 weights; `paper` grid, the card's shift, guidance 1, one seed a
puzzle, decoded and scored.  The teacher's usual 20 steps stand beside as the best that could be asked.  Every batch
holds puzzles of all cells; FILE is written every `--save-every` seconds, and the same command goes on from it.
"""

import argparse
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

import cells
import low_rank
from batched import BUNDLED, Batched, noise_of
from bench import PLACES, Asked, Bench, Columns, Desk, Said, drawn, joined, keep
from desk import Helpers
from stepscope.models.lora import merge_loras
from student_results import table, write

STEPS = (1, 2, 4)
TEACHER_STEPS = 20


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["sample", "table", "report"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lora", type=Path)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="folder of the teacher")
    parser.add_argument("--edition", type=int, default=1, choices=[1, 2], help="which cells")
    parser.add_argument("--cells", nargs="+", help="some of them; all if left out")
    parser.add_argument("--count", type=int, default=250, help="puzzles a cell")
    parser.add_argument("--steps", type=int, nargs="+", default=list(STEPS))
    parser.add_argument("--teacher-steps", type=int, default=TEACHER_STEPS, help="0: not measured")
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--limit", type=float, default=600, help="seconds after which no batch is begun")
    parser.add_argument("--save-every", type=float, default=15)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--workers", type=int, default=max(len(os.sched_getaffinity(0)) - 2, 1))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--summary", type=Path, default=Path(__file__).parent, help="where RESULTS.* go")
    return parser.parse_args()


def names(args: argparse.Namespace) -> list[str]:
    """What is measured: `WHO-STEPS`."""
    mine = [f"{who}-{count}" for who in ("teacher", "student") for count in args.steps]
    return [*mine, *([f"teacher-{args.teacher_steps}"] if args.teacher_steps else [])]


def jobs(args: argparse.Namespace) -> list[tuple[cells.Cell, int]]:
    """Cells and seeds, the cells in turn."""
    chosen = [cell for cell in cells.cells_of(args.edition) if not args.cells or cell[0] in args.cells]
    return [(cell, cells.FIRST_SEED + number) for number in range(args.count) for cell in chosen]


def sample(args: argparse.Namespace) -> None:
    """Answer and score every puzzle that is not yet done."""
    began = saved = time.time()
    rows = drawn(jobs(args), args.workers)
    parts = [dict(np.load(args.out))] if args.out.exists() else []
    todo = np.setdiff1d(np.arange(len(rows)), parts[0]["index"] if parts else [])
    size = min(args.batch, max(len(todo), 1))
    helpers = Helpers(Desk(PLACES, size, len(names(args))), args.workers if args.workers > 1 else 0)
    teacher, student = (Batched(args.model, torch.device(args.device), args.compile) for _ in range(2))
    merge_loras(SimpleNamespace(transformer=student.model), {"transformer": args.lora})
    bench = Bench(teacher, names(args), size, helpers)
    print(f"{len(rows) - len(todo)} of {len(rows)} done before, ready after {time.time() - began:.0f}s", flush=True)

    def answer(asked: Asked) -> Said:
        noise = noise_of([row["seed"] for row in asked.rows], teacher.shape, teacher.device)
        found = {}
        for name in names(args):
            who, _, count = name.partition("-")
            model = {"teacher": teacher, "student": student}[who]
            found[name] = model.estimates(noise, asked.condition, asked.prompt, int(count))[-1]
        return Said(found, {})

    for part in bench.run(rows, todo, answer):
        parts.append(part)
        if time.time() - saved > args.save_every:
            saved = time.time()
            keep(joined(parts, rows, bench.names), args.out)
            print(f"{sum(len(each['index']) for each in parts)} of {len(rows)} after {saved - began:.0f}s", flush=True)
        if time.time() - began > args.limit:
            break
    keep(joined(parts, rows, bench.names), args.out)
    helpers.leave()
    table(read(args.out))


def read(file: Path) -> Columns:
    """The columns of a file."""
    return dict(np.load(file))


if __name__ == "__main__":
    torch.set_float32_matmul_precision("high")
    args = parse()
    if args.stage == "sample":
        sample(args)
    elif args.stage == "table":
        table(read(args.out))
    else:
        write(read(args.out), args, low_rank.options_of(args.lora))
