"""What the CPU's own allocator says that a computation held at its worst: an independent count of live bytes."""

import gc
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map


def allocated(compute: Callable[[], Any]) -> int:
    """The most bytes that the allocator had given out at once, from the profiler's record of every call to it."""
    gc.collect()
    with torch.no_grad(), _BareConvolutions(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as taken:
        compute()
    events = [event for event in taken.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak


class _BareConvolutions(TorchDispatchMode):
    """Convolutions give an output and nothing else: on the CPU their kernel unfolds its input, 27 times as large."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is not torch.ops.aten.convolution.default:
            return func(*args, **(kwargs or {}))
        output = func(*tree_map(lambda leaf: leaf.to("meta") if isinstance(leaf, torch.Tensor) else leaf, args))
        return torch.zeros(output.shape, dtype=output.dtype)
