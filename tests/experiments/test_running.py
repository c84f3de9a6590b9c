"""Running an experiment: too little data, resuming, refusals, and what is written."""

import json

import numpy as np
import pytest
from planted_denoisers import Explorer, Sudden

import stepscope
from models.tiny import pipeline
from stepscope import experiments
from stepscope.errors import BadInputError, OutputError, UnknownNameError
from stepscope.tasks import Sample

MAZES = {"task": "maze-two-goals", "num_steps": 4, "dials": {"size": 5}}


class Counting(Explorer):
    """Counts its calls, and stops after as many as are allowed."""

    def __init__(self, allowed=10**9):
        self.allowed = allowed

    def believe(self, latents, sigma, answers, sample):
        self.allowed -= 1
        if self.allowed < 0:
            raise KeyboardInterrupt
        return super().believe(latents, sigma, answers, sample)


def files(folder):
    """All that may not differ between two runs, as bytes."""
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    manifest = next(name for name in found if name.name == "manifest.json")
    facts = json.loads(found.pop(manifest))
    del facts["volatile"]
    return {str(name): data for name, data in found.items() if name.name != "run.log"} | {"manifest": facts}


def test_one_puzzle_tests_no_claim():
    result = stepscope.run("commitment", Explorer(), samples=1, **MAZES)
    assert {each["verdict"] for each in result.claims} == {"not-tested"}
    assert "at least two" in result.claims[0]["why"]
    assert result.metrics["curves"]["model"]["knowledge"]["low"] is None


def test_one_solution_leaves_nothing_to_choose():
    result = stepscope.run("commitment", Explorer(), task="maze", samples=3, num_steps=4, dials={"size": 5})
    verdicts = {each["id"]: each for each in result.claims}
    assert verdicts["exploration-then-convergence"]["verdict"] == "not-tested"
    assert "several solutions" in verdicts["exploration-then-convergence"]["why"]
    assert verdicts["self-correction"]["value"] == 0
    assert result.metrics["curves"]["model"]["choice"] is None


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stepscope.run("commitment", Sudden(), samples=2, **MAZES)
    assert list(tmp_path.iterdir()) == []


def test_the_same_run_twice_is_the_same_bytes_and_computes_once(tmp_path):
    for name in "ab":
        stepscope.run("commitment", Counting(), samples=2, out=tmp_path / name, **MAZES)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    model = Counting()
    stepscope.run("commitment", model, samples=2, out=tmp_path / "a", **MAZES)
    assert model.allowed == 10**9
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_run_that_was_stopped_resumes_to_the_same_bytes(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        stepscope.run("commitment", Counting(9), samples=3, out=tmp_path / "a", **MAZES)
    model = Counting()
    stepscope.run("commitment", model, samples=3, out=tmp_path / "a", **MAZES)
    assert 10**9 - model.allowed == 4, "two of the three puzzles were done"
    stepscope.run("commitment", Counting(), samples=3, out=tmp_path / "b", **MAZES)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_the_folder_reads_back(tmp_path):
    result = stepscope.run("commitment", Explorer(), samples=2, out=tmp_path / "out", **MAZES)
    record = stepscope.open(tmp_path / "out")
    assert record.result == json.loads(json.dumps(result.as_json()))
    assert record.table().equals(result.table)
    assert record.manifest["config"]["experiment"] == "commitment"
    assert record.manifest["seeds"] == [0]


def test_another_run_in_the_folder_is_refused(tmp_path):
    stepscope.run("commitment", Explorer(), samples=2, out=tmp_path / "out", **MAZES)
    with pytest.raises(OutputError, match="another run"):
        stepscope.run("commitment", Explorer(), samples=3, out=tmp_path / "out", **MAZES)


def test_samples_may_be_named():
    sample = stepscope.tasks.get("maze-two-goals").sample(7, size=5)
    result = stepscope.run("commitment", Explorer(), samples=[3, sample], **MAZES)
    assert set(result.table["sample"].to_pylist()) == {3, 7}


def test_a_stock_pipeline_goes_through_the_same_door():
    model = stepscope.load_model(pipeline("wan2.2-a14b"))
    dials = {"size": 5, "num_frames": 5}
    result = stepscope.run("commitment", model, task="maze-two-goals", samples=2, num_steps=2, dials=dials)
    assert result.model_calls["made"] == result.model_calls["planned"]
    assert result.metrics["settled"]["model"]["knowledge"]["censored"] == 1, "random weights know nothing"
    assert result.metrics["success"]["value"] == 0


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"samples": 0}, BadInputError, "1 or more"),
        ({"samples": [1, 1]}, BadInputError, "same puzzle"),
        ({"samples": 2, "seeds": ()}, BadInputError, "seeds"),
        ({"samples": 2, "dials": {"colour": 3}}, BadInputError, "could not make sample 0"),
        ({"samples": 2, "num_steps": 0}, BadInputError, "num_steps"),
        ({"samples": 2, "threshold": 0.8}, UnknownNameError, "Unknown option 'threshold'"),
        ({"samples": [Sample("go", np.zeros((96, 96, 3), np.uint8), 17)]}, BadInputError, "no solutions"),
        ({"samples": 2, "task": "nim"}, UnknownNameError, "Unknown task"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(options, kind, told):
    with pytest.raises(kind, match=told) as caught:
        stepscope.run("commitment", Explorer(), **{**MAZES, **options})
    assert "\n" not in str(caught.value)


def test_unknown_experiments_are_refused():
    with pytest.raises(UnknownNameError, match="commitment"):
        stepscope.run("divination", Explorer(), samples=2, **MAZES)


def test_every_experiment_keeps_its_promise():
    for name in experiments.names():
        experiment = experiments.get(name)
        assert isinstance(experiment, experiments.Experiment)
        assert set(experiment.emits) <= set(stepscope.analysis.claims.ids())
