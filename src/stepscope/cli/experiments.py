"""`stepscope experiments`: the experiments, and the claims that each tests."""

from argparse import Namespace

from stepscope.cli.output import say

__all__ = ["run"]


def run(options: Namespace) -> None:
    """List the experiments, one a line."""
    from stepscope import experiments

    found = [{"name": name, "emits": list(experiments.get(name).emits)} for name in experiments.names()]
    say(options.json, {"experiments": found}, [f"{each['name']:16} {', '.join(each['emits'])}" for each in found])
