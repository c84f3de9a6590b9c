"""What `plan` promises, on denoisers that are known: results, costs, files, and everything that is refused."""

import json
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import stepscope
from closed_form import Observer, Puzzle, Ring
from stepscope import Branch, plan, tasks
from stepscope.denoise import AbstractIntervention
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.interventions import AddNoise, HoldFrames, Jump, ScaleLayer, Swap, SwitchPrompt, WrongPlan
from stepscope.recorders import Difference
from stepscope.scope import plan_from_json, plan_to_json

N = 6
SWEEP = [Branch(f"step {step}", [AddNoise("renoise", step)]) for step in range(N)]


@dataclass(frozen=True, eq=False)
class Seeded(Puzzle):
    seed: int = 0


@pytest.fixture
def ring():
    return Ring()


@pytest.fixture
def model(ring):
    return stepscope.load_model(ring)


@pytest.fixture(scope="module")
def maze():
    return tasks.get("maze-two-goals").sample(3, size=5)


def same(one, other):
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("latents", "clean_estimates", "cond_estimates")
    )


def test_results_are_found_by_sample_seed_and_branch(model):
    made = plan(
        model, [Seeded(seed=4), Seeded(seed=9)], [Branch("add", [AddNoise("add", 2)])], seeds=[1, 0], num_steps=N
    )
    results = made.run()
    assert list(results) == [(s, seed, name) for s in (4, 9) for seed in (1, 0) for name in ("clean", "add")]
    trace = results[9, 0, "add"]
    assert (trace.sample.seed, trace.seed, trace.branch) == (9, 0, "add")
    assert trace.interventions == (AddNoise("add", 2),)
    assert made.keys() == list(results)


