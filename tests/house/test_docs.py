"""Every Python block of README and docs runs, in order, page by page, in an empty folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stepscope
from stepscope import errors

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"python", "text", "console"}
EMBEDDED = Path(stepscope.__file__).parent / "models" / "embedded"

needs_model = pytest.mark.skipif(not EMBEDDED.is_dir(), reason="the bundled model is not in this checkout")


def ids(pages):
    return [page.name for page in pages]


def script(page):
    """The Python blocks of a page, in order, each on the lines where it stands in the page."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * text.count("\n")
    for found in BLOCK.finditer(text):
        if found[1] == "python":
            first = text[: found.start(2)].count("\n")
            code = found[2].splitlines()
            lines[first : first + len(code)] = code
    return "\n".join(lines)


RUNNABLE = [page for page in PAGES if script(page).strip()]


# One process for all pages, since importing takes as long as most pages; each has names and a folder of its own.
READER = """
import json, os, sys, traceback
from pathlib import Path

told, root = {}, Path.cwd()
for page, code in json.load(sys.stdin).items():
    folder = root / page
    folder.mkdir()
    os.chdir(folder)
    try:
        exec(compile(code, page, "exec"), {"__name__": page})
    except BaseException:
        told[page] = traceback.format_exc()
(root / "told.json").write_text(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What went wrong, page by page."""
    folder = tmp_path_factory.mktemp("docs")
    asked = json.dumps({page.name: script(page) for page in RUNNABLE})
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-c", READER]
    done = subprocess.run(argv, cwd=folder, env=environment, input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "told.json").read_text())


@needs_model
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", RUNNABLE, ids=ids(RUNNABLE))
def test_python_blocks_run(page, told):
    assert told.get(page.name) is None


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_every_block_says_its_language(page):
    assert {language for language, _ in BLOCK.findall(page.read_text(encoding="utf-8"))} <= LANGUAGES


@pytest.mark.parametrize("page", PAGES, ids=ids(PAGES))
def test_links_inside_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http", "docs/img/")):  # pictures are made by a test of their own
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_error_has_its_row():
    told = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert [name for name in errors.__all__ if f"`{name}`" not in told] == []


def test_the_first_example_is_short():
    first = next(code for language, code in BLOCK.findall(PAGES[0].read_text(encoding="utf-8")) if language == "python")
    assert len([line for line in first.splitlines() if line.strip()]) <= 10
