"""`stepscope models`, `tasks`, `view`: what there is."""

import json
from pathlib import Path

import pytest

from stepscope import tasks
from stepscope.cli import main
from stepscope.models import model_names

TOYS = Path(__file__).parent / "toys.py"


def told(capsys, *argv):
    assert main(list(argv)) == 0
    return capsys.readouterr().out


def test_tasks_one_a_line(capsys):
    lines = told(capsys, "tasks").splitlines()
    assert [line.split()[0] for line in lines] == tasks.names()


def test_tasks_and_their_dials(capsys):
    found = {task["name"]: task for task in json.loads(told(capsys, "tasks", "--json"))["tasks"]}
    assert {"size", "length", "num_frames"} <= set(found["maze"]["dials"])
    assert all(task["about"] for task in found.values())


def test_models_one_a_line(capsys):
    lines = told(capsys, "models").splitlines()
    assert [line.split()[0] for line in lines] == list(model_names())
    assert [model["name"] for model in json.loads(told(capsys, "models", "--json"))["models"]] == list(model_names())


@pytest.fixture
def record(tmp_path, capsys):
    out = tmp_path / "out"
    argv = ["record", f"{TOYS}:Knows", "--task", f"{TOYS}:Fade", "--steps", "2", "--out", str(out)]
    told(capsys, *argv)
    return out


def test_view_prints_the_page(record, capsys, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    page = told(capsys, "view", str(record)).strip()
    assert Path(page).read_bytes().startswith(b"<!")
    assert json.loads(told(capsys, "view", str(record), "--json")) == {"page": page, "opened": False}


def test_view_of_an_unfinished_record(record, capsys):
    (record / "report.html").unlink()
    assert main(["view", str(record)]) == 2
    assert "resumes" in capsys.readouterr().err
