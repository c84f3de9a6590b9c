"""From a question to a folder with a page: what `demo` and `record` share."""

import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from stepscope import executors, report, store
from stepscope.cli.output import progress, say
from stepscope.cli.puzzles import Puzzle
from stepscope.scope import Model

__all__ = ["carry_out"]


def carry_out(
    options: Namespace, puzzle: Puzzle, model: Model, reference: executors.ModelReference, settings: executors.Settings
) -> None:
    """Record a puzzle, draw the page, and say what came of it; the last line is the page's path."""
    started = time.time()
    recording = executors.Recording(
        reference, (puzzle.sample,), options.seeds, settings, puzzle.task, asked=puzzle.asked
    )
    job = executors.prepare(recording, model)
    writer = store.create(options.out, job.identity, overwrite=options.overwrite)
    if not options.json:
        print(*_opening(job, puzzle), sep="\n", flush=True)
    with progress(job.num_ticks, "steps") as tick:
        outcome = executors.carry_out(job, writer, tick)
    writer.write_manifest(executors.manifest_of(job, options.out, ["stepscope", *options.words], started))
    writer.write_report(report.render(store.open_record(writer.folder)))
    page = str(writer.folder / "report.html")
    facts = {"out": str(writer.folder), "page": page, "said": list(puzzle.said), "weights_hash": model.weights_hash}
    say(options.json, {**facts, **outcome.result.as_json()}, [*map(_told, outcome.runs), page])


def _opening(job: executors.Job, puzzle: Puzzle) -> Sequence[str]:
    sample, seeds = puzzle.sample, ", ".join(map(str, job.recording.seeds))
    what = f"{sample.task}, sample {sample.seed}" if puzzle.task else "your picture"
    steps = job.info.grid.num_steps
    return [
        *puzzle.said,
        f"{what}: {sample.prompt}",
        f"{job.model.name}, weights {job.model.weights_hash.removeprefix('source:')[:12]}, "
        f"{steps} step{'s' * (steps > 1)}, seed{'s' * (len(job.recording.seeds) > 1)} {seeds}",
    ]


def _told(run: dict[str, Any]) -> str:
    """One run in one line: solved or not, and when it knew and chose."""
    parts = []
    if "success" in run:
        verdict = {1.0: "solved", 0.0: f"not solved, {run['progress']:.0%} of the way", None: "could not be scored"}
        parts.append(verdict[run["success"]] + (f", {run['answer']}" if run["answer"] else ""))
    if "knowledge_step" in run:
        parts.append(f"knew {_when(run['knowledge_step'])}, chose {_when(run['commitment_step'])}")
    return f"seed {run['seed']}: " + "; ".join([*parts, f"{run['model_calls']} model calls"])


def _when(step: int | None) -> str:
    return "never" if step is None else f"at step {step}"
