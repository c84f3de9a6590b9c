"""What people hand in as numbers: lists, tuples, NumPy arrays and torch tensors of any depth."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64

__all__ = ["Values", "float64"]

Values = Sequence | np.ndarray | torch.Tensor


def float64(values: Values) -> Float64[np.ndarray, "..."]:
    """Return values as a float64 array on the CPU; all statistics are computed in it."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)
