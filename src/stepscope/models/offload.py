"""Offload: weights that wait on the CPU until they are needed.

    none     every component stays on the device
    model    text encoder, image encoder and experts take turns: one of them is on the device at a time
    group    the encoders take turns, and of an expert one block is at work while the next is on its way

The VAE is small and stays on the device, so that decoding never moves an expert.  What waits keeps its memory on the
CPU, and leaving is to point there again: weights are read and never written, so nothing is copied back.  `group` is
diffusers' own (`enable_group_offload`), which asks for accelerate.  Neither changes a number: the same weights meet the
same latents on the same device.

Decoding beside an expert must be frugal: with either, the VAE decodes in overlapping tiles, as diffusers does after
`enable_tiling` (of Wan 256 pixels, 64 of them in common).  A video larger than a tile then shows slightly other pixels.
First frames are encoded whole, so that a run stays what it is.

Cost: a copy of an expert to the device whenever the other one was there; with `group` one copy of it a forward, which
on CUDA runs beside the computation and takes pinned memory on the CPU, as much as the experts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch

from stepscope.errors import BadInputError, UnknownNameError
from stepscope.shapes import Frames, Latents

__all__ = ["OFFLOADS", "Turns", "check_offload", "in_tiles", "settle", "tiling"]

OFFLOADS = ("none", "model", "group")
_ENCODERS = ("text_encoder", "image_encoder")
_EXPERTS = ("transformer", "transformer_2")


@dataclass(eq=False)
class Turns:
    """Networks of which one is on the device at a time; it comes when it is called.

    Attributes:
        execution_device: the device; the name under which diffusers looks for it.
        resident: who is there, None before the first call.
    """

    execution_device: torch.device
    resident: str | None = None
    _waiting: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = field(default_factory=dict)

    def join(self, name: str, network: torch.nn.Module, *, is_moved: bool = True) -> None:
        """Let a network that lies on the CPU take part; with `is_moved` off somebody else moves its weights."""
        weights = [*network.parameters(), *network.buffers()] if is_moved else []
        self._waiting[name] = [(weight, weight.data) for weight in weights]
        network.register_forward_pre_hook(lambda *_: self.come(name))

    def come(self, name: str) -> None:
        """Bring a network to the device, after whoever is there has left."""
        if name == self.resident:
            return
        for weight, waiting in self._waiting.get(self.resident or "", []):
            weight.data = waiting
        for weight, waiting in self._waiting[name]:
            weight.data = waiting.to(self.execution_device)
        self.resident = name


def check_offload(offload: str, device: torch.device) -> None:
    """Refuse what cannot be done here, before anything is loaded.

    Raises:
        UnknownNameError: for another kind of offload.
        BadInputError: for offload from the CPU, or `group` without accelerate.
    """
    if offload not in OFFLOADS:
        raise UnknownNameError.of("offload", offload, OFFLOADS)
    if offload != "none" and device.type == "cpu":
        raise BadInputError(
            f"Offload {offload!r} came with device 'cpu', where the weights wait anyway. It needs an accelerator. "
            "Name one, as in device 'cuda', or leave offload out."
        )
    if offload == "group" and find_spec("accelerate") is None:
        raise BadInputError(
            "Offload 'group' came, and accelerate is not installed here, by which diffusers moves groups. "
            "Install it (pip install accelerate), or choose 'model'."
        )


def settle(pipeline: Any, device: torch.device, offload: str = "none") -> Any:
    """Bring a pipeline that lies on the CPU to where it will run.

    Args:
        pipeline: of any family; changed in place.
        device: where it computes.
        offload: one of `OFFLOADS`.

    Returns:
        The pipeline.
    """
    if offload == "none":
        return pipeline.to(device)
    turns = Turns(device)
    pipeline.vae.to(device)
    for name in (*_ENCODERS, *_EXPERTS):
        network = pipeline.components.get(name)
        if network is not None:
            by_groups = offload == "group" and name in _EXPERTS
            if by_groups:
                _group(network, device)
            turns.join(name, network, is_moved=not by_groups)
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            vars(component)["_hf_hook"] = turns  # where a pipeline and `inputs.device_of` read the device of what waits
    return pipeline


def in_tiles(vae: Any, decode: Callable[[Latents], Frames]) -> Callable[[Latents], Frames]:
    """A decoding that takes one tile of the video after the other; the VAE is as before afterwards."""

    def decoded(latents: Latents) -> Frames:
        with tiling(vae):
            return decode(latents)

    return decoded


def _group(expert: Any, device: torch.device) -> None:
    expert.enable_group_offload(
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
        use_stream=device.type == "cuda",
    )


@contextmanager
def tiling(vae: Any) -> Iterator[None]:
    """The VAE decodes in tiles inside, and as before afterwards."""
    before = vae.use_tiling
    vae.use_tiling = True
    try:
        yield
    finally:
        vae.use_tiling = before
