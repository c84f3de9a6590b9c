"""Offload: what waits on the CPU comes when it is called, one after the other, and no number changes."""

import pytest
import tiny
import torch

import stepscope
from stepscope.denoise import Run, denoise, initial_latents
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.models import load, solver_named
from stepscope.models.offload import OFFLOADS, Turns, check_offload, in_tiles, settle

CPU = torch.device("cpu")  # where both ends of every move lie in these tests
PIPELINES = {
    "wan2.1": lambda: tiny.pipeline("wan2.1", "unipc"),
    "wan2.2-a14b": lambda: tiny.pipeline("wan2.2-a14b", "unipc"),
    "wan2.2-ti2v": lambda: tiny.pipeline("wan2.2-ti2v", "unipc"),
    "ltx": tiny.ltx_pipeline,
    "cogvideox": tiny.cogvideox_pipeline,
}
SAMPLE = tiny.TinySample()


def taken(pipeline):
    """A run on the pipeline's own grid, of a video that every family takes."""
    sample = tiny.TinySample(
        first_frame=tiny.picture(1, 32, 48 if "CogVideoX" in type(pipeline).__name__ else 32), num_frames=9
    )
    model = stepscope.load_model(pipeline)
    return model.denoise(sample, num_steps=3, guidance=3.0, solver="pipeline", schedule="pipeline", negative_prompt="a")


@pytest.mark.parametrize("offload", ["model", "group"])
@pytest.mark.parametrize("family", PIPELINES)
def test_offload_changes_no_number(family, offload):
    plain, settled = taken(PIPELINES[family]()), taken(settle(PIPELINES[family](), CPU, offload))
    assert torch.equal(plain.latents, settled.latents)
    assert (plain.frames() == settled.frames()).all()


@pytest.mark.parametrize("offload", ["model", "group"])
@pytest.mark.parametrize("style", tiny.STYLES)
def test_the_loop_is_the_pipelines_own_call_under_offload(style, offload):
    from PIL import Image

    pipeline = settle(tiny.pipeline(style, "unipc"), CPU, offload)
    denoiser = load(pipeline).denoiser
    grid = denoiser.pipeline_grid(SAMPLE, 4, None)
    run = Run(denoiser, grid, solver_named("pipeline", pipeline.scheduler), [SAMPLE], [3], 3.0, "blurry")
    latents = initial_latents(3, denoiser.latents_shape(SAMPLE))[None]
    ours = denoise(run, run.start(latents))[1].latents
    stock = pipeline(
        image=Image.fromarray(SAMPLE.first_frame), prompt=SAMPLE.prompt, negative_prompt="blurry", height=32, width=32,
        num_frames=5, num_inference_steps=4, guidance_scale=3.0, latents=latents, output_type="latent",
    ).frames  # fmt: skip
    assert torch.equal(ours, stock)
    assert torch.equal(denoise(run, run.start(latents))[1].latents, stock)  # and again, after the experts' turn


def test_one_at_a_time_whatever_the_order(monkeypatch):
    """Two runs one after the other: the second begins while the low-noise expert is still there."""
    pipeline = settle(tiny.pipeline("wan2.2-a14b", "unipc"), CPU, "model")
    seen, come = [], Turns.come
    monkeypatch.setattr(Turns, "come", lambda self, name: seen.append(name) or come(self, name))
    model = stepscope.load_model(pipeline)
    for _ in range(2):
        model.denoise(SAMPLE, num_steps=3, guidance=1.0).frames()
    once = [name for name, before in zip(seen, [None, *seen], strict=False) if name != before]
    assert once == ["text_encoder", "transformer", "transformer_2"] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a place that is not the CPU")
