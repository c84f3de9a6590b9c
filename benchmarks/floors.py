"""Floors: what videos that solve nothing score on each task (still, teleport, ghost, random frames).

    python benchmarks/floors.py [--samples 200] [--json]

still: the first frame throughout.  teleport: the first frame, then a finished last frame.  ghost: the mean of all right
answers, or of the only one and the still video.  random: uniform noise.  All must have success 0; the progress they are
given for nothing is what a score must be compared with.  Writes floors.json beside this file; `--json` prints the same
instead of a table.
"""

import argparse
import json
import platform
from pathlib import Path

import numpy as np

import stepscope
from stepscope import tasks
from stepscope.tasks import Sample

FAMILIES = ("maze", "maze-two-goals", "find-shape", "tic-tac-toe", "size-pattern", "rotate", "occlusion", "bounce")
DIALS = {name: [{}] for name in FAMILIES} | {"find-shape": [{}, {"named": False}]}


def still(sample: Sample) -> np.ndarray:
    """Nothing happens."""
    return sample.still


def teleport(sample: Sample) -> np.ndarray:
    """Nothing happens until the last frame."""
    return np.concatenate([sample.still[:-1], sample.solutions[0][-1:]])


def ghost(sample: Sample) -> np.ndarray:
    """Everything at once, nothing for good."""
    shown = sample.solutions if len(sample.solutions) > 1 else (*sample.solutions, sample.still)
    return np.mean(shown, axis=0).round().astype(np.uint8)


def random_frames(sample: Sample) -> np.ndarray:
    """Uniform noise."""
    rng = np.random.default_rng(sample.seed)
    return rng.integers(0, 256, size=sample.still.shape, dtype=np.uint8)


FLOORS = {"still": still, "teleport": teleport, "ghost": ghost, "random": random_frames}


def rows_of(name: str, dials: dict, count: int) -> list[dict]:
    """One row for each floor of a task, and one for its own solutions."""
    task = tasks.get(name)
    samples = [task.sample(seed, **dials) for seed in range(count)]
    videos = {"solution": lambda sample: sample.solutions[0], **FLOORS}
    return [
        {"task": name, "dials": dials, "video": video, **_rates(task, samples, make)} for video, make in videos.items()
    ]


def _rates(task: tasks.Task, samples: list[Sample], make) -> dict:  # noqa: ANN001
    scores = [task.score(make(sample), sample) for sample in samples]
    return {
        "n": len(scores),
        "success": float(np.mean([bool(score.success) for score in scores])),
        "progress": round(float(np.mean([score.progress for score in scores])), 4),
        "unscored": sum(score.success is None for score in scores),
        "flagged_teleport": sum("teleport" in score.flags for score in scores),
    }


def main() -> None:
    """Compute, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print the file's content instead of a table")
    options = parser.parse_args()
    rows = [row for name in FAMILIES for dials in DIALS[name] for row in rows_of(name, dials, options.samples)]
    versions = {"stepscope": stepscope.__version__, "numpy": np.__version__, "python": platform.python_version()}
    text = json.dumps({"versions": versions, "split": "test", "rows": rows}, indent=1)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(text if options.json else table(rows))


def table(rows: list[dict]) -> str:
    """The rows in columns."""
    lines = [f"{'task':16} {'dials':18} {'video':10} {'n':>4} {'success':>8} {'progress':>9} {'teleport':>9}"]
    for row in rows:
        dials = " ".join(f"{name}={value}" for name, value in row["dials"].items())
        lines.append(
            f"{row['task']:16} {dials:18} {row['video']:10} {row['n']:4} {row['success']:8.3f} {row['progress']:9.3f} "
            f"{row['flagged_teleport']:9}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
