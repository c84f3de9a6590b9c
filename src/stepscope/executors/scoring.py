"""A task's verdict on every step of a run.  A scorer is the user's code where the task is: what it raises is told."""

from typing import Any

from stepscope.errors import BadInputError, StepscopeError
from stepscope.executors.rows import Verdicts
from stepscope.scope import Trace
from stepscope.shapes import Frames
from stepscope.tasks import Score, Task

__all__ = ["verdicts_of"]


def verdicts_of(trace: Trace, task: Task | None) -> Verdicts | None:
    """The scores of the clean estimates and of the result; None without a task."""
    if task is None:
        return None
    steps = [_verdict(task, trace.frames(step), trace.sample) for step in range(trace.num_steps)]
    return Verdicts(steps, _verdict(task, trace.frames(), trace.sample))


def _verdict(task: Task, frames: Frames, sample: Any) -> Score:
    try:
        score = task.score(frames, sample)
    except StepscopeError:
        raise
    except Exception as error:
        raise BadInputError(
            f"Task {task.name!r} could not score a video ({type(error).__name__}: {error}). A scorer gives a Score for "
            "any uint8 [T, H, W, 3]. Mend its score()."
        ) from error
    if not isinstance(score, Score):
        raise BadInputError(
            f"Task {task.name!r} scored a video with a {type(score).__name__}. A scorer gives a "
            "stepscope.tasks.Score. Mend its score()."
        )
    return score
