"""CogVideoX's frames and latents, and what it refuses."""

import numpy as np
import pytest
import tiny
import torch
from cogvideox_stock import GRID, SAMPLE, called, noise

from stepscope.denoise import (
    Run,
    denoise,
    paper_grid,
)
from stepscope.errors import BadInputError, ModelLoadError, PlanError
from stepscope.models import CogVideoXDenoiser, fit_image, load, solver_named
from stepscope.models.cards import folder_card


@pytest.mark.parametrize("version", GRID)
def test_decoding_is_the_pipelines_own(version):
    pipeline = tiny.cogvideox_pipeline(version)
    denoiser = CogVideoXDenoiser(pipeline)
    latents = noise(denoiser)
    stock = called(pipeline, 1.0, latents, output_type="np")[0]
    frames = denoiser.codec.decode(called(pipeline, 1.0, latents)[0])
    assert frames.shape == (9, 32, 48, 3)
    assert np.array_equal(frames, (stock * 255).round().astype(np.uint8))


@pytest.mark.parametrize("version", GRID)
def test_encoding_takes_the_mode(version):
    pipeline = tiny.cogvideox_pipeline(version)
    codec = CogVideoXDenoiser(pipeline).codec
    video = np.stack([tiny.picture(seed, 32, 48) for seed in range(9)])
    latents = codec.encode(video)
    assert latents.shape == codec.latents_shape(9, 32, 48)
    with torch.no_grad():
        mode = pipeline.vae.encode(torch.from_numpy(video).permute(3, 0, 1, 2)[None] / 255 * 2 - 1).latent_dist.mode()
    torch.testing.assert_close(latents[:, -3:], 0.7 * mode[0], rtol=1e-5, atol=1e-5)
    assert torch.equal(latents[:, 0], latents[:, codec.padding])


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (tiny.TinySample(first_frame=tiny.picture(0, 40, 32)), ["40x32", "multiples of 16x16", "32x32"]),
        (tiny.TinySample(num_frames=5), ["5", "8n+1", "1 or 9"]),
        (tiny.TinySample(prompt=" "), ["empty"]),
    ],
    ids=["size", "frames", "prompt"],
)
def test_what_a_model_cannot_take(sample, words):
    with pytest.raises(BadInputError) as caught:
        CogVideoXDenoiser(tiny.cogvideox_pipeline()).latents_shape(sample)
    assert all(word in str(caught.value) for word in words)


def test_learned_positions_are_of_one_size():
    codec = CogVideoXDenoiser(tiny.cogvideox_pipeline(learned=True)).codec
    assert codec.latents_shape(9, 32, 48) == (4, 3, 4, 6)
    with pytest.raises(BadInputError, match="only 32x48"):
        codec.latents_shape(9, 32, 32)


def test_version_1_5_has_positions_up_to_a_size():
    codec = CogVideoXDenoiser(tiny.cogvideox_pipeline("1.5")).codec
    assert codec.latents_shape(9, 16, 32) == (4, 4, 2, 4)
    with pytest.raises(BadInputError, match="up to 32x48"):
        codec.latents_shape(9, 32, 64)


@pytest.mark.parametrize(
    ("version", "learned", "size"),
    [("1.0", True, (4, 6)), ("1.0", False, (4, 6)), ("1.5", False, (4, 6)), ("1.5", False, (300, 300))],
)
def test_the_default_size_can_be_run_and_every_picture_fits(tmp_path, version, learned, size):
    """Of a folder without a card, and of a live pipeline."""
    pipeline = tiny.cogvideox_pipeline(version, learned=learned)
    rows, columns = size
    pipeline.transformer.register_to_config(sample_height=rows, sample_width=columns)
    pipeline.save_pretrained(tmp_path)
    card, codec = folder_card(tmp_path), CogVideoXDenoiser(pipeline).codec
    assert (card.num_frames, card.height, card.width) == (9, *((768, 1360) if rows == 300 else (32, 48)))
    live = load(pipeline).card
    assert (live.num_frames, live.height, live.width) == (card.num_frames, card.height, card.width)
    codec.latents_shape(card.num_frames, card.height, card.width)
    for shape in [(20, 90), (64, 64), (9, 4000)]:
        fitted = fit_image(tiny.picture(0, *shape), codec.sizes, card.height * card.width).pixels
        codec.latents_shape(9, *fitted.shape[:2])


def test_a_folder_is_loaded_with_its_family(tmp_path):
    tiny.cogvideox_pipeline("1.5", "dpm").save_pretrained(tmp_path)
    loaded = load(tmp_path, dtype="bfloat16")
    assert (loaded.pipeline.transformer.dtype, loaded.pipeline.vae.dtype) == (torch.bfloat16, torch.float32)
    run = Run(
        loaded.denoiser, loaded.denoiser.pipeline_grid(SAMPLE, 2, None), solver_named("euler"), [SAMPLE], [3], 3.0
    )
    end = denoise(run, run.start(noise(loaded.denoiser)))[1].latents
    assert end.isfinite().all()
    assert loaded.decode(end[0]).shape == (9, 32, 48, 3)


def test_schedulers_grids_and_patches_that_are_refused():
    pipeline = tiny.cogvideox_pipeline()
    denoiser = CogVideoXDenoiser(pipeline)
    with pytest.raises(PlanError, match="has none"):
        denoiser.pipeline_grid(SAMPLE, 4, 5.0)
    with pytest.raises(BadInputError, match="at least 1 step"):
        denoiser.pipeline_grid(SAMPLE, 0, None)
    with pytest.raises(PlanError, match="trained on 1000"):
        denoiser.pipeline_grid(SAMPLE, 1001, None)
    with pytest.raises(PlanError, match="cannot stand on the 'paper' grid"):
        solver_named("pipeline", pipeline.scheduler).init(paper_grid(4, 3.0))
    with pytest.raises(PlanError, match="v_prediction"):
        CogVideoXDenoiser(tiny.cogvideox_pipeline(prediction_type="epsilon"))
    pipeline.transformer.register_to_config(patch_size_t=4)
    with pytest.raises(ModelLoadError, match="temporal patches"):
        CogVideoXDenoiser(pipeline)
    pipeline.scheduler = tiny.scheduler("unipc")
    with pytest.raises(PlanError, match="CogVideoXDDIMScheduler"):
        CogVideoXDenoiser(pipeline)
