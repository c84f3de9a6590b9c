"""Estimates of the released models, from the configurations that are written down."""

import pytest
import torch

from stepscope.models.cards import model_names
from stepscope.models.configurations import configuration
from stepscope.models.estimate import estimate
from stepscope.models.meta_pipeline import networks, pipeline_on_meta, weights_of
from stepscope.models.meta_run import Blank, MetaRun
from stepscope.models.wan import WanDenoiser

A14B = "Wan-AI/Wan2.2-I2V-A14B-Diffusers"
MEASURED_EXPERT = 30.2 * 2**30  # one expert, bfloat16, one forward at 832x480x81 on an H100 80 GB, torch 2.11
TRANSFORMERS = {
    A14B: 14_288_901_184,
    "Video-Reason/VBVR-Wan2.2": 14_288_901_184,
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": 4_999_787_712,
    "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers": 16_394_878_784,
    "Lightricks/LTX-Video": 1_923_385_472,
    "THUDM/CogVideoX-5b-I2V": 5_570_479_680,
    "THUDM/CogVideoX1.5-5B-I2V": 5_571_594_880,
}


def test_one_expert_of_the_largest_model_as_measured():
    """Weights and activations of one forward at full size; what a run keeps and the VAE are not in the measure."""
    pipeline = pipeline_on_meta(configuration(A14B), torch.bfloat16)
    run = MetaRun(WanDenoiser(pipeline), Blank.of(81, 480, 832), 1.0)
    seen, activations = run.denoise(run.encode()[0])
    weights = sum(weight.nbytes for weight in weights_of(pipeline.transformer))
    assert weights + activations == pytest.approx(MEASURED_EXPERT, rel=0.02)
    assert seen.token_grid == (21, 30, 52)
    assert seen.tokens == 40 * 32_760


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_the_written_configurations_are_whole(name):
    parts = networks(pipeline_on_meta(configuration(name), torch.bfloat16))
    assert set(parts) >= {"text_encoder", "vae", "transformer"}
    assert sum(weight.numel() for weight in parts["transformer"].parameters()) == TRANSFORMERS[name]


def test_every_model_with_a_card_is_written_down():
    assert {name for name in model_names() if "/" in name} == set(TRANSFORMERS)


def test_a_released_model_of_a_small_video():
    found = estimate("Lightricks/LTX-Video", num_frames=9, height=32, width=32, num_steps=2)
    assert found.parameters["text_encoder"] == 4_762_310_656
    assert (found.latents_shape, found.tokens, found.model_calls) == ((128, 2, 1, 1), 2, 4)
