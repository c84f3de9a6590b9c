"""Schedulers as solvers: their own grid to the letter, forks without loss, jumps that keep an edit."""

from dataclasses import dataclass, replace

import diffusers
import pytest
import tiny
import torch

from stepscope.denoise import AbstractIntervention, Euler, Heun, Run, Taps, denoise, initial_latents, paper_grid, steps
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.models import SOLVERS, LiveDenoiser, SchedulerSolver, WanDenoiser, pipeline_grid, solver_named

NUM_STEPS = 6


@dataclass(frozen=True)
class Add(AbstractIntervention):
    """Adds a constant to the latents of one step."""

    step: int
    size: float
    reaches = frozenset({"latents"})

    def acts_at(self, step, num_steps):
        return step == self.step

    def edit_latents(self, latents, view):
        return latents + self.size


@pytest.fixture(scope="module")
def denoiser():
    return WanDenoiser(tiny.pipeline("wan2.2-a14b"))


def run_of(denoiser, grid, solver, *interventions):
    return Run(denoiser, grid, solver, [tiny.TinySample()], [3], interventions=interventions)


def start(run):
    return run.start(initial_latents(3, run.denoiser.latents_shape(run.samples[0]))[None])


@pytest.mark.parametrize("name", ["euler", "unipc"])
@pytest.mark.parametrize("num_steps", [1, 2, 50])
def test_the_pipeline_grid_is_the_schedulers_own(name, num_steps):
    scheduler = tiny.scheduler(name)
    grid = pipeline_grid(scheduler, num_steps)
    scheduler.set_timesteps(num_steps)
    assert grid.name == "pipeline"
    assert torch.equal(grid.sigmas, scheduler.sigmas)
    assert torch.equal(grid.timesteps, scheduler.timesteps)
    assert grid.timesteps.dtype == (torch.int64 if name == "unipc" else torch.float32)
    assert grid.num_steps == num_steps == len(grid.sigmas) - 1


def test_flow_match_euler_shifts_its_smallest_sigma_twice():
    """Stock behaviour, kept: 50 steps at shift 5 have .0245 as their last sigma before 0, not .0925."""
    once = 5 * 0.001 / (1 + 4 * 0.001)
    grid = pipeline_grid(tiny.scheduler("euler"), 50)
    assert grid.sigma(49) == pytest.approx(5 * once / (1 + 4 * once), rel=1e-4)
    assert paper_grid(50, 5.0).sigma(49) == pytest.approx(0.0926, abs=1e-4)


@pytest.mark.parametrize("name", ["euler", "unipc"])
def test_another_shift_is_that_of_a_scheduler_made_with_it(name):
    made = tiny.scheduler(name)
    key = "flow_shift" if name == "unipc" else "shift"
    other = type(made).from_config(made.config, **{key: 2.0})
    grid = pipeline_grid(made, NUM_STEPS, shift=2)
    assert torch.equal(grid.sigmas, pipeline_grid(other, NUM_STEPS).sigmas)
    assert grid.shift == 2.0
    assert torch.equal(SchedulerSolver("pipeline", made).init(grid).sigmas, grid.sigmas)


@pytest.mark.parametrize("grid_name", ["paper", "pipeline"])
@pytest.mark.parametrize("name", SOLVERS)
def test_a_fork_is_a_full_rerun(name, grid_name, denoiser):
    scheduler = tiny.scheduler("unipc")
    grid = paper_grid(NUM_STEPS, 5.0) if grid_name == "paper" else pipeline_grid(scheduler, NUM_STEPS)
    run = run_of(denoiser, grid, solver_named(name, scheduler))
    states = [state for _, state in steps(run, start(run))]
    for state in (states[1], states[1], states[3]):  # twice: a fork changes nothing in the state
        assert torch.equal(denoise(run, state)[1].latents, states[-1].latents)
    edited = replace(run, interventions=[Add(4, 0.5)])
    rerun = denoise(edited, start(edited))[1].latents
    assert torch.equal(denoise(edited, states[1])[1].latents, rerun)
    assert not torch.equal(rerun, states[-1].latents)


