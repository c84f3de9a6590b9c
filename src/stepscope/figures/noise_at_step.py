"""The figure of `noise-at-step`: what is left of the answer, against the step that was disturbed, on three clocks.

A row a score, the lever arm last: where it is short, little was moved.  Grey lines are the run of another seed, dashed
ones the runs without noise, and a dotted upright the step at which one expert hands over to another; green is the
same sweep with that boundary moved.  Bands are simultaneous 95% bands over puzzles.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping
from typing import Any

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.clocks import set_clock, set_knowledge
from stepscope.figures.curves import shade

__all__ = ["draw"]

_CLOCKS = {"step": "disturbed step", "sigma": "sigma", "signal_to_noise": "SNR = |Δ|(1 - sigma)/sigma"}
_ROWS = {
    "success": "success",
    "kept": "answer kept",
    "progress": "progress",
    "knowledge": "R of the result",
    "lever_arm": "lever arm",
}
_NOISE, _NULL, _MOVED = "#c2410c", "#64748b", "#0f766e"


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
    metrics = metrics_of(result, "noise-at-step")
    rows = [name for name in _ROWS if metrics["curves"][name] is not None]
    figure = empty(10.0, 1.9 * len(rows) + 0.7)
    panels = figure.subplots(len(rows), len(_CLOCKS), sharey="row", sharex="col", squeeze=False)
    for row, name in zip(panels, rows, strict=True):
        row[0].set_ylabel(_ROWS[name])
        for panel, clock in zip(row, _CLOCKS, strict=True):
            _fill(panel, metrics, name, clock)
    for panel, label in zip(panels[-1], _CLOCKS.values(), strict=True):
        panel.set_xlabel(label)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower right", ncols=4)
    told = f"{result['model']}: noise ({metrics['mode']}) at one step, {metrics['n']} puzzles"
    entitle(figure, told)
    return figure


def _fill(panel: Any, metrics: Mapping[str, Any], name: str, clock: str) -> None:
    """One score on one clock."""
    curves, curve = metrics["curves"], metrics["curves"][name]
    if name == "lever_arm":
        panel.plot(curves[clock], curve, color=_NULL, marker=".")
        panel.set_ylim(bottom=0)
    else:
        panel.plot(curves[clock], curve["mean"], color=_NOISE, marker=".", label="noise at the step")
        shade(panel, curves[clock], curve["low"], curve["high"], _NOISE)
        if metrics["moved"] is not None and metrics["moved"]["curves"][name] is not None:
            panel.plot(curves[clock], metrics["moved"]["curves"][name]["mean"], color=_MOVED, label="boundary moved")
        if name == "knowledge":
            set_knowledge(panel)
        else:
            panel.set_ylim(-0.04, 1.04)
        _level(panel, metrics["clean"].get(name), "black", "--", "no noise")
        _level(panel, metrics["other_seed"].get(name), _NULL, "-", "another seed")
    if metrics["switch"] is not None:
        panel.axvline(metrics["switch"][clock], color="black", linestyle=":", linewidth=1, label="expert switch")
    if metrics["moved"] is not None and metrics["moved"]["switch"] is not None:
        panel.axvline(metrics["moved"]["switch"][clock], color=_MOVED, linestyle=":", linewidth=1, label="moved switch")
    set_clock(panel, clock)


def _level(panel: Any, interval: Mapping[str, Any] | None, colour: str, style: str, label: str) -> None:
    if interval is not None:
        panel.axhline(interval["value"], color=colour, linestyle=style, linewidth=1, label=label)
