"""Queries and keys as an attention really compares them: after norms and rotary positions, before the softmax.

    site self_attn_qk:   [B, 2, heads, L, d]      queries first, then keys;  softmax(q k' / sqrt(d)) is the attention

They exist only inside an attention's forward, in no module's output, but all families hand them to PyTorch's
`scaled_dot_product_attention`: while the self-attention of a tapped layer runs, that call is listened to.  Where text
and video attend to each other, L counts the text's tokens first.  They can be watched, not edited.  Cost: a copy of
both, for tapped layers alone.  Attention kernels that are called by another way cannot be listened to, and are refused.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from stepscope.errors import PlanError

__all__ = ["QueryKeyReader"]


class _Listener(TorchFunctionMode):
    """Gives the queries and keys of the first attention that is computed under it."""

    def __init__(self, told: Callable[[torch.Tensor], None]) -> None:
        super().__init__()
        self.told, self.heard = told, False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is nn.functional.scaled_dot_product_attention and not self.heard:
            self.heard = True
            given = dict(zip(("query", "key"), args, strict=False), **kwargs)
            self.told(torch.stack([given["query"], given["key"]], dim=1))
        return func(*args, **kwargs)


@dataclass(eq=False)
class QueryKeyReader:
    """Hooks on a self-attention that listen while it runs.

    Attributes:
        told: called with [B, 2, heads, L, d].
    """

    told: Callable[[torch.Tensor], None]
    _listener: _Listener | None = field(default=None, init=False)

    def open_on(self, attention: nn.Module) -> Callable[[], None]:
        """Register, and return what removes the hooks again."""
        before = attention.register_forward_pre_hook(self._begin, with_kwargs=True)
        after = attention.register_forward_hook(self._end, always_call=True)

        def close() -> None:
            before.remove()
            after.remove()

        return close

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._listener = _Listener(self.told)
        self._listener.__enter__()

    def _end(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.__exit__(None, None, None)
        if output is not None and not listener.heard:
            raise PlanError(
                f"Site self_attn_qk was asked for, and {type(module).__name__} does not call PyTorch's "
                "scaled_dot_product_attention. Set the attention backend of the model to 'native'."
            )
