"""Denoisers in closed form that behave in known ways on mazes, in pixels (every third of every second frame).

`Explorer` is the ideal observer.  `Sudden` draws one solution from the first step on.  `Filler` overlays the solutions
and settles one latent frame after the other.  `Dreamer` overlays them to the very end of the run but one step, however
clear its latents have become.  `Waverer` first draws what is no answer.  `Foggy` sees nothing but grey, and then all.
"""

import numpy as np
import torch

from stepscope.analysis import ideal_observer

SHIFT = 5.0  # of the grid: a live denoiser's own


class Planted:
    latents_shape = (3, 9, 32, 32)

    def encode(self, frames):
        small = np.ascontiguousarray(frames[::2, ::3, ::3])
        return torch.from_numpy(small).permute(3, 0, 1, 2).float() / 127.5 - 1

    def decode(self, latents):
        raise AssertionError("The latent read-out decodes nothing.")

    def velocity(self, latents, sigma, samples):
        (sample,) = samples
        answers = torch.stack([self.encode(frames) for frames in sample.solutions])
        return (latents - self.believe(latents, sigma, answers, sample)) / sigma

    def done(self, sigma):
        """The part of the run that is over, 0 to 1."""
        return 1 - sigma / (SHIFT - (SHIFT - 1) * sigma)


class Explorer(Planted):
    def believe(self, latents, sigma, answers, sample):
        return ideal_observer(latents, sigma, answers)[0]


class Sudden(Planted):
    def believe(self, latents, sigma, answers, sample):
        return answers[sample.seed % len(answers)][None]


class Filler(Planted):
    def believe(self, latents, sigma, answers, sample):
        belief = answers.mean(0)
        filled = int(np.ceil(self.done(sigma) * self.latents_shape[1]))
        belief[:, : filled + 1] = answers[sample.seed % len(answers), :, : filled + 1]
        return belief[None]


class Dreamer(Planted):
    def believe(self, latents, sigma, answers, sample):
        late = self.done(sigma) > 0.85
        return (answers[sample.seed % len(answers)] if late else answers.mean(0))[None]


class Waverer(Planted):
    """Draws both ways at full strength, which is no solution, and then one of them."""

    def believe(self, latents, sigma, answers, sample):
        still = self.encode(sample.first_frame[None])
        both = still + (answers - still).sum(0)
        return (answers[0] if self.done(sigma) > 0.4 else both)[None]


class Foggy(Planted):
    """Sees a grey picture, in which nothing is drawn, and then the whole answer at once."""

    def believe(self, latents, sigma, answers, sample):
        return (answers[0] if self.done(sigma) > 0.4 else torch.zeros_like(answers[0]))[None]
