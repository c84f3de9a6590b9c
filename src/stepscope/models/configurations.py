"""Configurations: what each component of a pipeline is, before a single weight is there.

    {component: Part(library, class name, configuration)}

A folder says so itself (`model_index.json` and a `config.json` in each component).  The large models that have a card
are written down here, so that an estimate works offline.  Sources: `config.json` of the components of
Wan-AI/Wan2.2-I2V-A14B-Diffusers, Wan-AI/Wan2.2-TI2V-5B-Diffusers and Wan-AI/Wan2.1-I2V-14B-480P-Diffusers on the hub;
Video-Reason/VBVR-Wan2.2 is fine-tuned from the first and has its shape.  What is left out is the class's own default.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stepscope.errors import ModelLoadError
from stepscope.models.cards import Card, named_card
from stepscope.models.folders import find_configuration

__all__ = ["Configuration", "Part", "configuration"]

_FAMILY = "WanImageToVideoPipeline"


@dataclass(frozen=True)
class Part:
    """One component.

    Attributes:
        library: `diffusers` or `transformers`.
        kind: name of its class.
        config: what its class is made with.
    """

    library: str
    kind: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Configuration:
    """A pipeline without weights.

    Attributes:
        name: as it was asked for.
        card: what the model is made for.
        parts: components that have weights, in the order of the pipeline.
        expand_timesteps: whether each token has a timestep of its own.
    """

    name: str
    card: Card
    parts: Mapping[str, Part]
    expand_timesteps: bool = False


def _wan(**config: Any) -> Part:
    return Part("diffusers", "WanTransformer3DModel", MappingProxyType(config))


_UMT5_XXL = Part(
    "transformers",
    "UMT5EncoderModel",
    MappingProxyType(
        {
            "vocab_size": 256384,
            "d_model": 4096,
            "d_kv": 64,
            "d_ff": 10240,
            "num_layers": 24,
            "num_heads": 64,
            "feed_forward_proj": "gated-gelu",
        }
    ),
)
_CLIP_VIT_H = Part(
    "transformers",
    "CLIPVisionModel",
    MappingProxyType(
        {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
            "image_size": 224,
            "patch_size": 14,
            "hidden_act": "gelu",
        }
    ),
)
_VAE_8X = Part("diffusers", "AutoencoderKLWan", MappingProxyType({"z_dim": 16}))
_VAE_16X = Part(
    "diffusers",
    "AutoencoderKLWan",
    MappingProxyType(
        {
            "base_dim": 160,
            "decoder_base_dim": 256,
            "z_dim": 48,
            "is_residual": True,
            "in_channels": 12,
            "out_channels": 12,
            "patch_size": 2,
            "scale_factor_spatial": 16,
            "latents_mean": [0.0] * 48,  # no count depends on these
            "latents_std": [1.0] * 48,
        }
    ),
)
_EXPERT = _wan(in_channels=36)
_A14B = {"text_encoder": _UMT5_XXL, "vae": _VAE_8X, "transformer": _EXPERT, "transformer_2": _EXPERT}
_KNOWN: dict[str, tuple[Mapping[str, Part], bool]] = {
    "Wan-AI/Wan2.2-I2V-A14B-Diffusers": (_A14B, False),
    "Video-Reason/VBVR-Wan2.2": (_A14B, False),
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": (
        {
            "text_encoder": _UMT5_XXL,
            "vae": _VAE_16X,
            "transformer": _wan(in_channels=48, out_channels=48, num_attention_heads=24, ffn_dim=14336, num_layers=30),
        },
        True,
    ),
    "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers": (
        {
            "text_encoder": _UMT5_XXL,
            "vae": _VAE_8X,
            "image_encoder": _CLIP_VIT_H,
            "transformer": _wan(in_channels=36, image_dim=1280, added_kv_proj_dim=5120),
        },
        False,
    ),
}


def configuration(source: str, revision: str | None = None) -> Configuration:
    """The configuration of a name with a card, of a folder, or of a hub id; no weights are read or fetched.

    Raises:
        UnknownNameError: for a name that does not exist.
        ModelLoadError: for a folder without readable configurations, or of a class that is not supported.
    """
    if source in _KNOWN and revision is None and not Path(source).is_dir():
        parts, expand_timesteps = _KNOWN[source]
        return Configuration(source, named_card(source), parts, expand_timesteps)
    found = find_configuration(source, revision)
    index = _read(found.folder / "model_index.json")
    if index.get("_class_name") != _FAMILY:
        raise ModelLoadError(
            f"The pipeline is a {index.get('_class_name')}. An estimate knows {_FAMILY} only. Give such a model."
        )
    parts = {
        name: Part(pair[0], pair[1], _read(found.folder / name / "config.json"))
        for name, pair in index.items()
        if isinstance(pair, list) and pair[0] and (found.folder / name / "config.json").is_file()
    }
    return Configuration(found.name, found.card, parts, bool(index.get("expand_timesteps")))


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} cannot be read ({error}). A pipeline's folder has it. Fetch it again.") from error
    if not isinstance(said, dict):
        raise ModelLoadError(f"{path} holds no JSON object. A pipeline's folder has one. Fetch it again.")
    return said
