"""Distil the bundled model into a LoRA that answers in four, two steps or one.

    python distil.py --out DIR --work DIR --compile --seconds 300        (the same command goes on where it was killed)

First the teacher's ends are computed, part by part (see `pairs`), then the student is trained on them (see `learning`).
OUT receives `lora.safetensors` every `--save-every` seconds, with the teacher's hash, steps, seconds and options in its
header; WORK keeps pairs and the full state.  On a GPU: bfloat16 products, the teacher's too.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

import low_rank
import pairs
from batched import BUNDLED, Batched
from learning import RATE, Learner
from parts import Job, jobs_of
from stepscope.models.weights import folder_hash


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("/tmp/student"), help="where pairs and state are kept")
    parser.add_argument("--model", type=Path, default=BUNDLED, help="folder of the teacher")
    parser.add_argument("--edition", type=int, default=1, choices=[1, 2], help="which mixture of puzzles")
    parser.add_argument("--pairs", type=int, default=50_000)
    parser.add_argument("--pair-seconds", type=float, default=150, help="stop making pairs after this time")
    parser.add_argument("--part", type=int, default=1000, help="pairs a file")
    parser.add_argument("--teacher-steps", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300, help="of training in all")
    parser.add_argument("--session", type=float, help="of training in this call; all if left out")
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-every", type=float, default=60)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--workers", type=int, default=max(len(os.sched_getaffinity(0)) - 1, 1))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def jobs(args: argparse.Namespace) -> list[Job]:
    """Parts of whole-length puzzles."""
    counts = [min(args.part, args.pairs - at) for at in range(0, args.pairs, args.part)]
    frames = jobs_of(args.work, 1, args.seed, args.edition)[-1].num_frames
    return [Job(args.edition, args.seed, number, count, frames, args.work) for number, count in enumerate(counts)]


def teach(
    args: argparse.Namespace, teacher: Batched, teacher_hash: str, pool: ProcessPoolExecutor | None
) -> pairs.Pairs:
    """As many pairs as the time allows."""
    began, found = time.time(), []
    made = pairs.made(teacher, teacher_hash[:12], args.work, jobs(args), pool, args.teacher_steps, args.batch)
    for part in made:
        found.append(part)
        if len(found) % 10 == 0:
            print(f"{sum(map(len, found))} pairs after {time.time() - began:.0f}s", flush=True)
        if time.time() - began > args.pair_seconds:
            break
    joined = pairs.Pairs.joined(found)
    print(f"{len(joined)} pairs after {time.time() - began:.0f}s", flush=True)
    return joined


def checkpoint(learner: Learner, args: argparse.Namespace, teacher_hash: str) -> None:
    """Write the LoRA to be carried, and the full state beside the work."""
    names = ("edition", "teacher_steps", "rank", "batch", "rate", "seed")
    facts = {
        "teacher": teacher_hash, "steps": learner.step, "seconds": round(learner.spent), "pairs": len(learner.pairs),
        "options": {name: getattr(args, name) for name in names},
    }  # fmt: skip
    low_rank.save(learner.averaged(), args.out / "lora.safetensors", facts)
    torch.save(learner.state(), args.work / "state.part")
    (args.work / "state.part").rename(args.work / "state.pt")


def main(args: argparse.Namespace) -> None:
    """Make pairs, train, save."""
    torch.set_float32_matmul_precision("high")
    device, teacher_hash = torch.device(args.device), folder_hash(args.model)
    args.out.mkdir(parents=True, exist_ok=True)
    args.work.mkdir(parents=True, exist_ok=True)
    pool = ProcessPoolExecutor(args.workers) if args.workers > 1 else None
    if pool:
        pool.submit(int).result()  # forks all of them before anything touches the GPU
    model = Batched(args.model, device, args.compile, half=device.type == "cuda")
    taught = teach(args, model, teacher_hash[:12], pool)
    if pool:
        pool.shutdown(cancel_futures=True)
    learner = Learner(model, low_rank.attach(model.model, args.rank, args.seed), taught, args.batch, args.rate)
    if (state := args.work / "state.pt").exists():
        learner.resume(torch.load(state, map_location=device))
    end = min(learner.spent + (args.session or args.seconds), args.seconds)
    while learner.spent < end:
        first, later = learner.train(min(args.save_every, end - learner.spent), args.seconds)
        checkpoint(learner, args, teacher_hash)
        print(f"step {learner.step}: distance at step 0 {first:.2f}, later {later:.2f}", flush=True)


if __name__ == "__main__":
    main(parse())
