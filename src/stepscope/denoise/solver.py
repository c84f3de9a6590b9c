"""Solvers: one step along dx/ds = v(x, s) from sigma_k to sigma_{k+1}.

    Euler (order 1)   x' = x + (s' - s) v(x, s)
    Heun  (order 2)   x' = x + (s' - s) (v(x, s) + v(x_euler, s')) / 2,   Euler on a last step to s' = 0

Euler takes one prediction a step, Heun two.  A solver keeps its memory in `DenoisingState.solver_state`; an edit of
the latents between steps is a declared `jump`, after which remembered slopes are void (cf. `made_jump` in Kidger 2021,
arXiv 2202.02435).  Schedulers of diffusers are wrapped as solvers in `models`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from stepscope.denoise.denoiser import Prediction
from stepscope.denoise.schedule import Grid
from stepscope.denoise.state import DenoisingState
from stepscope.shapes import LatentsBatch

__all__ = ["AbstractSolver", "Euler", "Heun"]

Evaluate = Callable[[LatentsBatch, int], Prediction]


class AbstractSolver(ABC):
    """How a run moves from one noise level to the next. Implementations are final."""

    name: str

    @abstractmethod
    def init(self, grid: Grid) -> Any:
        """The memory with which a run starts."""

    def start(self, grid: Grid, seeds: Sequence[int]) -> Any:
        """The same for a run with these seeds, one a row; differs from `init` for solvers that draw noise only."""
        return self.init(grid)

    @abstractmethod
    def step(self, state: DenoisingState, prediction: Prediction, grid: Grid, evaluate: Evaluate) -> DenoisingState:
        """The state after one step. `evaluate(latents, step)` asks the model again and is counted."""

    @abstractmethod
    def jump(self, solver_state: Any, grid: Grid, step: int) -> Any:
        """The memory after the latents were edited just before `step`."""


class Euler(AbstractSolver):
    """The explicit Euler method; remembers nothing."""

    name = "euler"

    def init(self, grid: Grid) -> None:
        """Euler has no memory."""

    def step(self, state: DenoisingState, prediction: Prediction, grid: Grid, evaluate: Evaluate) -> DenoisingState:
        """One Euler step."""
        width = grid.sigma(state.step + 1) - grid.sigma(state.step)
        return DenoisingState(state.latents + width * prediction.velocity, state.step + 1)

    def jump(self, solver_state: None, grid: Grid, step: int) -> None:
        """Nothing to void."""


class Heun(AbstractSolver):
    """Heun's method; remembers nothing, asks the model twice a step."""

    name = "heun"

    def init(self, grid: Grid) -> None:
        """Heun has no memory."""

    def step(self, state: DenoisingState, prediction: Prediction, grid: Grid, evaluate: Evaluate) -> DenoisingState:
        """One Heun step."""
        following = state.step + 1
        width = grid.sigma(following) - grid.sigma(state.step)
        landed = state.latents + width * prediction.velocity
        if following == grid.num_steps:
            return DenoisingState(landed, following)
        slope = (prediction.velocity + evaluate(landed, following).velocity) / 2
        return DenoisingState(state.latents + width * slope, following)

    def jump(self, solver_state: None, grid: Grid, step: int) -> None:
        """Nothing to void."""
