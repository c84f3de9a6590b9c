"""Where everything lies in an output folder; whatever is not named here is not ours and is never touched.

manifest.json              what was run: versions, configuration, sigmas, seeds, weights, command; `volatile`
table.parquet              the tidy table
result.json                claims, model calls, metrics
report.html                the page
figure-<name>.svg, .png    figures of an experiment
run.log                    what happened when
units/<key>.safetensors    tensors, one file a unit
"""

import re
from collections.abc import Iterator
from pathlib import Path

from stepscope.store.atomic import is_temporary

__all__ = [
    "LOG",
    "MANIFEST",
    "REPORT",
    "RESULT",
    "TABLE",
    "computed",
    "figure_path",
    "foreign",
    "leftovers",
    "ours",
    "unit_path",
    "unit_paths",
]

MANIFEST = "manifest.json"
TABLE = "table.parquet"
RESULT = "result.json"
REPORT = "report.html"
LOG = "run.log"
_UNITS = "units"
_UNIT_NAME = re.compile(r"[0-9a-f]{64}\.safetensors")
_FIGURE_NAME = re.compile(r"figure-[a-z0-9-]+\.(svg|png)")


def unit_path(folder: Path, key: str) -> Path:
    """Return where the unit of this key lies."""
    return folder / _UNITS / f"{key}.safetensors"


def figure_path(folder: Path, name: str, kind: str) -> Path:
    """Return where a figure lies; kind is "svg" or "png"."""
    path = folder / f"figure-{name}.{kind}"
    assert _FIGURE_NAME.fullmatch(path.name), f"a figure was named {name!r}.{kind}"
    return path


def unit_paths(folder: Path) -> list[Path]:
    """List the units of a folder in the order of their keys."""
    return sorted(path for path in _children(folder / _UNITS) if _UNIT_NAME.fullmatch(path.name))


def leftovers(folder: Path) -> list[Path]:
    """List the unfinished writes of processes that were killed."""
    return [path for place in (folder, folder / _UNITS) for path in _children(place) if is_temporary(path)]


def ours(folder: Path) -> list[Path]:
    """List every file in the folder that this room may have written, the manifest last."""
    files = [folder / name for name in (TABLE, RESULT, REPORT, LOG, MANIFEST)]
    figures = sorted(path for path in _children(folder) if _FIGURE_NAME.fullmatch(path.name))
    return [*leftovers(folder), *unit_paths(folder), *figures, *(file for file in files if file.is_file())]


def computed(folder: Path) -> list[Path]:
    """List what a run has come to so far, besides saying what it is; empty until its first unit is done."""
    return [path for path in ours(folder) if path.name not in (MANIFEST, LOG) and not is_temporary(path)]


def foreign(folder: Path) -> list[str]:
    """Name what lies in the folder and is no unfinished write of ours."""
    return sorted(path.name for path in _children(folder) if not is_temporary(path))


def _children(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())
