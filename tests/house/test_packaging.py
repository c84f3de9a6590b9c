"""What is installed, and what the wheel carries."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import stepscope

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line
)
WANTED = [Requirement(text) for text in (*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"])]
MAX_WHEEL_BYTES = 40 * 10**6


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_a_tested_version_is_pinned_within_its_range(wanted):
    assert wanted.specifier.contains(PINS[wanted.name])


def test_the_version_is_the_same_everywhere():
    assert stepscope.__version__ == version("stepscope") == PROJECT["project"]["version"]


def test_a_source_tree_works_where_nothing_was_installed(tmp_path):
    """As on a borrowed machine: dependencies are there, the package's own metadata is not."""
    (tmp_path / "site").mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "stepscope" not in path.name:
            (tmp_path / "site" / path.name).symlink_to(path)
    paths = os.pathsep.join([str(ROOT / "src"), str(tmp_path / "site")])
    asked = ["--task", "maze", "--dial", "size=5", "--samples", "2", "--steps", "2", "--out", str(tmp_path / "run")]
    for argv in (["--version"], ["run", "commitment", "embedded", *asked]):
        program = [sys.executable, "-S", "-m", "stepscope", *argv]
        told = subprocess.run(
            program, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=True
        )
    assert stepscope.open(tmp_path / "run").result["metrics"]["n"] == 2, told.stdout


def test_torch_2_11_is_allowed():
    assert next(wanted for wanted in WANTED if wanted.name == "torch").specifier.contains("2.11.0")


def test_the_wheel_is_small(wheel):
    assert wheel.stat().st_size <= MAX_WHEEL_BYTES


def test_the_wheel_carries_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    info = f"stepscope-{version('stepscope')}.dist-info/"
    assert {name.split("/")[0] + "/" for name in names} == {"stepscope/", info}
    assert info + "licenses/LICENSE" in names
    assert not [name for name in names if "__pycache__" in name]
    held = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*") if is_source(path)}
    assert held <= set(names)


def is_source(path):
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"


def test_the_program_is_installed_under_its_name(wheel):
    entry = next(name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("entry_points.txt"))
    assert re.search(r"^stepscope = stepscope\.cli:main$", zipfile.ZipFile(wheel).read(entry).decode(), re.MULTILINE)
