"""The laws of branches on stock pipelines: real transformers, both wrapped schedulers, calls counted on the weights."""

import json
import re

import numpy as np
import pytest
import torch

import stepscope
from models.tiny import TinySample, picture, pipeline
from stepscope import Branch, plan
from stepscope.errors import BadInputError, PlanError
from stepscope.interventions import (
    AddNoise,
    BlockFrames,
    HoldFrames,
    Jump,
    MergeEstimates,
    MergeLatents,
    MergeLayers,
    MoveBoundary,
    ScaleLayer,
    SkipLayer,
    Swap,
    SwitchCondition,
    SwitchPrompt,
    WrongPlan,
)
from stepscope.recorders import Difference, Experts, TokenEnergy
from stepscope.scope import plan_from_json, plan_to_json

N, AT = 4, 2
SAMPLE = TinySample(num_frames=9)  # three latent frames
OTHER = np.stack([picture(seed) for seed in range(9)])
EVERY = {
    **{mode: [AddNoise(mode, AT, strength=0.5)] for mode in ("replace", "add", "vp", "renoise")},
    "one frame": [AddNoise("renoise", AT, latent_frames=1)],
    "wrong plan": [WrongPlan(AT, OTHER)],
    "held": [HoldFrames([1, AT], 1)],
    "jump": [Jump(AT)],
    "blocked": [BlockFrames(AT, "future")],
    "scaled": [ScaleLayer(AT, 1, 0.5, "self_attn")],
    "skipped": [SkipLayer(AT, 0)],
    "boundary moved": [MoveBoundary(0.5)],
    "boundary moved, noise": [MoveBoundary(1), AddNoise("renoise", 1)],
    "other words": [SwitchPrompt([1, AT], "a ball rolls down")],
    "other picture": [SwitchCondition(AT, picture(5))],
    "several": [SwitchPrompt(1, "red"), AddNoise("renoise", AT), ScaleLayer(3, 0, 0.9)],
}


class Counted:
    """A stock pipeline as a model, its forwards counted on the transformers themselves."""

    def __init__(self, style, scheduler):
        self.forwards = 0
        stock = pipeline(style, scheduler)
        for transformer in (stock.transformer, stock.transformer_2):
            if transformer is not None:
                transformer.register_forward_hook(self.count)
        self.model = stepscope.load_model(stock)

    def count(self, module, given, told):
        self.forwards += len(given[0]) if given else len(told[0])


@pytest.fixture(scope="module", params=["euler", "unipc"])
def counted(request):
    return Counted("wan2.2-a14b", request.param)


@pytest.fixture
def model(counted):
    return counted.model


def branches(edits):
    return [Branch(name, each) for name, each in edits.items()]


def test_every_branch_equals_a_full_rerun(model):
    made = plan(model, [SAMPLE], branches(EVERY), num_steps=N, solver="pipeline", schedule="pipeline", guidance=1)
    for (_, seed, name), trace in made.run().items():
        edits = EVERY.get(name, ())
        rerun = model.denoise(
            SAMPLE, num_steps=N, seed=seed, solver="pipeline", schedule="pipeline", guidance=1, interventions=edits
        )
        assert torch.equal(trace.latents, rerun.latents), name
        assert torch.equal(trace.clean_estimates, rerun.clean_estimates), name
        assert trace.model_calls == rerun.model_calls, name


def first_step(model, edit):
    """The first step at which an edit acts."""
    if not isinstance(edit, MoveBoundary):
        return min(edit.steps)
    run = model.run_of(SAMPLE, num_steps=N, seed=0)
    answers = [[run.denoiser.expert(run.grid, step, at) for step in range(N)] for at in (None, edit.boundary)]
    return next(step for step, (own, other) in enumerate(zip(*answers, strict=True)) if own != other)


def test_the_own_boundary_is_free(model):
    own = MoveBoundary(model.pipeline.config.boundary_ratio)
    made = plan(model, [SAMPLE], branches({"own": [own]}), num_steps=N, guidance=1)
    assert (made.model_calls(), made.naive_calls()) == (N, 2 * N)


def test_experts_are_named_as_they_answer(model):
    moved = model.denoise(SAMPLE, num_steps=N, guidance=1, recorders=[Experts()], interventions=[MoveBoundary(0)])
    assert set(moved.records["experts"].tolist()) == {"high_noise"}


@pytest.mark.parametrize("name", [name for name in EVERY if name != "jump"])
def test_every_edit_is_felt_and_not_before_its_step(model, name):
    results = plan(model, [SAMPLE], branches({name: EVERY[name]}), num_steps=N, guidance=1).run()
    clean, edited = results[None, 0, "clean"].clean_estimates, results[None, 0, name].clean_estimates
    first = next(step for step in range(N) if not torch.equal(clean[step], edited[step]))
    assert first == min(first_step(model, edit) for edit in EVERY[name])


