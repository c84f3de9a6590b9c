"""Frames and latents: what stock diffusers shows, rounded, and its own standardisation."""

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from stepscope.denoise import initial_latents
from stepscope.errors import BadInputError
from stepscope.models import WanCodec


def video(num_frames=5):
    return np.stack([tiny.picture(seed) for seed in range(num_frames)])


@pytest.mark.parametrize("style", tiny.STYLES)
def test_decoding_is_the_pipelines_own(style, tiny_sample):
    pipeline = tiny.pipeline(style)
    codec = WanCodec(pipeline)
    latents = initial_latents(3, codec.latents_shape(5, 32, 32))[None]

    def called(output_type):
        return pipeline(
            image=Image.fromarray(tiny_sample.first_frame),
            prompt=tiny_sample.prompt,
            height=32,
            width=32,
            num_frames=5,
            num_inference_steps=2,
            guidance_scale=1.0,
            latents=latents,
            output_type=output_type,
        ).frames[0]

    frames = codec.decode(called("latent"))
    assert frames.dtype == np.uint8
    assert np.array_equal(frames, (called("np") * 255).round().astype(np.uint8))


def test_the_first_frame_is_encoded_as_the_pipeline_conditions_on_it(tiny_sample):
    """A still image has the latents that TI2V puts at frame 0."""
    pipeline = tiny.pipeline("wan2.2-ti2v")
    pixels = pipeline.video_processor.preprocess(Image.fromarray(tiny_sample.first_frame), height=32, width=32)
    _, condition, _ = pipeline.prepare_latents(pixels, 1, 4, 32, 32, 5, torch.float32, "cpu", None, torch.empty(0))
    assert torch.equal(WanCodec(pipeline).encode(tiny_sample.first_frame[None]), condition[0])


def test_encoding_takes_the_mode_and_standardises():
    pipeline = tiny.pipeline("wan2.2-a14b")
    codec, vae = WanCodec(pipeline), pipeline.vae
    latents = codec.encode(video())
    assert latents.shape == codec.latents_shape(5, 32, 32) == (4, 2, 4, 4)
    with torch.no_grad():
        pixels = torch.from_numpy(video()).permute(3, 0, 1, 2)[None] / 255 * 2 - 1
        mode = vae.encode(pixels).latent_dist.mode()[0]
    mean, std = (torch.tensor(vae.config[key]).view(-1, 1, 1, 1) for key in ("latents_mean", "latents_std"))
    torch.testing.assert_close(latents * std + mean, mode, rtol=1e-5, atol=1e-5)
    assert torch.equal(latents, codec.encode(video()))


@pytest.mark.parametrize(("frames", "word"), [(6, "5 or 9"), (4, "1 or 5")])
def test_videos_that_the_vae_cannot_take(frames, word):
    with pytest.raises(BadInputError, match=word):
        WanCodec(tiny.pipeline("wan2.2-a14b")).encode(video(frames))
