"""Models with layers in closed form: some are lit at the objects of the puzzle, some can be read by a head.

`Lit` puts out hidden states whose norm is `inside` where the puzzle's masks are, in the layers that are named, and 1
elsewhere and in all others; `fixed` lights the same place in every puzzle, whatever is there.  `Headed` is the model in
which one layer decides, with its last lines: what channels 4 to 6 hold is what is shown.
"""

import numpy as np
import torch
from layered_models import SHAPE, Decider, decoded, encode, tapped

from stepscope.analysis import cell_shares
from stepscope.denoise import AbstractDenoiser, Address, Prediction, velocity_from_clean
from stepscope.models import Card, LoadedModel
from stepscope.scope import Model

TOKENS = (5, 12, 12)


class Lit(AbstractDenoiser):
    num_layers = 8
    device = torch.device("cpu")

    def __init__(self, layers, num_layers=8, inside=2.0, fixed=False):
        self.layers, self.num_layers, self.inside, self.fixed = layers, num_layers, inside, fixed

    def latents_shape(self, sample):
        return SHAPE

    def condition(self, samples, guidance, negative_prompt):
        return samples[0]

    def expert(self, grid, step, boundary=None):
        return None

    def finish(self, latents, condition):
        return latents

    def predict(self, latents, step, grid, condition, guidance, taps):
        sigma = grid.sigma(step)
        place = Address(step, sigma, None, "cond", None, None, TOKENS)
        for layer in range(self.num_layers):
            hidden = torch.zeros(1, int(np.prod(TOKENS)), 3)
            hidden[..., 1] = torch.from_numpy(self.lit(condition)).flatten() if layer in self.layers else 1.0
            tapped(taps, place, layer, "block", hidden)
        clean = encode(condition.solutions[0])[None]
        return Prediction(velocity_from_clean(latents, clean, sigma), clean, clean, 1, clean)

    def lit(self, sample):
        if self.fixed:
            where = np.zeros(TOKENS)
            where[:, 3:9, 3:9] = 1
        else:
            where = cell_shares(np.logical_or.reduce(list(sample.masks.values())), TOKENS)
        return np.where(where > 0, self.inside, 1.0)


class Headed(Decider):
    """Reads what the last layer holds; `wrong` adds something to what it reads."""

    def __init__(self, layer, wrong=0.0):
        super().__init__(layer)
        self.wrong = wrong

    def head(self, hidden, latents, step, grid, condition):
        return hidden[..., 4:].transpose(1, 2).reshape(len(hidden), *SHAPE) + self.wrong


def loaded(denoiser, told):
    card = Card(guidance=1.0, num_frames=17, height=96, width=96, shift=1.0, num_steps=4, dtype="float32")
    return Model(LoadedModel(type(denoiser).__name__, denoiser, encode, decoded, None, card, told, None))
