"""An instance as a digest: what tells two live denoisers of one class apart, the same in every process.

    object      its class, and its attributes: what `__getstate__` gives, so that a class may leave out what is no part
                of the model, such as a counter
    network     its state, and of each part the class and what else it holds
    tensor      number type, shape, bytes, wherever it lies
    function    its name, where it begins, its defaults and what it closes over

Containers are entered, sets and mappings in an order that depends on content alone.  Objects are entered if they are
dataclasses or of a class from the denoiser's own file; of all else (files, locks, devices, generators of random
numbers, objects of other libraries) the class is taken and no content, since that has no canonical form.  A path is its
last part.  All is taken as it is when the denoiser is loaded.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Set
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any

import numpy as np
import torch

__all__ = ["instance_digest", "tensor_bytes"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype)
_OF_TORCH = {*vars(torch.nn.Module())} - {"training"}  # what every network holds beside its weights


def instance_digest(model: object) -> bytes:
    """The digest of a live denoiser's attributes, 32 bytes."""
    walk = _Walk(type(model).__module__)
    walk.entered.append(id(model))
    return walk.network(model) if isinstance(model, torch.nn.Module) else walk.attributes(model)


def tensor_bytes(tensor: torch.Tensor) -> bytes:
    """The values of a tensor in order, wherever and however it lies."""
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


class _Walk:
    """One walk through an instance.

    Attributes:
        module: of the denoiser's class; its own name is left out, since one file may be loaded under several.
        entered: identities of the objects that it is inside of, which are not entered again.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.entered: list[int] = []

    def digest(self, value: Any) -> bytes:
        """The digest of any value."""
        if id(value) in self.entered:
            return _joined("entered already")
        self.entered.append(id(value))
        try:
            return self._leaf(value) or self._code(value) or self._inside(value)
        finally:
            self.entered.pop()

    def network(self, value: torch.nn.Module) -> bytes:
        """The digest of a network's state and parts."""
        parts = {name: self._settings(part) for name, part in value.named_modules()}
        return _joined("network", self.digest(dict(value.state_dict())), self.digest(parts))

    def attributes(self, value: object) -> bytes:
        """The digest of an object's class and attributes."""
        return _joined("object", self._name(type(value)), self.digest(value.__getstate__()))

    def _settings(self, part: torch.nn.Module) -> dict[str, Any]:
        """What a part of a network holds beside its weights; of another library's part only what torch's own show."""
        kind = type(part)
        own, torchs = kind.__module__ == self.module, kind.__module__.startswith("torch.")
        held: Mapping[str, Any] = part.__getstate__() if own else vars(part) if torchs else {}  # pyright: ignore[reportAssignmentType]
        shown = {key: value for key, value in held.items() if own or not key.startswith("_")}
        return {"": kind, **{key: value for key, value in shown.items() if key not in _OF_TORCH}}

    def _leaf(self, value: Any) -> bytes | None:
        match value:
            case Enum():
                return _joined(self._name(type(value)), value.name)
            case np.generic():
                return _joined(value.dtype.str, repr(value.item()))
            case PurePath():
                return _joined("path", value.name)
            case torch.Tensor():
                return _joined("tensor", value.dtype, list(value.shape), tensor_bytes(value))
            case np.ndarray() if not value.dtype.hasobject:
                return _joined("array", value.dtype.str, list(value.shape), value.tobytes())
            case type():
                return _joined("class", self._name(value))
        return _joined(self._name(type(value)), repr(value)) if isinstance(value, _PLAIN) else None

    def _code(self, value: Any) -> bytes | None:
        match value:
            case FunctionType():
                kept = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
                given = (value.__defaults__, value.__kwdefaults__, kept)
                return _joined("function", self._name(value), value.__code__.co_firstlineno, self.digest(given))
            case MethodType():
                return _joined("method", self.digest(value.__func__), self.digest(value.__self__))
            case partial():
                return _joined("partial", *map(self.digest, (value.func, value.args, value.keywords)))
        return None

    def _inside(self, value: Any) -> bytes:
        match value:
            case np.ndarray():
                return _joined("array", list(value.shape), *map(self.digest, value.flatten().tolist()))
            case Mapping():
                return _joined("mapping", *sorted(self.digest(key) + self.digest(value[key]) for key in value))
            case Set():
                return _joined("set", *sorted(map(self.digest, value)))
            case list() | tuple():
                return _joined(self._name(type(value)), *map(self.digest, value))
            case torch.nn.Module():
                return self.network(value)
        own = isinstance(value, SimpleNamespace) or type(value).__module__ == self.module
        return self.attributes(value) if own or dataclasses.is_dataclass(value) else _joined(self._name(type(value)))

    def _name(self, kind: Any) -> str:
        return kind.__qualname__ if kind.__module__ == self.module else f"{kind.__module__}.{kind.__qualname__}"


def _joined(*parts: Any) -> bytes:
    """The digest of some parts, each with its length, so that no two lists of parts read the same."""
    digest = hashlib.sha256()
    for part in parts:
        told = part if isinstance(part, bytes) else str(part).encode()
        digest.update(f"{len(told)}:".encode() + told)
    return digest.digest()


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
