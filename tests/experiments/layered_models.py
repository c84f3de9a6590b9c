"""A model with layers in closed form: one of them decides, by the prompt and by what it sees, all others do nothing.

    channels   0-2 what will be shown, 3 which picture (the embedding puts it there), 4-6 the answer once decided
    decider    writes the answer to 4-6, from the picture in channel 3 and the run's own prompt
    head       shows channels 4-6 where sigma is at most `shows_at`, the still picture before

Where a puzzle has several solutions it takes the one that the parity of the sample's seed says.
"""

import numpy as np
import torch

from stepscope.denoise import AbstractDenoiser, Address, Prediction, velocity_from_clean
from stepscope.models import Card, LoadedModel
from stepscope.scope import Model
from stepscope.tasks import find_shape

SHAPE = (3, 5, 24, 24)
NUM_LAYERS = 4


def encode(frames):
    ends = np.linspace(0, len(frames) - 1, SHAPE[1]).round().astype(int)
    small = np.ascontiguousarray(frames[ends][:, ::4, ::4])
    return torch.from_numpy(small).permute(3, 0, 1, 2).float() / 127.5 - 1


class Decider(AbstractDenoiser):
    num_layers = NUM_LAYERS
    device = torch.device("cpu")

    def __init__(self, layer, shows_at=1.0):
        self.layer, self.shows_at, self.seen, self.known = layer, shows_at, [], {}

    def latents_shape(self, sample):
        return SHAPE

    def condition(self, samples, guidance, negative_prompt):
        (sample,) = samples
        if not any(each is sample for each in self.seen):
            self.seen.append(sample)
        return next(index for index, each in enumerate(self.seen) if each is sample), sample.prompt

    def expert(self, grid, step, boundary=None):
        return None

    def finish(self, latents, condition):
        return latents

    def predict(self, latents, step, grid, condition, guidance, taps):
        picture, prompt = condition
        sigma, cfg_branches = grid.sigma(step), ("cond",) if guidance == 1 else ("cond", "uncond")
        cleans = []
        for cfg_branch in cfg_branches:
            place = Address(step, sigma, None, cfg_branch, None, None, SHAPE[1:])
            hidden = torch.zeros(1, SHAPE[1] * SHAPE[2] * SHAPE[3], 7)
            hidden[..., :3] = self.tokens(still(self.seen[picture]))
            hidden[..., 3] = picture
            for layer in range(NUM_LAYERS):
                hidden = self.block(hidden, prompt, taps, place, layer)
            shown = hidden[..., 4:] if sigma <= self.shows_at else hidden[..., :3]
            cleans.append(shown.transpose(1, 2).reshape(latents.shape))
        velocities = [velocity_from_clean(latents, clean, sigma) for clean in cleans]
        velocity = velocities[-1] + guidance * (velocities[0] - velocities[-1])
        clean = latents - sigma * velocity
        return Prediction(velocity, clean, cleans[0], len(cfg_branches), velocity)

    def block(self, hidden, prompt, taps, place, layer):
        hidden = tapped(taps, place, layer, "resid_pre", hidden)
        update = torch.zeros_like(hidden)
        if layer == self.layer:
            update[..., 4:] = self.decided(round(float(hidden[..., 3].mean())), prompt)
        update = tapped(taps, place, layer, "mlp", update)
        return tapped(taps, place, layer, "block", hidden + update)

    def decided(self, picture, prompt):
        if (picture, prompt) not in self.known:
            self.known[picture, prompt] = self.tokens(encode(answer(self.seen[picture], prompt)))
        return self.known[picture, prompt]

    @staticmethod
    def tokens(latents):
        return latents.flatten(1).T[None]


def still(sample):
    return encode(np.repeat(sample.first_frame[None], sample.num_frames, axis=0))


def answer(sample, prompt):
    """What a picture shows when it is asked."""
    if sample.task != "find-shape":
        return sample.solutions[sample.seed % len(sample.solutions)]
    target = find_shape.target_of(prompt, sample.state["items"])
    return find_shape.from_state(sample.state, target).solutions[0]


def tapped(taps, place, layer, site, hidden):
    address = Address(place.step, place.sigma, None, place.cfg_branch, layer, site, place.token_grid)
    for tap in taps.sites:
        if tap.site == site and tap.touches(layer):
            edited = tap.function(hidden, address)
            hidden = hidden if edited is None else edited
    return hidden


def decoded(latents):
    raise AssertionError("The latent read-out decodes nothing.")


def model(layer, guidance=1.0, **options):
    """A model in which one layer decides."""
    card = Card(guidance=guidance, num_frames=17, height=96, width=96, shift=1.0, num_steps=4, dtype="float32")
    told = f"decider {layer} {sorted(options.items())}"
    return Model(LoadedModel("Decider", Decider(layer, **options), encode, decoded, None, card, told, None))
