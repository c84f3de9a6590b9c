"""Turn the rows of `evaluate.py` into what is published: RESULTS.json, RESULTS.md and tidy parquet rows.

    python results.py --rows FILE.npz --model ../../src/stepscope/models/embedded --results ../../results

A family's success is its rate at default dials; every cell with other dials stands beside it.  The hardest one-goal
dial is chosen on puzzles of its own (`cells.CHOOSING_SEED`): the cell with the largest gain from step 0 to the end
among those that end at 60% or more.  Everything else is computed on the other puzzles.  Where a small family repeats
a puzzle, the intervals are over puzzles.  Choice is read where a puzzle has two solutions.  *read* is the share of
results on which the latent read-out and decode-and-score agree whether the puzzle is solved.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from pyarrow import parquet

from cells import CELLS, CHOOSING_SEED, DEFAULTS
from stepscope import analysis, store
from stepscope.denoise import paper_grid
from stepscope.models import load

NUM_STEPS = 20
THRESHOLD = 0.9
BOOTSTRAP_SEED = 11


def commitment(weights: np.ndarray) -> np.ndarray:
    """Choice step of each row of first-candidate weights [n, N]; NaN where it is censored."""
    pairs = np.stack([weights, 1 - weights], axis=-1).astype(np.float64)
    steps = [analysis.commitment_step(row, THRESHOLD) for row in pairs]
    return np.array([np.nan if step is None else step for step in steps])


def cell_of(name: str, rows: dict[str, np.ndarray], mine: np.ndarray) -> dict:
    """All numbers of one cell."""
    _, task, dials = next(cell for cell in CELLS if cell[0] == name)
    first, final = rows["first"][mine].astype(float), rows["final"][mine].astype(float)
    knowledge = rows["knowledge"][mine].astype(np.float64)
    puzzles = rows["puzzle"][mine]
    rate, *interval = _rate(final, puzzles)
    gain, low, high, p = analysis.paired_bootstrap(final, first, BOOTSTRAP_SEED, puzzles)
    out = {
        "cell": name,
        "task": task,
        "dials": dials,
        "n": len(final),
        "puzzles": len(np.unique(puzzles)),
        "rate": rate,
        "ci95": interval,
        "rate_step_0": float(first.mean()),
        "gain": gain,
        "gain_ci95": [low, high],
        "gain_p": p,
        "knowledge": [float(v) for v in knowledge.mean(axis=0).round(5)],
        "read": float((_read(rows["weight"][mine, -1], knowledge[:, -1]) == final).mean()),
    }
    two = mine & (rows["observer"][:, 0] < 1)  # the observer of a single solution is sure from the start
    return out | (_choice(rows, two) if len(np.unique(rows["puzzle"][two])) > 1 else {})


def _read(first: np.ndarray, knowledge: np.ndarray) -> np.ndarray:
    """Does the latent read-out see a solution in each result?  Weights of the first candidate [n], and R [n]."""
    pairs = zip(np.stack([first, 1 - first], axis=-1), knowledge, strict=True)
    return np.array([analysis.read_out(weights, distance) is not None for weights, distance in pairs], float)


def _rate(success: np.ndarray, puzzles: np.ndarray) -> tuple[float, float, float]:
    """A rate with its interval: exact if no puzzle comes twice, else over puzzles."""
    if len(np.unique(puzzles)) == len(puzzles):
        return analysis.proportion(int(success.sum()), len(success))
    return analysis.mean_interval(success, BOOTSTRAP_SEED, puzzles)


def _choice(rows: dict[str, np.ndarray], mine: np.ndarray) -> dict:
    """Choice steps of model and observer, censored ones counted as the end of the run."""
    steps = {key: commitment(rows[key][mine].astype(np.float64)) for key in ("weight", "observer")}
    filled = {key: np.nan_to_num(value, nan=float(NUM_STEPS)) for key, value in steps.items()}
    difference = analysis.paired_bootstrap(filled["weight"], filled["observer"], BOOTSTRAP_SEED, rows["puzzle"][mine])
    return {
        "choice_n": int(mine.sum()),
        "choice_step_median": float(np.median(filled["weight"])),
        "observer_choice_step_median": float(np.median(filled["observer"])),
        "choice_censored": int(np.isnan(steps["weight"]).sum()),
        "model_minus_observer": difference[0],
        "model_minus_observer_ci95": list(difference[1:3]),
    }


def hardest(rows: dict[str, np.ndarray]) -> str:
    """The one-goal cell with the largest gain on the choosing puzzles, among those that end at 60% or more."""
    gains = {}
    for name, task, _ in CELLS:
        mine = (rows["cell"] == name) & (rows["seed"] >= CHOOSING_SEED)
        if task == "maze" and mine.any() and rows["final"][mine].mean() >= 0.6:
            gains[name] = float(rows["final"][mine].mean() - rows["first"][mine].mean())
    return max(gains, key=lambda name: gains[name]) if gains else ""


def tidy(rows: dict[str, np.ndarray], mine: np.ndarray, task: str, edition: str, weights_hash: str) -> list[store.Row]:
    """The rows of one task in the columns of the table: success at step 0 and at the end, R at both, choice steps."""
    grid = paper_grid(NUM_STEPS, 12.0)
    last = NUM_STEPS - 1
    out = []
    for index in np.flatnonzero(mine):
        seed, cell = int(rows["seed"][index]), str(rows["cell"][index])
        common = {
            "run": f"{edition} {cell}", "task": task, "sample": seed, "seed": seed, "num_steps": last + 1,
            "schedule": "paper", "guidance": 1.0, "weights_hash": weights_hash, "strategy": "single", "branch": "clean",
        }  # fmt: skip
        for step, success in ((0, rows["first"][index]), (None, rows["final"][index])):
            sigma = grid.sigma(0) if step == 0 else None
            knowledge = float(rows["knowledge"][index, 0 if step == 0 else last])
            out.append(store.Row(**common, step=step, sigma=sigma, metric="success", value=float(success)))
            out.append(store.Row(**common, step=step, sigma=sigma, metric="knowledge", value=knowledge))
    return out


def write(args: argparse.Namespace) -> None:
    """Write all files."""
    rows = dict(np.load(args.rows))
    rows.setdefault("puzzle", np.arange(len(rows["seed"])))  # rows of the first edition do not number their puzzles
    weights_hash = load(str(args.model)).weights_hash
    report = rows["seed"] < CHOOSING_SEED
    masks = {name: report & (rows["cell"] == name) for name, *_ in CELLS}
    enough = {name: mine for name, mine in masks.items() if len(np.unique(rows["puzzle"][mine])) > 1}
    cells = [cell_of(name, rows, mine) for name, mine in enough.items()]
    success = {cell["task"]: cell["rate"] for cell in cells if DEFAULTS[cell["task"]] == cell["cell"]}
    edition = json.loads((args.model / "card.json").read_text())["edition"]
    document = {
        "edition": edition,
        "weights_hash": weights_hash,
        "success": success,
        "hardest": hardest(rows),
        "cells": cells,
        "stock": [_failed(score) for score in json.loads(args.stock.read_text())] if args.stock else None,
        "command": "python recipes/embedded/evaluate.py prepare, then sample; python recipes/embedded/results.py",
        "device": args.device_name,
    }
    (args.summary / "RESULTS.json").write_text(json.dumps(document, indent=1) + "\n")
    (args.summary / "RESULTS.md").write_text(markdown(document))
    args.results.mkdir(parents=True, exist_ok=True)
    for task in dict.fromkeys(cell["task"] for cell in cells):
        mine = report & np.isin(rows["cell"], [name for name, own, _ in CELLS if own == task])
        table = store.build_table(tidy(rows, mine, task, edition, weights_hash))
        parquet.write_table(table, args.results / f"{edition.replace('@', '-')}-{task}.parquet", compression="zstd")


def _failed(score: dict) -> dict:
    """A cell of `stock_check.py score`: in place of each verdict the first and last seed, and the seeds of failures."""
    verdicts = {int(seed): right for seed, right in score["success"].items()}
    failed = [seed for seed, right in verdicts.items() if not right]
    kept = {name: value for name, value in score.items() if name != "success"}
    return kept | {"seeds": [min(verdicts), max(verdicts)], "failed": failed}


def markdown(document: dict) -> str:
    """The table for people."""
    lines = [
        "# What the bundled model can do",
        "",
        f"`{document['edition']}`, weights `{document['weights_hash'][:12]}`, held-out puzzles, `paper` grid, 20 Euler",
        f"steps, guidance 1, one seed a puzzle. Made on {document['device']} by `{document['command']}`.",
        "Intervals: 95%, Clopper–Pearson for rates (bootstrap over puzzles where some come twice), bootstrap over",
        "puzzles for gains. R is knowledge: the squared distance of the clean estimate to the hull of the valid",
        "solutions, as a share of the still video's. *Read*: share of results on which the latent read-out and",
        "decode-and-score agree. Cells of default dials in bold: their rate is the family's.",
        "",
        "| cell | dials | n (puzzles) | step 0 | end | 95% | gain | 95% | R at step 0 | R at the end | read |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_line(cell) for cell in document["cells"]),
        "",
        f"Hardest one-goal dial (chosen on other puzzles): `{document['hardest']}`.",
        "",
        "| two solutions | n | model's median choice step | observer's | model minus observer | 95% |",
        "|---|---|---|---|---|---|",
        *(_choice_line(cell) for cell in document["cells"] if "choice_n" in cell),
        *(_stock_lines(document["stock"]) if document["stock"] else ()),
    ]
    return "\n".join(lines) + "\n"


def _line(cell: dict) -> str:
    low, high = cell["ci95"]
    gain_low, gain_high = cell["gain_ci95"]
    return (
        f"| {_bold(cell['cell'])} | {cell['dials']} | {cell['n']} ({cell['puzzles']}) | {cell['rate_step_0']:.3f} | "
        f"{cell['rate']:.3f} | {low:.3f}–{high:.3f} | {cell['gain']:+.3f} | {gain_low:+.3f} to {gain_high:+.3f} | "
        f"{cell['knowledge'][0]:.3f} | {cell['knowledge'][-1]:.3f} | {cell['read']:.3f} |"
    )


def _choice_line(cell: dict) -> str:
    low, high = cell["model_minus_observer_ci95"]
    return (
        f"| {cell['cell']} | {cell['choice_n']} | {cell['choice_step_median']:.0f} | "
        f"{cell['observer_choice_step_median']:.0f} | {cell['model_minus_observer']:+.2f} | {low:+.2f} to {high:+.2f} |"
    )


def _stock_lines(scores: list[dict]) -> list[str]:
    return [
        "",
        "The same folder in stock diffusers, which cannot import stepscope, on first frames with up to two grey",
        "levels of noise, other held-out puzzles (`stock_check.py`; seeds of failures are in `RESULTS.json`):",
        "",
        "| cell | n | solved | 95% |",
        "|---|---|---|---|",
        *("| {cell} | {n} | {rate:.3f} | {ci95[0]:.3f}–{ci95[1]:.3f} |".format(**score) for score in scores),
    ]


def _bold(name: str) -> str:
    return f"**{name}**" if name in DEFAULTS.values() else name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--summary", type=Path, default=Path(__file__).parent, help="where RESULTS.* go")
    parser.add_argument("--stock", type=Path, help="a list of what `stock_check.py score` wrote, one object a cell")
    parser.add_argument("--device-name", default="one NVIDIA H100 80 GB")
    write(parser.parse_args())
