"""Recorders: folds over a run, reduced where the model runs.

    state = init(run);  state = update(state, event) for every event;  result = finish(state)

`merge(a, b)` joins the states of two parts of a stream.  A recorder is any object with `name`, `init`, `update`,
`merge` and `finish`.  It is given a `StepEvent` after every step; if it also has an attribute `sites` (names out of
`denoise.SITES`), it is given a `SiteEvent` for each of them at every layer and CFG branch.  A paired recorder folds
two runs together: `update(state, event_a, event_b)`.  Recording changes nothing in the run, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from stepscope.denoise.denoiser import Address
from stepscope.denoise.schedule import Grid
from stepscope.shapes import LatentsBatch

__all__ = ["PairedRecorder", "Recorder", "RunInfo", "SiteEvent", "StepEvent"]


@dataclass(frozen=True)
class RunInfo:
    """What a recorder may know before the first event.

    Attributes:
        grid: the noise levels.
        samples: the samples of the batch.
        seeds: the seeds of the batch.
        num_layers: transformer blocks of one expert, 0 if there are none.
        cfg_branches: `("cond",)` or `("cond", "uncond")`.
    """

    grid: Grid
    samples: Sequence[Any]
    seeds: Sequence[int]
    num_layers: int
    cfg_branches: tuple[str, ...]


@dataclass(frozen=True)
class StepEvent:
    """One step of a run.

    Attributes:
        step: index k.
        sigma: noise level at which the step begins.
        expert: which expert answered, or None.
        latents: what entered the model, edits done, [B, C, F, H, W].
        clean: the (guided) clean estimate, same shape.
        cond: clean estimate of the conditional forward alone, same shape.
        following: the latents after the step, same shape.
        model_calls: forwards times samples spent in this step, those of interventions and solver included.
    """

    step: int
    sigma: float
    expert: str | None
    latents: LatentsBatch
    clean: LatentsBatch
    cond: LatentsBatch
    following: LatentsBatch
    model_calls: int


@dataclass(frozen=True)
class SiteEvent:
    """What one site of one layer put out during a step: hidden [B, L, D] at an address."""

    address: Address
    hidden: torch.Tensor


@runtime_checkable
class Recorder(Protocol):
    """A fold over the events of one run."""

    name: str

    def init(self, run: RunInfo) -> Any:
        """The empty state."""
        ...

    def update(self, state: Any, event: StepEvent | SiteEvent) -> Any:
        """The state with one event folded in."""
        ...

    def merge(self, first: Any, second: Any) -> Any:
        """The state of two parts of a stream taken together."""
        ...

    def finish(self, state: Any) -> Any:
        """The result: an array, or a dict of arrays."""
        ...


@runtime_checkable
class PairedRecorder(Protocol):
    """A fold over the events of two runs in step with each other."""

    name: str

    def init(self, run: RunInfo) -> Any:
        """The empty state."""
        ...

    def update(self, state: Any, first: StepEvent, second: StepEvent) -> Any:
        """The state with one pair of events folded in."""
        ...

    def merge(self, first: Any, second: Any) -> Any:
        """The state of two parts of a stream taken together."""
        ...

    def finish(self, state: Any) -> Any:
        """The result: an array, or a dict of arrays."""
        ...
