"""Schedulers of a variance-preserving path, and the exact change of variables to the path that the engine knows.

    x_vp = a x_0 + s n,   a² = alphas_cumprod[t],   a² + s² = 1               (Song et al. 2021, arXiv 2010.02502)
    sigma = s / (a + s),  x = x_vp / (a + s) = (1 - sigma) x_0 + sigma n      x is what the engine, traces and edits see
    x_vp = c x,           c = 1 / sqrt((1 - sigma)² + sigma²) = a + s

So one number, sigma, says all of a noise level, a DDIM step is an Euler step of x, and every solver and grid of the
engine applies.  x is kept in float64: there c x, rounded to float32, gives back the x_vp that it came from, and a run
under the pipeline's own scheduler equals the pipeline's call bit for bit.  (Stock quirk, kept: a scheduler whose steps
do not divide the trained ones lands beside the timestep that it reads next.)

`CogVideoXDPMScheduler` (SDE-DPM-Solver++; Lu et al. 2022, arXiv 2211.01095) draws noise at every step.  Here it is
`noise_generator(seed, step, ALL_FRAMES)`, so that a fork or a batch changes nothing; the stock call equals it when its
generator is seeded so before every step.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch

from stepscope.denoise import ALL_FRAMES, AbstractSolver, DenoisingState, Grid, Prediction, noise_generator
from stepscope.denoise.solver import Evaluate
from stepscope.errors import BadInputError, PlanError

__all__ = [
    "VariancePreservingSolver",
    "from_flow",
    "is_variance_preserving",
    "scale",
    "to_flow",
    "trained_timestep",
    "variance_preserving_grid",
]

_DPM = "CogVideoXDPMScheduler"
_KNOWN = {"CogVideoXDDIMScheduler", _DPM}


def is_variance_preserving(scheduler: Any) -> bool:
    """Whether a scheduler is one of those that are known here."""
    return type(scheduler).__name__ in _KNOWN


def scale(sigma: float) -> float:
    """The factor c = a + s at a noise level of the engine's path; 1 at both ends."""
    return 1 / math.hypot(1 - sigma, sigma)


def to_flow(x_vp: torch.Tensor, sigma: float) -> torch.Tensor:
    """Latents on the engine's path, float64, from those on the variance-preserving path, float32."""
    return x_vp.double() / scale(sigma)


