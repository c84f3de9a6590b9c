"""Previews: exact where the codec is linear, near on a real VAE, and a value."""

import numpy as np
import pytest
import tiny
import torch

import stepscope
from stepscope.errors import BadInputError
from stepscope.models import load
from stepscope.models.preview import fit_preview, kept_matrix, preview


def video(seed, count=5, size=32):
    """Flat coloured squares that change from frame to frame."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 2, 2, 3), dtype=np.uint8)
    return colours.repeat(size // 2, axis=1).repeat(size // 2, axis=2)


def linear(mixing):
    """A codec that mixes colours of 8 x 8 blocks and of 4 frames linearly."""

    def encode(frames):
        count, height, width, _ = frames.shape
        blocks = frames.reshape(count, height // 8, 8, width // 8, 8, 3).mean(axis=(2, 4)) / 127.5 - 1
        later = blocks[1:].reshape(-1, 4, *blocks.shape[1:]).mean(axis=1)
        grouped = torch.from_numpy(np.concatenate([blocks[:1], later]))
        return (grouped @ mixing).permute(3, 0, 1, 2).float()

    return encode


def test_a_linear_codec_is_seen_exactly():
    mixing = torch.randn(3, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    encode = linear(mixing)
    matrix = fit_preview(encode, [video(seed) for seed in range(4)])
    assert matrix.shape == (7, 3)
    new = video(99, count=9)
    seen = preview(encode(new), matrix)
    assert seen.shape == (3, 4, 4, 3)
    assert seen.dtype == np.uint8
    assert np.abs(seen[0].astype(int) - new[0, ::8, ::8]).max() <= 1
    assert np.abs(seen[2] - new[5:].mean(axis=0)[::8, ::8]).max() <= 1


def test_a_real_vae_is_seen_better_than_by_its_mean():
    """A random VAE loses much; whatever it keeps, the fit is the best linear one."""
    loaded = load(tiny.pipeline("wan2.2-a14b"))
    videos = [video(seed) for seed in range(6)]
    matrix = fit_preview(loaded.encode, videos)
    seen = np.stack([preview(loaded.encode(each), matrix)[0] for each in videos]).astype(float)
    factor = 32 // seen.shape[1]
    right = np.stack(
        [each[0].reshape(32 // factor, factor, 32 // factor, factor, 3).mean(axis=(1, 3)) for each in videos]
    )
    assert np.square(seen - right).mean() < np.square(right - right.mean(axis=(0, 1, 2))).mean()


def test_the_matrix_depends_on_the_vae_alone():
    loaded = load(tiny.pipeline("wan2.2-a14b"))
    one, other = (fit_preview(loaded.encode, [video(0), video(1)]) for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("count", [1, 9, 17])
@pytest.mark.parametrize("made", [tiny.cogvideox_pipeline, lambda: tiny.cogvideox_pipeline("1.5"), tiny.ltx_pipeline])
def test_every_family_is_seen(made, count):
    """CogVideoX 1.5 has a latent frame in front that shows the first one again."""
    model = stepscope.load_model(made())
    seen = model.preview(model.encode(video(9, count)), [video(seed, count) for seed in range(4)])
    assert seen.shape == (1 + model.loaded.padding + (count - 1) // 4, 4, 4, 3)
    if model.loaded.padding:
        assert np.array_equal(seen[0], seen[1])


def test_a_matrix_is_fitted_once_for_the_same_weights_and_videos():
    calls, encode = [], linear(torch.eye(3, dtype=torch.float64))

    def counted(frames):
        calls.append(len(frames))
        return encode(frames)

    first = kept_matrix("some weights", counted, [video(0)])
    assert torch.equal(kept_matrix("some weights", counted, [video(0).copy()]), first)
    assert len(calls) == 1
    assert not torch.equal(kept_matrix("some weights", counted, [video(1)]), first)
    kept_matrix("other weights", counted, [video(0)])
    assert len(calls) == 3


def test_colours_beyond_the_range_are_cut():
    matrix = torch.tensor([[1.0, 0, 0], [0, 0, 0.5]], dtype=torch.float64)
    latents = torch.tensor([-3.0, 0.5, 3.0]).reshape(1, 1, 1, 3)
    assert preview(latents, matrix)[0, 0].tolist() == [[0, 0, 128], [128, 0, 128], [255, 0, 128]]


def test_what_cannot_be_fitted_or_shown():
    matrix = fit_preview(linear(torch.eye(3, dtype=torch.float64)), [video(0)])
    with pytest.raises(BadInputError, match="No video"):
        fit_preview(linear(torch.eye(3)), [])
    with pytest.raises(BadInputError, match="divide it evenly"):
        fit_preview(lambda frames: torch.zeros(3, 3, 4, 4), [video(0, count=4)])
    model = stepscope.load_model(tiny.pipeline("wan2.2-a14b"))
    with pytest.raises(BadInputError, match="No video"):
        model.preview(torch.zeros(4, 2, 4, 4), [])
    with pytest.raises(BadInputError, match="8-bit RGB"):
        model.preview(torch.zeros(4, 2, 4, 4), [np.zeros((5, 32, 32, 3))])
    with pytest.raises(BadInputError, match="4 channels"):
        preview(torch.zeros(4, 1, 2, 2), matrix)
