"""Trainers that work as one, a process a GPU: each on its own puzzles and noise, all on the same weights.

    gradient = mean over trainers,   clock = the first one's

`torchrun --standalone --nproc-per-node 2 -- train.py denoiser …` starts two.  Cost: one all-reduce of the gradient a
step (48 MB for the bundled model), and a word about the time by a channel of the CPU, so that no GPU waits for it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

__all__ = ["Company"]

PATIENCE = timedelta(minutes=3)  # with one that does not come; encoding and saving take less


@dataclass(frozen=True)
class Company:
    """The trainers, as one of them sees them.

    Attributes:
        rank: which of them this one is.
        size: how many there are.
        clock: the channel for the time; None for one who is alone.
    """

    rank: int = 0
    size: int = 1
    clock: Any = None

    @classmethod
    def called(cls) -> "Company":
        """Whoever torchrun started, not yet able to talk; one alone without it."""
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))

    def met(self, device: str) -> "Company":
        """The same, talking; from here on no process may be forked off."""
        if self.size == 1:
            return self
        if device == "cuda":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
        return replace(self, clock=dist.new_group(backend="gloo", timeout=PATIENCE))

    @property
    def share(self) -> tuple[int, int]:
        """Which part of the work is this one's."""
        return self.rank, self.size

    def agreed(self, seconds: float) -> float:
        """The first one's time; learning rates and the end follow from it."""
        if self.size == 1:
            return seconds
        told = torch.tensor([seconds], dtype=torch.float64)
        dist.broadcast(told, 0, group=self.clock)
        return told.item()

    def average(self, gradients: Sequence[torch.Tensor]) -> None:
        """Replace gradients by their means."""
        if self.size == 1:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        parts = (flat / self.size).split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, parts, strict=True):
            gradient.copy_(mean.view_as(gradient))
