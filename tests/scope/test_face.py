"""The package's own names: few, lazy, and true."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import stepscope


def test_version_is_that_of_the_package():
    assert stepscope.__version__ == version("stepscope")


def test_names_are_those_that_exist():
    assert dir(stepscope) == sorted(stepscope.__all__)
    assert all(getattr(stepscope, name) is not None for name in stepscope.__all__)


def test_a_name_that_does_not_exist():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stepscope.nothing  # noqa: B018


def test_importing_it_imports_neither_torch_nor_numpy():
    program = (
        "import sys, stepscope, stepscope.errors; print(sorted({'torch', 'numpy', 'diffusers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
