"""Strategies: what each spends, what each is, who chooses, and who is never asked."""

import re
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

import stepscope
from closed_form import Observer, Puzzle, Ring
from models.tiny import TinySample, cogvideox_pipeline, ltx_pipeline, pipeline
from stepscope import Branch, plan
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.interventions import MergeLayers
from stepscope.scope import MERGES, STRATEGIES, generate, generation_calls
from stepscope.scope.generate_verifiers import judge_named
from stepscope.tasks import Sample, Score

N = 5
RUNS = [
    ({"strategy": "single"}, N),
    ({"strategy": "single", "seeds": 7}, N),
    ({"strategy": "best-of", "seeds": range(4)}, 4 * N),
    ({"strategy": "best-of"}, 8 * N),
    ({"strategy": "prune", "seeds": range(4), "look": 2}, 4 * 2 + (N - 2)),
    ({"strategy": "prune", "seeds": range(4), "look": 2, "keep": 3}, 4 * 2 + 3 * (N - 2)),
    ({"strategy": "prune", "seeds": range(2), "look": 4, "keep": 2}, 2 * N),
    ({"strategy": "ensemble", "merge": "velocity"}, 2 + N),
    ({"strategy": "ensemble", "merge": "latents", "merge_steps": [0, 2], "seeds": range(4)}, 3 * 3 + N),
    ({"strategy": "ensemble", "merge": "clean-estimate", "keep": 3}, 3 * N),
]


@dataclass
class Fade:
    """Fade to black or to white; `fails` lets its scorer raise."""

    name: str = "fade"
    version: int = 1
    palette: dict = field(default_factory=dict)
    fails: bool = False

    def sample(self, seed, *, split="test"):
        levels = [np.linspace(128, end, 5).astype(np.uint8) for end in (0, 255)]
        videos = tuple(np.broadcast_to(level[:, None, None, None], (5, 8, 8, 3)).copy() for level in levels)
        return Sample("fade out", videos[0][0], 5, task=self.name, seed=seed, solutions=videos)

    def score(self, frames, sample):
        if self.fails:
            raise AssertionError("the scorer was asked")
        white = float(frames[-1].mean()) > 200
        return Score(white, float(frames[-1].mean()) / 255, "white" if white else None, "It is white or not.")


SAMPLE = Fade().sample(0)


def observer():
    return stepscope.load_model(Observer(SAMPLE))


def told(value):
    return " ".join(f"{name}={value}" for name, value in value.items()) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(("options", "calls"), RUNS, ids=told)
def test_calls_are_those_that_the_denoiser_counts(options, calls):
    live = Ring()
    model = stepscope.load_model(live)
    made = generate(model, Puzzle(), num_steps=N, **options)
    assert made.model_calls == sum(rows for rows, *_ in live.asked) == calls
    assert generation_calls(model, Puzzle(), num_steps=N, **options) == calls
    assert len(live.asked) == calls  # counting asked nothing of the model


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("keep", [1, 3])
def test_calls_are_those_of_the_transformers(keep, guidance):
    stock, forwards = pipeline("wan2.2"), 0

    def count(module, given, options, out):
        nonlocal forwards
        forwards += len(options["hidden_states"])

    for transformer in (stock.transformer, stock.transformer_2):
        if transformer is not None:
            transformer.register_forward_hook(count, with_kwargs=True)
    model = stepscope.load_model(stock)
    options = {"strategy": "ensemble", "num_steps": 2, "merge_steps": [0, 1], "keep": keep, "guidance": guidance}
    made = generate(model, TinySample(), **options)
    lent = {1: 0, 3: 2 * 3}[keep]  # who merges and lends is asked once more
    assert made.model_calls == forwards == (3 * 2 + lent) * int(guidance)


@pytest.fixture(scope="module")
def wan():
    return stepscope.load_model(pipeline("wan2.2"))


