"""The figure of `commitment`: knowledge, choice and multiplicity of the model beside both observers, on three clocks.

A column a clock: the step, sigma, and the observer's own (SNR), on which alone models and schedules compare.  Bands are
simultaneous 95% bands over puzzles.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping
from typing import Any

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.curves import draw_words, shade

__all__ = ["draw"]

_ROWS = {"knowledge": "R (0 knows, 1 still)", "choice": "weight of the final candidate", "multiplicity": "multiplicity"}
_CLOCKS = {"step": "step", "sigma": "sigma", "signal_to_noise": "SNR = |Δ|(1 - sigma)/sigma"}
_COLOURS = {"model": "#c2410c", "observer-state": "#1d4ed8", "observer-rollout": "#64748b"}


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
    metrics = metrics_of(result, "commitment")
    figure = empty(10.0, 8.0)
    panels = figure.subplots(len(_ROWS), len(_CLOCKS), sharey="row", squeeze=False)
    for row, metric in zip(panels, _ROWS, strict=True):
        row[0].set_ylabel(_ROWS[metric])
        for panel, clock in zip(row, _CLOCKS, strict=True):
            _fill(panel, metrics["curves"], metric, clock)
    panels[0][0].set_ylim(0, max(1.05, panels[0][0].get_ylim()[1]))  # rounding is not to look like a finding
    for panel, label in zip(panels[-1], _CLOCKS.values(), strict=True):
        panel.set_xlabel(label)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=len(_COLOURS))
    entitle(figure, f"{result['model']}: {metrics['n']} puzzles")
    return figure


def _fill(panel: Any, curves: Mapping[str, Any], metric: str, clock: str) -> None:
    """One metric on one clock; one puzzle has no band, and none with several solutions has no choice."""
    for who, colour in _COLOURS.items():
        curve = curves[who][metric]
        if curve is None:
            draw_words(panel, "no puzzle with several solutions")
            return
        panel.plot(curves[clock], curve["mean"], color=colour, label=who, marker=".")
        shade(panel, curves[clock], curve["low"], curve["high"], colour)
    if clock == "sigma":
        panel.invert_xaxis()
    if clock == "signal_to_noise":
        panel.set_xscale("symlog", linthresh=1)
