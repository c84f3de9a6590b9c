"""Mean and variance of every channel over the tokens of each block: which channels are large, and where they vary.

    mean[step, cfg_branch, layer, d] = mean over tokens of hidden_l(token)[d],    variance alike, over n

Accumulated in float64, a few tokens at a time.  Cost: two passes over a block's output, and 16 bytes a channel, layer,
CFG branch and step on the device.
"""

from collections.abc import Sequence

import numpy as np

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.recorders.kept import Kept
from stepscope.recorders.places import laid_out, place_of
from stepscope.recorders.scatter import Scatter

__all__ = ["Moments"]


_State = Kept[Scatter]


class Moments:
    """Recorder `moments`: {"mean", "variance"}, float64 [step, cfg_branch (cond, uncond), layer, D].

    A batch counts as more tokens.  Steps that the run did not take are NaN.
    """

    name = "moments"
    sites = ("block",)

    def __init__(self, layers: Sequence[int] | None = None) -> None:
        """Read these layers, all of them for None."""
        self.layers = layers

    def init(self, run: RunInfo) -> _State:
        """No token seen yet.

        Raises:
            BadInputError: If the model has no layers.
            PlanError: If it lacks some of those asked for.
        """
        return Kept.begun(self.name, run, self.layers)

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more block's tokens."""
        place = place_of(event, state.layers)
        if place is None or isinstance(event, StepEvent):
            return state
        scatter = Scatter.of(event.hidden.flatten(0, 1), whole=False)
        return state.with_value(place, scatter.joined(state.values.get(place)))

    def merge(self, first: _State, second: _State) -> _State:
        """The tokens of both parts of a stream, or of two runs."""
        return first.joined(second, Scatter.joined)

    def finish(self, state: _State) -> dict[str, np.ndarray]:
        """Means and variances, laid out."""
        means = {place: each.mean for place, each in state.values.items()}
        variances = {place: each.scatter / each.count for place, each in state.values.items()}
        return {
            "mean": laid_out(means, state.run, state.layers, np.float64),
            "variance": laid_out(variances, state.run, state.layers, np.float64),
        }
