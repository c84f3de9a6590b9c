"""A model and tasks of a user's own, as they come through FILE.py:NAME: closed forms on 8 x 8 pixels."""

import numpy as np
import torch

from stepscope.tasks import Sample, Score


def pixels(frames):
    return torch.from_numpy(frames.copy()).permute(3, 0, 1, 2).float() / 127.5 - 1


class Knows:
    """The ideal observer itself: the posterior mean over the solutions of the sample."""

    latents_shape = (3, 5, 8, 8)

    def velocity(self, latents, sigma, samples):
        answers = torch.stack([pixels(frames) for frames in samples[0].solutions])
        distances = ((latents - (1 - sigma) * answers) ** 2).flatten(1).sum(1)
        weights = torch.softmax(-distances / (2 * sigma**2), 0)
        return (latents - torch.tensordot(weights, answers, 1)) / sigma


class Grey:
    """Knows nothing: always grey."""

    latents_shape = (3, 5, 8, 8)

    def velocity(self, latents, sigma, samples):
        return latents / sigma


class Fade:
    """Fade to black or to white; either is right."""

    name, version, palette = "fade", 1, {}

    def sample(self, seed, *, split="test", num_frames=5, start=128):
        levels = [np.linspace(start, end, num_frames).astype(np.uint8) for end in (0, 255)]
        videos = tuple(np.broadcast_to(level[:, None, None, None], (num_frames, 8, 8, 3)).copy() for level in levels)
        return Sample("fade out", videos[0][0], num_frames, task=self.name, seed=seed, solutions=videos)

    def score(self, frames, sample):
        last = float(frames[-1].mean())
        answer = "black" if last < 20 else "white" if last > 235 else None
        return Score(answer is not None, abs(last - 128) / 128, answer, f"The last frame has brightness {last:.0f}.")


class BrokenScore(Fade):
    """Its scorer fails."""

    def score(self, frames, sample):
        raise RuntimeError("no luck\nat all")


class BrokenSample(Fade):
    """Its sampler fails."""

    def sample(self, seed, *, split="test"):
        raise KeyError("nothing here")


NOT_A_TASK = {"name": "a dict"}


def broken():
    """A maker that fails."""
    raise ValueError("out of order")
