"""Released models: the configurations of those that have a card, written down, so that an estimate works offline.

    {hub id: Release(pipeline class, {component: Part}, scheduler, settings)}

Sources: `config.json` of the components of Wan-AI/Wan2.2-I2V-A14B-Diffusers, Wan-AI/Wan2.2-TI2V-5B-Diffusers,
Wan-AI/Wan2.1-I2V-14B-480P-Diffusers, Lightricks/LTX-Video (0.9.0), THUDM/CogVideoX-5b-I2V and
THUDM/CogVideoX1.5-5B-I2V on the hub; Video-Reason/VBVR-Wan2.2 is fine-tuned from the first and has its shape.  What is
left out is the class's own default, and what no count depends on: means and deviations, how a scheduler is set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["RELEASED", "Part", "Release"]


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
class Release:
    """A pipeline without weights.

    Attributes:
        kind: name of its class.
        parts: components that have weights, in the order of the pipeline.
        scheduler: the component that has none.
        settings: what else the class is made with.
    """

    kind: str
    parts: Mapping[str, Part]
    scheduler: Part
    settings: Mapping[str, Any]


def _diffusers(kind: str, **config: Any) -> Part:
    return Part("diffusers", kind, MappingProxyType(config))


def _text_encoder(kind: str, vocabulary: int) -> Part:
    """T5 v1.1 XXL, or its multilingual kin."""
    config = {"vocab_size": vocabulary, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    return Part("transformers", kind, MappingProxyType(config | {"feed_forward_proj": "gated-gelu"}))


_UMT5_XXL = _text_encoder("UMT5EncoderModel", 256384)
_T5_XXL = _text_encoder("T5EncoderModel", 32128)
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


def _wan(vae: Part, transformer: Part, others: Mapping[str, Part] = {}, **settings: Any) -> Release:
    parts = {"text_encoder": _UMT5_XXL, "vae": vae, **others, "transformer": transformer}
    return Release("WanImageToVideoPipeline", parts, _diffusers("UniPCMultistepScheduler"), settings)


def _cogvideox(**config: Any) -> Release:
    parts = {
        "text_encoder": _T5_XXL,
        "vae": _diffusers("AutoencoderKLCogVideoX"),
        "transformer": _diffusers(
            "CogVideoXTransformer3DModel",
            num_attention_heads=48,
            in_channels=32,
            num_layers=42,
            use_rotary_positional_embeddings=True,
            **config,
        ),
    }
    scheduler = _diffusers("CogVideoXDDIMScheduler", prediction_type="v_prediction", rescale_betas_zero_snr=True)
    return Release("CogVideoXImageToVideoPipeline", parts, scheduler, {})


_WAN_VAE_8X = _diffusers("AutoencoderKLWan", z_dim=16)
_WAN_VAE_16X = _diffusers(
    "AutoencoderKLWan",
    base_dim=160,
    decoder_base_dim=256,
    z_dim=48,
    is_residual=True,
    in_channels=12,
    out_channels=12,
    patch_size=2,
    scale_factor_spatial=16,
    latents_mean=[0.0] * 48,
    latents_std=[1.0] * 48,
)
_A14B_EXPERT = _diffusers("WanTransformer3DModel", in_channels=36)
_A14B = _wan(_WAN_VAE_8X, _A14B_EXPERT, {"transformer_2": _A14B_EXPERT}, boundary_ratio=0.9)

RELEASED: Mapping[str, Release] = {
    "Wan-AI/Wan2.2-I2V-A14B-Diffusers": _A14B,
    "Video-Reason/VBVR-Wan2.2": _A14B,
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers": _wan(
        _WAN_VAE_16X,
        _diffusers(
            "WanTransformer3DModel",
            in_channels=48,
            out_channels=48,
            num_attention_heads=24,
            ffn_dim=14336,
            num_layers=30,
        ),
        expand_timesteps=True,
    ),
    "Wan-AI/Wan2.1-I2V-14B-480P-Diffusers": _wan(
        _WAN_VAE_8X,
        _diffusers("WanTransformer3DModel", in_channels=36, image_dim=1280, added_kv_proj_dim=5120),
        {"image_encoder": _CLIP_VIT_H},
    ),
    "Lightricks/LTX-Video": Release(
        "LTXImageToVideoPipeline",
        {
            "text_encoder": _T5_XXL,
            "vae": _diffusers("AutoencoderKLLTXVideo"),
            "transformer": _diffusers("LTXVideoTransformer3DModel"),
        },
        _diffusers("FlowMatchEulerDiscreteScheduler"),
        {},
    ),
    "THUDM/CogVideoX-5b-I2V": _cogvideox(use_learned_positional_embeddings=True),
    "THUDM/CogVideoX1.5-5B-I2V": _cogvideox(
        ofs_embed_dim=512, patch_bias=False, patch_size_t=2, sample_frames=81, sample_height=300, sample_width=300
    ),
}
