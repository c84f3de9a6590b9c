"""`stepscope record`: what it writes, that it resumes, and that it computes once."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stepscope
from models.tiny import cogvideox_pipeline, pipeline
from stepscope.cli import main

TOYS = Path(__file__).parent / "toys.py"
FADE = ["record", f"{TOYS}:Knows", "--task", f"{TOYS}:Fade", "--sample", "3", "--steps", "4"]


def record(out, *more):
    assert main([*FADE, "--out", str(out), *more]) == 0
    return stepscope.open(out)


def same_bytes(folder):
    """The digest of everything but what may differ."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["volatile"]
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.name not in ("run.log", "manifest.json")
    )
    told = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return told | {"manifest.json": manifest}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("record") / "out"
    record(out, "--seed", "0", "1")
    return out


def test_a_folder_holds_everything(folder):
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json",
        "report.html",
        "result.json",
        "run.log",
        "table.parquet",
        "units",
    }
    assert len(list((folder / "units").iterdir())) == 2


def test_the_manifest_says_how_to_run_it_again(folder):
    manifest = stepscope.open(folder).manifest
    assert manifest["seeds"] == [0, 1]
    assert manifest["sigmas"][0] == 1
    assert manifest["sigmas"][-1] == 0
    assert manifest["command"][:2] == ["stepscope", "record"]
    assert manifest["config"]["guidance"] == 1
    assert manifest["config"]["shift"] == 5
    assert manifest["versions"]["stepscope"] == stepscope.__version__
    assert manifest["volatile"]["run_seconds"] >= 0


def test_the_result_says_what_it_cost(folder):
    result = stepscope.open(folder).result
    assert result["experiment"] == "record"
    assert result["model_calls"] == {"planned": 8, "made": 8, "naive": 8}
    assert result["metrics"]["success"] == 1
    assert [run["seed"] for run in result["metrics"]["runs"]] == [0, 1]


def test_the_ideal_observer_knows_at_every_step(folder):
    rows = stepscope.open(folder).table().to_pylist()
    known = [row["value"] for row in rows if row["metric"] == "knowledge" and row["strategy"] == "single"]
    assert len(known) == 2 * (4 + 1)  # every step, and the result
    assert max(known) < 1e-6
    model, observer = (
        [
            row["value"]
            for row in rows
            if row["metric"] == "choice" and row["strategy"] == who and row["step"] is not None
        ]
        for who in ("single", "observer-state")
    )
    np.testing.assert_allclose(model, observer, atol=1e-4)


def test_every_step_is_scored_and_shown(folder):
    trace = stepscope.open(folder).trace(seed=1)
    assert len(trace.scores) == 4
    assert trace.frames(2).shape == trace.frames().shape == (5, 8, 8, 3)
    assert trace.sample["delta"] > 0
    assert trace.scores[3]["success"] is True


def test_the_same_command_twice_computes_once(folder, tmp_path):
    before = same_bytes(folder)
    log = (folder / "run.log").read_text()
    record(folder, "--seed", "0", "1")
    assert same_bytes(folder) | {"manifest.json": None} == before | {"manifest.json": None}
    assert (folder / "run.log").read_text() == log  # no unit was made


def test_an_interrupted_run_resumes_to_the_same_bytes(folder, tmp_path):
    out = tmp_path / "out"
    record(out, "--seed", "0", "1")
    whole = same_bytes(out)
    next((out / "units").iterdir()).unlink()
    for name in ("table.parquet", "result.json", "report.html"):
        (out / name).unlink()
    record(out, "--seed", "0", "1")
    assert same_bytes(out) == whole


def test_overwrite_begins_anew(tmp_path):
    record(tmp_path / "out", "--seed", "0")
    again = record(tmp_path / "out", "--seed", "5", "--overwrite")
    assert again.manifest["seeds"] == [5]
    assert [trace.seed for trace in again.traces()] == [5]


def test_json_is_one_object(tmp_path, capsys):
    record(tmp_path / "out", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["page"] == str(tmp_path / "out" / "report.html")
    assert told["model_calls"]["made"] == 4


def test_the_last_line_is_the_page(tmp_path, capsys):
    record(tmp_path / "out")
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[-1] == str(tmp_path / "out" / "report.html")
    assert lines[-2].startswith("seed 0: solved")
    assert captured.err == ""


def test_who_knows_nothing_has_not_solved_it(tmp_path, capsys):
    argv = ["record", f"{TOYS}:Grey", "--task", f"{TOYS}:Fade", "--steps", "3", "--out", str(tmp_path / "out")]
    assert main(argv) == 0
    assert "not solved" in capsys.readouterr().out
    assert stepscope.open(tmp_path / "out").result["metrics"]["success"] == 0


def test_a_task_of_the_house_and_its_dials(tmp_path):
    argv = ["record", f"{TOYS}:Knows", "--task", f"{TOYS}:Fade", "--dial", "start=100", "--frames", "5", "--steps", "2"]
    assert main([*argv, "--out", str(tmp_path / "out")]) == 0
    held = stepscope.open(tmp_path / "out")
    assert held.manifest["config"]["dials"] == {"start": 100, "num_frames": 5}
    assert held.trace().sample["first_frame"].flat[0] == 100


@pytest.fixture(scope="module")
def wan(tmp_path_factory):
    """A tiny random pipeline as a folder, made for 32 x 32."""
    where = tmp_path_factory.mktemp("models") / "tiny-wan"
    pipeline("wan2.2-a14b").save_pretrained(where)
    card = {"guidance": 1.0, "height": 32, "width": 32, "num_frames": 5}
    (where / "card.json").write_text(json.dumps(card))
    return where


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(path)
    return path


def test_a_picture_of_ones_own(wan, photo, tmp_path, capsys):
    argv = ["record", str(wan), "--image", str(photo), "--prompt", "a red ball", "--steps", "2"]
    assert main([*argv, "--record", "token-energy", "--guidance", "2", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "resized from 50x70" in said  # aloud
    held = stepscope.open(tmp_path / "out")
    assert held.result["model_calls"]["made"] == 4  # two steps, two CFG branches
    assert "success" not in held.result["metrics"]
    trace = held.trace()
    assert trace.scores == (None, None)
    assert trace.sample["first_frame"].shape == (16, 32, 3)
    assert trace.records["token_energy"].shape[:3] == (2, 2, 2)


def test_a_picture_for_a_model_of_one_size(photo, tmp_path, capsys):
    """A folder without a card: the size is that of the positions that the transformer has learned."""
    cogvideox_pipeline(learned=True).save_pretrained(tmp_path / "model")
    argv = ["record", str(tmp_path / "model"), "--image", str(photo), "--prompt", "a red ball", "--steps", "1"]
    assert main([*argv, "--guidance", "1", "--out", str(tmp_path / "out")]) == 0
    assert "takes only 32x48. Its proportions changed." in capsys.readouterr().out
    assert stepscope.open(tmp_path / "out").trace().frames().shape == (9, 32, 48, 3)


def test_frames_that_the_vae_cannot_take(wan, photo, tmp_path, capsys):
    argv = ["record", str(wan), "--image", str(photo), "--prompt", "a red ball", "--frames", "6"]
    assert main([*argv, "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "6" in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
