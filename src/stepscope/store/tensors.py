"""A unit on disk: named tensors and a few facts in one safetensors file, the same bytes for the same content.

The safetensors library orders tensors by type and name but leaves the order of its header open; we write the header as
canonical JSON, so that the file is a function of its content.  `key`, `weights_hash`, `kind` and `facts` (canonical
JSON) are in the header's metadata and are read without touching the tensors.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError

from stepscope.errors import RecordError
from stepscope.store.units import canonical_json

__all__ = ["Unit", "read_facts", "read_unit", "unit_bytes"]

_ALIGNMENT = 8


@dataclass(frozen=True)
class Unit:
    """One stored piece of work.

    Attributes:
        key: Its name, see `unit_key`.
        weights_hash: Hash of the weights that computed it.
        kind: What it holds, e.g. "trace".
        facts: Everything that is no tensor; JSON.
        tensors: Torch tensors or NumPy arrays by name; read back as torch tensors.
    """

    key: str
    weights_hash: str
    kind: str
    facts: Mapping[str, object]
    tensors: Mapping[str, torch.Tensor | np.ndarray]


def unit_bytes(unit: Unit) -> bytes:
    """Return the file of a unit; equal units give equal bytes."""
    metadata = {
        "facts": canonical_json(unit.facts),
        "key": unit.key,
        "kind": unit.kind,
        "weights_hash": unit.weights_hash,
    }
    tensors = {name: _owned(tensor) for name, tensor in unit.tensors.items()}
    raw = memoryview(safetensors.torch.save(tensors, metadata))
    start = 8 + int.from_bytes(raw[:8], "little")
    header = canonical_json(json.loads(bytes(raw[8:start]))).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    return b"".join((len(header).to_bytes(8, "little"), header, raw[start:]))


def read_unit(path: Path) -> Unit:
    """Read a unit whole.

    Raises:
        RecordError: If the file is missing, cut short or not a unit.
    """
    with _reading(path), safetensors.safe_open(path, "pt") as file:
        head = _head(file.metadata())
        return Unit(tensors={name: file.get_tensor(name) for name in sorted(file.keys())}, **head)


def read_facts(path: Path) -> Unit:
    """Read a unit without its tensors: milliseconds, however large the file.

    Raises:
        RecordError: If the file is missing, cut short or not a unit.
    """
    with _reading(path), safetensors.safe_open(path, "pt") as file:
        return Unit(tensors={}, **_head(file.metadata()))


def _owned(tensor: torch.Tensor | np.ndarray) -> torch.Tensor:
    """Copy to contiguous CPU memory of its own: views of one storage could not be saved side by side."""
    if isinstance(tensor, np.ndarray):
        return torch.from_numpy(tensor.copy())
    return tensor.detach().to("cpu", copy=True).contiguous()


def _head(metadata: Mapping[str, str]) -> dict:
    fields = {name: metadata[name] for name in ("key", "weights_hash", "kind")}
    return {**fields, "facts": json.loads(metadata["facts"])}


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn every way in which a file can be broken into one error."""
    try:
        yield
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise RecordError(
            f"The unit {path} cannot be read ({error}). Expected a safetensors file written by stepscope. "
            "Delete it and run the same command again: only this unit is computed anew."
        ) from error
