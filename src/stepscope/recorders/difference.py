"""How far two runs are apart in what they believe, step by step.

    difference[k] = || x_0_hat_k - y_0_hat_k ||_2 / || x_0_hat_k ||_2       x: first run, y: second

On clean estimates, not on latents: latents of two seeds differ by their noise alone.  Accumulated in float32 or better
on the model's device; cost is two reductions a step.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float

from stepscope.denoise import RunInfo, StepEvent

__all__ = ["Difference"]


@dataclass(frozen=True)
class _Differences:
    num_steps: int
    steps: dict[int, Float[torch.Tensor, " B"]] = field(default_factory=dict)


class Difference:
    """Paired recorder `difference`: float32 [step], 0 where both runs believe the same.

    A batch of more than one comes first.  Steps that were not taken are NaN, as is 0 / 0.
    """

    name = "difference"

    def init(self, run: RunInfo) -> _Differences:
        """No step seen yet."""
        return _Differences(run.grid.num_steps)

    def update(self, state: _Differences, first: StepEvent, second: StepEvent) -> _Differences:
        """One more step of both runs."""
        difference = _norm(first.clean - second.clean) / _norm(first.clean)
        return replace(state, steps=state.steps | {first.step: difference})

    def merge(self, first: _Differences, second: _Differences) -> _Differences:
        """The steps of both parts of a stream."""
        return replace(first, steps=first.steps | second.steps)

    def finish(self, state: _Differences) -> np.ndarray:
        """The differences in the order of steps."""
        (batch,) = next(iter(state.steps.values())).shape
        differences = np.full((batch, state.num_steps), np.nan, np.float32)
        for step, difference in state.steps.items():
            differences[:, step] = difference.cpu().numpy()
        return differences[0] if batch == 1 else differences


def _norm(latents: torch.Tensor) -> Float[torch.Tensor, " B"]:
    dtype = torch.promote_types(latents.dtype, torch.float32)
    return torch.linalg.vector_norm(latents.detach().flatten(1), dim=1, dtype=dtype)
