"""The planted controls: denoisers that behave in known ways are told apart by the public experiment."""

import numpy as np
import pytest
from planted_denoisers import Dreamer, Explorer, Filler, Foggy, Sudden, Waverer

import stepscope

STEPS = 10
KINDS = (Explorer, Sudden, Filler, Dreamer, Waverer, Foggy)


def measured(kind, **options):
    return stepscope.run("commitment", kind(), task="maze-two-goals", dials={"size": 5}, **options)


@pytest.fixture(scope="module")
def results():
    return {kind: measured(kind, samples=4, seeds=(0, 1), num_steps=STEPS) for kind in KINDS}


@pytest.fixture(scope="module")
def verdicts():
    """Of as many puzzles as it takes for all that is certain here to be so."""
    return {kind: measured(kind, samples=15, num_steps=5) for kind in (Explorer, Sudden, Dreamer)}


def claim(result, id):
    return next(each for each in result.claims if each["id"] == id)


def test_the_claims_of_the_design_are_emitted_in_order(results):
    assert [each["id"] for each in results[Explorer].claims] == [
        "exploration-then-convergence",
        "excess-multiplicity",
        "early-commitment",
        "superposition",
        "working-memory",
        "self-correction",
        "perception-before-action",
    ]


def test_what_the_puzzles_lack_is_not_tested(results):
    found = claim(results[Explorer], "working-memory")
    assert (found["verdict"], found["value"]) == ("not-tested", None)
    assert "a screen hides" in found["why"]


def test_the_observer_shows_no_excess_and_no_deficit(results):
    metrics = results[Explorer].metrics
    assert claim(results[Explorer], "excess-multiplicity")["value"] == 0
    assert abs(metrics["multiplicity_excess_at_step_0"]["value"]) < 1e-9
    for who in ("observer-state", "observer-rollout"):
        for name in ("choice", "multiplicity"):
            np.testing.assert_allclose(
                metrics["curves"]["model"][name]["mean"], metrics["curves"][who][name]["mean"], atol=1e-4
            )
    assert max(metrics["curves"]["model"]["knowledge"]["mean"]) < 1e-9


def test_the_observer_explores_and_converges(verdicts):
    found = claim(verdicts[Explorer], "exploration-then-convergence")
    assert found["verdict"] == "supported"
    assert found["value"] == pytest.approx(1, abs=1e-3)


def test_who_commits_at_once_shows_a_deficit(results):
    metrics = results[Sudden].metrics
    assert metrics["multiplicity_excess_at_step_0"]["value"] == pytest.approx(-1, abs=1e-6)
    assert metrics["settled"]["model"]["choice"] == {"median": 0, "censored": 0}
    assert claim(results[Sudden], "superposition")["value"] < -0.5


def test_who_commits_at_once_explores_nothing(verdicts):
    assert claim(verdicts[Sudden], "exploration-then-convergence")["verdict"] == "contradicted"
    assert claim(verdicts[Sudden], "early-commitment")["verdict"] == "supported"


def test_four_puzzles_that_agree_are_no_certainty(results):
    found = claim(results[Sudden], "exploration-then-convergence")
    assert (found["verdict"], found["value"]) == ("inconclusive", pytest.approx(0, abs=1e-6))
    assert found["ci95"] == pytest.approx([-0.6024, 0.6024], abs=0.02)


def test_who_commits_at_once_is_earlier_than_the_observer(results):
    at_once, observer = (results[kind].metrics["settled"]["model"]["choice"]["median"] for kind in (Sudden, Explorer))
    assert at_once < observer


def test_frames_that_are_filled_in_turn_commit_in_turn(results):
    slopes = {kind: results[kind].metrics["frames"]["slope"] for kind in KINDS}
    assert slopes[Filler]["value"] > 0.5
    for kind in (Explorer, Sudden, Dreamer):
        assert abs(slopes[kind]["value"]) < 0.05


