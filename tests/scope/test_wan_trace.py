"""The public face over a stock pipeline: layers, guidance, both grids."""

import numpy as np
import pytest
import torch

import stepscope
from models.tiny import TinySample, pipeline
from stepscope.interventions import AddNoise
from stepscope.recorders import TokenEnergy


@pytest.fixture(scope="module")
def model():
    return stepscope.load_model(pipeline("wan2.2-ti2v"))


def test_energy_of_every_token(model):
    plain = model.denoise(TinySample(), num_steps=2, guidance=3.0)
    trace = model.denoise(TinySample(), num_steps=2, guidance=3.0, recorders=[TokenEnergy()])
    energy = trace.records["token_energy"]
    assert energy.shape[:3] == (2, 2, model.num_layers)
    assert (energy > 0).all()
    assert torch.equal(plain.latents, trace.latents)
    assert trace.model_calls == plain.model_calls == 4


def test_without_guidance_the_estimate_is_the_conditional_one(model):
    trace = model.denoise(TinySample(), num_steps=2, guidance=1)
    assert torch.equal(trace.clean_estimates, trace.cond_estimates)
    assert trace.model_calls == 2


def test_guidance_is_the_cards(model):
    trace = model.denoise(TinySample(), num_steps=2)
    assert (trace.guidance, trace.model_calls) == (model.card.guidance, 4)
    assert not torch.equal(trace.clean_estimates, trace.cond_estimates)


@pytest.mark.parametrize("solver", ["euler", "heun", "unipc", "pipeline"])
@pytest.mark.parametrize("schedule", ["paper", "pipeline"])
def test_every_solver_on_every_grid(model, solver, schedule):
    trace = model.denoise(TinySample(), num_steps=3, guidance=1, solver=solver, schedule=schedule)
    assert bool(torch.isfinite(trace.latents).all())
    assert (trace.solver, trace.schedule, trace.num_steps) == (solver, schedule, 3)


def test_a_zero_intervention_is_the_identity_under_a_solver_with_memory(model):
    plain, same = (
        model.denoise(TinySample(), num_steps=3, guidance=1, solver="unipc", interventions=edits)
        for edits in ([], [AddNoise("vp", None, strength=0)])
    )
    assert torch.equal(plain.latents, same.latents)


def test_codec_of_the_pipeline(model):
    trace = model.denoise(TinySample(), num_steps=1, guidance=1)
    latents = model.encode(np.repeat(TinySample().first_frame[None], 5, axis=0))
    assert latents.shape == trace.latents.shape[1:]
    assert model.decode(latents).shape == trace.frames().shape == (5, 32, 32, 3)
