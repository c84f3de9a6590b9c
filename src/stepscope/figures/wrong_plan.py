"""The figure of `wrong-plan`: how often a wrong plan is repaired, beside the ideal observer, a column a donor.

Against the step and the observer's own clock; below, whether the clean run's answer came back, and R of the results.
Bands are simultaneous 95% bands over puzzles.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.clocks import set_clock, set_knowledge
from stepscope.figures.curves import draw_words, shade

__all__ = ["draw"]

_TITLES = {
    "other-valid": "another right answer\n(repaired: refused), n = {n}",
    "corrupted": "{share:.0%} of the cells wrong\nn = {n}",
    "foreign": "another puzzle's answer\nn = {n}",
}
_ROWS = (
    ("repair", "step", "repaired"),
    ("repair", "signal_to_noise", "repaired"),
    ("kept", "step", "clean answer came back"),
    ("knowledge", "step", "R of the result"),
)
_LABELS = {"step": "step of the wrong plan", "signal_to_noise": "SNR = |Δ|(1 - sigma)/sigma"}
_MODEL, _OBSERVER = "#c2410c", "#1d4ed8"


def draw(result: Mapping[str, Any]) -> Any:
    """Draw the curves.

    Args:
        result: The content of `result.json`: `stepscope.open(DIR).result`, or `as_json()` of a result in memory.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        PlanError: If matplotlib is not installed.
        BadInputError: If the result is another experiment's.
    """
    metrics = metrics_of(result, "wrong-plan")
    donors = [donor for donor in _TITLES if donor in metrics["donors"]]
    figure = empty(1.2 + 3.1 * len(donors), 9.0)
    panels = figure.subplots(len(_ROWS), len(donors), sharey="row", squeeze=False)
    for column, donor in zip(panels.T, donors, strict=True):
        found = metrics["donors"][donor]
        column[0].set_title(_TITLES[donor].format(n=found["n"], share=metrics["share"]), fontsize="medium")
        for panel, (name, clock, _) in zip(column, _ROWS, strict=True):
            _fill(panel, metrics["curves"][clock], found, name)
            set_clock(panel, clock)
            panel.set_xlabel(_LABELS[clock])
    for panel in panels[-1]:
        set_knowledge(panel)  # when all of the row is drawn, which shares its axis
    for panel, (_, _, label) in zip(panels[:, 0], _ROWS, strict=True):
        panel.set_ylabel(label)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower right", ncols=2)
    entitle(figure, f"{result['model']}: a wrong plan at one step")
    return figure


def _fill(panel: Any, clock: Sequence[float | int], found: Mapping[str, Any], name: str) -> None:
    """One score of one donor; the observer's own is drawn where there is one."""
    _curve(panel, clock, found[name], _MODEL, "-", "model")
    if name == "repair":
        _curve(panel, clock, found["observer"], _OBSERVER, "--", "ideal observer")
    if name != "knowledge":
        panel.set_ylim(-0.04, 1.04)


def _curve(
    panel: Any, clock: Sequence[float | int], curve: Mapping[str, Any] | None, colour: str, style: str, label: str
) -> None:
    if curve is None:
        draw_words(panel, "no clean run with an answer")
        return
    panel.plot(clock, curve["mean"], color=colour, linestyle=style, marker=".", label=label)
    shade(panel, clock, curve["low"], curve["high"], colour)
