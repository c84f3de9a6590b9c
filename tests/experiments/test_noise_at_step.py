"""Noise at a step: what is run, what is read, and when the claim on the middle steps may be made."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_denoisers import Explorer, Sudden

import stepscope
from closed_form import Puzzle, Ring
from models.tiny import pipeline
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.executors import Finding
from stepscope.experiments import propagation
from stepscope.experiments.curves import band_of, lever_arms
from stepscope.experiments.noise_at_step import NoiseAtStep, ledger
from stepscope.experiments.sweeps import NULL, noise_seed
from stepscope.figures.noise_at_step import draw as draw_noise

STEPS, PUZZLES = 6, 4
MAZES = {"task": "maze-two-goals", "num_steps": STEPS, "dials": {"size": 5}}


@pytest.fixture(scope="module")
def explored():
    return stepscope.run("noise-at-step", Explorer(), samples=PUZZLES, decode=False, **MAZES)


def cells(result, **where):
    rows = result.table.to_pylist()
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


EXPERTS = ["high_noise"] * 3 + ["low_noise"] * 3


def finding(success, *, experts=None, steps=None, moved=None):
    """A measured puzzle of one run whose branches ended as told."""
    count = len(success)
    facts = {"steps": steps or list(range(count)), "signal_to_noise": [0.0] * count, "experts": experts}
    run = {"clean": {"success": 1.0}, "success": [float(each) for each in success]}
    return Finding(facts, [run | {"moved": moved and {"success": [float(each) for each in moved]}}], (), 0)


# what is run


def test_a_sweep_costs_a_triangle_and_its_null(explored):
    assert (
        explored.model_calls["planned"]
        == explored.model_calls["made"]
        == PUZZLES * (STEPS * (STEPS + 1) // 2 + 2 * STEPS)
    )


def test_seeds_share_their_null():
    result = stepscope.run("noise-at-step", Explorer(), samples=1, seeds=(0, 1), at=1, decode=False, **MAZES)
    assert result.model_calls["made"] == result.model_calls["planned"] == 2 * (STEPS + STEPS - 1) + STEPS
    assert {(row["seed"], row["branch"]) for row in cells(result, metric="success")} == {
        (seed, branch) for seed in (0, 1) for branch in ("clean", "step 1", NULL)
    }


def test_every_puzzle_gets_noise_of_its_own():
    first, second = (stepscope.tasks.get("maze-two-goals").sample(seed, size=5) for seed in (0, 1))
    seeds = [noise_seed(0, first), noise_seed(0, second), noise_seed(1, first)]
    assert len(set(seeds)) == 3
    assert noise_seed(0, first) == seeds[0]
    edits = NoiseAtStep(mode="vp", at=2, strength=0.5).branches(first, None, STEPS)[0].interventions
    assert (edits[0].mode, edits[0].steps, edits[0].strength, edits[0].seed) == ("vp", (2,), 0.5, seeds[0])


@pytest.mark.parametrize(
    ("at", "steps"),
    [
        (None, None),
        (3, (3,)),
        ([4, 0, 4], (0, 4)),
        ("0:20:8", (0, 8, 16)),
        (":3", (0, 1, 2)),
        ("2:4:", (2, 3)),
        ("5,1", (1, 5)),
    ],
)
def test_steps_have_one_spelling(at, steps):
    assert NoiseAtStep(at=at).at == steps
    assert NoiseAtStep(at=at) == NoiseAtStep(at=steps)


@pytest.mark.parametrize("at", ["early", "1:", [], [-1], 1.5, "3:3"])
def test_no_steps_are_refused(at):
    with pytest.raises(BadInputError, match=r"at came as .*START:STOP:STRIDE"):
        NoiseAtStep(at=at)


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"mode": "shake"}, UnknownNameError, "Unknown mode of AddNoise 'shake'"),
        ({"strength": 2.0}, BadInputError, "strength came as 2.0"),
        ({"at": [STEPS]}, BadInputError, f"This run has steps 0 to {STEPS - 1}"),
        ({"layers": [0]}, PlanError, "without layers"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_call(options, kind, told):
    class Untouched(Explorer):
        def believe(self, *_):
            raise AssertionError("The model was called.")

    with pytest.raises(kind, match=told) as caught:
        stepscope.run("noise-at-step", Untouched(), samples=2, decode=False, **options, **MAZES)
    assert "\n" not in str(caught.value)


# what is read


def test_the_observer_is_never_wrong_and_changes_its_mind_early_alone(explored):
    curves = explored.metrics["curves"]
    assert curves["success"]["mean"] == [1.0] * STEPS
    assert min(curves["kept"]["mean"][:2]) < 1
    assert curves["kept"]["mean"][3:] == [1.0] * 3
    assert max(curves["knowledge"]["mean"]) < 1e-9
    assert curves["progress"] is None


def test_who_draws_the_same_whatever_it_sees_keeps_its_answer():
    result = stepscope.run("noise-at-step", Sudden(), samples=2, mode="replace", at=":6:2", decode=False, **MAZES)
    assert result.metrics["curves"]["kept"]["mean"] == [1.0] * 3
    assert result.metrics["other_seed"]["kept"]["value"] == 1
    drawn, latents = (result.metrics["propagation"][site] for site in ("clean_estimate", "latents"))
    np.testing.assert_allclose([row[-1] for row in drawn["map"]], 0, atol=1e-9)
    np.testing.assert_allclose([row[step] for row, step in zip(latents["map"], (0, 2, 4), strict=True)], 1, atol=0.02)


def test_the_table_tells_ends_by_branch_and_step(explored):
    for metric in ("success", "answer", "knowledge"):
        assert {row["branch"] for row in cells(explored, metric=metric, step=4)} == {"step 4"}
        assert {row["branch"] for row in cells(explored, metric=metric, step=None)} == {"clean", NULL}
    assert len(cells(explored, metric="success")) == PUZZLES * (STEPS + 2)
    assert [row["value"] for row in cells(explored, metric="model_calls", branch="step 4")] == [STEPS + 1] * PUZZLES


def test_propagation_is_in_the_table_and_in_the_map(explored):
    for site in ("clean_estimate", "latents"):
        told = cells(explored, metric="cka", site=site, branch="step 2")
        assert sorted({row["other_step"] for row in told}) == [2, 3, 4, 5]
        means = [1 - np.mean([row["value"] for row in told if row["other_step"] == j]) for j in range(2, STEPS)]
        np.testing.assert_allclose(explored.metrics["propagation"][site]["map"][2][2:], means, atol=1e-12)
        assert explored.metrics["propagation"][site]["map"][2][:2] == [None, None]
        assert len(cells(explored, metric="cka", site=site, branch=NULL, step=None)) == PUZZLES * STEPS


def test_nulls_are_split_by_what_they_answered(explored):
    drawn = explored.metrics["propagation"]["clean_estimate"]
    assert drawn["same_answer"]["n"] + drawn["other_answer"]["n"] == PUZZLES
    assert drawn["same_answer"]["n"] == PUZZLES * explored.metrics["other_seed"]["kept"]["value"]
    assert drawn["same_answer"]["mean"][-1] < 1e-6
    assert drawn["other_answer"]["mean"][-1] > 0.5
    apart = explored.metrics["propagation"]["latents"]
    assert min(apart["same_answer"]["mean"][:3]) > 0.98, "latents tell which noise it is"


def test_late_noise_leaves_what_the_observer_draws(explored):
    drawn = explored.metrics["propagation"]["clean_estimate"]["sensitivity"]
    assert max(drawn["mean"][3:]) < 1e-3
    assert max(drawn["mean"][:2]) > 0.1


@pytest.fixture(scope="module")
def two_experts():
    return stepscope.load_model(pipeline("wan2.2-a14b"))


def test_two_experts_are_drawn_and_leave_the_claim_open(two_experts):
    options = {"task": "maze-two-goals", "num_steps": 3, "dials": {"size": 5, "num_frames": 5}}
    result = stepscope.run("noise-at-step", two_experts, samples=2, at=":2", layers=[0], **options)
    (claim,) = result.claims
    assert (claim["id"], claim["verdict"], claim["control_passed"]) == ("middle-step-sensitivity", "inconclusive", None)
    assert "was not run" in claim["why"]
    assert result.metrics["switch"]["step"] == 2
    hidden = cells(result, metric="cka", site="block", layer=0)
    assert len(hidden) == 2 * (3 + 3 + 2)
    assert all(row["value"] <= 1 for row in hidden)
    assert result.metrics["agreement"]["value"] == 1, "random weights solve nothing, by either reading"
    assert result.metrics["curves"]["kept"] is None, "nor is there an answer to keep"
    assert len(result.metrics["curves"]["progress"]["mean"]) == 2


def test_the_boundary_is_moved_in_a_second_sweep(two_experts):
    options = {"task": "maze-two-goals", "num_steps": 3, "dials": {"size": 5, "num_frames": 5}, "decode": False}
    result = stepscope.run("noise-at-step", two_experts, samples=2, at=[0, 1], boundary=1.0, **options)
    moved = result.metrics["moved"]
    assert (result.metrics["switch"]["step"], moved["switch"]["step"]) == (2, 1)
    assert result.claims[0]["control_passed"] is True, "random weights solve nothing, whoever answers"
    branches = {row["branch"] for row in cells(result, metric="knowledge")}
    assert branches == {
        "clean",
        NULL,
        "step 0",
        "step 1",
        *(f"boundary moved{of}" for of in ("", " step 0", " step 1")),
    }
    of = {row["branch"]: row["value"] for row in cells(result, metric="knowledge", sample=0)}
    assert of["boundary moved"] != of["clean"]
    assert of["boundary moved step 1"] != of["step 1"]
    draw_noise(result.as_json())


def test_one_expert_has_no_boundary(two_experts):
    with pytest.raises(PlanError, match="a model with one expert"):
        stepscope.run("noise-at-step", Explorer(), samples=2, boundary=0.5, **MAZES)
    with pytest.raises(BadInputError, match="boundary came as 2"):
        stepscope.run("noise-at-step", two_experts, samples=2, boundary=2, **MAZES)


@pytest.mark.parametrize(
    ("moved", "passed", "verdict"),
    [([1, 1, 0, 0, 1, 1], True, "supported"), ([0, 0, 1, 1, 1, 1], False, "inconclusive")],
)
def test_a_peak_that_moves_with_the_boundary_is_no_peak_of_the_middle(moved, passed, verdict):
    told = ledger.judge([finding([1, 1, 0, 0, 1, 1], experts=EXPERTS, moved=moved)] * 200)
    assert (told.control_passed, told.verdict, told.value) == (passed, verdict, 1)


# the claim


@pytest.mark.parametrize(
    ("success", "verdict", "value"),
    [
        ([1, 1, 0, 0, 1, 1], "supported", 1),
        ([1, 1, 1, 1, 0, 0], "contradicted", -0.5),
        ([1, 1, 1, 1, 1, 1], "contradicted", 0),
    ],
)
def test_the_middle_third_is_held_against_the_others(success, verdict, value):
    told = ledger.judge([finding(success, experts=EXPERTS, moved=success)] * 200)
    assert (told.verdict, told.value, told.n) == (verdict, value, 200)


def test_two_experts_without_a_second_sweep_leave_it_open():
    told = ledger.judge([finding([1, 1, 0, 0, 1, 1], experts=EXPERTS)] * 200)
    assert (told.verdict, told.value, told.control_passed) == ("inconclusive", 1, None)


def test_one_expert_has_no_control_that_could_fail():
    told = ledger.judge([finding([1, 1, 0, 0, 1, 1])] * 200)
    assert (told.verdict, told.value, told.control_passed, told.n) == ("not-tested", None, None, 200)
    assert told.why == "Not measured: the model has one expert, and the control needs a boundary to move."


def test_the_number_of_one_expert_is_kept_without_a_verdict(explored):
    assert [claim["verdict"] for claim in explored.claims] == ["not-tested"]
    assert explored.metrics["middle"]["success"]["value"] == 0


def test_four_puzzles_alike_leave_it_open():
    told = ledger.judge([finding([1] * 6, experts=EXPERTS, moved=[1] * 6)] * 4)
    assert told.verdict == "inconclusive"
    np.testing.assert_allclose(told.ci95, [-0.602, 0.602], atol=1e-3)


@pytest.mark.parametrize("steps", [[0, 1], [2, 3]])
def test_steps_on_one_side_test_nothing(steps):
    facts = [finding([1, 0], steps=steps)] * 3
    for each in facts:
        each.puzzle["signal_to_noise"] = [0.0] * 6
    assert ledger.judge(facts).verdict == "not-tested"
    assert ledger.evidence(facts) == []


def test_a_peak_is_chosen_on_one_half_and_tested_on_the_other():
    chosen, tested = finding([1, 1, 0, 1, 1, 1]), finding([0, 1, 1, 1, 1, 1])
    found = ledger.peak([chosen, tested] * 3)
    assert (found["step"], found["chosen_on"], found["n"]) == (2, 3, 3)
    assert found["value"] == pytest.approx(-1 / 6), "a peak that was luck is none on the other half"
    assert ledger.peak([chosen] * 6)["value"] == pytest.approx(5 / 6)
    assert ledger.peak([chosen] * 3) is None


# curves


def test_a_band_of_puzzles_alike_is_as_wide_as_they_allow():
    band = band_of([(puzzle, [1.0, 0.0, float(puzzle % 2)]) for puzzle in range(8)], (0.0, 1.0))
    np.testing.assert_allclose(band["low"][:2], [1 - 0.369, 0], atol=1e-3)
    np.testing.assert_allclose(band["high"][:2], [1, 0.369], atol=1e-3)
    assert 0 <= band["low"][2] < 0.5 < band["high"][2] <= 1
    assert band["n"] == 8


def test_holes_and_single_puzzles_have_no_band():
    assert band_of([(0, [None, 1.0]), (1, [0.5, 1.0])]) == {"mean": [0.5, 1.0], "low": None, "high": None, "n": 1}
    assert band_of([(0, [None])]) is None


def test_the_lever_arm_is_that_of_the_engine():
    grid = stepscope.denoise.paper_grid(20, 3.0)
    expected = [stepscope.denoise.lever_arm(grid, step) for step in range(20)]
    np.testing.assert_allclose(lever_arms(grid.sigmas.tolist()), expected, rtol=1e-6)


# propagation


def told(seed):
    """A run of three steps that believes in noise."""
    draw = torch.Generator().manual_seed(seed)
    estimates, latents = (torch.randn(count, 4, 3, 5, 5, generator=draw) for count in (3, 4))
    trace = stepscope.load_model(Ring()).denoise(Puzzle(), num_steps=3)
    return replace(trace, clean_estimates=estimates, cond_estimates=estimates, latents=latents)


def apart_of(clean, other, still, step=0):
    return propagation.compare(clean, {"other": (other, step)}, still)["other"]


def test_a_run_is_not_apart_from_itself_and_quite_from_another():
    first, second, still = told(0), told(1), torch.zeros(4, 3, 5, 5)
    for site in ("clean_estimate", "latents"):
        np.testing.assert_allclose(apart_of(first, first, still)[site], 0, atol=1e-12)
        np.testing.assert_allclose(apart_of(first, second, still)[site], 1, atol=0.1)
    assert apart_of(first, second, still, step=2)["latents"] == [
        None,
        None,
        apart_of(first, second, still)["latents"][2],
    ]


def test_the_scene_is_taken_out_before_estimates_are_compared():
    first, second, still = told(0), told(1), 100 * torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(2))
    apart = apart_of(first, second, torch.zeros_like(still))["clean_estimate"]
    first, second = (replace(trace, clean_estimates=trace.clean_estimates + still) for trace in (first, second))
    np.testing.assert_allclose(apart_of(first, second, still)["clean_estimate"], apart, atol=1e-3)
    assert max(apart_of(first, second, torch.zeros_like(still))["clean_estimate"]) < 0.01


def test_who_draws_nothing_is_compared_with_nobody():
    first, second = told(0), replace(told(1), clean_estimates=torch.ones(3, 4, 3, 5, 5))
    assert apart_of(first, second, torch.ones(4, 3, 5, 5))["clean_estimate"] == [None] * 3