@pytest.mark.parametrize("mode", ["replace", "renoise"])
@pytest.mark.parametrize("guidance", [1, 3.0])
def test_forwards_of_a_full_sweep(counted, mode, guidance):
    sweep = [Branch(f"{step}", [AddNoise(mode, step)]) for step in range(N)]
    made = plan(counted.model, [TinySample()], sweep, num_steps=N, guidance=guidance, solver="pipeline")
    counted.forwards = 0
    made.run()
    assert counted.forwards == made.model_calls() == (N + N * (N + 1) // 2) * (1 if guidance == 1 else 2)


def test_recorders_are_those_of_a_rerun(model):
    edits = {name: EVERY[name] for name in ("renoise", "skipped")}
    made = plan(model, [SAMPLE], branches(edits), num_steps=N, recorders=[TokenEnergy()], paired=[Difference()])
    bare = plan(model, [SAMPLE], branches(edits), num_steps=N).run()
    for key, trace in made.run().items():
        rerun = model.denoise(SAMPLE, num_steps=N, interventions=edits.get(key[2], ()), recorders=[TokenEnergy()])
        assert np.array_equal(trace.records["token_energy"], rerun.records["token_energy"])
        assert trace.records["difference"].shape == (N,)
        assert torch.equal(trace.latents, bare[key].latents)


@pytest.mark.parametrize("solver", ["unipc", "pipeline"])
def test_an_edit_survives_a_jump_as_under_euler(model, solver):
    """What is left of it after one step, beside an Euler step from the same states."""
    edits = {"edit": [AddNoise("add", AT, strength=0.05)], "jump": [Jump(AT)]}
    results = plan(model, [SAMPLE], branches(edits), num_steps=N, guidance=1, solver=solver).run()
    left, eulers = [], []
    for name in edits:
        trace = results[None, 0, name]
        x, sigma, after = trace.latents[AT], trace.sigmas[AT], trace.sigmas[AT + 1]
        left.append(trace.latents[AT + 1])
        eulers.append(x + (after - sigma) * (x - trace.clean_estimates[AT]) / sigma)
    torch.testing.assert_close(left[0] - left[1], eulers[0] - eulers[1], rtol=0, atol=1e-4)
    assert (left[0] - left[1]).abs().max() > 0.01


def test_the_past_does_not_see_a_future_that_is_hidden(model):
    future = AddNoise("add", AT, latent_frames=2)
    edits = {"changed": [future], "hidden": [BlockFrames(AT)], "hidden, changed": [future, BlockFrames(AT)]}
    results = plan(model, [SAMPLE], branches(edits), num_steps=N, guidance=3.0).run()
    at = {name: results[None, 0, name].clean_estimates[AT] for name in ("clean", *edits)}
    assert torch.equal(at["hidden"][:, :2], at["hidden, changed"][:, :2])
    assert not torch.equal(at["hidden"][:, 2], at["hidden, changed"][:, 2])
    assert not torch.equal(at["clean"][:, :2], at["changed"][:, :2])
    assert not torch.equal(at["clean"][:, :2], at["hidden"][:, :2])


def test_the_future_does_not_see_a_past_that_is_hidden(model):
    past = AddNoise("add", AT, latent_frames=0)
    edits = {"hidden": [BlockFrames(AT, "past")], "hidden, changed": [past, BlockFrames(AT, "past")]}
    results = plan(model, [SAMPLE], branches(edits), num_steps=N, guidance=1).run()
    at = {name: results[None, 0, name].clean_estimates[AT] for name in edits}
    assert torch.equal(at["hidden"][:, 1:], at["hidden, changed"][:, 1:])


class Blocks:
    """What enters and what leaves the first block, by step."""

    name, sites = "blocks", ("resid_pre", "block")

    def init(self, run):
        return {}

    def update(self, state, event):
        if hasattr(event, "hidden") and event.address.layer == 0:
            return state | {f"{event.address.site} {event.address.step}": event.hidden}
        return state

    def merge(self, first, second):
        return first | second

    def finish(self, state):
        return state


def test_a_skipped_block_puts_out_what_it_was_given(model):
    trace = model.denoise(SAMPLE, num_steps=N, guidance=1, recorders=[Blocks()], interventions=EVERY["skipped"])
    seen = trace.records["blocks"]
    through = [torch.equal(seen[f"resid_pre {step}"], seen[f"block {step}"]) for step in range(N)]
    assert through == [False, False, True, False]


def test_chunks_stay_within_the_tolerance(counted):
    some = branches({name: EVERY[name] for name in ("add", "renoise", "blocked", "skipped", "other words")})
    alone = plan(counted.model, [SAMPLE], some, num_steps=N, guidance=3.0).run()
    made = plan(counted.model, [SAMPLE], some, num_steps=N, guidance=3.0, chunk=4)
    for key, trace in made.run().items():
        torch.testing.assert_close(trace.clean_estimates, alone[key].clean_estimates, rtol=1e-4, atol=1e-4)


def test_swaps(counted):
    edits = {f"{mode} {layer}": [Swap("donor", layer, AT, mode)] for mode in ("residual", "delta") for layer in (0, 1)}
    made = plan(counted.model, [SAMPLE], [*branches(edits), Branch("donor", seed=9)], num_steps=N, guidance=3.0)
    counted.forwards = 0
    results = made.run()
    assert counted.forwards == made.model_calls() == 2 * (2 * N + len(edits) * (N - AT))
    sigma = results[None, 0, "clean"].sigmas[AT]
    said = {name: (t.latents[AT] - t.clean_estimates[AT]) / sigma for (_, _, name), t in results.items()}
    for layer in (0, 1):  # trap: all that follows a full swap is the donor's, whatever the layer
        torch.testing.assert_close(said[f"residual {layer}"], said["donor"], rtol=1e-3, atol=1e-3)
        assert not torch.allclose(said[f"delta {layer}"], said["donor"], rtol=1e-2, atol=1e-2)


def test_a_swap_on_its_own_is_refused(model):
    with pytest.raises(PlanError, match=r"Swap names branch 'donor'\. A run on its own has no branches"):
        model.denoise(SAMPLE, num_steps=N, interventions=[Swap("donor", 0, 0)])


@pytest.mark.parametrize("kind", [MergeLayers, MergeEstimates, MergeLatents])
@pytest.mark.parametrize("zero", [{"donors": ()}, {"donors": "clean", "strength": 0}], ids=["no donors", "no strength"])
def test_a_merge_of_size_zero_is_the_identity_in_a_branch_and_on_its_own(model, kind, zero):
    clean = model.denoise(SAMPLE, num_steps=2, guidance=1.0)
    alone = model.denoise(SAMPLE, num_steps=2, guidance=1.0, interventions=[kind(**zero)])
    made = plan(model, [SAMPLE], [Branch("clean"), Branch("zero", [kind(**zero)])], num_steps=2, guidance=1.0)
    assert torch.equal(alone.latents, clean.latents)
    assert torch.equal(made.run()[None, 0, "zero"].latents, clean.latents)
    assert alone.model_calls == clean.model_calls


def test_a_plan_file_runs_to_the_same_bytes(model):
    made = plan(model, [SAMPLE], branches({name: EVERY[name] for name in ("wrong plan", "several")}), num_steps=N)
    again = plan_from_json(json.loads(json.dumps(plan_to_json(made))), model)
    theirs = again.run()
    assert all(torch.equal(trace.latents, theirs[key].latents) for key, trace in made.run().items())


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (AddNoise("add", N), BadInputError, "AddNoise has steps up to 4. This run has 0 to 3."),
        (AddNoise("add", 0, 3), BadInputError, "AddNoise has latent_frames up to 3. This run has 0 to 2."),
        (HoldFrames(0, 3), BadInputError, "HoldFrames has latent_frames up to 3. This run has 0 to 2."),
        (BlockFrames(0, keys=[3]), BadInputError, "BlockFrames has keys up to 3. This run has 0 to 2."),
        (BlockFrames(0, layers=2), PlanError, "BlockFrames has layers up to 2. This model has layers 0 to 1."),
        (ScaleLayer(0, 2, 0), PlanError, "ScaleLayer has layers up to 2. This model has layers 0 to 1."),
        (Swap("clean", 2, 0), PlanError, "Swap has layers up to 2. This model has layers 0 to 1."),
        (WrongPlan(0, OTHER[:5]), PlanError, "A donor video came as [5, 32, 32, 3]. This sample takes [9, 32, 32, 3]."),
        (WrongPlan(0, "other-valid"), PlanError, "This sample has 0 known solutions and needs 2."),
        (SwitchCondition(0, picture(0, 16, 16)), BadInputError, "SwitchCondition shows [16, 16, 3]."),
    ],
)
def test_what_does_not_exist_is_refused_before_any_forward(counted, edit, error, message):
    counted.forwards = 0
    with pytest.raises(error, match=re.escape(message)) as caught:
        plan(counted.model, [SAMPLE], [Branch("wrong", [edit])], num_steps=N)
    assert "\n" not in str(caught.value)
    assert counted.forwards == 0


def test_sizes_and_solvers_that_do_not_fit_are_refused(model):
    with pytest.raises(PlanError, match=r"Branch 'small' has a sample with latents \[4, 2, 4, 4\]"):
        plan(model, [SAMPLE], [Branch("small", sample=TinySample())], num_steps=N)
    with pytest.raises(PlanError, match="A swap came with solver 'heun'"):
        plan(model, [SAMPLE], [Branch("swap", [Swap("clean", 0, 0)])], num_steps=N, solver="heun")
