"""`stepscope estimate`: the promised JSON, lines for people, and one line for what cannot be."""

import json
from functools import partial

import pytest

from models.tiny import cogvideox_pipeline, ltx_pipeline, pipeline
from stepscope.cli import main

SIZE = ["--frames", "5", "--height", "32", "--width", "32"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "wan"
    pipeline("wan2.2-a14b").save_pretrained(path)
    return str(path)


@pytest.fixture
def said(capsys):
    def run(*argv):
        capsys.readouterr()
        assert main(["estimate", *argv]) == 0
        return capsys.readouterr().out

    return run


def test_the_promised_keys(said, folder):
    found = json.loads(said(folder, *SIZE, "--steps", "3", "--seed", "1", "2", "--guidance", "4", "--json"))
    assert set(found) == {"parameters", "model_calls", "tokens", "recorded_bytes", "peak_bytes", "seconds"}
    assert found["model_calls"] == 3 * 2 * 2
    assert found["tokens"] == 2 * 2 * 2
    assert isinstance(found["peak_bytes"], int)
    assert found["seconds"] is None


def test_offload_takes_less(said, folder):
    none, model = (
        json.loads(said(folder, *SIZE, "--offload", kind, "--json"))["peak_bytes"] for kind in ("none", "model")
    )
    assert model < none


@pytest.mark.parametrize("made", [ltx_pipeline, cogvideox_pipeline])
def test_every_family(said, tmp_path, made):
    made().save_pretrained(tmp_path)
    out = said(str(tmp_path), "--frames", "9", *SIZE[2:], "--steps", "3", "--guidance", "1")
    assert "model calls  3, of " in out
    assert "decode in tiles" in out


@pytest.mark.parametrize("made", [cogvideox_pipeline, partial(cogvideox_pipeline, learned=True)])
def test_a_folder_without_a_card_is_asked_in_its_own_size(said, tmp_path, made):
    made().save_pretrained(tmp_path)
    assert f"of {3 * 2 * 3} tokens each" in said(str(tmp_path), "--guidance", "1")


def test_a_timed_step(said, folder):
    found = json.loads(said(folder, *SIZE, "--steps", "2", "--guidance", "1", "--timed", "--json"))
    assert 0 < found["seconds"] < 60


def test_a_large_model_needs_no_network(said):
    out = said("Wan-AI/Wan2.2-I2V-A14B-Diffusers", "--frames", "5")
    assert "14.3 B" in out
    assert "GiB with offload model" in out


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["nonesuch"], "nonesuch"),
        (["denoiser.py:Mine"], "denoiser.py:Mine"),
        (["{folder}", *SIZE, "--frames", "6"], "4n+1"),
        (["{folder}", "--frames", "5"], "Resize it to 480x512"),
        (["{folder}", "--offload", "disk"], "disk"),
        (["{folder}", "--steps", "0"], "--steps came as 0"),
        (["{folder}", "--revision", "main"], "Only a hub id"),
    ],
)
def test_mistakes(capsys, folder, argv, word):
    assert main(["estimate", *(part.format(folder=folder) for part in argv)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert word in captured.err
