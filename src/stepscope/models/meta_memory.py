"""How much memory a computation holds at its worst, without computing it: run on the meta device, count live bytes.

    peak = max over operations of  sum of the bytes of all tensors that are alive

Tensors on the meta device have a shape and a number type and no content, so the real forward of a 14 B model runs in a
second and a few megabytes.  Attention counts as a fused kernel (its output, never the L x L matrix).  Not seen: what a
kernel takes for itself while it runs, and what an allocator wastes.

Measured: one expert of Wan2.2-I2V-A14B in bfloat16 at 832x480x81 had a peak of 30.2 GiB on an H100; this gives 30.1.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["peak_bytes"]


def peak_bytes(compute: Callable[[], object], weights: Iterable[torch.Tensor] = ()) -> int:
    """The most bytes that a computation on meta tensors holds at once, besides what existed before.

    Args:
        compute: calls modules that lie on the meta device; its result is thrown away.
        weights: what existed before, so that views of it are not counted.
    """
    ledger = _Ledger(weights)
    with torch.device("meta"), torch.no_grad(), ledger, _FusedAttention():
        compute()
    return ledger.peak


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
            if isinstance(leaf, torch.Tensor):
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


class _FusedAttention(TorchFunctionMode):
    """Attention that gives its output's shape: on the meta device torch would fall back to the quadratic form."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, _, value, *_ = [*args, *(kwargs or {}).values()]
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **(kwargs or {}))
