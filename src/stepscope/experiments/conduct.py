"""Carry out an experiment: measure, judge, sum up, and keep it where a folder is given.

    result = stepscope.run("commitment", "embedded", task="maze-two-goals", samples=16, num_steps=20)

With `out` the folder can be resumed, and holds the same bytes whenever the same thing is run.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from stepscope import store
from stepscope.executors import Settings, manifest_of, measure_puzzles
from stepscope.experiments import registry
from stepscope.experiments.asking import Question, ask
from stepscope.experiments.outcome import Result
from stepscope.experiments.registry import Experiment
from stepscope.scope import Model, load_model

__all__ = ["carry_out", "run"]


def run(
    experiment: str | Experiment,
    model: Any,
    *,
    task: Any,
    samples: int | Iterable[Any] = 8,
    seeds: int | Iterable[int] = (0,),
    num_steps: int = 20,
    out: str | os.PathLike[str] | None = None,
    guidance: float | int | None = None,
    solver: str = "euler",
    schedule: str = "paper",
    shift: float | int | None = None,
    negative_prompt: str | None = None,
    split: str = "test",
    dials: Mapping[str, Any] | None = None,
    device: str = "cpu",
    dtype: str | None = None,
    chunk: int | None = None,
    first_sample: int = 0,
    overwrite: bool = False,
    **options: Any,
) -> Result:
    """Run an experiment on a model.

    Args:
        experiment: Its name, or an experiment with its options set.
        model: A loaded model, or anything that `load_model` takes.
        task: A task, or the name of one.
        samples: Number of different puzzles, or the seeds that make them, or the samples themselves.
        seeds: Seeds of the noise; each puzzle is run with each.
        num_steps: N >= 1.
        out: Folder to keep it in, resumed if it holds the same run; None keeps nothing.
        guidance: Scale of classifier-free guidance; None for the model's own.
        solver: `euler`, `heun`, `unipc` or `pipeline`.
        schedule: `paper` or `pipeline`.
        shift: Shift of the paper schedule; None for the model's own.
        negative_prompt: Prompt of the unconditional forward.
        split: "test" or "train".
        dials: Dials of the task.
        device: Where a model that is not loaded yet will run.
        dtype: Number type of a model that is not loaded yet.
        chunk: Rows in every model call; None for 1 on a CPU and what the model gains from on an accelerator.
        first_sample: The seed from which a number of puzzles is drawn; one seen before is passed over.
        overwrite: Replace the record that the folder holds.
        options: Options of the experiment: the fields of its dataclass.

    Raises:
        UserError: If any of these cannot be used.
    """
    chosen = registry.get(experiment, **options) if isinstance(experiment, str) else experiment
    loaded = model if isinstance(model, Model) else load_model(model, device=device, dtype=dtype)
    settings = Settings(
        num_steps=num_steps,
        guidance=None if guidance is None else float(guidance),
        solver=solver,
        schedule=schedule,
        shift=None if shift is None else float(shift),
        negative_prompt=negative_prompt,
    )
    question = ask(
        chosen,
        loaded,
        task=task,
        samples=samples,
        seeds=seeds,
        settings=settings,
        split=split,
        dials=dials,
        chunk=chunk,
        first_sample=first_sample,
    )
    writer = None if out is None else store.create(out, question.job.identity, overwrite=overwrite)
    return carry_out(question, writer)


def carry_out(
    question: Question,
    writer: store.Writer | None = None,
    *,
    command: Sequence[str] = (),
    tick: Callable[[], object] = lambda: None,
) -> Result:
    """Carry out a prepared experiment.

    Args:
        question: What was prepared.
        writer: The open output folder; None keeps nothing.
        command: The command line that asked for it, the program's name first.
        tick: Called whenever a step is taken; branches that are still one take it together.

    Raises:
        OutputError: If the folder cannot be written.
    """
    started, job = time.time(), question.job
    findings = measure_puzzles(job, question.experiment, question.plans, writer, tick)
    result = Result(
        question.experiment.name,
        job.model.name,
        [verdict.as_json() for verdict in question.experiment.claims(findings)],
        store.build_table(row for finding in findings for row in finding.rows),
        {**question.calls, "made": question.preparation + sum(finding.model_calls for finding in findings)},
        question.experiment.metrics(findings, job.sigmas),
    )
    if writer is not None:
        writer.write_table(result.table)
        writer.write_result(result.stored())
        called = command or ["stepscope.run", question.experiment.name, job.model.name]
        writer.write_manifest(manifest_of(job, writer.folder, called, started))
    return result
