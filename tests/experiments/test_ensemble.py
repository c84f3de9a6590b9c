"""`ensemble`: what it derives is what `generate` does, seeds follow the frozen strategy, planted effects are found."""

from dataclasses import replace

import numpy as np
import pytest

import stepscope
from closed_form import Observer
from stepscope import experiments
from stepscope.errors import BadInputError, UnknownNameError
from stepscope.executors import Finding, Settings, measure_puzzles
from stepscope.experiments.ensemble import Ensemble
from stepscope.experiments.ensemble.ledger import _surplus, judge
from stepscope.experiments.ensemble.variants import LAYERED, branches_of, merged, pool_name, pool_seeds
from stepscope.figures import ensemble as figure
from stepscope.scope import generate
from stepscope.tasks import Sample

N = 5
OPTIONS = {"size": 2, "pool": 4, "counts": (2, 3), "look": 2}
SHIFT = 20.0


class Fade:
    """Fade to black or to white; a rule likes white."""

    name, version, palette = "fade", 1, {}

    def sample(self, seed, *, split="test"):
        levels = [np.linspace(110 + 9 * seed, end, 5).astype(np.uint8) for end in (0, 255)]
        videos = tuple(np.broadcast_to(level[:, None, None, None], (5, 8, 8, 3)).copy() for level in levels)
        return Sample("fade", videos[0][0], 5, task=self.name, seed=seed, solutions=videos)

    def score(self, frames, sample):
        raise AssertionError("answers are read in the latents")

    def rule(self, frames, sample):
        return float(frames[-1].mean())


class Knows:
    """The ideal observer of whatever it is asked."""

    latents_shape = (3, 5, 8, 8)

    def velocity(self, latents, sigma, samples):
        return Observer(samples[0]).velocity(latents, sigma, samples)


@pytest.fixture(scope="module")
def result():
    return stepscope.run("ensemble", Knows(), task=Fade(), samples=3, num_steps=N, shift=SHIFT, **OPTIONS)


def test_calls_are_planned_and_made(result):
    tree = (4 + 2 + 3) * N  # pool, recipe in two groups, copies, velocity, latents; clean-estimate is the recipe here
    more = 2 * (N + 1)
    assert result.model_calls["planned"] == result.model_calls["made"] == 3 * (N + tree + more)
    assert result.model_calls["naive"] > result.model_calls["made"]


def test_copies_are_the_lead_and_nothing_is_lost_on_an_observer(result):
    assert result.metrics["copies_are_the_lead"]
    assert result.metrics["moved"]["copies"] == {"clean_estimate": 0, "latents": 0, "result": 0}
    assert {entry["success"]["value"] for entry in result.metrics["frontier"]} == {1.0}
    verdicts = {claim["id"]: claim for claim in result.claims}
    assert list(verdicts) == list(Ensemble.emits)
    assert verdicts["seed-ensemble-helps"]["control_passed"]
    assert verdicts["seed-ensemble-helps"]["verdict"] == "inconclusive"  # three puzzles tell nothing
    low, high = verdicts["seed-ensemble-helps"]["ci95"]
    assert low < -0.5 < 0.5 < high


def test_the_frontier_names_calls_and_verifiers(result):
    entries = {(entry["strategy"], entry["verifier"]): entry for entry in result.metrics["frontier"]}
    assert entries["single", None]["calls"] == N
    assert entries["recipe", None]["calls"] == entries["more steps", None]["calls"] == N + 1
    assert entries["prune-3", "oracle"]["calls"] == 3 * 2 + N - 2
    assert entries["best-of-3", "agreement"]["calls"] == 3 * N
    assert {verifier for _, verifier in entries} == {None, "agreement", "multiplicity", "oracle", "rule"}
    assert all(entry["p"] <= entry["p_holm"] for entry in entries.values() if entry["p"] is not None)


