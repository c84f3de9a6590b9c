"""The first law: our loop is the pipeline's own call, bit for bit, in every style."""

import pytest
import tiny
import torch
from PIL import Image

from stepscope.denoise import SITES, Euler, Run, Taps, denoise, initial_latents, paper_grid, steps
from stepscope.errors import BadInputError
from stepscope.models import WanDenoiser, fit_image, pipeline_grid, solver_named

NUM_STEPS = 5
GUIDANCE = {"without guidance": 1.0, "guided": 3.0}


def noise(denoiser, sample, seed=3):
    return initial_latents(seed, denoiser.latents_shape(sample))[None]


def run_of(pipeline, sample, guidance, solver="pipeline"):
    grid = pipeline_grid(pipeline.scheduler, NUM_STEPS)
    denoiser = WanDenoiser(pipeline)
    return Run(denoiser, grid, solver_named(solver, pipeline.scheduler), [sample], [3], guidance, "blurry")


def called(pipeline, sample, guidance, latents, **options):
    return pipeline(
        image=Image.fromarray(sample.first_frame),
        prompt=sample.prompt,
        negative_prompt="blurry",
        height=sample.first_frame.shape[0],
        width=sample.first_frame.shape[1],
        num_frames=sample.num_frames,
        num_inference_steps=NUM_STEPS,
        guidance_scale=guidance,
        latents=latents,
        **{"output_type": "latent", **options},
    ).frames


@pytest.fixture(params=GUIDANCE.values(), ids=GUIDANCE.keys())
def guidance(request):
    return request.param


@pytest.fixture(params=[(style, name) for style in tiny.STYLES for name in ("euler", "unipc")], ids="-".join)
def pipeline(request):
    return tiny.pipeline(*request.param)


@pytest.fixture(params=["float32", "bfloat16"])
def number(request, pipeline):
    """Networks in this type, latents and VAE in float32, as they are loaded."""
    for name in ("transformer", "transformer_2", "text_encoder", "image_encoder"):
        if (module := getattr(pipeline, name)) is not None:
            module.to(getattr(torch, request.param))


def test_the_loop_is_the_pipelines_own_call(pipeline, number, guidance, tiny_sample, monkeypatch):
    run = run_of(pipeline, tiny_sample, guidance)
    latents = noise(run.denoiser, tiny_sample)
    expected = called(pipeline, tiny_sample, guidance, latents).float()  # Euler's leave in the network's type

    def barred(*args, **options):
        raise AssertionError("the loop called the pipeline")

    monkeypatch.setattr(type(pipeline), "__call__", barred)
    taken = list(steps(run, run.start(latents)))
    assert torch.equal(taken[-1][1].latents, expected)
    forked = list(steps(run, taken[2][1]))
    assert len(forked) == NUM_STEPS - 3
    assert torch.equal(forked[-1][1].latents, expected)
    assert [event.model_calls for event, _ in taken] == [1 if guidance == 1 else 2] * NUM_STEPS


@pytest.mark.parametrize("style", tiny.STYLES)
def test_model_calls_are_the_forwards_that_were_made(style, guidance, tiny_sample):
    pipeline = tiny.pipeline(style)
    run = run_of(pipeline, tiny_sample, guidance)
    made = []
    for transformer in filter(None, (pipeline.transformer, pipeline.transformer_2)):
        transformer.register_forward_pre_hook(lambda *_: made.append(1))
    events, _, _ = denoise(run, run.start(noise(run.denoiser, tiny_sample)))
    assert sum(event.model_calls for event in events) == len(made) == NUM_STEPS * (1 if guidance == 1 else 2)


def test_euler_on_the_pipelines_grid_is_its_flow_match_scheduler(guidance, tiny_sample):
    pipeline = tiny.pipeline("wan2.2-a14b", "euler")
    run = run_of(pipeline, tiny_sample, guidance, solver="euler")
    latents = noise(run.denoiser, tiny_sample)
    expected = called(pipeline, tiny_sample, guidance, latents)
    assert torch.equal(denoise(run, run.start(latents))[1].latents, expected)


