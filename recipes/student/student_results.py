"""From the rows of `compare.py` to what is published: RESULTS.json, RESULTS.md and results/student.parquet.

    success_4_steps, …    mean over families of the rate at default dials
    kept                  the student's success minus its teacher's in as many steps, paired by puzzle; p by McNemar,
                          after Holm over all cells and steps

Intervals: 95%, exact for rates, for differences over puzzles and within [-1, 1].  Videos that no scorer could read are
left out and counted: `n` of a rate and of a difference is how many there were to count.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pyarrow import parquet

from bench import Columns, unscored
from cells import CELLS, DEFAULTS
from stepscope import analysis, store
from stepscope.models.lora import hash_with_loras

__all__ = ["table", "write"]

SEED = 11


def table(rows: Columns) -> None:
    """Print what rows say."""
    print(f"{'cell':20} {'n':>5}", *(f"{name:>10}" for name in rows["names"]))
    for cell in dict.fromkeys(rows["cell"].tolist()):
        mine = rows["cell"] == cell
        rates = [_rate(success, rows["puzzle"][mine]) for success in rows["success"][mine].astype(float).T]
        print(f"{cell:20} {mine.sum():5}", *(f"{_told(each):>10}" for each in rates), flush=True)
    print(f"unscored, left out: {unscored(rows) or 'none'}", flush=True)


def write(rows: Columns, args: argparse.Namespace, made: Mapping[str, Any]) -> None:
    """Write all files; `made` is what the LoRA says of itself."""
    teacher, names = str(made["teacher"]), rows["names"].tolist()
    hashes = {"teacher": teacher, "student": hash_with_loras(teacher, {"transformer": args.lora})}
    cells = [_cell(name, rows, names) for name in dict.fromkeys(rows["cell"].tolist())]
    _correct(cells)
    document = {
        "weights_hash": hashes["student"], "teacher": teacher,
        **{f"success_{count}_steps": _mean(cells, f"student-{count}") for count in _counts(names)},
        **{f"teacher_success_{count}_steps": _mean(cells, f"teacher-{count}") for count in _counts(names, "teacher-")},
        "unscored": unscored(rows), "cells": cells, "made": dict(made), "device": str(rows["device"]),
        "command": "python recipes/student/distil.py; python recipes/student/compare.py sample, then report",
    }  # fmt: skip
    args.summary.mkdir(parents=True, exist_ok=True)
    (args.summary / "RESULTS.json").write_text(json.dumps(document, indent=1) + "\n")
    (args.summary / "RESULTS.md").write_text(_markdown(document, names))
    args.results.mkdir(parents=True, exist_ok=True)
    tidy = store.build_table(list(_tidy(rows, names, hashes)))
    parquet.write_table(tidy, args.results / "student.parquet", compression="zstd")


def _counts(names: Sequence[str], who: str = "student-") -> list[int]:
    return [int(name.removeprefix(who)) for name in names if name.startswith(who)]


def _mean(cells: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Mean over families at default dials; None where none of them was measured, or one could not be scored."""
    rates = [cell["rates"][name]["rate"] for cell in cells if cell["cell"] in DEFAULTS.values()]
    return float(np.mean(rates)) if rates and None not in rates else None


def _cell(cell: str, rows: Columns, names: Sequence[str]) -> dict[str, Any]:
    """Rates of one cell, and what the student keeps of its teacher."""
    _, task, dials = next(known for known in CELLS if known[0] == cell)
    mine = rows["cell"] == cell
    success, puzzles = rows["success"][mine].astype(float), rows["puzzle"][mine]
    rates = {name: _rate(success[:, at], puzzles) for at, name in enumerate(names)}
    kept = {
        str(count): _kept(*(success[:, names.index(f"{who}-{count}")] for who in ("student", "teacher")), puzzles)
        for count in _counts(names)
    }
    return {"cell": cell, "task": task, "dials": dials, "n": int(mine.sum()), "rates": rates, "kept": kept}


