"""What a run will take, from configurations alone: parameters, model calls, bytes on disk, memory at its worst.

    calls    = steps · (2 with guidance, else 1) · runs
    tokens   = F/p_t · H/p_h · W/p_w
    weights  = sum over parameters of 4 bytes in a float32 island, VAE or image encoder, else those of the number type
    kept     = 3 latents a step (what entered, the two clean estimates) until the run ends, float32
    peak     = max over stages of  resident weights + activations,   stages: prompt, encode, denoise, decode

Resident are all weights (`none`); with offload those of the VAE and of one network: of whole ones (`model`), or of a
transformer what lies outside its blocks, and two blocks (`group`).  A video is encoded beside an encoder and decoded
beside a transformer, then in tiles (tile + 2 videos; see `offload`).  Activations are those of the real forward, of one
sample, counted on the meta device (see `meta_memory`).  Cost: seconds, on any machine; no weight is read.

Checked against one expert of Wan2.2-I2V-A14B, bfloat16, 832x480x81, on an H100: 30.2 GiB measured, 30.1 estimated.
Context and kernel workspaces of the driver (a few hundred MiB) come on top.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch

from stepscope.errors import BadInputError, ModelLoadError, UnknownNameError
from stepscope.models.configurations import Configuration, Part, configuration
from stepscope.models.meta_memory import peak_bytes
from stepscope.models.wan_codec import WanCodec

__all__ = ["Estimate", "estimate"]

_FLOAT32_COMPONENTS = ("vae", "image_encoder")
_EXPERTS = ("transformer", "transformer_2")
_TEXT_TOKENS, _IMAGE_TOKENS = 512, 257
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_KEPT_LATENTS = 3


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        parameters: {component: number of weights}.
        model_calls: forwards of the transformer, times samples.
        tokens: of one forward.
        recorded_bytes: {recorder: bytes on disk} of all runs; `raw_block` is every block's output at every step.
        peak_bytes: {offload: memory of the device at its worst}.
        latents_shape: (C, F, H, W).
        dtype: number type of transformer and text encoder.
    """

    parameters: Mapping[str, int]
    model_calls: int
    tokens: int
    recorded_bytes: Mapping[str, int]
    peak_bytes: Mapping[str, int]
    latents_shape: tuple[int, int, int, int]
    dtype: str


def estimate(
    source: str,
    *,
    num_steps: int = 20,
    runs: int = 1,
    guidance: float | int | None = None,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    dtype: str | None = None,
    revision: str | None = None,
) -> Estimate:
    """What a run of a model will take.

    Args:
        source: a name with a card, a diffusers folder, or a hub id.
        num_steps: N >= 1.
        runs: samples times seeds.
        guidance: None for the model's own; 1 is none.
        num_frames: None for the model's own.
        height: pixels; None for the model's own.
        width: pixels; None for the model's own.
        dtype: `float32`, `bfloat16` or `float16`; None for the card's, which is that of an accelerator.
        revision: of a hub id.

    Raises:
        UserError: for a model that cannot be found or estimated, or a size that it cannot take.
    """
    if num_steps < 1 or runs < 1:
        raise BadInputError(f"{num_steps} steps of {runs} runs came. There is at least 1 of each. Ask for more.")
    if guidance is not None and not 1 <= guidance < math.inf:
        raise BadInputError(f"Guidance came as {guidance}. It must be 1 (one forward a prediction) or more. Choose 1.")
    found = configuration(source, revision)
    card = found.card
    number = card.dtype if dtype is None else dtype
    if number not in _BYTES:
        raise UnknownNameError.of("number type", number, tuple(_BYTES))
    modules = _on_meta(found, number)
    frames = card.num_frames if num_frames is None else num_frames
    rows, columns = card.height if height is None else height, card.width if width is None else width
    shape = _codec(modules).latents_shape(frames, rows, columns)
    branches = 2 if (card.guidance if guidance is None else guidance) > 1 else 1
    config = _main(modules).config
    tokens = _tokens(shape, config.patch_size)
    per_branch = num_steps * branches * config.num_layers * tokens * runs
    latents = 4 * math.prod(shape)
    return Estimate(
        parameters={name: sum(p.numel() for p in module.parameters()) for name, module in modules.items()},
        model_calls=num_steps * branches * runs,
        tokens=tokens,
        recorded_bytes={
            "latents": (num_steps + 1) * latents * runs,
            "clean_estimates": num_steps * latents * runs,
            "frames": (num_steps + 1) * 3 * frames * rows * columns * runs,
            "token_energy": 4 * per_branch,
            "raw_block": _BYTES[number] * config.num_attention_heads * config.attention_head_dim * per_branch,
        },
        peak_bytes=_peaks(
            modules, _activations(found, modules, shape, (frames, rows, columns), _KEPT_LATENTS * num_steps * latents)
        ),
        latents_shape=shape,
        dtype=number,
    )


@dataclass(frozen=True)
class _Activations:
    """Bytes besides weights, at the worst of each stage."""

    denoise: int
    encode: int
    decode: int
    decode_in_tiles: int


