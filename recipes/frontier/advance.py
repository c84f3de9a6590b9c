"""Runs of many puzzles side by side: single runs of a pool of seeds, and runs into which others are merged.

    x[place] [B, C, F, H, W]        place: index of a seed in the pool, the same in every puzzle's own seeds

What is merged, and how, is the product's own: `MergeLayers`, `MergeEstimates`, `MergeLatents` of
`stepscope.interventions`.  Grids of all lengths begin at sigma 1, so that step 0 of a place is computed once.  Merged
steps run block by block without compilation, donors too, in order to read and to write what layers put out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

import transformer as net
from batched import Batched
from menu import Ensemble
from stepscope.denoise import Prediction, paper_grid
from stepscope.interventions import MergeLayers

__all__ = ["Runs", "Way"]

PARTS = {"self_attn": "attn1.to_out.0", "cross_attn": "attn2.to_out.0", "mlp": "ffn"}
Edit = Callable[[int, torch.Tensor], torch.Tensor | None]
Block = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Way:
    """One place's run: latents before each step and after the last [N+1], and velocities [N]."""

    latents: list[torch.Tensor]
    velocities: list[torch.Tensor]
    sigmas: list[float]

    def estimate(self, step: int) -> torch.Tensor:
        """The clean estimate of a step."""
        return self.latents[step] - self.sigmas[step] * self.velocities[step]


@dataclass
class Runs:
    """All runs of a batch of puzzles.

    Attributes:
        model: who runs.
        noise: [K, B, C, F, H, W].
        condition: [B, C, F, H, W].
        prompt: indices [B].
    """

    model: Batched
    noise: torch.Tensor
    condition: torch.Tensor
    prompt: torch.Tensor
    first: dict[int, torch.Tensor] = field(default_factory=dict)
    ways: dict[tuple[int, int], Way] = field(default_factory=dict)

    def way(self, place: int, num_steps: int) -> Way:
        """The single run of a place."""
        if (place, num_steps) not in self.ways:
            self.ways[place, num_steps] = self._way(place, num_steps)
        return self.ways[place, num_steps]

    def merged(self, ensemble: Ensemble) -> Way:
        """The run of place 0 with its donors, the places after it, merged into it."""
        merge, sigmas = ensemble.merge, _sigmas(self.model, ensemble.num_steps)
        donors = [self.way(place, ensemble.num_steps) for place in range(1, ensemble.size)]
        latents, velocities = [self.noise[0]], []
        for step in range(ensemble.num_steps):
            acts = merge.acts_at(step, ensemble.num_steps)
            if acts and "latents" in merge.reaches:
                latents[-1] = merge.exchange_latents(latents[-1], [donor.latents[step] for donor in donors])
            velocity = self._said(latents[-1], sigmas[step], step, donors, merge if acts else None)
            velocities.append(velocity)
            latents.append(latents[-1] + (sigmas[step + 1] - sigmas[step]) * velocity)
        return Way(latents, velocities, sigmas)

    def _way(self, place: int, num_steps: int) -> Way:
        sigmas = _sigmas(self.model, num_steps)
        latents, velocities = [self.noise[place]], []
        for step in range(num_steps):
            if step or place not in self.first:
                velocities.append(self._asked(latents[-1], sigmas[step]))
            else:
                velocities.append(self.first[place])
            latents.append(latents[-1] + (sigmas[step + 1] - sigmas[step]) * velocities[-1])
        self.first.setdefault(place, velocities[0])
        return Way(latents, velocities, sigmas)

    def _asked(self, x: torch.Tensor, sigma: float, run_block: Block | None = None) -> torch.Tensor:
        return self.model.velocity(x, sigma, self.condition, self.prompt, run_block)

    def _said(self, x: torch.Tensor, sigma: float, step: int, donors: Sequence[Way], merge: object) -> torch.Tensor:
        """The velocity at a step into which donors are merged, or plain."""
        if isinstance(merge, MergeLayers):
            return self._layered(x, sigma, step, donors, merge)
        velocity = self._asked(x, sigma)
        if merge is None or "prediction" not in merge.reaches:  # type: ignore[attr-defined]
            return velocity
        lent = [_prediction(donor.latents[step], donor.velocities[step], sigma) for donor in donors]
        return merge.exchange_prediction(_prediction(x, velocity, sigma), lent, sigma).velocity  # type: ignore[attr-defined]

    def _layered(
        self, x: torch.Tensor, sigma: float, step: int, donors: Sequence[Way], merge: MergeLayers
    ) -> torch.Tensor:
        layers, kept = merge.layers_among(len(self.model.model.blocks)), list[dict[int, torch.Tensor]]()
        for donor in donors:
            lent: dict[int, torch.Tensor] = {}
            self._asked(donor.latents[step], sigma, self._blocks(merge.site, layers, lent.__setitem__))
            kept.append(lent)

        def edit(layer: int, own: torch.Tensor) -> torch.Tensor:
            return merge.merged(own, [lent[layer] for lent in kept], (1,), (2,))

        return self._asked(x, sigma, self._blocks(merge.site, layers, edit))

    def _blocks(self, site: str, layers: Sequence[int], edit: Edit) -> Block:
        """A block that shows what some layers put out at a site, and puts out what is given back."""
        index = {id(block): layer for layer, block in enumerate(self.model.model.blocks)}

        def run(block: torch.nn.Module, *given: torch.Tensor) -> torch.Tensor:
            layer = index[id(block)]
            if layer not in layers:
                return net.block(block, *given)
            if site == "block":
                return _or(edit(layer, out := net.block(block, *given)), out)
            part = block.get_submodule(PARTS[site])
            handle = part.register_forward_hook(lambda module, came, out: edit(layer, out))
            try:
                return net.block(block, *given)
            finally:
                handle.remove()

        return run


def _or(edited: torch.Tensor | None, out: torch.Tensor) -> torch.Tensor:
    return out if edited is None else edited


def _sigmas(model: Batched, num_steps: int) -> list[float]:
    grid = paper_grid(num_steps, model.card.shift)
    return [grid.sigma(step) for step in range(num_steps + 1)]


def _prediction(x: torch.Tensor, velocity: torch.Tensor, sigma: float) -> Prediction:
    clean = x - sigma * velocity
    return Prediction(velocity, clean, clean, 1, velocity)
