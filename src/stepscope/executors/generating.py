"""Answer one puzzle by a strategy, and keep the answer with what it cost.

    unit = the answer's trace, with the previews of what was looked at as record `looks`; the result says who chose

The answer is scored where there is a task, after everything was chosen.  The same command reads what it made before.
Cost: the strategy's model calls (see `scope.generate`) and one decoding.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from stepscope.executors.local import CHUNK, Job
from stepscope.executors.recording import sample_digest
from stepscope.executors.rows import score_rows
from stepscope.scope import Generation, generate, generation_calls, look_previews, stored
from stepscope.store import Result, Row, StoredTrace, Unit, Writer, build_table, canonical_json, trace_to_unit, unit_key

__all__ = ["Answer", "answer"]


@dataclass(frozen=True)
class Answer:
    """What came of it.

    Attributes:
        result: What is written to `result.json`; its metrics hold seed, verifier, looks and the verdict.
        rows: The rows of the table.
    """

    result: Result
    rows: tuple[Row, ...]


def answer(job: Job, strategy: Mapping[str, Any], writer: Writer) -> Answer:
    """Answer the puzzle of a job, or read the answer that the folder holds; then write table and result.

    Args:
        job: One sample and the seeds, prepared.
        strategy: Further arguments of `generate`.
        writer: The open output folder.
    """
    (sample,) = job.recording.samples
    asked = {**job.recording.settings.options(), **strategy, "seeds": job.recording.seeds}
    planned = generation_calls(job.model, sample, task=job.recording.task, **asked)
    key = _key(job, sample)
    if writer.has_unit(key):
        unit = writer.read_unit(key)
    else:
        unit = _unit(job, generate(job.model, sample, task=job.recording.task, **asked), key)
        writer.write_unit(unit)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        writer.log(f"{now} unit {key}: {unit.facts['spent']} model calls")
    made = Answer(_result(job, unit, planned), tuple(_rows(job, unit)))
    writer.write_table(build_table(made.rows))
    writer.write_result(made.result)
    return made


def _key(job: Job, sample: Any) -> str:
    described = {**job.identity.config, "sample": sample_digest(sample), "kind": "generation"}
    return unit_key(described, job.model.weights_hash, threads=torch.get_num_threads(), chunk=CHUNK)


def _unit(job: Job, made: Generation, key: str) -> Unit:
    kept = stored(made.trace, [None], task=job.recording.task)
    if made.looks:
        kept = replace(kept, records={**kept.records, "looks": np.stack(look_previews(made, job.model))})
    unit = trace_to_unit(kept, key, job.model.weights_hash)
    looks = [{name: value for name, value in vars(look).items() if name != "estimate"} for look in made.looks]
    facts = {"strategy": made.strategy, "verifier": made.verifier, "spent": made.model_calls, "looks": looks}
    whole = {**unit.facts, **facts, "cells": list(_cells(kept, made.model_calls))}
    # Through JSON and back, so that what was just computed is what the same command reads later.
    return replace(unit, facts=json.loads(canonical_json(whole)))


def _cells(kept: StoredTrace, spent: int) -> Iterator[dict[str, Any]]:
    yield {"metric": "model_calls", "value": float(spent)}
    yield from score_rows(kept)


def _result(job: Job, unit: Unit, planned: int) -> Result:
    facts: Mapping[str, Any] = unit.facts
    score = facts["score"] or {}
    metrics = {name: facts[name] for name in ("strategy", "verifier", "seed", "looks")}
    metrics |= {name: score.get(name) for name in ("success", "progress", "answer", "explanation")}
    naive = int(facts["model_calls"]) * len(job.recording.seeds)
    return Result("generate", job.model.name, planned, int(facts["spent"]), naive, metrics=metrics)


def _rows(job: Job, unit: Unit) -> Iterator[Row]:
    facts: Mapping[str, Any] = unit.facts
    shared = {
        "run": job.identity.run,
        "task": facts["sample"]["task"],
        "sample": facts["sample"]["seed"],
        "seed": facts["seed"],
        "branch": facts["branch"],
        "strategy": facts["strategy"],
        "num_steps": job.info.grid.num_steps,
        "schedule": job.info.grid.name,
        "guidance": float(job.identity.config["guidance"]),  # type: ignore[arg-type]
        "weights_hash": unit.weights_hash,
    }
    yield from (Row(**cells, **shared) for cells in facts["cells"])