def test_what_strategies_would_choose_is_what_generate_chooses():
    model, task = stepscope.load_model(Knows()), Fade()
    experiment = Ensemble(size=2, pool=3, counts=(2,), look=2).for_model(model)
    sample = task.sample(1)
    settings = Settings(num_steps=N, shift=SHIFT)
    question = experiments.ask(experiment, model, task=task, samples=[sample], settings=settings)
    (finding,) = measure_puzzles(question.job, question.experiment, question.plans)
    seeds = pool_seeds(vars(experiment), N, 3)
    for strategy, verifiers in finding.puzzle["chosen"].items():
        for verifier in ("agreement", "multiplicity", "rule"):
            for count, places in verifiers[verifier].items():
                for first, place in enumerate(places):
                    asked = [seeds[(first + ahead) % 3] for ahead in range(int(count))]
                    options = {"strategy": strategy, "seeds": asked, "verifier": verifier, "look": 2}
                    made = generate(model, sample, task=task, num_steps=N, shift=SHIFT, **options)
                    assert made.seed == seeds[place]
                    assert made.model_calls == finding.puzzle["calls"][strategy][count]


def test_seeds_follow_the_frozen_strategy():
    frozen = vars(Ensemble())
    seeds = pool_seeds(frozen, 20, 9)
    assert seeds == pool_seeds(frozen, 20, 9)
    assert len(set(seeds)) == 9
    assert all(0 <= seed < 2**60 for seed in seeds)
    for changed in ({"look": 4}, {"merge_steps": (0, 1)}, {"draw": 1}, {"variants": ("matched",)}):
        assert not set(pool_seeds(vars(replace(Ensemble(), **changed)), 20, 9)) & set(seeds)
    assert not set(pool_seeds(frozen, 21, 9)) & set(seeds)


def test_branches_of_a_model_with_layers():
    branches = {branch.name: branch for branch in branches_of(("matched",), range(10, 16), 3, (0, 1), True)}
    assert list(branches) == [
        *(pool_name(place) for place in range(6)),
        *("twin-1", "twin-2", "recipe-0", "copies-0", "matched-0", "recipe-3"),
    ]
    (recipe,) = branches[merged("recipe", 3)].interventions
    assert recipe.donors == ("pool-4", "pool-5")
    assert recipe.steps == (0, 1)
    assert branches["recipe-3"].seed == 13
    assert branches["twin-1"].seed == branches["copies-0"].seed == 10


def outcome(right):
    return [0, 0.0] if right else [None, 0.5]


def planted(singles, merged_, more=None, answers=None, bitwise=True):
    """A finding with three groups of one seed each."""
    leads = list(range(len(singles)))
    facts = {
        "num_solutions": 2,
        "leads": leads,
        "singles": [outcome(each) for each in singles] if answers is None else [[each, 0.0] for each in answers],
        "merged": {"recipe": [outcome(each) for each in merged_]},
        "more": [outcome(each) for each in (singles if more is None else more)],
        "bitwise": bitwise,
    }
    return Finding(facts, [], [], 0)


def test_a_planted_gain_is_found_and_a_planted_loss_too():
    gain = [planted((False, False, True), (True, True, True)) for _ in range(40)]
    loss = [planted((True, True, True), (False, False, True)) for _ in range(40)]
    assert judge("seed-ensemble-helps", gain).verdict == "supported"
    assert judge("seed-ensemble-helps", loss).verdict == "contradicted"
    broken = [planted((False, False, True), (True, True, True), bitwise=False) for _ in range(40)]
    assert judge("seed-ensemble-helps", broken).verdict == "inconclusive"


def test_a_gain_that_more_steps_give_as_well_is_none():
    rows = [planted((False, False, True), (True, True, True), more=(True, True, True)) for _ in range(40)]
    assert judge("seed-ensemble-helps", rows).value == 0


def test_steadier_is_less_variance_between_seeds():
    rows = [planted((True, False, True), (True, True, True)) for _ in range(60)]
    steadier = judge("ensemble-stabilises", rows)
    assert steadier.value == pytest.approx(1 / 3)
    assert steadier.verdict == "supported"
    assert judge("ensemble-stabilises", [planted((True,), (True,))] * 3).verdict == "not-tested"


