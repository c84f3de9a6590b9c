"""Steps against frames: the verdict is right on denoisers of known direction, and says so when there is none."""

import numpy as np
import pytest
import torch

import stepscope
from frame_by_frame import Backwards, Blind, FrameByFrame, Mixer, Neighbour, Separate, StepWise
from models.tiny import pipeline
from stepscope import experiments
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.experiments.noise_at_frame.influence import frame_by_frame
from stepscope.experiments.noise_at_frame.sweep import frame_at

MAZES = {"task": "maze-two-goals", "num_steps": 3, "dials": {"size": 5}}
FEW = {**MAZES, "at": [3, 8], "steps": 1, "decode": False}


def run(model, samples=2, **options):
    return stepscope.run("noise-at-frame", model, samples=samples, **{**FEW, **options})


def rows(result, metric, **where):
    found = [row for row in result.table.to_pylist() if row["metric"] == metric]
    return [row for row in found if all(row[name] == value for name, value in where.items())]


class Still(Mixer):
    """One latent frame."""

    latents_shape = (3, 1, 16, 16)

    def encode(self, frames):
        return super().encode(frames[-1:])


@pytest.fixture(scope="module")
def results():
    return {kind: run(kind(), samples=14) for kind in (FrameByFrame, StepWise)}


def test_frame_by_frame_is_contradicted_and_step_wise_supported(results):
    found = {kind: result.claims[0] for kind, result in results.items()}
    assert (found[FrameByFrame]["verdict"], found[StepWise]["verdict"]) == ("contradicted", "supported")
    assert found[FrameByFrame]["value"] == 0
    assert 0.6 < found[StepWise]["value"] < 1.3
    assert all(each["control_passed"] and each["n"] == 14 for each in found.values())


def test_the_value_is_the_mean_of_the_runs_in_the_table(results):
    for result in results.values():
        values = [row["value"] for row in rows(result, "influence", frame=None)]
        assert len(values) == 14
        assert np.mean(values) == pytest.approx(result.claims[0]["value"], abs=1e-5)


def test_the_observer_and_the_control_are_read_beside_the_model(results):
    found, alike = (results[kind].metrics["asymmetry"] for kind in (FrameByFrame, StepWise))
    assert (found["model"]["value"], found["frame-by-frame"]["value"]) == (1, 1)
    assert abs(found["observer"]["value"]) < 0.3
    assert alike["model"]["value"] == pytest.approx(alike["observer"]["value"], abs=1e-4)


def test_planned_calls_are_made_and_fewer_than_naive(results):
    calls = results[StepWise].model_calls
    assert calls["planned"] == calls["made"] < calls["naive"]


@pytest.mark.parametrize(("kind", "value"), [(Neighbour, 0), (Backwards, 2), (Mixer, 1)])
def test_the_value_is_one_minus_the_asymmetry(kind, value):
    assert run(kind(), at=[4, 5]).claims[0]["value"] == pytest.approx(value, abs=0.05)


def test_influence_goes_from_the_disturbed_frame_to_where_it_is_felt():
    shares = np.array(run(FrameByFrame(), 1, at=[3, 5]).metrics["influence"]["shares"])
    assert shares.sum() == pytest.approx(1)
    for row, frame in zip(shares, (3, 5), strict=True):
        assert (row[: frame + 1] == 0).all()
        assert (row[frame + 1 :] > 0).all()


def test_the_usual_frames_and_steps():
    result = stepscope.run("noise-at-frame", Mixer(), samples=1, decode=False, **{**MAZES, "num_steps": 4})
    found = result.metrics["influence"]
    assert (found["frames"], found["open"], found["steps"]) == ([1, 2, 4, 7, 8], [1, 2, 4, 7, 8], [0, 1, 2])
    assert {row["branch"] for row in rows(result, "influence", step=0)} == {f"place {place}" for place in range(5)}


@pytest.mark.parametrize(
    ("num_frames", "frames"),
    [(1, [0]), (2, [0, 1]), (5, [0, 1, 2, 3, 4]), (6, [1, 2, 3, 4, 5]), (21, [1, 2, 10, 19, 20])],
)
def test_places_lie_along_the_video(num_frames, frames):
    found = [frame_at(place, num_frames) for place in range(5)]
    assert [frame for frame in found if frame is not None] == frames


@pytest.mark.parametrize("kind", [Separate, Blind])
def test_where_nothing_moves_nothing_is_tested(kind):
    (claim,) = run(kind(), samples=1).claims
    assert (claim["verdict"], claim["value"]) == ("not-tested", None)
    assert "moved the clean estimate of no other" in claim["why"]


def test_one_latent_frame_tests_nothing():
    result = stepscope.run("noise-at-frame", Still(), samples=1, **MAZES)
    assert result.claims[0]["verdict"] == "not-tested"
    assert "of the video's 1 fewer" in result.claims[0]["why"]
    assert {each["frame"] for each in result.metrics["survival"]} == {0}
    assert result.metrics["survival"][0]["others"]["success"] is None