@pytest.mark.parametrize("grid_name", ["paper", "pipeline"])
@pytest.mark.parametrize("name", ["unipc", "pipeline"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_an_edit_survives_a_jump_as_it_does_under_euler(step, name, grid_name, denoiser):
    """From the same state, the step after an edit is Euler's; without a jump UniPC forgets nearly all of it."""
    scheduler = tiny.scheduler("unipc")
    grid = paper_grid(NUM_STEPS, 5.0) if grid_name == "paper" else pipeline_grid(scheduler, NUM_STEPS)
    run = run_of(denoiser, grid, solver_named(name, scheduler))
    state = [state for _, state in steps(run, start(run))][step - 1]

    def after(solver, size, memory):
        made = run_of(denoiser, grid, solver, Add(step, size))
        return next(steps(made, replace(state, solver_state=memory)))[1].latents

    def survival(solver, memory):
        return after(solver, 0.1, memory) - after(solver, 0.0, memory)

    euler, jumped = survival(Euler(), None), survival(run.solver, state.solver_state)
    assert (jumped - euler).abs().max() < 1e-4
    assert euler.abs().mean() > 0.05

    def unannounced(size):
        edited = replace(state, latents=state.latents + size)
        condition = denoiser.condition(run.samples, 1.0, None)
        prediction = denoiser.predict(edited.latents, step, grid, condition, 1.0, Taps())
        return run.solver.step(edited, prediction, grid, lambda latents, k: prediction).latents

    assert (unannounced(0.1) - unannounced(0.0)).abs().mean() < 0.3 * euler.abs().mean()


def test_the_template_is_never_changed(denoiser):
    scheduler = tiny.scheduler("unipc")
    before = {key: value for key, value in vars(scheduler).items() if key != "_internal_dict"}
    run = run_of(denoiser, pipeline_grid(scheduler, NUM_STEPS), solver_named("pipeline", scheduler), Add(2, 0.1))
    denoise(run, start(run))
    assert all(vars(scheduler)[key] is value for key, value in before.items())
    assert scheduler.model_outputs == [None, None]


def test_unipc_stands_on_the_papers_grid():
    """Exactly, but for sigma 1, which it reads as 1 - 1e-6."""
    grid = paper_grid(20, 3.0)
    memory = solver_named("unipc").init(grid)
    assert torch.equal(memory.sigmas[1:], grid.sigmas[1:])
    assert 0 < 1 - float(memory.sigmas[0]) < 2e-6


class Gaussian:
    """x_0 ~ N(0, spread²) in every cell: the flow from x_1 ends at spread · x_1."""

    latents_shape = (4, 1, 2, 2)
    spread = torch.tensor([0.3, 1.0, 2.0, 0.1]).view(4, 1, 1, 1)

    def velocity(self, latents, sigma, samples):
        variance = ((1 - sigma) * self.spread) ** 2 + sigma**2
        return (sigma - (1 - sigma) * self.spread**2) / variance * latents


def test_unipc_is_of_higher_order_than_euler():
    def error(name, num_steps):
        run = run_of(LiveDenoiser(Gaussian()), paper_grid(num_steps, 5.0), solver_named(name))
        begun = start(run)
        return float((denoise(run, begun)[1].latents - Gaussian.spread * begun.latents).abs().max())

    assert error("euler", 24) / error("euler", 48) == pytest.approx(2, abs=0.2)
    assert error("unipc", 96) / error("unipc", 192) > 3
    assert error("unipc", 96) < error("euler", 96) / 2


@pytest.mark.parametrize(("name", "kind"), [("euler", Euler), ("heun", Heun), ("unipc", SchedulerSolver)])
def test_solvers_by_name(name, kind):
    solver = solver_named(name)
    assert isinstance(solver, kind)
    assert solver.name == name


def flow(kind, **options):
    return kind(use_flow_sigmas=True, prediction_type="flow_prediction", **options)


@pytest.mark.parametrize(
    ("scheduler", "word"),
    [
        (diffusers.DDIMScheduler(), "flow matching"),
        (diffusers.UniPCMultistepScheduler(), "flow matching"),
        (diffusers.FlowMatchHeunDiscreteScheduler(), "2 model calls a step"),
        (diffusers.FlowMatchEulerDiscreteScheduler(stochastic_sampling=True), "repeatable"),
        (diffusers.FlowMatchLCMScheduler(), "repeatable"),
        (flow(diffusers.DPMSolverMultistepScheduler, algorithm_type="sde-dpmsolver++"), "repeatable"),
        (diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), "`mu` must be passed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_schedulers_that_are_refused(scheduler, word):
    with pytest.raises(PlanError, match=word):
        pipeline_grid(scheduler, NUM_STEPS)


@pytest.mark.parametrize(
    "scheduler",
    [
        diffusers.FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True),
        flow(diffusers.DEISMultistepScheduler),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_scheduler_that_cannot_stand_on_the_papers_grid_says_so(scheduler):
    with pytest.raises(PlanError, match="cannot stand on the 'paper' grid"):
        solver_named("pipeline", scheduler).init(paper_grid(NUM_STEPS, 5.0))


def test_names_and_numbers_that_do_not_exist():
    with pytest.raises(UnknownNameError, match="euler, heun, pipeline, unipc"):
        solver_named("rk45")
    with pytest.raises(PlanError, match="no scheduler"):
        solver_named("pipeline")
    with pytest.raises(BadInputError, match="Steps came as 0"):
        pipeline_grid(tiny.scheduler("euler"), 0)
    with pytest.raises(BadInputError, match="Shift came as -1"):
        pipeline_grid(tiny.scheduler("euler"), 4, shift=-1)
