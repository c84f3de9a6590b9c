"""Hidden states as they are, on explicit request and within a budget of bytes.

    raw[step, layer] = hidden_l(tokens) of the conditional forward, [L, D]

Others reduce while the model runs; this one keeps.  Cost: 4 L D bytes a layer and step (Wan2.2-A14B at 832x480x81: 640
MiB each; with `tokens`, that many instead of L), copied to the CPU as float32 while the model waits.  What it will take
is known at the first block, and is refused there if it is more than the budget: nothing has been kept by then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.denoise.denoiser import Site
from stepscope.errors import PlanError
from stepscope.recorders.places import layers_of, place_of, some_tokens, steps_of

__all__ = ["Raw"]

_BYTES = 4  # float32


@dataclass(frozen=True)
class _State:
    layers: tuple[int, ...]
    steps: tuple[int, ...]
    kept: Mapping[tuple[int, int], torch.Tensor] = field(default_factory=dict)


class Raw:
    """Recorder `raw_<site>`: float32 [step, layer, L, D], along the steps and layers asked for, in that order.

    A batch of more than one comes first.  Steps that the run did not take are NaN.
    """

    def __init__(
        self,
        site: Site = "block",
        *,
        layers: Sequence[int] | None = None,
        steps: Sequence[int] | int | None = None,
        tokens: int | None = None,
        budget: int = 2**28,
    ) -> None:
        """Keep one site of these layers at these steps, all of them for None.

        Args:
            site: one of `denoise.SITES`.
            layers: transformer blocks.
            steps: denoising steps, or how many of them, evenly spread (all, if there are no more).
            tokens: most of them that are kept, the same fixed draw at every place; None for all.
            budget: bytes that may be kept.
        """
        self.name, self.sites = f"raw_{site}", (site,)
        self.layers, self.steps, self.tokens, self.budget = layers, steps, tokens, budget

    def init(self, run: RunInfo) -> _State:
        """Nothing kept yet.

        Raises:
            BadInputError: If the model has no layers.
            PlanError: If the model lacks some of the layers, or the run some of the steps.
        """
        steps = steps_of(self.name, run, self.steps)
        return _State(layers_of(self.name, run, self.layers), steps)

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more hidden state.

        Raises:
            PlanError: If all of them will not fit the budget.
        """
        place = place_of(event, state.layers)
        if place is None or isinstance(event, StepEvent) or place.cfg_branch != "cond" or place.step not in state.steps:
            return state
        hidden = self._chosen(event.hidden.detach())
        needed = hidden.numel() * _BYTES * len(state.steps) * len(state.layers)
        if needed > self.budget:
            raise PlanError(
                f"Recorder {self.name} would keep {needed:,} bytes ({len(state.steps)} steps, {len(state.layers)} "
                f"layers). The budget is {self.budget:,}. Choose fewer layers or steps, or raise the budget."
            )
        copied = hidden.to("cpu", torch.float32, copy=True)
        return replace(state, kept={**state.kept, (place.step, place.layer): copied})

    def merge(self, first: _State, second: _State) -> _State:
        """What both parts of a stream kept."""
        return replace(first, kept={**first.kept, **second.kept})

    def finish(self, state: _State) -> np.ndarray:
        """All that was kept, laid out."""
        shape = next(iter(state.kept.values())).shape
        raw = np.full((len(state.steps), len(state.layers), *shape), np.nan, np.float32)
        for (step, layer), hidden in state.kept.items():
            raw[state.steps.index(step), state.layers.index(layer)] = hidden.numpy()
        return raw[:, :, 0] if shape[0] == 1 else np.moveaxis(raw, 2, 0)

    def _chosen(self, hidden: torch.Tensor) -> torch.Tensor:
        if self.tokens is None:
            return hidden
        return hidden[:, some_tokens(self.tokens, hidden.shape[1]).to(hidden.device)]
