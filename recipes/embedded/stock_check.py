"""The bundled folder in stock diffusers, in a process that cannot import stepscope.

    python stock_check.py draw   --work DIR --cell maze-7 --count 1000        write pictures and prompts
    python stock_check.py sample --work DIR --cell maze-7 --model FOLDER      stock pipeline only
    python stock_check.py score  --work DIR --cell maze-7                     read the videos back and score them

First frames carry up to 2 grey levels of uniform noise; the scheduler is the one saved in the folder; 20 steps,
guidance 1, batch 1, float32, seed = puzzle.  `sample` bars stepscope from import and resumes where it was stopped.
About 4 s a puzzle on 2 CPU cores; with `--device cuda --part I --parts N` in N processes about 15 puzzles a second.
"""

import argparse
import json
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import numpy as np

FIRST_SEED = 3_000_000
GREY_LEVELS = 2


def draw(args: argparse.Namespace) -> None:
    """Write the first frames (noisy), prompts and states of held-out puzzles."""
    import cells

    cell = next(cell for cell in cells.CELLS if cell[0] == args.cell)
    rows, pictures = [], []
    for seed in range(FIRST_SEED, FIRST_SEED + args.count):
        row = cells.draw_row((cell, seed))
        noise = np.random.default_rng(seed).integers(-GREY_LEVELS, GREY_LEVELS + 1, size=(96, 96, 3))
        first = cells.sample_of(row).first_frame.astype(int)
        pictures.append((first + noise).clip(0, 255).astype(np.uint8))
        rows.append(row)
    args.work.mkdir(parents=True, exist_ok=True)
    (args.work / f"{args.cell}.json").write_text(json.dumps(rows))
    np.save(args.work / f"{args.cell}-first.npy", np.stack(pictures))


class _Barred(MetaPathFinder):
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse stepscope."""
        if name.split(".")[0] == "stepscope":
            raise ImportError("stepscope is barred in this process")


def sample(args: argparse.Namespace) -> None:
    """Let the stock pipeline answer."""
    sys.meta_path.insert(0, _Barred())
    import torch
    from diffusers import WanImageToVideoPipeline
    from PIL import Image

    torch.set_num_threads(args.threads)
    pipeline = WanImageToVideoPipeline.from_pretrained(args.model).to(args.device)
    pipeline.set_progress_bar_config(disable=True)
    rows = json.loads((args.work / f"{args.cell}.json").read_text())
    pictures = np.load(args.work / f"{args.cell}-first.npy")
    videos = args.work / f"{args.cell}-videos"
    videos.mkdir(exist_ok=True)
    for index, (row, picture) in enumerate(zip(rows, pictures, strict=True)):
        file = videos / f"{row['seed']}.npz"
        if file.exists() or index % args.parts != args.part:
            continue
        answer = pipeline(
            image=Image.fromarray(picture), prompt=row["prompt"], height=96, width=96, num_frames=17,
            num_inference_steps=20, guidance_scale=1.0, generator=torch.Generator().manual_seed(row["seed"]),
            output_type="np",
        ).frames[0]  # fmt: skip
        unfinished = file.with_suffix(".part.npz")
        np.savez_compressed(unfinished, frames=(answer * 255).round().astype(np.uint8))
        unfinished.rename(file)


def score(args: argparse.Namespace) -> None:
    """Score the videos against the puzzles without noise."""
    import cells
    from stepscope import analysis
    from stepscope.tasks import get

    rows = json.loads((args.work / f"{args.cell}.json").read_text())
    verdicts = {}
    for row in rows:
        file = args.work / f"{args.cell}-videos" / f"{row['seed']}.npz"
        if file.exists():
            frames = np.load(file)["frames"]
            verdicts[row["seed"]] = bool(get(row["task"]).score(frames, cells.sample_of(row)).success)
    rate, low, high = analysis.proportion(sum(verdicts.values()), len(verdicts))
    summary = {"cell": args.cell, "n": len(verdicts), "rate": rate, "ci95": [low, high]}
    (args.work / f"{args.cell}-score.json").write_text(json.dumps(summary | {"success": verdicts}))
    print(summary)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["draw", "sample", "score"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cell", default="maze-7")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", type=int, default=0, help="which of --parts processes this is")
    parser.add_argument("--parts", type=int, default=1)
    parsed = parser.parse_args()
    {"draw": draw, "sample": sample, "score": score}[parsed.stage](parsed)
