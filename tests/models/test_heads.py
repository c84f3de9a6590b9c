"""The head reads the last block's hidden state as the network itself does, in every family."""

import pytest
import tiny
import torch

from stepscope.denoise import Address, Euler, Run, SiteTap, Taps, initial_latents, paper_grid
from stepscope.models import load

KINDS = {
    **{style: lambda style=style: tiny.pipeline(style) for style in tiny.STYLES},
    "ltx": tiny.ltx_pipeline,
    "cogvideox-1.0": tiny.cogvideox_pipeline,
    "cogvideox-1.5": lambda: tiny.cogvideox_pipeline("1.5"),
}
NUM_STEPS, SAMPLE = 3, tiny.TinySample(num_frames=9)


@pytest.fixture(scope="module", params=KINDS)
def denoiser(request):
    return load(KINDS[request.param]()).denoiser


def asked(denoiser, grid, step, guidance):
    """A prediction, the condition it was made under, and what the last block put out for the conditional forward."""
    seen = []
    latents = initial_latents(3, denoiser.latents_shape(SAMPLE))[None]
    latents = Run(denoiser, grid, Euler(), (SAMPLE,), (3,)).start(latents).latents
    condition = denoiser.condition((SAMPLE,), guidance, None)

    def keep(hidden: torch.Tensor, address: Address) -> None:
        if address.cfg_branch == "cond":
            seen.append(hidden.clone())

    taps = Taps((SiteTap("block", keep, frozenset({denoiser.num_layers - 1})),))
    prediction = denoiser.predict(latents, step, grid, condition, guidance, taps)
    return latents, condition, prediction, seen[0]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("step", range(NUM_STEPS))
def test_the_last_layer_is_the_models_own_estimate(denoiser, step, guidance):
    grid = paper_grid(NUM_STEPS, 3.0)
    latents, condition, prediction, hidden = asked(denoiser, grid, step, guidance)
    estimate = denoiser.head(hidden, latents, step, grid, condition)
    if guidance == 1:
        assert torch.equal(estimate, prediction.cond)
    else:  # some families ask both branches in one batch, and kernels differ with its size
        torch.testing.assert_close(estimate, prediction.cond, rtol=1e-5, atol=1e-5)


def test_on_the_pipelines_own_grid(denoiser):
    grid = denoiser.pipeline_grid(SAMPLE, NUM_STEPS, None)
    latents, condition, prediction, hidden = asked(denoiser, grid, 1, 1.0)
    assert torch.equal(denoiser.head(hidden, latents, 1, grid, condition), prediction.cond)


def test_several_states_are_read_at_once(denoiser):
    grid = paper_grid(NUM_STEPS, 3.0)
    latents, condition, _, hidden = asked(denoiser, grid, 1, 1.0)
    states = torch.cat([hidden, 0.5 * hidden, hidden.flip(1)])
    together = denoiser.head(states, latents, 1, grid, condition)
    for state, estimate in zip(states, together, strict=True):
        torch.testing.assert_close(denoiser.head(state[None], latents, 1, grid, condition)[0], estimate)
    assert not torch.allclose(together[0], together[2])
