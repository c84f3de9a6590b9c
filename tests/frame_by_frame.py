"""Live denoisers that reason in known directions, in the pixels of mazes (every sixth of every second frame).

Each knows the solutions and weighs them by the evidence of some latent frames.  `FrameByFrame` believes of a frame what
that frame and the earlier ones say, `Backwards` what that frame and the later ones say, `StepWise` what all frames say,
`Separate` what that frame alone says.  `Neighbour` copies the frame before and `Mixer` spreads all frames over all,
without knowing any solution; `Blind` looks at nothing.
"""

import numpy as np
import torch


class Drawn:
    latents_shape = (3, 9, 16, 16)

    def encode(self, frames):
        small = np.ascontiguousarray(frames[::2, ::6, ::6])
        return torch.from_numpy(small).permute(3, 0, 1, 2).float() / 127.5 - 1

    def decode(self, latents):
        pixels = ((latents.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0).numpy()
        return pixels.repeat(2, axis=0)[:17].repeat(6, axis=1).repeat(6, axis=2)

    def velocity(self, latents, sigma, samples):
        answers = torch.stack([self.encode(frames) for frames in samples[0].solutions]).double()
        return ((latents - self.believe(latents.double(), sigma, answers)) / sigma).to(latents)


class StepWise(Drawn):
    def believe(self, latents, sigma, answers):
        """The ideal observer's estimate, frame by frame, on the evidence that is heard there."""
        apart, middle = answers - answers[:1], (answers + answers[:1]) / 2
        said = ((latents - (1 - sigma) * middle) * apart).sum((1, 3, 4)) * (1 - sigma) / sigma**2
        weights = torch.softmax(self.heard(said), dim=0)
        return torch.einsum("sf,scfhw->cfhw", weights, answers)[None]

    def heard(self, said):
        return said.sum(1, keepdim=True).expand_as(said)


class FrameByFrame(StepWise):
    def heard(self, said):
        return said.cumsum(1)


class Backwards(StepWise):
    def heard(self, said):
        return said.flip(1).cumsum(1).flip(1)


class Separate(StepWise):
    def heard(self, said):
        return said


class Neighbour(Drawn):
    def believe(self, latents, sigma, answers):
        before = torch.cat([latents[:, :, :1], latents[:, :, :-1]], dim=2)
        return (latents + before) / 2 * (1 - sigma)


class Mixer(Drawn):
    def believe(self, latents, sigma, answers):
        return (latents + latents.mean(2, keepdim=True)) / 2


class Blind(Drawn):
    def believe(self, latents, sigma, answers):
        return answers[0][None]
