"""Carry out a recording in this process: load, denoise, read, score, keep; one unit after the other.

    prepare(recording, model)  ->  Job        refuses whatever can be refused before anything is paid for or written
    carry_out(job, writer)     ->  Outcome    computes the units that the folder lacks, then table and result

A unit is written whole or not at all and carries its own rows, so a run that was stopped resumes to the same bytes, and
the same run twice computes once.  On the CPU the model is called with one sample at a time.  Cost of a unit: N
predictions, N decodings, and one encoding of each right answer.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import torch

from stepscope.denoise import RunInfo
from stepscope.executors.recording import Recording, sample_digest
from stepscope.executors.rows import reading_rows, score_rows
from stepscope.executors.summary import Outcome, planned_calls, summarise
from stepscope.executors.watchers import Ticker, rehearse
from stepscope.scope import Model, Solutions, Trace, encode_solutions, read, stored
from stepscope.store import Identity, Row, StoredTrace, Unit, Writer, build_table, trace_to_unit, unit_key

__all__ = ["Job", "carry_out", "prepare"]

CHUNK = 1  # samples in one model call


@dataclass(frozen=True, eq=False)
class Job:
    """A recording that can begin.

    Attributes:
        recording: what is asked.
        model: the loaded model.
        info: grid and CFG branches, as the model will run.
        identity: whose the output folder will be.
    """

    recording: Recording
    model: Model
    info: RunInfo
    identity: Identity

    @property
    def sigmas(self) -> list[float]:
        """Noise levels [N+1]."""
        return self.info.grid.sigmas.tolist()

    @property
    def num_ticks(self) -> int:
        """How often `carry_out` will call `tick`: once a step, once a decoding."""
        return len(self.recording.samples) * len(self.recording.seeds) * 2 * self.info.grid.num_steps

    def units(self) -> Iterator[tuple[Any, int, str]]:
        """(sample, seed, key) of every unit, the seeds of a sample together."""
        shared = {"samples", "seeds", *self.recording.asked}  # a unit is known by its own sample and seed
        described = {name: value for name, value in self.identity.config.items() if name not in shared}
        for sample in self.recording.samples:
            for seed in self.recording.seeds:
                unit = {**described, "sample": sample_digest(sample), "seed": seed, "branch": "clean"}
                yield sample, seed, self._key(unit)

    def _key(self, unit: Mapping[str, object]) -> str:
        return unit_key(unit, self.model.weights_hash, threads=torch.get_num_threads(), chunk=CHUNK)


def prepare(recording: Recording, model: Model) -> Job:
    """Everything that a run needs, and no step taken yet.  Cost: prompt and first frame of one sample are encoded.

    Args:
        recording: what is asked.
        model: what `recording.model.load()` gave.

    Raises:
        UserError: if a sample, a setting or a recorder cannot be used with this model.
    """
    info, *_ = [rehearse(model, sample, recording) for sample in recording.samples]
    config = _config(recording, model, info)
    # Some refusals (of guidance, of a prompt) come only when inputs are encoded: one of them is, and thrown away.
    with torch.no_grad():
        model.loaded.denoiser.condition(recording.samples[:1], config["guidance"], recording.settings.negative_prompt)
    return Job(recording, model, info, Identity(config, model.weights_hash))


def carry_out(job: Job, writer: Writer, tick: Callable[[], object] = lambda: None) -> Outcome:
    """Compute what the folder lacks, then write table and result.

    Args:
        job: what to do.
        writer: the open output folder.
        tick: called once a step and once a decoding.
    """
    rows, calls = [], 0
    solutions: dict[int, Solutions | None] = {}
    for sample, seed, key in job.units():
        if writer.has_unit(key):
            unit = writer.read_unit(key)
        else:
            if id(sample) not in solutions:
                solutions = {id(sample): _solutions(job.model, sample)}
            unit = _computed(job, sample, seed, key, solutions[id(sample)], tick)
            writer.write_unit(unit)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            writer.log(f"{now} unit {key}: seed {seed}, {unit.facts['model_calls']} model calls")
        rows += _rows(job, unit)
        calls += int(unit.facts["model_calls"])  # type: ignore[call-overload]
    writer.write_table(build_table(rows))
    outcome = summarise(rows, job.identity, planned_calls(job.info, job.recording), calls)
    writer.write_result(outcome.result)
    return outcome


def _solutions(model: Model, sample: Any) -> Solutions | None:
    """The right answers in the model's latents, if they are known."""
    return encode_solutions(model, sample) if len(getattr(sample, "solutions", ())) else None


def _computed(
    job: Job, sample: Any, seed: int, key: str, solutions: Solutions | None, tick: Callable[[], object]
) -> Unit:
    """One unit: the run, its frames, its rows."""
    settings = job.recording.settings
    trace = job.model.denoise(
        sample, seed=seed, recorders=[*settings.fresh_recorders(), Ticker(tick)], **settings.options()
    )
    trace = replace(trace, records={name: kept for name, kept in trace.records.items() if name != Ticker.name})
    for step in range(trace.num_steps):
        trace.frames(step)
        tick()
    kept = stored(trace, [*range(trace.num_steps), None], task=job.recording.task, solutions=solutions)
    unit = trace_to_unit(kept, key, job.model.weights_hash)
    return replace(unit, facts={**unit.facts, "rows": list(_cells(trace, kept, solutions))})


def _cells(trace: Trace, kept: StoredTrace, solutions: Solutions | None) -> Iterator[dict[str, Any]]:
    """Every row of a run, as it is stored with its unit."""
    yield {"metric": "model_calls", "value": float(trace.model_calls)}
    yield from score_rows(kept)
    if solutions is not None:
        yield from reading_rows(read(trace, solutions), trace.sigmas.tolist())


def _rows(job: Job, unit: Unit) -> list[Row]:
    """The rows of a unit, with the columns that they share."""
    facts: Mapping[str, Any] = unit.facts
    shared = {
        "run": job.identity.run,
        "task": facts["sample"]["task"],
        "sample": facts["sample"]["seed"],
        "seed": facts["seed"],
        "branch": facts["branch"],
        "num_steps": job.info.grid.num_steps,
        "schedule": job.info.grid.name,
        "guidance": float(job.identity.config["guidance"]),  # type: ignore[arg-type]
        "weights_hash": unit.weights_hash,
    }
    return [Row(**cells, **shared) for cells in facts["rows"]]


def _config(recording: Recording, model: Model, info: RunInfo) -> dict[str, Any]:
    """The resolved configuration: flat JSON, the same for the same run."""
    guidance = recording.settings.guidance
    return {
        **vars(recording.settings),
        "experiment": "record",
        "model": model.name,
        "device": recording.model.device,
        **({} if recording.model.offload == "none" else {"offload": recording.model.offload}),  # decodes in tiles
        "dtype": model.loaded.reference.dtype if model.loaded.reference else None,
        "threads": torch.get_num_threads(),
        "guidance": float(model.card.guidance if guidance is None else guidance),
        "shift": info.grid.shift,
        "task": recording.task.name if recording.task else None,
        "task_version": recording.task.version if recording.task else None,
        "samples": [sample_digest(sample)[:12] for sample in recording.samples],
        "seeds": list(recording.seeds),
        **recording.asked,
    }
