"""Schedulers of diffusers as solvers: their hidden memory becomes part of the run's state.

    state.solver_state = a private scheduler, copied before every step and never stepped itself

so that a fork equals a full rerun bit for bit.  UniPC (Zhao et al. 2023, arXiv 2302.04867) corrects each sample from
the one before it and so undoes 98% and more of an edit made in between; here an edit is a declared jump: the scheduler
starts anew at that step, and its first step is Euler's.  Cost: a copy of the memory a step (for UniPC of order 2, three
latents).

Two grids.  On `pipeline` a scheduler stands on its own noise levels and time steps, never one derived from the other.
On any other grid it is given the sigmas, with its own shift switched off; a scheduler that does not then stand on
exactly these is refused.  One exception, diffusers' own: where it takes logarithms, it reads sigma 1 as 1 - 1e-6.
"""

import copy
from typing import Any, final

import torch

from stepscope.denoise import AbstractSolver, DenoisingState, Euler, Grid, Heun, Prediction
from stepscope.denoise.solver import Evaluate
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.models.cogvideox_scheduler import VariancePreservingSolver, is_variance_preserving

__all__ = ["SOLVERS", "SchedulerSolver", "pipeline_grid", "solver_named"]

SOLVERS = ("euler", "heun", "pipeline", "unipc")
_RANDOM = {"FlowMatchLCMScheduler", "SASolverScheduler"}  # draw noise from the global generator
_SIGMA_TOLERANCE = 2e-6


@final
class SchedulerSolver(AbstractSolver):
    """A flow-matching scheduler of diffusers as a solver.

    Attributes:
        name: the name under which it was asked for.
        scheduler: the template; copied, never changed.
    """

    def __init__(self, name: str, scheduler: Any) -> None:
        """Wrap a scheduler.

        Raises:
            PlanError: for a scheduler of another path than flow matching, of two model calls a step, or with noise.
        """
        _check(scheduler)
        self.name = name
        self.scheduler = scheduler

    def init(self, grid: Grid) -> Any:
        """A private scheduler that stands on `grid` and remembers nothing."""
        return _placed(self.scheduler, grid)

    def step(self, state: DenoisingState, prediction: Prediction, grid: Grid, evaluate: Evaluate) -> DenoisingState:
        """One step of a copy of the remembered scheduler."""
        scheduler = copy.deepcopy(state.solver_state)
        if scheduler.step_index is None:
            scheduler.set_begin_index(state.step)
        timestep = scheduler.timesteps[state.step]
        velocity = prediction.model_output if prediction.output_slope is None else prediction.velocity
        latents = scheduler.step(velocity, timestep, state.latents, return_dict=False)[0]
        # Some schedulers round what they give to the network's number type: its values are kept, not its type.
        return DenoisingState(latents.to(state.latents), state.step + 1, scheduler)

    def jump(self, solver_state: Any, grid: Grid, step: int) -> Any:
        """A scheduler that starts at `step` and remembers nothing of what was before."""
        fresh = self.init(grid)
        fresh.set_begin_index(step)
        return fresh


def pipeline_grid(scheduler: Any, num_steps: int, shift: float | int | None = None) -> Grid:
    """The `pipeline` grid: whatever the scheduler does by itself.

    Args:
        scheduler: a flow-matching scheduler of diffusers; not changed.
        num_steps: N >= 1.
        shift: a shift in place of the scheduler's own; None leaves it.

    Returns:
        sigmas [N+1] and timesteps [N] as the scheduler gives them, each in its own number type.
    """
    if num_steps < 1:
        raise BadInputError(f"Steps came as {num_steps}. A run has at least 1 step. Give --steps 1 or more.")
    if shift is not None and not shift > 0:
        raise BadInputError(f"Shift came as {shift}. It must be above 0. Leave it out to take the scheduler's own.")
    _check(scheduler)
    shift = None if shift is None else float(shift)
    own = _own(scheduler, num_steps, shift)
    return Grid("pipeline", own.sigmas.clone(), own.timesteps.clone(), shift)


