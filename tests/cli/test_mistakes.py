"""A user's mistake: exit status 2, one line that says what came, nothing on stdout, nothing lost."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepscope.cli import main

TOYS = Path(__file__).parent / "toys.py"
KNOWS, FADE = f"{TOYS}:Knows", f"{TOYS}:Fade"
RECORD = ["record", KNOWS, "--task", FADE, "--steps", "2"]


@pytest.fixture
def mistake(capsys):
    """Run a command that must fail; gives the line."""

    def run(*argv):
        assert main([str(word) for word in argv]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert len(captured.err) > 40
        return captured.err

    return run


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "COMMAND"),
        (["dance"], "dance"),
        (["record", KNOWS, "--task", FADE], "--out"),
        ([*RECORD, "--out", "{out}", "--stepz", "3"], "--stepz"),
        ([*RECORD, "--out", "{out}", "--steps", "0"], "0"),
        ([*RECORD, "--out", "{out}", "--steps", "-3"], "-3"),
        ([*RECORD, "--out", "{out}", "--steps", "many"], "many"),
        ([*RECORD, "--out", "{out}", "--seed", "one"], "one"),
        ([*RECORD, "--out", "{out}", "--seed", "1,2,"], "no seed"),
        ([*RECORD, "--out", "{out}", "--seed", str(2**70)], str(2**70)),
        ([*RECORD, "--out", "{out}", "--sample", str(2**70)], str(2**70)),
        ([*RECORD, "--out", "{out}", "--guidance", "3"], "3.0"),
        ([*RECORD, "--out", "{out}", "--solver", "magic"], "magic"),
        ([*RECORD, "--out", "{out}", "--schedule", "magic"], "magic"),
        ([*RECORD, "--out", "{out}", "--shift", "0"], "0"),
        ([*RECORD, "--out", "{out}", "--guidance", "nan"], "nan"),
        ([*RECORD, "--out", "{out}", "--record", "magic"], "magic"),
        ([*RECORD, "--out", "{out}", "--record", "token-energy"], "layers"),
        ([*RECORD, "--out", "{out}", "--device", "toaster"], "toaster"),
        ([*RECORD, "--out", "{out}", "--dial", "colour=3"], "colour"),
        ([*RECORD, "--out", "{out}", "--dial", "start"], "KEY=VALUE"),
        ([*RECORD, "--out", "{out}", "--dial", "start=grey"], "grey"),
        ([*RECORD, "--out", "{out}", "--prompt", "go"], "--prompt"),
        ([*RECORD, "--out", "{out}", "--image", "x.png"], "Both"),
        (["record", KNOWS, "--out", "{out}"], "Neither"),
        (["record", KNOWS, "--task", "labyrinth", "--out", "{out}"], "labyrinth"),
        (["record", KNOWS, "--task", "maze", "--size", "99", "--out", "{out}"], "99"),
        (["record", KNOWS, "--task", "maze", "--sample", "-1", "--out", "{out}"], "-1"),
        (["record", KNOWS, "--task", "nowhere.py:Task", "--out", "{out}"], "nowhere.py"),
        (["record", KNOWS, "--task", f"{TOYS}:Nobody", "--out", "{out}"], "Nobody"),
        (["record", KNOWS, "--task", f"{TOYS}:broken", "--out", "{out}"], "out of order"),
        (["record", KNOWS, "--task", f"{TOYS}:NOT_A_TASK", "--out", "{out}"], "NOT_A_TASK"),
        (["record", KNOWS, "--task", f"{TOYS}:BrokenSample", "--out", "{out}"], "nothing here"),
        (["record", f"{TOYS}:broken", "--task", FADE, "--out", "{out}"], "out of order"),
        (["record", "nowhere.py:Model", "--task", FADE, "--out", "{out}"], "nowhere.py"),
        (["record", f"{TOYS}:Nobody", "--task", FADE, "--out", "{out}"], "Nobody"),
        (["record", "nonesuch", "--task", FADE, "--out", "{out}"], "nonesuch"),
        (["record", "./no/such/folder", "--task", FADE, "--out", "{out}"], "no/such/folder"),
        (["record", KNOWS, "--image", "nowhere.png", "--prompt", "go", "--out", "{out}"], "nowhere.png"),
        (["record", KNOWS, "--image", str(TOYS), "--prompt", "go", "--out", "{out}"], "toys.py"),
        (["record", KNOWS, "--image", "nowhere.png", "--prompt", " ", "--out", "{out}"], "prompt"),
        (["record", KNOWS, "--image", "nowhere.png", "--out", "{out}"], "prompt"),
        (["record", "nowhere/model", "--image", "x.png", "--prompt", "", "--out", "{out}"], "prompt"),
        (["record", "nowhere/model", "--image", "x.png", "--prompt", "go", "--out", "{out}"], "x.png"),
        (["generate", "nowhere/model", "--image", "x.png", "--prompt", "go", "--out", "{out}"], "x.png"),
        (["record", KNOWS, "--image", "x.png", "--prompt", "go", "--sample", "3", "--out", "{out}"], "--sample"),
        (["view", "nowhere"], "nowhere"),
    ],
    ids=lambda value: " ".join(Path(word).name for word in value)[-60:] if isinstance(value, list) else "",
)
def test_one_line_and_nothing_written(mistake, tmp_path, argv, said):
    out = tmp_path / "out"
    assert said in mistake(*(word.format(out=out) for word in argv))
    assert not out.exists()


def test_a_damaged_picture(mistake, tmp_path):
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole)
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole.read_bytes()[:2000])
    assert "cut.png" in mistake("record", KNOWS, "--image", cut, "--prompt", "go", "--out", tmp_path / "out")


def test_a_damaged_model(mistake, tmp_path, capsys):
    from models.tiny import pipeline

    folder = tmp_path / "tiny"
    pipeline("wan2.2-ti2v").save_pretrained(folder)
    weights = next(folder.glob("transformer/*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1000])
    capsys.readouterr()  # what saving said
    assert weights.name in mistake("record", folder, "--task", "maze", "--out", tmp_path / "out")


def test_another_run_is_never_overwritten(mistake, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([*RECORD, "--out", str(out)]) == 0
    capsys.readouterr()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert "--overwrite" in mistake(*RECORD, "--seed", "7", "--out", out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_foreign_files_are_left_alone(mistake, tmp_path, more):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "thesis.txt" in mistake(*RECORD, "--out", tmp_path, *more)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_where_the_folder_should_be(mistake, tmp_path):
    (tmp_path / "out").write_text("in the way")
    assert "out" in mistake(*RECORD, "--out", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "in the way"


def test_a_scorer_that_fails(mistake, tmp_path, capsys):
    main(["record", KNOWS, "--task", f"{TOYS}:BrokenScore", "--steps", "2", "--out", str(tmp_path / "out")])
    captured = capsys.readouterr()
    assert "no luck at all" in captured.err
    assert captured.err.count("\n") == 1


def test_a_disk_that_is_full(tmp_path):
    """A process may write 20 kB a file: what a full disk does, at the same place in the system."""
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "from stepscope.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    argv = [*RECORD, "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-B", "-c", program, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Cannot write" in done.stderr
    assert list((tmp_path / "out" / "units").iterdir()) == []


def test_a_bug_of_ours_is_told_as_one(monkeypatch, capsys):
    from stepscope.cli import tasks

    monkeypatch.setattr(tasks, "run", lambda options: 1 / 0)
    assert main(["tasks"]) == 1
    assert capsys.readouterr().err.startswith("A bug in stepscope: ZeroDivisionError")


def test_an_interruption_is_no_bug(monkeypatch, capsys):
    from stepscope.cli import tasks

    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(tasks, "run", interrupted)
    assert main(["tasks"]) == 130
    assert "resumes" in capsys.readouterr().err


def test_tracebacks_are_shown_with_debug_alone(capsys):
    assert main(["view", "nowhere", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err
