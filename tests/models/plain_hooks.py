"""What a stranger reads with forward hooks of their own in a Wan pipeline's own guided call, and what hooks leave."""

from contextlib import contextmanager

import torch
from diffusers.models.transformers import transformer_wan
from PIL import Image

ALL_SITES = ("resid_pre", "self_attn_qk", "self_attn", "cross_attn", "mlp", "block")


def attached(transformer):
    """Everything in a module tree that attaching could have left behind."""
    return [
        (name, sorted(vars(module)), [len(module.__dict__[key]) for key in sorted(vars(module)) if "hooks" in key])
        for name, module in transformer.named_modules()
    ]


def plainly_hooked(pipeline, sample, latents, num_steps):
    """What they read in the pipeline's own call: {(step, branch, expert, layer, site): hidden}."""
    with strangers_hooks(pipeline) as read:
        pipeline(
            image=Image.fromarray(sample.first_frame),
            prompt=sample.prompt,
            height=32,
            width=32,
            num_frames=5,
            num_inference_steps=num_steps,
            guidance_scale=3.0,
            latents=latents,
            output_type="latent",
        )
    return read


@contextmanager
def strangers_hooks(pipeline):
    """What they read in whatever runs inside, two forwards a step, the conditional one first."""
    stranger = Stranger(transformer_wan.dispatch_attention_fn)
    if pipeline.transformer_2 is None:
        stranger.hook(pipeline.transformer, None)
    else:
        stranger.hook(pipeline.transformer, "high_noise")
        stranger.hook(pipeline.transformer_2, "low_noise")
    transformer_wan.dispatch_attention_fn = stranger.attend
    try:
        yield stranger.read
    finally:
        transformer_wan.dispatch_attention_fn = stranger.stock
        for handle in stranger.handles:
            handle.remove()


class Stranger:
    def __init__(self, stock):
        self.stock, self.read, self.handles, self.forwards, self.inside = stock, {}, [], 0, None

    def hook(self, transformer, expert):
        def count(*_):
            self.forwards += 1

        self.handles.append(transformer.register_forward_pre_hook(count))
        for layer, block in enumerate(transformer.blocks):
            sites = {"self_attn": block.attn1, "cross_attn": block.attn2, "mlp": block.ffn, "block": block}
            self.handles.append(
                block.register_forward_pre_hook(lambda _, a, n=layer: self.keep(a[0], expert, n, "resid_pre"))
            )
            self.handles.append(block.attn1.register_forward_pre_hook(lambda *_, n=layer: self.enter(expert, n)))
            for site, module in sites.items():
                keep = lambda _, __, out, n=layer, s=site: self.keep(out, expert, n, s)  # noqa: E731
                self.handles.append(module.register_forward_hook(keep))

    def keep(self, hidden, expert, layer, site):
        step, branch = divmod(self.forwards - 1, 2)
        self.read[step, ("cond", "uncond")[branch], expert, layer, site] = hidden.clone()

    def enter(self, expert, layer):
        self.inside = expert, layer

    def attend(self, query, key, value, **options):
        """In the place of what the attention calls with queries and keys [B, L, heads, d] after norms and positions."""
        if self.inside is not None:
            self.keep(torch.stack([query, key], 1).transpose(2, 3), *self.inside, "self_attn_qk")
            self.inside = None
        return self.stock(query, key, value, **options)
