"""Conditions laid side by side are those of samples encoded together, and each row is answered as if it were alone."""

import numpy as np
import pytest
import torch

from closed_form import Ring
from models.tiny import STYLES, TinySample, cogvideox_pipeline, ltx_pipeline, picture, pipeline
from stepscope import load_model
from stepscope.denoise import Taps, initial_latents, paper_grid

PROMPTS = ("a red ball rolls", "down", "a ball")
FAMILIES = {
    **{style: lambda style=style: pipeline(style) for style in STYLES},
    "ltx": ltx_pipeline,
    "cogvideox": cogvideox_pipeline,
}


@pytest.fixture(scope="module", params=FAMILIES)
def denoiser(request):
    return load_model(FAMILIES[request.param]()).loaded.denoiser


def sample(prompt):
    return TinySample(prompt, picture(len(prompt)), 9)


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_side_by_side_is_together(denoiser, guidance):
    samples = [sample(prompt) for prompt in PROMPTS]
    alone = [denoiser.condition([each], guidance, "blurry") for each in samples]
    expected, collated = denoiser.condition(samples, guidance, "blurry"), denoiser.collate(alone)
    assert vars(collated).keys() == vars(expected).keys()
    for name, value in vars(expected).items():
        assert same(getattr(collated, name), value), name


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_rows_of_different_samples_are_answered_as_if_alone(denoiser, guidance):
    samples, grid = [sample(prompt) for prompt in PROMPTS], paper_grid(4, 5.0)
    latents = torch.stack([initial_latents(row, denoiser.latents_shape(each)) for row, each in enumerate(samples)])
    alone = [denoiser.condition([each], guidance, None) for each in samples]
    told = denoiser.predict(latents, 1, grid, denoiser.collate(alone), guidance, Taps())
    for row, condition in enumerate(alone):
        expected = denoiser.predict(latents[row : row + 1], 1, grid, condition, guidance, Taps())
        scale = expected.velocity.abs().max()
        assert (told.velocity[row] - expected.velocity[0]).abs().max() <= 1e-5 * scale
        assert told.model_calls == 3 * expected.model_calls


def test_a_live_denoiser_is_given_every_sample():
    denoiser = load_model(Ring()).loaded.denoiser
    samples = [TinySample(prompt, np.zeros((8, 8, 3), np.uint8)) for prompt in PROMPTS]
    alone = [denoiser.condition([each], 1.0, None) for each in samples]
    assert denoiser.collate(alone) == tuple(samples)
