"""The figure of `layer-probe`: what a linear probe reads, over steps and from what goes in to what comes out.

A row a question.  Left the accuracy on puzzles that were held out, right the same with shuffled labels, one scale for
all.  A frame marks the first step at which a layer can be read better than the inputs.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping
from typing import Any

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.curves import draw_words

__all__ = ["draw"]

_QUESTIONS = {"goal": "Which goal?", "path": "Is this cell on the way?", "agent": "Is the agent here now?"}
_HALVES = {"accuracy": "held-out accuracy", "control": "shuffled labels"}
_LEAST = 0.5


def draw(result: Mapping[str, Any]) -> Any:
    """Draw the maps.

    Args:
        result: The content of `result.json`: `stepscope.open(DIR).result`, or `as_json()` of a result in memory.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        PlanError: If matplotlib is not installed.
        BadInputError: If the result is another experiment's.
    """
    metrics = metrics_of(result, "layer-probe")
    height = 0.9 + 0.26 * len(metrics["sources"])
    figure = empty(10.0, 0.8 + height * len(_QUESTIONS))
    panels = figure.subplots(len(_QUESTIONS), len(_HALVES), sharex=True, sharey=True, squeeze=False)
    drawn = [
        _fill(panel, metrics, question, half)
        for row, question in zip(panels, _QUESTIONS, strict=True)
        for panel, half in zip(row, _HALVES, strict=True)
    ]
    for panel in panels[-1]:
        panel.set_xlabel("step")
    maps = [image for image in drawn if image is not None]
    if maps:
        figure.colorbar(maps[0], ax=panels, shrink=0.6, extend="min", label="share read rightly")
    entitle(figure, f"{result['model']}: {metrics['n']} puzzles")
    return figure


def _fill(panel: Any, metrics: Mapping[str, Any], question: str, half: str) -> Any:
    """One map; None, and a word, where nothing could be asked."""
    found, steps, sources = metrics["questions"][question], metrics["steps"], metrics["sources"]
    panel.set_title(f"{_QUESTIONS[question]} {_HALVES[half]}", loc="left", fontsize="medium")
    panel.set_xticks(range(len(steps)), labels=[str(step) for step in steps])
    panel.set_yticks(range(len(sources)), labels=list(sources), fontsize="small")
    if found is None:
        draw_words(panel, "nothing to ask")
        return None
    values = found["accuracy"]["mean"] if half == "accuracy" else found["control"]
    columns = [list(column) for column in zip(*values, strict=True)]
    image = panel.imshow(columns, vmin=_LEAST, vmax=1, cmap="viridis", aspect="auto", origin="lower")
    for row, column in enumerate(columns):
        for place, value in enumerate(column):
            ink = "black" if value > 0.8 else "white"
            panel.text(place, row, f"{100 * value:.0f}", ha="center", va="center", color=ink, fontsize="x-small")
    if half == "accuracy" and found["decodable"] is not None:
        _frame(panel, steps.index(found["decodable"]["step"]), sources.index(found["decodable"]["source"]))
    return image


def _frame(panel: Any, place: int, row: int) -> None:
    """Four lines around a cell."""
    left, right, low, high = place - 0.5, place + 0.5, row - 0.5, row + 0.5
    panel.plot([left, right, right, left, left], [low, low, high, high, low], color="#c2410c", linewidth=2)
