"""The last lines of a transformer: from the hidden states of its last block to what the network puts out.

    output = unpatchify( P ( norm(h) (1 + scale(t)) + shift(t) ) )          h [K, L, D],  t the time step

These lines stand inside each family's `forward`, after the blocks, so they are said again here, with the network's own
modules and in its own order: for the hidden states of the last block the answer is the network's own, bit for bit (in a
batch of the same size).
Hidden states of other layers, brought to the last one, are read through the same lines; that costs no model call.
Cost: two operations a channel, and D times the size of a patch a token.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float

from stepscope.shapes import Trajectory

__all__ = ["States", "cogvideox_output", "ltx_output", "wan_output"]

States = Float[torch.Tensor, "K L D"]
"""Hidden states of one sample's tokens, K of them."""
Grid = tuple[int, int, int]
"""Tokens along frames, rows and columns."""


def wan_output(network: torch.nn.Module, hidden: States, timestep: torch.Tensor, grid: Grid) -> Trajectory:
    """What a `WanTransformer3DModel` puts out.

    Args:
        network: the transformer.
        hidden: what its last block put out, or what is read in its place.
        timestep: [1], or [1, L] with one a token.
        grid: how the tokens lie.
    """
    model: Any = network  # diffusers' modules carry no types
    hidden, embedder = hidden.to(model.proj_out.weight), model.condition_embedder
    waves = embedder.timesteps_proj(timestep.flatten()).unflatten(0, timestep.shape)
    times = embedder.time_embedder(waves.to(embedder.time_embedder.linear_1.weight)).to(hidden)
    shift, scale = (model.scale_shift_table + times.unsqueeze(-2)).unbind(-2)
    tokens = model.proj_out((model.norm_out(hidden.float()) * (1 + scale) + shift).to(hidden))
    return _unpatched(tokens, grid, model.config.patch_size)


def ltx_output(network: torch.nn.Module, hidden: States, timestep: torch.Tensor, grid: Grid) -> Trajectory:
    """What an `LTXVideoTransformer3DModel` puts out; the time steps are [1, L], one a token."""
    model: Any = network
    hidden = hidden.to(model.proj_out.weight)
    told = timestep.to(hidden.device)  # with offload the last lines wait on the CPU
    _, times = model.time_embed(told.flatten(), batch_size=1, hidden_dtype=hidden.dtype)
    shift, scale = (model.scale_shift_table + times.unflatten(0, told.shape).unsqueeze(-2)).unbind(-2)
    tokens = model.proj_out(model.norm_out(hidden) * (1 + scale) + shift)
    return _unpatched(tokens, grid, (1, 1, 1))


def cogvideox_output(
    network: torch.nn.Module, hidden: States, timestep: torch.Tensor, ofs: Float[torch.Tensor, " 1"] | None, grid: Grid
) -> Trajectory:
    """What a `CogVideoXTransformer3DModel` puts out, channels before frames; the time step is [1]."""
    model: Any = network
    hidden = hidden.to(model.proj_out.weight)
    times = model.time_embedding(model.time_proj(timestep).to(hidden), None)
    if ofs is not None:
        times = times + model.ofs_embedding(model.ofs_proj(ofs).to(hidden))
    tokens = model.proj_out(model.norm_out(model.norm_final(hidden), temb=times))
    size, frames = model.config.patch_size, model.config.patch_size_t or 1
    return _laid(tokens.unflatten(-1, (-1, frames, size, size)), grid)


def _unpatched(tokens: States, grid: Grid, patch: Sequence[int]) -> Trajectory:
    """Patches with their channels last, laid out."""
    return _laid(tokens.unflatten(-1, (*patch, -1)).movedim(-1, 2), grid)


def _laid(patches: Float[torch.Tensor, "K L C f h w"], grid: Grid) -> Trajectory:
    """Patches with their channels first, laid out along frames, rows and columns."""
    laid = patches.unflatten(1, grid).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return laid.flatten(6, 7).flatten(4, 5).flatten(2, 3)
