"""The data of an experiment's page: one JSON value, complete, independent of any view.

{
  "schema": "stepscope.findings/1",
  "title": str, "experiment": str, "model": str,
  "headline": str, "detail": str,           sentences made from the numbers below
  "claims": [{"id", "statement", "metric", "delta", "value", "ci95", "n", "control", "control_passed", "verdict",
              "why"}],
  "curves": {metric: [[step, value], …]},   mean of the clean runs at each step, the model's own
  "metrics": {…}, "model_calls": {"planned", "made", "naive"},       as in result.json
  "figures": [{"name": str, "svg": data: URI}],
  "provenance": [[label, text], …]
}
"""

import base64
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from stepscope.analysis import claims
from stepscope.report.provenance import provenance
from stepscope.store import Record

__all__ = ["SCHEMA", "VERDICTS", "findings_data"]

SCHEMA = "stepscope.findings/1"
VERDICTS = ("supported", "contradicted", "inconclusive", "not-tested")


def findings_data(record: Record, figures: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    """Fold the record of an experiment into the data of its page.

    Args:
        record: What `stepscope.store.open_record` returns.
        figures: SVG files by name.

    Returns:
        JSON-ready data, see the module's docstring.
    """
    result = record.result
    told = [_claim(claim) for claim in result["claims"]]
    return {
        "schema": SCHEMA,
        "title": f"stepscope · {result['experiment']}",
        "experiment": result["experiment"],
        "model": result["model"],
        "headline": _headline(told),
        "detail": _detail(record),
        "claims": told,
        "curves": _curves(record.table()),
        "metrics": result["metrics"],
        "model_calls": result["model_calls"],
        "figures": [{"name": name, "svg": _uri(svg)} for name, svg in (figures or {}).items()],
        "provenance": provenance(record.manifest, result),
    }


def _claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    registered = claims.get(claim["id"])
    return {**claim, "metric": registered.metric, "delta": registered.delta}


def _headline(told: list[dict[str, Any]]) -> str:
    counts = Counter(claim["verdict"] for claim in told)
    parts = [f"{counts[verdict]} {verdict.replace('-', ' ')}" for verdict in VERDICTS if counts[verdict]]
    if not parts:
        return "Numbers without a claim."
    return f"Of {len(told)} claim{'s' * (len(told) > 1)}: {', '.join(parts)}."


def _detail(record: Record) -> str:
    config, calls = record.manifest.get("config", {}), record.result["model_calls"]
    counts = (
        (len(config.get("samples", ())), "puzzle"),
        (len(record.manifest.get("seeds", ())), "seed"),
        (len(record.manifest.get("sigmas", ())) - 1, "step"),
    )
    plan = ", ".join(f"{count} {name}{'s' * (count != 1)}" for count, name in counts)
    saved = "" if calls["naive"] == calls["made"] else f" instead of {calls['naive']:,}, as branches share their start"
    return f"{record.result['model']} on {config.get('task')}: {plan}; {calls['made']:,} model calls{saved}."


def _curves(table: pa.Table) -> dict[str, list[list[float | int]]]:
    """Mean over runs of whatever the model's clean runs have one value of at a step."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    apart = ("other_step", "layer", "frame", "candidate")
    for row in table.to_pylist():
        plain = row["strategy"] == "single" and row["branch"] == "clean" and all(row[name] is None for name in apart)
        if plain and row["step"] is not None and row["value"] is not None:
            found[row["metric"]][row["step"]].append(row["value"])
    return {
        metric: [[step, sum(values) / len(values)] for step, values in sorted(steps.items())]
        for metric, steps in sorted(found.items())
    }


def _uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
