"""Loading: every door, the same bits behind each, and one line for whatever is wrong."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tiny
import torch

from stepscope.denoise import Euler, Run, denoise, initial_latents, paper_grid
from stepscope.errors import BadInputError, ModelLoadError, PlanError, UnknownNameError
from stepscope.models import Reference, cards, load
from stepscope.models.weights import pipeline_hash

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of each style, as stock diffusers saves it."""
    root = tmp_path_factory.mktemp("saved")
    for style in ("wan2.1", "wan2.2-a14b"):
        tiny.pipeline(style, "unipc").save_pretrained(root / style)
    return root


@pytest.fixture
def damaged(saved, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(saved / "wan2.2-a14b", tmp_path / "damaged")


def result(loaded, guidance=3.0):
    sample = tiny.TinySample()
    run = Run(loaded.denoiser, paper_grid(3, 5.0), Euler(), [sample], [0], guidance)
    return denoise(run, run.start(initial_latents(0, loaded.denoiser.latents_shape(sample))[None]))[1].latents


def refused(x, **options):
    with pytest.raises((ModelLoadError, UnknownNameError, BadInputError, PlanError)) as caught:
        load(x, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("style", ["wan2.1", "wan2.2-a14b"])
def test_a_folder_holds_what_was_saved(style, saved, capfd):
    loaded, live = load(saved / style), load(tiny.pipeline(style, "unipc"))
    assert pipeline_hash(loaded.pipeline) == live.weights_hash
    assert torch.equal(result(loaded), result(load(saved / style)))
    torch.testing.assert_close(result(loaded), result(live), rtol=0, atol=1e-4)  # mapped memory is aligned otherwise
    assert loaded.name == style
    assert loaded.card.shift == 5.0
    assert loaded.reference == Reference(str(saved / style), str(saved / style))
    assert capfd.readouterr() == ("", "")


def test_codec_and_pipeline_are_there(saved):
    loaded = load(str(saved / "wan2.2-a14b"))
    frames = np.stack([tiny.picture(seed) for seed in range(5)])
    assert loaded.decode(loaded.encode(frames)).shape == frames.shape
    assert type(loaded.pipeline).__name__ == "WanImageToVideoPipeline"


def test_hashes_are_those_of_the_weights(saved, damaged):
    one = load(saved / "wan2.2-a14b").weights_hash
    (damaged / "notes").mkdir()  # what is no component neither counts nor disturbs
    shutil.copy(damaged / WEIGHTS, damaged / "notes")
    torch.save({}, damaged / "notes" / "optimizer.pt")
    assert one == load(damaged).weights_hash
    assert len(one) == 64
    live = load(tiny.pipeline("wan2.2-a14b")).weights_hash
    assert live == load(tiny.pipeline("wan2.2-a14b")).weights_hash
    assert live.startswith("state:")
    path = damaged / WEIGHTS
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert load(damaged).weights_hash != one
    pipeline = tiny.pipeline("wan2.2-a14b")
    next(pipeline.vae.parameters()).data += 1
    assert load(pipeline).weights_hash != live


def test_bfloat16_leaves_alone_what_must_stay_float32(saved):
    loaded = load(saved / "wan2.2-a14b", dtype="bfloat16")
    pipeline = loaded.pipeline
    assert pipeline.transformer.dtype == torch.bfloat16
    assert pipeline.transformer.scale_shift_table.dtype == torch.float32
    assert pipeline.transformer.condition_embedder.time_embedder.linear_1.weight.dtype == torch.float32
    assert pipeline.text_encoder.dtype == torch.bfloat16
    assert pipeline.vae.dtype == torch.float32
    assert loaded.reference.dtype == "bfloat16"
    latents = result(loaded)
    assert latents.dtype == torch.float32
    assert latents.isfinite().all()


def test_the_bundled_name_and_its_edition(saved, damaged, monkeypatch):
    monkeypatch.setattr(cards, "BUNDLED_FOLDER", damaged)
    (damaged / "card.json").write_text(json.dumps({"edition": "embedded@2", "guidance": 1.0}))
    assert load("embedded").name == load("embedded@2").name == "embedded@2"
    assert load("embedded").card.guidance == 1.0
    assert "embedded@2" in refused("embedded@7")
    assert "Only a hub id" in refused("embedded", revision="main")


SOURCE = '''
"""A denoiser of one's own."""
from dataclasses import dataclass

@dataclass
class Still:
    latents_shape: tuple = (3, 5, 8, 8)
    def velocity(self, latents, sigma, samples):
        return latents / sigma

def make():
    return Still()

def needs(argument):
    return Still()

made = Still()
number = 3
'''


def test_a_users_own_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    for name in ("Still", "make", "made"):
        loaded = load(f"{path}:{name}")
        assert loaded.name == f"mine.py:{name}"
        assert loaded.reference == Reference(f"{path}:{name}")
        assert loaded.denoiser.shape == (3, 5, 8, 8)
    one = loaded.weights_hash
    path.write_text(SOURCE + "\n")
    assert load(f"{path}:made").weights_hash != one
    assert "no 'nothing'. It has: dataclass, Still, make" in refused(f"{path}:nothing")
    assert "A function is no model" in refused(f"{path}:needs")
    assert "A int is no model" in refused(f"{path}:number")
    assert "does not exist" in refused(f"{tmp_path / 'none.py'}:make")
    path.write_text("1 / 0")
    assert "division by zero" in refused(f"{path}:make")


def test_names_and_places_that_do_not_exist(tmp_path):
    assert "Known: Lightricks/LTX-Video" in refused("imbedded")
    assert "does not exist" in refused(str(tmp_path / "none" / "at" / "all"))
    assert "does not exist" in refused("./none")
    assert "no model_index.json" in refused(tmp_path)


def test_a_hub_that_cannot_be_reached(monkeypatch):
    """No network in tests: the client itself is told that it is offline."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "the hub could not give it" in refused("nobody/nothing-of-this-name")


def test_truncated_weights(damaged):
    content = (damaged / WEIGHTS).read_bytes()
    (damaged / WEIGHTS).write_bytes(content[:-1000])
    assert f"has {len(content) - 1000} bytes, its header promises {len(content)}" in refused(damaged)
    for junk in (b"", b"\0" * 64, b"\x10\0\0\0\0\0\0\0not a json header"):
        (damaged / WEIGHTS).write_bytes(junk)
        assert "no safetensors header" in refused(damaged)


def test_pickles_are_never_opened(damaged, tmp_path):
    (damaged / WEIGHTS).rename(damaged / "transformer" / "diffusion_pytorch_model.bin")
    assert "pickled checkpoint" in refused(damaged)
    torch.save({}, tmp_path / "model.ckpt")
    assert "never opened" in refused(tmp_path / "model.ckpt")
    assert "never opened" in refused("model.pt")


def test_parts_that_are_missing(damaged):
    (damaged / WEIGHTS).unlink()
    assert "transformer has no weights" in refused(damaged)
    index = {"weight_map": {"a": "diffusion_pytorch_model-00001-of-00002.safetensors"}}
    (damaged / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    assert "00001-of-00002.safetensors is missing" in refused(damaged)
    for said in ('{"weight', '{"x": 1}', "[]"):
        (damaged / f"{WEIGHTS}.index.json").write_text(said)
        assert "index.json names no weights" in refused(damaged)
    shutil.rmtree(damaged / "text_encoder")
    (damaged / f"{WEIGHTS}.index.json").unlink()
    assert "text_encoder is missing, but model_index.json names it" in refused(damaged)


def test_classes_that_are_not_supported(damaged):
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    index = json.loads((damaged / "model_index.json").read_text())
    (damaged / "model_index.json").write_text(json.dumps({**index, "_class_name": "FluxPipeline"}))
    assert "is a FluxPipeline. Supported: CogVideoXImageToVideoPipeline, LTXImageToVideoPipeline, Wan" in refused(
        damaged
    )
    (damaged / "model_index.json").write_text("{")
    assert "corrupt" in refused(damaged)
    unet = UNet2DModel(
        sample_size=8,
        block_out_channels=(8,),
        norm_num_groups=4,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    )
    assert "is a DDPMPipeline. Supported" in refused(DDPMPipeline(unet, DDPMScheduler()))
    assert "A object is no model" in refused(object())


def test_options_that_do_not_exist(saved):
    folder = saved / "wan2.2-a14b"
    assert "the LoRA a.safetensors".lower() in refused(folder, loras={"high_noise": "a.safetensors"}).lower()
    assert "float32, bfloat16, float16" in refused(folder, dtype="int8")
    assert "Device 'tpu9' cannot be used" in refused(folder, device="tpu9")
    assert "Only a hub id has revisions" in refused(folder, revision="main")


def test_importing_the_room_does_not_import_diffusers():
    code = "import sys, stepscope.models; print({'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
