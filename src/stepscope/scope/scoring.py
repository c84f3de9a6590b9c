"""A task's verdict on a video.  A scorer may be a user's own code: what it raises is told in one line."""

from typing import Any

from stepscope.errors import BadInputError, StepscopeError
from stepscope.shapes import Frames
from stepscope.tasks import Score, Task

__all__ = ["scored"]


def scored(frames: Frames, sample: Any, task: Task) -> Score:
    """The verdict of a task on frames as an answer to a sample.

    Raises:
        BadInputError: If the scorer fails, or gives something else.
    """
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
