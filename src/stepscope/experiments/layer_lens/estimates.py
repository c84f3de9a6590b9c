"""The recorder that looks through the lens: from what a layer puts out to a clean estimate, while the model runs.

    estimate = head( lens_l(h_l), x_k ),      head( h, x ) = head( h, 0 ) + head( 0, x ) - head( 0, 0 )

x_k, the latents of the step, are known when the step is over.  A clean estimate is affine in them, whatever the family
(x - sigma v for one), so a source is mapped and read at once, for latents of zero, and what the latents add comes when
the step is over: no hidden state is kept.  Cost: two maps and two readings by the head a source and step, in float32 on
the model's device (2 L D^2 operations each), and 8 C F H W bytes, moved to the CPU step by step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.experiments.layer_lens.fit import Lens
from stepscope.experiments.layer_lens.sources import NAME, SITES, Sources
from stepscope.shapes import LatentsBatch

__all__ = ["LensEstimates"]

Pair = Float[torch.Tensor, "2 C F H W"]
"""Clean estimates through the whole calibration, and through half of it."""


@dataclass(frozen=True)
class _State:
    run: RunInfo
    sources: Sources
    condition: Any
    read: Mapping[int, Pair] = field(default_factory=dict)  # of the step that runs, for latents of zero
    blank: torch.Tensor | None = None  # a hidden state of zeros
    kept: Mapping[tuple[int, int], Pair] = field(default_factory=dict)


class LensEstimates:
    """Recorder `lens`: {"estimates", "half"}, float32 [step, source, C, F, H, W], and {"steps"}, which steps these are.

    One sample at a time.  Steps that the run did not take are NaN.
    """

    name = NAME
    sites = SITES

    def __init__(self, lens: Lens, layers: Sequence[int], steps: Sequence[int] | int) -> None:
        """Look through a lens at the layers and steps that it was fitted on."""
        self.lens, self.layers, self.steps = lens, layers, steps

    def init(self, run: RunInfo) -> _State:
        """Nothing read yet.  Cost: prompt and first frame are encoded.

        Raises:
            PlanError: If the run lacks a step or a layer.
        """
        sources = Sources.of(run, self.layers, self.steps)
        return _State(run, sources, self.lens.denoiser.condition(run.samples, 1.0, None))

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more source; when the step is over, what its latents add."""
        if isinstance(event, StepEvent):
            return self._placed(state, event)
        source = state.sources.index(event)
        if source is None:
            return state
        hidden = event.hidden.detach().float()
        index = state.sources.steps.index(event.address.step)
        nothing = torch.zeros(1, *self.lens.denoiser.latents_shape(state.run.samples[0]), device=hidden.device)
        pair = [self._head(state, each, nothing, event.address.step) for each in self._mapped(hidden, index, source)]
        read = torch.cat([pair[0], pair[-1]])
        return replace(state, read={**state.read, source: read}, blank=torch.zeros_like(hidden))

    def merge(self, first: _State, second: _State) -> _State:
        """What both parts of a stream read that was cut between steps."""
        return replace(second, kept={**first.kept, **second.kept})

    def finish(self, state: _State) -> dict[str, np.ndarray]:
        """The estimates, laid out."""
        shape = next(iter(state.kept.values())).shape
        laid = np.full((shape[0], len(state.sources.steps), state.sources.count, *shape[1:]), np.nan, np.float32)
        for (step, source), pair in state.kept.items():
            laid[:, state.sources.steps.index(step), source] = pair.numpy()
        return {"estimates": laid[0], "half": laid[1], "steps": np.array(state.sources.steps)}

    def _mapped(self, hidden: torch.Tensor, index: int, source: int) -> list[torch.Tensor]:
        """The last layer's hidden state by both lenses; itself, once, if it is the last layer's."""
        if source == len(self.layers):
            return [hidden]
        return [maps[index][source](hidden) for maps in (self.lens.maps, self.lens.half)]

    def _placed(self, state: _State, event: StepEvent) -> _State:
        if event.step not in state.sources.steps:
            return state
        assert state.blank is not None, "the layers of a step come before its end"
        latents = event.latents.detach()
        added = self._head(state, state.blank, latents, event.step) - self._head(
            state, state.blank, torch.zeros_like(latents), event.step
        )
        kept = {(event.step, source): (read.to(added) + added).cpu().float() for source, read in state.read.items()}
        return replace(state, read={}, blank=None, kept={**state.kept, **kept})

    def _head(self, state: _State, hidden: torch.Tensor, latents: LatentsBatch, step: int) -> LatentsBatch:
        return self.lens.denoiser.head(hidden, latents, step, state.run.grid, state.condition)
