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
from stepscope.models.cards import Card, sample_size, scheduler_shift
from stepscope.models.cogvideox import CogVideoXDenoiser
from stepscope.models.cogvideox_codec import CogVideoXCodec
from stepscope.models.folders import SUPPORTED, find, first_line, open_pipeline, unsupported
from stepscope.models.live import LiveDenoiser, is_live
from stepscope.models.lora import hash_with_loras, merge_loras, with_own_lora
from stepscope.models.ltx import FRAME_RATE, LTXDenoiser
from stepscope.models.offload import check_offload, in_tiles, settle
from stepscope.models.user_file import object_of_file
from stepscope.models.wan import WanDenoiser
from stepscope.models.weights import folder_hash, pipeline_hash, source_hash
from stepscope.shapes import Frames, Latents

__all__ = ["LoadedModel", "Reference", "load", "of_family"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Reference:
    """What another process needs to load the same model: `load(source, device=…, dtype=…, …)`.

    Attributes:
        source: name, folder, hub id or FILE.py:NAME.
        folder: where the weights lie, None for FILE.py:NAME.
        revision: of a hub id.
        dtype: name of the number type.
        device: name of the device.
        loras: (expert, file) of what was merged into the weights.
        offload: what waits on the CPU.
    """

    source: str
    folder: str | None = None
    revision: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    loras: tuple[tuple[str, str], ...] = ()
    offload: str = "none"


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
        padding: latent frames that `encode` puts in front and `decode` drops.
    """

    name: str
    denoiser: AbstractDenoiser
    encode: Callable[[Frames], Latents]
    decode: Callable[[Latents], Frames]
    pipeline: Any
    card: Card
    weights_hash: str
    reference: Reference | None
    padding: int = 0


def load(
    x: Any,
    *,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    loras: Mapping[str, Any] = {},
    revision: str | None = None,
    offload: str = "none",
) -> LoadedModel:
    """Load a model.

    Args:
        x: name, folder, hub id, FILE.py:NAME, live pipeline or live denoiser.
        device: where to; a live pipeline stays where it is.
        dtype: number type of transformer and text encoder; None is float32 on the CPU and the card's elsewhere. The
            VAE and the image encoder are always float32: what is shown must not depend on it. A live object keeps its
            own, float32 for a denoiser.
        loras: {expert: safetensors file}, merged into `high_noise` or `low_noise`, or into `transformer` where there is
            one; see `lora`.
        revision: of a hub id.
        offload: `none`, `model` or `group`: what waits on the CPU until it is needed; see `offload`.

    Raises:
        UnknownNameError: for a name that does not exist.
        ModelLoadError: for what is missing, corrupt, pickled, unreachable or of an unsupported class.
        PlanError: for LoRAs or offload of a live model.
        BadInputError: for a device or number type that does not exist here, or that a live object does not have, and
            for offload that cannot be done here.
    """
    place = _device(device)
    check_offload(offload, place)
    if loras and (not isinstance(x, str | Path) or ".py:" in str(x)):
        raise PlanError(f"LoRAs came for {sorted(loras)} of a live model, which stays as it is. Give a folder instead.")
    if offload != "none" and (not isinstance(x, str | Path) or ".py:" in str(x)):
        raise PlanError(
            f"Offload {offload!r} came for a live model, which stays where it is. Give a folder instead, or call the "
            "pipeline's own enable_model_cpu_offload."
        )
    if not isinstance(x, str | Path):
        return _as_it_is(_live(x, place), dtype, revision)
    source = str(x)
    if ".py:" in source:
        return _as_it_is(_of_file(source, place), dtype, revision)
    found = find(source, revision)
    number = _dtype(dtype if dtype is not None else "float32" if place.type == "cpu" else found.card.dtype)
    pipeline = open_pipeline(found.folder, number)
    base_hash = folder_hash(found.folder)
    merged = with_own_lora(found.card.lora, loras, base_hash)
    merge_loras(pipeline, merged)
    files = tuple((expert, str(path)) for expert, path in loras.items())
    kept = str(number).removeprefix("torch.")
    reference = Reference(source, str(found.folder), revision, kept, str(place), files, offload)
    weights_hash = hash_with_loras(base_hash, merged)
    loaded = _pipeline(settle(pipeline, place, offload), found.name, found.card, weights_hash, reference)
    return loaded if offload == "none" else replace(loaded, decode=in_tiles(pipeline.vae, loaded.decode))


def _live(x: Any, device: torch.device) -> LoadedModel:
    """A live denoiser or pipeline as it is."""
    if is_live(x):
        return _denoiser(x, device)
    ancestors = [kind.__name__ for kind in type(x).__mro__]
    if any(name in SUPPORTED for name in ancestors):
        return _pipeline(x, type(x).__name__, _card_of(x), pipeline_hash(x), None)
    if "DiffusionPipeline" in ancestors:
        raise unsupported(type(x).__name__)
    if isinstance(x, type):
        raise ModelLoadError(
            f"The class {x.__name__} came as a model. A live model is an object. Give {x.__name__}() instead."
        )
    raise ModelLoadError(
        f"A {type(x).__name__} is no model. A live denoiser has latents_shape and velocity(latents, sigma, samples); a "
        f"live pipeline is a {' or '.join(SUPPORTED)}. Give one of these."
    )


def _card_of(pipeline: Any) -> Card:
    """The card of a live pipeline: what its configurations say, over the defaults."""
    shift = scheduler_shift(pipeline.scheduler.config)
    size = sample_size(getattr(pipeline.transformer, "config", {}), pipeline.vae.config)
    return Card(**size) if shift is None else Card(shift=shift, **size)


def _as_it_is(loaded: LoadedModel, dtype: str | torch.dtype | None, revision: str | None) -> LoadedModel:
    """A live model; refuses what would have to change it."""
    if revision is not None:
        raise BadInputError(f"Revision {revision!r} came for {loaded.name}. Only a hub id has revisions. Leave it out.")
    own = torch.float32 if loaded.pipeline is None else loaded.pipeline.dtype
    if dtype is not None and _dtype(dtype) != own:
        raise BadInputError(
            f"Number type {str(dtype)!r} came for {loaded.name}, which computes in {own}. A live model stays as it is. "
            "Leave it out."
        )
    return loaded


def _of_file(source: str, device: torch.device) -> LoadedModel:
    path, _, name = source.rpartition(":")
    reference = Reference(source, device=str(device))
    return replace(_live(object_of_file(source), device), name=f"{Path(path).name}:{name}", reference=reference)


def _pipeline(pipeline: Any, name: str, card: Card, weights_hash: str, reference: Reference | None) -> LoadedModel:
    denoiser = of_family(pipeline, card)
    codec = denoiser.codec
    padding = codec.padding if isinstance(codec, CogVideoXCodec) else 0
    return LoadedModel(name, denoiser, codec.encode, codec.decode, pipeline, card, weights_hash, reference, padding)


def of_family(pipeline: Any, card: Card) -> WanDenoiser | LTXDenoiser | CogVideoXDenoiser:
    """The one place where families are told apart."""
    ancestors = {kind.__name__ for kind in type(pipeline).__mro__}
    if "LTXImageToVideoPipeline" in ancestors:
        return LTXDenoiser(
            pipeline,
            frame_rate=FRAME_RATE if card.frame_rate is None else card.frame_rate,
            decode_timestep=card.decode_timestep,
            decode_noise_scale=card.decode_noise_scale,
        )
    return CogVideoXDenoiser(pipeline) if "CogVideoXImageToVideoPipeline" in ancestors else WanDenoiser(pipeline)


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
