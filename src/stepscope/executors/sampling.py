"""Drawing a sample of a task that may be the user's own, with dials that may be anything."""

from collections.abc import Mapping
from typing import Any

from stepscope.errors import BadInputError, StepscopeError
from stepscope.tasks import Sample, Task

__all__ = ["draw_sample"]


def draw_sample(task: Task, seed: int, split: Any, dials: Mapping[str, Any]) -> Sample:
    """The sample with this seed.

    Raises:
        BadInputError: If the task cannot make it.
    """
    try:
        return task.sample(seed, split=split, **dials)
    except StepscopeError:
        raise
    except Exception as error:
        asked = ", ".join(f"{name}={value!r}" for name, value in dials.items()) or "no dials"
        raise BadInputError(
            f"Task {task.name!r} could not make sample {seed} with {asked} ({type(error).__name__}: {error}). "
            "Give its dials values that it takes, or mend its sample()."
        ) from error
