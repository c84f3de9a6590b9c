"""CogVideoX's insides: text and video in one attention, two CFG branches in one batch, each tap sees its own part."""

import numpy as np
import pytest
import tiny
import torch
from cogvideox_stock import GRID, GUIDANCE, NUM_LAYERS, NUM_STEPS, SAMPLE, SITES_HERE, called, noise, run_of

from stepscope.denoise import (
    SiteTap,
    Taps,
    denoise,
    paper_grid,
    steps,
)
from stepscope.errors import PlanError
from stepscope.models import CogVideoXDenoiser
from stepscope.recorders import TokenEnergy


@pytest.fixture(params=GUIDANCE.values(), ids=GUIDANCE.keys())
def guidance(request):
    return request.param


def plainly_hooked(run, latents, version):
    """{(step, branch, layer, site): hidden} read with plain hooks in the pipeline's own call, CFG halves apart."""
    read, forwards, handles = {}, [], []
    transformer, tokens = run.denoiser.pipeline.transformer, int(np.prod(GRID[version]))
    handles.append(transformer.register_forward_pre_hook(lambda *_: forwards.append(None)))

    def keep(output, layer, site):
        hidden = (output[0] if isinstance(output, tuple) else output)[:, -tokens:]
        branches = ("cond",) if run.guidance == 1 else ("uncond", "cond")
        for branch, part in zip(branches, hidden.chunk(len(branches)), strict=True):
            read[len(forwards) - 1, branch, layer, site] = part.clone()

    for layer, block in enumerate(transformer.transformer_blocks):
        before = lambda _, args, kwargs, n=layer: keep(kwargs["hidden_states"], n, "resid_pre")  # noqa: E731
        handles.append(block.register_forward_pre_hook(before, with_kwargs=True))
        for site, module in {"self_attn": block.attn1, "mlp": block.ff, "block": block}.items():
            handles.append(module.register_forward_hook(lambda _, __, out, n=layer, s=site: keep(out, n, s)))
    called(run.denoiser.pipeline, run.guidance, latents)
    for handle in handles:
        handle.remove()
    return read


@pytest.mark.parametrize("version", GRID)
def test_every_site_reads_what_plain_hooks_read(version, guidance):
    run = run_of(tiny.cogvideox_pipeline(version), guidance)
    latents, seen = noise(run.denoiser), {}

    def observe(hidden, address):
        assert (address.sigma, address.token_grid) == (run.grid.sigma(address.step), GRID[version])
        seen[address.step, address.cfg_branch, address.layer, address.site] = hidden.clone()

    list(steps(run, run.start(latents), [SiteTap(site, observe) for site in SITES_HERE]))
    plain = plainly_hooked(run, latents, version)
    assert len(seen) == NUM_STEPS * (1 if guidance == 1 else 2) * NUM_LAYERS * len(SITES_HERE)
    assert seen.keys() == plain.keys()
    assert all(torch.equal(seen[key], plain[key]) for key in seen)


def test_recorders_and_the_door_leave_no_trace():
    pipeline = tiny.cogvideox_pipeline("1.5", "dpm")
    run = run_of(pipeline, 3.0)
    latents = noise(run.denoiser)

    def hooks():
        modules = pipeline.transformer.named_modules()
        return [(name, len(module._forward_hooks), len(module._forward_pre_hooks)) for name, module in modules]

    before, state = hooks(), torch.get_rng_state()
    _, bare, _ = denoise(run, run.start(latents))
    _, watched, records = denoise(run, run.start(latents), [TokenEnergy()])
    assert torch.equal(bare.latents, watched.latents)
    assert records["token_energy"].shape == (NUM_STEPS, 2, NUM_LAYERS, *GRID["1.5"])
    assert (records["token_energy"] > 0).all()
    assert hooks() == before
    assert torch.equal(torch.get_rng_state(), state)


def prediction(denoiser, latents, guidance, taps):
    condition = denoiser.condition([SAMPLE], guidance, "blurry")
    return denoiser.predict(latents, 1, paper_grid(NUM_STEPS, 3.0), condition, guidance, taps)


@pytest.mark.parametrize("site", SITES_HERE)
def test_an_edit_of_one_branch_leaves_the_other_alone(site):
    denoiser = CogVideoXDenoiser(tiny.cogvideox_pipeline())
    latents = noise(denoiser)

    def edited(branch):
        tap = SiteTap(site, lambda hidden, address: hidden * 2 + 1 if address.cfg_branch == branch else None)
        return prediction(denoiser, latents, 3.0, Taps((tap,)))

    bare = prediction(denoiser, latents, 3.0, Taps())
    assert torch.equal(edited("uncond").cond, bare.cond)
    assert not torch.equal(edited("uncond").clean, bare.clean)
    assert not torch.equal(edited("cond").cond, bare.cond)


def test_a_mask_of_one_branch_hides_frames_there_and_leaves_the_text():
    denoiser = CogVideoXDenoiser(tiny.cogvideox_pipeline())
    latents, seen = noise(denoiser), {}
    tap = SiteTap("self_attn", lambda h, a: seen.setdefault(a.cfg_branch, []).append(h.clone()), frozenset({0}))
    mask = lambda a: torch.eye(3, dtype=torch.bool) if a.cfg_branch == "cond" else None  # noqa: E731

    def both(one, other):
        seen.clear()
        for prompt, moved in (one, other):
            sample = tiny.TinySample(prompt, SAMPLE.first_frame, 9)
            condition = denoiser.condition([sample], 3.0, None)
            shifted = latents.clone()
            shifted[:, :, 2] += moved
            denoiser.predict(shifted, 1, paper_grid(NUM_STEPS, 3.0), condition, 3.0, Taps((tap,), (mask,)))
        return seen

    frame = GRID["1.0"][1] * GRID["1.0"][2]
    moved = both(("a ball", 0.0), ("a ball", 1.0))
    assert torch.equal(*(h[:, : 2 * frame] for h in moved["cond"]))
    assert not torch.equal(*(h[:, 2 * frame :] for h in moved["cond"]))
    assert not torch.equal(*(h[:, : 2 * frame] for h in moved["uncond"]))
    said = both(("a ball", 0.0), ("red", 0.0))
    assert not torch.equal(*said["cond"])
    assert torch.equal(*said["uncond"])


def test_text_and_video_have_no_cross_attention():
    denoiser = CogVideoXDenoiser(tiny.cogvideox_pipeline())
    with pytest.raises(PlanError, match="Choose self_attn"):
        prediction(denoiser, noise(denoiser), 1.0, Taps((SiteTap("cross_attn", lambda h, a: None),)))