@pytest.mark.parametrize(
    ("merge", "keep", "solver"),
    [
        *((merge, 1, "euler") for merge in MERGES),
        ("block", 3, "euler"),
        ("clean-estimate", 3, "euler"),
        ("latents", 1, "unipc"),
        ("velocity", 1, "unipc"),
        ("latents", 3, "unipc"),
    ],
)
def test_copies_of_one_seed_are_that_seed_bit_for_bit(wan, merge, keep, solver):
    run = {"num_steps": 4, "solver": solver}
    alone = wan.denoise(TinySample(), seed=5, **run)
    options = {"strategy": "ensemble", "seeds": (5, 5, 5), "merge": merge, "merge_steps": [0, 1, 2], "keep": keep}
    merged = generate(wan, TinySample(), **run, **options)
    assert torch.equal(merged.trace.latents, alone.latents)
    assert torch.equal(merged.trace.clean_estimates, alone.clean_estimates)
    other = generate(wan, TinySample(), **run, **{**options, "seeds": (5, 6, 7)})
    assert not torch.equal(other.trace.latents[-1], alone.latents[-1])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("solver", ["euler", "unipc"])
def test_the_answer_is_a_run_of_its_seed(strategy, solver):
    model = stepscope.load_model(pipeline("wan2.2", "unipc"))
    seeds = (5,) if strategy == "single" else (5, 6, 7)
    options = {"num_steps": 3, "solver": solver}
    merge = MergeLayers(strength=0)  # an ensemble of strength 0 is its first seed
    made = generate(model, TinySample(), strategy=strategy, seeds=seeds, look=2, merge=merge, **options)
    alone = model.denoise(TinySample(), seed=made.seed, **options)
    assert torch.equal(made.trace.latents, alone.latents)
    assert torch.equal(made.trace.clean_estimates, alone.clean_estimates)
    assert made.trace.sigmas.tolist() == alone.sigmas.tolist()
    assert np.array_equal(made.frames, alone.frames())
    assert made.trace.branch == ("ensemble" if strategy == "ensemble" else "clean")


@pytest.mark.parametrize("stock", [ltx_pipeline, cogvideox_pipeline])
def test_other_families(stock):
    model = stepscope.load_model(stock())
    sample = TinySample(num_frames=9)
    merged = generate(model, sample, strategy="ensemble", num_steps=2)
    pruned = generate(model, sample, strategy="prune", seeds=range(2), look=1, num_steps=2)
    assert merged.frames.shape == pruned.frames.shape
    assert not torch.equal(merged.trace.latents[-1], model.denoise(sample, num_steps=2).latents[-1])


@pytest.mark.parametrize("options", [options for options, _ in RUNS], ids=told)
def test_without_a_verifier_nothing_is_decoded_and_no_scorer_is_asked(options):
    live = Ring()
    generate(stepscope.load_model(live), Puzzle(), num_steps=N, task=Fade(fails=True), **options)
    assert live.decoded == 0
    made = generate(observer(), SAMPLE, strategy="prune", num_steps=N, task=Fade(fails=True), verifier="multiplicity")
    assert made.verifier == "multiplicity"


def test_the_oracle_asks_the_scorer_and_finds_what_there_is():
    model = observer()
    with pytest.raises(BadInputError, match="could not score"):
        generate(model, SAMPLE, strategy="best-of", num_steps=N, task=Fade(fails=True), verifier="oracle")
    alone = [model.denoise(SAMPLE, num_steps=N, seed=seed) for seed in range(8)]
    right = [seed for seed, trace in enumerate(alone) if Fade().score(trace.frames(), SAMPLE).success]
    assert 0 < len(right) < 8
    made = generate(model, SAMPLE, strategy="best-of", num_steps=N, task=Fade(), verifier="oracle")
    assert made.seed in right
    assert made.verifier == "oracle"
    assert [look.seed for look in made.looks] == list(range(8))
    assert [look.seed for look in made.looks if look.kept] == [made.seed]
    assert {look.step for look in made.looks} == {None}