def test_who_comes_takes_the_place_of_who_was_there():
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    kept = {name: [weight.data for weight in network.parameters()] for name, network in (("a", first), ("b", second))}
    turns = Turns(torch.device("cuda"))
    turns.join("a", first)
    turns.join("b", second)
    for name, here, away in (("a", first, second), ("b", second, first), ("a", first, second)):
        turns.come(name)
        assert turns.resident == name
        assert {weight.device.type for weight in here.parameters()} == {"cuda"}
        assert {weight.device.type for weight in away.parameters()} == {"cpu"}
    turns.come("b")
    assert all(weight.data_ptr() == own.data_ptr() for weight, own in zip(first.parameters(), kept["a"], strict=True))


def test_what_waits_is_not_copied_and_the_vae_stays():
    pipeline = tiny.pipeline("wan2.2-a14b")
    before = {name: weight.data_ptr() for name, weight in pipeline.transformer.named_parameters()}
    settle(pipeline, CPU, "model")
    taken(pipeline)
    assert {name: weight.data_ptr() for name, weight in pipeline.transformer.named_parameters()} == before
    assert not pipeline.vae._forward_pre_hooks


def test_taps_read_the_same_under_group_offload():
    from stepscope.recorders import TokenEnergy

    energies = []
    for pipeline in (tiny.pipeline("wan2.2-a14b"), settle(tiny.pipeline("wan2.2-a14b"), CPU, "group")):
        trace = stepscope.load_model(pipeline).denoise(SAMPLE, num_steps=2, guidance=3.0, recorders=[TokenEnergy()])
        energies.append(trace.records["token_energy"])
    assert (energies[0] == energies[1]).all()


def test_decoding_in_tiles_leaves_the_vae_as_it_was():
    pipeline = tiny.pipeline("wan2.1")
    pipeline.vae.tile_sample_min_height = pipeline.vae.tile_sample_min_width = 32
    pipeline.vae.tile_sample_stride_height = pipeline.vae.tile_sample_stride_width = 24
    model = load(pipeline)
    latents = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = []

    def decode(given):
        seen.append(pipeline.vae.use_tiling)
        return model.decode(given)

    whole, tiled = model.decode(latents), in_tiles(pipeline.vae, decode)(latents)
    assert seen == [True]
    assert not pipeline.vae.use_tiling
    assert whole.shape == tiled.shape
    assert (whole != tiled).any()  # the seams: why this is done only where memory asks for it
    with pytest.raises(ZeroDivisionError):
        in_tiles(pipeline.vae, lambda latents: 1 / 0)(latents)
    assert not pipeline.vae.use_tiling


def test_a_small_video_is_one_tile():
    pipeline = tiny.pipeline("wan2.1")
    model, latents = load(pipeline), torch.randn(4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert (model.decode(latents) == in_tiles(pipeline.vae, model.decode)(latents)).all()


@pytest.mark.parametrize(
    ("offload", "device", "error", "words"),
    [
        ("sequential", "cuda", UnknownNameError, "none"),
        ("model", "cpu", BadInputError, "needs an accelerator"),
        ("group", "cpu", BadInputError, "needs an accelerator"),
    ],
)
def test_what_cannot_be_offloaded(offload, device, error, words):
    with pytest.raises(error, match=words) as caught:
        check_offload(offload, torch.device(device))
    assert "\n" not in str(caught.value)


def test_groups_need_accelerate(monkeypatch):
    import importlib.util

    from stepscope.models import offload

    check_offload("group", torch.device("cuda"))
    find = importlib.util.find_spec
    monkeypatch.setattr(offload, "find_spec", lambda name: None if name == "accelerate" else find(name))
    check_offload("model", torch.device("cuda"))
    with pytest.raises(BadInputError, match="pip install accelerate"):
        check_offload("group", torch.device("cuda"))


def test_it_is_refused_before_anything_is_loaded(tmp_path):
    with pytest.raises(BadInputError, match="needs an accelerator"):
        load(tmp_path / "nothing" / "here", offload="model")
    with pytest.raises(UnknownNameError, match=", ".join(sorted(OFFLOADS))):
        load(tiny.pipeline("wan2.1"), offload="all")


def test_a_live_model_stays_where_it_is():
    with pytest.raises(PlanError, match="stays where it is"):
        load(tiny.pipeline("wan2.1"), device="meta", offload="model")
