"""Measure every puzzle of a plan: denoise all its seeds, read, keep the numbers; one puzzle after the other.

    unit = one sample x all seeds of the plan      numbers alone: the tensors are gone once they have been read

What seeds share is measured on all of them at once, so a puzzle's seeds make one unit.  Every puzzle is read beside a
*foreign* one, the next in turn that has several solutions, as a control; its content enters the unit's key.  A unit is
written whole or not at all, so a run that was stopped resumes to the same bytes.  Nothing is decoded.  Cost of a unit:
N predictions a seed, and one encoding of each solution of two puzzles.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import torch

from stepscope.executors.local import CHUNK, Job
from stepscope.executors.recording import sample_digest
from stepscope.executors.watchers import Ticker
from stepscope.scope import Model, Solutions, Trace, encode_solutions
from stepscope.store import Row, Unit, Writer, canonical_json, unit_key

__all__ = ["Finding", "Measure", "Measured", "measure_puzzles"]

_KIND = "measures"


@dataclass(frozen=True)
class Measured:
    """What an experiment measured on one puzzle; JSON throughout.

    Attributes:
        puzzle: Numbers of the puzzle, over all its seeds.
        runs: Numbers of each run, in the order of the seeds.
        cells: Table cells of each run, without the columns that all cells of a run share.
    """

    puzzle: Mapping[str, Any]
    runs: Sequence[Mapping[str, Any]]
    cells: Sequence[Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Finding:
    """One measured puzzle, computed or found stored.

    Attributes:
        puzzle: Numbers of the puzzle, over all its seeds.
        runs: Numbers of each run, in the order of the seeds.
        rows: All of it as rows of the table.
        model_calls: Model calls that its runs took.
    """

    puzzle: Mapping[str, Any]
    runs: Sequence[Mapping[str, Any]]
    rows: Sequence[Row]
    model_calls: int


Measure = Callable[[Sequence[Trace], Solutions, Solutions | None], Measured]
"""From the runs of a puzzle, its solutions, and a foreign puzzle's (None if there is no other) to numbers."""


def measure_puzzles(
    job: Job, measure: Measure, writer: Writer | None = None, tick: Callable[[], object] = lambda: None
) -> list[Finding]:
    """Measure the puzzles that the folder lacks, and read the others.

    Args:
        job: What to run, prepared.
        measure: What to make of a puzzle's runs.
        writer: The open output folder; None keeps nothing.
        tick: Called once a step.
    """
    samples = job.recording.samples
    encoded = lru_cache(maxsize=3)(lambda index: encode_solutions(job.model, samples[index]))
    findings = []
    for index, sample in enumerate(samples):
        other = _foreign(samples, index)
        key = _key(job, sample, None if other is None else samples[other])
        if writer is not None and writer.has_unit(key):
            unit = writer.read_unit(key)
        else:
            traces = list(_traces(job, sample, tick))
            foreign = None if other is None else _fitting(encoded(other), encoded(index))
            unit = _unit(key, job.model, traces, measure(traces, encoded(index), foreign))
            if writer is not None:
                writer.write_unit(unit)
                now = datetime.now(UTC).isoformat(timespec="seconds")
                writer.log(f"{now} unit {key}: sample {index}, {unit.facts['model_calls']} model calls")
        findings.append(_finding(job, sample, unit))
    return findings


def _foreign(samples: Sequence[Any], index: int) -> int | None:
    """The next sample in turn that has several solutions."""
    turn = [(index + ahead) % len(samples) for ahead in range(1, len(samples))]
    return next((other for other in turn if len(getattr(samples[other], "solutions", ())) > 1), None)


def _fitting(foreign: Solutions, own: Solutions) -> Solutions | None:
    """A puzzle of another size cannot be laid over this one."""
    return foreign if foreign.still.shape == own.still.shape else None


def _key(job: Job, sample: Any, foreign: Any) -> str:
    own = {"samples", "seeds", "sample_seeds"}  # a unit is known by its own sample, and by all the seeds
    unit = {name: value for name, value in job.identity.config.items() if name not in own}
    unit |= {
        "kind": _KIND,
        "sample": sample_digest(sample),
        "foreign": None if foreign is None else sample_digest(foreign),
        "seeds": list(job.recording.seeds),
    }
    return unit_key(unit, job.model.weights_hash, threads=torch.get_num_threads(), chunk=CHUNK)


def _traces(job: Job, sample: Any, tick: Callable[[], object]) -> Iterator[Trace]:
    options = job.recording.settings.options()
    for seed in job.recording.seeds:
        trace = job.model.denoise(sample, seed=seed, recorders=[Ticker(tick)], **options)
        yield replace(trace, records={})


def _unit(key: str, model: Model, traces: Sequence[Trace], measured: Measured) -> Unit:
    calls = [trace.model_calls for trace in traces]
    cells = [
        [{"metric": "model_calls", "value": float(made)}, *run] for made, run in zip(calls, measured.cells, strict=True)
    ]
    facts = {"puzzle": measured.puzzle, "runs": measured.runs, "cells": cells, "model_calls": sum(calls)}
    # Through JSON and back, so that what was just computed is what a resumed run reads.
    return Unit(key, model.weights_hash, _KIND, json.loads(canonical_json(facts)), {})


def _finding(job: Job, sample: Any, unit: Unit) -> Finding:
    facts: Any = unit.facts
    shared = {
        "run": job.identity.run,
        "task": getattr(sample, "task", None),
        "sample": getattr(sample, "seed", None),
        "num_steps": job.info.grid.num_steps,
        "schedule": job.info.grid.name,
        "guidance": float(job.identity.config["guidance"]),  # type: ignore[arg-type]
        "weights_hash": unit.weights_hash,
    }
    seeds = zip(job.recording.seeds, facts["cells"], strict=True)
    rows = [Row(**cell, **shared, seed=seed) for seed, cells in seeds for cell in cells]
    return Finding(facts["puzzle"], facts["runs"], rows, facts["model_calls"])
