"""Measure every puzzle of a plan: grow its tree of branches for all seeds, read, keep the numbers.

    unit = one sample x all seeds and branches      the traces are gone once they have been read

Where a model call has one row, puzzles come one after the other; where it has several, the trees of as many as
`scope.forest` allows grow side by side, and are then read one by one.  A run that is stopped loses at most these.

What seeds share is measured on all of them at once, so a puzzle's seeds make one unit.  The content of the foreign
puzzle enters the unit's key.  A unit is written whole or not at all, so a run that was stopped resumes to the same
bytes.  Nothing is decoded here.  Cost of a unit: what its plan says, and one encoding of each solution of two puzzles.
A puzzle is planned once, before any is run; of puzzles with the same prompt and size the inputs of one are encoded for
that, since the others' can be refused no more.
"""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import torch

from stepscope.denoise import PairedRecorder, Recorder
from stepscope.executors.local import Job
from stepscope.executors.puzzle import Finding, Measured, Puzzle
from stepscope.executors.recording import sample_digest
from stepscope.executors.watchers import Ticker
from stepscope.scope import Branch, Grown, Plan, Solutions, Trace, encode_solutions, grown_together, plan
from stepscope.store import Row, Unit, Writer, canonical_json, unit_key

__all__ = ["Procedure", "measure_puzzles", "plans_of"]

_KIND = "measures"


@runtime_checkable
class Procedure(Protocol):
    """How a puzzle is measured."""

    @property
    def prepare_runs(self) -> int:
        """How many runs without edits `prepare` takes."""
        ...

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """What is done otherwise than in the clean run; nothing, if the clean run is all that is read."""
        ...

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """Fresh folds over every branch, given what `prepare` gave; None where nothing is prepared (yet)."""
        ...

    def paired(self) -> Sequence[PairedRecorder]:
        """Fresh folds over the clean run and every branch."""
        ...

    def prepare(self, job: Job) -> Any:
        """What must be known of the model before a puzzle can be measured; a function of the job alone."""
        ...

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        ...


def plans_of(job: Job, procedure: Procedure) -> list[Plan]:
    """The tree of every puzzle of a job, in their order.

    Raises:
        UserError: If one of them cannot be run as asked.
    """
    samples, plans = job.recording.samples, []
    encoded = {_kind(samples[0])}  # by `prepare`
    for index, sample in enumerate(samples):
        plans.append(_plan(job, procedure, index, encode=_kind(sample) not in encoded))
        encoded.add(_kind(sample))
    return plans


def _plan(job: Job, procedure: Procedure, index: int, encode: bool) -> Plan:
    samples, settings = job.recording.samples, job.recording.settings
    other = _foreign(samples, index)
    return plan(
        job.model,
        [samples[index]],
        procedure.branches(samples[index], None if other is None else samples[other], settings.num_steps),
        job.recording.seeds,
        recorders=procedure.recorders(None),
        paired=procedure.paired(),
        chunk=job.recording.chunk,
        encode=encode,
        **settings.options(),
    )


def measure_puzzles(
    job: Job,
    procedure: Procedure,
    plans: Sequence[Plan],
    writer: Writer | None = None,
    tick: Callable[[], object] = lambda: None,
) -> list[Finding]:
    """Measure the puzzles that the folder lacks, and read the others.

    Args:
        job: What to run, prepared.
        procedure: How a puzzle is measured.
        plans: The trees of the puzzles, see `plans_of`.
        writer: The open output folder; None keeps nothing.
        tick: Called whenever a node of a tree has taken a step.
    """
    bench, samples = _Bench(job, procedure, plans, tick), job.recording.samples
    keys = [bench.key(index) for index in range(len(samples))]
    there = {} if writer is None else {key: writer.read_unit(key) for key in keys if writer.has_unit(key)}
    for index, unit in bench.units([index for index, key in enumerate(keys) if key not in there]):
        there[unit.key] = unit
        if writer is not None:
            writer.write_unit(unit)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            writer.log(f"{now} unit {unit.key}: sample {index}, {unit.facts['model_calls']} model calls")
    return [_finding(job, sample, there[key]) for sample, key in zip(samples, keys, strict=True)]


