"""The ideal observer as a denoiser of your own: it knows the right answers and nothing but the noisy pixels.

    stepscope record examples/ideal_observer.py:IdealObserver --task maze-two-goals --sample 3 --out runs/observer

Any object with `latents_shape` and `velocity` is a model.  Without `encode` and `decode` its latents are pixels in
[-1, 1], so nothing here is trained: v = (x - E[x_0 | x]) / sigma, with the posterior mean over the sample's solutions.
"""

import numpy as np
import torch

from stepscope.analysis import ideal_observer


class IdealObserver:
    """Bayes-optimal on puzzles whose solutions are listed."""

    latents_shape = (3, 17, 96, 96)

    def velocity(self, latents: torch.Tensor, sigma: float, samples: tuple) -> torch.Tensor:
        """Velocities [B, 3, 17, 96, 96] at noise level `sigma`."""
        means = [ideal_observer(x, sigma, pixels(sample))[0] for x, sample in zip(latents, samples, strict=True)]
        return (latents - torch.stack(means)) / sigma


def pixels(sample: object) -> torch.Tensor:
    """A sample's solutions as float pixels [S, 3, T, H, W] in [-1, 1]."""
    videos = np.stack(sample.solutions)  # type: ignore[attr-defined]
    return torch.from_numpy(videos).permute(0, 4, 1, 2, 3).float() / 127.5 - 1
