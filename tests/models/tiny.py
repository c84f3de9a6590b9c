"""Tiny random pipelines of every style: real classes, fixed seeds, a few thousand weights."""

from dataclasses import dataclass, field

import numpy as np
import torch
from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
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
