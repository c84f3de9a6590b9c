"""The repository: small files, no stranger's paths, no drawers without a name."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 400
MAX_TRACKED_BYTES = 48 * 2**20
UNTRACKED = {"__pycache__", ".git", ".venv", "build", "dist", "runs", "shared"}
TEXT = {".py", ".md", ".toml", ".txt", ".json", ".html", ".css", ".js", ".sh", ""}
HOSTS = {"arxiv.org", "huggingface.co", "www.apache.org", "www.w3.org"}
# Written in two halves, so that this file does not hold what it looks for.
PRIVATE = ["/" + "home/", "/" + "root/", "/" + "work/"]


def ignored(path):
    parts = path.relative_to(ROOT).parts
    return any(part in UNTRACKED or part.endswith(("_cache", ".egg-info")) for part in parts) or path.suffix == ".pyc"


FILES = sorted(path for path in ROOT.rglob("*") if path.is_file() and not ignored(path))
PYTHON = [path for path in FILES if path.suffix == ".py"]
TEXTS = [path for path in FILES if path.suffix in TEXT and path.name != "LICENSE"]


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", PYTHON, ids=names(PYTHON))
def test_files_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_LINES


@pytest.mark.parametrize("path", TEXTS, ids=names(TEXTS))
def test_no_file_speaks_of_somebodys_machine(path):
    text = path.read_text(encoding="utf-8")
    assert [word for word in PRIVATE if word in text] == []
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= HOSTS


def test_no_drawers_without_a_name():
    drawers = {"utils", "util", "common", "helpers", "misc", "manager"}
    assert [path for path in names(PYTHON) if Path(path).stem.strip("_") in drawers] == []


def test_functions_are_short():
    lengths = sorted(
        node.end_lineno - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())
        for path in PYTHON
        if path.is_relative_to(ROOT / "src")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    )
    assert lengths[len(lengths) // 2] < 10
    assert lengths[-1] <= 60


def test_the_repository_travels():
    assert sum(path.stat().st_size for path in FILES) <= MAX_TRACKED_BYTES
