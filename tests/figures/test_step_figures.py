"""The figures of `noise-at-step`, propagation and `wrong-plan` are drawn from the content of result.json alone."""

import copy

import pytest

from stepscope.errors import BadInputError
from stepscope.figures import noise_at_step, propagation, wrong_plan

CLOCKS = {"step": [0, 2], "sigma": [1.0, 0.5], "signal_to_noise": [0.0, 20.0], "lever_arm": [0.1, 0.5]}
CURVE = {"mean": [1.0, 0.5], "low": [0.9, 0.4], "high": [1.0, 0.6], "n": 3}
LEVEL = {"value": 0.5, "ci95": [0.4, 0.6], "n": 3}
NULL = {"n": 2, "mean": [0.0, 0.1, 0.2]}
SITE = {
    "map": [[0.1, 0.2, 0.3], [None, None, 0.4]],
    "sensitivity": CURVE,
    "same_answer": NULL,
    "other_answer": {"n": 0, "mean": None},
}
NOISE = {
    "experiment": "noise-at-step",
    "model": "toy",
    "metrics": {
        "mode": "renoise",
        "n": 3,
        "num_steps": 3,
        "curves": CLOCKS | {"success": CURVE, "kept": None, "knowledge": CURVE, "progress": CURVE},
        "clean": {"success": LEVEL, "knowledge": LEVEL},
        "other_seed": {"success": LEVEL, "kept": LEVEL, "knowledge": LEVEL},
        "switch": None,
        "moved": None,
        "propagation": {"clean_estimate": SITE, "latents": SITE, "layer 3": SITE},
    },
}
DONOR = {"n": 3, "repair": CURVE, "observer": CURVE, "kept": None, "knowledge": CURVE}
WRONG = {
    "experiment": "wrong-plan",
    "model": "toy",
    "metrics": {"share": 0.25, "curves": CLOCKS, "donors": {"corrupted": DONOR, "foreign": DONOR}},
}


def switched(result):
    changed = copy.deepcopy(result)
    changed["metrics"]["switch"] = {"step": 1, "sigma": 0.8, "signal_to_noise": 3.0}
    return changed


@pytest.fixture(autouse=True)
def _drawn():
    pytest.importorskip("matplotlib")


def test_scores_that_were_measured_have_a_row_on_every_clock():
    figure = noise_at_step.draw(NOISE)
    labels = [panel.get_ylabel() for panel in figure.axes[::3]]
    assert labels == ["success", "progress", "R of the result", "lever arm"]
    assert len(figure.axes) == 12
    assert all(len(panel.lines) == 3 for panel in figure.axes[:3]), "noise, no noise, another seed"


def test_where_experts_switch_a_line_is_drawn_in_every_panel():
    for draw in (noise_at_step.draw, propagation.draw):
        plain, crossed = ([len(panel.lines) for panel in draw(each).axes] for each in (NOISE, switched(NOISE)))
        lines = [panel for panel, count in enumerate(plain) if count]
        assert [crossed[panel] - plain[panel] for panel in lines] == [1] * len(lines)


def test_maps_share_one_scale_and_stand_over_their_nulls():
    figure = propagation.draw(NOISE)
    images = [panel.images[0] for panel in figure.axes if panel.images]
    assert [image.get_array().shape for image in images] == [(2, 3)] * 6
    assert {image.get_clim() for image in images} == {(0.0, 1.0)}
    assert [panel.get_title() for panel in figure.axes[:3]] == ["clean estimates (drawn part)", "latents", "layer 3"]
    lower = [panel for panel in figure.axes if panel.lines]
    assert [len(panel.lines) for panel in lower] == [2] * 3, "no other seed gave another answer"


def test_a_column_a_donor_and_the_observer_beside_the_model():
    figure = wrong_plan.draw(WRONG)
    assert len(figure.axes) == 8
    titles = [panel.get_title() for panel in figure.axes[:2]]
    assert titles == ["25% of the cells wrong\nn = 3", "another puzzle's answer\nn = 3"]
    assert [len(panel.lines) for panel in figure.axes] == [2] * 4 + [0] * 2 + [2] * 2
    assert "no clean run" in figure.axes[4].texts[0].get_text()


@pytest.mark.parametrize("figure", [noise_at_step, propagation, wrong_plan])
def test_they_are_saved_as_pictures_and_as_lines(figure, tmp_path):
    drawn = figure.draw(WRONG if figure is wrong_plan else NOISE)
    for suffix in ("svg", "png"):
        drawn.savefig(tmp_path / f"figure.{suffix}", dpi=20)
        assert (tmp_path / f"figure.{suffix}").stat().st_size > 0


@pytest.mark.parametrize("figure", [noise_at_step, propagation, wrong_plan])
def test_another_experiments_result_is_refused(figure):
    with pytest.raises(BadInputError, match="'record' came") as caught:
        figure.draw({"experiment": "record", "metrics": {}})
    assert "\n" not in str(caught.value)