def test_a_larger_picture_and_more_frames(guidance):
    sample = tiny.TinySample(first_frame=tiny.picture(1, 48, 64), num_frames=9)
    pipeline = tiny.pipeline("wan2.2-ti2v", "unipc")
    run = run_of(pipeline, sample, guidance)
    latents = noise(run.denoiser, sample)
    assert latents.shape == (1, 4, 3, 6, 8)
    assert torch.equal(denoise(run, run.start(latents))[1].latents, called(pipeline, sample, guidance, latents))


@pytest.mark.parametrize("style", tiny.STYLES)
def test_recorders_change_nothing(style, tiny_sample):
    run = run_of(tiny.pipeline(style, "unipc"), tiny_sample, 3.0)
    latents = noise(run.denoiser, tiny_sample)

    class Counter:
        name, sites = "count", SITES

        def init(self, run):
            return 0

        def update(self, state, event):
            return state + 1

        def merge(self, first, second):
            return first + second

        def finish(self, state):
            return state

    _, bare, _ = denoise(run, run.start(latents))
    _, watched, records = denoise(run, run.start(latents), [Counter()])
    assert torch.equal(bare.latents, watched.latents)
    assert records["count"] == NUM_STEPS * (1 + 2 * 2 * len(SITES))  # the step; branches, layers, sites


def test_nothing_is_drawn_from_the_global_generator(tiny_sample):
    run = run_of(tiny.pipeline("wan2.2-ti2v"), tiny_sample, 3.0)
    latents = noise(run.denoiser, tiny_sample)
    before = torch.get_rng_state()
    denoise(run, run.start(latents))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("style", tiny.STYLES)
def test_a_batch_says_what_each_sample_says_alone(style):
    samples = [tiny.TinySample(), tiny.TinySample("a ball", tiny.picture(5))]
    denoiser = WanDenoiser(tiny.pipeline(style))
    grid = paper_grid(NUM_STEPS, 5.0)
    latents = torch.cat([noise(denoiser, sample, seed) for seed, sample in enumerate(samples)])

    def velocity(rows):
        condition = denoiser.condition([samples[row] for row in rows], 3.0, None)
        return denoiser.predict(latents[rows], 1, grid, condition, 3.0, Taps())

    together = velocity([0, 1])
    assert together.model_calls == 4
    for row in (0, 1):
        torch.testing.assert_close(together.velocity[row], velocity([row]).velocity[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("style", tiny.STYLES)
def test_the_conditional_estimate_is_that_without_guidance(style, tiny_sample):
    denoiser, grid = WanDenoiser(tiny.pipeline(style)), paper_grid(NUM_STEPS, 5.0)
    latents = noise(denoiser, tiny_sample)
    guided, alone = (
        denoiser.predict(latents, 1, grid, denoiser.condition([tiny_sample], w, None), w, Taps()) for w in (3.0, 1.0)
    )
    assert torch.equal(guided.cond, alone.clean)
    assert torch.equal(alone.cond, alone.clean)
    assert not torch.equal(guided.clean, guided.cond)


def test_the_first_frame_of_every_estimate_is_the_given_one(tiny_sample):
    """TI2V style: latents of frame 0 are replaced before the network, and so in what it believes."""
    run = run_of(tiny.pipeline("wan2.2-ti2v"), tiny_sample, 3.0)
    given = run.denoiser.condition([tiny_sample], 3.0, None).first_frame
    events, end, _ = denoise(run, run.start(noise(run.denoiser, tiny_sample)))
    for estimate in [*(event.clean for event in events), *(event.cond for event in events), end.latents]:
        assert torch.equal(estimate[:, :, :1], given)


def test_experts_switch_at_the_boundary(tiny_sample):
    denoiser, grid = WanDenoiser(tiny.pipeline("wan2.2-a14b")), paper_grid(10, 5.0)
    experts = [denoiser.expert(grid, step) for step in range(10)]
    assert experts == ["high_noise" if sigma >= 0.9 else "low_noise" for sigma in grid.sigmas[:-1].tolist()]
    assert set(experts) == {"high_noise", "low_noise"}
    assert WanDenoiser(tiny.pipeline("wan2.1")).expert(grid, 0) is None


def test_another_prompt_and_another_picture_matter():
    denoiser, grid = WanDenoiser(tiny.pipeline("wan2.1")), paper_grid(NUM_STEPS, 5.0)
    base = tiny.TinySample()
    latents = noise(denoiser, base)

    def clean(sample):
        condition = denoiser.condition([sample], 1.0, None)
        return denoiser.predict(latents, 1, grid, condition, 1.0, Taps()).clean

    assert not torch.equal(clean(base), clean(tiny.TinySample("a ball")))
    assert not torch.equal(clean(base), clean(tiny.TinySample(first_frame=tiny.picture(9))))


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (tiny.TinySample(first_frame=tiny.picture(0, 40, 32)), ["40x32", "multiples of 16x16", "32x32"]),
        (tiny.TinySample(num_frames=6), ["6", "4n+1", "5 or 9"]),
        (tiny.TinySample(num_frames=0), ["0", "4n+1", "1 or 5"]),
        (tiny.TinySample(prompt="  "), ["empty", "at least one word"]),
        (tiny.TinySample(first_frame=tiny.picture(0).astype("float32")), ["float32", "uint8", "Convert"]),
        (tiny.TinySample(first_frame=tiny.picture(0)[..., 0]), ["[32, 32]", "[height, width, 3]"]),
    ],
    ids=["size", "frames", "no frames", "prompt", "type", "grey"],
)
def test_what_a_model_cannot_take(sample, words):
    with pytest.raises(BadInputError) as caught:
        WanDenoiser(tiny.pipeline("wan2.2-a14b")).latents_shape(sample)
    assert all(word in str(caught.value) for word in words)


