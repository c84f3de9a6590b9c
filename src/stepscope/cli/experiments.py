"""`stepscope experiments`: the experiments, the claims that each tests, and the options of its own that each takes."""

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from stepscope.cli.output import say

__all__ = ["run"]


def run(options: Namespace) -> None:
    """List the experiments, each with its claims and, on a line of its own, its options and their defaults."""
    from stepscope import experiments

    found = [_described(name, experiments.get(name)) for name in experiments.names()]
    say(options.json, {"experiments": found}, [line for each in found for line in _lines(each)])


def _described(name: str, experiment: Any) -> dict[str, Any]:
    return {"name": name, "emits": list(experiment.emits), "options": dict(vars(experiment))}


def _lines(described: Mapping[str, Any]) -> Iterator[str]:
    yield f"{described['name']:16} {', '.join(described['emits']) or 'tests no claim'}"
    if described["options"]:
        choices = (f"--{key.replace('_', '-')} {_word(value)}" for key, value in described["options"].items())
        yield f"{'':16} {'  '.join(choices)}"


def _word(value: Any) -> str:
    """A value as the command line reads it."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
