"""The figure of `commitment` is drawn from the content of result.json alone."""

import sys

import pytest

from stepscope.errors import BadInputError, PlanError
from stepscope.figures import commitment


def result(band=True, several=True):
    curve = {"mean": [2.0, 1.0], "low": [1.9, 0.9] if band else None, "high": [2.1, 1.1] if band else None}
    who = {"knowledge": curve, "choice": curve if several else None, "multiplicity": curve if several else None}
    clocks = {"step": [0, 1], "sigma": [1.0, 0.5], "signal_to_noise": [0.0, 20.0]}
    curves = clocks | dict.fromkeys(("model", "observer-state", "observer-rollout"), who)
    return {"experiment": "commitment", "model": "toy", "metrics": {"n": 3, "curves": curves}}


@pytest.mark.parametrize("band", [True, False])
def test_every_metric_has_a_panel_on_every_clock(band):
    pytest.importorskip("matplotlib")
    panels = commitment.draw(result(band)).axes
    assert len(panels) == 9
    assert all(len(panel.lines) == 3 for panel in panels)
    assert all(len(panel.collections) == (3 if band else 0) for panel in panels)


def test_what_cannot_be_measured_is_said():
    pytest.importorskip("matplotlib")
    panels = commitment.draw(result(several=False)).axes
    assert [len(panel.lines) for panel in panels] == [3] * 3 + [0] * 6
    assert all("several solutions" in panel.texts[0].get_text() for panel in panels[3:])


def test_a_missing_matplotlib_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(PlanError, match=r"stepscope\[figures\]") as caught:
        commitment.draw(result())
    assert "\n" not in str(caught.value)


def test_another_experiments_result_is_refused():
    with pytest.raises(BadInputError, match="'record' came"):
        commitment.draw({"experiment": "record"})
