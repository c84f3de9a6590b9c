"""What a layer puts out, taken from another branch that runs in step.

With h the stream before a block, h' after it, and * for the donor at the same step and layer:

    residual     h' <- h'*                   everything that follows in this step is the donor's
    delta        h' <- h + (h'* - h*)        the donor's update on one's own stream
    attn         output of self-attention <- the donor's
    cross_attn   output of the attention to the words <- the donor's; not where words and video share one attention
    mlp          output of the feed-forward part <- the donor's

A full `residual` swap under one prompt flips the estimate of that step at every layer and says little by itself:
compare with `delta`, with token regions, with a swap with itself and with the branch of another sample.  A donor that
takes in the same step lends what it would have put out otherwise, so two branches may name each other.  Cost: the lent
tokens of the chosen layers while a step runs; for such a donor one call more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import torch

from stepscope.denoise import AbstractExchange, Address, Lent, SiteTap
from stepscope.denoise.denoiser import Site
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.interventions.indices import Indices, acts, settled, sorted_indices
from stepscope.interventions.json_form import JsonForm

__all__ = ["MODES", "Swap"]

MODES = ("residual", "delta", "attn", "cross_attn", "mlp")
"""What can be taken."""

_CFG_BRANCHES = ("cond", "uncond")
_SITES: dict[str, tuple[Site, ...]] = {
    "residual": ("block",),
    "delta": ("resid_pre", "block"),
    "attn": ("self_attn",),
    "cross_attn": ("cross_attn",),
    "mlp": ("mlp",),
}


@dataclass(frozen=True)
class Swap(JsonForm, AbstractExchange):
    """Take what some layers put out from another branch of the same plan.

    Attributes:
        donor: name of the branch.
        layers: layer indices, an int or several.
        steps: step indices, an int or several; None for all.
        mode: one of `MODES`.
        tokens: token indices in the order (frame, row, column) of the patched latents; None for all.
        cfg_branch: `cond` or `uncond` to take in that one alone; None for both.

    Raises:
        UnknownNameError: If the mode or the CFG branch does not exist.
        BadInputError: If the donor or an index cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"site"})

    donor: str
    layers: int | Iterable[int]
    steps: int | Iterable[int] | None
    mode: str = "residual"
    tokens: int | Iterable[int] | None = None
    cfg_branch: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UnknownNameError.of("mode of Swap", self.mode, MODES)
        if self.cfg_branch not in (None, *_CFG_BRANCHES):
            raise UnknownNameError.of("CFG branch of Swap", self.cfg_branch, _CFG_BRANCHES)
        if self.layers is None:
            raise BadInputError("layers came as None. A swap names the layers that it takes. Give an index or several.")
        settled(
            self,
            layers=sorted_indices("layers", self.layers),
            steps=sorted_indices("steps", self.steps),
            tokens=sorted_indices("tokens", self.tokens),
        )

    @property
    def donors(self) -> tuple[str, ...]:
        """The one that it takes from."""
        return (self.donor,)

    def places(self, num_layers: int) -> frozenset[tuple[Site, int]]:
        """The sites and layers that the donor must show."""
        layers = cast(tuple[int, ...], self.layers)
        return frozenset((site, layer) for site in _SITES[self.mode] for layer in layers)

    def acts_at(self, step: int, num_steps: int) -> bool:
        """Whether it acts at `step`; a run too short for one of its steps is refused."""
        return acts(self, cast(Indices, self.steps), step, num_steps)

    def taps(self, lent: Sequence[Lent]) -> tuple[SiteTap, ...]:
        """The edit of one prediction, given what the donor put out."""
        (given,) = lent
        own: dict[tuple[str, int | None], torch.Tensor] = {}

        def remember(hidden: torch.Tensor, address: Address) -> None:
            own[address.cfg_branch, address.layer] = hidden

        def take(hidden: torch.Tensor, address: Address) -> torch.Tensor | None:
            branch, layer = address.cfg_branch, address.layer
            if self.cfg_branch not in (None, branch):
                return None
            taken = given[branch, layer, address.site]
            if self.mode == "delta":
                taken = own[branch, layer] + (taken - given[branch, layer, "resid_pre"])
            return self._placed(hidden, taken)

        layers = frozenset(cast(tuple[int, ...], self.layers))
        *before, last = _SITES[self.mode]
        return (*(SiteTap(site, remember, layers) for site in before), SiteTap(last, take, layers))

    def _placed(self, hidden: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
        tokens = cast(Indices, self.tokens)
        if taken.shape != hidden.shape:
            raise PlanError(
                f"Donor {self.donor!r} has hidden values {list(taken.shape)}, its taker {list(hidden.shape)}. They "
                "must be alike. Choose a donor of the same size."
            )
        if tokens is None:
            return taken
        if tokens[-1] >= hidden.shape[1]:
            raise PlanError(
                f"Swap has tokens up to {tokens[-1]}. This run has 0 to {hidden.shape[1] - 1}. Leave out those beyond."
            )
        edited = hidden.clone()
        edited[:, tokens] = taken[:, tokens]
        return edited
