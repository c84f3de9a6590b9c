"""The single door to a transformer's insides: taps on layers, attached for one forward, gone afterwards.

    resid_pre ──► attn1 ──► attn2 ──► ffn ──► block          sites, in the order in which they are reached
                self_attn  cross_attn  mlp

Every site hands its functions the hidden tokens [B, L, D] with a full address; a function that returns a tensor
replaces them.  A mask bool [F, F] over latent frames becomes a mask over tokens of the self-attention, [L, L]: it costs
L² bytes while a layer runs.  Without taps nothing is attached; observing changes nothing, bit for bit.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from stepscope.denoise import SITES, Address, SiteTap, Taps
from stepscope.errors import PlanError

__all__ = ["attach"]

_MODULES = {"self_attn": "attn1", "cross_attn": "attn2", "mlp": "ffn"}


@contextmanager
def attach(transformer: nn.Module, taps: Taps, address: Address) -> Iterator[None]:
    """Attach taps to the blocks of a transformer for the forward that runs inside.

    Args:
        transformer: a model with `blocks`, each with `attn1`, `attn2` and `ffn`.
        taps: what to attach; observers must not change what they are given in place.
        address: step, sigma, expert, CFG branch and token grid of the forward; layer and site are filled in here.

    Raises:
        PlanError: for a layer that does not exist, an edit of another shape, a mask that blinds a frame.
    """
    blocks: list[Any] = list(transformer.blocks)  # pyright: ignore[reportArgumentType]
    _check_layers(taps, len(blocks))
    with ExitStack() as handles:
        for layer, block in enumerate(blocks):
            for site in SITES:
                functions = tuple(tap for tap in taps.sites if tap.site == site and tap.touches(layer))
                if functions:
                    door = _Door(functions, replace(address, layer=layer, site=site))
                    handles.callback(door.open_on(block).remove)
            if taps.masks:
                mask = _Mask(taps, replace(address, layer=layer, site="self_attn"))
                handles.callback(block.attn1.register_forward_pre_hook(mask, with_kwargs=True).remove)
        yield


@dataclass(frozen=True)
class _Door:
    """The taps of one site of one layer, as a hook."""

    taps: tuple[SiteTap, ...]
    address: Address

    def open_on(self, block: Any) -> Any:
        """Register on a block and return the handle."""
        if self.address.site == "resid_pre":
            return block.register_forward_pre_hook(self.before, with_kwargs=True)
        return getattr(block, _MODULES.get(str(self.address.site), ""), block).register_forward_hook(self.after)

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Pass what enters a block by the taps."""
        if args:
            return (self.passed(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self.passed(kwargs["hidden_states"])}

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Pass what a module puts out by the taps; of a tuple the first is the hidden state."""
        if isinstance(output, tuple):
            return (self.passed(output[0]), *output[1:])
        return self.passed(output)

    def passed(self, hidden: torch.Tensor) -> torch.Tensor:
        """The hidden state after every tap has seen it, in the order of `Taps`."""
        for tap in self.taps:
            edited = tap.function(hidden, self.address)
            if edited is not None:
                hidden = self.fitted(edited, hidden)
        return hidden

    def fitted(self, edited: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """An edit in the number type and on the device of what it replaces."""
        if edited.shape != hidden.shape:
            raise PlanError(
                f"An edit of {self.address.site} in layer {self.address.layer} came as {list(edited.shape)}. "
                f"It must keep the shape {list(hidden.shape)}. Return a tensor of that shape, or None."
            )
        return edited.to(hidden)


@dataclass(frozen=True)
class _Mask:
    """The attention masks of one layer, as a hook that fills in `attention_mask`."""

    taps: Taps
    address: Address

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frames = [mask for mask in (function(self.address) for function in self.taps.masks) if mask is not None]
        if not frames:
            return None
        tokens = self.over_tokens(torch.stack(frames).all(dim=0)).to(args[0].device)
        if len(args) > 2:  # hidden_states, encoder_hidden_states, attention_mask, ...
            return (*args[:2], tokens, *args[3:]), kwargs
        return args, {**kwargs, "attention_mask": tokens}

    def over_tokens(self, mask: torch.Tensor) -> torch.Tensor:
        """From frames [F, F] to tokens [1, 1, L, L], L = F·H·W."""
        assert self.address.token_grid is not None
        frames, height, width = self.address.token_grid
        if mask.shape != (frames, frames) or not mask.any(dim=1).all():
            raise PlanError(
                f"An attention mask of layer {self.address.layer} came as {list(mask.shape)}, or blinds a frame. It "
                f"must be [{frames}, {frames}] with a True in every row. Let each frame see at least itself."
            )
        tokens = mask.repeat_interleave(height * width, dim=0).repeat_interleave(height * width, dim=1)
        return tokens[None, None]


def _check_layers(taps: Taps, num_layers: int) -> None:
    unknown = sorted({layer for tap in taps.sites for layer in tap.layers or () if not 0 <= layer < num_layers})
    if unknown:
        raise PlanError(
            f"Layers {unknown} do not exist. This model has layers 0 to {num_layers - 1}. Choose among these."
        )
