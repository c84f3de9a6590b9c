"""`stepscope generate`: what a strategy costs is said before and after, the answer is kept, mistakes are one line."""

import json
from pathlib import Path

import numpy as np
import pytest

import stepscope
from stepscope.cli import main

TOYS = Path(__file__).parent / "toys.py"
ASK = ["generate", f"{TOYS}:Knows", "--task", f"{TOYS}:Fade", "--steps", "4"]
RULES = """
def dark():
    return lambda frames, sample: -float(frames.mean())


def darkest(frames, sample):
    return -float(frames.mean())
"""


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_calls_are_said_before_and_after(out, capsys):
    words = ["--strategy", "prune", "--seeds", "0", "1", "2", "--look", "1", "--keep", "2"]
    assert main([*ASK, *words, "--out", str(out)]) == 0
    first, *looks, verdict, page = capsys.readouterr().out.splitlines()
    assert first == "prune: 3 seeds, 4 steps, 9 model calls planned"
    assert [line.split(":")[0] for line in looks[:3]] == [f"seed {seed} at step 0" for seed in range(3)]
    assert [" in the end: multiplicity " in line for line in looks[3:]] == [True, True]
    assert sum(line.endswith(", kept") for line in looks) == 2 + 1
    assert verdict.endswith(": solved; 9 model calls")
    assert Path(page).read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "calls"),
    [
        ([], 4),
        (["--strategy", "best-of"], 8 * 4),
        (["--strategy", "prune", "--look", "2", "--verifier", "oracle"], 8 * 2 + 2),
        (["--strategy", "ensemble", "--merge", "velocity", "--merge-steps", "0", "1"], 3 * 2 + 2),
    ],
)
def test_json_is_one_object_and_the_answer_is_kept(words, calls, out, capsys):
    assert main([*ASK, *words, "--json", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model_calls"]["made"] == told["model_calls"]["planned"] == calls
    assert told["metrics"]["success"] is True
    record = stepscope.open(out)
    assert record.manifest["config"]["experiment"] == "generate"
    assert record.manifest["config"]["strategy"] == told["metrics"]["strategy"]
    assert record.manifest["command"][-1] == "DIR"
    (trace,) = record.traces()
    assert trace.frames().shape == (5, 8, 8, 3)
    assert trace.seed == told["metrics"]["seed"]
    rows = {row["metric"]: row for row in record.table().to_pylist()}
    assert rows["model_calls"]["value"] == calls
    assert rows["success"]["strategy"] == told["metrics"]["strategy"]
    if told["metrics"]["looks"]:
        previews = np.asarray(trace.records["looks"])
        assert previews.shape == (len(told["metrics"]["looks"]), 5, 8, 8, 3)
        assert previews.dtype == np.uint8


def test_the_same_command_reads_what_it_made(out, capsys):
    command = [*ASK, "--strategy", "prune", "--json", "--out", str(out)]
    assert main(command) == 0
    first = capsys.readouterr().out
    files = {path: path.read_bytes() for path in out.rglob("*.parquet")} | {out / "result.json": None}
    units = {path: path.stat().st_mtime_ns for path in (out / "units").iterdir()}
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert {path: path.stat().st_mtime_ns for path in (out / "units").iterdir()} == units
    assert all(before is None or path.read_bytes() == before for path, before in files.items())
    assert main([*command, "--look", "2"]) == 2
    assert "another run" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["dark", "darkest"])
def test_a_verifier_of_ones_own(out, tmp_path, capsys, name):
    rules = tmp_path / "rules.py"
    rules.write_text(RULES)
    words = ["--strategy", "best-of", "--verifier", f"{rules}:{name}", "--json", "--out", str(out)]
    assert main([*ASK, *words]) == 0
    told = json.loads(capsys.readouterr().out)["metrics"]
    assert told["verifier"] == "own"
    assert told["answer"] == "black"
    rules.write_text(RULES.replace("-float", "+float"))
    assert main([*ASK, *words]) == 2  # another rule is another run
    assert main([*ASK, *words, "--overwrite"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["answer"] == "white"


def test_a_seed_that_is_named_twice_is_run_twice(out, capsys):
    words = ["--strategy", "ensemble", "--merge", "latents", "--seeds", "5", "5,5"]
    assert main([*ASK, *words, "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith("ensemble: 3 seeds, 4 steps, 6 model calls planned")
    (copies,) = stepscope.open(out).traces()
    assert main([*ASK, "--seed", "5", "--overwrite", "--out", str(out)]) == 0
    (alone,) = stepscope.open(out).traces()
    assert np.array_equal(copies.latents, alone.latents)


def test_a_picture_needs_no_scorer(out, tmp_path, capsys):
    from PIL import Image

    Image.new("RGB", (8, 8), (128, 128, 128)).save(tmp_path / "grey.png")
    words = [
        "--image",
        str(tmp_path / "grey.png"),
        "--prompt",
        "go",
        "--frames",
        "5",
        "--steps",
        "2",
        "--out",
        str(out),
    ]
    assert main(["generate", f"{TOYS}:Grey", "--strategy", "best-of", "--seed", "1,2", *words]) == 0
    assert "not scored; 4 model calls" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--look", "2"], "--look came with --strategy single. It belongs to prune. Leave it out"),
        (["--strategy", "prune", "--merge", "mlp"], "--merge came with --strategy prune. It belongs to ensemble."),
        (
            ["--strategy", "best-of", "--keep", "2"],
            "--keep came with --strategy best-of. It belongs to prune, ensemble",
        ),
        (["--verifier", "rule"], "--verifier came with --strategy single."),
        (["--strategy", "prune", "--verifier", "rule"], "Verifier 'rule' was asked for. Task 'fade' has no rule"),
        (["--strategy", "prune", "--verifier", "luck"], "Unknown verifier 'luck'. Known: agreement,"),
        (["--strategy", "prune", "--look", "4"], "look came as 4 in a run of 4 steps."),
        (["--strategy", "ensemble"], "MergeLayers came for a model without layers."),
        (["--strategy", "ensemble", "--merge", "minds"], "Unknown merge 'minds'."),
        (["--strategy", "ensemble", "--merge", "latents", "--merge-steps", "4"], "MergeLatents has steps up to 4."),
        (["--strategy", "ensemble", "--merge", "latents", "--verifier", "luck"], "Unknown verifier 'luck'. Known:"),
        (["--strategy", "single", "--seeds", "1", "2"], "Strategy 'single' came with 2 seeds."),
        (["--strategy", "magic"], "Argument --strategy: invalid choice: 'magic'"),
        (["--image", "x.png"], "Both --task and --image came."),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(words, told, out, capsys):
    assert main([*ASK, *words, "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(told)
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not out.exists()
