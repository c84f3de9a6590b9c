"""Queries and keys as an attention really compares them: after norms and rotary positions, before the softmax.

    site self_attn_qk:   [B, 2, heads, L, d]      queries first, then keys;  softmax(q k' / sqrt(d)) is the attention

They exist only inside an attention's forward, in no module's output, but all families hand them to PyTorch's
`scaled_dot_product_attention`: while the self-attention of a tapped layer runs, that call is stood in front of.  Where
text and video attend to each other, L counts the text's tokens first.  Cost: a copy of both, for tapped layers alone.
Attention kernels that are called by another way cannot be reached, and are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from stepscope.errors import PlanError

__all__ = ["QueryKeyDoor"]

_COMPARED = ("query", "key", "value")


class _Guard(TorchFunctionMode):
    """Passes the queries and keys of the first attention that is computed under it by a function."""

    def __init__(self, passed: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.passed, self.met = passed, False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is nn.functional.scaled_dot_product_attention and not self.met:
            self.met = True
            args, kwargs = self._through(args, kwargs)
        return func(*args, **kwargs)

    def _through(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = dict(zip(_COMPARED, args, strict=False), **kwargs)
        shown = torch.stack([given["query"], given["key"]], dim=1)
        passed = self.passed(shown)
        if passed is shown:  # the copy lies otherwise in memory, and kernels may differ by that
            return args, kwargs
        rest = {name: value for name, value in kwargs.items() if name not in _COMPARED}
        return (*passed.unbind(1), given["value"], *args[3:]), rest


@dataclass(eq=False)
class QueryKeyDoor:
    """Hooks on a self-attention that open the door while it runs.

    Attributes:
        passed: called with [B, 2, heads, L, d]; what it returns, of that shape, takes their place.
    """

    passed: Callable[[torch.Tensor], torch.Tensor]
    _guard: _Guard | None = field(default=None, init=False)

    def open_on(self, attention: nn.Module) -> Callable[[], None]:
        """Register, and return what removes the hooks again."""
        before = attention.register_forward_pre_hook(self._begin, with_kwargs=True)
        after = attention.register_forward_hook(self._end, always_call=True)

        def close() -> None:
            before.remove()
            after.remove()

        return close

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._guard = _Guard(self.passed)
        self._guard.__enter__()

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        guard, self._guard = self._guard, None
        if guard is None:
            return
        guard.__exit__(None, None, None)
        if output is not None and not guard.met:
            raise PlanError(
                f"Site self_attn_qk was asked for, and {type(module).__name__} does not call PyTorch's "
                "scaled_dot_product_attention. Set the attention backend of the model to 'native'."
            )
