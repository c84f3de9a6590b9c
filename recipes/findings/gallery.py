"""The gallery page of several `commitment` runs: chooses the cases by rule, records them, and writes one file.

    python recipes/findings/gallery.py RUN [RUN …] --work DIR --out gallery.html [--device cuda]

A case is recorded by `stepscope record` with the run's own model, puzzle, seed and settings: N model calls and N + 1
decodings each, two cases a run; what lies in the work folder already is not recorded again.  The page is refused if a
recording tells another R than the run.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from stepscope import store
from stepscope.report import gallery_bytes, gallery_data
from stepscope.report.gallery import Case, choose


def recorded(record: store.Record, case: Case, work: Path, device: str | None) -> store.Record:
    """The recording of a case, made if it is not there."""
    config = record.manifest["config"]
    folder = work / f"{record.folder.name}-{case.sample}-{case.seed}"
    words = ["record", config["model"], "--task", config["task"], "--sample", case.sample, "--seed", case.seed]
    words += ["--device", device or config["device"], "--out", folder, *settings(record)]
    words += [word for dial, value in config["dials"].items() for word in ("--dial", f"{dial}={json.dumps(value)}")]
    subprocess.run([sys.executable, "-m", "stepscope", *map(str, words)], check=True)
    return store.open_record(folder)


def settings(record: store.Record) -> list[Any]:
    """How the run denoised, in words."""
    config = record.manifest["config"]
    words = ["--steps", len(record.manifest["sigmas"]) - 1]
    for name in ("guidance", "solver", "schedule", "shift"):
        if config.get(name) is not None:
            words += [f"--{name}", config[name]]
    return words


def main() -> None:
    """Choose, record, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="output folders of `stepscope run commitment`")
    parser.add_argument("--work", type=Path, required=True, help="where recordings go")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", help="that of the run unless given")
    parser.add_argument("--title", default="What a video model believes, step by step")
    args = parser.parse_args()
    records = [store.open_record(folder) for folder in args.runs]
    exhibits = [
        (record, {case.kind: recorded(record, case, args.work, args.device) for case in choose(record)})
        for record in records
    ]
    page = gallery_bytes(gallery_data(exhibits, args.title))
    args.out.write_bytes(page)
    print(f"{args.out}: {len(page):,} bytes")


if __name__ == "__main__":
    main()
