"""What is left of a run: everything that the model believed on the way, and the way to look at it.

latents[k]          enters the model at step k, edits of step k done;  latents[N] is the result
clean_estimates[k]  what the model believes at step k, guided
frames(k)           the same as a video; decoded when it is first asked for, then kept
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex, overload

import numpy as np
import torch
from jaxtyping import Float

from stepscope import tasks
from stepscope.denoise import AbstractIntervention
from stepscope.errors import BadInputError
from stepscope.scope.checks import whole_number
from stepscope.scope.scoring import scored
from stepscope.shapes import Frames, Latents, Sigmas, Trajectory
from stepscope.tasks import Score, Task

__all__ = ["Scores", "Trace"]

Estimates = Float[torch.Tensor, "N C F H W"]


@dataclass(frozen=True, eq=False)
class Trace:
    """One denoising run. All tensors are on the CPU and hold no gradients.

    Attributes:
        sample: the question.
        seed: seed of the noise.
        sigmas: noise levels [N+1] in [0, 1], falling.
        latents: [N+1, C, F, H, W], standardised.
        clean_estimates: [N, C, F, H, W], standardised, with guidance.
        cond_estimates: [N, C, F, H, W], of the conditional forward alone: a posterior mean if any is.
        model_calls: transformer forwards times samples that the run took.
        records: what the recorders made of the run, by name.
        model: name of the model.
        weights_hash: hash of its weights.
        guidance: classifier-free guidance; 1 is none.
        schedule: `"paper"` or `"pipeline"`.
        shift: shift of the grid; None if a scheduler made it as it liked.
        solver: name of the solver.
        negative_prompt: prompt of the unconditional forward.
        interventions: the edits of the run, in their order.
        branch: `"clean"`, or the name of the branch in a tree of forks.
        decode: from latents [C, F, H, W] to frames.
    """

    sample: Any
    seed: int
    sigmas: Sigmas
    latents: Trajectory
    clean_estimates: Estimates
    cond_estimates: Estimates
    model_calls: int
    records: Mapping[str, Any]
    model: str
    weights_hash: str
    guidance: float
    schedule: str
    shift: float | None
    solver: str
    negative_prompt: str | None
    interventions: tuple[AbstractIntervention, ...]
    branch: str
    decode: Callable[[Latents], Frames] = field(repr=False)
    _decoded: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def __repr__(self) -> str:
        return f"Trace(model={self.model!r}, seed={self.seed}, num_steps={self.num_steps}, branch={self.branch!r})"

    @property
    def num_steps(self) -> int:
        """N."""
        return len(self.clean_estimates)

    def frames(self, step: SupportsIndex | None = None) -> Frames:
        """The decoded clean estimate of a step, or the result.

        Args:
            step: 0 to N-1, or from the end as in a list; None for the result.

        Returns:
            uint8 [T, Y, X, 3]; kept by the trace, so copy it before you paint on it.

        Raises:
            BadInputError: If the run has no such step.
        """
        index = self.num_steps if step is None else _step(step, self.num_steps)
        if index == self.num_steps and torch.equal(self.latents[-1], self.clean_estimates[-1]):
            index -= 1  # under Euler the last clean estimate is the result: one decode for both
        if index not in self._decoded:
            latents = self.latents[-1] if index == self.num_steps else self.clean_estimates[index]
            self._decoded[index] = self.decode(latents)
        return self._decoded[index]

    @property
    def scores(self) -> "Scores":
        """The verdict on the clean estimate of each step, decoded and scored when asked for."""
        return Scores(self)

    @property
    def score(self) -> Score | None:
        """The verdict on the result; None if no known task can give one."""
        return self.verdict()

    def verdict(self, step: SupportsIndex | None = None, task: Task | None = None) -> Score | None:
        """The verdict on the frames of a step, None for those of the result.

        Args:
            step: as for `frames`.
            task: who scores; None for the registered task that the sample names.

        Returns:
            The score; None if no known task can give one.

        Raises:
            BadInputError: If the run has no such step, or the task's scorer fails.
        """
        step = None if step is None else _step(step, self.num_steps)
        if task is None:
            name = getattr(self.sample, "task", None)
            if name not in tasks.names():
                return None
            task = tasks.get(name)
        return scored(self.frames(step), self.sample, task)


@dataclass(frozen=True)
class Scores(Sequence[Score | None]):
    """The verdicts on a trace's clean estimates, one a step, each None if no known task can give one."""

    trace: Trace

    def __len__(self) -> int:
        return self.trace.num_steps

    @overload
    def __getitem__(self, step: SupportsIndex | None) -> Score | None: ...
    @overload
    def __getitem__(self, step: slice) -> tuple[Score | None, ...]: ...
    def __getitem__(self, step: SupportsIndex | slice | None) -> Score | tuple[Score | None, ...] | None:
        if isinstance(step, slice):
            return tuple(self.trace.verdict(index) for index in range(len(self))[step])
        return self.trace.verdict(step)

    def __iter__(self) -> Iterator[Score | None]:
        return (self.trace.verdict(step) for step in range(len(self)))


def _step(step: Any, num_steps: int) -> int:
    index = whole_number("step", step)
    if not -num_steps <= index < num_steps:
        raise BadInputError(
            f"Step {index} was asked for. This run has steps 0 to {num_steps - 1}. Leave the step out for the result."
        )
    return index % num_steps
