"""Loading: from whatever a user calls a model to a denoiser with its codec, card and hash.

    name | folder | hub id | FILE.py:NAME | live pipeline | live denoiser   ->   LoadedModel

diffusers is imported only when a folder is loaded.  Cost: one read of the weights to hash them, one to load them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from stepscope.denoise import AbstractDenoiser
from stepscope.errors import BadInputError, ModelLoadError, PlanError
from stepscope.models.cards import Card, scheduler_shift
from stepscope.models.folders import SUPPORTED, find, first_line, open_pipeline, unsupported
from stepscope.models.live import LiveDenoiser, is_live
from stepscope.models.user_file import object_of_file
from stepscope.models.wan import WanDenoiser
from stepscope.models.weights import folder_hash, pipeline_hash, source_hash
from stepscope.shapes import Frames, Latents

__all__ = ["LoadedModel", "Reference", "load"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Reference:
    """What another process needs to load the same model: `load(source, device=…, dtype=…, revision=…)`.

    Attributes:
        source: name, folder, hub id or FILE.py:NAME.
        folder: where the weights lie, None for FILE.py:NAME.
        revision: of a hub id.
        dtype: name of the number type.
        device: name of the device.
    """

    source: str
    folder: str | None = None
    revision: str | None = None
    dtype: str = "float32"
    device: str = "cpu"


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to be run.

    Attributes:
        name: its edition, hub id, folder's name, FILE.py:NAME or class; free of this machine's paths.
        denoiser: what the engine asks.
        encode: frames uint8 [T, Y, X, 3] -> latents [C, F, H, W].
        decode: latents [C, F, H, W] -> frames.
        pipeline: the diffusers pipeline, None for a live denoiser.
        card: what it is made for.
        weights_hash: see `weights`.
        reference: how to load it again; None for a live object, which exists in this process only.
    """

    name: str
    denoiser: AbstractDenoiser
    encode: Callable[[Frames], Latents]
    decode: Callable[[Latents], Frames]
    pipeline: Any
    card: Card
    weights_hash: str
    reference: Reference | None


def load(
    x: Any,
    *,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    loras: Mapping[str, Any] = {},
    revision: str | None = None,
) -> LoadedModel:
    """Load a model.

    Args:
        x: name, folder, hub id, FILE.py:NAME, live pipeline or live denoiser.
        device: where to; a live pipeline stays where it is.
        dtype: number type of transformer and text encoder; None is float32 on the CPU and the card's elsewhere. The
            VAE and the image encoder are always float32: what is shown must not depend on it.
        loras: not supported yet.
        revision: of a hub id.

    Raises:
        UnknownNameError: for a name that does not exist.
        ModelLoadError: for what is missing, corrupt, pickled, unreachable or of an unsupported class.
        PlanError: for LoRAs.
        BadInputError: for a device or number type that does not exist here.
    """
    if loras:
        raise PlanError(f"LoRAs came for {sorted(loras)}. This version loads none. Merge them into the folder first.")
    place = _device(device)
    if not isinstance(x, str | Path):
        return _live(x, place)
    source = str(x)
    if ".py:" in source:
        return _of_file(source, place)
    found = find(source, revision)
    number = _dtype(dtype if dtype is not None else "float32" if place.type == "cpu" else found.card.dtype)
    pipeline = open_pipeline(found.folder, number).to(place)
    reference = Reference(source, str(found.folder), revision, str(number).removeprefix("torch."), str(place))
    return _wan(pipeline, found.name, found.card, folder_hash(found.folder), reference)


def _live(x: Any, device: torch.device) -> LoadedModel:
    """A live denoiser or pipeline as it is."""
    if is_live(x):
        return _denoiser(x, device)
    ancestors = [kind.__name__ for kind in type(x).__mro__]
    if any(name in SUPPORTED for name in ancestors):
        shift = scheduler_shift(x.scheduler.config)
        card = Card() if shift is None else Card(shift=shift)
        return _wan(x, type(x).__name__, card, pipeline_hash(x), None)
    if "DiffusionPipeline" in ancestors:
        raise unsupported(type(x).__name__)
    raise ModelLoadError(
        f"A {type(x).__name__} is no model. A live denoiser has latents_shape and velocity(latents, sigma, samples); a "
        f"live pipeline is a {' or '.join(SUPPORTED)}. Give one of these."
    )


def _of_file(source: str, device: torch.device) -> LoadedModel:
    path, _, name = source.rpartition(":")
    reference = Reference(source, device=str(device))
    return replace(_live(object_of_file(source), device), name=f"{Path(path).name}:{name}", reference=reference)


def _wan(pipeline: Any, name: str, card: Card, weights_hash: str, reference: Reference | None) -> LoadedModel:
    denoiser = WanDenoiser(pipeline)
    codec = denoiser.codec
    return LoadedModel(name, denoiser, codec.encode, codec.decode, pipeline, card, weights_hash, reference)


def _denoiser(model: Any, device: torch.device) -> LoadedModel:
    live = LiveDenoiser(model, device)
    _, frames, height, width = live.shape
    card = Card(guidance=1.0, num_frames=frames, height=height, width=width, num_steps=20, dtype="float32")
    return LoadedModel(type(model).__name__, live, live.encode, live.decode, None, card, source_hash(model), None)


def _device(device: str | torch.device) -> torch.device:
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BadInputError(f"Device {str(device)!r} cannot be used here ({first_line(error)}). Use 'cpu'.") from error
    return place


def _dtype(dtype: str | torch.dtype) -> torch.dtype:
    name = str(dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise BadInputError(f"Number type {name!r} is not supported. Known: {', '.join(_DTYPES)}. Choose one of these.")
    return _DTYPES[name]
