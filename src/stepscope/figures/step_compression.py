"""The figure of `step-compression`: what is left with fewer steps.

Success, R of the first estimate and of the result, exploration beside the state-matched observer's, and answer changes,
each against the number of steps on a logarithmic axis, with 95% intervals over puzzles.  Drawn from `result.json`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.curves import draw_intervals, draw_words

__all__ = ["draw"]

_MODEL, _OBSERVER, _FIRST = "#c2410c", "#1d4ed8", "#64748b"
_PANELS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "success": {"success": (_MODEL, "result")},
    "R": {"knowledge": (_MODEL, "result"), "first_knowledge": (_FIRST, "first estimate")},
    "multiplicity, first quarter": {
        "explored": (_MODEL, "model"),
        "observer_explored": (_OBSERVER, "state-matched observer"),
    },
    "answer changes a run": {"changes": (_MODEL, "model")},
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
    metrics = metrics_of(result, "step-compression")
    figure = empty(14.0, 3.8)
    for panel, (label, curves) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        for name, (colour, told) in curves.items():
            _draw_curve(panel, metrics["steps"], metrics["curves"][name], colour, told)
        panel.set(xlabel="steps", ylabel=label, xscale="log")
        panel.set_xticks(metrics["steps"], [str(count) for count in metrics["steps"]])
        panel.minorticks_off()
        panel.set_ylim(bottom=1 if "multiplicity" in label else 0)
        if len(curves) > 1 and panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize="small")
    seeds = f"{metrics['seeds']} seed{'s' * (metrics['seeds'] > 1)}"
    told = f"{result['model']}: {metrics['n']} puzzles x {seeds}"
    entitle(figure, told)
    return figure


def _draw_curve(
    panel: Any, steps: Sequence[int], numbers: Sequence[Mapping[str, Any]] | None, colour: str, told: str
) -> None:
    """One curve; the number of solutions of the puzzles decides whether there is one."""
    if numbers is None:
        draw_words(panel, "no puzzle with several solutions")
        return
    draw_intervals(panel, steps, numbers, colour, told)
