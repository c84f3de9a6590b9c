"""The figure of `frame-count`: what is left in a shorter video.

Success, R of the first estimate and of the result, and coherence, each against the number of frames, with 95% intervals
over puzzles; lengths outside of the model's training are shaded.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping
from typing import Any

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.curves import draw_intervals

__all__ = ["draw"]

_MODEL, _FIRST, _OUTSIDE = "#c2410c", "#64748b", "#94a3b8"
_PANELS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "success": {"success": (_MODEL, "result")},
    "R": {"knowledge": (_MODEL, "result"), "first_knowledge": (_FIRST, "first estimate")},
    "share of coherent frames": {"coherent": (_MODEL, "result")},
}


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
    metrics = metrics_of(result, "frame-count")
    figure = empty(11.0, 3.6)
    for panel, (label, curves) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        for name, (colour, told) in curves.items():
            draw_intervals(panel, metrics["frames"], metrics["curves"][name], colour, told)
        _shade(panel, metrics)
        panel.set_xticks(metrics["frames"])
        panel.set(xlabel="frames", ylabel=label, ylim=(0, 1.05) if label != "R" else (0, None))
        if len(curves) > 1:
            panel.legend(fontsize="small")
    seeds = f"{metrics['seeds']} seed{'s' * (metrics['seeds'] > 1)}"
    told = f"{result['model']}: {metrics['n']} puzzles x {seeds}, as many steps at every length"
    entitle(figure, told)
    return figure


def _shade(panel: Any, metrics: Mapping[str, Any]) -> None:
    """What the model never saw."""
    first, last = metrics["frames"][0], metrics["frames"][-1]
    shortest, longest = metrics["trained"] or (first, last)
    for low, high in ((first, shortest), (longest, last)):
        if low < high:
            panel.axvspan(low, high, color=_OUTSIDE, alpha=0.2, linewidth=0)