def _rate(success: np.ndarray, puzzles: np.ndarray) -> dict[str, Any]:
    """Of the videos that were scored; without any, there is no rate."""
    said = ~np.isnan(success)
    success, puzzles = success[said], puzzles[said]
    if not len(success):
        return {"rate": None, "ci95": None, "n": 0}
    if len(set(puzzles.tolist())) == len(puzzles):
        rate, *ends = analysis.proportion(int(success.sum()), len(success))
    else:
        rate, *ends = analysis.mean_interval(success, SEED, puzzles, (0, 1))
    return {"rate": rate, "ci95": ends, "n": len(success)}


def _kept(student: np.ndarray, teacher: np.ndarray, puzzles: np.ndarray) -> dict[str, Any]:
    """Over the puzzles of which both videos were scored; nothing without two."""
    said = ~np.isnan(student - teacher)
    student, teacher, puzzles = student[said], teacher[said], puzzles[said]
    if len(set(puzzles.tolist())) < 2:
        return {"value": None, "ci95": None, "p": None, "n": len(student)}
    value, *ends = analysis.mean_interval(student - teacher, SEED, puzzles, (-1, 1))
    p = analysis.paired_bootstrap(student, teacher, SEED, puzzles)[3]
    return {"value": value, "ci95": ends, "p": p, "n": len(student)}


def _correct(cells: Sequence[Mapping[str, Any]]) -> None:
    entries = [entry for cell in cells for entry in cell["kept"].values() if entry["p"] is not None]
    for entry, corrected in zip(entries, analysis.holm([entry["p"] for entry in entries]), strict=True):
        entry["p_holm"] = float(corrected)


def _tidy(rows: Columns, names: Sequence[str], hashes: Mapping[str, str]) -> Any:
    for at, name in enumerate(names):
        who, _, count = name.partition("-")
        for i in range(len(rows["index"])):
            common = {
                "run": f"{who} {rows['cell'][i]}", "task": str(rows["task"][i]), "sample": int(rows["seed"][i]),
                "seed": int(rows["seed"][i]), "branch": "clean", "strategy": "single", "num_steps": int(count),
                "schedule": "paper", "guidance": 1.0, "weights_hash": hashes[who],
            }  # fmt: skip
            right = float(rows["success"][i, at])
            yield store.Row(**common, metric="success", value=None if np.isnan(right) else right)
            yield store.Row(**common, metric="knowledge", value=float(rows["knowledge"][i, at]))


def _markdown(document: Mapping[str, Any], names: Sequence[str]) -> str:
    made, counts = document["made"], _counts(names)
    lines = [
        "# What the student can do",
        "",
        f"`embedded-4step`, weights `{document['weights_hash'][:12]}`, distilled from `{document['teacher'][:12]}` in",
        f"{made['steps']:,} steps, {made['seconds']} s, from {made['pairs']:,} runs of its teacher. Held-out puzzles,",
        f"the same noise for all, `paper` grid. Made on {document['device']} by `{document['command']}`.",
        "Default dials in bold; 95% intervals; *kept* is student minus teacher in as many steps, `*`: p < 0.01 after",
        f"Holm. Videos that could not be scored, left out: {document['unscored'] or 'none'}.",
        "",
        "| cell | n | " + " | ".join(names) + " | " + " | ".join(f"kept, {count}" for count in counts) + " |",
        "|---" * (2 + len(names) + len(counts)) + "|",
        *(_line(cell, names) for cell in document["cells"]),
    ]
    return "\n".join(lines) + "\n"


def _line(cell: Mapping[str, Any], names: Sequence[str]) -> str:
    name = f"**{cell['cell']}**" if cell["cell"] in DEFAULTS.values() else cell["cell"]
    rates = [_told(cell["rates"][each]) for each in names]
    kept = [
        f"{entry['value']:+.3f} [{entry['ci95'][0]:+.3f}, {entry['ci95'][1]:+.3f}]{'*' * (entry['p_holm'] < 0.01)}"
        if entry["value"] is not None
        else ""
        for entry in cell["kept"].values()
    ]
    return "| " + " | ".join([name, str(cell["n"]), *rates, *kept]) + " |"


def _told(rate: Mapping[str, Any]) -> str:
    return "unscored" if rate["rate"] is None else f"{rate['rate']:.3f}"
