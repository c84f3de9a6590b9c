"""The figure of propagation: what noise at one step does to every later step, by CKA dissimilarity, beside its nulls.

Above, a map for each site: disturbed step down, later step across, 0 (as the clean run) to 1 (nothing in common), all
on one scale; under each map the two nulls, another seed that ended on the same answer and one that ended on another.
Below, the last column of the map of clean estimates, the sensitivity, on three clocks.  Drawn from `result.json` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stepscope.errors import BadInputError
from stepscope.figures.canvas import empty, entitle
from stepscope.figures.clocks import set_clock
from stepscope.figures.curves import shade

__all__ = ["draw"]

_CLOCKS = {"step": "disturbed step", "sigma": "sigma", "signal_to_noise": "SNR = |Δ|(1 - sigma)/sigma"}
_NULLS = {"same_answer": "same answer", "other_answer": "other answer"}
_COLOURS = {"same_answer": "#1d4ed8", "other_answer": "#64748b"}
_SENSITIVITY = "#c2410c"
_MAIN = "clean_estimate"
_TITLES = {_MAIN: "clean estimates (drawn part)", "latents": "latents"}


def draw(result: Mapping[str, Any]) -> Any:
    """Draw maps and curves.

    Args:
        result: The content of `result.json` of an experiment that measures propagation, such as `noise-at-step`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        PlanError: If matplotlib is not installed.
        BadInputError: If the result holds no propagation.
    """
    metrics = result.get("metrics", {})
    if "propagation" not in metrics:
        raise BadInputError(
            f"The result of {result.get('experiment')!r} came. This figure draws the propagation of 'noise-at-step'. "
            "Open the folder of such a run."
        )
    sites = metrics["propagation"]
    figure = empty(max(10.0, 3.4 * len(sites)), 7.6)
    above, below = figure.subfigures(2, 1, height_ratios=(5, 3))
    _maps(above, metrics)
    panels = below.subplots(1, len(_CLOCKS), sharey=True)
    for panel, (clock, label) in zip(panels, _CLOCKS.items(), strict=True):
        _fill(panel, metrics, clock)
        panel.set_xlabel(label)
    panels[0].set_ylabel("dissimilarity at the end")
    below.legend(*panels[0].get_legend_handles_labels(), loc="outside lower right", ncols=4)
    told = f"{result['model']}: what noise ({metrics['mode']}) at one step does later, {metrics['n']} puzzles"
    entitle(figure, told)
    return figure


def _maps(figure: Any, metrics: Mapping[str, Any]) -> None:
    """A map for each site over its nulls, and the scale."""
    sites, steps = metrics["propagation"], metrics["curves"]["step"]
    panels = figure.subplots(2, len(sites), height_ratios=(max(3, len(steps)), 2), squeeze=False)
    shown = None
    for (over, under), (site, found) in zip(panels.T, sites.items(), strict=True):
        shown = _image(over, found["map"], [str(step) for step in steps])
        over.set_title(_TITLES.get(site, site), fontsize="medium")
        nulls = [found[name]["mean"] or [None] * metrics["num_steps"] for name in _NULLS]
        _image(under, nulls, [f"{label} ({found[name]['n']})" for name, label in _NULLS.items()])
        under.set_xlabel("later step")
        under.xaxis.get_major_locator().set_params(integer=True)
        over.set_xticks([])
    panels[0][0].set_ylabel("disturbed step")
    panels[1][0].set_ylabel("other\nseed")
    for panel in panels[1][1:]:
        panel.set_yticks([])
    figure.colorbar(shown, ax=panels, label="CKA dissimilarity", shrink=0.8)


def _image(panel: Any, rows: Sequence[Sequence[float | None]], labels: Sequence[str]) -> Any:
    """Rows as colours; what is not there stays white."""
    values = [[float("nan") if value is None else value for value in row] for row in rows]
    every = max(1, len(labels) // 10)
    panel.set_yticks(range(0, len(labels), every), labels[::every], fontsize="small")
    panel.set_facecolor("white")
    return panel.imshow(values, vmin=0, vmax=1, cmap="YlGnBu", aspect="auto", interpolation="nearest")


def _fill(panel: Any, metrics: Mapping[str, Any], clock: str) -> None:
    """The sensitivity on one clock, between what another seed does when it answers alike and when it does not."""
    found, times = metrics["propagation"][_MAIN], metrics["curves"][clock]
    curve = found["sensitivity"]
    if curve is not None:
        panel.plot(times, curve["mean"], color=_SENSITIVITY, linestyle="--", marker=".", label="noise at the step")
        shade(panel, times, curve["low"], curve["high"], _SENSITIVITY)
    for name, label in _NULLS.items():
        if found[name]["mean"] is not None and found[name]["mean"][-1] is not None:
            panel.axhline(found[name]["mean"][-1], color=_COLOURS[name], linewidth=1, label=f"other seed, {label}")
    if metrics["switch"] is not None:
        panel.axvline(metrics["switch"][clock], color="black", linestyle=":", linewidth=1, label="expert switch")
    panel.set_ylim(-0.04, 1.04)
    set_clock(panel, clock)
