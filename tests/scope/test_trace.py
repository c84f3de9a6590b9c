"""What `model.denoise` promises, on denoisers that are known."""

import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch

import stepscope
from closed_form import Observer, Puzzle, Ring
from stepscope import tasks
from stepscope.denoise import AbstractIntervention, initial_latents, latents_noise, paper_grid
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.interventions import AddNoise
from stepscope.recorders import TokenEnergy

STEPS = 6


@pytest.fixture
def ring():
    return Ring()


@pytest.fixture
def model(ring):
    return stepscope.load_model(ring)


@pytest.fixture(scope="module")
def maze():
    return tasks.get("maze-two-goals").sample(3, size=5)


@pytest.fixture(scope="module")
def solved(maze):
    return stepscope.load_model(Observer(maze)).denoise(maze, num_steps=STEPS, seed=1)


@dataclass(frozen=True)
class AtBlock(AbstractIntervention):
    reaches: ClassVar = frozenset({"site"})

    def acts_at(self, step, num_steps):
        return True


def test_a_model_says_what_it_is(model):
    assert (model.num_layers, model.pipeline, model.name) == (0, None, "Ring")
    assert (model.card.guidance, model.card.shift) == (1.0, 5.0)
    assert model.weights_hash
    assert repr(model).startswith("Model('Ring', num_layers=0")


def test_shapes(model, puzzle):
    trace = model.denoise(puzzle, num_steps=STEPS)
    assert trace.sigmas.shape == (STEPS + 1,)
    assert trace.latents.shape == (STEPS + 1, *Ring.latents_shape)
    assert trace.clean_estimates.shape == trace.cond_estimates.shape == (STEPS, *Ring.latents_shape)
    assert (trace.num_steps, trace.model_calls, len(trace.scores)) == (STEPS, STEPS, STEPS)
    assert (trace.frames().shape, trace.frames().dtype) == ((5, 8, 8, 3), np.uint8)


def test_facts(model, puzzle):
    trace = model.denoise(puzzle, num_steps=STEPS, seed=4)
    assert (trace.sample, trace.seed, trace.branch, trace.records) == (puzzle, 4, "clean", {})
    assert (trace.guidance, trace.schedule, trace.shift, trace.solver) == (1.0, "paper", 5.0, "euler")
    assert (trace.model, trace.weights_hash, trace.interventions) == ("Ring", model.weights_hash, ())
    assert repr(trace) == "Trace(model='Ring', seed=4, num_steps=6, branch='clean')"


def test_defaults_are_twenty_euler_steps_on_the_papers_grid_with_the_cards_shift(model, puzzle, ring):
    trace = model.denoise(puzzle)
    assert torch.equal(trace.sigmas, paper_grid(20, 5.0).sigmas)
    assert ring.asked == [(1, "go", float(sigma)) for sigma in trace.sigmas[:-1]]
    assert torch.equal(model.denoise(puzzle, shift=3).sigmas, paper_grid(20, 3.0).sigmas)


def test_latents_go_from_the_seeds_noise_to_the_result(model, puzzle):
    trace = model.denoise(puzzle, num_steps=STEPS, seed=9)
    assert torch.equal(trace.latents[0], initial_latents(9, Ring.latents_shape))
    assert torch.equal(trace.latents[-1], trace.clean_estimates[-1])
    for k in range(STEPS):
        velocity = Ring().velocity(trace.latents[k], float(trace.sigmas[k]), (puzzle,))
        width = trace.sigmas[k + 1] - trace.sigmas[k]
        torch.testing.assert_close(trace.latents[k + 1], trace.latents[k] + width * velocity)


def test_a_run_twice_is_the_same_run(model, puzzle):
    one, two = (model.denoise(puzzle, num_steps=STEPS, seed=2) for _ in range(2))
    assert torch.equal(one.latents, two.latents)
    assert not torch.equal(one.latents, model.denoise(puzzle, num_steps=STEPS, seed=3).latents)


def test_latents_may_be_given_in_place_of_the_seeds_noise(model, puzzle):
    drawn = model.denoise(puzzle, num_steps=STEPS, seed=2)
    given = model.denoise(puzzle, num_steps=STEPS, latents=initial_latents(2, Ring.latents_shape))
    assert torch.equal(drawn.latents, given.latents)


def test_heun_asks_twice_a_step_but_the_last(model, puzzle):
    assert model.denoise(puzzle, num_steps=STEPS, solver="heun").model_calls == 2 * STEPS - 1


def test_tensors_are_ordinary_and_hold_no_gradients(puzzle):
    class Learned(Ring):
        weight = torch.nn.Parameter(torch.ones(()))

        def velocity(self, latents, sigma, samples):
            return self.weight * latents

    start = torch.zeros(Ring.latents_shape, requires_grad=True)
    trace = stepscope.load_model(Learned()).denoise(puzzle, num_steps=2, latents=start)
    for tensor in (trace.latents, trace.clean_estimates, trace.cond_estimates):
        assert (tensor.requires_grad, tensor.is_inference(), tensor.device.type) == (False, False, "cpu")
    trace.latents.add_(1)