def test_the_cost_is_known_before(model, ring):
    made = plan(model, [Seeded()], SWEEP, seeds=[0, 1], num_steps=N)
    assert ring.asked == []
    assert made.model_calls() == 2 * (N + N * (N + 1) // 2)
    assert made.naive_calls() == 2 * (N * (N + 1) + N)  # each rerun with `renoise` asks for one estimate more
    results = made.run()
    assert len(ring.asked) == made.model_calls()
    assert sum(trace.model_calls for trace in results.values()) == made.naive_calls()
    assert sum(t.latents.nbytes + 2 * t.clean_estimates.nbytes for t in results.values()) == made.bytes()


def test_a_full_sweep_of_twenty_steps(model):
    sweep = [Branch(f"{step}", [AddNoise("replace", step)]) for step in range(20)]
    made = plan(model, [Seeded()], sweep)
    assert (made.model_calls(), made.naive_calls()) == (230, 420)
    assert repr(made) == "Plan(1 samples, 1 seeds, 21 branches: 230 of 420 model calls)"


def test_a_branch_equals_a_rerun_whatever_the_order_company_or_resume(model):
    samples = [Seeded("a", seed=1), Seeded("b", seed=2), Seeded("c", seed=3)]
    branches = [*SWEEP, Branch("hold", [HoldFrames([1, 2], 1)]), Branch("jump", [Jump(3)])]
    made = plan(model, samples, branches, seeds=[5], num_steps=N)
    whole = made.run()
    for (sample, seed, name), trace in whole.items():
        edits = next(branch.interventions for branch in made.branches if branch.name == name)
        rerun = model.denoise(samples[sample - 1], num_steps=N, seed=seed, interventions=edits)
        assert same(trace, rerun), name
        assert trace.model_calls == rerun.model_calls
    backwards = plan(model, samples[::-1], branches[::-1], seeds=[5], num_steps=N).run()
    assert all(same(trace, backwards[key]) for key, trace in whole.items())
    one, two = (part.run() for part in made.parts(2))
    assert (len(one), len(two)) == (2 * 9, 9)
    assert all(same(trace, whole[key]) for key, trace in made.merge(two, one).items())
    resumed = made.run(done=one)
    assert list(resumed) == list(whole)
    assert all(same(trace, whole[key]) for key, trace in resumed.items())


def test_what_is_there_is_not_computed_again(model, ring):
    made = plan(model, [Seeded(seed=1), Seeded(seed=2)], SWEEP[:1], num_steps=N)
    done = made.run()
    ring.asked.clear()
    assert made.run(done) == done
    assert ring.asked == []
    assert [key[0] for key, _ in made.results(key for key in done if key[0] == 2)] == [1, 1]


def test_branches_with_a_sample_or_seed_of_their_own(model, ring):
    other = Seeded("elsewhere", seed=8)
    branches = [Branch("seed", seed=7), Branch("sample", sample=other), Branch("edited", [AddNoise("add", 3)], seed=7)]
    made = plan(model, [Seeded()], branches, seeds=[0, 1], num_steps=N)
    results = made.run()
    assert len(ring.asked) == made.model_calls() == N + N - 3 + 2 * N + 2 * N  # the seed's branches are shared by seeds
    assert same(results[0, 0, "seed"], model.denoise(Seeded(), num_steps=N, seed=7))
    assert same(results[0, 0, "seed"], results[0, 1, "seed"])
    assert same(results[0, 1, "sample"], model.denoise(other, num_steps=N, seed=1))
    assert results[0, 1, "sample"].sample is other
    assert results[0, 0, "seed"].seed == 7


def test_recorders_of_every_branch(model):
    results = plan(model, [Seeded()], SWEEP, num_steps=N, paired=[Difference()]).run()
    assert results[0, 0, "clean"].records["difference"].max() == 0
    for step in range(N):
        apart = results[0, 0, f"step {step}"].records["difference"]
        assert apart[:step].max(initial=0) == 0 < apart[step:].min()


def test_a_wrong_plan_is_encoded_by_the_models_codec(maze):
    model = stepscope.load_model(Observer(maze))
    made = plan(model, [maze], [Branch("other", [WrongPlan(N - 2, index)]) for index in (0,)], num_steps=N)
    trace = made.run()[3, 0, "other"]
    assert np.array_equal(trace.frames(N - 2), maze.solutions[0])


def test_the_observer_repairs_all_that_is_corrupted(maze):
    model = stepscope.load_model(Observer(maze))
    trace = plan(model, [maze], [Branch("wrong", [WrongPlan(3, "corrupted")])], num_steps=N).run()[3, 0, "wrong"]
    assert tasks.get("maze-two-goals").score(trace.frames(), maze).success
    apart = np.abs(
        maze.solutions[0].astype(int) - stepscope.interventions.corrupt(maze.solutions[0], maze, 0.25, 0).video
    )
    assert apart.max() > 0


def test_a_known_share_of_cells_is_wrong(maze):
    video = maze.solutions[0]
    made = stepscope.interventions.corrupt(video, maze, 0.5, seed=1)
    differs = (made.video != video).any(axis=(0, 3))
    assert (differs <= made.wrong).all()
    plan_cells = (video != maze.first_frame).any(axis=(0, 3)).sum() / maze.state["cell_px"] ** 2
    assert made.share == pytest.approx(0.5, abs=0.51 / plan_cells)
    assert made.wrong.sum() / maze.state["cell_px"] ** 2 == pytest.approx(2 * made.share * plan_cells)
    assert not tasks.get("maze-two-goals").score(made.video, maze).success


def test_seconds_are_an_estimate_from_a_timed_call(model, ring):
    made = plan(model, [Seeded()], SWEEP, num_steps=N)
    assert made.seconds() > 0
    assert len(ring.asked) == 2  # one to warm up, one that is timed


def test_a_plan_as_json(model, maze):
    edits = [AddNoise("add", 2), SwitchPrompt(3, "what else"), WrongPlan(4, maze.solutions[1])]
    other = replace(maze, seed=8)
    branches = [Branch("edited", edits, seed=3), Branch("elsewhere", sample=other)]
    model = stepscope.load_model(Observer(maze))
    made = plan(model, [maze], branches, seeds=[0, 2], num_steps=5, shift=3)
    text = json.dumps(plan_to_json(made))
    again = plan_from_json(json.loads(text), model)
    assert json.dumps(plan_to_json(again)) == text
    assert again.model_calls() == made.model_calls()
    mine, theirs = made.run(), again.run()
    assert list(mine) == list(theirs)
    assert all(same(trace, theirs[key]) for key, trace in mine.items())
    kept = theirs[3, 0, "edited"].sample
    assert (kept.task, kept.state) == (maze.task, maze.state)
    assert [np.array_equal(kept.masks[name], mask) for name, mask in maze.masks.items()] == [True] * len(maze.masks)


@dataclass(frozen=True)
class Mine(AbstractIntervention):
    def acts_at(self, step, num_steps):
        return False


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"branches": [Branch("late", [AddNoise("add", N)])]},
            BadInputError,
            "AddNoise has steps up to 6. This run has 0",
        ),
        ({"branches": [Branch("far", [AddNoise("add", 0, 5)])]}, BadInputError, "AddNoise has latent_frames up to 5."),
        (
            {"branches": [Branch("deep", [ScaleLayer(0, 3, 0)])]},
            PlanError,
            "ScaleLayer came for a model without layers.",
        ),
        (
            {"branches": [Branch("none", [WrongPlan(0, 0)])]},
            PlanError,
            "Donor 0 was asked for. This sample has 0 known",
        ),
        (
            {"branches": [Branch("odd", [Swap("who", 0, 0)])]},
            PlanError,
            "Branch 'odd' names donor 'who'. Branches of this",
        ),
        ({"branches": [Branch("a"), Branch("a")]}, PlanError, "Branches came twice under the name a."),
        ({"branches": [Branch("clean", [Jump(0)])]}, PlanError, "Branch 'clean' came with edits."),
        ({"branches": [Branch("no", ["noise"])]}, BadInputError, "'noise' came as an intervention."),
        ({"memory": 1000}, PlanError, "The plan's traces take 12,160 bytes. The budget is 1,000."),
        ({"seeds": []}, PlanError, "A plan came without seeds."),
        ({"samples": []}, PlanError, "A plan came with 0 samples of the seeds []."),
        ({"samples": [Seeded(seed=1), Seeded(seed=1)]}, PlanError, "A plan came with 2 samples of the seeds [1, 1]."),
        ({"samples": ["maze"]}, BadInputError, "The sample came as str"),
        ({"num_steps": 0}, BadInputError, "num_steps came as 0."),
        ({"solver": "magic"}, UnknownNameError, "Unknown solver 'magic'."),
        ({"guidance": 2}, PlanError, "Guidance came as 2.0. A live denoiser has no unconditional branch."),
        ({"chunk": 0}, BadInputError, "chunk came as 0."),
        ({"recorders": [Difference], "paired": []}, BadInputError, "came as a recorder."),
        ({"recorders": [Difference()], "paired": [Difference()]}, BadInputError, "Names are unique."),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line_before_any_call(model, ring, options, error, message):
    arguments = {"samples": [Seeded()], "branches": [], "num_steps": N, **options}
    with pytest.raises(error, match=re.escape(message)) as caught:
        plan(model, **arguments)
    assert "\n" not in str(caught.value)
    assert ring.asked == []


