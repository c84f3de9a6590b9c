"""Knowledge and choice of denoisers that know everything, nothing, or half."""

import numpy as np
import pytest
import torch

import stepscope
from closed_form import Observer, pixels
from stepscope import tasks
from stepscope.errors import BadInputError
from stepscope.scope import encode_solutions, read

STEPS = 6


class Still(Observer):
    """Believes at every step that nothing will happen."""

    def __init__(self, sample):
        super().__init__(sample)
        self.candidates = pixels(sample.still)[None]


class Undecided(Observer):
    """Knows both solutions and never chooses."""

    def velocity(self, latents, sigma, samples):
        return (latents - self.candidates.mean(0)) / sigma


@pytest.fixture(scope="module")
def maze():
    return tasks.get("maze-two-goals").sample(3, size=5)


def reading(maze, denoiser, seed=1):
    model = stepscope.load_model(denoiser(maze))
    trace = model.denoise(maze, num_steps=STEPS, seed=seed)
    return trace, read(trace, encode_solutions(model, maze))


def test_the_observer_knows_at_every_step(maze):
    trace, found = reading(maze, Observer)
    assert found.knowledge.shape == (STEPS,)
    assert (found.knowledge <= 1e-6).all()
    assert (found.observer_knowledge <= 1e-6).all()
    assert (found.knowledge_step, found.final_knowledge <= 1e-6) == (0, True)
    assert trace.scores[-1].answer == f"goal-{found.final_answer}"


def test_the_observer_believes_what_the_observers_believe(maze):
    _, found = reading(maze, Observer)
    np.testing.assert_allclose(found.weights, found.observer_weights, atol=1e-5)
    np.testing.assert_allclose(found.weights, found.rollout_weights, atol=1e-3)
    np.testing.assert_allclose(found.multiplicity, found.observer_multiplicity, atol=1e-4)
    assert found.commitment_step == found.observer_commitment_step == found.rollout_commitment_step


def test_its_first_belief_is_the_prior(maze):
    _, found = reading(maze, Observer)
    np.testing.assert_allclose(found.weights[0], [0.5, 0.5], atol=1e-5)
    assert found.multiplicity[0] == pytest.approx(2, abs=1e-6)
    assert found.multiplicity[-1] == pytest.approx(1, abs=1e-6)
    assert (found.answers[0], found.answers[-1]) == (None, found.final_answer)


def test_the_answer_is_that_of_the_decoded_video(maze):
    ends = set()
    for seed in range(3):
        trace, found = reading(maze, Observer, seed)
        assert (trace.score.success, trace.score.answer) == (True, f"goal-{found.final_answer}")
        ends.add(found.final_answer)
    assert ends == {0, 1}


def test_a_still_video_knows_nothing(maze):
    _, found = reading(maze, Still)
    np.testing.assert_allclose(found.knowledge, 1, atol=1e-6)
    assert (found.knowledge_step, found.final_answer, set(found.answers)) == (None, None, {None})


def test_who_knows_need_not_choose(maze):
    _, found = reading(maze, Undecided)
    assert (found.knowledge <= 1e-6).all()
    np.testing.assert_allclose(found.multiplicity, 2, atol=1e-6)
    assert (found.commitment_step, found.knowledge_step, found.final_answer) == (None, 0, None)


def test_clock_starts_at_nothing_and_rises(maze):
    _, found = reading(maze, Observer)
    assert found.signal_to_noise[0] == 0
    assert (np.diff(found.signal_to_noise) > 0).all()


def test_solutions_are_encoded_by_the_model(maze):
    known = encode_solutions(stepscope.load_model(Observer(maze)), maze)
    assert torch.equal(known.candidates, torch.stack([pixels(frames) for frames in maze.solutions]))
    assert torch.equal(known.still, pixels(maze.still))


def test_a_sample_without_solutions_cannot_be_read(maze):
    model = stepscope.load_model(Observer(maze))
    with pytest.raises(BadInputError, match="without solutions"):
        encode_solutions(model, maze.with_prompt("something else"))


def test_solutions_of_another_size_are_told(maze):
    small = tasks.Sample("go", np.zeros((8, 8, 3), np.uint8), 17, solutions=(np.ones((17, 8, 8, 3), np.uint8),))
    model = stepscope.load_model(Observer(maze))
    trace = model.denoise(maze, num_steps=2)
    with pytest.raises(BadInputError, match=r"latents \[3, 17, 8, 8\] for a run of \[3, 17, 96, 96\]"):
        read(trace, encode_solutions(model, small))
