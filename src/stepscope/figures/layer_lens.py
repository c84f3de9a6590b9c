"""The figure of `layer-lens`: what is known and what is chosen, over steps and layers, and R through the layers.

Maps have a column a step and a row a layer; the lowest row is what enters the first block.  R is shown up to 1, beyond
which no more is known than a still video.  Below, R and choice by layer, a line a step, and the mean over steps with
its simultaneous 95% band over puzzles.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.curves import draw_words, shade

__all__ = ["draw"]

_MEAN = "#c2410c"
_TITLES = {"knowledge": "R (0 knows, 1 still)", "choice": "weight of the final candidate"}


def draw(result: Mapping[str, Any]) -> Any:
    """Draw the maps and curves.

    Args:
        result: The content of `result.json`: `stepscope.open(DIR).result`, or `as_json()` of a result in memory.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        PlanError: If matplotlib is not installed.
        BadInputError: If the result is another experiment's, or of a model that cannot be read.
    """
    metrics = metrics_of(result, "layer-lens", "with layers and a head")
    figure = empty(9.0, 7.0)
    panels = figure.subplots(2, len(_TITLES), squeeze=False)
    for column, (name, title) in enumerate(_TITLES.items()):
        found = metrics[name]
        if found is None:
            for panel in panels[:, column]:
                draw_words(panel, "no puzzle with several solutions")
                panel.set_axis_off()
            continue
        values = np.array(found["map"])
        _map(panels[0][column], values, title, metrics)
        _lines(panels[1][column], values, found["band"], title, metrics)
    several = f", {metrics['several_solutions']} with several solutions" if metrics["several_solutions"] else ""
    entitle(figure, f"{result['model']}: layer lens, {metrics['n']} puzzles{several}")
    return figure


def _names(metrics: Mapping[str, Any]) -> Sequence[str]:
    return ["input", *map(str, metrics["layers"])]


def _map(panel: Any, values: np.ndarray, title: str, metrics: Mapping[str, Any]) -> None:
    """Steps across, layers up."""
    colours = "viridis_r" if title == _TITLES["knowledge"] else "viridis"
    image = panel.imshow(np.minimum(values, 1.0).T, origin="lower", aspect="auto", cmap=colours, vmin=0, vmax=1)
    _every(panel.set_xticks, [str(step) for step in metrics["steps"]])
    _every(panel.set_yticks, _names(metrics))
    panel.set_xlabel("step")
    panel.set_ylabel("layer")
    panel.figure.colorbar(image, ax=panel, label=title)


def _lines(panel: Any, values: np.ndarray, band: Mapping[str, Any], title: str, metrics: Mapping[str, Any]) -> None:
    """Layers across, a grey line a step, early ones pale, and their mean; R above 1 is off the panel."""
    places = range(values.shape[1])
    for grey, line in zip(np.linspace(0.85, 0.25, len(values)), values, strict=True):
        panel.plot(places, line, color=str(grey), linewidth=1)
    panel.plot(places, band["mean"], color=_MEAN, marker=".", label="mean over steps")
    shade(panel, places, band["low"], band["high"], _MEAN)
    panel.plot([], [], color="0.55", label="one step, pale to dark")
    panel.set_ylim(0, 1.05)
    _every(panel.set_xticks, _names(metrics))
    panel.set_xlabel("layer")
    panel.set_ylabel(title)
    panel.legend(fontsize="small", frameon=False)


def _every(ticks: Any, names: Sequence[str]) -> None:
    """Label every place, or every few of many."""
    stride = -(-len(names) // 12)
    ticks(range(0, len(names), stride), names[::stride])
