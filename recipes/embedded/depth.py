"""Knowledge along the steps against depth: one-goal mazes by size and length of the way, models by their layers.

    python assemble.py --edition embedded@2-4-layers --layers 4 --codec CODEC --weights OUT/averaged --out SHALLOW
    python results.py  --rows OUT/rows.npz --model SHALLOW --results ../../results --summary OUT
    python depth.py    --results ../../results --editions embedded@2 embedded@2-4-layers --out DEPTH.md

The gain is success of the clean estimate at the end minus at step 0, paired by puzzle.  A model that could do all of
the work inside one forward would gain nothing; where depth is what it lacks, fewer layers gain more.  Rows come from
`results/`; both models are asked the same puzzles as far as both were.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pyarrow import parquet

from cells import CELLS
from stepscope import analysis

BOOTSTRAP_SEED = 11
HEAD = """\
| cell | dials | model | puzzles | step 0 | end | gain | 95% | R at step 0 | R at the end |
|---|---|---|---|---|---|---|---|---|---|"""
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


def lines(results: Path, editions: list[str]) -> Iterator[str]:
    """The table in markdown, cell by cell, models beside each other."""
    yield HEAD
    tables = {edition: columns_of(results, edition) for edition in editions}
    for cell, task, dials in CELLS:
        for edition, columns in tables.items():
            run = f"{edition} {cell}"
            if task == "maze" and (columns["run"] == run).any():
                yield f"| {cell} | {dials} | {edition} | {_numbers(columns, run)} |"


def _numbers(columns: Columns, run: str) -> str:
    start, end = (values(columns, run, "success", first) for first in (True, False))
    gain, low, high, _ = analysis.paired_bootstrap(end, start, BOOTSTRAP_SEED)
    before, after = (values(columns, run, "knowledge", first).mean() for first in (True, False))
    rates = f"{len(end)} | {start.mean():.3f} | {end.mean():.3f} | {gain:+.3f} | {low:+.3f} to {high:+.3f}"
    return f"{rates} | {before:.3f} | {after:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--editions", nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    text = "\n".join(lines(args.results, args.editions))
    print(text)
    args.out.write_text(f"# Size, length of the way, depth of the model\n\n{text}\n", encoding="utf-8")