def test_frames_are_decoded_when_asked_for_and_once(model, puzzle, ring):
    trace = model.denoise(puzzle, num_steps=STEPS)
    assert ring.decoded == 0
    assert trace.frames(2) is trace.frames(2)
    assert ring.decoded == 1
    assert trace.frames() is trace.frames(STEPS - 1) is trace.frames(-1)
    assert ring.decoded == 2
    assert np.array_equal(trace.frames(2), model.decode(trace.clean_estimates[2]))


def test_a_result_that_is_not_the_last_estimate_is_decoded_by_itself(model, puzzle):
    trace = model.denoise(puzzle, num_steps=STEPS)
    moved = replace(trace, latents=-trace.latents)
    assert np.array_equal(moved.frames(), model.decode(-trace.latents[-1]))
    assert np.array_equal(moved.frames(-1), trace.frames())


def test_numbers_of_numpy_are_numbers(model, puzzle):
    plain = model.denoise(puzzle, num_steps=2, seed=3, shift=4, guidance=1)
    same = model.denoise(
        puzzle, num_steps=np.int64(2), seed=np.int32(3), shift=np.float32(4), guidance=np.float64(1), recorders=[]
    )
    assert torch.equal(plain.latents, same.latents)
    assert same.frames(np.int64(0)) is same.frames(0)


@pytest.mark.parametrize("step", [STEPS, -STEPS - 1])
def test_a_step_that_was_not_taken_has_no_frames(model, puzzle, step):
    trace = model.denoise(puzzle, num_steps=STEPS)
    with pytest.raises(BadInputError, match=f"Step {step} was asked for"):
        trace.frames(step)
    with pytest.raises(BadInputError, match=f"Step {step} was asked for"):
        trace.scores[step]


def test_codec_without_one_of_its_own(maze, solved):
    model = stepscope.load_model(Observer(maze))
    assert np.array_equal(model.decode(model.encode(maze.solutions[0])), maze.solutions[0])
    assert solved.frames().shape == maze.solutions[0].shape


def test_scores_are_those_of_the_decoded_estimates(maze, solved):
    task = tasks.get("maze-two-goals")
    assert solved.score.success is True
    assert solved.scores[0] == task.score(solved.frames(0), maze)
    assert solved.scores[0].success is False
    assert solved.scores[-1] == solved.scores[STEPS - 1] == solved.scores[None] == solved.score
    assert solved.scores[1:3] == (solved.scores[1], solved.scores[2])
    assert [score.success for score in solved.scores][-1]


def test_without_a_task_there_are_no_scores(model, puzzle):
    trace = model.denoise(puzzle, num_steps=2)
    assert (list(trace.scores), trace.score) == ([None, None], None)


def test_a_scorer_that_fails_is_told(model, puzzle):
    class Broken:
        name, version, palette, sample = "broken", 1, {}, None

        def score(self, frames, sample):
            raise KeyError("no\nluck")

    trace = model.denoise(puzzle, num_steps=2)
    with pytest.raises(BadInputError, match=r"Task 'broken' could not score a video \(KeyError"):
        trace.verdict(0, Broken())


def test_a_task_that_is_not_registered_gives_no_scores(model):
    sample = tasks.Sample("go", Puzzle().first_frame, 5, task="unheard-of")
    assert model.denoise(sample, num_steps=2).score is None


def test_edits_show_in_the_latents_of_their_step(model, puzzle):
    plain = model.denoise(puzzle, num_steps=STEPS)
    edited = model.denoise(puzzle, num_steps=STEPS, interventions=[AddNoise("replace", 3, seed=5)])
    assert torch.equal(plain.latents[:3], edited.latents[:3])
    assert torch.equal(edited.latents[3], latents_noise(5, 3, Ring.latents_shape))
    assert edited.interventions == (AddNoise("replace", 3, seed=5),)


def test_the_call_of_renoise_is_counted(model, puzzle):
    trace = model.denoise(puzzle, num_steps=STEPS, interventions=[AddNoise("renoise", [1, 2])])
    assert trace.model_calls == STEPS + 2


def test_a_zero_intervention_is_the_identity(model, puzzle):
    plain = model.denoise(puzzle, num_steps=STEPS)
    same = model.denoise(puzzle, num_steps=STEPS, interventions=[AddNoise("renoise", None, strength=0)])
    assert torch.equal(plain.latents, same.latents)
    assert plain.model_calls == same.model_calls


