"""Training videos of the families whose shapes move: drawn by their own tasks (train split) and kept packed.

A video is drawn with its puzzle and deflated: 470 kB become about 13 kB in 2 ms, and come back in half a millisecond
(on threads, since inflating leaves the interpreter free).
"""

import zlib
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from mixtures import PROMPTS
from stepscope.tasks import Sample
from stepscope.tasks import get as get_task

__all__ = ["LEAST_FRAMES", "Clips", "draw_clip", "pick_solution"]

LEAST_FRAMES = {"bounce": 9}  # tasks that take no shorter videos
SIDE = 96


@dataclass
class Clips:
    """Packed videos of one length, and the index of each one's prompt."""

    packed: list[bytes]
    prompt: np.ndarray
    num_frames: int

    def __len__(self) -> int:
        return len(self.packed)

    def frames(self, index: np.ndarray, threads: Executor) -> np.ndarray:
        """Videos, uint8 [n, T, 96, 96, 3]."""
        out = np.empty((len(index), self.num_frames, SIDE, SIDE, 3), np.uint8)

        def unpack(place: int) -> None:
            out[place] = np.frombuffer(zlib.decompress(self.packed[index[place]]), np.uint8).reshape(out.shape[1:])

        list(threads.map(unpack, range(len(index))))
        return out


def draw_clip(rng: np.random.Generator, name: str, dials: Mapping[str, Any], num_frames: int) -> tuple[bytes, int]:
    """A packed solution of a fresh training puzzle and its prompt's index; of several answers each is as likely."""
    sample = get_task(name).sample(int(rng.integers(2**40)), split="train", num_frames=num_frames, **dials)
    return zlib.compress(pick_solution(rng, sample).tobytes(), 1), PROMPTS.index(sample.prompt)


def pick_solution(rng: np.random.Generator, sample: Sample) -> np.ndarray:
    """One of the right answers of a puzzle, each as likely."""
    return sample.solutions[int(rng.integers(len(sample.solutions)))]
