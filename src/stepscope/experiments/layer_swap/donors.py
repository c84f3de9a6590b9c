"""From whom a run takes what a layer puts out, and from whom in the control.

    other-prompt   the same picture, asked for its next shape         only what follows from the words differs
    other-scene    the same words, another scene: the shapes have changed seats; where a task has no such pair, the
                   foreign puzzle
    at random      the run's own words under a picture drawn by chance: a disturbance of the same kind that knows
                   nothing of the donor's answer

An answer is shown by two videos: its own, and what is drawn in it laid over the other one's picture.  Both answers in
both pictures span what a swap can come to: a layer may carry over the picture without the answer, or the reverse.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stepscope.errors import BadInputError
from stepscope.shapes import Frames
from stepscope.tasks import with_picture, with_prompt, with_scene

__all__ = ["DONORS", "donor_of", "random_donor_of", "shown_by"]

_NAMED = "find-shape"
_SCENE_OF_CHANCE = 0


def donor_of(kind: str, sample: Any, other: Any | None) -> Any:
    """The sample whose run lends.

    Args:
        kind: One of `DONORS`.
        sample: The puzzle.
        other: A foreign puzzle, None if there is none.

    Raises:
        BadInputError: If there is no such donor for this puzzle.
    """
    return DONORS[kind](sample, other)


def random_donor_of(sample: Any) -> Any | None:
    """The sample whose run lends in the control; None if the task has no other picture for the same words."""
    return with_picture(sample, _SCENE_OF_CHANCE) if _names_a_shape(sample) else None


def shown_by(sample: Any, other: Any) -> list[Frames]:
    """The videos that show a sample's answers, in its own picture and, if that is another one, in that of `other`.

    Returns:
        uint8 [T, Y, X, 3] each; first the sample's own solutions, in their order.
    """
    if np.array_equal(sample.first_frame, other.first_frame):
        return list(sample.solutions)
    return [*sample.solutions, *(_laid_over(video, sample, other) for video in sample.solutions)]


def _laid_over(video: Frames, sample: Any, other: Any) -> Frames:
    drawn = (video != sample.first_frame).any(axis=-1, keepdims=True)
    return np.where(drawn, video, other.first_frame)


def _other_prompt(sample: Any, other: Any | None) -> Any:
    if not _names_a_shape(sample):
        raise BadInputError(
            f"Donor 'other-prompt' was asked for a puzzle of {getattr(sample, 'task', None)!r} with the prompt "
            f"{sample.prompt!r}. It needs a picture that can be asked for something else. Choose task '{_NAMED}', or "
            "donor 'other-scene'."
        )
    return with_prompt(sample)


def _other_scene(sample: Any, other: Any | None) -> Any:
    if _names_a_shape(sample):
        return with_scene(sample)
    if other is None or _size(other) != _size(sample) or other.prompt != sample.prompt:
        raise BadInputError(
            f"Donor 'other-scene' was asked for puzzle {getattr(sample, 'seed', None)}, and no other puzzle has its "
            f"prompt, its size and several solutions. Give more samples, or choose task '{_NAMED}'."
        )
    return other


def _names_a_shape(sample: Any) -> bool:
    return getattr(sample, "task", None) == _NAMED and len(sample.solutions) == 1 and "odd" not in sample.prompt


def _size(sample: Any) -> tuple[int, ...]:
    return (sample.num_frames, *sample.first_frame.shape)


DONORS: Mapping[str, Callable[[Any, Any | None], Any]] = {"other-prompt": _other_prompt, "other-scene": _other_scene}
"""Who can lend, by name."""
