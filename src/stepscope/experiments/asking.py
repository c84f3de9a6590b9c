"""From what somebody asks to a plan that can begin: an experiment, a model, puzzles, seeds, settings.

    samples = 8   the first eight different puzzles        samples = [3, 9]   those of these seeds; see `drawing`

Everything that can be refused is refused here, before a step is taken or a byte is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepscope import tasks
from stepscope.executors import (
    Job,
    ModelReference,
    Recording,
    Settings,
    planned_calls,
    plans_of,
    prepare,
)
from stepscope.experiments.drawing import drawn
from stepscope.experiments.registry import Experiment, Further, OfLayers
from stepscope.scope import Model, Plan, rows_in_a_call

__all__ = ["Question", "ask"]


@dataclass(frozen=True, eq=False)
class Question:
    """An experiment that can begin.

    Attributes:
        experiment: What is measured.
        job: On which puzzles.
        plans: The trees of the puzzles.
        calls: Model calls before it begins: planned, made (none), and naive, every branch from step 0.
        preparation: Those of the planned calls that are made before the first puzzle.
    """

    experiment: Experiment
    job: Job
    plans: Sequence[Plan]
    calls: Mapping[str, int]
    preparation: int

    @property
    def num_ticks(self) -> int:
        """How often `carry_out` will call `tick`: once a step, and that of branches which are still one counts once."""
        return (self.calls["planned"] - self.preparation) * self.job.info.grid.num_steps // _one_run(self.job)


def ask(
    experiment: Experiment,
    model: Model,
    *,
    task: Any,
    samples: int | Iterable[Any] = 8,
    seeds: int | Iterable[int] = (0,),
    settings: Settings | None = None,
    split: str = "test",
    dials: Mapping[str, Any] | None = None,
    chunk: int | None = None,
    first_sample: int = 0,
) -> Question:
    """Prepare an experiment.

    Args:
        experiment: What to measure, see `registry`.
        model: On what.
        task: A task, or the name of one.
        samples: Number of puzzles, or the seeds that make them, or the samples themselves.
        seeds: Seeds of the noise; each puzzle is run with each.
        settings: How to denoise.
        split: "test" or "train".
        dials: Dials of the task.
        chunk: Rows in every model call; None for what suits the model where it runs, see `scope.rows_in_a_call`.
        first_sample: The seed from which a number of puzzles is drawn.

    Raises:
        UserError: If any of these cannot be used.
    """
    task = tasks.get(task)
    if isinstance(experiment, OfLayers):
        experiment = experiment.for_model(model)
    dials = dict(dials or {})
    puzzles = drawn(task, samples, first_sample, split, dials)
    rows = rows_in_a_call(model, puzzles[0]) if chunk is None else chunk
    recording = Recording(
        ModelReference(model.name, str(model.loaded.denoiser.device), offload=model.offload),
        puzzles,
        (seeds,) if isinstance(seeds, int) else tuple(dict.fromkeys(seeds)),
        Settings() if settings is None else settings,
        task,
        asked={
            "experiment": experiment.name,
            "options": vars(experiment),
            "split": split,
            "dials": dials,
            "sample_seeds": [getattr(each, "seed", None) for each in puzzles],
            "task_version": task.version,
            "chunk": rows,
        },
        chunk=rows,
    )
    job = prepare(recording, model)
    plans = plans_of(job, experiment)
    preparation = experiment.prepare_runs * _one_run(job)
    further = sum(experiment.further_calls(job, each) for each in puzzles) if isinstance(experiment, Further) else 0
    planned = preparation + further + sum(each.model_calls() for each in plans)
    naive = preparation + further + sum(each.naive_calls() for each in plans)
    return Question(experiment, job, plans, {"planned": planned, "made": 0, "naive": naive}, preparation)


def _one_run(job: Job) -> int:
    """Model calls of a run without edits."""
    return planned_calls(job.info, replace(job.recording, samples=job.recording.samples[:1], seeds=(0,)))
