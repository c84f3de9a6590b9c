"""Knowledge, choice and the ideal observer for whole batches of puzzles with one or two solutions, in float64.

With d the difference of the two solutions and u the estimate minus the second one, the nearest point of the hull is at

    w = clip(<u, d> / <d, d>, 0, 1),    || u - w d ||^2 = <u, u> - 2 w <u, d> + w^2 <d, d>

so that three dot products say all.  With one solution, given twice, d = 0 and w = 1.  The cases of `stepscope.analysis`
with one and two candidates; a test holds them equal.
"""

import torch

from stepscope.denoise import Grid

__all__ = ["hull", "observer"]


def _split(points: torch.Tensor, solutions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared distance to the hull and the first candidate's weight, [N, B], of points [N, B, ...]."""
    last = solutions[-1].flatten(1).double()
    delta = solutions[0].flatten(1).double() - last
    off = points.flatten(2).double() - last
    along, square = (off * delta).sum(-1), off.square().sum(-1)
    length = delta.square().sum(-1)
    weight = torch.where(length > 0, (along / length.clamp_min(1e-12)).clamp(0, 1), torch.ones_like(along))
    return square - 2 * weight * along + weight**2 * length, weight


def hull(estimates: torch.Tensor, solutions: torch.Tensor, still: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """R and the first candidate's weight, [N, B], for one or two candidates [S, B, ...]."""
    distance, weight = _split(estimates, solutions)
    unit, _ = _split(still[None], solutions)
    return distance / unit, weight


def observer(noise: torch.Tensor, solutions: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Weight of the first of two candidates for the ideal observer's own rollout, [N, B]; 1 where they are the same."""
    first, last = solutions[0].flatten(1).double(), solutions[-1].flatten(1).double()
    delta, middle = first - last, (first + last) / 2
    one = delta.square().sum(-1) == 0
    x, weights = noise.flatten(1).double(), []
    for step in range(grid.num_steps):
        s = grid.sigma(step)
        logit = (1 - s) / s**2 * ((x - (1 - s) * middle) * delta).sum(-1)
        weight = torch.sigmoid(logit)
        weights.append(torch.where(one, 1.0, weight))
        x = x + (grid.sigma(step + 1) - s) * (x - (last + weight[:, None] * delta)) / s
    return torch.stack(weights)
