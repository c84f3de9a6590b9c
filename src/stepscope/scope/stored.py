"""A trace as the store keeps it: arrays and JSON, without the model.

Cost: a decode for each step whose frames are asked for and that was not looked at before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from stepscope.analysis import separation
from stepscope.scope.readout import Solutions
from stepscope.scope.trace import Trace
from stepscope.store import Fields, StoredTrace
from stepscope.tasks import Score, Task

__all__ = ["stored"]

_FACTS = ("prompt", "num_frames", "task", "seed", "state")


def stored(
    trace: Trace,
    steps: Iterable[int | None] = (None,),
    *,
    task: Task | None = None,
    solutions: Solutions | None = None,
) -> StoredTrace:
    """Turn a trace into what the store keeps.

    Args:
        trace: the run.
        steps: steps whose frames are kept and whose clean estimates are scored; None for the result.
        task: who scores; None for the registered task that the sample names.
        solutions: the sample's, encoded, if they are known: their separation is kept as `sample["delta"]`.
    """
    kept = dict.fromkeys(steps)
    verdicts = {step: _facts(trace.verdict(step, task)) for step in kept}
    return StoredTrace(
        sigmas=trace.sigmas,
        latents=trace.latents,
        clean_estimates=trace.clean_estimates,
        images={step: trace.frames(step) for step in kept},
        scores=tuple(verdicts.get(step) for step in range(trace.num_steps)),
        model_calls=trace.model_calls,
        sample=_sample(trace.sample, solutions),
        seed=trace.seed,
        branch=trace.branch,
        records=dict(_arrays(trace.records)),
        score=verdicts.get(None),
    )


def _facts(score: Score | None) -> Fields | None:
    return None if score is None else Fields(asdict(score), flags=list(score.flags))


def _sample(sample: Any, solutions: Solutions | None) -> Fields:
    known = {} if solutions is None else {"delta": separation(solutions.candidates, solutions.still)}
    return Fields(
        {name: getattr(sample, name, None) for name in _FACTS} | known,
        first_frame=sample.first_frame,
        solutions=tuple(getattr(sample, "solutions", ())),
        masks=dict(getattr(sample, "masks", {})),
    )


def _arrays(records: Mapping[str, Any]) -> Iterable[tuple[str, np.ndarray]]:
    """Name every array; those of a dict as `name.key`."""
    for name, record in records.items():
        if isinstance(record, Mapping):
            yield from ((f"{name}.{key}", np.asarray(array)) for key, array in record.items())
        else:
            yield name, np.asarray(record)
