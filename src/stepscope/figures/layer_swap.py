"""The figure of `layer-swap`: how often the donor's answer is shown, over the layer that was swapped.

A row a step at which swaps began; with several of them, first a map over steps and layers.  Left: in that step's clean
estimate; right: in the result.  Between the floor
(the run by itself) and the ceiling (the donor by itself) lie the swap and, as a control, a donor that knows nothing of
the answer.  Bands are simultaneous 95% bands over puzzles.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping
from typing import Any

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.curves import shade

__all__ = ["draw"]

_COLUMNS = {"flip": "in the clean estimate of step", "final": "in the result"}
_LINES = {"swap": ("the donor", "#c2410c"), "random": ("a donor at random", "#64748b")}
_MAPS = {"flip": "in that step's clean estimate", "final": "in the result"}
_MAPS_HEIGHT = 2.6
_EDGES = {"ceiling": "the donor by itself", "floor": "the run by itself"}


def draw(result: Mapping[str, Any]) -> Any:
    """Draw the flips.

    Args:
        result: The content of `result.json`: `stepscope.open(DIR).result`, or `as_json()` of a result in memory.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        PlanError: If matplotlib is not installed.
        BadInputError: If the result is another experiment's.
    """
    metrics = metrics_of(result, "layer-swap")
    height = 1.2 + 2.6 * len(metrics["steps"])
    several = len(metrics["steps"]) > 1
    figure = below = empty(9.0, height + _MAPS_HEIGHT * several)
    if several:
        above, below = figure.subfigures(2, 1, height_ratios=[_MAPS_HEIGHT, height])
        _maps(above, metrics)
    panels = below.subplots(len(metrics["steps"]), 2, sharex=True, sharey=True, squeeze=False)
    for place, row in enumerate(panels):
        for panel, reading in zip(row, _COLUMNS, strict=True):
            _fill(panel, metrics, reading, place)
        row[0].set_ylabel("share that shows\nthe donor's answer")
        row[0].set_title(f"{_COLUMNS['flip']} {metrics['steps'][place]}", loc="left", fontsize="medium")
        row[1].set_title(
            f"{_COLUMNS['final']}; lever arm {metrics['lever_arm'][place]:.2g}", loc="left", fontsize="medium"
        )
    for panel in panels[-1]:
        panel.set_xlabel("layer")
        panel.xaxis.get_major_locator().set_params(integer=True)
    panels[0][0].set_ylim(-0.04, 1.04)
    below.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    told = f"{result['model']}: {metrics['n']} puzzles, donor {metrics['donor']}, mode {metrics['mode']}"
    entitle(figure, told)
    return figure


def _maps(above: Any, metrics: Mapping[str, Any]) -> None:
    """Steps across, layers up: how often the donor's answer is shown."""
    panels, images = above.subplots(1, 2), []
    for panel, (reading, title) in zip(panels, _MAPS.items(), strict=True):
        columns = [list(column) for column in zip(*metrics["swap"][reading]["mean"], strict=True)]
        images.append(panel.imshow(columns, origin="lower", aspect="auto", cmap="viridis", vmin=0, vmax=1))
        panel.set_xticks(range(len(metrics["steps"])), metrics["steps"])
        panel.set_yticks(range(len(metrics["layers"])), metrics["layers"])
        panel.set_xlabel("step at which the swap began")
        panel.set_ylabel("layer")
        panel.set_title(title, loc="left", fontsize="medium")
    above.colorbar(images[0], ax=panels, label="shows the donor's answer")


def _fill(panel: Any, metrics: Mapping[str, Any], reading: str, place: int) -> None:
    """One reading of the swaps that began at one step."""
    layers = metrics["layers"]
    for who, (label, colour) in _LINES.items():
        if metrics[who] is not None and metrics[who][reading] is not None:
            flips = metrics[who][reading]
            panel.plot(layers, flips["mean"][place], color=colour, label=label, marker="o", markersize=4)
            low, high = (flips[end] and flips[end][place] for end in ("low", "high"))
            shade(panel, layers, low, high, colour)
    for who, label in _EDGES.items():
        edge = metrics[who][reading]
        level = edge["value"] if reading == "final" else edge["mean"][place]
        panel.axhline(level, color="black", linestyle="--" if who == "ceiling" else ":", linewidth=1, label=label)
