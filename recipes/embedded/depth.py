"""Knowledge along the steps against depth: one-goal mazes by size and length of the way, models by their layers.

    python assemble.py --edition embedded@2-4-layers --layers 4 --weights four-layers/averaged --codec VAE --out SHALLOW
    python results.py  --rows OUT/rows.npz --model SHALLOW --results ../../results --summary elsewhere
    python depth.py    --results ../../results --editions embedded@2 embedded@2-4-layers --out DEPTH.md

The gain is success of the clean estimate at the end minus at step 0, paired by puzzle.  A model that could do all of
the work inside one forward would gain nothing; where depth is what it lacks, fewer layers gain more.  Rows come from
`results/`; both models are asked the same puzzles as far as both were.  Beside the table, `DEPTH.svg` shows each
cell's way from step 0 to the end.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pyarrow import parquet

from cells import CELLS
from stepscope import analysis
from stepscope.figures.canvas import empty

BOOTSTRAP_SEED = 11
HEAD = """\
| cell | size | way | model | puzzles | step 0 | end | gain | 95% | R at step 0 | R at the end |
|---|---|---|---|---|---|---|---|---|---|---|"""
MAZES = {cell: dials for cell, task, dials in CELLS if task == "maze"}
Columns = dict[str, np.ndarray]


def columns_of(results: Path, edition: str) -> Columns:
    """Columns of the mazes' rows: run, sample, metric, first (is it of step 0), value."""
    table = parquet.read_table(results / f"{edition.replace('@', '-')}-maze.parquet").to_pydict()
    return {
        "run": np.array(table["run"]), "sample": np.array(table["sample"]), "metric": np.array(table["metric"]),
        "first": np.array([step == 0 for step in table["step"]]), "value": np.array(table["value"], float),
    }  # fmt: skip


def values(columns: Columns, run: str, metric: str, first: bool) -> np.ndarray:
    """One metric of a cell's puzzles, in the order of their numbers."""
    mine = (columns["run"] == run) & (columns["metric"] == metric) & (columns["first"] == first)
    return columns["value"][mine][np.argsort(columns["sample"][mine], kind="stable")]


def lines(tables: dict[str, Columns]) -> Iterator[str]:
    """The table in markdown, cell by cell, models beside each other."""
    yield HEAD
    for cell, dials in MAZES.items():
        for edition, columns in tables.items():
            if (columns["run"] == f"{edition} {cell}").any():
                way = "any" if "length" not in dials else "{} to {}".format(*dials["length"])
                told = _numbers(columns, f"{edition} {cell}")
                yield f"| {cell} | {dials['size']} | {way} | {edition} | {told} |"


def _numbers(columns: Columns, run: str) -> str:
    start, end = (values(columns, run, "success", first) for first in (True, False))
    gain, low, high, _ = analysis.paired_bootstrap(end, start, BOOTSTRAP_SEED)
    before, after = (values(columns, run, "knowledge", first).mean() for first in (True, False))
    rates = f"{len(end)} | {start.mean():.3f} | {end.mean():.3f} | {gain:+.3f} | {low:+.3f} to {high:+.3f}"
    return f"{rates} | {before:.3f} | {after:.3f}"


def drawn(tables: dict[str, Columns]) -> Any:
    """Every cell's success at step 0 (open) and at the end (filled), ordered by the first model's at step 0."""
    figure = empty(9.0, 4.2)
    panel = figure.subplots()
    first, *_ = tables
    rates = {
        edition: {cell: _ends(columns, f"{edition} {cell}") for cell in MAZES} for edition, columns in tables.items()
    }
    order = sorted(MAZES, key=lambda cell: -rates[first][cell][0])
    for number, edition in enumerate(tables):
        starts, ends = np.array([rates[edition][cell] for cell in order]).T
        at = np.arange(len(order)) + 0.26 * (number - (len(tables) - 1) / 2)
        panel.vlines(at, starts, ends, color=f"C{number}", linewidth=3, alpha=0.35)
        panel.plot(at, starts, "o", color=f"C{number}", fillstyle="none", label=f"{edition}, step 0")
        panel.plot(at, ends, "o", color=f"C{number}", label=f"{edition}, end")
    panel.set_xticks(range(len(order)), [cell.removeprefix("maze-") for cell in order], rotation=30, ha="right")
    panel.set(xlabel="one-goal mazes: size, and length of the way", ylabel="success", ylim=(-0.03, 1.03))
    panel.grid(axis="y", alpha=0.25)
    panel.legend(loc="upper right", fontsize="small")
    return figure


def _ends(columns: Columns, run: str) -> tuple[float, float]:
    start, end = (values(columns, run, "success", first) for first in (True, False))
    return float(start.mean()), float(end.mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--editions", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    found = {edition: columns_of(args.results, edition) for edition in args.editions}
    text = "\n".join(lines(found))
    print(text)
    args.out.write_text(
        f"# Size, length of the way, depth of the model\n\n![]({args.out.stem}.svg)\n\n{text}\n", "utf-8"
    )
    drawn(found).savefig(args.out.with_suffix(".svg"))
