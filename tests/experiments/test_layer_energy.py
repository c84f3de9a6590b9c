"""Layers that are lit at objects are told from those that are not, and from those that are lit anyhow."""

import numpy as np
import pytest
from lit_layers import Lit, loaded
from planted_denoisers import Explorer

import stepscope
from stepscope.errors import BadInputError
from stepscope.experiments import get
from stepscope.tasks import Sample

DIALS = {"size": 5}


def run(lit, samples=3, task="maze-two-goals", dials=DIALS, **options):
    told = f"lit {sorted(vars(lit).items())}"
    return stepscope.run(
        "layer-energy", loaded(lit, told), task=task, samples=samples, num_steps=2, dials=dials, **options
    )


def claims(result):
    return {claim["id"]: claim for claim in result.claims}


@pytest.fixture(scope="module")
def later():
    """Six of eight layers are lit at the objects."""
    return run(Lit(range(2, 8)))


def test_early_layers_are_told_from_later_ones(later):
    claim = claims(later)["early-layers-global"]
    assert (claim["value"], claim["n"]) == (pytest.approx(1.0), 3)
    assert claims(run(Lit(range(8))))["early-layers-global"]["value"] == pytest.approx(0.0, abs=1e-12)


def test_layers_that_are_lit_everywhere_concentrate_on_nothing():
    result = run(Lit(()))
    assert claims(result)["middle-layers-objects"]["value"] == 0
    assert result.metrics["localisation"]["mean"] == [1] * 8
    assert result.metrics["excess"]["mean"] == [0] * 8


def test_layers_that_are_dark_at_objects_say_the_contrary():
    claim = claims(run(Lit(range(2, 8), inside=0.5), samples=range(4)))["middle-layers-objects"]
    assert claim["value"] == pytest.approx(-0.5)
    assert claim["verdict"] in {"contradicted", "inconclusive"}


def test_a_place_that_is_lit_anyhow_fails_the_control():
    claim = claims(run(Lit(range(8), fixed=True)))["middle-layers-objects"]
    assert (claim["control_passed"], claim["verdict"]) == (False, "inconclusive")
    assert claim["value"] > 0.05


def test_numbers_by_layer_step_and_object(later):
    metrics = later.metrics
    assert metrics["localisation"]["mean"] == pytest.approx([1, 1, 2, 2, 2, 2, 2, 2])
    assert np.shape(metrics["localisation"]["steps"]) == (2, 8)
    assert set(metrics["objects"]) == {"agent", "goal", "way"}
    assert metrics["control_masks"] == ["foreign"]
    assert all(1 < value < 2 for value in metrics["control"]["mean"][2:])
    assert metrics["turn"] == {"layer": 2, "depth": 0.25}
    assert np.shape(metrics["energy"]["frames"]) == (8, 5)
    assert set(metrics["detectable"]) == {"early-layers-global", "middle-layers-objects"}
    example = metrics["example"]
    assert np.shape(example["maps"]) == (8, 5, 12, 12)
    assert np.mean(example["maps"], axis=(1, 2, 3)) == pytest.approx([1] * 8, abs=1e-3)


def test_every_number_is_in_the_table(later):
    rows = [row for row in later.table.to_pylist() if row["metric"] in ("energy", "localisation")]
    assert len(rows) == 3 * 2 * 8 * 2
    assert {(row["site"], row["cfg_branch"]) for row in rows} == {("block", "cond")}
    lit = [row["value"] for row in rows if row["metric"] == "localisation" and row["layer"] >= 2]
    assert lit == pytest.approx([2] * len(lit))


def test_the_maps_are_kept(later, tmp_path):
    kept = run(Lit(range(2, 8)), out=tmp_path / "kept")
    assert kept.as_json() == later.as_json()
    resumed = run(Lit(range(2, 8)), out=tmp_path / "kept")
    assert resumed.as_json() == later.as_json()


def test_puzzles_without_another_are_controlled_by_their_own_masks_turned():
    result = run(Lit(range(2, 8)), task="maze")
    assert result.metrics["control_masks"] == ["turned"]
    assert claims(result)["early-layers-global"]["control_passed"] is not None


def test_objects_may_be_chosen():
    goals = run(Lit(range(2, 8)), objects="goal")
    assert set(goals.metrics["objects"]) == {"goal"}
    assert get("layer-energy", objects="goal,agent") == get("layer-energy", objects=["agent", "goal"])
    with pytest.raises(BadInputError, match=r"objects came as dragon\. This sample has masks goal-0"):
        run(Lit(range(2, 8)), objects="dragon")


@pytest.mark.parametrize("objects", [3, [], [""], ""])
def test_what_are_no_objects_is_refused(objects):
    with pytest.raises(BadInputError, match="Allowed are names of masks"):
        get("layer-energy", objects=objects)


def test_samples_without_masks_are_not_tested():
    bare = [
        Sample(s.prompt, s.first_frame, s.num_frames, s.task, s.seed, s.solutions, s.state)
        for s in (stepscope.tasks.get("maze-two-goals").sample(seed, **DIALS) for seed in range(2))
    ]
    result = run(Lit(range(2, 8), fixed=True), samples=bare)
    assert {claim["verdict"] for claim in result.claims} == {"not-tested"}
    assert result.metrics["localisation"] is None
    assert np.shape(result.metrics["energy"]["steps"]) == (2, 8)


def test_a_model_without_layers_is_not_tested():
    result = stepscope.run("layer-energy", Explorer(), task="maze-two-goals", samples=2, num_steps=2, dials=DIALS)
    assert {(claim["verdict"], claim["why"]) for claim in result.claims} == {
        ("not-tested", "Not measured: the model has no layers to look into.")
    }
    assert result.metrics["layers"] == []


def test_a_model_of_few_layers_has_no_quarters():
    result = run(Lit((1,), num_layers=3), samples=2)
    assert {claim["why"] for claim in result.claims} == {"Not measured: a model of 3 layers has no quarters."}
