"""How alike the layers of a step are, and the steps of a layer: debiased CKA from exact Gram matrices of some tokens.

    K_l = X_l X_l'     X_l [n, D], the same n tokens of every block, minus their mean
    layers[step, cfg_branch, l, m] = <K~_l, K~_m> / (||K~_l|| ||K~_m||)           K~: U-centred, see `analysis.cka`
    steps[cfg_branch, layer, j, k]   the same of one layer at two steps

Rows are tokens: CKA asks whether two blocks tell tokens apart in the same way.  All D channels enter each Gram matrix
(a random sketch of few channels reads CKA too low); the tokens are a fixed draw of n, since a Gram matrix of all tokens
of a long video would take gigabytes.  Gram matrices are taken in float32 or better, centred and compared in float64.
Cost: n^2 D operations and 4 n^2 bytes a layer, CFG branch and step (n = 512: 1 MiB); choose layers of a large model.

Sources: Kornblith, Norouzi, Lee, Hinton 2019 (arXiv 1905.00414); Murphy, Zylberberg, Fyshe 2024 (arXiv 2405.01012).
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64

from stepscope.denoise import RunInfo, SiteEvent, StepEvent
from stepscope.errors import BadInputError
from stepscope.recorders.kept import Kept
from stepscope.recorders.places import Place, place_of, some_tokens

__all__ = ["Gram"]

_FEWEST = 4  # below, U-centring divides by zero


_State = Kept[Float[torch.Tensor, "B n n"]]


class Gram:
    """Recorder `gram`: {"layers" [step, cfg_branch, layer, layer], "steps" [cfg_branch, layer, step, step]}, float64.

    A batch of more than one comes first.  Steps that the run did not take are NaN.
    """

    name = "gram"
    sites = ("block",)

    def __init__(self, layers: Sequence[int] | None = None, tokens: int = 512) -> None:
        """Compare these layers, all of them for None, on so many tokens.

        Raises:
            BadInputError: If the tokens are too few to be compared.
        """
        if tokens < _FEWEST:
            raise BadInputError(f"tokens came as {tokens}. CKA compares at least {_FEWEST}. Ask for 512.")
        self.layers, self.tokens = layers, tokens

    def init(self, run: RunInfo) -> _State:
        """No Gram matrix yet.

        Raises:
            BadInputError: If the model has no layers.
            PlanError: If it lacks some of those asked for.
        """
        return Kept.begun(self.name, run, self.layers)

    def update(self, state: _State, event: StepEvent | SiteEvent) -> _State:
        """One more block's Gram matrix.

        Raises:
            BadInputError: If the video has too few tokens to be compared.
        """
        place = place_of(event, state.layers)
        if place is None or isinstance(event, StepEvent):
            return state
        available = event.hidden.shape[1]
        if available < _FEWEST:
            raise BadInputError(
                f"A video of {available} tokens came. CKA compares {_FEWEST} or more. Use a larger one."
            )
        shown = event.hidden.detach()[:, some_tokens(self.tokens, available).to(event.hidden.device)]
        return state.with_value(place, _centred_gram(shown))

    def merge(self, first: _State, second: _State) -> _State:
        """The Gram matrices of both parts of a stream."""
        return first.joined(second)

    def finish(self, state: _State) -> dict[str, np.ndarray]:
        """Layer against layer, and step against step."""
        run, steps = state.run, range(state.run.grid.num_steps)
        by_layer = [
            [
                _cka([state.values.get(Place(step, branch, layer)) for layer in state.layers])
                for branch in run.cfg_branches
            ]
            for step in steps
        ]
        by_step = [
            [_cka([state.values.get(Place(step, branch, layer)) for step in steps]) for layer in state.layers]
            for branch in run.cfg_branches
        ]
        return {"layers": _stacked(by_layer), "steps": _stacked(by_step)}


def _centred_gram(hidden: Float[torch.Tensor, "B n D"]) -> Float[torch.Tensor, "B n n"]:
    """U-centred Gram matrices of norm 1, in the number type in which they were taken."""
    rows = hidden.to(torch.promote_types(hidden.dtype, torch.float32))
    # A shift of all tokens cancels in the centring; taking it out first keeps the digits.
    rows = rows - rows.mean(1, keepdim=True)
    gram, n = (rows @ rows.transpose(1, 2)).double(), rows.shape[1]
    gram.diagonal(dim1=1, dim2=2).zero_()
    sums = gram.sum(1)
    gram = gram - (sums[:, :, None] + sums[:, None, :]) / (n - 2) + sums.sum(1)[:, None, None] / ((n - 1) * (n - 2))
    gram.diagonal(dim1=1, dim2=2).zero_()
    return (gram / gram.flatten(1).norm(dim=1)[:, None, None]).to(rows.dtype)


def _cka(grams: Sequence[torch.Tensor | None]) -> Float64[np.ndarray, "B k k"]:
    """CKA of every pair of Gram matrices; NaN where one is missing."""
    there = [index for index, gram in enumerate(grams) if gram is not None]
    flat = [gram.flatten(1).double() for gram in grams if gram is not None]
    rows = len(flat[0]) if flat else 1
    alike = np.full((rows, len(grams), len(grams)), np.nan)
    if flat:
        together = torch.stack(flat, 1)
        alike[np.ix_(range(rows), there, there)] = (together @ together.transpose(1, 2)).cpu().numpy()
    return alike


def _stacked(panels: list[list[Float64[np.ndarray, "B k k"]]]) -> np.ndarray:
    """Panels laid out along both lists, a batch of more than one before them."""
    rows = max(len(panel) for line in panels for panel in line)
    filled = np.array([[np.broadcast_to(panel, (rows, *panel.shape[1:])) for panel in line] for line in panels])
    return filled[:, :, 0] if rows == 1 else np.moveaxis(filled, 2, 0)
