"""How the student learns: where it stands on its own way, it must point at the teacher's end.

    L = sum over visited steps of  h(x_k - s_k v(x_k, s_k) - y(n)),    h(d) = sqrt(|d|^2 + c^2) - c

Every batch visits step 0, which all grids share, and one later step of the two- or four-step grid, reached by the
student's own steps (no gradient flows through them), so that it learns to mend what it does itself.  h is a distance,
not a square, with c = 0.00054 sqrt(dim) (Song, Dhariwal 2023, arXiv 2310.14189): of two ends that may both follow, the
minimum of a mean distance is the likelier one, that of a mean square a ghost of both, which scores nothing.

AdamW on the updates; the rate falls to zero with the time that is left, over as many sessions as the run takes.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import torch

from batched import Batched
from low_rank import LowRank
from pairs import Pairs
from stepscope.denoise import paper_grid

__all__ = ["Learner", "distance"]

RATE = 1e-3
WARM_UP = 20
FALL = 0.7  # the rate falls over this last share of the time
EMA = 0.998
HUBER = 0.00054  # times the square root of the number of latents
LONG = 0.5  # share of batches on the four-step grid


@dataclass
class Learner:
    """Everything that training remembers."""

    student: Batched
    updates: dict[str, LowRank]
    pairs: Pairs
    batch: int
    rate: float = RATE
    step: int = 0
    spent: float = 0.0
    ema: dict[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.matrices = {f"{n}.{s}": p for n, u in self.updates.items() for s, p in (("down", u.down), ("up", u.up))}
        self.adam = torch.optim.AdamW(self.matrices.values(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.0)
        self.ema = {name: matrix.detach().clone() for name, matrix in self.matrices.items()}
        self.reseed()

    def reseed(self) -> None:
        """Draw on from the step that was reached."""
        self.generator = torch.Generator().manual_seed(self.step + 29)

    def losses(self) -> list[torch.Tensor]:
        """Mean distance to the teacher's end at step 0 and at one later step; backward is done."""
        rows = torch.randint(len(self.pairs), (self.batch,), generator=self.generator)
        x, end = self.pairs.noise[rows].float(), self.pairs.result[rows].float()
        row = self.pairs.condition[rows].float(), self.pairs.prompt[rows]
        long = torch.rand((), generator=self.generator) < LONG
        grid = paper_grid(4 if long else 2, self.student.card.shift)
        last = int(torch.randint(1, grid.num_steps, (), generator=self.generator))
        found = []
        for step in range(last + 1):
            learns = step in (0, last)
            with torch.set_grad_enabled(learns):
                velocity = self.student.velocity(x, grid.sigma(step), *row)
                if learns:
                    found.append(distance(x - grid.sigma(step) * velocity, end))
                    found[-1].backward()
            x = x + (grid.sigma(step + 1) - grid.sigma(step)) * velocity.detach()
        return [loss.detach() for loss in found]

    def update(self, share: float) -> None:
        """One step of the optimizer; `share` of the whole training is over."""
        rate = self.rate * min(1.0, (self.step + 1) / WARM_UP) * min(1.0, (1 - share) / FALL)
        torch.nn.utils.clip_grad_norm_(self.matrices.values(), 1.0)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        kept = min(EMA, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.values()), list(self.matrices.values()), 1 - kept)
        self.step += 1

    def train(self, seconds: float, total: float) -> list[float]:
        """Train for some seconds of a run that takes `total` in all; mean distances at step 0 and later."""
        began, found = time.time(), []
        while (now := time.time() - began) < seconds:
            found.append(torch.stack(self.losses()))
            self.update((self.spent + now) / total)
        self.spent += time.time() - began
        return torch.stack(found).mean(0).tolist()

    def averaged(self) -> dict[str, torch.Tensor]:
        """The averaged matrices by their names in the file."""
        sides = {"down": "A", "up": "B"}
        return {
            f"transformer.{name.rpartition('.')[0]}.lora_{sides[name.rpartition('.')[2]]}.weight": matrix
            for name, matrix in self.ema.items()
        }

    def state(self) -> dict[str, Any]:
        """All that `resume` needs."""
        matrices = {name: matrix.detach() for name, matrix in self.matrices.items()}
        adam = self.adam.state_dict()
        return {"matrices": matrices, "ema": self.ema, "adam": adam, "step": self.step, "spent": self.spent}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        with torch.no_grad():
            for name, matrix in self.matrices.items():
                matrix.copy_(state["matrices"][name])
                self.ema[name].copy_(state["ema"][name])
        self.adam.load_state_dict(state["adam"])
        self.step, self.spent = state["step"], state["spent"]
        self.reseed()


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean over a batch of the smoothed distance of rows."""
    smooth = HUBER * a[0].numel() ** 0.5
    return ((a - b).flatten(1).square().sum(1) + smooth**2).sqrt().mean() - smooth
