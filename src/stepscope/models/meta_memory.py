"""How much memory a computation holds at its worst, without computing it: run on the meta device, count live bytes.

    peak = max over operations of  sum of the bytes of all tensors that are alive

Tensors on the meta device have a shape and a number type and no content, so the real forward of a 14 B model runs in a
second and a few megabytes.  Attention counts as a fused kernel (its output, never the L x L matrix).  What lies on the
CPU counts nothing.  Not seen: what a kernel takes for itself while it runs, and what an allocator wastes.

A VAE does the same for every tile and every few frames.  A module that is named as repeated runs once for each set of
shapes that it is given; what it made of them, and its peak, is recalled afterwards.  No count changes.

Measured: one expert of Wan2.2-I2V-A14B in bfloat16 at 832x480x81 had a peak of 30.2 GiB on an H100; this gives 30.1.
"""

import weakref
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["with_peak_bytes"]

Made = TypeVar("Made")


def with_peak_bytes(
    compute: Callable[[], Made], known: Iterable[torch.Tensor] = (), repeated: Iterable[torch.nn.Module] = ()
) -> tuple[Made, int]:
    """What a computation on meta tensors makes, and the most bytes that it holds at once besides what existed before.

    Args:
        compute: calls modules that lie on the meta device.
        known: what existed before, so that views of it are not counted.
        repeated: modules whose forwards of equal shapes hold equal bytes.
    """
    ledger = _Ledger(known)
    with torch.device("meta"), torch.no_grad(), ledger, _FusedAttention(), ExitStack() as restored:
        for module in repeated:
            module.forward = _Recalled(module.forward, ledger)
            restored.callback(delattr, module, "forward")
        made = compute()
    return made, ledger.peak


class _Ledger(TorchDispatchMode):
    """Books every storage when an operation brings it forth, and strikes it out when the last reference goes."""

    def __init__(self, known: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known = [tensor.untyped_storage() for tensor in known]  # kept alive, so that no address comes twice
        self._booked = {storage._cdata: 0 for storage in self._known}

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.is_meta:
                self._book(leaf.untyped_storage())
        return result

    def _book(self, storage: torch.UntypedStorage) -> None:
        address = storage._cdata
        if address in self._booked:
            return
        self._booked[address] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._strike, address)

    def _strike(self, address: int) -> None:
        self.now -= self._booked.pop(address)


@dataclass(frozen=True)
class _Place:
    """All of a tensor but its content."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    room: int
    dtype: torch.dtype

    @classmethod
    def of(cls, leaf: Any) -> Any:
        """The place of a tensor; whatever else it is, itself."""
        if not isinstance(leaf, torch.Tensor):
            return leaf
        room = leaf.untyped_storage().nbytes() // leaf.element_size()
        return cls(tuple(leaf.shape), leaf.stride(), int(leaf.storage_offset()), room, leaf.dtype)

    @staticmethod
    def filled(leaf: Any) -> Any:
        """A tensor at a place, its storage as large as it was."""
        if not isinstance(leaf, _Place):
            return leaf
        return torch.empty(leaf.room, dtype=leaf.dtype).as_strided(leaf.size, leaf.stride, leaf.offset)


@dataclass
class _Recalled:
    """A forward that runs once for each set of shapes; lists that it is given it may fill, as the caches of Wan."""

    forward: Callable[..., Any]
    ledger: _Ledger
    known: dict[str, tuple[Any, list[Any], int]] = field(default_factory=dict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        lists = [given for given in (*args, *kwargs.values()) if isinstance(given, list)]
        asked = repr(tree_map(_Place.of, (args, kwargs)))
        if asked not in self.known:
            return self._counted(asked, lists, args, kwargs)
        result, filled, over = self.known[asked]
        self.ledger.peak = max(self.ledger.peak, self.ledger.now + over)
        for given, left in zip(lists, filled, strict=True):
            given[:] = tree_map(_Place.filled, left)
        return tree_map(_Place.filled, result)

    def _counted(self, asked: str, lists: list[list[Any]], args: tuple, kwargs: dict) -> Any:
        before, begun = self.ledger.peak, self.ledger.now
        self.ledger.peak = begun
        result = self.forward(*args, **kwargs)
        left = (tree_map(_Place.of, result), tree_map(_Place.of, lists), self.ledger.peak - begun)
        self.known[asked] = left
        self.ledger.peak = max(before, self.ledger.peak)
        return result


class _FusedAttention(TorchFunctionMode):
    """Attention that gives its output's shape: on the meta device torch would fall back to the quadratic form."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, _, value, *_ = [*args, *(kwargs or {}).values()]
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **(kwargs or {}))