def from_flow(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Latents on the variance-preserving path, float32; inverts `to_flow` bit for bit."""
    return (x.double() * scale(sigma)).float()


def variance_preserving_grid(scheduler: Any, num_steps: int, shift: float | int | None = None) -> Grid:
    """The `pipeline` grid: the scheduler's own time steps, as noise levels of the engine's path.

    Args:
        scheduler: a scheduler that is known here; not changed.
        num_steps: N >= 1.
        shift: must be None; the path has no shift but `snr_shift_scale` of the scheduler.

    Returns:
        sigmas [N+1], float32, and timesteps [N], int64.
    """
    if num_steps < 1:
        raise BadInputError(f"Steps came as {num_steps}. A run has at least 1 step. Give --steps 1 or more.")
    if shift is not None:
        raise PlanError(f"Shift came as {shift}. {type(scheduler).__name__} has none. Leave it out.")
    own = _placed(scheduler, num_steps)
    return Grid("pipeline", _sigmas(own), own.timesteps.clone())


def trained_timestep(scheduler: Any, sigma: float) -> float:
    """The time on the scale of training, 0 to 999, at which the path has this noise level; between two, in line.

    Outside of the levels that were trained it is the nearest end.
    """
    levels = _levels(scheduler.alphas_cumprod)
    above = int(torch.searchsorted(levels, sigma))
    if above in (0, len(levels)):
        return float(min(above, len(levels) - 1))
    low, high = float(levels[above - 1]), float(levels[above])
    return above - 1 + (sigma - low) / (high - low)


@dataclass(frozen=True)
class _Memory:
    """What a step of such a scheduler depends on, besides the latents.

    Attributes:
        scheduler: on its own time steps; never stepped in place.
        seeds: of the rows of the batch.
        before: the clean estimate of the step before (second order only), None after a jump.
    """

    scheduler: Any
    seeds: tuple[int, ...]
    before: torch.Tensor | None = None


@final
class VariancePreservingSolver(AbstractSolver):
    """CogVideoX's own scheduler as a solver, on its own grid.

    Attributes:
        scheduler: the template; copied, never changed.
    """

    name = "pipeline"

    def __init__(self, scheduler: Any) -> None:
        """Wrap a scheduler that is known here."""
        self.scheduler = scheduler

    def init(self, grid: Grid) -> _Memory:
        """A private scheduler that stands on `grid`, for one row of seed 0.

        Raises:
            PlanError: for a grid that is not its own.
        """
        own = _placed(self.scheduler, grid.num_steps)
        if not torch.equal(_sigmas(own), grid.sigmas.cpu()):
            raise PlanError(
                f"{type(own).__name__} cannot stand on the {grid.name!r} grid. It takes its own time steps only. "
                "Use solver 'euler', or schedule 'pipeline'."
            )
        return _Memory(own, (0,))

    def start(self, grid: Grid, seeds: Sequence[int]) -> _Memory:
        """The same, with the seeds of the rows."""
        return replace(self.init(grid), seeds=tuple(seeds))

    def step(self, state: DenoisingState, prediction: Prediction, grid: Grid, evaluate: Evaluate) -> DenoisingState:
        """One step of the scheduler, taken on its own path and in the pipeline's order of axes."""
        memory, step, following = state.solver_state, state.step, state.step + 1
        x_vp = _swapped(from_flow(state.latents, grid.sigma(step)))
        output, timestep = _swapped(prediction.model_output).float(), memory.scheduler.timesteps[step]
        if type(memory.scheduler).__name__ == _DPM:
            back = None if memory.before is None else memory.scheduler.timesteps[step - 1]
            generators = [noise_generator(seed, step, ALL_FRAMES) for seed in memory.seeds]
            x_vp, before = memory.scheduler.step(
                output, memory.before, timestep, back, x_vp, generator=generators, return_dict=False
            )
            memory = replace(memory, before=before)
        else:
            x_vp = memory.scheduler.step(output, timestep, x_vp, return_dict=False)[0]
        return DenoisingState(to_flow(_swapped(x_vp), grid.sigma(following)), following, memory)

    def jump(self, solver_state: _Memory, grid: Grid, step: int) -> _Memory:
        """The memory without the estimate of the step before."""
        return replace(solver_state, before=None)


def _placed(scheduler: Any, num_steps: int) -> Any:
    own = copy.deepcopy(scheduler)
    try:
        own.set_timesteps(num_steps)
    except ValueError as error:
        raise PlanError(
            f"{type(own).__name__} cannot make {num_steps} steps. It was trained on {len(own)}. Ask for fewer."
        ) from error
    return own


def _sigmas(placed: Any) -> torch.Tensor:
    """Noise levels [N+1] of the time steps, and of where the last step ends."""
    end = int(placed.timesteps[-1]) - placed.config.num_train_timesteps // placed.num_inference_steps
    last = placed.final_alpha_cumprod if end < 0 else placed.alphas_cumprod[end]
    alphas = torch.cat([placed.alphas_cumprod[placed.timesteps].double(), last.double().reshape(1)])
    return _levels(alphas).float()


def _levels(alphas_cumprod: torch.Tensor) -> torch.Tensor:
    """Noise levels s / (a + s), float64."""
    a, s = alphas_cumprod.double().sqrt(), (1 - alphas_cumprod.double()).sqrt()
    return s / (a + s)


def _swapped(latents: torch.Tensor) -> torch.Tensor:
    """From [B, C, F, H, W] to the pipeline's [B, F, C, H, W], and back."""
    return latents.transpose(1, 2)