def test_a_task_may_come_by_its_name():
    sample = stepscope.tasks.get("maze").sample(3, size=5)
    model = stepscope.load_model(Observer(sample))
    made = generate(model, sample, strategy="best-of", seeds=range(2), num_steps=2, verifier="oracle", task="maze")
    assert made.verifier == "oracle"


@pytest.mark.parametrize("seed", [np.int64(7), torch.tensor(7)], ids=["numpy", "torch"])
def test_a_seed_is_any_whole_number(seed):
    assert generate(stepscope.load_model(Ring()), Puzzle(), num_steps=N, seeds=seed).seed == 7


def test_a_verifier_of_ones_own_sees_frames_and_sample():
    seen = []

    def dark(frames, sample):
        seen.append((frames.dtype, frames.shape, sample))
        return -float(frames.mean())

    made = generate(observer(), SAMPLE, strategy="prune", seeds=range(4), num_steps=N, verifier=dark, keep=2)
    assert made.verifier == "own"
    assert made.frames[-1].mean() < 50
    assert seen == [(np.uint8, (5, 8, 8, 3), SAMPLE)] * 6
    assert [look.step for look in made.looks] == [2] * 4 + [None] * 2
    assert sum(look.kept for look in made.looks) == 2 + 1


def test_agreement_is_the_estimate_nearest_to_all_others():
    _, judge = judge_named("agreement", observer(), SAMPLE, None)
    values = judge([torch.full((1, 1, 1, 2), level) for level in (0.0, 1.0, 5.0)])
    assert values == pytest.approx([-(1 + 25) / 2, -(1 + 16) / 2, -(25 + 16) / 2])
    assert judge([torch.zeros(1, 1, 1, 2)]) == [0]


def test_agreement_follows_the_majority():
    model = observer()
    ends = {seed: model.denoise(SAMPLE, num_steps=N, seed=seed).frames()[-1].mean() > 128 for seed in range(16)}
    white, black = ([seed for seed in ends if ends[seed] is np.bool_(side)] for side in (True, False))
    for most, few in ((white[:3], black[:1]), (black[:3], white[:1])):
        assert (
            generate(model, SAMPLE, strategy="best-of", verifier="agreement", seeds=[*few, *most], num_steps=N).seed
            in most
        )


def test_multiplicity_prefers_one_plan_to_a_mixture():
    model = observer()
    still = model.encode(np.repeat(SAMPLE.first_frame[None], 5, axis=0))
    left, right = torch.zeros_like(still), torch.zeros_like(still)
    left[..., :2], right[..., 6:] = 1.0, 1.0
    name, judge = judge_named(None, model, SAMPLE, None)
    one, mixture, nothing = judge([still + left, still + (left + right) / 2, still])
    assert name == "multiplicity"
    assert one == pytest.approx(-5 * 8 * 2, rel=1e-5)
    assert mixture == pytest.approx(2 * one, rel=1e-5)
    assert np.isfinite(nothing)


