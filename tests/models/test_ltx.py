"""LTX-Video: our loop is the pipeline's own call, bit for bit, though its latents are tokens and CFG is one batch."""

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from stepscope.denoise import (
    SITES,
    Address,
    Euler,
    Run,
    SiteTap,
    Taps,
    denoise,
    initial_latents,
    paper_grid,
    steps,
)
from stepscope.errors import BadInputError, ModelLoadError, PlanError
from stepscope.interventions import AddNoise
from stepscope.models import LTXDenoiser, attach, load, solver_named
from stepscope.models.ltx import LAYOUT
from stepscope.recorders import TokenEnergy

NUM_STEPS, NUM_LAYERS = 4, 2
GUIDANCE = {"without guidance": 1.0, "guided": 3.0}
SAMPLE = tiny.TinySample(first_frame=tiny.picture(1, 32, 64), num_frames=9)
GRID = (3, 4, 8)


@pytest.fixture(params=GUIDANCE.values(), ids=GUIDANCE.keys())
def guidance(request):
    return request.param


def run_of(pipeline, guidance, solver="pipeline", sample=SAMPLE, **options):
    denoiser = LTXDenoiser(pipeline)
    grid = denoiser.pipeline_grid(sample, NUM_STEPS, None)
    return Run(denoiser, grid, solver_named(solver, pipeline.scheduler), [sample], [3], guidance, "blurry", **options)


def noise(denoiser, sample=SAMPLE, seed=3):
    return initial_latents(seed, denoiser.latents_shape(sample))[None]


def packed(latents):
    return latents.flatten(2).transpose(1, 2)


def unpacked(tokens):
    return tokens.transpose(1, 2).unflatten(2, GRID)


def called(pipeline, guidance, **options):
    return pipeline(
        image=Image.fromarray(SAMPLE.first_frame),
        prompt=SAMPLE.prompt,
        negative_prompt="blurry",
        height=32,
        width=64,
        num_frames=9,
        num_inference_steps=NUM_STEPS,
        guidance_scale=guidance,
        **{"output_type": "latent", **options},
    ).frames


def stock_result(run, latents, **options):
    """The stock call is given the first frame in its latents."""
    given = run.denoiser.condition(run.samples, 1.0, None).given(latents)
    return unpacked(called(run.denoiser.pipeline, run.guidance, latents=packed(given), **options))


@pytest.mark.parametrize("scheduler", ["dynamic shift", "fixed shift", "unipc"])
def test_the_loop_is_the_pipelines_own_call(scheduler, guidance, monkeypatch):
    pipeline = tiny.ltx_pipeline(dynamic=scheduler == "dynamic shift")
    if scheduler == "unipc":
        pipeline.scheduler = tiny.scheduler("unipc")
    run = run_of(pipeline, guidance)
    latents = noise(run.denoiser)
    expected = stock_result(run, latents)

    def barred(*args, **options):
        raise AssertionError("the loop called the pipeline")

    monkeypatch.setattr(type(pipeline), "__call__", barred)
    taken = list(steps(run, run.start(latents)))
    assert torch.equal(taken[-1][1].latents, expected)
    forked = list(steps(run, taken[1][1]))
    assert len(forked) == NUM_STEPS - 2
    assert torch.equal(forked[-1][1].latents, expected)
    assert [event.model_calls for event, _ in taken] == [1 if guidance == 1 else 2] * NUM_STEPS


def test_euler_is_its_scheduler_on_its_grid(guidance):
    run = run_of(tiny.ltx_pipeline(), guidance, "euler")
    latents = noise(run.denoiser)
    assert torch.equal(denoise(run, run.start(latents))[1].latents, stock_result(run, latents))


def test_the_grid_is_the_stock_calls_and_belongs_to_the_sample():
    pipeline = tiny.ltx_pipeline()
    run = run_of(pipeline, 1.0)
    stock_result(run, noise(run.denoiser))
    assert torch.equal(run.grid.sigmas, pipeline.scheduler.sigmas)
    assert torch.equal(run.grid.timesteps, pipeline.scheduler.timesteps)
    smaller = run.denoiser.pipeline_grid(tiny.TinySample(), NUM_STEPS, None)
    assert (smaller.sigmas[1:-2] < run.grid.sigmas[1:-2]).all()  # fewer tokens, less shift
    fixed = run.denoiser.pipeline_grid(SAMPLE, NUM_STEPS, 2)
    assert fixed.shift == 2.0
    assert torch.equal(fixed.sigmas, run.denoiser.pipeline_grid(tiny.TinySample(), NUM_STEPS, 2.0).sigmas)


