"""Estimates: what is said from a configuration is what the real model then has, does and records."""

import json
from functools import cache

import pytest
import tiny
import torch
from torch.utils._pytree import tree_map

import stepscope
from stepscope.errors import BadInputError, ModelLoadError, UnknownNameError
from stepscope.models import load
from stepscope.models.cards import Card
from stepscope.models.configurations import configuration
from stepscope.models.estimate import estimate
from stepscope.models.loading import of_family
from stepscope.models.meta_pipeline import networks, pipeline_on_meta, weights_of
from stepscope.models.offload import OFFLOADS
from stepscope.recorders import Raw, TokenEnergy

FAMILIES = {
    "wan2.1": lambda: tiny.pipeline("wan2.1", "unipc"),
    "wan2.2-a14b": lambda: tiny.pipeline("wan2.2-a14b", "unipc"),
    "wan2.2-ti2v": lambda: tiny.pipeline("wan2.2-ti2v", "unipc"),
    "ltx": tiny.ltx_pipeline,
    "cogvideox": tiny.cogvideox_pipeline,
    "cogvideox-1.5": lambda: tiny.cogvideox_pipeline("1.5"),
}
SAMPLE = tiny.TinySample(num_frames=9)  # 32x32: what every family takes


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("saved")
    for family, made in FAMILIES.items():
        made().save_pretrained(root / family)
    return root


def of(folder, **options):
    return estimate(str(folder), **({"num_frames": 9, "height": 32, "width": 32} | options))


@pytest.fixture(scope="module")
def found(saved):
    """The estimate of each family, for 2 steps with guidance, made once."""
    return cache(lambda family: of(saved / family, num_steps=2, guidance=3, dtype="float32"))


def copied(folder, to, change=lambda path, said: said):
    """A folder without weights: its JSON files, changed."""
    for path in folder.rglob("*.json"):
        copy = to / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(json.dumps(change(path, json.loads(path.read_text()))))
    return to


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_and_records_are_those_of_the_loaded_model(saved, found, family):
    said, model = found(family), stepscope.load_model(saved / family)
    trace = model.denoise(SAMPLE, num_steps=2, guidance=3.0, recorders=[TokenEnergy(), Raw("block")])
    assert said.parameters == {
        name: sum(weight.numel() for weight in part.parameters()) for name, part in networks(model.pipeline).items()
    }
    assert said.model_calls == trace.model_calls
    assert said.latents_shape == trace.latents.shape[1:]
    assert said.tokens == trace.records["raw_block"].shape[2]
    assert said.recorded_bytes == {
        "latents": trace.latents.nbytes,
        "clean_estimates": trace.clean_estimates.nbytes,
        "frames": 3 * trace.frames().nbytes,
        "token_energy": trace.records["token_energy"].nbytes,
        "raw_block": trace.records["raw_block"].nbytes,
    }
    assert set(said.peak_bytes) == set(OFFLOADS)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("family", ["wan2.1", "wan2.2-a14b", "ltx", "cogvideox"])
def test_weights_have_the_number_types_of_the_loaded_ones(saved, family, dtype):
    made = pipeline_on_meta(configuration(str(saved / family)), getattr(torch, dtype))
    loaded = load(saved / family, dtype=dtype).pipeline
    for name, network in networks(loaded).items():
        expected = {key: weight.dtype for key, weight in network.state_dict().items()}
        assert {key: weight.dtype for key, weight in getattr(made, name).state_dict().items()} == expected
        assert sum(w.nbytes for w in weights_of(getattr(made, name))) == sum(w.nbytes for w in weights_of(network))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_wordless_condition_has_the_shape_of_a_real_one(family, guidance):
    denoiser = of_family(FAMILIES[family](), Card())
    real, wordless = denoiser.condition([SAMPLE], guidance, "blurry"), denoiser.wordless(SAMPLE, guidance)

    def outline(condition):
        return tree_map(lambda leaf: (leaf.shape, leaf.dtype) if torch.is_tensor(leaf) else leaf, vars(condition))

    assert outline(wordless) == outline(real)
    assert torch.equal(wordless.first_frame, real.first_frame)


def test_more_steps_runs_and_frames_take_more(saved, found):
    few, many = found("ltx"), of(saved / "ltx", num_steps=12, guidance=1, runs=3, num_frames=17, dtype="float32")
    assert many.model_calls == 12 * 3
    assert (few.tokens, many.tokens) == (3 * 16, 5 * 16)
    assert many.recorded_bytes["token_energy"] == 4 * 12 * 3 * 2 * many.tokens
    assert many.recorded_bytes["raw_block"] == 24 * many.recorded_bytes["token_energy"]  # one CFG branch, 24 channels
    assert many.activation_bytes["decode"] > few.activation_bytes["decode"]


@pytest.mark.parametrize("kind", ["LTXImageToVideoPipeline", "LTXPipeline"])
def test_no_weight_is_read(saved, found, tmp_path, kind):
    """LTX-Video is published as the second class."""
    bare = copied(saved / "ltx", tmp_path, lambda _, said: said | {"_class_name": kind} if "vae" in said else said)
    assert of(bare, num_steps=2, guidance=3, dtype="float32") == found("ltx")


def test_what_cannot_be_estimated(saved, tmp_path):
    with pytest.raises(UnknownNameError, match="nonesuch"):
        estimate("nonesuch")
    with pytest.raises(UnknownNameError, match="int8"):
        of(saved / "wan2.1", dtype="int8")
    with pytest.raises(BadInputError, match="4n\\+1"):
        of(saved / "wan2.1", num_frames=6)
    with pytest.raises(BadInputError, match="8n\\+1"):
        of(saved / "cogvideox", num_frames=5)
    for height in (0, -32):
        with pytest.raises(BadInputError, match=f"{height}x32"):
            of(saved / "ltx", height=height)
    with pytest.raises(BadInputError, match="0 steps"):
        of(saved / "wan2.1", num_steps=0)
    for guidance in (0, float("nan"), float("inf")):
        with pytest.raises(BadInputError, match="Guidance came as"):
            of(saved / "wan2.1", guidance=guidance)
    with pytest.raises(ModelLoadError, match=r"model_index\.json"):
        of(tmp_path)


@pytest.mark.parametrize(
    ("index", "word"),
    [
        ({"_class_name": "WanImageToVideoPipeline", "scheduler": ["diffusers", "UniPCMultistepScheduler"]}, "no vae"),
        ({"_class_name": "WanImageToVideoPipeline"}, "names no scheduler"),
        ({"_class_name": "HunyuanVideoPipeline"}, "Supported: CogVideoXImageToVideoPipeline"),
    ],
)
def test_a_folder_that_makes_no_pipeline(tmp_path, index, word):
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelLoadError, match=word):
        of(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("caption_channels", "many", "makes no model"),
        ("out_channels", 24, "do not fit each other"),
        ("patch_size", 2, "The transformer has patches"),
    ],
)
def test_configurations_that_make_no_model(saved, tmp_path, key, value, word):
    def change(path, said):
        return said | {key: value} if path.parent.name == "transformer" else said

    with pytest.raises(ModelLoadError, match=word):
        of(copied(saved / "ltx", tmp_path, change))
