"""What a task is made of: a sample (the question), a score (the verdict), a task (both rules).

A task is any object with `name`, `version`, `palette`, `sample` and `score`.  `sample` is a pure function of its
arguments, `score` a pure function of frames and sample.  NumPy only: a scorer never sees latents.

Split by content: with h = sha256 of the canonical JSON of a sample's state, a sample belongs to `test` if
h mod 10 = 0 and to `train` otherwise, since a fresh seed of a small puzzle is not held out.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from stepscope.errors import BadInputError

__all__ = ["Sample", "Score", "Split", "Task", "canonical", "split_of", "unreadable"]

Split = Literal["train", "test"]
BLACK = 16  # a video whose brightest value lies below this shows nothing


@dataclass(frozen=True, eq=False)
class Sample:
    """One question put to a model.

    Attributes:
        prompt: what is asked, in words.
        first_frame: uint8 [H, W, 3].
        num_frames: T, pixel frames of the answer, the first one included.
        task: name of the task that can score it, or None.
        seed: the seed it was sampled with, or None.
        solutions: every valid answer, each uint8 [T, H, W, 3]; empty if unknown.
        state: the puzzle as JSON.
        masks: {name: bool [T, H, W]}, where things are.
    """

    prompt: str
    first_frame: np.ndarray
    num_frames: int
    task: str | None = None
    seed: int | None = None
    solutions: tuple[np.ndarray, ...] = ()
    state: Mapping[str, Any] | None = None
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)

    def with_prompt(self, prompt: str) -> "Sample":
        """The same picture asked about in other words; its solutions are no longer known."""
        return replace(self, prompt=prompt, solutions=())

    @property
    def still(self) -> np.ndarray:
        """The video in which nothing happens, uint8 [T, H, W, 3]."""
        return np.repeat(self.first_frame[None], self.num_frames, axis=0)


@dataclass(frozen=True)
class Score:
    """The verdict on one video.

    Attributes:
        success: True, False, or None if the video could not be read (unscored is not 0).
        progress: share of the way to the nearest valid answer, 0–1.
        answer: which answer the video gives, if any.
        explanation: one sentence for people.
        flags: what was noticed: `teleport`, `through-wall`, `scene-changed`, `black`, `wrong-length`, `unreadable`.
    """

    success: bool | None
    progress: float
    answer: str | None
    explanation: str
    flags: tuple[str, ...] = ()


@runtime_checkable
class Task(Protocol):
    """A family of questions with an exact scorer."""

    @property
    def name(self) -> str:
        """The name under which it is registered."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever a score could change."""
        ...

    @property
    def palette(self) -> Mapping[str, tuple[int, int, int]]:
        """The colours it paints with, {name: (r, g, b)}."""
        ...

    @property
    def sample(self) -> Callable[..., Sample]:
        """The rule `sample(seed, *, split="test", **dials)` that draws a sample."""
        ...

    def score(self, frames: np.ndarray, sample: Sample) -> Score:
        """The verdict on frames uint8 [T, H, W, 3] as an answer to `sample`."""
        ...


def canonical(state: Mapping[str, Any]) -> str:
    """The one JSON text of a state: sorted keys, no spaces."""
    return json.dumps(state, sort_keys=True, separators=(",", ":"))


def split_of(state: Mapping[str, Any]) -> Split:
    """The split to which a puzzle belongs by its content."""
    digest = hashlib.sha256(canonical(state).encode()).hexdigest()
    return "test" if int(digest, 16) % 10 == 0 else "train"


def check_split(split: str) -> None:
    """Refuse a split that does not exist."""
    if split not in ("train", "test"):
        raise BadInputError(f"Split came as {split!r}. It is 'train' or 'test'. Choose one of these.")


def unreadable(frames: np.ndarray, sample: Sample) -> Score | None:
    """An unscored verdict if `frames` cannot be an answer to `sample` at all, else None."""
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        return Score(None, 0.0, None, "The video is not uint8 [T, H, W, 3].", ("unreadable",))
    if len(frames) != sample.num_frames:
        return Score(None, 0.0, None, f"{len(frames)} frames came for {sample.num_frames}.", ("wrong-length",))
    if frames.shape[1:] != sample.first_frame.shape:
        return Score(None, 0.0, None, "The frames have another size than the puzzle.", ("unreadable",))
    if int(frames.max()) < BLACK:
        return Score(None, 0.0, None, "The video is black.", ("black",))
    return None
