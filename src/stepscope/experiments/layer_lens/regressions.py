"""The recorder that the lens is fitted with: at every step read, how each source goes with the last layer.

    sums[step][source] = Regression of the last layer's tokens on the source's      see `analysis.ridge`

Hidden states are held until the last layer of their step has come, then added up where the model runs, in float64, and
dropped.  Cost: the sources of one step, L D numbers each; 16 D^2 bytes a source and step, moved to the CPU at the end
(D = 5120: 400 MiB; choose few layers and steps of such a model); 4 L D^2 operations a source and step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from jaxtyping import Float

from stepscope.analysis import Regression
from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.experiments.layer_lens.sources import NAME, SITES, Sources

__all__ = ["LensRegressions"]


@dataclass(frozen=True)
class _State:
    sources: Sources
    held: Mapping[int, Float[torch.Tensor, "L D"]] = field(default_factory=dict)
    sums: Mapping[tuple[int, int], Regression] = field(default_factory=dict)


class LensRegressions:
    """Recorder `lens` of a run that the lens is fitted on: [step][source] of `Regression`, every source but the last.

    One sample at a time, all of whose steps are taken.
    """

    name = NAME
    sites = SITES

    def __init__(self, layers: Sequence[int], steps: Sequence[int] | int) -> None:
        """Read these layers, the last one of the model last, at these steps or so many of them."""
        self.layers, self.steps = layers, steps

    def init(self, run: RunInfo) -> _State:
        """Nothing added up yet.

        Raises:
            PlanError: If the run lacks a step or a layer.
        """
        return _State(Sources.of(run, self.layers, self.steps))

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more source; with the last of a step, all of them are added up."""
        source = state.sources.index(event)
        if source is None or isinstance(event, StepEvent):
            return state
        (hidden,) = event.hidden.detach()
        if source < state.sources.count - 1:
            return replace(state, held={**state.held, source: hidden.clone()})
        seen = {(event.address.step, each): Regression.of(held, hidden) for each, held in state.held.items()}
        return replace(state, held={}, sums={**state.sums, **seen})

    def merge(self, first: _State, second: _State) -> _State:
        """The steps of both parts of a stream that was cut between steps."""
        return replace(second, sums={**first.sums, **second.sums})

    def finish(self, state: _State) -> list[list[Regression]]:
        """The sums in the order of steps and sources."""
        sources = range(state.sources.count - 1)
        return [[_on_cpu(state.sums[step, source]) for source in sources] for step in state.sources.steps]


def _on_cpu(sums: Regression) -> Regression:
    tensors = {each.name: getattr(sums, each.name).cpu() for each in fields(sums) if each.name != "count"}
    return replace(sums, **tensors)
