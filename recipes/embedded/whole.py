"""The codec's forward over a whole clip at once.

The stock `AutoencoderKLWan` walks through a clip in chunks of four frames and carries caches from one to the next,
which saves memory at inference and costs thousands of small launches in training.  All its convolutions are causal,
with zeros before the first frame, so the same function can be computed over all frames together; only the temporal
resampling treats the first frame apart:

    down   y = [x_0, conv(x_0 x_1 x_2), conv(x_2 x_3 x_4), …]
    up     y = [x_0, pairs of conv over x_1 x_2 … with zeros before x_1]

A test holds `encode` and `decode` equal to the stock ones.
"""

import time
from collections.abc import Callable

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import (
    WanCausalConv3d,
    WanResample,
    WanResidualBlock,
    WanRMS_norm,
    patchify,
    unpatchify,
)
from torch.nn import functional


def _conv(layer: WanCausalConv3d, x: torch.Tensor) -> torch.Tensor:
    side = layer._padding[0]
    before = layer._padding[4]
    if before:
        x = functional.pad(x, (0, 0, 0, 0, before, 0))
    return functional.conv3d(x, layer.weight, layer.bias, layer.stride, (0, side, side))


def _norm_silu(x: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
    length = x.float().square().sum(1, keepdim=True).sqrt().clamp_min(1e-12)
    return functional.silu((x / length * gamma).to(x.dtype))


norm_silu = _norm_silu  # `fuse` replaces it


def fuse() -> None:
    """Compile norm and SiLU into one pass over memory: eager, they take most of the codec's time on a GPU.

    One kernel for each order of dimensions in memory that occurs, six or so.
    """
    global norm_silu
    torch._dynamo.config.recompile_limit = 24
    norm_silu = torch.compile(_norm_silu, dynamic=True)


def _active(layer: WanRMS_norm, x: torch.Tensor) -> torch.Tensor:
    return norm_silu(x, layer.gamma * layer.scale)


def _residual(layer: WanResidualBlock, x: torch.Tensor) -> torch.Tensor:
    short = _conv(layer.conv_shortcut, x) if isinstance(layer.conv_shortcut, WanCausalConv3d) else x
    x = _conv(layer.conv1, _active(layer.norm1, x))
    return short + _conv(layer.conv2, _active(layer.norm2, x))


def _frames(function: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Apply a picture-wise function to every frame."""
    batch, _, time = x.shape[:3]
    y = function(x.transpose(1, 2).flatten(0, 1))
    return y.unflatten(0, (batch, time)).transpose(1, 2)


def _down(layer: WanResample, x: torch.Tensor) -> torch.Tensor:
    x = _frames(layer.resample, x)
    return torch.cat([x[:, :, :1], _conv(layer.time_conv, x)], dim=2) if x.shape[2] > 1 else x


def _up(layer: WanResample, x: torch.Tensor) -> torch.Tensor:
    if x.shape[2] > 1:
        pairs = _conv(layer.time_conv, x[:, :, 1:]).unflatten(1, (2, -1))
        later = torch.stack([pairs[:, 0], pairs[:, 1]], dim=3).flatten(2, 3)
        x = torch.cat([x[:, :, :1], later], dim=2)
    return _frames(layer.resample, x)


def _middle(block: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    x = _residual(block.resnets[0], x)
    for attention, resnet in zip(block.attentions, block.resnets[1:], strict=True):
        x = _residual(resnet, attention(x))
    return x


def encode(vae: AutoencoderKLWan, clip: torch.Tensor) -> torch.Tensor:
    """Mean and log variance, [B, 2Z, F, H, W], of clips [B, 3, T, Y, X]."""
    net = vae.encoder
    x = _conv(net.conv_in, patchify(clip, vae.config.patch_size))
    for layer in net.down_blocks:
        x = _down(layer, x) if isinstance(layer, WanResample) else _residual(layer, x)
    x = _middle(net.mid_block, x)
    return _conv(vae.quant_conv, _conv(net.conv_out, _active(net.norm_out, x)))


def decode(vae: AutoencoderKLWan, latents: torch.Tensor) -> torch.Tensor:
    """Clips [B, 3, T, Y, X], not clamped, of latents [B, Z, F, H, W]."""
    net = vae.decoder
    x = _middle(net.mid_block, _conv(net.conv_in, _conv(vae.post_quant_conv, latents)))
    for block in net.up_blocks:
        for resnet in block.resnets:
            x = _residual(resnet, x)
        for upsampler in block.upsamplers or ():
            x = _up(upsampler, x)
    x = _conv(net.conv_out, _active(net.norm_out, x))
    return unpatchify(x, vae.config.patch_size)


def faster_layout(run: Callable[[torch.Tensor], object], example: torch.Tensor) -> torch.memory_format:
    """The memory layout of its input in which `run` is faster on this card, by a few runs of each."""
    if example.device.type != "cuda":
        return torch.contiguous_format
    seconds = {}
    for layout in (torch.contiguous_format, torch.channels_last_3d):
        laid = example.contiguous(memory_format=layout)
        for repeat in range(5):
            if repeat == 2:  # the first runs compile and choose algorithms
                torch.cuda.synchronize()
                began = time.time()
            run(laid)
        torch.cuda.synchronize()
        seconds[layout] = (time.time() - began) / 3
    print("seconds by layout", {str(layout): round(value, 4) for layout, value in seconds.items()}, flush=True)
    return min(seconds, key=lambda layout: seconds[layout])
