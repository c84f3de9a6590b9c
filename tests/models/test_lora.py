"""LoRAs: merged they are what diffusers' own loader makes of them, and what does not fit is refused whole."""

import json

import pytest
import tiny
import torch
from safetensors.torch import save_file

import stepscope
from stepscope.errors import BadInputError, ModelLoadError, PlanError, UnknownNameError
from stepscope.models import Reference, load
from stepscope.models.lora import hash_with_loras, merge_loras, parse_key

RANK, SCALE = 2, 0.1
OF_WAN = {
    "attn1.to_q": "self_attn.q",
    "attn1.to_out.0": "self_attn.o",
    "attn2.to_k": "cross_attn.k",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
}


def draw(transformer, seed):
    """{matrix: (A, B)} for some matrices of every block."""
    torch.manual_seed(seed)
    shapes = {name: m.weight.shape for name, m in transformer.named_modules() if name.partition(".")[2][2:] in OF_WAN}
    return {name: (torch.randn(RANK, n_in), torch.randn(n_out, RANK) * SCALE) for name, (n_out, n_in) in shapes.items()}


def diffusers_form(updates, prefix="transformer."):
    pairs = [
        (f"{prefix}{name}.lora_{side}.weight", t)
        for name, ab in updates.items()
        for side, t in zip("AB", ab, strict=True)
    ]
    return dict(pairs)


def wan_form(updates, down="lora_A.default", up="lora_B.default", prefix=""):
    found = {}
    for name, (a, b) in updates.items():
        _, number, matrix = name.split(".", 2)
        key = f"{prefix}blocks.{number}.{OF_WAN[matrix]}"
        found |= {f"{key}.{down}.weight": a, f"{key}.{up}.weight": b}
    return found


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "two-experts"
    tiny.pipeline("wan2.2-a14b").save_pretrained(folder)
    return folder


def write(path, tensors, metadata=None):
    save_file({key: tensor.clone().contiguous() for key, tensor in tensors.items()}, path, metadata)
    return path


def output(transformer):
    torch.manual_seed(5)
    return transformer(torch.randn(1, 12, 2, 4, 4), torch.tensor([500.0]), torch.randn(1, 8, 16), return_dict=False)[0]


@pytest.mark.parametrize("expert", ["high_noise", "low_noise"])
@torch.no_grad()
def test_merged_is_what_diffusers_makes_of_it(tmp_path, expert):
    pytest.importorskip("peft")
    mine, theirs = tiny.pipeline("wan2.2-a14b"), tiny.pipeline("wan2.2-a14b")
    part = "transformer_2" if expert == "low_noise" else "transformer"
    updates = draw(mine.transformer, seed=1)
    before = output(getattr(mine, part)), output(mine.transformer if expert == "low_noise" else mine.transformer_2)
    path = write(tmp_path / "lora.safetensors", diffusers_form(updates))
    merge_loras(mine, {expert: path})
    theirs.load_lora_weights(tmp_path, weight_name=path.name, load_into_transformer_2=expert == "low_noise")
    torch.testing.assert_close(output(getattr(mine, part)), output(getattr(theirs, part)), rtol=1e-6, atol=1e-6)
    theirs.fuse_lora(components=[part])
    theirs.unload_lora_weights()
    for name, weight in getattr(theirs, part).state_dict().items():
        torch.testing.assert_close(getattr(mine, part).state_dict()[name], weight, rtol=1e-6, atol=1e-6)
    assert (output(getattr(mine, part)) - before[0]).abs().max() > 1e-2
    other = mine.transformer if expert == "low_noise" else mine.transformer_2
    assert torch.equal(output(other), before[1])


