"""`stepscope tasks`: the tasks that are known by name, and their dials."""

import inspect
from argparse import Namespace
from typing import Any

from stepscope.cli.output import say

__all__ = ["run"]


def run(options: Namespace) -> None:
    """List the tasks, one a line."""
    from stepscope import tasks

    found = [_facts(tasks.get(name)) for name in tasks.names()]
    say(options.json, {"tasks": found}, [_line(facts) for facts in found])


def _facts(task: Any) -> dict:
    """Name, version, dials with their defaults, and the first line of what a task says of itself."""
    about = (inspect.getdoc(task) or "").partition("\n")[0]
    dials = {
        name: given.default for name, given in inspect.signature(task.sample).parameters.items() if _is_dial(given)
    }
    return {"name": task.name, "version": task.version, "about": about, "dials": dials}


def _is_dial(given: inspect.Parameter) -> bool:
    return given.kind is inspect.Parameter.KEYWORD_ONLY and given.name != "split"


def _line(facts: dict) -> str:
    return f"{facts['name']:16} version {facts['version']}   dials {', '.join(facts['dials'])}   {facts['about']}"