class Sigmas:
    """The smallest recorder."""

    def __init__(self, name="sigmas"):
        self.name = name

    def init(self, run):
        return ()

    def update(self, state, event):
        return (*state, event.sigma)

    def merge(self, first, second):
        return first + second

    def finish(self, state):
        return np.array(state)


def test_recorders_leave_their_results_and_nothing_else(model, puzzle):
    plain = model.denoise(puzzle, num_steps=STEPS)
    seen = model.denoise(puzzle, num_steps=STEPS, recorders=[Sigmas()])
    assert torch.equal(plain.latents, seen.latents)
    np.testing.assert_allclose(seen.records["sigmas"], plain.sigmas[:-1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_steps": 0}, BadInputError, "num_steps came as 0. Allowed are whole numbers from 1 up."),
        ({"num_steps": -3}, BadInputError, "num_steps came as -3."),
        ({"solver": "dpm"}, UnknownNameError, "Unknown solver 'dpm'. Known: euler, heun, pipeline, unipc."),
        ({"solver": "pipeline"}, PlanError, "This model has no scheduler."),
        ({"schedule": "linear"}, UnknownNameError, "Unknown schedule 'linear'. Known: paper, pipeline."),
        ({"schedule": "pipeline"}, PlanError, "This model has no scheduler."),
        ({"shift": 0.0}, BadInputError, "Shift came as 0.0."),
        ({"shift": float("nan")}, BadInputError, "shift came as nan."),
        ({"guidance": float("inf")}, BadInputError, "guidance came as inf."),
        ({"guidance": 2.0}, PlanError, "A live denoiser has no unconditional branch."),
        ({"latents": torch.zeros(2, 5, 4, 3)}, BadInputError, "The latents came as torch.float32 [2, 5, 4, 3]."),
        ({"latents": torch.zeros(1, 2, 5, 4, 4)}, BadInputError, "they are a floating-point tensor [2, 5, 4, 4]"),
        ({"latents": torch.zeros(2, 5, 4, 4, dtype=torch.int64)}, BadInputError, "The latents came as torch.int64"),
        ({"latents": torch.full((2, 5, 4, 4), torch.nan)}, BadInputError, "The latents came with NaN or infinity."),
        ({"latents": np.zeros((2, 5, 4, 4))}, BadInputError, "The latents came as ndarray float64 [2, 5, 4, 4]."),
        ({"recorders": [TokenEnergy()]}, PlanError, "token_energy came for a model without layers."),
        ({"recorders": Sigmas()}, BadInputError, "Several are taken, as a list. Write recorders=[...]."),
        ({"interventions": AddNoise("add", 1)}, BadInputError, "interventions came as AddNoise("),
        ({"recorders": [TokenEnergy]}, BadInputError, "came as a recorder."),
        ({"recorders": [Sigmas(), Sigmas()]}, BadInputError, "Recorders came with the names sigmas, sigmas."),
        ({"interventions": ["noise"]}, BadInputError, "'noise' came as an intervention."),
        ({"interventions": [AtBlock()]}, PlanError, "AtBlock came for a model without layers."),
        ({"interventions": [AddNoise("add", 6)]}, BadInputError, "AddNoise has steps up to 6. This run has 0 to 5."),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(model, puzzle, options, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        model.denoise(puzzle, **{"num_steps": STEPS, **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda model: model.encode(np.zeros((5, 8, 8, 3))), "The frames came as ndarray float64 [5, 8, 8, 3]."),
        (lambda model: model.encode(np.zeros((8, 8, 3), np.uint8)), "They must be uint8 [T, height, width, 3]."),
        (lambda model: model.decode(torch.zeros(1, 2, 5, 4, 4)), "Allowed is a floating-point tensor [C, F, H, W]"),
        (lambda model: model.decode(np.zeros((2, 5, 4, 4))), "The latents came as ndarray float64 [2, 5, 4, 4]."),
    ],
    ids=["floats", "picture", "batch", "array"],
)
def test_what_is_no_video_is_refused(model, give, message):
    with pytest.raises(BadInputError, match=re.escape(message)):
        give(model)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (3, "The sample came as int without prompt, first_frame, num_frames."),
        ("walk", "The sample came as str without"),
        (Puzzle(first_frame=np.zeros((8, 8, 3))), "The first frame came as ndarray float64 [8, 8, 3]."),
        (Puzzle(first_frame=np.zeros((8, 8), np.uint8)), "The first frame came as ndarray uint8 [8, 8]."),
        (Puzzle(first_frame=None), "The first frame came as NoneType."),
        (Puzzle(prompt=None), "The prompt came as NoneType."),
        (Puzzle(num_frames=0), "num_frames came as 0."),
        (Puzzle(num_frames=2.5), "num_frames came as 2.5."),
    ],
)
def test_what_is_no_sample_is_refused(model, sample, message):
    with pytest.raises(BadInputError, match=re.escape(message)):
        model.denoise(sample)
