"""Scoring by agreement: does a video follow one right answer, frame by frame, up to the blur of a codec?

The timing of these puzzles is unique, so that every right answer is one video.  It is read in blocks of 4 px, the pitch
of usual codecs, by the mean of their inner 2 x 2 px.  Let lo and hi be the least and the greatest such mean of a
reference, channel by channel, at most `slack` px from a block (in steps to the sides, up and down) and, with `patience`
p, at most p frames from a frame (never for the first frame and the last).  A block agrees if its mean lies within
`tolerance` (RGB distance) of the box [lo, hi]; a frame agrees if at most `ALLOWED` blocks do not where
something may happen, and at most `ALLOWED` elsewhere.  A soft edge lies in the box; half a
ghost does not, since the colours that matter are more than 2 x `tolerance` apart.

    success    every frame agrees with one and the same right answer
    progress   of the frames in which the still video no longer agrees, the share in which this one does
    answer     the answer, right or wrong, with whose last frame the last frame agrees

A right last frame to which the frames before do not lead has the flag `teleport`; change outside the part of the
picture in which something may happen has the flag `scene-changed`.  Cost: about 4 ms for each right answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stepscope.tasks.blocks import BLOCK, TOLERANCE
from stepscope.tasks.sample import Sample, Score, unreadable

__all__ = ["Question", "disagreement", "judge"]

ALLOWED = 3


@dataclass(frozen=True)
class Question:
    """What a video is judged against.

    Attributes:
        right: every right answer, {name: uint8 [T, H, W, 3]}.
        wrong: last frames of wrong answers that have a name, {name: uint8 [H, W, 3]}.
        stage: bool [H, W], where something may happen.
        slack: px by which things may be off, to the sides or up and down.
        patience: frames by which a change may be early or late.
        tolerance: RGB distance by which a block may be off; less than half of any change that matters.
    """

    right: Mapping[str, np.ndarray]
    wrong: Mapping[str, np.ndarray]
    stage: np.ndarray
    slack: int
    patience: int = 0
    tolerance: float = TOLERANCE


def judge(frames: np.ndarray, sample: Sample, question: Question) -> Score:
    """The verdict on `frames` uint8 [T, H, W, 3]; see the head of this file for the rule."""
    refused = unreadable(frames, sample)
    if refused is not None:
        return refused
    verdicts = [_follow(frames, sample, question, name) for name in question.right]
    return max(verdicts, key=lambda score: (bool(score.success), score.answer in question.right, score.progress))


def disagreement(
    frames: np.ndarray, reference: np.ndarray, slack: int, patience: int = 0, tolerance: float = TOLERANCE
) -> np.ndarray:
    """Blocks that do not agree with a reference: bool [T, H / 4, W / 4], for two videos uint8 [T, H, W, 3]."""
    return _outside(frames, *_box(reference, slack, patience), tolerance)


def _outside(frames: np.ndarray, low: np.ndarray, high: np.ndarray, tolerance: float) -> np.ndarray:
    seen = _inner_means(frames, 0, 0)
    off = np.maximum(np.maximum(low - seen, seen - high), 0)
    distance: np.ndarray = np.sqrt(np.square(off).sum(axis=-1))
    return distance > tolerance


def _box(reference: np.ndarray, slack: int, patience: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest inner mean near each block, float [T, H / 4, W / 4, 3] each."""
    padded = np.pad(reference, ((0, 0), (slack, slack), (slack, slack), (0, 0)), mode="edge")
    reach = range(-slack, slack + 1)
    near = [
        _inner_means(padded, slack + dy, slack + dx, slack)
        for dy in reach
        for dx in reach
        if abs(dy) + abs(dx) <= slack
    ]
    low, high = np.minimum.reduce(near), np.maximum.reduce(near)
    for _ in range(patience):
        low, high = _spread_in_time(low, np.minimum), _spread_in_time(high, np.maximum)
    return low, high


def _inner_means(frames: np.ndarray, top: int, left: int, rim: int = 0) -> np.ndarray:
    """Means of the inner 2 x 2 px of every block of a grid that begins at (top, left), float [T, H / 4, W / 4, 3]."""
    height, width = (side - 2 * rim for side in frames.shape[1:3])
    inner = [
        frames[:, top + 1 + dy : top + height : BLOCK, left + 1 + dx : left + width : BLOCK].astype(np.float32)
        for dy in (0, 1)
        for dx in (0, 1)
    ]
    return np.add.reduce(inner) / len(inner)


def _spread_in_time(values: np.ndarray, fold: np.ufunc) -> np.ndarray:
    """The least or greatest of each frame and its neighbours; the first and the last frame stay."""
    spread = values.copy()
    spread[1:-1] = fold(fold(values[:-2], values[1:-1]), values[2:])
    return spread


def _follow(frames: np.ndarray, sample: Sample, question: Question, name: str) -> Score:
    """The verdict on a video as an attempt at one right answer."""
    box = _box(question.right[name], question.slack, question.patience)
    off = _outside(frames, *box, question.tolerance)
    agrees = _few(off, question)
    still = _few(_outside(sample.still, *box, question.tolerance), question)
    progress = float(agrees[~still].mean()) if not still.all() else 0.0
    if agrees.all():
        return Score(True, 1.0, name, f"The video follows the answer {name} from start to end.")
    answer = name if agrees[-1] else _wrong_answer(frames[-1], question)
    return Score(False, progress, answer, *_fault(off, agrees, question, answer, name))


def _few(off: np.ndarray, question: Question) -> np.ndarray:
    """Whether few blocks are off in each frame, on the stage and beside it: bool [T]."""
    stage = _stage_blocks(question)
    counts = np.stack([off[:, stage].sum(axis=1), off[:, ~stage].sum(axis=1)])
    return np.all(counts <= ALLOWED, axis=0)


def _stage_blocks(question: Question) -> np.ndarray:
    rows, columns = (side // BLOCK for side in question.stage.shape)
    return np.any(question.stage.reshape(rows, BLOCK, columns, BLOCK), axis=(1, 3))


def _wrong_answer(frame: np.ndarray, question: Question) -> str | None:
    """The wrong answer that a last frame shows, if any."""
    for name, last in question.wrong.items():
        off = disagreement(frame[None], last[None], question.slack, tolerance=question.tolerance)
        if _few(off, question)[0]:
            return name
    return None


def _fault(
    off: np.ndarray, agrees: np.ndarray, question: Question, answer: str | None, name: str
) -> tuple[str, tuple[str, ...]]:
    """The first rule that is broken, in words and flags."""
    if off[:, ~_stage_blocks(question)].sum(axis=1).max() > ALLOWED:
        return "Something changes that should stay.", ("scene-changed",)
    if agrees[-1]:
        first = int(np.flatnonzero(~agrees)[0])
        return f"The last frame shows {name}, but frame {first} is not on the way to it.", ("teleport",)
    if answer is not None:
        return f"The last frame shows {answer}, which is wrong.", ()
    return f"The last frame shows no answer; {int(agrees.sum())} of {len(agrees)} frames are on the way to {name}.", ()
