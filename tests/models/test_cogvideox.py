"""CogVideoX: our loop is the pipeline's own call, bit for bit, though its path keeps the variance and ours does not."""

import pytest
import tiny
import torch
from cogvideox_stock import DEFAULTS, GRID, GUIDANCE, NUM_STEPS, SAMPLE, SEED, called, noise, run_of

from stepscope.denoise import Run, Taps, denoise, paper_grid, steps
from stepscope.interventions import AddNoise
from stepscope.models import CogVideoXDenoiser, solver_named


@pytest.fixture(params=GUIDANCE.values(), ids=GUIDANCE.keys())
def guidance(request):
    return request.param


STYLES = {
    "1.0 ddim": ("1.0", "ddim", {}),
    "1.0 dpm": ("1.0", "dpm", {}),
    "1.5 ddim": ("1.5", "ddim", {}),
    "1.5 dpm": ("1.5", "dpm", {}),
    "noise at first": ("1.0", "ddim", DEFAULTS),
    "epsilon": ("1.0", "ddim", {**DEFAULTS, "prediction_type": "epsilon"}),
    "sample": ("1.0", "dpm", {"prediction_type": "sample"}),
}


@pytest.mark.parametrize("num_steps", [4, 3], ids=["divides 1000", "does not"])
@pytest.mark.parametrize("style", STYLES)
def test_the_loop_is_the_pipelines_own_call(style, guidance, num_steps, monkeypatch):
    version, scheduler, options = STYLES[style]
    pipeline = tiny.cogvideox_pipeline(version, scheduler, **options)
    run = run_of(pipeline, guidance, num_steps=num_steps)
    latents = noise(run.denoiser)
    expected = called(pipeline, guidance, latents, num_steps)

    def barred(*args, **options):
        raise AssertionError("the loop called the pipeline")

    monkeypatch.setattr(type(pipeline), "__call__", barred)
    taken = list(steps(run, run.start(latents)))
    end = taken[-1][1].latents
    assert run.grid.sigma(num_steps) == 0
    assert torch.equal(end, expected.double())
    forked = list(steps(run, taken[1][1]))
    assert len(forked) == num_steps - 2
    assert torch.equal(forked[-1][1].latents, end)
    assert [event.model_calls for event, _ in taken] == [1 if guidance == 1 else 2] * num_steps


@pytest.mark.parametrize("version", GRID)
def test_an_euler_step_on_the_engines_path_is_a_ddim_step(version, guidance):
    pipeline = tiny.cogvideox_pipeline(version)
    run = run_of(pipeline, guidance, "euler")
    latents = noise(run.denoiser)
    expected = called(pipeline, guidance, latents)
    torch.testing.assert_close(denoise(run, run.start(latents))[1].latents, expected, rtol=1e-4, atol=1e-4)