def test_the_given_picture_is_disturbed_but_does_not_count():
    result = run(Mixer(), 1, at=[0, 4])
    assert (result.metrics["influence"]["frames"], result.metrics["influence"]["open"]) == ([0, 4], [4])
    assert "takes two disturbed latent frames" in result.claims[0]["why"]


def test_noise_of_no_strength_changes_nothing():
    result = run(StepWise(), 1, strength=0)
    assert result.claims[0]["verdict"] == "not-tested"
    assert {row["value"] for row in rows(result, "influence")} == {0}
    assert {row["value"] for row in rows(result, "flip")} == {0}


def test_noise_that_stays_in_a_frame_spoils_the_reading_of_that_frame_alone():
    result = run(StepWise(), 1, mode="replace", at=8, steps=2)
    (late,) = [each for each in result.metrics["survival"] if each["step"] == 2]
    assert late["others"]["kept"]["value"] == late["others"]["success"]["value"] == 1
    assert {row["strategy"] for row in rows(result, "success", branch="frame 8 step 2")} == {"single", "other-frames"}


def test_a_frame_without_the_others_is_read_on_the_same_frames_of_the_clean_run():
    result = run(FrameByFrame(), 1, at=8)
    whole, part = (result.metrics["survival"][0][name]["before"]["knowledge"]["value"] for name in ("all", "others"))
    assert whole == pytest.approx(result.metrics["clean"]["knowledge"]["value"])
    assert part != pytest.approx(whole)


def test_progress_needs_a_decoder_and_nothing_else_does():
    class Dumb(Mixer):
        def decode(self, latents):
            raise NotImplementedError

    sighted, dumb = (run(kind(), 1, decode=True).metrics for kind in (Mixer, Dumb))
    assert sighted["clean"]["progress"]["value"] >= 0
    assert dumb["clean"]["progress"] is None
    assert dumb["clean"]["success"] == sighted["clean"]["success"]


def test_every_puzzle_has_noise_of_its_own_and_the_same_every_time():
    task = stepscope.tasks.get("maze-two-goals")
    first, other = (task.sample(seed, size=5) for seed in (0, 1))
    seeds = [experiments.get("noise-at-frame", at=2).branches(each, None, 3)[0].interventions[0].seed
             for each in (first, other, first)]  # fmt: skip
    assert seeds[0] == seeds[2] != seeds[1]


def test_the_control_sees_earlier_frames_alone():
    latents = torch.arange(12.0).reshape(1, 3, 2, 2)
    np.testing.assert_allclose(frame_by_frame(latents)[0, :, 0, 0], [0, 2, 4])


def test_a_transformer_has_its_attention_cut_in_both_directions():
    model = stepscope.load_model(pipeline("wan2.2-a14b"))
    result = stepscope.run(
        "noise-at-frame", model, task="maze-two-goals", samples=2, num_steps=2, steps=1, at=[1, 2], guidance=1,
        dials={"size": 5, "num_frames": 9}, decode=False,
    )  # fmt: skip
    assert result.metrics["influence"]["open"] == [1, 2]
    assert result.claims[0]["control_passed"]
    cut = result.metrics["knock_out"]
    assert cut["past"]["knowledge"]["value"] != cut["future"]["knowledge"]["value"]
    difference = cut["past"]["knowledge"]["value"] - cut["future"]["knowledge"]["value"]
    assert cut["past_minus_future"]["knowledge"]["value"] == pytest.approx(difference)


def test_without_layers_attention_is_left_alone_unless_it_is_asked_for():
    assert run(Mixer(), 1).metrics["knock_out"] is None
    with pytest.raises(PlanError, match="BlockFrames came for a model without layers"):
        run(Mixer(), 1, knock_out=True)


@pytest.mark.parametrize("spelled", [[1, 4], (4, 1, 1), "1:5:3", "1,4", range(1, 5, 3), {1, 4}])
def test_indices_have_many_spellings_and_one_form(spelled):
    chosen = experiments.get("noise-at-frame", at=spelled, steps=spelled)
    assert (chosen.at, chosen.steps) == ((1, 4), (1, 4))


@pytest.mark.parametrize(
    ("options", "kind", "told"),
    [
        ({"mode": "blur"}, UnknownNameError, "mode of AddNoise"),
        ({"strength": 2}, BadInputError, "strength came as 2"),
        ({"at": 9}, BadInputError, "latent_frames up to 9"),
        ({"at": "::2"}, BadInputError, "at came as '::2'"),
        ({"at": []}, BadInputError, r"at came as \[\]"),
        ({"steps": 3}, BadInputError, "steps up to 3"),
        ({"steps": -1}, BadInputError, "steps came as -1"),
        ({"steps": 1.5}, BadInputError, "steps came as 1.5"),
        ({"knock_out": "no"}, BadInputError, "knock_out came as 'no'"),
        ({"decode": None}, BadInputError, "decode came as None"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_model_call(options, kind, told):
    class Untouched(Mixer):
        def velocity(self, latents, sigma, samples):
            raise AssertionError("A model call was made.")

    with pytest.raises(kind, match=told) as caught:
        run(Untouched(), 1, **options)
    assert "\n" not in str(caught.value)
