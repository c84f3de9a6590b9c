"""The list of tasks: eight that come with stepscope, and those that users add."""

from typing import Any

from stepscope.errors import BadInputError, UnknownNameError
from stepscope.tasks.bounce import Bounce
from stepscope.tasks.find_shape import FindShape
from stepscope.tasks.maze import Maze
from stepscope.tasks.occlusion import Occlusion
from stepscope.tasks.rotate import Rotate
from stepscope.tasks.sample import Task
from stepscope.tasks.size_pattern import SizePattern
from stepscope.tasks.tic_tac_toe import TicTacToe

__all__ = ["get", "names", "register"]

_TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Maze(),
        Maze("maze-two-goals", num_goals=2, default_size=9),
        FindShape(),
        TicTacToe(),
        SizePattern(),
        Rotate(),
        Occlusion(),
        Bounce(),
    )
}


_OWN = frozenset(_TASKS)
"""Names that come with stepscope; they always mean the same."""


def names() -> list[str]:
    """The names of all tasks, sorted."""
    return sorted(_TASKS)


def get(name: Any) -> Task:
    """The task with this name; a task is given back as it is, a class of tasks is called without arguments.

    Raises:
        UnknownNameError: If no task has the name.
        BadInputError: If it is no task.
    """
    if not isinstance(name, str):
        return _made(name)
    if name not in _TASKS:
        raise UnknownNameError.of("task", name, names())
    return _TASKS[name]


def register(task: Any) -> Any:
    """Add a task under its own name, so that everything that takes a task name takes it.

    Args:
        task: a task, or a class of tasks that is called without arguments, so that this can stand as a decorator. A
            task of the same class, defined anew, replaces the one before.

    Returns:
        What was given.

    Raises:
        BadInputError: If it is no task, or its name belongs to another one.
    """
    made = _made(task)
    known = _TASKS.get(made.name)
    if known is not None and known is not made and (made.name in _OWN or _kind(known) != _kind(made)):
        raise BadInputError(f"A task named {made.name!r} exists already. Names are unique. Give yours another name.")
    _TASKS[made.name] = made
    return task


def _kind(task: Task) -> tuple[str, str]:
    """Where a task's class is defined: the same after a cell of a notebook was run again."""
    return type(task).__module__, type(task).__qualname__


def _made(task: Any) -> Task:
    if isinstance(task, type):
        try:
            task = task()
        except Exception as error:
            raise BadInputError(
                f"The class {task.__name__} of a task cannot be called without arguments ({error}). Give an object."
            ) from error
    lacking = [field for field in ("name", "version", "palette", "sample", "score") if not hasattr(task, field)]
    if lacking or not isinstance(task.name, str):
        raise BadInputError(
            f"{task!r} is no task: it lacks {', '.join(lacking) or 'a name that is text'}. A task has name, version, "
            "palette, sample and score. Add what is missing."
        )
    return task
