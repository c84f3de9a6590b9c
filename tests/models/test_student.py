"""The student by name: the bundled folder with its LoRA, which fits its own teacher alone."""

import json

import pytest
import tiny
import torch
from safetensors.torch import save_file

import stepscope
from stepscope.errors import BadInputError, ModelLoadError, UnknownNameError
from stepscope.models import cards, load, model_card, model_names
from stepscope.models.lora import hash_with_loras
from stepscope.models.weights import folder_hash

MATRIX = "transformer.blocks.1.attn2.to_v"


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """A teacher's folder, and where its student will lie."""
    folder, lora = tmp_path / "embedded", tmp_path / "lora.safetensors"
    tiny.pipeline("wan2.2-a14b").save_pretrained(folder)
    (folder / "card.json").write_text(json.dumps({"edition": "embedded@3", "num_steps": 20, "guidance": 1.0}))
    monkeypatch.setattr(cards, "BUNDLED_FOLDER", folder)
    monkeypatch.setattr(cards, "STUDENT_LORA", lora)
    return folder, lora


def distil(lora, teacher):
    torch.manual_seed(3)
    matrices = {"A": torch.randn(2, 24), "B": torch.randn(24, 2)}
    tensors = {f"{MATRIX}.lora_{side}.weight": matrix.half() for side, matrix in matrices.items()}
    save_file(tensors, lora, {"teacher": json.dumps(teacher)})
    return matrices["B"].half().float() @ matrices["A"].half().float()


def test_the_student_is_its_teacher_with_the_lora(bundled):
    folder, lora = bundled
    added = distil(lora, folder_hash(folder))
    teacher, student = load("embedded"), load("embedded-4step")
    weights = [model.pipeline.transformer.blocks[1].attn2.to_v.weight for model in (teacher, student)]
    torch.testing.assert_close(weights[1] - weights[0], added, rtol=1e-5, atol=1e-5)
    assert (student.name, student.card.num_steps) == ("embedded-4step@3", 4)
    assert student.weights_hash == hash_with_loras(teacher.weights_hash, {"transformer": lora})
    assert stepscope.load_model("embedded-4step@3").weights_hash == student.weights_hash
    again = load(student.reference.source, loras=dict(student.reference.loras))  # as another process would
    assert again.weights_hash == student.weights_hash
    assert model_card("embedded-4step")["bytes"] == model_card("embedded")["bytes"] + lora.stat().st_size


def test_it_is_listed_where_its_file_is(bundled):
    folder, lora = bundled
    assert "embedded-4step" not in model_names()
    with pytest.raises(ModelLoadError, match=r"The student 'embedded-4step' is not in this build\. recipes/student"):
        load("embedded-4step")
    distil(lora, folder_hash(folder))
    assert model_names()[:2] == ["embedded", "embedded-4step"]
    with pytest.raises(UnknownNameError, match="embedded-4step, embedded-4step@3"):
        load("embedded-4step@2")


def test_a_student_of_other_weights_is_refused(bundled):
    _, lora = bundled
    distil(lora, "abc" * 20)
    with pytest.raises(ModelLoadError, match=r"was distilled from weights abcabcabcabc, and those here are"):
        load("embedded-4step")


def test_a_student_takes_no_further_lora(bundled):
    folder, lora = bundled
    distil(lora, folder_hash(folder))
    with pytest.raises(BadInputError, match=r"LoRAs came for \['transformer'\] of a student"):
        load("embedded-4step", loras={"transformer": lora})
    with pytest.raises(BadInputError, match="Only a hub id has revisions"):
        load("embedded-4step", revision="main")
