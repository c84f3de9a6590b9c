"""Noise depends on (seed, step, frame), and on nothing else."""

import pytest
import torch

from stepscope.denoise import INITIAL, initial_latents, latents_noise, noise


@pytest.mark.parametrize(
    ("address", "golden"),
    [
        ((0, 0, 0), [-1.24897, -1.09461, -1.81131]),
        ((0, INITIAL, 0), [0.07267, -1.06347, -0.59642]),
        ((7, 3, 2), [-0.84771, -0.93029, -0.5219]),
    ],
)
def test_golden_values(address, golden):
    torch.testing.assert_close(noise(*address, (2, 4, 4)).flatten()[:3], torch.tensor(golden), rtol=0, atol=1e-4)


def test_what_was_drawn_before_changes_nothing():
    first = noise(5, 2, 1, (3, 4, 4))
    torch.manual_seed(0)
    torch.randn(100)
    noise(6, 2, 1, (3, 4, 4))
    assert torch.equal(noise(5, 2, 1, (3, 4, 4)), first)


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    latents_noise(1, 2, (3, 2, 4, 4))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_each_of_seed_step_and_frame_matters():
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (0, -1, 0), (11, 1, 0), (1, 11, 0)]
    draws = torch.stack([noise(*place, (64,)) for place in places])
    assert len(torch.unique(draws, dim=0)) == len(places)


def test_a_longer_video_begins_with_the_noise_of_a_shorter_one():
    assert torch.equal(initial_latents(4, (3, 7, 2, 2))[:, :2], initial_latents(4, (3, 2, 2, 2)))
    assert torch.equal(latents_noise(4, 9, (3, 2, 2, 2))[:, 1], noise(4, 9, 1, (3, 2, 2)))


def test_it_is_standard_normal():
    draw = noise(0, 0, 0, (100_000,))
    assert abs(float(draw.mean())) < 0.02
    assert abs(float(draw.std()) - 1) < 0.02
    assert draw.dtype == torch.float32
