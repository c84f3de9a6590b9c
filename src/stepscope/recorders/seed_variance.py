"""What seeds share inside a model: how much of a block's output would any other seed have put out too?

    d_s       = tokens of seed s minus their mean over all tokens                 what tells its tokens apart
    shared    = mean over s != s' of <d_s, d_s'>                                  the part that seeds have in common
    specific  = mean_s ||d_s||^2 - shared                                         the part that belongs to one seed

for every step and layer, of the conditional forward.  Products of *different* seeds make `shared` unbiased; it may come
out slightly below 0.  Scene and prompt are shared by nature: compare layers and steps, not a value with 0.

What is recorded are sums, which add over seeds; `seed_parts` takes the records of several runs and splits them:

    records = [model.denoise(sample, seed=s, recorders=[SeedVariance()]).records["seed_variance"] for s in range(4)]
    shared, specific = seed_parts(records)

Sums are in float64, over a fixed draw of n tokens.  Cost: one pass over a block's output, 8 n D bytes a layer and step
(n = 64 and D = 5120: 2.5 MiB); choose layers of a large model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.errors import BadInputError
from stepscope.recorders.kept import Kept
from stepscope.recorders.places import laid_out, parts_of, place_of, some_tokens

__all__ = ["SeedVariance", "seed_parts"]

_PARTS = ("total", "power", "count")


@dataclass(frozen=True)
class _Sums:
    total: Float64[torch.Tensor, "n D"]
    power: Float64[torch.Tensor, ""]
    count: Float64[torch.Tensor, ""]

    def plus(self, other: "_Sums | None") -> "_Sums":
        if other is None:
            return self
        return _Sums(self.total + other.total, self.power + other.power, self.count + other.count)


_State = Kept[_Sums]


class SeedVariance:
    """Recorder `seed_variance`: {"total" [step, layer, n, D], "power" [step, layer], "count" [step, layer]}, float64.

    Every row of a batch is a seed.  Steps that the run did not take are NaN.
    """

    name = "seed_variance"
    sites = ("block",)

    def __init__(self, layers: Sequence[int] | None = None, tokens: int = 64) -> None:
        """Read so many tokens of these layers, all of them for None.

        Raises:
            BadInputError: If no token is to be read.
        """
        if tokens < 1:
            raise BadInputError(f"tokens came as {tokens}. Allowed is 1 or more. Ask for 64.")
        self.layers, self.tokens = layers, tokens

    def init(self, run: RunInfo) -> _State:
        """No seed seen yet.

        Raises:
            BadInputError: If the model has no layers.
            PlanError: If it lacks some of those asked for.
        """
        return Kept.begun(self.name, run, self.layers)

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more block's output of every seed in the batch."""
        place = place_of(event, state.layers)
        if place is None or isinstance(event, StepEvent) or place.cfg_branch != "cond":
            return state
        sums = state.values.get(place)
        for tokens in event.hidden.detach():
            sums = self._of(tokens).plus(sums)
        assert sums is not None, "a batch has at least one row"
        return state.with_value(place, sums)

    def merge(self, first: _State, second: _State) -> _State:
        """The seeds of both parts of a stream, or of two runs."""
        return first.joined(second, _Sums.plus)

    def finish(self, state: _State) -> dict[str, np.ndarray]:
        """The sums, laid out."""
        parts = {
            name: laid_out(
                {place: getattr(sums, name) for place, sums in state.values.items()},
                state.run,
                state.layers,
                np.float64,
            )
            for name in _PARTS
        }
        return {name: part[:, 0] for name, part in parts.items()}

    def _of(self, tokens: torch.Tensor) -> _Sums:
        """The sums of one seed's tokens [L, D]."""
        mean = sum(part.sum(0) for part in parts_of(tokens, torch.float64)) / len(tokens)
        drawn = tokens[some_tokens(self.tokens, len(tokens)).to(tokens.device)].double() - mean
        return _Sums(drawn, drawn.square().sum(), torch.ones((), dtype=torch.float64, device=tokens.device))


def seed_parts(
    records: Sequence[Mapping[str, Any]],
) -> tuple[Float64[np.ndarray, "N layers"], Float64[np.ndarray, "N layers"]]:
    """Split what several seeds put out into a shared and a seed-specific part.

    Args:
        records: What `SeedVariance` recorded of the runs; each may hold several seeds.

    Returns:
        `shared` and `specific`, each [step, layer], in squared units of the hidden states.

    Raises:
        BadInputError: If there are fewer than two seeds.
    """
    total, power, count = (np.sum([record[name] for record in records], axis=0) for name in _PARTS)
    if not np.nanmin(count) >= 2:
        raise BadInputError(f"{len(records)} records came, of fewer than two seeds. Give more seeds.")
    shared = (np.square(total).sum((-2, -1)) - power) / (count * (count - 1))
    return shared, power / count - shared