def test_estimates_are_the_schedulers_own():
    """Its `pred_original_sample`, from the same answer of the network at the same point."""
    pipeline = tiny.cogvideox_pipeline()
    run, found = run_of(pipeline, 3.0), []
    step = pipeline.scheduler.step

    def kept(*args, **options):
        found.append(step(*args, **options)[1])
        return step(*args, **options)

    pipeline.scheduler.step = kept
    called(pipeline, 3.0, noise(run.denoiser))
    del pipeline.scheduler.step
    events, _, _ = denoise(run, run.start(noise(run.denoiser)))
    for event, expected in zip(events, found, strict=True):
        torch.testing.assert_close(event.clean.float(), expected.transpose(1, 2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("parametrisation", ["v_prediction", "epsilon", "sample"])
def test_velocity_and_estimate_are_of_one_path(parametrisation):
    pipeline = tiny.cogvideox_pipeline(**{**DEFAULTS, "prediction_type": parametrisation})
    run = run_of(pipeline, 3.0, "euler")
    events, end, _ = denoise(run, run.start(noise(run.denoiser)))
    for event in events:
        velocity = (event.following - event.latents) / (run.grid.sigma(event.step + 1) - event.sigma)
        torch.testing.assert_close(event.latents - event.sigma * velocity, event.clean, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(events[-1].clean, end.latents, rtol=0, atol=1e-3)


@pytest.mark.parametrize("solver", ["heun", "unipc"])
@pytest.mark.parametrize("grid", ["paper", "pipeline"])
@pytest.mark.parametrize("num_steps", [1, NUM_STEPS])
def test_every_solver_follows_the_same_path_on_every_grid(solver, grid, num_steps):
    """One step of each is Euler's; the network puts out no velocity of that path, and none may take it for one."""
    pipeline = tiny.cogvideox_pipeline()
    denoiser = CogVideoXDenoiser(pipeline)
    made = paper_grid(num_steps, 3.0) if grid == "paper" else denoiser.pipeline_grid(SAMPLE, num_steps, None)
    ends = []
    for name in ("euler", solver):
        run = Run(denoiser, made, solver_named(name, pipeline.scheduler), [SAMPLE], [SEED])
        ends.append(denoise(run, run.start(noise(denoiser)))[1].latents)
    apart = (ends[1] - ends[0]).abs().mean() / ends[0].abs().mean()
    assert apart < (1e-4 if num_steps == 1 else 0.3)


def test_on_the_papers_grid_the_network_is_told_the_same_times_as_on_its_own():
    """Where a noise level of another grid is one that was trained, it is told that step."""
    pipeline, told = tiny.cogvideox_pipeline(), []
    run = run_of(pipeline, 1.0, "euler")
    grid = paper_grid(NUM_STEPS, 1.0)
    same = type(grid)("paper", run.grid.sigmas, grid.timesteps)
    pipeline.transformer.register_forward_pre_hook(lambda _, __, k: told.append(float(k["timestep"])), with_kwargs=True)
    condition = run.denoiser.condition([SAMPLE], 1.0, None)
    for made in (run.grid, same):
        for step in range(NUM_STEPS):
            run.denoiser.predict(noise(run.denoiser), step, made, condition, 1.0, Taps())
    assert told[:NUM_STEPS] == [999, 749, 499, 249]
    assert told[NUM_STEPS:] == pytest.approx(told[:NUM_STEPS], abs=1e-3)


@pytest.mark.parametrize("scheduler", ["ddim", "dpm"])
def test_an_edit_is_a_jump_and_moves_everything_after_it(scheduler):
    pipeline = tiny.cogvideox_pipeline(scheduler_name=scheduler)
    plain, hit = (run_of(pipeline, 3.0, interventions=edits) for edits in ((), (AddNoise("add", 2, [1], 0.5),)))
    latents = noise(plain.denoiser)
    events = [denoise(run, run.start(latents))[0] for run in (plain, hit)]
    same = [torch.equal(a.following, b.following) for a, b in zip(*events, strict=True)]
    assert same == [True, True, False, False]
    states = [state for _, state in steps(hit, hit.start(latents))]
    assert torch.equal(denoise(hit, states[0])[1].latents, states[-1].latents)
    if scheduler == "dpm":
        assert states[1].solver_state.before is not None
        assert plain.solver.jump(states[1].solver_state, plain.grid, 2).before is None


def test_seeds_of_a_batch_stay_apart_under_a_scheduler_that_draws():
    pipeline = tiny.cogvideox_pipeline(scheduler_name="dpm")
    run = run_of(pipeline, 1.0)
    latents = noise(run.denoiser)
    both = Run(run.denoiser, run.grid, run.solver, [SAMPLE] * 2, [SEED, 8])
    pair = denoise(both, both.start(latents.expand(2, -1, -1, -1, -1)))[1].latents
    torch.testing.assert_close(pair[:1], denoise(run, run.start(latents))[1].latents, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(pair[:1], pair[1:], atol=0.1)


def test_a_batch_says_what_each_sample_says_alone():
    samples = [SAMPLE, tiny.TinySample("a ball", tiny.picture(5, 32, 48), 9)]
    denoiser, grid = CogVideoXDenoiser(tiny.cogvideox_pipeline()), paper_grid(NUM_STEPS, 3.0)
    latents = torch.cat([noise(denoiser, sample, seed) for seed, sample in enumerate(samples)])

    def predicted(rows):
        condition = denoiser.condition([samples[row] for row in rows], 3.0, None)
        return denoiser.predict(latents[rows], 1, grid, condition, 3.0, Taps())

    together = predicted([0, 1])
    assert together.model_calls == 4
    for row in (0, 1):
        torch.testing.assert_close(together.velocity[row], predicted([row]).velocity[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(together.cond[row], predicted([row]).cond[0], rtol=1e-4, atol=1e-4)
