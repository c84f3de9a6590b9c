"""Low-rank updates that are trained beside frozen weights, and the file that carries them.

    y = W x + b + B A x,    A [r, in] random,  B [out, r] zero at first: an untrained student is its teacher

On the matrices of attention and feed-forward in every block, and on those that read the noise level, which cost next to
nothing and say how a step differs from another.  Rank 32 of the bundled model is 1.7 M numbers, 3.4 MB in half
precision.  The file is in diffusers' form, alpha = r, so that `stepscope.models.lora` and diffusers merge it alike.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

__all__ = ["LowRank", "attach", "load", "options_of", "save", "tensors_of"]

PLACES = re.compile(r"blocks\.\d+\.(attn[12]\.to_(q|k|v|out\.0)|ffn\.net\.(0\.proj|2))|condition_embedder\.time_.+")


class LowRank(nn.Module):
    """A frozen matrix with a trained update."""

    def __init__(self, frozen: nn.Linear, rank: int, generator: torch.Generator) -> None:
        """Start as the frozen matrix."""
        super().__init__()
        self.frozen = frozen.requires_grad_(False)
        rows, columns = frozen.weight.shape
        drawn = torch.randn(rank, columns, generator=generator) / columns**0.5
        self.down = nn.Parameter(drawn.to(frozen.weight.device))
        self.up = nn.Parameter(frozen.weight.new_zeros(rows, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Both products."""
        return self.frozen(x) + functional.linear(functional.linear(x, self.down), self.up)


def attach(model: nn.Module, rank: int, seed: int = 0) -> dict[str, LowRank]:
    """Put an update beside every chosen matrix of a model, which is frozen; they are told by the matrix's name."""
    generator = torch.Generator().manual_seed(seed)
    chosen = [name for name, part in model.named_modules() if isinstance(part, nn.Linear) and PLACES.fullmatch(name)]
    model.requires_grad_(False)
    updates = {name: LowRank(model.get_submodule(name), rank, generator) for name in chosen}  # type: ignore[arg-type]
    for name, update in updates.items():
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, update)
    return updates


def tensors_of(updates: Mapping[str, LowRank]) -> dict[str, torch.Tensor]:
    """The matrices of updates by their names in the file."""
    return {
        f"transformer.{name}.lora_{side}.weight": matrix.detach()
        for name, update in updates.items()
        for side, matrix in (("A", update.down), ("B", update.up))
    }


def save(tensors: Mapping[str, torch.Tensor], file: Path, options: Mapping[str, Any]) -> None:
    """Write matrices in half precision, with what they are and how they were made; whole or not at all."""
    unfinished = file.with_suffix(".part")
    halves = {name: tensor.detach().half().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(halves, unfinished, {name: json.dumps(value) for name, value in sorted(options.items())})
    unfinished.rename(file)


def load(updates: Mapping[str, LowRank], file: Path) -> None:
    """Fill updates from a file."""
    mine = tensors_of(updates)
    with safe_open(file, framework="pt") as kept:
        if set(kept.keys()) != set(mine):
            raise SystemExit(f"{file} updates other matrices than this recipe. Give a file that it wrote.")
        for name, tensor in mine.items():
            tensor.copy_(kept.get_tensor(name))


def options_of(file: Path) -> dict[str, Any]:
    """What a file says of itself."""
    with safe_open(file, framework="pt") as kept:
        return {name: json.loads(value) for name, value in (kept.metadata() or {}).items()}
