"""Tiny random pipelines of every style: real classes, fixed seeds, a few thousand weights."""

from dataclasses import dataclass, field

import numpy as np
import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
    LTXImageToVideoPipeline,
    LTXVideoTransformer3DModel,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

STYLES = ("wan2.1", "wan2.2-a14b", "wan2.2-ti2v")
WORDS = ("<pad>", "</s>", "<unk>", "a", "red", "ball", "rolls", "down", "blurry")


@dataclass(frozen=True, eq=False)
class TinySample:
    """A question of no task, small enough for a test."""

    prompt: str = "a red ball rolls"
    first_frame: np.ndarray = field(default_factory=lambda: picture(seed=0))
    num_frames: int = 5


def picture(seed: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def scheduler(name: str):
    if name == "euler":
        return FlowMatchEulerDiscreteScheduler(shift=5.0)
    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)


def pipeline(style: str, scheduler_name: str = "euler") -> WanImageToVideoPipeline:
    torch.manual_seed(7)
    clip = style == "wan2.1"
    made = WanImageToVideoPipeline(
        tokenizer=tokenizer(),
        text_encoder=UMT5EncoderModel(
            UMT5Config(vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        ).eval(),
        vae=vae(),
        scheduler=scheduler(scheduler_name),
        image_processor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
        if clip
        else None,
        image_encoder=image_encoder() if clip else None,
        transformer=transformer(style),
        transformer_2=transformer(style) if style == "wan2.2-a14b" else None,
        boundary_ratio=0.9 if style == "wan2.2-a14b" else None,
        expand_timesteps=style == "wan2.2-ti2v",
    )
    made.set_progress_bar_config(disable=True)
    return made


def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def vae() -> AutoencoderKLWan:
    return AutoencoderKLWan(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[0.9, 1.1, 0.7, 1.3],
    ).eval()


def image_encoder() -> CLIPVisionModel:
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16
    )
    return CLIPVisionModel(config).eval()


def transformer(style: str) -> WanTransformer3DModel:
    """Two layers of 24 channels; weights large enough that every site matters."""
    made = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4 if style == "wan2.2-ti2v" else 12,
        out_channels=4,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        rope_max_seq_len=32,
        image_dim=16 if style == "wan2.1" else None,
        added_kv_proj_dim=24 if style == "wan2.1" else None,
    ).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    for block in made.blocks:  # sharp enough to find a few words among 512 tokens of padding
        torch.nn.init.normal_(block.attn2.norm_q.weight, std=3.0)
        torch.nn.init.normal_(block.attn2.norm_k.weight, std=3.0)
    return made


def ltx_pipeline(
    *, dynamic: bool = True, conditioned: bool = False, noisy_decoder: bool = False
) -> LTXImageToVideoPipeline:
    """LTX-Video; `conditioned` has a VAE that denoises once more, `noisy_decoder` one whose layers add noise."""
    torch.manual_seed(7)
    made = LTXImageToVideoPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0)
        if not dynamic
        else FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True,
            base_shift=0.95,
            max_shift=2.05,
            base_image_seq_len=4,
            max_image_seq_len=64,
            shift_terminal=0.1,
        ),
        vae=ltx_vae(conditioned, noisy_decoder),
        text_encoder=t5(),
        tokenizer=tokenizer(),
        transformer=ltx_transformer(),
    )
    made.set_progress_bar_config(disable=True)
    return made


def t5() -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    ).eval()


def ltx_vae(conditioned: bool, noisy_decoder: bool) -> AutoencoderKLLTXVideo:
    """8 times smaller in space, 4 times in time."""
    made = AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8),
        down_block_types=("LTXVideoDownBlock3D",) * 3,
        decoder_block_out_channels=(8, 8, 8),
        layers_per_block=(1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, False),
        decoder_spatio_temporal_scaling=(True, True, False),
        decoder_inject_noise=(noisy_decoder,) * 4,
        downsample_type=("conv",) * 3,
        upsample_residual=(False,) * 3,
        upsample_factor=(1,) * 3,
        timestep_conditioning=conditioned,
        patch_size=2,
        patch_size_t=1,
    ).eval()
    made.latents_mean.copy_(torch.linspace(-0.2, 0.3, 8))
    made.latents_std.copy_(torch.linspace(0.7, 1.3, 8))
    for name, parameter in made.named_parameters():
        if "per_channel_scale" in name:  # made as zeros, with which no noise would be added
            torch.nn.init.constant_(parameter, 0.3)
    return made


def ltx_transformer() -> LTXVideoTransformer3DModel:
    made = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=12,
        cross_attention_dim=24,
        num_layers=2,
        caption_channels=16,
    ).eval()
    return _loud(made)


def cogvideox_scheduler(name: str, **options):
    """As released: v-prediction, steps counted from the end, pure noise at first."""
    kind = {"ddim": CogVideoXDDIMScheduler, "dpm": CogVideoXDPMScheduler}[name]
    released = {
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
        "rescale_betas_zero_snr": True,
        "snr_shift_scale": 1.0,
    }
    return kind(**{**released, **options})


def cogvideox_pipeline(
    version: str = "1.0", scheduler_name: str = "ddim", *, learned: bool = False, **options
) -> CogVideoXImageToVideoPipeline:
    """CogVideoX 1.0 (rotary positions, `learned` ones too as released) or 1.5 (patches in time, an `ofs` embedding)."""
    torch.manual_seed(7)
    made = CogVideoXImageToVideoPipeline(
        tokenizer=tokenizer(),
        text_encoder=t5(),
        vae=cogvideox_vae(),
        transformer=cogvideox_transformer(version, learned),
        scheduler=cogvideox_scheduler(scheduler_name, **options),
    )
    made.set_progress_bar_config(disable=True)
    return made


def cogvideox_vae() -> AutoencoderKLCogVideoX:
    """8 times smaller in space, 4 times in time."""
    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
        scaling_factor=0.7,
    ).eval()


def cogvideox_transformer(version: str, learned: bool = False) -> CogVideoXTransformer3DModel:
    made = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8,
        out_channels=4,
        time_embed_dim=8,
        ofs_embed_dim=8 if version == "1.5" else None,
        text_embed_dim=16,
        num_layers=2,
        sample_width=6,
        sample_height=4,
        sample_frames=9,
        patch_size=2,
        patch_size_t=2 if version == "1.5" else None,
        max_text_seq_length=226,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=learned,
        patch_bias=version != "1.5",
    ).eval()
    return _loud(made)


def _loud(model):
    """Weights large enough that every site matters."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model
