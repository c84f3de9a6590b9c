"""Which expert answered at each step of a model that has two of them.

A curve over steps that peaks where the experts switch may be about the switch, so it is drawn.  Cost: nothing.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from stepscope.denoise import RunInfo, SiteEvent, StepEvent

__all__ = ["Experts"]


@dataclass(frozen=True)
class _Answered:
    num_steps: int
    steps: dict[int, str] = field(default_factory=dict)


class Experts:
    """Recorder `experts`: names [step], `high_noise` or `low_noise`, empty where there is one expert only."""

    name = "experts"

    def init(self, run: RunInfo) -> _Answered:
        """No step seen yet."""
        return _Answered(run.grid.num_steps)

    def update(self, state: _Answered, event: StepEvent | SiteEvent) -> _Answered:
        """One more step; it asks for no sites."""
        if isinstance(event, SiteEvent):
            return state
        return replace(state, steps=state.steps | {event.step: event.expert or ""})

    def merge(self, first: _Answered, second: _Answered) -> _Answered:
        """The steps of both parts of a stream."""
        return replace(first, steps=first.steps | second.steps)

    def finish(self, state: _Answered) -> np.ndarray:
        """The names in the order of steps."""
        return np.array([state.steps.get(step, "") for step in range(state.num_steps)])
