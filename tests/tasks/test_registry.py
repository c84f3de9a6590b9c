"""A stranger's task enters the list, and nothing that is no task does."""

import pytest

from stepscope import tasks
from stepscope.errors import BadInputError
from stepscope.tasks import registry


class Guess:
    """Attributes of the class are enough."""

    name, version, palette = "guess", 1, {}

    def sample(self, seed, *, split="test"):
        raise NotImplementedError

    def score(self, frames, sample):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    monkeypatch.setattr(registry, "_TASKS", dict(registry._TASKS))


def test_a_task_is_found_by_its_name_and_given_back():
    task = Guess()
    assert tasks.register(task) is task
    assert tasks.get("guess") is tasks.get(task) is task
    assert "guess" in tasks.names()


def test_a_class_may_be_registered_and_stays_a_class():
    assert tasks.register(Guess) is Guess
    assert isinstance(tasks.get("guess"), Guess)
    assert isinstance(tasks.get(Guess), Guess)


def test_a_class_defined_anew_replaces_itself():
    tasks.register(Guess())
    again = type("Guess", (Guess,), {"__module__": __name__, "__qualname__": "Guess"})()
    tasks.register(again)
    assert tasks.get("guess") is again


@pytest.mark.parametrize("taken", ["guess", "maze"])
def test_a_name_that_is_taken_is_refused(taken):
    tasks.register(Guess())
    with pytest.raises(BadInputError, match=f"A task named '{taken}' exists already"):
        tasks.register(type("Other", (Guess,), {"name": taken})())


def test_a_name_of_the_house_keeps_its_meaning():
    with pytest.raises(BadInputError, match="A task named 'maze' exists already"):
        tasks.register(tasks.Maze("maze", num_goals=2))
    tasks.register(tasks.get("maze"))


class Demanding(Guess):
    def __init__(self, needed):
        """Cannot be made without."""


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (object(), "lacks name, version, palette, sample, score"),
        (type("Nameless", (Guess,), {"name": 3})(), "lacks a name that is text"),
        (Demanding, "Demanding of a task cannot be called without arguments"),
    ],
    ids=["object", "nameless", "demanding"],
)
def test_what_is_no_task_is_refused(what, words):
    for door in (tasks.register, tasks.get):
        with pytest.raises(BadInputError, match=words):
            door(what)
