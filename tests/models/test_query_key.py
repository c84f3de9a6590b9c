"""Queries and keys are those with which the attention of every family really works, and can be watched and edited."""

import pytest
import tiny
import torch
from torch.nn.functional import scaled_dot_product_attention

from stepscope.denoise import Euler, Run, SiteTap, Taps, denoise, initial_latents, paper_grid
from stepscope.errors import PlanError
from stepscope.models import load
from stepscope.models.query_key import QueryKeyDoor
from stepscope.recorders import CrossFrameAttention

KINDS = {
    **{style: lambda style=style: tiny.pipeline(style) for style in tiny.STYLES},
    "ltx": tiny.ltx_pipeline,
    "cogvideox": tiny.cogvideox_pipeline,
}
NUM_STEPS, SAMPLE = 2, tiny.TinySample(num_frames=9)
GRID = paper_grid(NUM_STEPS, 3.0)


@pytest.fixture(scope="module", params=KINDS)
def denoiser(request):
    return load(KINDS[request.param]()).denoiser


def predict(denoiser, taps, guidance=1.0):
    latents = initial_latents(3, denoiser.latents_shape(SAMPLE))[None]
    condition = denoiser.condition((SAMPLE,), guidance, None)
    return denoiser.predict(latents, 0, GRID, condition, guidance, taps)


def seen(denoiser, site, guidance=1.0):
    """{(CFG branch, layer): what the site showed}."""
    found = {}
    keep = SiteTap(site, lambda hidden, address: found.update({(address.cfg_branch, address.layer): hidden.clone()}))
    predict(denoiser, Taps((keep,)), guidance)
    return found


def attentions(denoiser):
    blocks = getattr(denoiser.pipeline.transformer, "blocks", None)
    return [block.attn1 for block in blocks or denoiser.pipeline.transformer.transformer_blocks]


def entering(denoiser):
    """What enters each self-attention, text before the video's tokens, read with plain hooks."""
    read, handles = [], []

    def keep(module, args, kwargs):
        given = dict(zip(("hidden_states", "encoder_hidden_states"), args, strict=False), **kwargs)
        text = given.get("encoder_hidden_states")
        read.append(given["hidden_states"] if text is None else torch.cat([text, given["hidden_states"]], dim=1))

    for attention in attentions(denoiser):
        handles.append(attention.register_forward_pre_hook(keep, with_kwargs=True))
    predict(denoiser, Taps())
    for handle in handles:
        handle.remove()
    return read


def test_with_the_values_they_make_what_the_attention_puts_out(denoiser):
    read, out, entered = seen(denoiser, "self_attn_qk"), seen(denoiser, "self_attn"), entering(denoiser)
    assert len(read) == denoiser.num_layers
    for layer, attention in enumerate(attentions(denoiser)):
        queries, keys = read["cond", layer].unbind(1)
        values = attention.to_v(entered[layer]).unflatten(2, (attention.heads, -1)).transpose(1, 2)
        weights = (queries @ keys.transpose(2, 3) / queries.shape[-1] ** 0.5).softmax(-1)
        made = attention.to_out[0]((weights @ values).transpose(1, 2).flatten(2))
        expected = out["cond", layer]
        torch.testing.assert_close(made[:, -expected.shape[1] :], expected, rtol=1e-4, atol=1e-4)


def test_branches_are_told_apart(denoiser):
    read = seen(denoiser, "self_attn_qk", guidance=3.0)
    assert set(read) == {(branch, layer) for branch in ("cond", "uncond") for layer in range(denoiser.num_layers)}
    assert {len(hidden) for hidden in read.values()} == {1}
    assert not torch.equal(read["cond", 1], read["uncond", 1])


def test_watching_changes_nothing_and_leaves_nothing(denoiser):
    before = [(len(a._forward_hooks), len(a._forward_pre_hooks)) for a in attentions(denoiser)]
    plain = predict(denoiser, Taps())
    watched = predict(denoiser, Taps((SiteTap("self_attn_qk", lambda hidden, address: None),)))
    assert torch.equal(plain.velocity, watched.velocity)
    assert before == [(len(a._forward_hooks), len(a._forward_pre_hooks)) for a in attentions(denoiser)]
    assert not any(a._forward_hooks_always_called for a in attentions(denoiser))


def test_an_edit_is_what_the_attention_works_with(denoiser):
    """Without queries every token looks at all alike: the attention puts out the mean of the values."""
    out = {}
    blind = SiteTap("self_attn_qk", lambda hidden, address: hidden * torch.tensor([0.0, 1]).reshape(2, 1, 1, 1))
    keep = SiteTap("self_attn", lambda hidden, address: out.update({address.layer: hidden.clone()}))
    entered = entering(denoiser)[0]  # what enters the first layer, no edit can reach
    predict(denoiser, Taps((blind, keep)))
    attention = attentions(denoiser)[0]
    mean = attention.to_v(entered).mean(1, keepdim=True)
    torch.testing.assert_close(out[0], attention.to_out[0](mean).expand_as(out[0]), rtol=1e-4, atol=1e-4)


def test_one_branch_can_be_edited_alone(denoiser):
    def doubled(hidden, address):
        return hidden * 2 if address.cfg_branch == "uncond" else None

    plain = predict(denoiser, Taps(), guidance=3.0)
    edited = predict(denoiser, Taps((SiteTap("self_attn_qk", doubled, frozenset({1})),)), guidance=3.0)
    torch.testing.assert_close(edited.cond, plain.cond, rtol=1e-5, atol=1e-5)
    assert (edited.clean - plain.clean).abs().max() > 1e-4


def test_an_edit_of_another_shape_is_refused_and_leaves_nothing(denoiser):
    heard = []

    def edit(hidden, address):
        heard.append(address)
        return hidden[:, :1]

    with pytest.raises(PlanError, match="An edit of self_attn_qk in layer 0 came as"):
        predict(denoiser, Taps((SiteTap("self_attn_qk", edit),)))
    scaled_dot_product_attention(*torch.ones(3, 1, 1, 2, 2))
    assert len(heard) == 1
    assert all(torch.isfinite(hidden).all() for hidden in seen(denoiser, "self_attn").values())


def test_frames_look_at_frames(denoiser):
    run = Run(denoiser, GRID, Euler(), (SAMPLE,), (3,))
    start = run.start(initial_latents(3, denoiser.latents_shape(SAMPLE))[None])
    mass = denoise(run, start, [CrossFrameAttention()])[2]["cross_frame_attention"]
    (queries, keys) = seen(denoiser, "self_attn_qk")["cond", 1].unbind(1)
    frames = mass.shape[-1]
    assert mass.shape == (NUM_STEPS, 1, denoiser.num_layers, frames, frames)
    whole = (queries @ keys.transpose(2, 3) / queries.shape[-1] ** 0.5).softmax(-1).mean(1)[0]
    text = len(whole) - next(iter(seen(denoiser, "block").values())).shape[1]
    expected = whole[text:, text:].unflatten(0, (frames, -1)).mean(1).unflatten(1, (frames, -1)).sum(2)
    torch.testing.assert_close(torch.from_numpy(mass[0, 0, 1]), expected, rtol=1e-4, atol=1e-5)


def test_an_attention_of_its_own_is_refused():
    attention = torch.nn.Linear(2, 2)
    QueryKeyDoor(lambda hidden: hidden).open_on(attention)
    with pytest.raises(PlanError, match="Linear does not call PyTorch's scaled_dot_product_attention"):
        attention(torch.ones(1, 2))
