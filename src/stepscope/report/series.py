"""Step curves out of the tidy table: the rows of one trace, grouped into series, values untouched.

A series is `{"metric", "who", "candidate", "cfg_branch", "points": [[step, value], …]}`.  `who` is "model" for the
strategy "single", else the name of the observer.  Rows that are about one frame, one layer or a second step are no step
curve and are left out; rows without a step are finals.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["MODEL", "Address", "Points", "Row", "curves", "finals", "group_rows", "points_of", "series", "texts"]

Row = Mapping[str, Any]
Points = Sequence[Sequence[int | float]]
"""[[step, value], …] in the order of the steps."""
Address = tuple[int | None, int | None, str]
"""Seed of the sample, seed of the noise, branch."""

MODEL = "model"

_WHO = {"single": MODEL, "observer-state": "observer-state", "observer-rollout": "observer-rollout"}
_COLUMNS = ("sample", "seed", "branch", "strategy", "step", "candidate", "cfg_branch", "metric", "value", "text")
_NOT_A_STEP_CURVE = ("other_step", "layer", "site", "frame")
_BRANCH_ORDER = ("cond", None, "uncond")


def group_rows(table: Any) -> dict[Address, list[Row]]:
    """Group the step rows and finals of a table by (sample, seed, branch), in the order of the table."""
    wanted = [name for name in (*_COLUMNS, *_NOT_A_STEP_CURVE) if name in table.column_names]
    groups: dict[Address, list[Row]] = defaultdict(list)
    for row in table.select(wanted).to_pylist():
        if all(row.get(name) is None for name in _NOT_A_STEP_CURVE):
            groups[row["sample"], row["seed"], row["branch"]].append(row)
    return groups


def series(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Collect every step curve of one trace, each in the order of its steps."""
    found: dict[tuple[str, str, int | None, str | None], list[list[int | float]]] = defaultdict(list)
    for row in rows:
        if row["step"] is not None and row["strategy"] in _WHO and _finite(row["value"]):
            key = (row["metric"], _WHO[row["strategy"]], row["candidate"], row["cfg_branch"])
            found[key].append([row["step"], row["value"]])
    return [
        {"metric": metric, "who": who, "candidate": candidate, "cfg_branch": branch, "points": sorted(points)}
        for (metric, who, candidate, branch), points in found.items()
    ]


def points_of(
    all_series: Sequence[Mapping[str, Any]], metric: str, who: str = MODEL, candidate: int | None = None
) -> Points:
    """Return the points of one curve, or [] when it was not measured; the cond branch is preferred."""
    same = [s for s in all_series if (s["metric"], s["who"], s["candidate"]) == (metric, who, candidate)]
    return min(same, key=lambda s: _BRANCH_ORDER.index(s["cfg_branch"]), default={"points": []})["points"]


def curves(all_series: Sequence[Mapping[str, Any]], final_candidate: int | None) -> dict[str, Points]:
    """Return the model's curve of every metric; `choice` is the weight of the candidate that it ended on."""
    metrics = dict.fromkeys(s["metric"] for s in all_series if s["who"] == MODEL)
    one = {m: points_of(all_series, m, candidate=final_candidate if m == "choice" else None) for m in metrics}
    return {metric: points for metric, points in one.items() if points}


def finals(rows: Iterable[Row]) -> dict[str, float | str]:
    """Return the model's values without a step: {metric: number or text}."""
    last = [row for row in rows if row["step"] is None and row["strategy"] == "single" and row["candidate"] is None]
    pairs = ((row["metric"], row["value"] if _finite(row["value"]) else row["text"]) for row in last)
    return {metric: value for metric, value in pairs if value is not None}


def texts(rows: Iterable[Row], metric: str, num_steps: int) -> list[str | None]:
    """Return the model's text of a metric at each step; None where it has none."""
    found = {row["step"]: row["text"] for row in rows if row["metric"] == metric and row["strategy"] == "single"}
    return [found.get(step) for step in range(num_steps)]


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
