"""The list of tasks: eight families, found by name, to which a user adds."""

import pytest
from planted import FAMILIES

from stepscope import tasks
from stepscope.errors import BadInputError, UnknownNameError
from stepscope.tasks import Task


def test_eight_families_are_listed():
    assert set(FAMILIES) <= set(tasks.names())
    assert tasks.names() == sorted(tasks.names())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_a_task(name):
    task = tasks.get(name)
    assert isinstance(task, Task)
    assert task.name == name == task.sample(0).task
    assert tasks.get(task) is task


def test_an_unknown_name_lists_the_known():
    with pytest.raises(UnknownNameError, match=r"Unknown task 'mazes'.*tic-tac-toe"):
        tasks.get("mazes")


def test_what_is_no_task_is_refused():
    with pytest.raises(BadInputError, match="lacks name, version, palette, sample, score"):
        tasks.get(object())
