"""The list of tasks: three that come with stepscope, and those that users add."""

from stepscope.errors import BadInputError, UnknownNameError
from stepscope.tasks.find_shape import FindShape
from stepscope.tasks.maze import Maze
from stepscope.tasks.sample import Task

__all__ = ["get", "names", "register"]

_TASKS: dict[str, Task] = {
    task.name: task for task in (Maze(), Maze("maze-two-goals", num_goals=2, default_size=9), FindShape())
}


def names() -> list[str]:
    """The names of all tasks, sorted."""
    return sorted(_TASKS)


def get(name: "str | Task") -> Task:
    """The task with this name; a task is given back as it is."""
    if not isinstance(name, str):
        return _checked(name)
    if name not in _TASKS:
        raise UnknownNameError.of("task", name, names())
    return _TASKS[name]


def register(task: Task) -> Task:
    """Add a task under its own name, so that everything that takes a task name takes it; gives the task back."""
    known = _TASKS.get(_checked(task).name)
    if known is not None and type(known) is not type(task):
        raise BadInputError(f"A task named {task.name!r} exists already. Names are unique. Give yours another name.")
    _TASKS[task.name] = task
    return task


def _checked(task: Task) -> Task:
    lacking = [field for field in ("name", "version", "palette", "sample", "score") if not hasattr(task, field)]
    if lacking:
        raise BadInputError(
            f"{task!r} is no task: it lacks {', '.join(lacking)}. A task has name, version, palette, sample and "
            f"score. Add what is missing."
        )
    return task
