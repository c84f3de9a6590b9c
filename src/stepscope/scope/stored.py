"""A trace as the store keeps it: arrays and JSON, without the model.

Cost: a decode for each step whose frames are asked for and that was not looked at before.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from stepscope.scope.trace import Trace
from stepscope.store import StoredTrace
from stepscope.tasks import Score

__all__ = ["stored"]

_FACTS = ("prompt", "num_frames", "task", "seed", "state")


def stored(trace: Trace, steps: Iterable[int | None] = (None,)) -> StoredTrace:
    """Turn a trace into what the store keeps.

    Args:
        trace: the run.
        steps: steps whose frames are kept and whose clean estimates are scored; None for the result.
    """
    kept = dict.fromkeys(steps)
    return StoredTrace(
        sigmas=trace.sigmas,
        latents=trace.latents,
        clean_estimates=trace.clean_estimates,
        images={step: trace.frames(step) for step in kept},
        scores=tuple(_facts(trace.verdict(step)) if step in kept else None for step in range(trace.num_steps)),
        model_calls=trace.model_calls,
        sample=_sample(trace.sample),
        seed=trace.seed,
        branch=trace.branch,
        records=dict(_arrays(trace.records)),
    )


def _facts(score: Score | None) -> dict[str, object] | None:
    return None if score is None else {**asdict(score), "flags": list(score.flags)}


def _sample(sample: Any) -> dict[str, object]:
    return {
        **{name: getattr(sample, name, None) for name in _FACTS},
        "first_frame": sample.first_frame,
        "solutions": tuple(getattr(sample, "solutions", ())),
        "masks": dict(getattr(sample, "masks", {})),
    }


def _arrays(records: Mapping[str, Any]) -> Iterable[tuple[str, np.ndarray]]:
    """Name every array; those of a dict as `name.key`."""
    for name, record in records.items():
        if isinstance(record, Mapping):
            yield from ((f"{name}.{key}", np.asarray(array)) for key, array in record.items())
        else:
            yield name, np.asarray(record)
