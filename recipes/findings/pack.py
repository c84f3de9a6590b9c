"""A finished experiment as rows that travel: results/NAME.parquet (at most 1 MB) and results/NAME.json.

    python recipes/findings/pack.py RUN [RUN …] [--results results]        NAME is the name of the run's folder

The parquet file holds the run's table: sample, seed, step, metric, value, weights_hash.  Values keep seven digits.  If
that is more than 1 MB, rows are left out in the order of `LEFT_OUT`, those first that follow from the weights and a
seed alone; `rows` in the JSON file says what was kept.  That file holds the claims, the metrics from which the figure
is drawn, and how it was made.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stepscope import store
from stepscope.store import build_table
from stepscope.store.table import table_bytes

MOST_BYTES = 1_000_000
SCHEMA = "stepscope.packed/1"
Keep = Callable[[Mapping[str, Any]], bool]
LEFT_OUT: list[tuple[str, Keep]] = [
    ("all", lambda row: True),
    ("without the observers' curves", lambda row: row["step"] is None or row["strategy"] == "single"),
    ("without choice by candidate", lambda row: row["step"] is None or row["metric"] != "choice"),
    ("at step 0 and at the end", lambda row: row["step"] in (None, 0)),
    ("at the end", lambda row: row["step"] is None),
]


def packed(table: pa.Table) -> tuple[str, bytes]:
    """The table in at most `MOST_BYTES`, and what was kept of it in words."""
    rows, left_out = [_short(row) for row in table.to_pylist()], []
    for name, keep in LEFT_OUT:
        rows, left_out = [row for row in rows if keep(row)], [*left_out, name]
        data = table_bytes(build_table(store.Row(**row) for row in rows))
        if len(data) <= MOST_BYTES:
            return "; ".join(left_out[1:]) or left_out[0], data
    raise SystemExit(f"{len(rows)} rows are more than {MOST_BYTES:,} bytes. Give the run fewer puzzles or seeds.")


def facts(record: store.Record, kept: str) -> dict[str, Any]:
    """What the page of findings says of a run."""
    manifest, result = record.manifest, record.result
    config = manifest["config"]
    return {
        "schema": SCHEMA,
        "experiment": result["experiment"],
        "model": result["model"],
        "task": config["task"],
        "dials": config["dials"],
        "weights_hash": manifest["weights_hash"],
        "num_steps": len(manifest["sigmas"]) - 1,
        "seeds": manifest["seeds"],
        "device": config["device"],
        "versions": manifest["versions"],
        "command": manifest["command"],
        "rows": kept,
        "model_calls": result["model_calls"],
        "claims": result["claims"],
        "metrics": result["metrics"],
    }


def pack(folder: Path, results: Path) -> Path:
    """Write both files of a finished run; the parquet file's path."""
    record = store.open_record(folder)
    kept, data = packed(record.table())
    results.mkdir(parents=True, exist_ok=True)
    path = results / f"{folder.name}.parquet"
    path.write_bytes(data)
    path.with_suffix(".json").write_text(json.dumps(facts(record, kept), indent=1) + "\n", encoding="utf-8")
    return path


def _short(row: dict[str, Any]) -> dict[str, Any]:
    value = row["value"]
    return row | {"value": None if value is None else float(np.float32(value))}


def main() -> None:
    """Pack every run that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--results", type=Path, default=Path(__file__).parents[2] / "results")
    args = parser.parse_args()
    for folder in args.runs:
        path = pack(folder.resolve(), args.results)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