def test_guidance_below_one_and_mixed_sizes(tiny_sample):
    denoiser = WanDenoiser(tiny.pipeline("wan2.2-a14b"))
    with pytest.raises(BadInputError, match=r"Guidance came as 0\.5"):
        denoiser.condition([tiny_sample], 0.5, None)
    with pytest.raises(BadInputError, match="2 sizes"):
        denoiser.condition([tiny_sample, tiny.TinySample(num_frames=9)], 1.0, None)


def test_no_solver_but_euler_is_needed_for_the_papers_grid(tiny_sample):
    denoiser, grid = WanDenoiser(tiny.pipeline("wan2.2-a14b", "unipc")), paper_grid(NUM_STEPS, 5.0)
    run = Run(denoiser, grid, Euler(), [tiny_sample], [3])
    events, end, _ = denoise(run, run.start(noise(denoiser, tiny_sample)))
    torch.testing.assert_close(events[-1].clean, end.latents, rtol=0, atol=1e-5)  # sigma ends at 0


def test_a_video_of_more_tokens_than_the_transformer_counts():
    denoiser = WanDenoiser(tiny.pipeline("wan2.2-ti2v"))
    wide = tiny.TinySample(first_frame=tiny.picture(0, 16, 544))
    with pytest.raises(BadInputError, match=r"16x544 .* up to 512x512\. Resize it to 16x512\."):
        denoiser.latents_shape(wide)
    with pytest.raises(BadInputError, match=r"The 129 frames make 33 tokens in time\. .* up to 32\."):
        denoiser.latents_shape(tiny.TinySample(num_frames=129))


@pytest.mark.parametrize("size", [(70, 50), (9, 300)], ids=str)
def test_a_picture_is_made_to_fit_a_transformer_that_counts_few_tokens(size):
    denoiser = WanDenoiser(tiny.pipeline("wan2.2-a14b"))
    fitted = fit_image(tiny.picture(0, *size), denoiser.codec.sizes, 480 * 832)
    assert "up to 512x512" in fitted.said
    denoiser.latents_shape(tiny.TinySample(first_frame=fitted.pixels))
