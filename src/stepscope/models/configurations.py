"""Configurations: what a pipeline is made of, before a single weight is there.

A folder says so itself: `model_index.json`, a `config.json` in each component, a `scheduler_config.json`.  The large
models that have a card are written down in `released`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepscope.errors import ModelLoadError
from stepscope.models.cards import Card, named_card
from stepscope.models.folders import find_configuration, pipeline_class
from stepscope.models.released import RELEASED, Part, Release

__all__ = ["Configuration", "configuration"]


@dataclass(frozen=True)
class Configuration:
    """A pipeline without weights, and what it is made for.

    Attributes:
        name: as it was asked for.
        card: what the model is made for.
        release: what the pipeline is made of.
    """

    name: str
    card: Card
    release: Release


def configuration(source: str, revision: str | None = None) -> Configuration:
    """The configuration of a name with a card, of a folder, or of a hub id; no weights are read or fetched.

    Raises:
        UnknownNameError: for a name that does not exist.
        ModelLoadError: for a folder without readable configurations, or of a class that is not supported.
    """
    if source in RELEASED and revision is None and not Path(source).is_dir():
        return Configuration(source, named_card(source), RELEASED[source])
    found = find_configuration(source, revision)
    return Configuration(found.name, found.card, _of_folder(found.folder))


def _of_folder(folder: Path) -> Release:
    kind, index = pipeline_class(folder), _read(folder / "model_index.json")
    listed = {name: pair for name, pair in index.items() if isinstance(pair, list) and len(pair) == 2 and pair[0]}
    configured = {name: folder / name / "config.json" for name in listed}
    return Release(
        kind=kind,
        parts={
            name: Part(listed[name][0], listed[name][1], _read(path))
            for name, path in configured.items()
            if path.is_file()
        },
        scheduler=_scheduler(folder, listed.get("scheduler")),
        settings={name: value for name, value in index.items() if not name.startswith("_") and _is_setting(value)},
    )


def _is_setting(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


def _scheduler(folder: Path, listed: list[str] | None) -> Part:
    """The scheduler; no count depends on how it is set, so without a file it is set as its class is."""
    if listed is None:
        raise ModelLoadError(f"The folder {folder} names no scheduler. A pipeline has one. Fetch or save it again.")
    path = folder / "scheduler" / "scheduler_config.json"
    return Part(listed[0], listed[1], _read(path) if path.is_file() else {})


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} cannot be read ({error}). A pipeline's folder has it. Fetch it again.") from error
    if not isinstance(said, dict):
        raise ModelLoadError(f"{path} holds no JSON object. A pipeline's folder has one. Fetch it again.")
    return said
