"""`stepscope models`: the models that are known by name.

Any diffusers folder or hub id of a supported family works too.
"""

from argparse import Namespace
from typing import Any

from stepscope.cli.output import say
from stepscope.errors import ModelLoadError

__all__ = ["run"]


def run(options: Namespace) -> None:
    """List the models, one a line."""
    from stepscope.models import model_names

    found = [_facts(name) for name in model_names()]
    say(options.json, {"models": found}, [_line(facts) for facts in found])


def _facts(name: str) -> dict[str, Any]:
    """The card of a model; a bundled model that this installation lacks says so."""
    from stepscope.models import model_card

    try:
        card = model_card(name)
    except ModelLoadError as error:
        return {"name": name, "missing": str(error)}
    return {"name": name, **card}


def _line(facts: dict[str, Any]) -> str:
    if "missing" in facts:
        return f"{facts['name']:40} {facts['missing']}"
    where = "on this disk" if facts["folder"] else "from the hub"
    size = f"{facts['height']}x{facts['width']}, {facts['num_frames']} frames, guidance {facts['guidance']:g}"
    return f"{facts['name']:40} {size}, {where}"
