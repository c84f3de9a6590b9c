"""Muon: momentum whose update is orthogonalised, for weight matrices (convolutions count as [out, the rest]).

    M <- mu M + g,   W <- W - lr sqrt(max(1, rows / columns)) orth(g + mu M)

orth by five Newton–Schulz iterations in bfloat16 (Jordan et al. 2024, "Muon: an optimizer for hidden layers";
Liu et al. 2025, arXiv 2502.16982).  Matrices of one shape are stacked and treated together: one batched product a
shape instead of a hundred small ones.
"""

from collections import defaultdict

import torch


def orthogonalised(stack: torch.Tensor) -> torch.Tensor:
    """Push the singular values of each matrix [..., m, n] towards 1."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = stack.bfloat16()
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(stack.dtype)


class Muon:
    """The optimizer over a list of matrices; its state is one momentum tensor a shape."""

    def __init__(self, matrices: list[torch.nn.Parameter], momentum: float = 0.95, decay: float = 0.01) -> None:
        self.momentum, self.decay = momentum, decay
        self.shapes: dict[tuple[int, ...], list[torch.nn.Parameter]] = defaultdict(list)
        for matrix in matrices:
            self.shapes[tuple(matrix.shape)].append(matrix)
        self.memory = {
            shape: torch.zeros(len(group), *shape, device=group[0].device) for shape, group in self.shapes.items()
        }

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update every matrix from its gradient."""
        for shape, group in self.shapes.items():
            gradient = torch.stack([matrix.grad for matrix in group]).float()
            memory = self.memory[shape].mul_(self.momentum).add_(gradient)
            flat = (gradient + self.momentum * memory).flatten(2)
            update = orthogonalised(flat) * max(1, flat.shape[1] / flat.shape[2]) ** 0.5
            update = update.view_as(gradient)
            torch._foreach_mul_(group, 1 - lr * self.decay)
            torch._foreach_add_(group, list(update.unbind(0)), alpha=-lr)
