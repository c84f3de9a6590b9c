"""Axis-named array types, one name for one space; executed in tests by jaxtyping and beartype.

    B batch   C latent channels   F latent frames   H, W latent height and width
    T frames  Y, X pixel height and width   N denoising steps   S candidate solutions
    L tokens  D hidden channels

`Latents` live in the standardised space of the model's codec (zero mean, unit variance per channel over its
training data); `Frames` are 8-bit RGB pixels.  The two are never interchanged.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8

__all__ = [
    "Candidates",
    "Frames",
    "Hidden",
    "Image",
    "LatentFrame",
    "Latents",
    "LatentsBatch",
    "Sigmas",
    "Trajectory",
    "Weights",
    "WeightsPerStep",
]

Latents = Float[torch.Tensor, "C F H W"]
LatentsBatch = Float[torch.Tensor, "B C F H W"]
LatentFrame = Float[torch.Tensor, "C H W"]
Trajectory = Float[torch.Tensor, "K C F H W"]
Candidates = Float[torch.Tensor, "S C F H W"]
Sigmas = Float[torch.Tensor, " K"]
Hidden = Float[torch.Tensor, "B L D"]
Weights = Float64[np.ndarray, " S"]
WeightsPerStep = Float64[np.ndarray, "N S"]
Frames = UInt8[np.ndarray, "T Y X 3"]
Image = UInt8[np.ndarray, "Y X 3"]
