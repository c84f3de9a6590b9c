"""The figure of `layer-energy`: where layers are lit, and how far they concentrate on objects.

Above, localisation: by layer with the control beside it (simultaneous 95% bands over puzzles), of each kind of object,
over steps and layers, and energy over frames.  Below, maps of one puzzle, a row a frame and a column a layer, each over
its layer's mean and all on one scale.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.curves import draw_words, shade

__all__ = ["draw"]

_OWN, _CONTROL = "#c2410c", "#64748b"


def draw(result: Mapping[str, Any]) -> Any:
    """Draw the curves and maps.

    Args:
        result: The content of `result.json`: `stepscope.open(DIR).result`, or `as_json()` of a result in memory.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        PlanError: If matplotlib is not installed.
        BadInputError: If the result is another experiment's, or of a model without layers.
    """
    metrics = metrics_of(result, "layer-energy", "with layers")
    example = metrics["example"]
    rows = len(example["frames"])
    figure = empty(12.0, 3.4 + 1.4 * rows)
    above, below = figure.subfigures(2, 1, height_ratios=[3.2, 1.4 * rows])
    panels = above.subplots(1, 4)
    _curves(panels[0], {"objects": (metrics["localisation"], _OWN), "control": (metrics["control"], _CONTROL)})
    _curves(panels[1], {kind: (band, None) for kind, band in metrics["objects"].items()})
    _steps(panels[2], metrics)
    _frames(panels[3], metrics)
    _maps(below, example)
    entitle(figure, f"{result['model']}: token energy, {metrics['n']} puzzles")
    return figure


def _curves(panel: Any, curves: Mapping[str, tuple[Mapping[str, Any] | None, str | None]]) -> None:
    """Localisation by layer."""
    for name, (band, colour) in curves.items():
        if band is None:
            continue
        (line,) = panel.plot(band["mean"], color=colour, label=name, marker=".")
        shade(panel, range(len(band["mean"])), band["low"], band["high"], line.get_color())
    panel.axhline(1.0, color="black", linestyle=":", linewidth=1)
    panel.set_xlabel("layer")
    panel.set_ylabel("energy inside / outside")
    panel.xaxis.get_major_locator().set_params(integer=True)
    if panel.lines[:-1]:
        panel.legend(fontsize="small", frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)


def _steps(panel: Any, metrics: Mapping[str, Any]) -> None:
    """Localisation over steps and layers, white where objects are lit like the rest."""
    if metrics["localisation"] is None:
        draw_words(panel, "no masks of objects")
        return
    values = np.array(metrics["localisation"]["steps"]).T
    reach = max(float(np.abs(values - 1).max()), 0.05)
    image = panel.imshow(values, origin="lower", aspect="auto", cmap="PuOr_r", vmin=1 - reach, vmax=1 + reach)
    _labelled(panel, "step", "layer")
    panel.figure.colorbar(image, ax=panel, label="inside / outside")


def _frames(panel: Any, metrics: Mapping[str, Any]) -> None:
    """Energy over frames and layers, each layer on its own scale."""
    image = panel.imshow(metrics["energy"]["frames"], origin="lower", aspect="auto", cmap="viridis")
    _labelled(panel, "latent frame", "layer")
    panel.figure.colorbar(image, ax=panel, label="share of the layer's largest")


def _labelled(panel: Any, across: str, up: str) -> None:
    panel.set_xlabel(across)
    panel.set_ylabel(up)
    for axis in (panel.xaxis, panel.yaxis):
        axis.get_major_locator().set_params(integer=True)


def _maps(figure: Any, example: Mapping[str, Any]) -> None:
    """The maps of one puzzle."""
    maps = np.array(example["maps"])
    panels = figure.subplots(len(example["frames"]), len(example["layers"]), squeeze=False)
    low, high = np.quantile(maps, [0.01, 0.99])
    image = None
    for column, layer in enumerate(example["layers"]):
        panels[0][column].set_title(f"layer {layer}", fontsize="small")
        for row, frame in enumerate(example["frames"]):
            panel = panels[row][column]
            image = panel.imshow(maps[column, row], cmap="magma", vmin=low, vmax=high)
            panel.set_xticks([])
            panel.set_yticks([])
            if column == 0:
                panel.set_ylabel(f"frame {frame}", fontsize="small")
    figure.colorbar(image, ax=panels, label="energy / mean of the layer", shrink=0.6)
