"""The public face over the families whose pipelines see latents otherwise: tokens, or another path."""

import numpy as np
import pytest
import torch

import stepscope
from models.tiny import TinySample, cogvideox_pipeline, ltx_pipeline, picture
from stepscope.errors import PlanError
from stepscope.interventions import AddNoise, MergeEstimates
from stepscope.interventions.merge_states import ESTIMATES
from stepscope.recorders import TokenEnergy

SAMPLE = TinySample(first_frame=picture(1, 32, 32), num_frames=9)
MADE = {"ltx": ltx_pipeline, "cogvideox": lambda: cogvideox_pipeline(scheduler_name="dpm")}


@pytest.fixture(scope="module", params=MADE)
def model(request):
    return stepscope.load_model(MADE[request.param]())


@pytest.mark.parametrize("solver", ["euler", "heun", "unipc", "pipeline"])
def test_a_trace_is_float32_whatever_the_family_computes_in(model, solver):
    trace = model.denoise(SAMPLE, num_steps=2, solver=solver, schedule="pipeline", recorders=[TokenEnergy()])
    assert trace.latents.dtype == trace.clean_estimates.dtype == torch.float32
    assert trace.latents.isfinite().all()
    assert trace.model_calls == (8 - 2 if solver == "heun" else 4)
    assert trace.records["token_energy"].shape[:3] == (2, 2, 2)
    assert trace.frames().shape == (9, 32, 32, 3)


def test_renoising_is_of_the_path_that_the_trace_is_on(model):
    """At full strength x = (1 - s) x0_hat + s e, with the unedited estimate; frame 0 of LTX is given anyway."""
    first, second = (
        model.denoise(
            SAMPLE, num_steps=3, guidance=1, schedule="pipeline", interventions=[AddNoise("renoise", 1, seed=s)]
        )
        for s in (0, 1)
    )
    plain = model.denoise(SAMPLE, num_steps=3, guidance=1, schedule="pipeline")
    sigma = float(plain.sigmas[1])
    difference = (first.latents[1] - second.latents[1]) / sigma
    assert float(difference.std()) == pytest.approx(2**0.5, rel=0.15)
    mean = (first.latents[1] + second.latents[1]) / 2 - (1 - sigma) * plain.clean_estimates[1]
    assert float((mean / sigma).std()) == pytest.approx(0.5**0.5, rel=0.15)


def test_runs_repeat_and_seeds_differ(model):
    one, same, other = (
        model.denoise(SAMPLE, num_steps=2, seed=seed, solver="pipeline", schedule="pipeline") for seed in (1, 1, 2)
    )
    assert torch.equal(one.latents, same.latents)
    assert not torch.equal(one.latents[-1], other.latents[-1])


PARAMETRISED = {
    "v_prediction": {},
    "epsilon": {"rescale_betas_zero_snr": False, "timestep_spacing": "leading"},
    "sample": {},
}


@pytest.mark.parametrize("parametrisation", PARAMETRISED)
@pytest.mark.parametrize("of", ESTIMATES)
def test_merged_estimates_reach_the_scheduler_in_its_own_parametrisation(parametrisation, of):
    """A step of DDIM is Euler's, merged or not."""
    options = {"prediction_type": parametrisation, **PARAMETRISED[parametrisation]}
    model = stepscope.load_model(cogvideox_pipeline(**options))
    merge = MergeEstimates("other", [0, 2], of, strength=0.5)
    branches = [stepscope.Branch("clean"), stepscope.Branch("other", seed=7), stepscope.Branch("merged", [merge])]
    ends = {}
    for solver in ("euler", "pipeline"):
        plan = stepscope.plan(model, [SAMPLE], branches, num_steps=4, solver=solver, schedule="pipeline", guidance=2)
        ends[solver] = {branch: trace.latents[-1] for (_, _, branch), trace in plan.run().items()}
    scale = ends["euler"]["clean"].abs().mean()
    assert (ends["euler"]["merged"] - ends["euler"]["clean"]).abs().mean() > 0.005 * scale
    for branch in ("clean", "merged"):
        assert (ends["pipeline"][branch] - ends["euler"][branch]).abs().mean() < 1e-4 * scale


def test_encoding_has_the_shape_of_the_latents(model):
    latents = model.encode(np.repeat(SAMPLE.first_frame[None], 9, axis=0))
    assert latents.shape == model.denoise(SAMPLE, num_steps=1, guidance=1).latents.shape[1:]
    assert model.decode(latents).shape == (9, 32, 32, 3)


def test_a_path_without_shift_says_so():
    model = stepscope.load_model(cogvideox_pipeline())
    with pytest.raises(PlanError, match="has none"):
        model.denoise(SAMPLE, num_steps=2, schedule="pipeline", shift=3)
    with pytest.raises(PlanError, match="cannot stand on the 'paper' grid"):
        model.denoise(SAMPLE, num_steps=2, solver="pipeline")