def test_the_first_frame_is_what_the_stock_call_makes_of_it():
    """Its posterior, narrowed to a point, is the mode."""
    pipeline = tiny.ltx_pipeline()
    last = pipeline.vae.encoder.conv_out.conv
    torch.nn.init.zeros_(last.weight[-1])
    torch.nn.init.constant_(last.bias[-1:], -30.0)
    pixels = pipeline.video_processor.preprocess(Image.fromarray(SAMPLE.first_frame), height=32, width=64)
    drawn, _ = pipeline.prepare_latents(pixels, 1, 8, 32, 64, 9, torch.float32, "cpu", torch.Generator())
    first = LTXDenoiser(pipeline).condition([SAMPLE], 1.0, None).first_frame
    torch.testing.assert_close(unpacked(drawn)[:, :, :1], first, rtol=0, atol=1e-5)
    assert torch.equal(LTXDenoiser(pipeline).codec.encode(SAMPLE.first_frame[None]), first[0])


def test_the_frame_rate_is_told(guidance):
    pipeline = tiny.ltx_pipeline()
    run = run_of(pipeline, guidance)
    latents = noise(run.denoiser)
    slow = Run(LTXDenoiser(pipeline, frame_rate=5), run.grid, run.solver, [SAMPLE], [3], guidance, "blurry")
    ends = [denoise(each, each.start(latents))[1].latents for each in (run, slow)]
    assert torch.equal(ends[1], stock_result(slow, latents, frame_rate=5))
    assert not torch.equal(*ends)


def test_estimates_and_velocity_agree_and_keep_the_first_frame():
    run = run_of(tiny.ltx_pipeline(), 3.0, "euler")
    given = run.denoiser.condition([SAMPLE], 3.0, None).first_frame
    events, end, _ = denoise(run, run.start(noise(run.denoiser)))
    for event in events:
        assert torch.equal(event.clean[:, :, :1], given)
        assert torch.equal(event.cond[:, :, :1], given)
        width = run.grid.sigma(event.step + 1) - event.sigma
        velocity = (event.following - event.latents) / width
        torch.testing.assert_close(event.latents - event.sigma * velocity, event.clean, rtol=1e-3, atol=1e-3)
    assert torch.equal(end.latents[:, :, :1], given)


def plainly_hooked(run, latents):
    """{(step, branch, layer, site): hidden} read with plain hooks in the pipeline's own call, CFG halves apart."""
    read, forwards, handles = {}, [], []
    transformer = run.denoiser.pipeline.transformer
    handles.append(transformer.register_forward_pre_hook(lambda *_: forwards.append(None)))

    def keep(hidden, layer, site):
        branches = ("cond",) if run.guidance == 1 else ("uncond", "cond")
        for branch, part in zip(branches, hidden.chunk(len(branches)), strict=True):
            read[len(forwards) - 1, branch, layer, site] = part.clone()

    for layer, block in enumerate(transformer.transformer_blocks):
        before = lambda _, args, kwargs, n=layer: keep(kwargs["hidden_states"], n, "resid_pre")  # noqa: E731
        handles.append(block.register_forward_pre_hook(before, with_kwargs=True))
        for site, module in {
            "self_attn": block.attn1,
            "cross_attn": block.attn2,
            "mlp": block.ff,
            "block": block,
        }.items():
            handles.append(module.register_forward_hook(lambda _, __, out, n=layer, s=site: keep(out, n, s)))
    stock_result(run, latents)
    for handle in handles:
        handle.remove()
    return read


def test_every_site_reads_what_plain_hooks_read(guidance):
    run = run_of(tiny.ltx_pipeline(), guidance)
    latents, seen = noise(run.denoiser), {}

    def observe(hidden, address):
        assert (address.sigma, address.token_grid) == (run.grid.sigma(address.step), GRID)
        seen[address.step, address.cfg_branch, address.layer, address.site] = hidden.clone()

    list(steps(run, run.start(latents), [SiteTap(site, observe) for site in SITES]))
    plain = plainly_hooked(run, latents)
    assert len(seen) == NUM_STEPS * (1 if guidance == 1 else 2) * NUM_LAYERS * len(SITES)
    assert seen.keys() == plain.keys()
    assert all(torch.equal(seen[key], plain[key]) for key in seen)


