"""What a recording comes to: a few means over its runs, the runs themselves, and what they cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepscope.denoise import RunInfo
from stepscope.executors.recording import Recording
from stepscope.store import Identity, Result, Row

__all__ = ["Outcome", "planned_calls", "summarise"]

_FINALS = ("success", "progress", "answer", "knowledge", "commitment_step", "knowledge_step", "model_calls")
_COUNTS = ("commitment_step", "knowledge_step", "model_calls")
_MEANS = ("success", "progress", "knowledge")


@dataclass(frozen=True)
class Outcome:
    """What came of a recording.

    Attributes:
        result: what is written to `result.json`.
        runs: the finals of each run, {metric: number, text or None}, with its sample and seed.
    """

    result: Result
    runs: Sequence[dict[str, Any]]


def planned_calls(info: RunInfo, recording: Recording) -> int:
    """Model calls of all runs: one a prediction and CFG branch; Heun predicts twice a step but for the last."""
    steps = info.grid.num_steps
    predictions = 2 * steps - 1 if recording.settings.solver == "heun" else steps
    return predictions * len(info.cfg_branches) * len(recording.samples) * len(recording.seeds)


def summarise(rows: Sequence[Row], identity: Identity, planned: int, made: int) -> Outcome:
    """Means over runs; what could not be scored is counted apart."""
    runs: dict[tuple[int | None, int | None], dict[str, Any]] = {}
    for row in rows:
        if row.step is None and row.candidate is None and row.strategy == "single" and row.metric in _FINALS:
            run = runs.setdefault((row.sample, row.seed), {"sample": row.sample, "seed": row.seed})
            run[row.metric] = row.text if row.metric == "answer" else _plain(row)
    found = list(runs.values())
    metrics: dict[str, Any] = {"n": len(found), "runs": found}
    if any("success" in run for run in found):
        metrics["unscored"] = sum(run["success"] is None for run in found)
    for metric in _MEANS:
        values = [run[metric] for run in found if run.get(metric) is not None]
        if values:
            metrics[metric] = sum(values) / len(values)
    result = Result("record", str(identity.config["model"]), planned, made, naive=planned, metrics=metrics)
    return Outcome(result, found)


def _plain(row: Row) -> float | int | None:
    """A value as people write it: counts are whole."""
    return int(row.value) if row.value is not None and row.metric in _COUNTS else row.value
