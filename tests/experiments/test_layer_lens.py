"""The lens finds the layer at which the answer is there, and is the model's own estimate at the last."""

import numpy as np
import pytest
import torch
from layered_models import NUM_LAYERS, SHAPE, model
from lit_layers import Headed, loaded
from planted_denoisers import Explorer

import stepscope
from models import tiny
from stepscope.analysis import Affine
from stepscope.denoise import StepEvent
from stepscope.errors import BadInputError
from stepscope.experiments import get
from stepscope.experiments.layer_lens.estimates import LensEstimates
from stepscope.experiments.layer_lens.fit import Lens
from stepscope.experiments.layer_lens.ledger import consolidated, quarter_source
from stepscope.experiments.layer_lens.regressions import LensRegressions
from stepscope.recorders import Raw

TASK, DIALS = "maze-two-goals", {"size": 5}
OPTIONS = {"calibration": 2, "penalty": 1e-9}
LENSED = {
    **{style: lambda style=style: tiny.pipeline(style) for style in tiny.STYLES},
    "ltx": tiny.ltx_pipeline,
    "cogvideox": tiny.cogvideox_pipeline,
}


class Tape:
    """Keeps what the recorders of the lens are given."""

    name = "tape"
    sites = ("resid_pre", "block")

    def init(self, run):
        return run, ()

    def update(self, state, event):
        return state[0], (*state[1], event)

    def merge(self, first, second):
        return first[0], first[1] + second[1]

    def finish(self, state):
        return state


def fold(recorder, info, events):
    state = recorder.init(info)
    for event in events:
        state = recorder.update(state, event)
    return state


def run(decider=1, samples=3, num_steps=2, wrong=0.0, **options):
    chosen = loaded(Headed(decider, wrong), f"headed {decider} {wrong}")
    asked = OPTIONS | options
    return stepscope.run("layer-lens", chosen, task=TASK, samples=samples, num_steps=num_steps, dials=DIALS, **asked)


@pytest.fixture(scope="module")
def early():
    return run()


def test_the_answer_is_known_from_the_layer_that_decides(early):
    for row in early.metrics["knowledge"]["map"]:
        assert min(row[:2]) > 0.3  # the input and layer 0: a map of the still picture draws no way
        assert max(row[2:]) < 1e-3
    assert early.metrics["known"] == [1, 1]
    assert early.metrics["choice"]["map"][0][2:] == pytest.approx([1] * 3, abs=1e-2)


def test_an_early_decision_is_consolidated(early):
    (claim,) = early.claims
    assert (claim["id"], claim["n"], claim["control_passed"]) == ("late-layers-consolidate", 3, True)
    assert claim["value"] == pytest.approx(1, abs=1e-2)
    assert claim["verdict"] == "supported"


def test_a_decision_of_the_last_layer_is_none():
    result = run(decider=NUM_LAYERS - 1)
    (claim,) = result.claims
    assert claim["value"] < 0.3  # a map of the still picture knows what all answers share
    assert result.metrics["consolidated"]["from_input"]["value"] < 0.1
    assert claim["verdict"] != "supported"


def test_at_the_last_layer_the_lens_is_the_models_own_estimate(early):
    assert early.metrics["error"] == 0
    (claim,) = run(wrong=0.1).claims
    assert (claim["control_passed"], claim["verdict"]) == (False, "inconclusive")


def test_no_model_call_is_made_beyond_the_runs(early):
    runs = (3 + OPTIONS["calibration"]) * 2
    assert early.model_calls == {"planned": runs, "made": runs, "naive": runs}


def test_every_number_is_in_the_table(early):
    rows = [row for row in early.table.to_pylist() if row["metric"] == "knowledge"]
    assert len(rows) == 3 * 2 * (1 + NUM_LAYERS)
    assert {(row["layer"], row["site"]) for row in rows} == {
        (0, "resid_pre"), *((layer, "block") for layer in range(NUM_LAYERS))
    }  # fmt: skip