def test_recorders_and_the_door_leave_no_trace():
    pipeline = tiny.ltx_pipeline()
    run = run_of(pipeline, 3.0)
    latents = noise(run.denoiser)

    def hooks():
        return [
            (name, len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in pipeline.transformer.named_modules()
        ]

    before, state = hooks(), torch.get_rng_state()
    _, bare, _ = denoise(run, run.start(latents))
    _, watched, records = denoise(run, run.start(latents), [TokenEnergy()])
    assert torch.equal(bare.latents, watched.latents)
    assert records["token_energy"].shape == (NUM_STEPS, 2, NUM_LAYERS, *GRID)
    assert (records["token_energy"] > 0).all()
    assert hooks() == before
    assert torch.equal(torch.get_rng_state(), state)


def prediction(denoiser, latents, guidance, taps):
    condition = denoiser.condition([SAMPLE], guidance, "blurry")
    return denoiser.predict(latents, 1, paper_grid(NUM_STEPS, 3.0), condition, guidance, taps)


def test_an_edit_of_one_branch_leaves_the_other_alone():
    denoiser = LTXDenoiser(tiny.ltx_pipeline())
    latents = noise(denoiser)

    def edited(branch):
        tap = SiteTap("mlp", lambda hidden, address: hidden * 2 if address.cfg_branch == branch else None)
        return prediction(denoiser, latents, 3.0, Taps((tap,)))

    bare = prediction(denoiser, latents, 3.0, Taps())
    assert torch.equal(edited("uncond").cond, bare.cond)
    assert not torch.equal(edited("uncond").clean, bare.clean)
    assert not torch.equal(edited("cond").cond, bare.cond)


def test_a_mask_of_one_branch_hides_frames_there_only():
    denoiser = LTXDenoiser(tiny.ltx_pipeline())
    latents, seen = noise(denoiser), {}
    tap = SiteTap("self_attn", lambda h, a: seen.setdefault(a.cfg_branch, []).append(h.clone()), frozenset({0}))
    mask = lambda a: torch.eye(3, dtype=torch.bool) if a.cfg_branch == "cond" else None  # noqa: E731
    for shift in (0.0, 1.0):
        moved = latents.clone()
        moved[:, :, 2] += shift
        prediction(denoiser, moved, 3.0, Taps((tap,), (mask,)))
    last, frame = -GRID[1] * GRID[2], GRID[1] * GRID[2]
    assert torch.equal(*(h[:, :last] for h in seen["cond"]))
    assert not torch.equal(*(h[:, last:] for h in seen["cond"]))
    assert not torch.equal(*(h[:, frame : 2 * frame] for h in seen["uncond"]))


def test_noise_added_at_a_step_moves_everything_after_it():
    pipeline = tiny.ltx_pipeline()
    plain, hit = run_of(pipeline, 3.0), run_of(pipeline, 3.0, interventions=[AddNoise("add", 2, [1], 0.5)])
    latents = noise(plain.denoiser)
    events = [denoise(run, run.start(latents))[0] for run in (plain, hit)]
    same = [torch.equal(a.following, b.following) for a, b in zip(*events, strict=True)]
    assert same == [True, True, False, False]


def test_a_batch_says_what_each_sample_says_alone():
    samples = [SAMPLE, tiny.TinySample("a ball", tiny.picture(5, 32, 64), 9)]
    denoiser, grid = LTXDenoiser(tiny.ltx_pipeline()), paper_grid(NUM_STEPS, 3.0)
    latents = torch.cat([noise(denoiser, sample, seed) for seed, sample in enumerate(samples)])

    def predicted(rows):
        condition = denoiser.condition([samples[row] for row in rows], 3.0, None)
        return denoiser.predict(latents[rows], 1, grid, condition, 3.0, Taps())

    together = predicted([0, 1])
    assert together.model_calls == 4
    for row in (0, 1):
        torch.testing.assert_close(together.velocity[row], predicted([row]).velocity[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.cond[row], predicted([row]).cond[0], rtol=1e-4, atol=1e-5)


DECODERS = {
    "plain": {},
    "conditioned": {"conditioned": True},
    "noisy": {"conditioned": True, "noisy_decoder": True},
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(("timestep", "scale"), [(0.0, None), (0.05, None), (0.05, 0.025)])
def test_decoding_is_the_pipelines_own(decoder, timestep, scale):
    pipeline = tiny.ltx_pipeline(**DECODERS[decoder])
    denoiser = LTXDenoiser(pipeline, decode_timestep=timestep, decode_noise_scale=scale)
    latents = packed(noise(denoiser))
    result = unpacked(called(pipeline, 1.0, latents=latents))[0]
    torch.manual_seed(0)
    stock = called(
        pipeline,
        1.0,
        latents=latents,
        output_type="np",
        decode_timestep=timestep,
        decode_noise_scale=scale,
        generator=torch.Generator().manual_seed(0),
    )
    torch.manual_seed(99)
    before = torch.get_rng_state()
    frames = denoiser.codec.decode(result)
    assert torch.equal(torch.get_rng_state(), before)
    assert frames.shape == (9, 32, 64, 3)
    assert np.array_equal(frames, (stock[0] * 255).round().astype(np.uint8))


def test_encoding_takes_the_mode_and_standardises():
    pipeline = tiny.ltx_pipeline()
    codec, vae = LTXDenoiser(pipeline).codec, pipeline.vae
    video = np.stack([tiny.picture(seed, 32, 64) for seed in range(9)])
    latents = codec.encode(video)
    assert latents.shape == codec.latents_shape(9, 32, 64) == (8, *GRID)
    with torch.no_grad():
        mode = vae.encode(torch.from_numpy(video).permute(3, 0, 1, 2)[None] / 255 * 2 - 1).latent_dist.mode()[0]
    expected = (mode - vae.latents_mean.view(-1, 1, 1, 1)) / vae.latents_std.view(-1, 1, 1, 1)
    torch.testing.assert_close(latents, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (tiny.TinySample(first_frame=tiny.picture(0, 40, 32)), ["40x32", "multiples of 32x32", "32x32"]),
        (tiny.TinySample(num_frames=6), ["6", "4n+1", "5 or 9"]),
        (tiny.TinySample(prompt=" "), ["empty"]),
    ],
    ids=["size", "frames", "prompt"],
)
def test_what_a_model_cannot_take(sample, words):
    with pytest.raises(BadInputError) as caught:
        LTXDenoiser(tiny.ltx_pipeline()).latents_shape(sample)
    assert all(word in str(caught.value) for word in words)


def test_grids_and_transformers_that_do_not_exist():
    pipeline = tiny.ltx_pipeline()
    denoiser = LTXDenoiser(pipeline)
    for steps_, shift in ((0, None), (4, -1)):
        with pytest.raises(BadInputError):
            denoiser.pipeline_grid(SAMPLE, steps_, shift)
    pipeline.scheduler = tiny.cogvideox_scheduler("ddim")
    with pytest.raises(PlanError, match="FlowMatchEulerDiscreteScheduler"):
        denoiser.pipeline_grid(SAMPLE, 4, None)
    pipeline.transformer_spatial_patch_size = 2
    with pytest.raises(ModelLoadError, match="a token a latent"):
        LTXDenoiser(pipeline)


def test_a_layer_that_does_not_exist():
    transformer = tiny.ltx_transformer()
    taps = Taps((SiteTap("mlp", lambda h, a: None, frozenset({2})),))
    with pytest.raises(PlanError, match="0 to 1"), attach(transformer, taps, Address(0, 1.0), LAYOUT):
        pass


def test_a_folder_says_how_it_decodes_and_stays_float32_where_it_must(tmp_path):
    tiny.ltx_pipeline(conditioned=True).save_pretrained(tmp_path)
    (tmp_path / "card.json").write_text('{"decode_timestep": 0.05, "decode_noise_scale": 0.025, "frame_rate": 8}')
    loaded = load(tmp_path, dtype="bfloat16")
    assert (loaded.denoiser.frame_rate, loaded.denoiser.codec.decode_noise_scale) == (8, 0.025)
    assert (loaded.pipeline.transformer.dtype, loaded.pipeline.vae.dtype) == (torch.bfloat16, torch.float32)
    run = Run(loaded.denoiser, paper_grid(2, 3.0), Euler(), [SAMPLE], [3], 3.0)
    end = denoise(run, run.start(noise(loaded.denoiser)))[1].latents
    assert end.dtype == torch.float32
    assert loaded.decode(end[0]).shape == (9, 32, 64, 3)
