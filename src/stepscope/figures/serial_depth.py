"""The figure of `serial-depth`: success by the number of bounces beside flights as long without, and the gap by steps.

A line for each number of steps, dashed for the twins; on the right the gap of each with its 95% interval.  If
more steps bought more depth, the lines would rise and the gap would fall.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping
from typing import Any

from stepscope.figures.canvas import empty, entitle, metrics_of

__all__ = ["draw"]


def draw(result: Mapping[str, Any]) -> Any:
    """Draw the lines.

    Args:
        result: The content of `result.json`: `stepscope.open(DIR).result`, or `as_json()` of a result in memory.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        PlanError: If matplotlib is not installed.
        BadInputError: If the result is another experiment's.
    """
    metrics = metrics_of(result, "serial-depth")
    figure = empty(9.0, 4.0)
    success, gap = figure.subplots(1, 2)
    for index, found in enumerate(metrics["by_steps"]):
        _lines(success, found, f"C{index}")
        _gap(gap, found, f"C{index}")
    success.set(xlabel="bounces", ylabel="success (dashed: as long, no bounce)", ylim=(-0.02, 1.02))
    success.set_xticks(sorted({row["depth"] for found in metrics["by_steps"] for row in found["depths"]}))
    success.legend(title="steps")
    gap.axhline(0, color="#94a3b8", linewidth=1)
    gap.set(xlabel="steps", ylabel="gap: twin minus flight")
    gap.set_xticks([found["num_steps"] for found in metrics["by_steps"]])
    entitle(figure, f"{result['model']}: {metrics['n']} puzzles")
    return figure


def _lines(panel: Any, found: Mapping[str, Any], colour: str) -> None:
    for name, style in (("success", "-"), ("twin_success", "--")):
        rows = [(row["depth"], row[name]) for row in found["depths"] if row[name] is not None]
        depths, values = [depth for depth, _ in rows], [each["value"] for _, each in rows]
        panel.plot(depths, values, style, color=colour, marker=".", label=found["num_steps"] if style == "-" else None)
        if style == "-":
            spans = [each["ci95"] or (each["value"],) * 2 for _, each in rows]
            panel.vlines(depths, [low for low, _ in spans], [high for _, high in spans], color=colour, alpha=0.4)


def _gap(panel: Any, found: Mapping[str, Any], colour: str) -> None:
    gap = found["gap"]
    if gap is None:
        return
    low, high = gap["ci95"] or (gap["value"],) * 2
    panel.plot([found["num_steps"]], [gap["value"]], color=colour, marker="o")
    panel.vlines([found["num_steps"]], [low], [high], color=colour)
