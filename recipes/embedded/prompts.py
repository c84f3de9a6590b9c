"""The bundled model's words: a tokenizer and a small frozen text encoder.

The encoder is a stock UMT5 encoder with random weights that are never trained: it turns each word into a fixed random
direction, mixed with its neighbours; the transformer's own text projection learns to read it.  Words unknown to the
tokenizer become one <unk> token.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from transformer import TEXT_DIM, TEXT_LENGTH

WORDS = Path(__file__).with_name("words.txt").read_text().split()
SPECIAL = ["<pad>", "</s>", "<unk>"]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A word tokenizer that ends every prompt with </s>, as T5's does."""
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *dict.fromkeys(WORDS)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=TEXT_LENGTH,
    )


def build_encoder(vocab_size: int, seed: int = 5) -> UMT5EncoderModel:
    """The frozen random encoder, rounded to half precision like all shipped weights."""
    torch.manual_seed(seed)
    config = UMT5Config(
        vocab_size=vocab_size, d_model=TEXT_DIM, d_kv=16, d_ff=128, num_layers=2, num_heads=4, dropout_rate=0.0,
        is_encoder_decoder=False, use_cache=False,
    )  # fmt: skip
    return UMT5EncoderModel(config).half().float().eval()


@torch.no_grad()
def embed(prompts: list[str]) -> list[torch.Tensor]:
    """The embeddings [n_i, D] that the stock pipeline computes before padding."""
    tokenizer = build_tokenizer()
    encoder = build_encoder(len(tokenizer))
    embeddings = []
    for prompt in prompts:
        tokens = tokenizer([prompt], return_tensors="pt")
        embeddings.append(encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state[0])
    return embeddings
