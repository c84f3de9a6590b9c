"""Does every dial matter?  Rows of `evaluate.py` as one table: each dial of each family at two to five values.

    python dials.py --rows FILE.npz [--out ../../docs/dials.md]

Cells that are compared differ in one dial alone.  A dial *changes* success if the 95% intervals of two of its values do
not overlap (rates at 0 and 1 exact).  It changes R (knowledge, of the result: 0 for one who knows) if ranks say so:
Kruskal and Wallis' test (1952, JASA 47) over its values, p < 0.05 after Holm over all dials, since one unsolved puzzle
moves a mean of R more than a dial moves the others.  Puzzles are the unit.  Nothing is sampled here.  `num_frames` is
the business of the experiment `frame-count`, `scene` makes donors.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kruskal

from cells import CHOOSING_SEED
from stepscope import analysis

BOOTSTRAP_SEED = 11
FEWEST = 10  # puzzles of a value; for fewer neither the bootstrap nor the ranks' chi-square holds
LEVEL = 0.05
SMALLEST = 1e-99  # that is written of a p
DIALS: list[tuple[str, str, dict[str, str]]] = [
    ("maze", "size", {"5": "maze-5", "7": "maze-7", "9": "maze-9", "11": "maze-11"}),
    (
        "maze",
        "length, at size 11",
        {
            "5–15": "maze-11-short",
            "16–30": "maze-11-mid",
            "31–45": "maze-11-long",
            "46–60": "maze-11-longer",
            "61–90": "maze-11-longest",
        },
    ),
    ("maze-two-goals", "size", {"7": "two-7", "9": "two-9", "11": "two-11"}),
    ("find-shape", "count", {"4": "find-4", "6": "find-6"}),
    ("find-shape", "named", {"yes": "find-4", "no, the odd one": "find-odd"}),
    ("find-shape", "odd, of 6", {"1": "find-odd-one", "2": "find-odd-two"}),
    ("tic-tac-toe", "wins", {"1": "tic-tac-toe-one", "2": "tic-tac-toe-two"}),
    ("tic-tac-toe", "threat", {"no": "tic-tac-toe-safe", "yes": "tic-tac-toe-threat"}),
    ("tic-tac-toe", "side", {"named": "tic-tac-toe", "implied": "tic-tac-toe-implied"}),
    ("size-pattern", "rows", {"1": "size-pattern-1-row", "2": "size-pattern-2-rows", "3": "size-pattern"}),
    ("size-pattern", "answers", {"1": "size-pattern-one", "2": "size-pattern-two"}),
    ("rotate", "step", {"90": "rotate", "45": "rotate-45"}),
    ("rotate", "example, at step 45", {"same": "rotate-45", "other": "rotate-45-other"}),
    ("rotate", "answers", {"1": "rotate-one", "2": "rotate-half"}),
    ("occlusion", "count", {"1": "occlusion-one", "2": "occlusion"}),
    ("occlusion", "screen", {"24": "occlusion-narrow", "40": "occlusion", "48": "occlusion-wide"}),
    ("occlusion", "crossing", {"no": "occlusion", "yes": "occlusion-crossing"}),
    ("bounce", "bounces, 76–92 px", {str(count): f"bounce-{count}" for count in range(5)}),
    ("bounce", "length, 1 bounce", {"64–75": "bounce-1-short", "76–92": "bounce-1"}),
    ("bounce", "count", {"2": "bounce-2-targets", "3": "bounce", "4": "bounce-4-targets"}),
]
HEAD = """\
| family | dial | value | n | success | 95% | R of the result | 95% | p of ranks of R | changes |
|---|---|---|---|---|---|---|---|---|---|"""
Rows = dict[str, np.ndarray]
Reading = dict[str, Any]


def reading(rows: Rows, cell: str) -> Reading | None:
    """Success and R of a cell with intervals over puzzles; None with fewer than two puzzles."""
    mine = (rows["cell"] == cell) & (rows["seed"] < CHOOSING_SEED)
    puzzles, success = rows["puzzle"][mine], rows["final"][mine].astype(np.float64)
    if len(np.unique(puzzles)) < 2:
        return None
    last = rows["knowledge"][mine, -1].astype(np.float64)
    _, place = np.unique(puzzles, return_inverse=True)
    return {
        "n": len(np.unique(puzzles)),
        "success": analysis.bounded_interval(success, (0, 1), BOOTSTRAP_SEED, puzzles),
        "R": analysis.mean_interval(last, BOOTSTRAP_SEED, puzzles),
        "each": np.bincount(place, last) / np.bincount(place),
    }


def changed(readings: list[Reading], p: float) -> str:
    """What differs between values of a dial, in words; p is corrected already."""
    if min(each["n"] for each in readings) < FEWEST:
        return "too few puzzles"
    found = {"success": _apart([each["success"] for each in readings]), "R": p < LEVEL}
    return " and ".join(name for name, seen in found.items() if seen) or "nothing seen"


def lines(rows: Rows) -> Iterator[str]:
    """The table in markdown; values that were not measured are left out, and dials without two of them."""
    yield HEAD
    known = [
        (task, dial, {value: found for value, cell in values.items() if (found := reading(rows, cell))})
        for task, dial, values in DIALS
    ]
    known = [each for each in known if len(each[2]) > 1]
    ps = analysis.holm([kruskal(*(found["each"] for found in values.values())).pvalue for *_, values in known])
    for (task, dial, values), p in zip(known, ps, strict=True):
        verdict = changed(list(values.values()), p)
        for place, (value, found) in enumerate(values.items()):
            opening, closing = (
                (f"`{task}` | {dial}", f"{max(p, SMALLEST):.2g} | {verdict}") if place == 0 else (" | ", " | ")
            )
            yield f"| {opening} | {value} | {found['n']} | {_cell(found)} | {closing} |"


def _apart(intervals: list[tuple[float, float, float]]) -> bool:
    return max(low for _, low, _ in intervals) > min(high for _, _, high in intervals)


def _cell(found: Reading) -> str:
    return " | ".join("{:.3f} | {:.3f}–{:.3f}".format(*found[name]) for name in ("success", "R"))


def main() -> None:
    """Print the table, and write it where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="a page to write it to")
    args = parser.parse_args()
    table = "\n".join(lines(dict(np.load(args.rows))))
    print(table)
    if args.out is not None:
        head = (
            "# Dials\n\nWhat each dial does to the bundled model on held-out puzzles (`recipes/embedded/dials.py`).\n\n"
        )
        args.out.write_text(f"{head}{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
