"""The bundled model's transformer: stock `WanTransformer3DModel`, and a fast forward over its weights for training.

`forward` computes what the stock forward computes, with two savings: the padding of the prompt to 512 tokens is one
token that counts (512 - n) times in the softmax (a bias of log(512 - n) on its logit), and blocks can be compiled one
by one.  A test holds it equal to the stock forward.
"""

import torch
from diffusers import WanTransformer3DModel
from torch.nn import functional

LATENT_CHANNELS = 32
TEXT_DIM = 64
TEXT_LENGTH = 512  # what the stock pipeline pads prompts to
CONFIG = {
    "patch_size": (1, 1, 1),
    "num_attention_heads": 4,
    "attention_head_dim": 64,
    "in_channels": 2 * LATENT_CHANNELS + 4,
    "out_channels": LATENT_CHANNELS,
    "text_dim": TEXT_DIM,
    "freq_dim": 128,
    "ffn_dim": 768,
    "num_layers": 8,
    "cross_attn_norm": True,
    "rope_max_seq_len": 64,
}


def build(seed: int = 0, **changes: object) -> WanTransformer3DModel:
    """A transformer with random weights; gates and output start small."""
    torch.manual_seed(seed)
    model = WanTransformer3DModel(**{**CONFIG, **changes})
    torch.nn.init.zeros_(model.proj_out.weight)
    torch.nn.init.zeros_(model.proj_out.bias)
    return model


def compact_prompts(embeddings: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts [n_i, D] as one tensor [P, M, D] whose last token stands for all padding, and its logit bias [P, M]."""
    longest = max(len(e) for e in embeddings) + 1
    tokens = torch.zeros(len(embeddings), longest, embeddings[0].shape[1])
    bias = torch.full((len(embeddings), longest), float("-inf"))
    for row, embedding in enumerate(embeddings):
        tokens[row, : len(embedding)] = embedding
        bias[row, : len(embedding)] = 0
        bias[row, -1] = float(torch.log(torch.tensor(float(TEXT_LENGTH - len(embedding)))))
    return tokens, bias


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2).type_as(x)


def _heads(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(2, (heads, -1))


def _norm(x: torch.Tensor, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None) -> torch.Tensor:
    return functional.layer_norm(x.float(), x.shape[-1:], weight, bias, 1e-6)


def block(
    b: torch.nn.Module,
    h: torch.Tensor,
    text: torch.Tensor,
    bias: torch.Tensor,
    temb: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
) -> torch.Tensor:
    """One transformer block, as in diffusers, with a bias on the text logits [B, 1, 1, M]."""
    shift, scale, gate, c_shift, c_scale, c_gate = (b.scale_shift_table + temb).chunk(6, dim=1)
    n = (_norm(h) * (1 + scale) + shift).type_as(h)
    a = b.attn1
    q = _rotate(_heads(a.norm_q(a.to_q(n)), a.heads), cos, sin)
    k = _rotate(_heads(a.norm_k(a.to_k(n)), a.heads), cos, sin)
    v = _heads(a.to_v(n), a.heads).type_as(q)
    o = functional.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2).type_as(q), v.transpose(1, 2))
    h = (h.float() + a.to_out[0](o.transpose(1, 2).flatten(2)) * gate).type_as(h)
    a = b.attn2
    n = _norm(h, b.norm2.weight, b.norm2.bias).type_as(h)
    q = _heads(a.norm_q(a.to_q(n)), a.heads)
    k = _heads(a.norm_k(a.to_k(text)), a.heads)
    v = _heads(a.to_v(text), a.heads).type_as(q)
    o = functional.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2).type_as(q), v.transpose(1, 2), attn_mask=bias.type_as(q)
    )
    h = h + a.to_out[0](o.transpose(1, 2).flatten(2)).type_as(h)
    n = (_norm(h) * (1 + c_scale) + c_shift).type_as(h)
    return (h.float() + b.ffn(n).float() * c_gate).type_as(h)


def forward(
    model: WanTransformer3DModel,
    x: torch.Tensor,
    timestep: torch.Tensor,
    text: torch.Tensor,
    bias: torch.Tensor,
    run_block: object = block,
) -> torch.Tensor:
    """The stock forward: x [B, 2C + 4, F, H, W], timestep [B], text [B, M, D], bias [B, M] -> [B, C, F, H, W]."""
    cos, sin = (t[..., 0::2] for t in model.rope(x))
    h = model.patch_embedding(x).flatten(2).transpose(1, 2).contiguous()
    temb, projected, text, _ = model.condition_embedder(timestep, text, None)
    projected = projected.unflatten(1, (6, -1)).float()
    for layer in model.blocks:
        h = run_block(layer, h, text, bias[:, None, None], projected, cos, sin)
    shift, scale = (model.scale_shift_table + temb[:, None].float()).chunk(2, dim=1)
    out = model.proj_out((_norm(h) * (1 + scale) + shift).type_as(h))
    grid = x.shape[2:]
    return out.transpose(1, 2).unflatten(2, grid)
