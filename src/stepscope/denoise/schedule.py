"""Noise levels: the path between a clean video and noise, and the grid of steps along it.

Path (flow matching; Lipman et al. 2022, arXiv 2210.02747; Liu et al. 2022, arXiv 2209.03003):

    x_s = (1 - s) x_0 + s n        s = sigma in [0, 1],  x_0 clean latents,  n ~ N(0, I)
    v   = dx_s / ds = n - x_0      velocity
    x_0_hat = x_s - s v            clean estimate of a model that predicts v

Grid `paper` with shift a (Esser et al. 2024, arXiv 2403.03206; the released code of arXiv 2603.16870):

    sigma_k = a u / (1 + (a - 1) u),   u = 1 - k / N,   k = 0 ... N

so sigma_0 = 1, sigma_N = 0, and under Euler the last clean estimate is the result.  The other grid, `pipeline`, is
whatever a pipeline's own scheduler does; it is built in `models`.
"""

from dataclasses import dataclass
from functools import cached_property

import torch

from stepscope.errors import BadInputError
from stepscope.shapes import LatentsBatch, Sigmas

__all__ = ["Grid", "clean_from_velocity", "interpolate", "lever_arm", "paper_grid", "velocity_from_clean"]

TRAIN_TIMESTEPS = 1000  # the scale on which flow-matching transformers read sigma


@dataclass(frozen=True)
class Grid:
    """The noise levels that one run visits.

    Attributes:
        name: `"paper"` or `"pipeline"`.
        sigmas: shape [N+1], decreasing, in [0, 1].
        timesteps: shape [N], what the model is told at each step, in the number type that it expects.
        shift: the shift that made the grid, or None if a scheduler made it.
    """

    name: str
    sigmas: Sigmas
    timesteps: torch.Tensor
    shift: float | None = None

    @cached_property
    def num_steps(self) -> int:
        """N, the number of steps."""
        return len(self.timesteps)

    def sigma(self, step: int) -> float:
        """The noise level at which `step` begins; `sigma(N)` is where the run ends."""
        return self._levels[step]

    @cached_property
    def _levels(self) -> list[float]:
        """The sigmas as numbers: asked for many times a step, wherever the tensor lies."""
        return self.sigmas.tolist()


def paper_grid(num_steps: int, shift: float) -> Grid:
    """The `paper` grid.

    Args:
        num_steps: N >= 1.
        shift: a > 0; 1 is uniform in sigma, larger stays longer near pure noise.
    """
    if num_steps < 1:
        raise BadInputError(f"Steps came as {num_steps}. A run has at least 1 step. Give --steps 1 or more.")
    if not shift > 0:
        raise BadInputError(f"Shift came as {shift}. It must be above 0. Leave it out to take the model's own.")
    u = torch.linspace(1, 0, num_steps + 1, dtype=torch.float64)
    sigmas = (shift * u / (1 + (shift - 1) * u)).float()
    return Grid("paper", sigmas, sigmas[:-1] * TRAIN_TIMESTEPS, shift)


def interpolate(clean: LatentsBatch, noise: LatentsBatch, sigma: float) -> LatentsBatch:
    """The point x_s of the path between `clean` and `noise`."""
    return (1 - sigma) * clean + sigma * noise


def clean_from_velocity(latents: LatentsBatch, velocity: LatentsBatch, sigma: float) -> LatentsBatch:
    """The clean estimate x_0_hat = x_s - s v."""
    return latents - sigma * velocity


def velocity_from_clean(latents: LatentsBatch, clean: LatentsBatch, sigma: float) -> LatentsBatch:
    """The velocity whose clean estimate is `clean`; sigma > 0."""
    return (latents - clean) / sigma


def lever_arm(grid: Grid, step: int) -> float:
    """How far an edit of the clean estimate at `step` moves the next latents, as a share of itself.

    (sigma_k - sigma_{k+1}) / sigma_k; .017 at step 0 of 20 with shift 3, .0041 at step 0 of 50 with shift 5.
    """
    return (grid.sigma(step) - grid.sigma(step + 1)) / grid.sigma(step)