def test_a_run_that_was_stopped_resumes_to_the_same(early, tmp_path):
    assert run(out=tmp_path / "kept").as_json() == early.as_json()
    assert run(out=tmp_path / "kept").metrics == early.metrics


def test_some_steps_and_layers(early):
    result = run(at=1, layers=[1])
    assert (result.metrics["steps"], result.metrics["layers"]) == ([1], [1, 3])
    whole = np.array(early.metrics["knowledge"]["map"])
    np.testing.assert_allclose(result.metrics["knowledge"]["map"], whole[[1]][:, [0, 2, 4]], atol=1e-6)


def test_too_few_early_layers_are_not_tested():
    (claim,) = run(samples=2, layers=[3]).claims
    assert claim["verdict"] == "not-tested"


def test_eight_steps_are_read_where_none_are_asked_for():
    assert run(samples=2, num_steps=12, calibration=1, layers=[2]).metrics["steps"] == [0, 2, 3, 5, 6, 8, 9, 11]


def test_a_model_without_a_head_is_not_tested():
    result = stepscope.run("layer-lens", model(1), task=TASK, samples=2, num_steps=2, dials=DIALS)
    (claim,) = result.claims
    assert claim["why"] == "Not measured: the model does not say how its last lines read a hidden state."
    assert result.model_calls["made"] == 2 * 2  # nothing is fitted in vain


def test_a_model_without_layers_is_not_tested():
    (claim,) = stepscope.run("layer-lens", Explorer(), task=TASK, samples=2, num_steps=2, dials=DIALS).claims
    assert claim["why"] == "Not measured: the model has no layers to look into."


def test_nothing_but_estimates_is_kept():
    experiment = get("layer-lens", **OPTIONS).for_model(loaded(Headed(1), "headed"))
    chosen = loaded(Headed(1), "headed")
    sample = stepscope.tasks.get(TASK).sample(0, **DIALS)
    fitted = chosen.denoise(sample, num_steps=2, recorders=experiment.recorders(None)).records["lens"]
    maps = [[sums.solved(1e-9) for sums in step] for step in fitted]
    (recorder,) = experiment.recorders(Lens(maps, maps, chosen.loaded.denoiser))
    seen = chosen.denoise(sample, num_steps=2, recorders=[recorder])
    assert seen.records["lens"]["estimates"].shape == (2, 1 + NUM_LAYERS, *SHAPE)
    assert seen.records["lens"]["steps"].tolist() == [0, 1]
    np.testing.assert_array_equal(seen.records["lens"]["estimates"], seen.records["lens"]["half"])
    np.testing.assert_array_equal(seen.records["lens"]["estimates"][:, -1], seen.cond_estimates.numpy())


@pytest.mark.parametrize("kind", LENSED)
def test_a_lens_that_changes_nothing_sees_what_the_head_makes_of_raw_states(kind):
    """In every family: read while the model runs, or afterwards from hidden states that were kept."""
    model = stepscope.load_model(LENSED[kind]())
    denoiser, sample = model.loaded.denoiser, tiny.TinySample(num_frames=9)
    options = {"num_steps": 3, "seed": 3, "guidance": 2.0}
    keep = [Raw("resid_pre", layers=(0,), steps=(0, 2)), Raw(layers=(0, 1), steps=(0, 2))]
    kept = model.denoise(sample, recorders=keep, **options)
    states = torch.from_numpy(np.concatenate([kept.records["raw_resid_pre"], kept.records["raw_block"]], axis=1))
    width = states.shape[-1]
    same, twice = (Affine(scale * torch.eye(width), torch.zeros(width), torch.zeros(width)) for scale in (1.0, 2.0))
    lens = Lens([[same] * 2] * 2, [[twice] * 2] * 2, denoiser)
    seen = model.denoise(sample, recorders=[LensEstimates(lens, (0, 1), (0, 2))], **options)
    assert torch.equal(seen.latents, kept.latents)
    run = model.run_of(sample, **options)
    condition = denoiser.condition((sample,), 2.0, None)
    for name, scale in (("estimates", 1.0), ("half", 2.0)):
        for index, step in enumerate((0, 2)):
            for source in range(3):
                hidden = states[index, source][None] * (1.0 if source == 2 else scale)
                expected = denoiser.head(hidden, kept.latents[step][None], step, run.grid, condition)[0]
                np.testing.assert_allclose(seen.records["lens"][name][index, source], expected, rtol=1e-4, atol=1e-4)


