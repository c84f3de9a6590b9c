"""Estimates: what is said from a configuration is what the real model then has and does."""

import json

import pytest
import tiny
import torch

from stepscope.errors import BadInputError, ModelLoadError, UnknownNameError
from stepscope.models import load
from stepscope.models.configurations import configuration
from stepscope.models.estimate import estimate
from stepscope.models.meta_memory import peak_bytes
from stepscope.models.offload import OFFLOADS

A14B = "Wan-AI/Wan2.2-I2V-A14B-Diffusers"
MEASURED_EXPERT = 30.2 * 2**30  # one expert, bfloat16, one forward at 832x480x81 on an H100 80 GB, torch 2.11


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("saved")
    for style in tiny.STYLES:
        tiny.pipeline(style, "unipc").save_pretrained(root / style)
    return root


def of(folder, **options):
    return estimate(str(folder), **({"num_frames": 5, "height": 32, "width": 32} | options))


@pytest.fixture(scope="module")
def a14b():
    return estimate(A14B)


def test_one_expert_as_measured(a14b):
    """Weights and activations of one forward; what the run keeps and the VAE are not in the measure."""
    kept = 3 * 20 * 4 * 16 * 21 * 60 * 104
    vae = 4 * a14b.parameters["vae"]
    assert a14b.peak_bytes["model"] - kept - vae == pytest.approx(MEASURED_EXPERT, rel=0.02)


def test_the_large_model_in_numbers(a14b):
    assert a14b.parameters["transformer"] == a14b.parameters["transformer_2"] == 14_288_901_184
    assert a14b.parameters["text_encoder"] == 5_680_910_336
    assert a14b.tokens == 32_760
    assert a14b.model_calls == 40
    assert a14b.recorded_bytes["token_energy"] == 20 * 2 * 40 * 32_760 * 4
    assert estimate(A14B, num_steps=50, runs=3, guidance=1, num_frames=5).model_calls == 150
    assert a14b.peak_bytes["none"] > a14b.peak_bytes["model"] > a14b.peak_bytes["group"]


@pytest.mark.parametrize("style", tiny.STYLES)
def test_parameters_and_calls_are_those_of_the_loaded_model(saved, style):
    found, loaded = of(saved / style, num_steps=3, guidance=3.0), load(saved / style)
    for name, count in found.parameters.items():
        assert count == sum(p.numel() for p in getattr(loaded.pipeline, name).parameters())
    assert found.latents_shape == loaded.denoiser.latents_shape(tiny.TinySample())
    assert found.model_calls == 6
    assert set(found.peak_bytes) == set(OFFLOADS)


def test_recorded_bytes_are_those_of_the_records(saved):
    import stepscope
    from stepscope.recorders import TokenEnergy

    found = of(saved / "wan2.2-a14b", num_steps=2, guidance=3.0)
    model = stepscope.load_model(saved / "wan2.2-a14b")
    trace = model.denoise(tiny.TinySample(), num_steps=2, guidance=3.0, recorders=[TokenEnergy()])
    assert found.recorded_bytes["token_energy"] == trace.records["token_energy"].nbytes
    assert found.recorded_bytes["latents"] == trace.latents.nbytes
    assert found.recorded_bytes["clean_estimates"] == trace.clean_estimates.nbytes
    assert found.recorded_bytes["frames"] == 3 * trace.frames().nbytes


def test_weights_are_counted_in_their_own_number_type(saved):
    half, full = (of(saved / "wan2.2-a14b", dtype=dtype).peak_bytes["none"] for dtype in ("bfloat16", "float32"))
    pipeline = load(saved / "wan2.2-a14b", dtype="bfloat16").pipeline
    parts = [pipeline.transformer, pipeline.transformer_2, pipeline.text_encoder, pipeline.vae]
    held = sum(p.numel() * p.element_size() for part in parts for p in part.parameters())
    assert held < half < full


def test_more_frames_take_more(saved):
    short, long = of(saved / "wan2.1"), of(saved / "wan2.1", num_frames=21)
    assert long.tokens == 3 * short.tokens
    assert long.peak_bytes["none"] > short.peak_bytes["none"]


def test_live_bytes_are_counted_exactly():
    def compute():
        first = torch.empty(1000)
        second = first + 1  # 4000 + 4000
        del first
        third = second.view(10, 100) * 2  # a view is no new storage
        return third.to(torch.float64).sum()  # 4000 + 4000 + 8000

    assert peak_bytes(compute) == pytest.approx(16_000, abs=8)
    weight = torch.empty(500, 500, device="meta")
    assert peak_bytes(lambda: torch.empty(1, 500) @ weight.t(), [weight]) == 4000


def test_attention_is_not_quadratic():
    def compute():
        query = torch.empty(1, 2, 5000, 8)
        return torch.nn.functional.scaled_dot_product_attention(query, query, query)

    assert peak_bytes(compute) == 2 * 2 * 5000 * 8 * 4


def test_no_weight_is_read(saved, tmp_path):
    for path in (saved / "wan2.1").rglob("*.json"):
        copy = tmp_path / "bare" / path.relative_to(saved / "wan2.1")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    assert of(tmp_path / "bare").parameters == of(saved / "wan2.1").parameters


def test_the_written_cards_are_whole():
    for name in ("Video-Reason/VBVR-Wan2.2", "Wan-AI/Wan2.2-TI2V-5B-Diffusers", "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers"):
        assert set(configuration(name).parts) >= {"text_encoder", "vae", "transformer"}
    assert estimate("Wan-AI/Wan2.2-TI2V-5B-Diffusers", num_frames=5).parameters["transformer"] == 4_999_787_712


def test_what_cannot_be_estimated(saved, tmp_path):
    with pytest.raises(UnknownNameError, match="nonesuch"):
        estimate("nonesuch")
    with pytest.raises(UnknownNameError, match="int8"):
        of(saved / "wan2.1", dtype="int8")
    with pytest.raises(BadInputError, match="4n\\+1"):
        of(saved / "wan2.1", num_frames=6)
    with pytest.raises(BadInputError, match="0x32"):
        of(saved / "wan2.1", height=0)
    with pytest.raises(BadInputError, match="0 steps"):
        of(saved / "wan2.1", num_steps=0)
    with pytest.raises(ModelLoadError, match=r"model_index\.json"):
        of(tmp_path)
    index = {"_class_name": "WanImageToVideoPipeline", "transformer": ["diffusers", "WanTransformer3DModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelLoadError, match="no transformer"):
        of(tmp_path)


def test_offload_counts_who_is_there_together(saved):
    """With offload the VAE stays, beside one network: an encoder while a video is encoded, an expert afterwards."""
    peaks = of(saved / "wan2.2-a14b", num_steps=1).peak_bytes
    pipeline = load(saved / "wan2.2-a14b").pipeline
    vae, expert = (sum(4 * p.numel() for p in part.parameters()) for part in (pipeline.vae, pipeline.transformer))
    assert peaks["model"] >= vae + expert
    assert peaks["none"] >= vae + 2 * expert


def test_a_large_video_is_decoded_in_tiles(saved):
    """Above the size of a tile, a decoding beside an expert takes far less than a whole one."""
    small, large = (of(saved / "wan2.2-a14b", num_steps=1, height=side, width=side).peak_bytes for side in (256, 512))
    growth = {name: large[name] - small[name] for name in ("none", "model")}
    assert growth["model"] < growth["none"]


@pytest.mark.parametrize("guidance", [0, float("nan"), float("inf")])
def test_guidance_that_is_none(saved, guidance):
    with pytest.raises(BadInputError, match="Guidance came as"):
        of(saved / "wan2.1", guidance=guidance)
