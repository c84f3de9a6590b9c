"""`stepscope run` and `stepscope experiments`: what it will take, what came of each claim, what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import stepscope
from stepscope import experiments
from stepscope.cli import main
from stepscope.cli.parser import parse

TOYS = Path(__file__).parent / "toys.py"


@pytest.fixture
def command(tmp_path):
    """A task whose samples differ, beside the model."""
    (tmp_path / "ramp.py").write_text(RAMP)
    argv = ["run", "commitment", f"{TOYS}:Knows", "--task", f"{tmp_path / 'ramp.py'}:Ramp", "--steps", "3"]
    return [*argv, "--samples", "3", "--seeds", "0", "1"]


RAMP = """
import numpy as np

from stepscope.tasks import Sample, Score


class Ramp:
    name, version, palette = "ramp", 1, {}

    def sample(self, seed, *, split="test"):
        levels = [np.linspace(60 + 20 * seed, end, 5).astype(np.uint8) for end in (0, 255)]
        videos = tuple(np.broadcast_to(level[:, None, None, None], (5, 8, 8, 3)).copy() for level in levels)
        return Sample("fade", videos[0][0], 5, task=self.name, seed=seed, solutions=videos)

    def score(self, frames, sample):
        return Score(False, 0.0)
"""


def test_the_plan_comes_first_then_a_line_a_claim(command, tmp_path, capsys):
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    captured = capsys.readouterr()
    first, *claims, last = captured.out.splitlines()
    assert first == "commitment on ramp: 3 puzzles x 2 seeds x 3 steps, 18 model calls planned"
    assert [line.split()[0] for line in claims] == list(experiments.get("commitment").emits)
    assert last == str(tmp_path / "out" / "report.html")
    assert captured.err == ""


def test_a_dry_run_only_plans(command, tmp_path, capsys):
    assert main([*command, "--dry-run", "--out", str(tmp_path / "out")]) == 0
    assert "18 model calls planned" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()
    assert main([*command, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model_calls"] == {"planned": 18, "made": 0, "naive": 18}


def test_json_is_one_object_and_the_result_is_kept(command, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*command, "--json", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("out") == str(out)
    assert told.pop("page") == str(out / "report.html")
    record = stepscope.open(out)
    assert told == record.result
    assert told["model_calls"] == {"planned": 18, "made": 18, "naive": 18}
    assert record.manifest["command"][:3] == ["stepscope", "run", "commitment"]
    assert record.manifest["command"][-1] == "DIR"


def test_another_run_is_refused_unless_it_is_overwritten(command, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")]
    assert main([*command, *out]) == 0
    capsys.readouterr()
    assert main([*command, "--shift", "2", *out]) == 2
    captured = capsys.readouterr()
    assert "another run" in captured.err
    assert captured.out == "", "it is refused before anything is promised"
    assert main([*command, "--shift", "2", "--overwrite", *out]) == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ([], "No --out came"),
        (["--samples", "0", "--out", "x"], "Samples came as 0"),
        (["--first-sample", "-1", "--out", "x"], "The first sample came as -1"),
        (["--steps", "0", "--out", "x"], "Steps came as 0"),
        (["--dial", "colour=3", "--out", "x"], "could not make sample 0"),
        (["--guidance", "nan", "--out", "x"], "guidance"),
    ],
)
def test_mistakes_are_told_in_one_line(command, more, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*command, *more]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
    assert not (tmp_path / "x").exists()


def test_an_unknown_experiment_is_refused(tmp_path, capsys):
    assert main(["run", "divination", "nothing", "--task", "maze", "--out", str(tmp_path / "out")]) == 2
    assert "Unknown experiment 'divination'" in capsys.readouterr().err


@pytest.mark.parametrize(("experiment", "option"), [("layer-energy", "has_layers"), ("ensemble", "layered")])
def test_what_a_model_settles_is_no_option(experiment, option, tmp_path, capsys):
    argv = ["run", experiment, f"{TOYS}:Knows", "--task", "maze", "--option", f"{option}=false", "--out", str(tmp_path)]
    assert main(argv) == 2
    assert f"Unknown option '{option}' of experiment '{experiment}'" in capsys.readouterr().err
    assert main(["experiments"]) == 0
    assert f"--{option.replace('_', '-')}" not in capsys.readouterr().out


def test_experiments_one_a_line_and_their_options_below(capsys):
    assert main(["experiments"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(experiments.names())
    options = {word for line in lines if line.startswith(" ") for word in line.split() if word.startswith("--")}
    known = {f"--{key.replace('_', '-')}" for name in experiments.names() for key in vars(experiments.get(name))}
    assert options == known
    assert main(["experiments", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["experiments"][0]["name"] == experiments.names()[0]


def test_it_runs_as_a_program(command, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "stepscope", *command, "--out", str(tmp_path / "out")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[0].endswith("planned")


def test_every_option_of_an_experiment_can_be_given():
    given = parse(["run", "x", "y", "--task", "z", "--mode", "add", "--option", "steps=[2,4]", "--option", "seed=3"])
    assert given.choices == {"mode": "add", "steps": (2, 4), "seed": 3}
    assert (given.steps, given.seeds) == (20, [0])