def test_the_rule_reads_a_maze_without_its_solutions():
    task = stepscope.tasks.get("maze-two-goals")
    sample = task.sample(3, size=5)
    unsolved = sample.with_prompt(sample.prompt)
    assert unsolved.solutions == ()
    one, two = sample.solutions
    ghost = ((one.astype(int) + two) // 2).astype(np.uint8)
    values = {
        name: task.rule(video, unsolved) for name, video in {"one": one, "ghost": ghost, "no": sample.still}.items()
    }
    assert values["one"] == pytest.approx(1)
    assert values["no"] == 0
    assert values["ghost"] < 0.2
    through = sample.still.copy()
    cell, (top, left) = sample.state["cell_px"], sample.state["origin"]
    through[:, top : top + cell * 11, left : left + cell * 11] = task.palette["trail"]
    assert task.rule(through, unsolved) == pytest.approx(0, abs=0.1)
    name, judge = judge_named("rule", stepscope.load_model(Observer(sample)), unsolved, None)
    encoded = [torch.from_numpy(video).permute(3, 0, 1, 2) / 127.5 - 1 for video in (sample.still, one)]
    assert name == "rule"
    assert judge(encoded) == pytest.approx([0, 1], abs=0.05)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"strategy": "luck"}, UnknownNameError, "Unknown strategy 'luck'. Known: best-of, ensemble, prune, single."),
        ({"seeds": [1, 2]}, PlanError, "Strategy 'single' came with 2 seeds. It takes one."),
        (
            {"strategy": "best-of", "seeds": []},
            PlanError,
            "Strategy 'best-of' came with 0 seeds. It takes one or more.",
        ),
        (
            {"strategy": "prune", "look": N},
            PlanError,
            f"look came as {N} in a run of {N} steps. Allowed is 1 to {N - 1}.",
        ),
        ({"strategy": "prune", "look": 0}, BadInputError, "look came as 0. Allowed are whole numbers from 1 up."),
        ({"strategy": "prune", "keep": 9}, PlanError, "keep came as 9 for 8 seeds. Allowed is 1 to 8."),
        ({"strategy": "ensemble", "merge": "minds"}, UnknownNameError, "Unknown merge 'minds'. Known: block,"),
        ({"strategy": "ensemble"}, PlanError, "MergeLayers came for a model without layers."),
        (
            {"strategy": "ensemble", "merge": "latents", "merge_steps": N},
            BadInputError,
            "MergeLatents has steps up to 5.",
        ),
        ({"strategy": "ensemble", "merge": "velocity", "solver": "heun"}, PlanError, "Strategy 'ensemble' came with"),
        ({"strategy": "prune", "verifier": "hunch"}, UnknownNameError, "Unknown verifier 'hunch'. Known: agreement,"),
        ({"strategy": "prune", "verifier": "oracle"}, PlanError, "Verifiers 'oracle' and 'rule' ask a task, and the"),
        (
            {"strategy": "prune", "verifier": "rule", "task": Fade()},
            PlanError,
            "Verifier 'rule' was asked for. Task 'fade'",
        ),
        (
            {"strategy": "prune", "verifier": lambda f, s: "good"},
            BadInputError,
            "The verifier gave 'good'. It must give a",
        ),
        ({"strategy": "prune", "verifier": lambda f, s: np.nan}, BadInputError, "The verifier gave nan."),
        (
            {"strategy": "prune", "verifier": lambda f, s: 1 / 0},
            BadInputError,
            "The verifier failed (ZeroDivisionError",
        ),
        ({"num_steps": 0}, BadInputError, "num_steps came as 0."),
        ({"strategy": "prune", "verifier": lambda f, s: 10**400}, BadInputError, "The verifier gave 1000"),
        ({"verifier": "hunch"}, UnknownNameError, "Unknown verifier 'hunch'."),
        ({"strategy": "prune", "verifier": "oracle", "task": "mase"}, UnknownNameError, "Unknown task 'mase'. Known:"),
    ],
    ids=lambda value: None if isinstance(value, dict | type) else re.sub(r"\W+", " ", value)[:40],
)
def test_refusals_are_one_line(options, error, message):
    with pytest.raises(error) as raised:
        generate(observer(), SAMPLE, num_steps=options.pop("num_steps", N), **options)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_an_ensemble_is_the_branch_of_a_plan(wan):
    sample = TinySample()
    branches = [Branch("a", seed=7), Branch("b", seed=8), Branch("merged", [MergeLayers(("a", "b"), 0)])]
    traces = plan(wan, [sample], branches, seeds=(5,), num_steps=2).run()
    made = generate(wan, sample, strategy="ensemble", seeds=(5, 7, 8), num_steps=2)
    assert torch.equal(made.trace.latents, traces[None, 5, "merged"].latents)


def test_a_model_without_a_layer_at_that_depth_is_refused_before_a_step(wan):
    with pytest.raises(PlanError, match=r"MergeLayers has depth 0\.9 to 1\. A model with 2 layers has none there\."):
        generate(wan, TinySample(), strategy="ensemble", merge=MergeLayers(depth=(0.9, 1.0)))
