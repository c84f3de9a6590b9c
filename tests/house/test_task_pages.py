"""A page for every task: what it says of dials and flags exists, its floors are those that were measured."""

import json
import re
import sys
from inspect import signature
from pathlib import Path

import pytest
from PIL import Image

from stepscope import tasks

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "docs" / "tasks").glob("*.md"))
ROWS = json.loads((ROOT / "benchmarks" / "floors.json").read_text())["rows"]


@pytest.fixture(scope="module")
def pages():
    sys.path.insert(0, str(ROOT / "recipes" / "findings"))
    try:
        import task_pages
    finally:
        sys.path.pop(0)
    return task_pages


def text_of(name):
    return (ROOT / "docs" / "tasks" / f"{name}.md").read_text(encoding="utf-8")


def test_every_task_has_a_page_and_the_index_knows_it(pages):
    assert sorted(NAMES) == sorted(pages.SHOWN)
    index = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"(tasks/{name}.md)" not in index] == []


@pytest.mark.parametrize("name", NAMES)
def test_dials_and_flags_are_those_of_the_task(name):
    text = text_of(name)
    dials, flags = text.split("## Dials")[1].split("## When it is right")
    named = re.findall(r"^\| `([\w-]+)` \|", dials, re.MULTILINE)
    known = [field for field in signature(tasks.get(name).sample).parameters if field not in ("seed", "split")]
    assert sorted(named) == sorted(known)
    assert set(re.findall(r"^\| `([\w-]+)` \|", flags, re.MULTILINE)) <= {"teleport", "through-wall", "scene-changed"}


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_small_and_drawn_from_the_task(name, pages):
    path = ROOT / "docs" / "tasks" / "img" / f"{name}.png"
    assert path.stat().st_size < 20_000
    seed, dials = pages.SHOWN[name]
    drawn = pages.picture(tasks.get(name).sample(seed, **dials)).convert("RGB")
    with Image.open(path) as kept:
        assert kept.convert("RGB").tobytes() == drawn.tobytes()


@pytest.mark.parametrize("name", [*NAMES, None])
def test_floors_are_those_that_were_measured(name, pages):
    page = ROOT / "docs" / ("tasks.md" if name is None else f"tasks/{name}.md")
    shown = page.read_text(encoding="utf-8").split(pages.MARKS[0])[1].split(pages.MARKS[1])[0].strip()
    assert shown == pages.floor_table(ROWS, name)


def test_nothing_scores_by_doing_nothing(pages):
    for row in ROWS:
        assert row["success"] == (row["video"] == "solution"), row
        assert row["n"] >= 200
    assert {row["video"] for row in ROWS} == {"solution", *pages.FLOORS}
    assert {row["task"] for row in ROWS} == set(NAMES)