class _Bench:
    """A job on the bench; what puzzles share is made once, when it is first wanted."""

    def __init__(self, job: Job, procedure: Procedure, plans: Sequence[Plan], tick: Callable[[], object]) -> None:
        self.job, self.procedure, self.plans, self.tick = job, procedure, plans, tick
        self.samples = job.recording.samples
        self.digests = [sample_digest(sample) for sample in self.samples]
        self.solutions = lru_cache(maxsize=3)(lambda index: encode_solutions(job.model, self.samples[index]))

    def key(self, index: int) -> str:
        """The name of a unit: its own sample, all the seeds, and all samples where something is prepared on them."""
        own = {"samples", "seeds", "sample_seeds", "chunk"}
        unit = {name: value for name, value in self.job.identity.config.items() if name not in own}
        other = _foreign(self.samples, index)
        unit |= {
            "kind": _KIND,
            "sample": self.digests[index],
            "foreign": None if other is None else self.digests[other],
            "seeds": list(self.job.recording.seeds),
        }
        if self.procedure.prepare_runs:
            unit["prepared"] = self.digests
        chunk = self.job.recording.chunk
        return unit_key(unit, self.job.model.weights_hash, threads=torch.get_num_threads(), chunk=chunk)

    def units(self, indices: Sequence[int]) -> Iterator[tuple[int, Unit]]:
        """Run and read puzzles; those of one forest come together."""
        if not indices:
            return
        prepared = self.procedure.prepare(self.job)
        size = self.plans[indices[0]].at_once()
        for first in range(0, len(indices), size):
            together = indices[first : first + size]
            parts = [(self.plan(index, prepared), self.samples[index]) for index in together]
            for index, grown in zip(together, grown_together(parts), strict=True):
                yield index, self.unit(index, grown, prepared)

    def plan(self, index: int, prepared: Any) -> Plan:
        """The tree of a puzzle, with the recorders that suit what was prepared."""
        return replace(self.plans[index], recorders=(*self.procedure.recorders(prepared), Ticker(self.tick)))

    def unit(self, index: int, grown: Grown, prepared: Any) -> Unit:
        """Read one puzzle."""
        traces, calls = grown
        puzzle = self.puzzle(index, traces, prepared)
        measured = self.procedure.measure(puzzle)
        cells = [
            [*_calls(runs), *kept] for runs, kept in zip(puzzle.runs, measured.cells, strict=True)
        ]  # fmt: skip
        calls += measured.further_calls
        facts = {"puzzle": measured.puzzle, "runs": measured.runs, "cells": cells, "model_calls": calls}
        # Through JSON and back, so that what was just computed is what a resumed run reads.
        plain = json.loads(canonical_json(facts))
        return Unit(self.key(index), self.job.model.weights_hash, _KIND, plain, measured.tensors)

    def puzzle(self, index: int, traces: Mapping[tuple[int, str], Trace], prepared: Any) -> Puzzle:
        """A puzzle with its runs."""
        other, seeds = _foreign(self.samples, index), self.job.recording.seeds
        runs: list[dict[str, Trace]] = [{} for _ in seeds]
        for (seed, name), trace in traces.items():
            kept = {key: value for key, value in trace.records.items() if key != Ticker.name}
            runs[seeds.index(seed)][name] = replace(trace, records=kept)
        own = self.solutions(index)
        foreign = None if other is None else _fitting(self.solutions(other), own)
        return Puzzle(
            self.job.model,
            self.job.recording.task,
            self.samples[index],
            own,
            None if other is None else self.samples[other],
            foreign,
            seeds,
            runs,
            prepared,
        )


def _kind(sample: Any) -> Hashable:
    """Samples of one kind differ in pixels alone."""
    return sample.prompt, sample.num_frames, sample.first_frame.shape


def _calls(runs: Mapping[str, Trace]) -> list[dict[str, Any]]:
    """What each branch would have cost by itself."""
    return [
        {"metric": "model_calls", "branch": name, "value": float(trace.model_calls)} for name, trace in runs.items()
    ]


def _foreign(samples: Sequence[Any], index: int) -> int | None:
    """The next sample in turn that has several solutions."""
    turn = [(index + ahead) % len(samples) for ahead in range(1, len(samples))]
    return next((other for other in turn if len(getattr(samples[other], "solutions", ())) > 1), None)


def _fitting(foreign: Solutions, own: Solutions) -> Solutions | None:
    """A puzzle of another size cannot be laid over this one."""
    return foreign if foreign.still.shape == own.still.shape else None


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
    return Finding(facts["puzzle"], facts["runs"], rows, facts["model_calls"], unit.tensors)
