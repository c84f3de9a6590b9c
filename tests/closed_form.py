"""Denoisers whose answers are known, through which the instrument itself is tested.

`Gaussian` is the exact posterior mean of x_0 ~ N(mean, spread^2): its flow has the solution
x_s = (1 - s) mean + sqrt((1 - s)^2 spread^2 + s^2) x_1.  `Layered` is a small network with two layers that honours
every tap: tokens are latent cells, self-attention is a mean over the frames that may be seen.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch

from stepscope.analysis import ideal_observer
from stepscope.denoise import (
    AbstractDenoiser,
    AbstractSolver,
    Address,
    DenoisingState,
    Prediction,
    Run,
    clean_from_velocity,
    initial_latents,
    paper_grid,
    velocity_from_clean,
)


@dataclass(frozen=True)
class Puzzle:
    prompt: str = "go"
    first_frame: np.ndarray = field(default_factory=lambda: np.full((8, 8, 3), 128, np.uint8))
    num_frames: int = 5


class Gaussian(AbstractDenoiser):
    """x_0 ~ N(mean, spread^2) in every cell; the unconditional forward believes in mean 0."""

    num_layers = 0
    device = torch.device("cpu")

    def __init__(self, mean: float = 0.7, spread: float = 0.4, shape: tuple[int, int, int, int] = (3, 2, 4, 4)):
        self.mean, self.spread, self.shape = mean, spread, shape

    def latents_shape(self, sample):
        return self.shape

    def condition(self, samples, guidance, negative_prompt):
        return None

    def expert(self, grid, step, boundary=None):
        return None

    def predict(self, latents, step, grid, condition, guidance, taps):
        sigma = grid.sigma(step)
        cond = self.estimate(latents, sigma, self.mean)
        velocity, calls = velocity_from_clean(latents, cond, sigma), 1
        if guidance != 1:
            uncond = velocity_from_clean(latents, self.estimate(latents, sigma, 0.0), sigma)
            velocity, calls = uncond + guidance * (velocity - uncond), 2
        clean = clean_from_velocity(latents, velocity, sigma)
        return Prediction(velocity, clean, cond, calls * len(latents), velocity)

    def finish(self, latents, condition):
        return latents

    def estimate(self, latents, sigma, mean):
        gain = (1 - sigma) * self.spread**2 / ((1 - sigma) ** 2 * self.spread**2 + sigma**2)
        return mean + gain * (latents - (1 - sigma) * mean)

    def solution(self, start):
        return self.mean + self.spread * start


class Layered(AbstractDenoiser):
    """Two layers with every site, CFG by prompt, a first frame that matters."""

    num_layers = 2
    device = torch.device("cpu")
    shape = (3, 2, 2, 2)

    def __init__(self):
        self.conditioned = 0

    def latents_shape(self, sample):
        return self.shape

    def condition(self, samples, guidance, negative_prompt):
        self.conditioned += 1
        cond = torch.tensor([len(s.prompt) + s.first_frame.mean() / 255 for s in samples], dtype=torch.float32)
        return {"cond": cond, "uncond": torch.full((len(samples),), float(len(negative_prompt or "")))}

    def expert(self, grid, step, boundary=None):
        return "high_noise" if grid.sigma(step) > 0.9 else "low_noise"

    def predict(self, latents, step, grid, condition, guidance, taps):
        sigma = grid.sigma(step)
        cond = self.forward(latents, step, grid, "cond", condition, taps)
        velocity, calls = cond, 1
        if guidance != 1:
            uncond = self.forward(latents, step, grid, "uncond", condition, taps)
            velocity, calls = uncond + guidance * (cond - uncond), 2
        clean = clean_from_velocity(latents, velocity, sigma)
        return Prediction(velocity, clean, clean_from_velocity(latents, cond, sigma), calls * len(latents), velocity)

    def finish(self, latents, condition):
        return latents

    def forward(self, latents, step, grid, cfg_branch, condition, taps):
        tokens = (latents + condition[cfg_branch].to(latents)[:, None, None, None, None]).flatten(2).transpose(1, 2)
        for layer in range(self.num_layers):
            place = Address(step, grid.sigma(step), self.expert(grid, step), cfg_branch, layer, None, self.shape[1:])
            tokens = self.tapped(taps, place, "resid_pre", tokens)
            tokens = tokens + self.tapped(taps, place, "self_attn", self.attention(tokens, place, taps))
            tokens = tokens + self.tapped(taps, place, "cross_attn", 0.1 * torch.cos(tokens))
            tokens = tokens + self.tapped(taps, place, "mlp", torch.sin(tokens))
            tokens = self.tapped(taps, place, "block", tokens / 2)
        return tokens.transpose(1, 2).reshape(latents.shape)

    def attention(self, tokens, place, taps):
        frames = self.shape[1]
        see = torch.ones(frames, frames, dtype=torch.bool)
        for mask in taps.masks:
            given = mask(place)
            see = see if given is None else see & given
        means = tokens.unflatten(1, (frames, -1)).mean(2)
        seen = (see.to(tokens) / see.sum(1, keepdim=True)) @ means
        return seen.repeat_interleave(tokens.shape[1] // frames, dim=1)

    @staticmethod
    def tapped(taps, place, site, hidden):
        address = Address(place.step, place.sigma, place.expert, place.cfg_branch, place.layer, site, place.token_grid)
        for tap in taps.sites:
            if tap.site == site and tap.touches(place.layer):
                edited = tap.function(hidden, address)
                hidden = hidden if edited is None else edited
        return hidden


class AdamsBashforth(AbstractSolver):
    """Two-step method: remembers the slope before, until a jump voids it."""

    name = "adams-bashforth"

    def init(self, grid):
        return None

    def step(self, state, prediction, grid, evaluate):
        slope, width = prediction.velocity, grid.sigma(state.step + 1) - grid.sigma(state.step)
        if state.solver_state is not None:
            before = grid.sigma(state.step) - grid.sigma(state.step - 1)
            slope = slope + width / before / 2 * (slope - state.solver_state)
        return DenoisingState(state.latents + width * slope, state.step + 1, prediction.velocity)

    def jump(self, solver_state, grid, step):
        return None


def make_run(denoiser, solver, *, num_steps=6, shift=3.0, seeds=(0,), sample=None, **options):
    """A run of `denoiser` from the noise of `seeds`, and the state it starts from."""
    samples = (sample or Puzzle(),) * len(seeds)
    run = Run(denoiser, paper_grid(num_steps, shift), solver, samples, tuple(seeds), **options)
    start = torch.stack([initial_latents(seed, denoiser.latents_shape(samples[0])) for seed in seeds])
    return run, run.start(start)


def slope(counts, errors):
    """The exponent p of errors ~ counts^-p, by regression on logarithms."""
    return -np.polyfit(np.log(counts), np.log(errors), 1)[0]


def falling(values):
    """Whether each value is below the one before."""
    return all(after < before for before, after in pairwise(values))


class Observer:
    """The ideal observer of one sample as a live denoiser, in pixels."""

    def __init__(self, sample):
        self.latents_shape = (3, *sample.solutions[0].shape[:3])
        self.candidates = torch.stack([pixels(frames) for frames in sample.solutions])

    def velocity(self, latents, sigma, samples):
        return (latents - ideal_observer(latents, sigma, self.candidates)[0]) / sigma


class Ring:
    """A Gaussian as a live denoiser with a codec of its own, which counts how often it is asked to decode."""

    latents_shape = (2, 5, 4, 4)

    def __init__(self):
        self.asked, self.decoded = [], 0

    def velocity(self, latents, sigma, samples):
        self.asked.append((len(latents), samples[0].prompt, sigma))
        return (latents - 0.5 * latents.tanh()) / sigma

    def encode(self, frames):
        return torch.from_numpy(frames[:, ::2, ::2, :2]).permute(3, 0, 1, 2).float() / 127.5 - 1

    def decode(self, latents):
        self.decoded += 1
        grey = ((latents.mean(0).clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
        return np.repeat(np.repeat(grey, 2, axis=1), 2, axis=2)[..., None].repeat(3, axis=-1)


def pixels(frames):
    return torch.from_numpy(frames).permute(3, 0, 1, 2).float() / 127.5 - 1
