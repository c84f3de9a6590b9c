"""A denoising run as a value: what is known between two steps, and nothing else.

    state_k = (latents x_k, step k, memory of the solver)

Frozen: a loop takes a state and returns one, so keeping a state is keeping the right to fork the run there.
"""

from dataclasses import dataclass
from typing import Any

from stepscope.shapes import LatentsBatch

__all__ = ["DenoisingState"]


@dataclass(frozen=True)
class DenoisingState:
    """Everything that the rest of a run depends on, besides model, grid and inputs.

    Attributes:
        latents: shape [B, C, F, H, W], at the noise level with which `step` begins.
        step: index of the step to be taken next, 0 ... N (N: the run is over).
        solver_state: what the solver remembers of earlier steps; None for one-step solvers. Never changed in place.
    """

    latents: LatentsBatch
    step: int
    solver_state: Any = None
