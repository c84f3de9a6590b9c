"""The single door to a transformer's insides: taps on layers, attached for one forward, gone afterwards.

    resid_pre ──► self_attn ──► cross_attn ──► mlp ──► block          sites, in the order in which they are reached
    self_attn_qk                inside self_attn, queries and keys: see `query_key`

Where they live differs by family and is said by a `Layout`.  Every site hands its functions the hidden tokens of the
video [B, L, D] with a full address; a function that returns a tensor replaces them.  A forward that holds several CFG
branches in one batch is taken apart: a function sees one branch at a time, and what it edits is joined again.  A mask
bool [F, F] over latent frames becomes a mask over tokens of the self-attention, [L, L]: it costs L² bytes while a layer
runs.  Without taps nothing is attached; observing changes nothing, bit for bit.

Offloaded weights are no matter.  `torch.compile` is: what is compiled skips hooks inside without a word.  Blocks that
are compiled one by one can be tapped from outside, at `resid_pre` and `block`; all else that is compiled is refused.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from stepscope.denoise import SITES, Address, SiteTap, Taps
from stepscope.denoise.denoiser import CfgBranch, Site
from stepscope.errors import PlanError
from stepscope.models.parallel import check_whole
from stepscope.models.query_key import QueryKeyDoor

__all__ = ["Layout", "attach"]

_ALL_SITES: tuple[Site, ...] = ("self_attn_qk", *SITES)


@dataclass(frozen=True)
class Layout:
    """Where the sites live in a family's transformer.

    Attributes:
        blocks: name of the list of blocks.
        self_attn: name of the module in a block.
        cross_attn: name of the module in a block; None if text and video attend to each other in `self_attn`: then
            text tokens come before the video's in its mask and in what `mlp` puts out.
        mlp: name of the module in a block.
        masks_by_head: whether `self_attn` copies a mask [B, L, L] for every head, instead of taking [B, 1, L, L].
    """

    blocks: str = "blocks"
    self_attn: str = "attn1"
    cross_attn: str | None = "attn2"
    mlp: str = "ffn"
    masks_by_head: bool = False

    def module(self, block: Any, site: str) -> Any:
        """The module whose output is the site."""
        return block if site == "block" else getattr(block, getattr(self, site))


@contextmanager
def attach(
    transformer: nn.Module,
    taps: Taps,
    address: Address,
    layout: Layout = Layout(),
    branches: tuple[CfgBranch, ...] | None = None,
) -> Iterator[None]:
    """Attach taps to the blocks of a transformer for the forward that runs inside.

    Args:
        transformer: a model with blocks.
        taps: what to attach; observers must not change what they are given in place.
        address: step, sigma, expert, CFG branch and token grid of the forward; layer and site are filled in here.
        layout: where the sites live.
        branches: the CFG branches that share the batch, in their order; None for the address's own.

    Raises:
        PlanError: for a layer or site that does not exist, an edit of another shape, a mask that blinds a frame, or
            what is compiled or parallel.
    """
    blocks: list[Any] = list(getattr(transformer, layout.blocks))
    _check(taps, len(blocks), layout)
    if taps:
        check_whole(transformer)
        _check_compiled(transformer, blocks, taps, layout)
    labelled = [replace(address, cfg_branch=branch) for branch in branches or (address.cfg_branch,)]
    with ExitStack() as handles:
        for layer, block in enumerate(blocks):
            for site in _ALL_SITES:
                functions = tuple(tap for tap in taps.sites if tap.site == site and tap.touches(layer))
                if functions:
                    there = tuple(replace(each, layer=layer, site=site) for each in labelled)
                    handles.callback(_Door(functions, there, layout).open_on(block))
            if taps.masks:
                there = tuple(replace(each, layer=layer, site="self_attn") for each in labelled)
                attention = layout.module(block, "self_attn")
                mask = _Mask(taps, there, layout)
                handles.callback(attention.register_forward_pre_hook(mask, with_kwargs=True).remove)
        yield


@dataclass(frozen=True)
class _Door:
    """The taps of one site of one layer, as a hook; one address for each CFG branch in the batch."""

    taps: tuple[SiteTap, ...]
    addresses: tuple[Address, ...]
    layout: Layout

    @property
    def site(self) -> str:
        return str(self.addresses[0].site)

    def open_on(self, block: Any) -> Callable[[], None]:
        """Register on a block, and return what removes it again."""
        if self.site == "self_attn_qk":
            return QueryKeyDoor(self.passed).open_on(self.layout.module(block, "self_attn"))
        if self.site == "resid_pre":
            return block.register_forward_pre_hook(self.before, with_kwargs=True).remove
        return self.layout.module(block, self.site).register_forward_hook(self.after).remove

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Pass what enters a block by the taps."""
        if args:
            return (self.passed(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": self.passed(kwargs["hidden_states"])}

    def after(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Pass what a module puts out by the taps; of a tuple the first is the hidden state."""
        if isinstance(output, tuple):
            return (self.passed(output[0]), *output[1:])
        if self.site == "mlp" and self.layout.cross_attn is None:
            text = output.shape[1] - _num_tokens(self.addresses[0])
            return torch.cat([output[:, :text], self.passed(output[:, text:])], dim=1)
        return self.passed(output)

    def passed(self, hidden: torch.Tensor) -> torch.Tensor:
        """The hidden state after every tap has seen it, in the order of `Taps`, one CFG branch at a time."""
        for tap in self.taps:
            parts = hidden.chunk(len(self.addresses))
            edits = [tap.function(part, address) for part, address in zip(parts, self.addresses, strict=True)]
            if any(edit is not None for edit in edits):
                pairs = zip(edits, parts, strict=True)
                hidden = torch.cat([part if edit is None else self.fitted(edit, part) for edit, part in pairs])
        return hidden

    def fitted(self, edited: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """An edit in the number type and on the device of what it replaces."""
        if edited.shape != hidden.shape:
            raise PlanError(
                f"An edit of {self.site} in layer {self.addresses[0].layer} came as {list(edited.shape)}. "
                f"It must keep the shape {list(hidden.shape)}. Return a tensor of that shape, or None."
            )
        return edited.to(hidden)


@dataclass(frozen=True)
class _Mask:
    """The attention masks of one layer, as a hook that fills in `attention_mask`."""

    taps: Taps
    addresses: tuple[Address, ...]
    layout: Layout

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frames = [self.of_branch(address) for address in self.addresses]
        if all(mask is None for mask in frames):
            return None
        given = dict(zip(("hidden_states", "encoder_hidden_states", "attention_mask"), args, strict=False), **kwargs)
        masks = [self.over_tokens(mask, address) for mask, address in zip(frames, self.addresses, strict=True)]
        tokens = torch.stack(masks).to(given["hidden_states"].device)
        if self.layout.cross_attn is None:
            text = given["encoder_hidden_states"].shape[1]  # sees all and is seen by all
            tokens = nn.functional.pad(tokens, (text, 0, text, 0), value=True)
        tokens = tokens.repeat_interleave(len(given["hidden_states"]) // len(self.addresses), dim=0)
        tokens = tokens if self.layout.masks_by_head else tokens[:, None]
        if len(args) > 2:
            return (*args[:2], tokens, *args[3:]), kwargs
        return args, {**kwargs, "attention_mask": tokens}

    def of_branch(self, address: Address) -> torch.Tensor | None:
        """What all masks together leave visible, bool [F, F]; None for everything."""
        frames = [mask for mask in (function(address) for function in self.taps.masks) if mask is not None]
        return torch.stack(frames).all(dim=0) if frames else None

    def over_tokens(self, mask: torch.Tensor | None, address: Address) -> torch.Tensor:
        """From frames [F, F] to tokens [L, L], L = F·H·W."""
        assert address.token_grid is not None
        frames, height, width = address.token_grid
        mask = torch.ones(frames, frames, dtype=torch.bool) if mask is None else mask
        if mask.shape != (frames, frames) or not mask.any(dim=1).all():
            raise PlanError(
                f"An attention mask of layer {address.layer} came as {list(mask.shape)}, or blinds a frame. It "
                f"must be [{frames}, {frames}] with a True in every row. Let each frame see at least itself."
            )
        return mask.repeat_interleave(height * width, dim=0).repeat_interleave(height * width, dim=1)


def _num_tokens(address: Address) -> int:
    assert address.token_grid is not None
    return math.prod(address.token_grid)


def _check(taps: Taps, num_layers: int, layout: Layout) -> None:
    unknown = sorted({layer for tap in taps.sites for layer in tap.layers or () if not 0 <= layer < num_layers})
    if unknown:
        raise PlanError(
            f"Layers {unknown} do not exist. This model has layers 0 to {num_layers - 1}. Choose among these."
        )
    if layout.cross_attn is None and any(tap.site == "cross_attn" for tap in taps.sites):
        raise PlanError(
            "Site cross_attn was asked for. In this model text and video attend to each other in self_attn. "
            "Choose self_attn."
        )


def _check_compiled(transformer: nn.Module, blocks: list[Any], taps: Taps, layout: Layout) -> None:
    """Refuse taps inside of what is compiled."""
    if _is_compiled(transformer):
        raise PlanError(
            "The transformer is compiled as a whole, and what is compiled skips what is attached inside. Compile its "
            "blocks instead (transformer.compile_repeated_blocks()), or leave it uncompiled."
        )
    for layer, block in enumerate(blocks):
        inner = {tap.site for tap in taps.sites if tap.touches(layer)} - {"resid_pre", "block"}
        inner |= {"attention masks"} if taps.masks else set()
        closed = _is_compiled(block) or ("self_attn_qk" in inner and _is_compiled(layout.module(block, "self_attn")))
        if inner and closed:
            raise PlanError(
                f"Layer {layer} is compiled and came to be tapped inside ({', '.join(sorted(inner))}). A compiled "
                "block is open at resid_pre and block alone. Choose these, or leave it uncompiled."
            )


def _is_compiled(module: nn.Module) -> bool:
    """By `torch.compile(module)`, or by `module.compile()`."""
    return "_orig_mod" in module._modules or getattr(module, "_compiled_call_impl", None) is not None
