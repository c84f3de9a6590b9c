"""The modes of a swap on a stock pipeline with words in a cross-attention of their own, against plain arithmetic."""

import pytest
import torch

from models.tiny import TinySample, cogvideox_pipeline, pipeline
from stepscope import Branch, load_model, plan
from stepscope.errors import PlanError
from stepscope.interventions import Swap, from_json
from stepscope.interventions.swap import MODES

N, AT, LAYER = 3, 1, 1
SAMPLE, OTHER = TinySample(), TinySample(prompt="a red ball rolls down")
SITES = {"attn": "attn1", "cross_attn": "attn2", "mlp": "ffn"}


@pytest.fixture(scope="module")
def model():
    return load_model(pipeline("wan2.2-ti2v"))


def run(model, branches):
    settings = {"num_steps": N, "guidance": 1.0}
    return {name: trace for (_, _, name), trace in plan(model, [SAMPLE], branches, **settings).run().items()}


@pytest.fixture(scope="module")
def swapped(model):
    donor = Branch("donor", sample=OTHER)
    return run(model, [donor, *(Branch(mode, [Swap("donor", LAYER, AT, mode)]) for mode in MODES)])


def test_every_mode_takes_something_else(swapped):
    estimates = {name: trace.cond_estimates[AT] for name, trace in swapped.items() if name != "donor"}
    for name, estimate in estimates.items():
        for other, another in estimates.items():
            assert name == other or not torch.allclose(estimate, another, rtol=1e-4, atol=1e-4), (name, other)


def test_before_and_outside_of_its_step_a_swap_does_nothing(swapped):
    for mode in MODES:
        assert torch.equal(swapped[mode].latents[: AT + 1], swapped["clean"].latents[: AT + 1])
        assert not torch.equal(swapped[mode].latents[AT + 1], swapped["clean"].latents[AT + 1])


@pytest.mark.parametrize("mode", SITES)
def test_a_part_of_a_layer_is_taken_as_plain_hooks_take_it(model, swapped, mode):
    """The donor's output of one module is read with a hook in the donor's run, and put in with a hook in one's own."""
    module = getattr(model.pipeline.transformer.blocks[LAYER], SITES[mode])
    outputs = []
    handle = module.register_forward_hook(lambda _, __, out: outputs.append(out.clone()))
    model.denoise(OTHER, num_steps=N, guidance=1.0)
    handle.remove()
    calls = iter(range(N))
    handle = module.register_forward_hook(lambda _, __, out: outputs[AT] if next(calls) == AT else None)
    by_hand = model.denoise(SAMPLE, num_steps=N, guidance=1.0)
    handle.remove()
    assert torch.equal(by_hand.latents, swapped[mode].latents)


@pytest.mark.parametrize("mode", MODES)
def test_a_swap_with_itself_is_the_identity(model, mode):
    runs = run(model, [Branch("self", [Swap("clean", [0, LAYER], AT, mode)])])
    if mode == "delta":  # adds and takes away
        torch.testing.assert_close(runs["self"].latents, runs["clean"].latents, rtol=1e-5, atol=1e-5)
    else:
        assert torch.equal(runs["self"].latents, runs["clean"].latents)


@pytest.mark.parametrize("mode", MODES)
def test_a_rerun_is_the_same_bytes_and_company_does_not_matter(model, swapped, mode):
    swap = from_json(Swap("donor", LAYER, AT, mode).to_json())
    assert swap == Swap("donor", LAYER, AT, mode)
    alone = run(model, [Branch("donor", sample=OTHER), Branch("swap", [swap])])["swap"]
    assert torch.equal(alone.latents, swapped[mode].latents)
    assert torch.equal(alone.cond_estimates, swapped[mode].cond_estimates)


def test_words_that_share_an_attention_with_the_video_have_none_of_their_own():
    mixed, sample = load_model(cogvideox_pipeline()), TinySample(num_frames=9)
    with pytest.raises(PlanError, match="Site cross_attn was asked for"):
        plan(mixed, [sample], [Branch("swap", [Swap("clean", 0, AT, "cross_attn")])], num_steps=N, guidance=1.0).run()
