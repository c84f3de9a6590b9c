"""Who moves whom in one puzzle: influence between latent frames, read three times from the same latents.

    model            by its own clean estimates
    observer         by the state-matched ideal observer, to whom all frames are alike; it needs several solutions
    frame-by-frame   by the control, whose estimate of a frame is the mean of that frame and all earlier ones: A = 1

The clean run and a disturbed branch are the same up to the step of the noise, so their estimates of that step differ by
the noise alone.  A is read on the disturbed frames that are open: where the question does not tell the content.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from stepscope.analysis import frame_influence, ideal_observer, influence_asymmetry
from stepscope.scope import Trace
from stepscope.shapes import Candidates, Latents

__all__ = ["CONTROL", "MODEL", "OBSERVER", "Layout", "frame_by_frame", "read_influence"]

MODEL, OBSERVER, CONTROL = "model", "observer", "frame-by-frame"

Estimate = Callable[[Trace, int], Latents]
"""The clean estimate of a step of a run."""


@dataclass(frozen=True)
class Layout:
    """Which latent frames are disturbed, and which of them count.

    Attributes:
        num_frames: Latent frames of the video.
        frames: The disturbed ones, in order.
        open: Those of them that the question does not tell.
    """

    num_frames: int
    frames: tuple[int, ...]
    open: tuple[int, ...]

    def square(self, influence: Float64[np.ndarray, "K M F"]) -> Float64[np.ndarray, "K Q Q"]:
        """The influence of open frames on open frames."""
        return influence[:, [self.frames.index(frame) for frame in self.open]][:, :, list(self.open)]


def read_influence(
    clean: Trace, disturbed: Mapping[tuple[int, int], Trace], layout: Layout, candidates: Candidates
) -> dict[str, Any]:
    """Read one run.

    Args:
        clean: The run without noise.
        disturbed: The branch by step of the noise and latent frame; every frame of the layout at every step.
        layout: The frames.
        candidates: All valid solutions, encoded.

    Returns:
        `steps` [K], the model's `influence` [K][M][F], `asymmetry` by who reads, and the model's `by_step` [K]; an
        asymmetry is None where no frame moves another.
    """
    steps = sorted({step for step, _ in disturbed})
    moved = {who: _influence(clean, disturbed, steps, layout, read) for who, read in _readers(candidates).items()}
    return {
        "steps": steps,
        "influence": moved[MODEL].tolist(),
        "asymmetry": {who: influence_asymmetry(layout.square(found)) for who, found in moved.items()},
        "by_step": [influence_asymmetry(square) for square in layout.square(moved[MODEL])],
    }


def frame_by_frame(latents: Latents) -> Latents:
    """The control's estimate: of every frame, the mean of that frame and all earlier ones."""
    counts = torch.arange(1, latents.shape[1] + 1, dtype=torch.float64)
    return latents.double().cumsum(dim=1) / counts[:, None, None]


def _readers(candidates: Candidates) -> dict[str, Estimate]:
    readers: dict[str, Estimate] = {
        MODEL: lambda trace, step: trace.clean_estimates[step],
        CONTROL: lambda trace, step: frame_by_frame(trace.latents[step]),
    }
    if len(candidates) > 1:
        readers[OBSERVER] = lambda trace, step: ideal_observer(
            trace.latents[step].double(), float(trace.sigmas[step]), candidates
        )[0]
    return readers


def _influence(
    clean: Trace,
    disturbed: Mapping[tuple[int, int], Trace],
    steps: Sequence[int],
    layout: Layout,
    read: Estimate,
) -> Float64[np.ndarray, "K M F"]:
    """I at each step, from each disturbed frame, on each frame."""
    moved = np.zeros((len(steps), len(layout.frames), layout.num_frames))
    for row, step in enumerate(steps):
        before = read(clean, step)
        for column, frame in enumerate(layout.frames):
            moved[row, column] = frame_influence(before, read(disturbed[step, frame], step))
    return moved