def test_who_dreams_on_shows_an_excess(verdicts):
    found = claim(verdicts[Dreamer], "excess-multiplicity")
    assert found["verdict"] == "supported"
    assert claim(verdicts[Dreamer], "early-commitment")["verdict"] == "contradicted"


def test_who_dreams_on_overlays_more_than_the_observer_where_noise_is_low():
    options = {"task": "maze-two-goals", "samples": 4, "num_steps": 8, "shift": 0.5, "dials": {"size": 5}}
    dreamer, explorer = (stepscope.run("commitment", kind(), **options) for kind in (Dreamer, Explorer))
    assert claim(dreamer, "superposition")["value"] > 0.3
    assert claim(explorer, "superposition")["value"] == 0


def test_who_wavers_corrects_itself_and_nobody_else(results):
    assert claim(results[Waverer], "self-correction")["value"] == 1
    for kind in (Explorer, Sudden, Filler, Dreamer, Foggy):
        assert claim(results[kind], "self-correction")["value"] == 0
    assert results[Waverer].metrics["answer_changes"]["model"]["wrong_to_right"] == 8


def test_a_picture_that_clears_was_no_wrong_answer(results):
    curves = results[Foggy].metrics["curves"]["model"]["knowledge"]["mean"]
    assert curves[0] > 1 > 1e-9 > curves[-1], "all of the picture comes, from nothing to everything"
    changes = {"wrong_to_right": 0, "right_to_wrong": 0, "right_to_other": 0}
    assert results[Foggy].metrics["answer_changes"]["model"] == changes


def test_seeds_share_all_of_what_does_not_depend_on_them(results):
    np.testing.assert_allclose(results[Sudden].metrics["seeds"]["shared"], 1)
    assert results[Sudden].metrics["seeds"]["agreement"] == 1
    explored = results[Explorer].metrics["seeds"]
    assert explored["shared"][0] == pytest.approx(1)
    assert explored["shared"][-1] < 0.9
    assert explored["agreement"] == explored["rollout_agreement"] < 1


def test_controls_were_run_and_held(results):
    for kind in KINDS:
        tested = [each for each in results[kind].claims if each["value"] is not None]
        assert [each["id"] for each in tested if each["control_passed"] is None] == []
    assert all(each["control_passed"] for each in results[Explorer].claims if each["value"] is not None)


def test_planned_calls_are_made(results):
    assert results[Explorer].model_calls == {"planned": 80, "made": 80, "naive": 80}


def test_every_metric_is_in_the_table(results):
    rows = results[Filler].table.to_pylist()
    assert {row["metric"] for row in rows} >= {
        "knowledge", "choice", "multiplicity", "observer_multiplicity", "commitment_step", "knowledge_step",
        "success", "answer", "model_calls",
    }  # fmt: skip
    framed = [row for row in rows if row["frame"] is not None]
    assert {row["metric"] for row in framed} == {"commitment_step"}
    assert {row["sample"] for row in rows} == set(range(4))
    finals = [row for row in rows if row["metric"] == "success" and row["step"] is None]
    assert len(finals) == 8
    assert all(row["value"] == 1 for row in finals)


def test_curves_are_drawn_on_three_clocks(results):
    curves = results[Explorer].metrics["curves"]
    assert len(curves["step"]) == len(curves["sigma"]) == len(curves["signal_to_noise"]) == STEPS
    assert curves["signal_to_noise"][0] == 0
    band = curves["model"]["multiplicity"]
    assert all(low <= mean <= high for low, mean, high in zip(band["low"], band["mean"], band["high"], strict=True))
    sudden = results[Sudden].metrics["curves"]["model"]["choice"]
    assert (sudden["mean"][0], sudden["high"][0]) == (pytest.approx(1), pytest.approx(1))
    assert sudden["low"][0] == pytest.approx(0.025**0.25, abs=0.02), "four puzzles that agree leave room for others"
