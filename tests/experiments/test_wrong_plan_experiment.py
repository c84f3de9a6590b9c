"""Wrong plans: what is repaired, refused or kept, beside the ideal observer."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from planted_denoisers import Explorer, Sudden

import stepscope
from stepscope.analysis import ideal_observer
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.experiments.sweeps import noise_seed
from stepscope.experiments.wrong_plan import WrongPlanSweep
from stepscope.experiments.wrong_plan.donors import DONORS, donors_of
from stepscope.interventions import Pixels, WrongPlan, corrupt

STEPS, PUZZLES = 5, 3
MAZES = {"task": "maze-two-goals", "num_steps": STEPS, "dials": {"size": 5}}


class Gullible(Explorer):
    """Takes corrupted answers for answers."""

    def believe(self, latents, sigma, answers, sample):
        wrong = [corrupt(each, sample, 0.25, noise_seed(0, sample)).video for each in sample.solutions]
        known = torch.cat([answers, torch.stack([self.encode(frames) for frames in wrong])])
        return ideal_observer(latents, sigma, known)[0]


def sweep(model, **options):
    return stepscope.run("wrong-plan", model, samples=PUZZLES, **{**MAZES, **options})


@pytest.fixture(scope="module")
def explored():
    return sweep(Explorer())


def cells(result, **where):
    rows = result.table.to_pylist()
    return [row for row in rows if all(row[name] == value for name, value in where.items())]


def answers(result, strategy):
    rows = cells(result, metric="answer", strategy=strategy)
    return {(row["sample"], row["branch"]): row["candidate"] for row in rows if row["branch"] != "clean"}


# what becomes of a plan


@pytest.mark.parametrize("donor", ["corrupted", "foreign"])
def test_the_observer_repairs_all_that_is_wrong(explored, donor):
    found = explored.metrics["donors"][donor]
    assert found["repair"]["mean"] == found["observer"]["mean"] == [1.0] * STEPS
    assert max(found["knowledge"]["mean"]) < 1e-9


def test_as_a_denoiser_the_observer_does_what_the_observer_does(explored):
    for found in explored.metrics["donors"].values():
        assert found["agrees"]["mean"] == [1.0] * STEPS
        assert found["difference"]["mean"] == [0.0] * STEPS
    single, observer = (answers(explored, strategy) for strategy in ("single", "observer-rollout"))
    assert single == observer
    assert len(single) == PUZZLES * STEPS * len(DONORS)


def test_another_right_answer_is_refused_early_or_never(explored):
    repair = explored.metrics["donors"]["other-valid"]["repair"]["mean"]
    assert repair[-2:] == [0.0, 0.0]
    assert repair[0] > 0, "at step 0 the plan is all noise, and any answer may come out"
    rows = [row["value"] for row in cells(explored, metric="success", strategy="single")]
    assert rows == [1.0] * PUZZLES * (1 + STEPS * len(DONORS)), "who accepts another right answer is right"


def test_who_draws_the_same_whatever_it_sees_refuses_every_plan():
    found = sweep(Sudden(), at=[3, 4]).metrics["donors"]
    assert [found[donor]["repair"]["mean"] for donor in DONORS] == [[1.0, 1.0]] * 3
    assert [found[donor]["kept"]["mean"] for donor in DONORS] == [[1.0, 1.0]] * 3
    assert found["other-valid"]["observer"]["mean"] == [0.0, 0.0]
    assert found["other-valid"]["difference"]["mean"] == [1.0, 1.0]
    assert found["other-valid"]["agrees"]["mean"] == [0.0, 0.0]


def test_who_takes_mistakes_for_answers_repairs_none_of_them():
    result = sweep(Gullible(), donor="corrupted", at=[STEPS - 1])
    found = result.metrics["donors"]["corrupted"]
    assert found["repair"]["mean"] == [0.0]
    assert found["observer"]["mean"] == [1.0]
    assert found["knowledge"]["mean"][0] > 0.1
    assert cells(result, metric="answer", strategy="single", candidate=None)[0]["text"] is None


# what is run


def test_a_donor_costs_a_triangle(explored):
    calls = PUZZLES * (STEPS + len(DONORS) * STEPS * (STEPS + 1) // 2)
    assert explored.model_calls["planned"] == explored.model_calls["made"] == calls


def test_an_edit_is_that_of_the_intervention():
    first, second = (stepscope.tasks.get("maze-two-goals").sample(seed, size=5) for seed in (0, 1))
    options = {"strength": 0.5, "seed": noise_seed(3, first), "share": 0.5}
    branches = WrongPlanSweep(at=1, strength=0.5, seed=3, share=0.5).branches(first, second, STEPS)
    plans = ["other-valid", "corrupted", Pixels(second.solutions[0])]
    assert [branch.interventions for branch in branches] == [(WrongPlan(1, plan, **options),) for plan in plans]
    assert [branch.name for branch in branches] == [f"{donor} at step 1" for donor in DONORS]


def test_every_row_carries_the_step_of_its_edit(explored):
    rows = cells(explored, metric="repair")
    assert len(rows) == 2 * PUZZLES * STEPS * len(DONORS)
    assert all(row["branch"].endswith(f"at step {row['step']}") and 0 < row["sigma"] <= 1 for row in rows)
    assert explored.claims == []


def test_donors_have_one_spelling():
    assert WrongPlanSweep("foreign,corrupted").donor == WrongPlanSweep(["corrupted", "foreign"]).donor
    assert WrongPlanSweep().donor is None


def test_a_puzzle_gets_the_donors_that_it_can_have():
    task = stepscope.tasks.get("maze")
    alone, larger = task.sample(0, size=5), SimpleNamespace(num_frames=9, first_frame=np.zeros((8, 8, 3)))
    two = stepscope.tasks.get("maze-two-goals").sample(0, size=5)
    assert donors_of(None, alone, None) == ["corrupted"]
    assert donors_of(None, two, larger) == ["other-valid", "corrupted"]
    assert donors_of(None, two, two) == list(DONORS)


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"donor": "friend"}, UnknownNameError, "Unknown donor 'friend'"),
        ({"donor": []}, UnknownNameError, "Unknown donor"),
        ({"donor": "other-valid", "task": "maze"}, PlanError, "several solutions, and this one has one"),
        ({"donor": "foreign", "samples": 1}, PlanError, "another puzzle of the same size"),
        ({"at": STEPS}, BadInputError, "This run has steps 0 to 4"),
        ({"share": 0.0}, BadInputError, "share came as"),
        ({"strength": -1.0}, BadInputError, "strength came as"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_call(options, kind, told):
    class Untouched(Explorer):
        def believe(self, *_):
            raise AssertionError("The model was called.")

    with pytest.raises(kind, match=told) as caught:
        stepscope.run("wrong-plan", Untouched(), **{"samples": 2, **MAZES, **options})
    assert "\n" not in str(caught.value)
