"""The figures of `layer-swap` and `layer-probe` are drawn from the content of result.json alone."""

import pytest

from stepscope.errors import BadInputError
from stepscope.figures import layer_probe, layer_swap


def swapped(steps=1, band=True, random=True):
    rows = [[0.0, 1.0, 0.5]] * steps
    grid = {"mean": rows, "low": rows if band else None, "high": rows if band else None}
    row = {"flip": {"mean": [0.0] * steps}, "final": {"value": 0.0, "ci95": None, "n": 2}}
    nothing = dict.fromkeys(("flip", "choice", "final"))
    maps = dict.fromkeys(("flip", "choice", "final"), grid)
    return {
        "experiment": "layer-swap",
        "model": "toy",
        "metrics": {
            "n": 2,
            "donor": "other-prompt",
            "mode": "delta",
            "steps": list(range(steps)),
            "lever_arm": [0.1] * steps,
            "layers": [0, 1, 2],
            "swap": maps,
            "random": maps if random else nothing,
            "floor": row,
            "ceiling": row,
        },
    }


def probed(decodable=True, asked=True):
    grid = [[0.5, 0.6, 1.0], [0.5, 0.9, 1.0]]
    found = {
        "accuracy": {"mean": grid},
        "control": grid,
        "decodable": {"step": 4, "source": "layer 0"} if decodable else None,
    }
    questions = dict.fromkeys(("goal", "path", "agent"), found if asked else None)
    sources = ["latents", "layer 0", "estimate"]
    metrics = {"n": 2, "steps": [0, 4], "sources": sources, "questions": questions}
    return {"experiment": "layer-probe", "model": "toy", "metrics": metrics}


@pytest.mark.parametrize(("steps", "band", "random"), [(1, True, True), (2, False, False)])
def test_every_step_has_a_panel_for_each_reading(steps, band, random):
    pytest.importorskip("matplotlib")
    axes = layer_swap.draw(swapped(steps, band, random)).axes
    maps, panels = [panel for panel in axes if panel.images], [panel for panel in axes if panel.lines]
    assert len(maps) == (2 if steps > 1 else 0)
    assert all(panel.images[0].get_array().shape == (3, steps) for panel in maps)
    assert len(panels) == 2 * steps
    assert all(len(panel.lines) == 2 + 1 + random for panel in panels)
    assert all(len(panel.collections) == (1 + random if band else 0) for panel in panels)


def test_every_question_has_a_map_and_its_control():
    pytest.importorskip("matplotlib")
    panels = layer_probe.draw(probed()).axes
    assert [len(panel.images) for panel in panels[:6]] == [1] * 6
    assert [len(panel.lines) for panel in panels[:6]] == [1, 0] * 3, "the frame of the first cell"
    assert [text.get_text() for text in panels[0].texts] == ["50", "50", "60", "90", "100", "100"]
    assert [len(panel.lines) for panel in layer_probe.draw(probed(decodable=False)).axes[:6]] == [0] * 6


def test_what_could_not_be_asked_is_said():
    pytest.importorskip("matplotlib")
    panels = layer_probe.draw(probed(asked=False)).axes
    assert [panel.texts[0].get_text() for panel in panels] == ["nothing to ask"] * 6


@pytest.mark.parametrize("figure", [layer_swap, layer_probe])
def test_another_experiments_result_is_refused(figure):
    with pytest.raises(BadInputError, match="'commitment' came") as caught:
        figure.draw({"experiment": "commitment"})
    assert "\n" not in str(caught.value)