def test_a_bias_of_seeds_is_found_where_there_is_one():
    generator = np.random.default_rng(0)
    biased = [planted((True,) * 8, (True,) * 8, answers=(0, 1, 0, 1, 1, 0, 1, 0)) for _ in range(40)]
    free = [planted((True,) * 8, (True,) * 8, answers=generator.integers(2, size=8).tolist()) for _ in range(200)]
    found = judge("shared-seed-bias", biased)
    assert found.value == pytest.approx(1 - 3 / 7)  # of a seed's seven others three lean alike
    assert found.verdict == "supported"
    assert judge("shared-seed-bias", free).verdict == "contradicted"
    assert judge("shared-seed-bias", biased[:1]).verdict == "not-tested"
    unanswered = [planted((False,) * 8, (True,) * 8)] * 2
    assert "no pairs of answered puzzles with two solutions came" in judge("shared-seed-bias", unanswered).why


def test_the_surplus_by_counting_pairs():
    answers = np.array([[0, 1, -1], [0, 0, 1], [1, 1, 1]])
    same, rest = [], []
    for other in (1, 2):
        for mine in range(3):
            for theirs in range(3):
                if answers[0, mine] >= 0 and answers[other, theirs] >= 0:
                    (same if mine == theirs else rest).append(answers[0, mine] == answers[other, theirs])
    assert _surplus(answers, 0) == pytest.approx(np.mean(same) - np.mean(rest))


def test_the_figure_is_drawn_from_the_result_alone(result):
    drawn = figure.draw(result.as_json())
    assert len(drawn.axes) == 4
    assert "lever arm" in drawn.get_suptitle()
    with pytest.raises(BadInputError, match="This figure draws that of 'ensemble'"):
        figure.draw({"experiment": "commitment"})


def test_one_puzzle_has_numbers_and_no_intervals():
    one = stepscope.run("ensemble", Knows(), task=Fade(), samples=1, num_steps=3, shift=SHIFT, rule=False, **OPTIONS)
    assert all(entry["gain"] is None and entry["success"]["ci95"] is None for entry in one.metrics["frontier"])
    assert {claim["verdict"] for claim in one.claims} == {"not-tested"}
    figure.draw(one.as_json())


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"size": 1}, BadInputError, "size came as 1. Allowed are whole numbers from 2 up."),
        ({"counts": "2,x"}, BadInputError, "counts came as '2,x'. Allowed are whole numbers from 2 up, one or several"),
        ({"counts": [2, 2]}, BadInputError, "counts came as [2, 2]."),
        ({"pool": 4}, BadInputError, "size 3, counts [2, 4, 8] and pool 4 came."),
        ({"look": 0}, BadInputError, "look came as 0."),
        ({"rule": "no"}, BadInputError, "rule came as 'no'. Allowed are true and false."),
        ({"variants": 3}, UnknownNameError, "Unknown variant '3'. Known: all-layers,"),
        ({"variants": ("hope",)}, UnknownNameError, "Unknown variant 'hope'. Known: all-layers,"),
    ],
)
def test_refusals(options, error, told):
    with pytest.raises(error) as raised:
        Ensemble(**options)
    assert str(raised.value).startswith(told)


def test_words_of_the_command_line_are_values():
    told = Ensemble(counts="2,4", merge_steps=1, variants="velocity,matched")
    assert told == Ensemble(counts=[2, 4], merge_steps=(1,), variants=["velocity", "matched"])
    assert hash(told) == hash(Ensemble(counts=(2, 4), merge_steps=(1,), variants=("velocity", "matched")))


def test_what_a_model_lacks_is_refused_and_what_is_too_late():
    model = stepscope.load_model(Knows())
    assert not set(Ensemble().for_model(model).variants) & set(LAYERED)
    with pytest.raises(BadInputError, match="Variant 'matched' came for a model without layers"):
        Ensemble(variants=("matched",)).for_model(model)
    with pytest.raises(BadInputError, match="look came as 3 in runs of 3 steps"):
        stepscope.run("ensemble", Knows(), task=Fade(), samples=2, num_steps=3)
