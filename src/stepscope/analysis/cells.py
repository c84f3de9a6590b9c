"""Where things are, in latents: a mask on pixels becomes the share of each latent cell that it covers.

    frame t  belongs to latent frame  f = ceil(t (F-1) / (T-1))

so that the first frame has a latent frame of its own and the others are shared out evenly, as video codecs do it; with
F = T each frame is its own.  In space, cells are equal rectangles (Y x X pixels over H x W cells).
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int
from torch.nn.functional import adaptive_avg_pool2d

__all__ = ["cell_shares", "latent_frames"]

_ROUNDING = 1e-9


def latent_frames(num_frames: int, num_latent_frames: int) -> Int[np.ndarray, " T"]:
    """Return the latent frame to which each frame belongs.

    Args:
        num_frames: T >= 1.
        num_latent_frames: F, 1 to T.
    """
    pace = (num_latent_frames - 1) / max(num_frames - 1, 1)
    return np.ceil(np.arange(num_frames) * pace - _ROUNDING).astype(np.int64)


def cell_shares(mask: Bool[np.ndarray, "T Y X"], latents_shape: Sequence[int]) -> Float64[np.ndarray, "F H W"]:
    """Return the share of each latent cell that a mask covers, 0 to 1.

    Args:
        mask: Where something is.
        latents_shape: (F, H, W) of the latents.
    """
    count, height, width = latents_shape
    pooled = adaptive_avg_pool2d(torch.from_numpy(mask.astype(np.float64))[None], (height, width))[0].numpy()
    belongs = latent_frames(len(mask), count)
    return np.stack([pooled[belongs == frame].mean(axis=0) for frame in range(count)])
