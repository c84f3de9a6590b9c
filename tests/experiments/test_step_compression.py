"""`step-compression`: every run is counted, an observer loses nothing, a collapse is found where one is planted."""

import numpy as np
import pytest

import stepscope
from closed_form import Observer
from stepscope.analysis.claims import verdict
from stepscope.errors import BadInputError
from stepscope.executors import Finding
from stepscope.experiments.step_compression import StepCompression
from stepscope.experiments.step_compression.experiment import evidence
from stepscope.experiments.step_compression.summary import summarise
from stepscope.figures import step_compression as figure
from stepscope.tasks import Sample

N, COUNTS = 6, (1, 2, 4)


class Fade:
    """Fade to black or to white."""

    name, version, palette = "fade", 1, {}

    def sample(self, seed, *, split="test"):
        levels = [np.linspace(110 + 9 * seed, end, 5).astype(np.uint8) for end in (0, 255)]
        videos = tuple(np.broadcast_to(level[:, None, None, None], (5, 8, 8, 3)).copy() for level in levels)
        return Sample("fade", videos[0][0], 5, task=self.name, seed=seed, solutions=videos)

    def score(self, frames, sample):
        raise AssertionError("answers are read in the latents")


class Knows:
    """The ideal observer of whatever it is asked."""

    latents_shape = (3, 5, 8, 8)

    def __init__(self):
        self.calls = 0

    def velocity(self, latents, sigma, samples):
        self.calls += len(latents)
        return Observer(samples[0]).velocity(latents, sigma, samples)


def run(model, samples=3):
    return stepscope.run(
        "step-compression", model, task=Fade(), samples=samples, seeds=(0, 1), num_steps=N, shift=20.0, counts=COUNTS
    )


@pytest.fixture(scope="module")
def observed():
    model = Knows()
    return model, run(model)


def test_every_run_is_counted(observed):
    model, result = observed
    assert result.model_calls["planned"] == result.model_calls["made"] == model.calls == 3 * 2 * (N + sum(COUNTS))
    assert result.metrics["steps"] == [*COUNTS, N]
    assert result.metrics["calls"] == [*COUNTS, N]


def test_an_observer_keeps_what_it_knows_with_any_number_of_steps(observed):
    _, result = observed
    curves = result.metrics["curves"]
    assert max(number["value"] for number in curves["knowledge"]) < 1e-9
    assert [number["value"] for number in curves["explored"]] == pytest.approx(
        [number["value"] for number in curves["observer_explored"]], abs=1e-5
    )
    # One step from pure noise ends on the mean of both answers, which is none; the choice takes steps.
    success = [number["value"] for number in curves["success"]]
    assert success == sorted(success)
    assert (success[0], success[-1]) == (0, 1)
    assert [loss["value"] for loss in result.metrics["loss"]] == [1 - each for each in success[:-1]]
    low, high = result.metrics["loss"][0]["ci95"]
    assert low < 0.5 < high <= 1  # three puzzles


def test_the_run_with_fewer_steps_is_the_run_of_that_many_steps(observed):
    _, result = observed
    model, sample = stepscope.load_model(Knows()), Fade().sample(1)
    rows = result.table.to_pylist()
    for count in COUNTS:
        (row,) = [
            row
            for row in rows
            if (row["sample"], row["seed"], row["strategy"], row["metric"]) == (1, 1, f"{count}-steps", "knowledge")
        ]
        trace = model.denoise(sample, num_steps=count, seed=1, shift=20.0)
        solutions = stepscope.scope.encode_solutions(model, sample)
        assert row["value"] == stepscope.scope.read(trace, solutions).final_knowledge


def facts(explored, observer=1.5, answer=0):
    return {
        "answer": answer,
        "calls": 1,
        "first_knowledge": 0.5,
        "knowledge": 0.1,
        "explored": explored,
        "observer_explored": observer,
        "changes": 1,
    }


def planted(long, few, observers=(1.5, 1.5), answers=(0, 0), solutions=2):
    run = {"4": facts(few, observers[1], answers[1]), "20": facts(long, observers[0], answers[0])}
    return Finding({"num_solutions": solutions}, [run], [], 0)


def judged(findings):
    (claim,) = StepCompression().claims(findings)
    return claim


def test_a_planted_collapse_is_found_unless_the_observer_collapses_too():
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.05, 40)
    assert judged([planted(1.6 + each, 1.1) for each in noise]).verdict == "supported"
    assert judged([planted(1.3 + each, 1.3) for each in noise]).verdict == "contradicted"
    assert judged([planted(1.6 + each, 1.1, (1.6, 1.1)) for each in noise]).verdict == "inconclusive"
    assert judged([planted(1.6, 1.1, solutions=1)] * 3).verdict == "not-tested"
    # Three puzzles alike say little of those that were not drawn: two multiplicities of two solutions differ by 1.
    alike = judged([planted(1.6, 1.3)] * 3)
    assert alike.verdict == "inconclusive"
    assert -1 < alike.ci95[0] < 0.1 < 0.3 < alike.ci95[1] < 1
    assert verdict("compression-collapses-exploration", None, None, 0, None).verdict == "not-tested"


def test_a_planted_loss_is_found():
    rows = [planted(1.5, 1.5, answers=(0, None)) for _ in range(30)]
    (loss,) = summarise(rows, evidence(rows))["loss"]
    assert loss["value"] == 1
    assert loss["ci95"][0] > 0.5
    assert loss["p_holm"] < 0.01


def test_the_figure_is_drawn_from_the_result_alone(observed):
    _, result = observed
    assert len(figure.draw(result.as_json()).axes) == 4
    one = run(Knows(), samples=1)
    assert {claim["verdict"] for claim in one.claims} == {"not-tested"}
    figure.draw(one.as_json())
    with pytest.raises(BadInputError, match="This figure draws that of 'step-compression'"):
        figure.draw({"experiment": "commitment"})


def test_refusals():
    with pytest.raises(BadInputError, match=r"counts came as \[1, 2\]\. The claim compares with 4 steps\."):
        StepCompression(counts=(1, 2))
    assert StepCompression(counts="1,4") == StepCompression(counts=[1, 4])
    with pytest.raises(BadInputError, match=r"counts up to 12 came for runs of 6 steps\."):
        stepscope.run("step-compression", Knows(), task=Fade(), samples=2, num_steps=6)