def _peaks(modules: Mapping[str, torch.nn.Module], used: _Activations) -> dict[str, int]:
    """The worst of the stages, by kind of offload."""
    weights = {name: _weights(module.parameters()) for name, module in modules.items()}
    vae, experts = weights["vae"], set(_experts(modules))
    encoders = max((weights[name] for name in weights.keys() - experts - {"vae"}), default=0)

    def alone(expert: int) -> int:
        return vae + max(encoders + used.encode, expert + max(used.denoise, used.decode_in_tiles))

    return {
        "none": sum(weights.values()) + max(used.denoise, used.encode, used.decode),
        "model": alone(max(weights[name] for name in experts)),
        "group": alone(max(_grouped(modules[name]) for name in experts)),
    }


def _grouped(transformer: Any) -> int:
    """Weights of a transformer that are there at once under group offload: one block at work, the next on its way."""
    blocks = [_weights(block.parameters()) for block in transformer.blocks]
    return _weights(transformer.parameters()) - sum(blocks) + sum(sorted(blocks)[-2:])


def _weights(parameters: Any) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)


def _activations(
    found: Configuration,
    modules: Mapping[str, Any],
    shape: tuple[int, int, int, int],
    size: tuple[int, int, int],
    kept: int,
) -> _Activations:
    """Peak bytes of one forward of each stage, besides weights.  The text encoder's are too few to count."""
    vae = modules["vae"]
    experts = {found.parts[name].kind + str(found.parts[name].config): modules[name] for name in _experts(modules)}
    tile = (*shape[:2], *(min(side, _tile(vae)) for side in shape[2:]))
    decode, in_tile = (
        peak_bytes(partial(vae.decode, torch.empty(1, *z, device="meta")), vae.parameters()) for z in (shape, tile)
    )
    return _Activations(
        denoise=kept
        + max(
            peak_bytes(_forward(expert, shape, found.expand_timesteps), expert.parameters())
            for expert in experts.values()
        ),
        encode=peak_bytes(lambda: vae.encode(torch.empty(1, 3, *size)), vae.parameters()),
        decode=decode,
        decode_in_tiles=decode if tile == shape else in_tile + 2 * 4 * 3 * math.prod(size),
    )


def _tile(vae: Any) -> int:
    """Rows and columns of latents in a tile."""
    return vae.tile_sample_min_height // vae.spatial_compression_ratio


def _forward(transformer: Any, shape: tuple[int, int, int, int], per_token: bool) -> Callable[[], object]:
    """One forward of a Wan transformer, with inputs of the right shapes."""
    config, number = transformer.config, transformer.dtype
    timestep = (1, _tokens(shape, config.patch_size)) if per_token else (1,)
    image = None if config.image_dim is None else (1, _IMAGE_TOKENS, config.image_dim)
    return lambda: transformer(
        hidden_states=torch.empty(1, config.in_channels, *shape[1:], dtype=number),
        timestep=torch.empty(timestep),
        encoder_hidden_states=torch.empty(1, _TEXT_TOKENS, config.text_dim, dtype=number),
        encoder_hidden_states_image=None if image is None else torch.empty(image, dtype=number),
        return_dict=False,
    )


def _tokens(shape: tuple[int, int, int, int], patch: Sequence[int]) -> int:
    _, frames, height, width = shape
    return (frames // patch[0]) * (height // patch[1]) * (width // patch[2])


def _on_meta(found: Configuration, number: str) -> dict[str, Any]:
    """Every component, without content, in the number type in which it would be loaded."""
    kinds = {name: part.kind for name, part in found.parts.items() if name in _EXPERTS}
    if "vae" not in found.parts or set(kinds.values()) != {"WanTransformer3DModel"}:
        raise ModelLoadError(
            f"{found.name} has {', '.join(sorted(set(kinds.values()))) or 'no transformer'}. An estimate can be made "
            "for WanTransformer3DModel with its VAE. Give a model of the Wan family."
        )
    return {
        name: _built(found.name, part, getattr(torch, "float32" if name in _FLOAT32_COMPONENTS else number))
        for name, part in found.parts.items()
    }


def _built(model: str, part: Part, number: torch.dtype) -> Any:
    """One component on the meta device; what its class keeps in float32 is so here."""
    import diffusers
    import transformers

    libraries = {"diffusers": diffusers, "transformers": transformers}
    try:
        kind: Any = getattr(libraries[part.library], part.kind)
        with torch.device("meta"):
            config = dict(part.config)
            made = (
                kind.from_config(config) if part.library == "diffusers" else kind(kind.config_class.from_dict(config))
            )
    except (KeyError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        raise ModelLoadError(
            f"The configuration of {part.kind} of {model} makes no model ({type(error).__name__}: {error}). "
            "It must be whole. Fetch or save it again."
        ) from error
    islands = set(getattr(made, "_keep_in_fp32_modules", None) or ()) if part.library == "diffusers" else set()
    for name, parameter in made.named_parameters():
        parameter.data = parameter.data.to(torch.float32 if islands & set(name.split(".")) else number)
    return made


def _codec(modules: Mapping[str, Any]) -> WanCodec:
    """The sizes that VAE and transformer can take."""
    config = modules["vae"].config
    pipeline = SimpleNamespace(
        transformer=_main(modules),
        transformer_2=None,
        vae=modules["vae"],
        vae_scale_factor_spatial=config.scale_factor_spatial,
        vae_scale_factor_temporal=config.scale_factor_temporal,
    )
    return WanCodec(pipeline)


def _main(modules: Mapping[str, Any]) -> Any:
    return modules[_experts(modules)[0]]


def _experts(modules: Mapping[str, Any]) -> list[str]:
    return [name for name in _EXPERTS if name in modules]