FORMS = {
    "DiffSynth": wan_form,
    "of Wan, behind a prefix": lambda updates: wan_form(updates, "lora_down", "lora_up", "diffusion_model."),
    "PEFT": lambda updates: diffusers_form(updates, "base_model.model."),
    "bare": lambda updates: diffusers_form(updates, ""),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_update(tmp_path, form):
    one, other = tiny.pipeline("wan2.2-ti2v"), tiny.pipeline("wan2.2-ti2v")
    updates = draw(one.transformer, seed=2)
    merge_loras(one, {"transformer": write(tmp_path / "one.safetensors", diffusers_form(updates))})
    merge_loras(other, {"transformer": write(tmp_path / "other.safetensors", FORMS[form](updates))})
    for name, weight in one.transformer.state_dict().items():
        assert torch.equal(weight, other.transformer.state_dict()[name])


def test_alpha_scales_in_either_place(tmp_path):
    header = {"lora_adapter_metadata": json.dumps({"transformer.r": RANK, "transformer.lora_alpha": 4 * RANK})}
    updates = draw(tiny.transformer("wan2.1"), seed=3)
    alphas = {
        key.removesuffix("lora_down.weight") + "alpha": torch.tensor(4.0 * RANK)
        for key in wan_form(updates, "lora_down", "lora_up")
        if "down" in key
    }
    files = (
        write(tmp_path / "a.safetensors", diffusers_form(updates), header),
        write(tmp_path / "b.safetensors", wan_form(updates, "lora_down", "lora_up") | alphas),
        write(tmp_path / "c.safetensors", diffusers_form({name: (4 * a, b) for name, (a, b) in updates.items()})),
    )
    merged = []
    for path in files:
        pipeline = tiny.pipeline("wan2.1")
        merge_loras(pipeline, {"transformer": path})
        merged.append(pipeline.transformer.state_dict())
    for name, weight in merged[0].items():
        assert torch.equal(weight, merged[1][name])
        torch.testing.assert_close(weight, merged[2][name], rtol=1e-6, atol=1e-6)


def test_keys_of_every_part_of_wan():
    assert parse_key("blocks.0.self_attn.q.lora_A.default.weight") == ("blocks.0.attn1.to_q", "down")
    assert parse_key("transformer_2.blocks.39.attn2.add_k_proj.lora_B.weight") == ("blocks.39.attn2.add_k_proj", "up")
    assert parse_key("diffusion_model.head.head.alpha") == ("proj_out", "alpha")
    assert parse_key("blocks.0.norm3.diff") is None


def test_loading_merges_and_pins_the_finding(saved, tmp_path):
    files = {
        expert: write(tmp_path / f"{expert}_lora.safetensors", wan_form(draw(tiny.transformer("wan2.2-a14b"), seed)))
        for seed, expert in enumerate(("high_noise", "low_noise"))
    }
    plain, merged = load(saved), load(saved, loras=files)
    assert merged.weights_hash != plain.weights_hash
    assert len(merged.weights_hash) == 64
    assert load(saved, loras=dict(reversed(files.items()))).weights_hash == merged.weights_hash
    swapped = dict(zip(files, reversed(files.values()), strict=True))
    assert load(saved, loras=swapped).weights_hash != merged.weights_hash
    assert hash_with_loras("x", {}) == "x"
    assert merged.reference == Reference(str(saved), str(saved), loras=tuple((k, str(v)) for k, v in files.items()))
    trace, other = (
        stepscope.load_model(saved, loras=loras).denoise(tiny.TinySample(), num_steps=2, guidance=1)
        for loras in (files, {})
    )
    assert not torch.equal(trace.latents[-1], other.latents[-1])


def test_half_precision_is_merged_in_full(saved, tmp_path):
    """The product is added in float32: rounded once, not twice."""
    updates = draw(tiny.transformer("wan2.2-a14b"), seed=4)
    path = write(
        tmp_path / "lora.safetensors",
        diffusers_form({n: (a.bfloat16(), b.bfloat16()) for n, (a, b) in updates.items()}),
    )
    merged, plain = load(saved, dtype="bfloat16", loras={"high_noise": path}), load(saved, dtype="bfloat16")
    name, (a, b) = next(iter(updates.items()))
    weight = plain.pipeline.transformer.get_parameter(f"{name}.weight").float()
    right = (weight + b.bfloat16().float() @ a.bfloat16().float()).bfloat16()
    assert torch.equal(merged.pipeline.transformer.get_parameter(f"{name}.weight"), right)
    assert merged.pipeline.transformer.scale_shift_table.dtype == torch.float32


A, B = torch.ones(RANK, 24), torch.ones(24, RANK)
GOOD = {"blocks.0.attn1.to_q.lora_A.weight": A, "blocks.0.attn1.to_q.lora_B.weight": B}
MISFITS = {
    "is no matrix": GOOD | {"blocks.9.attn1.to_q.lora_A.weight": A, "blocks.9.attn1.to_q.lora_B.weight": B},
    "no part of a low-rank update": GOOD | {"blocks.0.norm3.diff": torch.ones(24)},
    "its update": GOOD
    | {"blocks.1.attn1.to_q.lora_A.weight": A, "blocks.1.attn1.to_q.lora_B.weight": torch.ones(25, RANK)},
    "down alone": GOOD | {"blocks.1.attn1.to_q.lora_A.weight": A},
    "two of its keys": GOOD | {"transformer.blocks.0.attn1.to_q.lora_A.weight": A},
    "one network's and another's": GOOD | {"transformer_2.blocks.1.attn1.to_q.lora_A.weight": A},
    "holds no tensor": {},
    "blocks.0.norm2 is no matrix": GOOD | {"blocks.0.norm2.lora_A.weight": A, "blocks.0.norm2.lora_B.weight": B},
}


@pytest.mark.parametrize("why", MISFITS)
def test_what_does_not_fit_is_refused_whole(tmp_path, why):
    pipeline = tiny.pipeline("wan2.2-a14b")
    before = {name: weight.clone() for name, weight in pipeline.transformer.state_dict().items()}
    good, bad = write(tmp_path / "good.safetensors", GOOD), write(tmp_path / "bad.safetensors", MISFITS[why])
    with pytest.raises(ModelLoadError, match=why) as caught:
        merge_loras(pipeline, {"high_noise": good, "low_noise": bad})
    assert "bad.safetensors" in str(caught.value)
    assert all(torch.equal(weight, before[name]) for name, weight in pipeline.transformer.state_dict().items())


def test_names_of_the_second_expert_go_there(saved, tmp_path):
    path = write(tmp_path / "second.safetensors", {f"transformer_2.{key}": tensor for key, tensor in GOOD.items()})
    plain, merged, said = (load(saved, loras=loras) for loras in ({}, {"transformer": path}, {"low_noise": path}))
    name = "blocks.0.attn1.to_q.weight"
    for part, changed in (("transformer", False), ("transformer_2", True)):
        before, after = (getattr(each.pipeline, part).get_parameter(name) for each in (plain, merged))
        assert torch.equal(before, after) != changed
    assert merged.weights_hash == said.weights_hash  # the same model, whatever it was called
    with pytest.raises(ModelLoadError, match="transformer_2, which is low_noise, and it came for high_noise"):
        load(saved, loras={"high_noise": path})
    with pytest.raises(BadInputError, match="one network"):
        load(saved, loras={"transformer": path, "low_noise": path})
    with pytest.raises(ModelLoadError, match="transformer_2, which this model lacks"):
        merge_loras(tiny.pipeline("wan2.1"), {"transformer": path})


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"transformer.lora_alpha": 4, "transformer_2.lora_alpha": 8}, "4 and 8"),
        ({"lora_alpha": "4"}, "lora_alpha as 4"),
        ({"transformer.use_dora": True, "transformer_2.use_dora": False}, "use_dora"),
    ],
    ids=str,
)
def test_headers_that_leave_a_doubt_are_refused(tmp_path, said, told):
    path = write(tmp_path / "doubt.safetensors", GOOD, {"lora_adapter_metadata": json.dumps(said)})
    with pytest.raises(ModelLoadError, match=told):
        merge_loras(tiny.pipeline("wan2.1"), {"transformer": path})


def test_files_and_experts_that_are_none(saved, tmp_path):
    good = write(tmp_path / "good.safetensors", GOOD)
    torch.save(GOOD, tmp_path / "lora.pt")
    (tmp_path / "cut.safetensors").write_bytes(good.read_bytes()[:-8])
    one = tiny.pipeline("wan2.1")
    for path, said in (
        ("lora.pt", "pickled"),
        ("cut.safetensors", "cannot be read"),
        ("none.safetensors", "cannot be"),
    ):
        with pytest.raises(ModelLoadError, match=said):
            load(saved, loras={"high_noise": tmp_path / path})
    dora = write(tmp_path / "dora.safetensors", GOOD, {"lora_adapter_metadata": '{"transformer.use_dora": true}'})
    with pytest.raises(ModelLoadError, match="use_dora"):
        load(saved, loras={"high_noise": dora})
    with pytest.raises(UnknownNameError, match="Known: high_noise, transformer"):
        merge_loras(one, {"low_noise": good})
    with pytest.raises(BadInputError, match="one network"):
        merge_loras(one, {"high_noise": good, "transformer": good})
    with pytest.raises(PlanError, match="live model"):
        load(one, loras={"high_noise": good})
