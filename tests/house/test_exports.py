"""Every public name exists and says what it is."""

import importlib
import inspect
from pathlib import Path

import pytest

import stepscope

HOUSE = Path(stepscope.__file__).parent


def dotted(path):
    parts = path.relative_to(HOUSE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


ROOMS = sorted(dotted(path) for path in HOUSE.glob("*/__init__.py"))
MODULES = sorted(dotted(path) for path in HOUSE.rglob("*.py") if path.name != "__main__.py")


def public(name):
    module = importlib.import_module(name)
    return module, getattr(module, "__all__", ())


@pytest.mark.parametrize("name", MODULES)
def test_every_module_opens_with_what_it_is(name):
    assert len((importlib.import_module(name).__doc__ or "").strip()) > 20


@pytest.mark.parametrize("name", ["stepscope", *ROOMS])
def test_every_exported_name_exists_and_is_documented(name):
    module, names = public(name)
    assert len(set(names)) == len(names)
    for exported in names:
        value = getattr(module, exported)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"{name}.{exported} has no docstring"


@pytest.mark.parametrize("name", ["stepscope", *ROOMS])
def test_exports_are_in_order(name):
    """Constants, classes, functions: the order that ruff keeps, so that a name is found at once."""
    _, names = public(name)
    assert list(names) == sorted(names, key=lambda n: (not n.isupper(), not n[0].isupper(), n))


def test_the_face_of_the_package():
    for name in ("load_model", "Model", "Trace", "tasks", "open", "model_card", "Branch", "plan", "noise"):
        assert name in stepscope.__all__, f"stepscope.{name} is promised to others"
        assert getattr(stepscope, name) is not None