def test_a_plan_file_for_other_weights_is_refused(model, maze, ring):
    data = plan_to_json(plan(model, [Seeded()], SWEEP, num_steps=N))
    with pytest.raises(PlanError, match="The plan was made for weights source:"):
        plan_from_json({**data, "weights_hash": "source:0000"}, model)
    with pytest.raises(PlanError, match=r"JSON of version 99\. This is version 1"):
        plan_from_json({**data, "version": 99}, model)
    with pytest.raises(PlanError, match=r"damaged JSON \(KeyError\('branches'\)\)"):
        plan_from_json({name: value for name, value in data.items() if name != "branches"}, model)
    assert ring.asked == []


def test_an_intervention_without_json_is_said(model):
    made = plan(model, [Seeded()], [Branch("mine", [Mine()])], num_steps=2)
    with pytest.raises(PlanError, match="Mine of branch 'mine' has no JSON form"):
        plan_to_json(made)


def test_parts_that_lack_are_said(model):
    made = plan(model, [Seeded(seed=1), Seeded(seed=2)], [], num_steps=2)
    with pytest.raises(PlanError, match=r"Results of 1 branches are missing, the first \(2, 0, 'clean'\)"):
        made.merge(made.parts(2)[0].run())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Branch(" "), "The name of a branch came empty."),
        (lambda: Branch("a", AddNoise("add", 0)), "Several are taken, as a list."),
        (lambda: Branch("a", sample=3), "The sample came as int"),
    ],
)
def test_what_is_no_branch_is_refused(make, message):
    with pytest.raises(BadInputError, match=message):
        make()