def solver_named(name: str, scheduler: Any = None) -> AbstractSolver:
    """A solver by its name.

    Args:
        name: `euler`, `heun`, `pipeline` (the pipeline's scheduler) or `unipc` (UniPC of order 2, in flow mode).
        scheduler: the pipeline's scheduler, None for a model without one.

    Raises:
        UnknownNameError: for another name.
        PlanError: for `pipeline` where there is none.
    """
    match name:
        case "euler":
            return Euler()
        case "heun":
            return Heun()
        case "unipc":
            return SchedulerSolver(name, _unipc())
        case "pipeline" if scheduler is None:
            raise PlanError(
                "Solver 'pipeline' was asked for. This model has no scheduler. Choose euler, heun or unipc."
            )
        case "pipeline" if is_variance_preserving(scheduler):
            return VariancePreservingSolver(scheduler)
        case "pipeline":
            return SchedulerSolver(name, scheduler)
    raise UnknownNameError.of("solver", name, SOLVERS)


def _unipc() -> Any:
    from diffusers import UniPCMultistepScheduler  # pyright: ignore[reportPrivateImportUsage]

    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)


def _placed(scheduler: Any, grid: Grid) -> Any:
    """A copy of the scheduler on the grid: by itself if that is its own, else given the sigmas."""
    if grid.name == "pipeline" and not scheduler.config.get("use_dynamic_shifting"):
        own = _own(scheduler, grid.num_steps, grid.shift)
        if torch.equal(own.sigmas.cpu(), grid.sigmas.cpu()):
            return own
    given = _unshifted(scheduler)
    try:
        given.set_timesteps(sigmas=grid.sigmas[:-1].double().cpu().numpy())
    except (TypeError, ValueError) as error:
        raise _refusal(scheduler, grid, str(error)) from error
    apart = float("inf")
    if given.sigmas.shape == grid.sigmas.shape:
        apart = float((given.sigmas.cpu() - grid.sigmas.cpu()).abs().max())
    if apart > _SIGMA_TOLERANCE:
        raise _refusal(scheduler, grid, f"its sigmas lie {apart:.2g} away")
    return given


def _own(scheduler: Any, num_steps: int, shift: float | None) -> Any:
    """A copy of the scheduler on its own noise levels."""
    own = copy.deepcopy(scheduler) if shift is None else _shifted(scheduler, shift)
    try:
        own.set_timesteps(num_steps)
    except ValueError as error:
        raise PlanError(f"{_name(scheduler)} cannot make {num_steps} steps: {error}. Use schedule 'paper'.") from error
    return own


def _shifted(scheduler: Any, shift: float) -> Any:
    """A new scheduler of the same configuration with another shift, whatever its class calls it."""
    key = "flow_shift" if "flow_shift" in scheduler.config else "shift"
    return type(scheduler).from_config(scheduler.config, **{key: shift})


def _unshifted(scheduler: Any) -> Any:
    """A new scheduler of the same configuration that leaves the sigmas it is given as they are."""
    bare = _shifted(scheduler, 1.0)
    own = {"use_dynamic_shifting": False, "shift_terminal": None}
    return type(bare).from_config(bare.config, **{key: value for key, value in own.items() if key in bare.config})


def _check(scheduler: Any) -> None:
    config = scheduler.config
    is_flow = config.get("prediction_type", "flow_prediction") == "flow_prediction" and config.get(
        "use_flow_sigmas", True
    )
    if not is_flow:
        raise PlanError(
            f"The scheduler is {_name(scheduler)} on another path. Only flow matching is supported. Use solver 'euler'."
        )
    is_random = config.get("stochastic_sampling") or str(config.get("algorithm_type", "")).startswith("sde")
    if is_random or _name(scheduler) in _RANDOM:
        raise PlanError(f"{_name(scheduler)} draws noise of its own. A run must be repeatable. Use solver 'euler'.")
    if scheduler.order != 1:
        raise PlanError(
            f"{_name(scheduler)} takes {scheduler.order} model calls a step. Only 1 is supported. Use 'heun'."
        )


def _refusal(scheduler: Any, grid: Grid, why: str) -> PlanError:
    return PlanError(
        f"{_name(scheduler)} cannot stand on the {grid.name!r} grid ({why}). It must take these sigmas exactly. "
        "Use solver 'euler', or schedule 'pipeline'."
    )


def _name(scheduler: Any) -> str:
    return type(scheduler).__name__
