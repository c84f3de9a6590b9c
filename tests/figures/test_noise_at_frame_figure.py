"""The figure of `noise-at-frame` is drawn from the content of result.json alone, whatever could not be measured."""

import pytest

import stepscope
from frame_by_frame import Blind, FrameByFrame
from stepscope.errors import BadInputError
from stepscope.figures import noise_at_frame

pytest.importorskip("matplotlib")


def result(model, samples=2):
    options = {"at": [2, 5], "steps": 1, "decode": False, "num_steps": 2, "dials": {"size": 5}}
    return stepscope.run("noise-at-frame", model, task="maze-two-goals", samples=samples, **options).as_json()


def texts(panel):
    return [text.get_text() for text in panel.texts]


def test_all_panels_are_drawn():
    panels = noise_at_frame.draw(result(FrameByFrame())).axes
    assert len(panels) == 6
    assert len(texts(panels[0])) == 2 * (9 - 1), "a number for each frame but the disturbed one"
    assert texts(panels[0])[:2] == ["0%", "0%"], "earlier frames do not move"
    assert "frame by frame  1" in [label.get_text() for label in panels[1].get_yticklabels()]
    assert texts(panels[5]) == ["not cut"]


def test_what_could_not_be_measured_leaves_its_panel_empty_or_says_so():
    drawn = result(Blind(), samples=1)
    figure = noise_at_frame.draw(drawn)
    assert "not-tested" in figure.get_suptitle()
    assert len(figure.axes) == 6


def test_another_experiments_result_is_refused():
    with pytest.raises(BadInputError, match="'record' came"):
        noise_at_frame.draw({"experiment": "record"})
