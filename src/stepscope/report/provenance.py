"""Where a page comes from: the manifest and the result as labelled lines of text.

`manifest["volatile"]` (times, host, paths) stays out, so that two runs of one command give the same page to the byte.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["provenance"]

_LEFT_OUT = ("volatile", "sigmas", "format", "schema_version")
_FIRST = ("command", "model", "weights_hash", "task")
_LONGEST_LIST = 12


def provenance(manifest: Mapping[str, Any], result: Mapping[str, Any]) -> list[list[str]]:
    """Return [[label, text], …]: the manifest's configuration and facts, then the result's model calls."""
    facts = {key: value for key, value in manifest.items() if key not in (*_LEFT_OUT, "config")}
    everything = {**manifest.get("config", {}), **facts, "model_calls": result.get("model_calls")}
    ordered = {key: everything[key] for key in (*_FIRST, *everything) if key in everything}
    return [[label.replace("_", " "), text] for label, text in _lines("", ordered)]


def _lines(label: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _lines(f"{label} · {key}" if label else str(key), inner)
    elif value is not None and value != []:
        yield label, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return _list_text(value)
    return str(value)


def _list_text(values: list[Any] | tuple[Any, ...]) -> str:
    if all(isinstance(value, str) for value in values):
        return " ".join(values)
    shown = ", ".join(json.dumps(value, default=str) for value in values[:_LONGEST_LIST])
    return shown if len(values) <= _LONGEST_LIST else f"{shown}, … ({len(values)} values)"
