"""The four ways to add noise, by their formulas, and everything that is refused."""

import json
import math
import re

import pytest
import torch

from closed_form import Gaussian, Layered, make_run
from stepscope import interventions
from stepscope.denoise import Euler, View, denoise, latents_noise
from stepscope.errors import BadInputError, UnknownNameError
from stepscope.interventions import AddNoise
from stepscope.interventions.indices import whole_seed

SHAPE = (3, 4, 2, 2)
STEP, SIGMA, A = 5, 0.6, 0.3
X = latents_noise(1, 0, SHAPE)[None]
CLEAN = latents_noise(2, 0, SHAPE)[None]
E = latents_noise(7, STEP, SHAPE)[None]


def edited(intervention, latents=X):
    view = View(STEP, 20, SIGMA, (None,), (0,), lambda: CLEAN)
    return intervention.edit_latents(latents, view)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("replace", (1 - A) * X + A * E),
        ("add", X + A * E),
        ("vp", math.sqrt(1 - A * A) * X + A * E),
        ("renoise", (1 - A) * X + A * ((1 - SIGMA) * CLEAN + SIGMA * E)),
    ],
)
def test_formula(mode, expected):
    torch.testing.assert_close(edited(AddNoise(mode, STEP, strength=A, seed=7)), expected, rtol=0, atol=1e-6)


def test_replacing_all_leaves_nothing():
    assert torch.equal(edited(AddNoise("replace", STEP, seed=7)), E)


def test_vp_keeps_the_variance():
    noise = latents_noise(3, 0, (16, 4, 64, 64))[None]
    assert float(edited(AddNoise("vp", STEP, strength=0.6), noise).std()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("mode", interventions.add_noise.MODES)
def test_only_the_chosen_latent_frames_change(mode):
    after = edited(AddNoise(mode, STEP, latent_frames=[3, 1], strength=A, seed=7))
    whole = edited(AddNoise(mode, STEP, strength=A, seed=7))
    assert [torch.equal(after[:, :, f], X[:, :, f]) for f in range(4)] == [True, False, True, False]
    assert torch.equal(after[:, :, [1, 3]], whole[:, :, [1, 3]])


def test_the_latents_that_came_are_left_alone():
    before = X.clone()
    edited(AddNoise("add", STEP))
    assert torch.equal(X, before)


def test_rows_of_a_batch_are_hit_by_the_same_noise():
    both = edited(AddNoise("replace", STEP, seed=7), torch.cat([X, CLEAN]))
    assert torch.equal(both[0], both[1])


def test_each_step_has_its_own_noise():
    run, start = make_run(Gaussian(), Euler(), num_steps=4, interventions=[AddNoise("replace", [1, 2])])
    events = denoise(run, start)[0]
    for step in (1, 2):
        assert torch.equal(events[step].latents[0], latents_noise(0, step, Gaussian().shape))


def test_renoise_uses_the_estimate_of_the_unedited_latents():
    run, start = make_run(Layered(), Euler(), num_steps=4, interventions=[AddNoise("renoise", 2, seed=7)])
    plain, _ = make_run(Layered(), Euler(), num_steps=4)
    event, sigma = denoise(run, start)[0][2], run.grid.sigma(2)
    e = latents_noise(7, 2, Layered.shape)[None]
    assert torch.equal(event.latents, 0.0 * event.latents + (1 - sigma) * denoise(plain, start)[0][2].clean + sigma * e)


@pytest.mark.parametrize(("steps", "kept"), [(3, (3,)), ([4, 2, 4], (2, 4)), (range(2), (0, 1)), (None, None)])
def test_every_spelling_of_the_same_indices_is_one_value(steps, kept):
    intervention = AddNoise("add", steps, latent_frames=steps)
    assert (intervention.steps, intervention.latent_frames) == (kept, kept)
    assert intervention == AddNoise("add", kept, latent_frames=kept)
    assert hash(intervention) == hash(AddNoise("add", kept, kept))


def test_it_acts_at_its_steps():
    assert [AddNoise("add", [1, 3]).acts_at(step, 5) for step in range(5)] == [False, True, False, True, False]
    assert all(AddNoise("add", None).acts_at(step, 5) for step in range(5))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("blur", 3), UnknownNameError, "Unknown mode of AddNoise 'blur'. Known: add, renoise, replace, vp."),
        (("add", -1), BadInputError, "steps came as -1."),
        (("add", []), BadInputError, "steps came as []."),
        (("add", 3, [-2]), BadInputError, "latent_frames came as [-2]."),
        (("replace", 3, None, 1.5), BadInputError, "strength came as 1.5. Mode 'replace' allows 0 to 1."),
        (("add", 3, None, -0.1), BadInputError, "strength came as -0.1. Mode 'add' allows numbers from 0 up."),
        (("add", 3, None, math.inf), BadInputError, "strength came as inf."),
        (("vp", 3, None, math.nan), BadInputError, "strength came as nan."),
    ],
)
def test_bad_values_are_refused_in_one_line(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        AddNoise(*arguments)
    assert "\n" not in str(caught.value)


def test_a_run_too_short_for_its_steps_is_refused():
    run, start = make_run(Gaussian(), Euler(), num_steps=4, interventions=[AddNoise("add", [1, 4])])
    with pytest.raises(BadInputError, match=r"steps up to 4. This run has 0 to 3"):
        denoise(run, start)


def test_a_video_too_short_for_its_frames_is_refused():
    with pytest.raises(BadInputError, match=r"latent_frames up to 4. This run has 0 to 3"):
        edited(AddNoise("add", STEP, latent_frames=4))


@pytest.mark.parametrize("intervention", [AddNoise("add", None), AddNoise("vp", [3, 1], 2, strength=0.25, seed=-4)])
def test_json_and_back(intervention):
    text = json.dumps(interventions.to_json(intervention))
    assert interventions.from_json(json.loads(text)) == intervention
    assert AddNoise.from_json(intervention.to_json()) == intervention


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"intervention": "Blur"}, UnknownNameError),
        ({"mode": "add"}, UnknownNameError),
        ({"intervention": "AddNoise", "mode": "add"}, BadInputError),
        ({"intervention": "AddNoise", "mode": "add", "steps": [1], "where": 2}, BadInputError),
    ],
)
def test_json_of_something_else_is_refused(data, error):
    with pytest.raises(error):
        interventions.from_json(data)


@pytest.mark.parametrize("seed", ["a", 1.5, None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(BadInputError, match="seed came as"):
        whole_seed(seed)