def test_a_stream_that_is_cut_between_steps():
    model = loaded(Headed(1), "headed")
    recorder, sample = LensRegressions((0, 1, 2, 3), (0, 1)), stepscope.tasks.get(TASK).sample(0, **DIALS)
    tape = Tape()
    trace = model.denoise(sample, num_steps=2, recorders=[recorder, tape])
    info, events = trace.records["tape"]
    cut = next(index for index, event in enumerate(events) if isinstance(event, StepEvent)) + 1
    maps = [[sums.solved(1e-9) for sums in step] for step in trace.records["lens"]]
    for each in (recorder, LensEstimates(Lens(maps, maps, model.loaded.denoiser), (0, 1, 2, 3), (0, 1))):
        parts = [fold(each, info, part) for part in (events[:cut], events[cut:])]
        merged, whole = each.finish(each.merge(*parts)), each.finish(fold(each, info, events))
        if isinstance(whole, dict):
            np.testing.assert_array_equal(merged["estimates"], whole["estimates"])
        else:
            assert all(
                torch.equal(a.xy, b.xy) for x, y in zip(merged, whole, strict=True) for a, b in zip(x, y, strict=True)
            )


@pytest.mark.parametrize("options", [{"calibration": 0}, {"penalty": 0}, {"penalty": -1.0}])
def test_what_cannot_be_fitted_is_refused(options):
    with pytest.raises(BadInputError, match="Leave them out for 16 and 1e-3"):
        get("layer-lens", **options)


def test_the_second_lens_is_that_of_half_the_calibration():
    fine, coarse = (run(calibration=count, decider=2).metrics for count in (4, 2))
    assert fine["consolidated"]["half"] == coarse["consolidated"]["from_still"]
    assert fine["knowledge"] != coarse["knowledge"]
    one = run(calibration=1, decider=2).metrics["consolidated"]
    assert one["half"] == one["from_still"]


def test_measured_puzzles_are_not_fitted_on():
    task = stepscope.tasks.get("maze")
    taken = [task.sample(1_000_000 + seed, split="train", size=3) for seed in range(30)]
    distinct = list({str(sample.state): sample for sample in taken}.values())
    chosen = loaded(Headed(1), "headed")
    with pytest.raises(BadInputError, match="fitted on 3 puzzles that are not measured"):
        stepscope.run("layer-lens", chosen, task=task, samples=distinct, num_steps=1, dials={"size": 3}, calibration=3)


PUZZLE = {"num_layers": 8, "layers": list(range(8))}


def test_the_share_of_the_fall():
    run = {"knowledge": [[4.0, 1.5, 0.9, 0.8, 0.7, 0.6, 0.5, 0.2, 0.0], [1.0] * 6 + [0.75, 0.6, 0.5]]}
    assert quarter_source(PUZZLE) == 6  # layers 0 to 5, after the input
    assert consolidated(run, PUZZLE) == pytest.approx((0.5 + 0.25) / 1.5)
    assert consolidated(run, PUZZLE, from_input=True) == pytest.approx((3.5 + 0.25) / 4.5)
    worse = {"knowledge": [[1.0] * 6 + [1.5, 1.2, 0.5]]}
    assert consolidated(worse, PUZZLE) == pytest.approx(-1)  # nothing is cut off
    assert consolidated({"knowledge": [[1.0] * 8 + [0.95]]}, PUZZLE) is None
    assert quarter_source({"num_layers": 8, "layers": [6, 7]}) is None
    assert quarter_source({"num_layers": 3, "layers": [0, 1, 2]}) is None
