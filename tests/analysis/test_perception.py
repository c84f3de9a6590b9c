"""Cells of a mask, and a scene divided into objects, motion and rest: on latents whose answer is known."""

import numpy as np
import pytest
import torch

from stepscope.analysis import cell_shares, divide_scene, latent_frames, scene_knowledge

SHAPE = (5, 4, 4)


@pytest.mark.parametrize(
    ("frames", "latent", "belongs"),
    [
        (17, 5, [0] + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4),
        (5, 5, [0, 1, 2, 3, 4]),
        (9, 2, [0] + [1] * 8),
        (3, 1, [0, 0, 0]),
        (1, 1, [0]),
    ],
)
def test_the_first_frame_stands_alone_and_the_others_are_shared_out(frames, latent, belongs):
    assert latent_frames(frames, latent).tolist() == belongs


def test_a_cell_is_covered_to_the_share_of_its_pixels_and_frames():
    mask = np.zeros((5, 8, 8), bool)
    mask[:, :2, :2] = True
    mask[3:, 4:, 4:] = True
    shares = cell_shares(mask, (2, 2, 2))
    np.testing.assert_allclose(shares, [[[0.25, 0], [0, 0]], [[0.25, 0], [0, 0.5]]])


def scene():
    """An object at rest in one corner, and something that moves along the opposite edge, one way or the other."""
    still = torch.zeros(2, *SHAPE)
    still[0, :, 0, 0] = 3
    candidates = still.repeat(2, 1, 1, 1, 1)
    candidates[0, 1, 1:, 3, :2] = 1
    candidates[1, 1, 1:, 3, 2:] = 1
    mask = np.zeros((17, 16, 16), bool)
    mask[:, :4, :4] = True
    return still, candidates, cell_shares(mask, SHAPE)


def test_a_scene_is_divided_once():
    still, candidates, shares = scene()
    found = divide_scene(candidates, still, shares)
    assert found.objects.sum() == 4
    assert found.motion.sum() == 16
    assert found.rest.sum() == 4 * 16 - 20
    assert not (found.objects | found.motion | found.rest)[0].any(), "the first frame is given"


def test_each_part_is_known_by_itself():
    still, candidates, shares = scene()
    parts = divide_scene(candidates, still, shares)
    blind, unmoved, foggy = candidates[0].clone(), still.clone(), candidates[0].clone()
    blind[0] = still[0].mean()
    foggy[1, :, 1, 1] = 1
    estimates = torch.stack([candidates[0], candidates[1], unmoved, candidates.mean(0), blind, foggy])
    found = scene_knowledge(estimates, candidates, still, parts)
    np.testing.assert_allclose(found.objects, [0, 0, 0, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(found.motion[:4], [0, 0, 1, 0.5], atol=1e-6)
    assert (found.rest > 0).tolist() == [False, False, False, False, True, True]


@pytest.mark.parametrize("missing", ["object", "motion"])
def test_what_lacks_a_part_is_not_divided(missing):
    still, candidates, shares = scene()
    if missing == "object":
        assert divide_scene(candidates, still, np.zeros_like(shares)) is None
    else:
        assert divide_scene(still.repeat(2, 1, 1, 1, 1), still, shares) is None


def test_an_object_that_is_drawn_upon_is_not_at_rest():
    still, candidates, shares = scene()
    candidates[0, 1, 3:, 0, 0] = 1
    found = divide_scene(candidates, still, shares)
    assert np.flatnonzero(found.objects.any(axis=(1, 2))).tolist() == [1, 2]
