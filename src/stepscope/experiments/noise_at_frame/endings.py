"""How runs ended after noise in a frame: read from all latent frames, and from the others alone.

Noise that stays in a frame spoils every reading of that frame, whatever the model has understood; the other frames say
whether the answer survived.  Both readings are the latent read-out (see `scope.readout`), the second on solutions,
still video and result without the disturbed frame, beside the clean run read in the same way.  `progress` is the
task's, of decoded frames.
"""

from typing import Any

import torch

from stepscope.analysis import told_frames
from stepscope.errors import BadInputError
from stepscope.experiments.sweeps import Ending, ending
from stepscope.scope import Solutions, Trace
from stepscope.tasks import Task

__all__ = ["ending_facts", "kept", "progress", "without"]

Facts = dict[str, Any]


def ending_facts(trace: Trace, solutions: Solutions, frame: int | None = None) -> Facts | None:
    """How a run ended: `answer` (None for none), `success` and `knowledge` (R).

    Args:
        trace: The run.
        solutions: The puzzle's.
        frame: A latent frame that is not read.

    Returns:
        None where the frames that are left say nothing: the question tells them all.
    """
    result = trace.latents[-1]
    if frame is not None:
        result, solutions = _drop(result, frame), without(solutions, frame)
        if len(told_frames(solutions.candidates, solutions.still)) == solutions.still.shape[1]:
            return None
    found: Ending = ending(result, solutions)
    return {"answer": found.answer, "success": found.success, "knowledge": found.knowledge}


def without(solutions: Solutions, frame: int) -> Solutions:
    """Solutions in which a latent frame is left out."""
    return Solutions(_drop(solutions.candidates, frame), _drop(solutions.still, frame))


def kept(found: Facts | None, clean: Facts | None) -> float | None:
    """Whether the clean run's answer was kept; None where there was none or nothing can be read."""
    if found is None or clean is None or clean["answer"] is None:
        return None
    return float(found["answer"] == clean["answer"])


def progress(trace: Trace, task: Task | None) -> float | None:
    """The task's progress, 0 to 1; None without a task, for a model that cannot decode, or an unscored video."""
    if task is None:
        return None
    try:
        trace.frames()
    except BadInputError:  # a live denoiser need not bring a decoder; what a scorer raises is told
        return None
    score = trace.verdict(task=task)
    return None if score is None or score.success is None else float(score.progress)


def _drop(latents: torch.Tensor, frame: int) -> torch.Tensor:
    """Latents [..., F, H, W] without a frame."""
    left = [other for other in range(latents.shape[-3]) if other != frame]
    return latents[..., left, :, :]
