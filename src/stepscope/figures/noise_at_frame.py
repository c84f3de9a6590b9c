"""The figure of `noise-at-frame`: who moves whom, the asymmetry that decides, and the paper's curve that cannot.

Above: influence from the disturbed latent frame (row) to the others (column); A step by step; success after noise in a
frame in every step.  Below: answers kept after noise in a single step, read from the other frames; when each frame
commits; what cutting attention in one direction costs.  Drawn from `result.json` alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.curves import draw_words

__all__ = ["draw"]

_MODEL, _OBSERVER, _QUIET = "#c2410c", "#1d4ed8", "#64748b"
_SHADES = "Oranges"
_MEANINGS = {-1.0: "backwards  -1", 0.0: "no direction  0", 0.5: "0.5", 1.0: "frame by frame  1"}


def draw(result: Mapping[str, Any]) -> Any:
    """Draw the panels.

    Args:
        result: The content of `result.json`: `stepscope.open(DIR).result`, or `as_json()` of a result in memory.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        PlanError: If matplotlib is not installed.
        BadInputError: If the result is another experiment's.
    """
    metrics = metrics_of(result, "noise-at-frame")
    figure = empty(13.0, 7.5)
    panels = figure.subplots(2, 3)
    fills: Sequence[Callable[[Any, Mapping[str, Any]], None]] = (
        _influence, _asymmetry, _survival, _single_steps, _commitment, _knock_out,
    )  # fmt: skip
    for panel, fill in zip(panels.flat, fills, strict=True):
        fill(panel, metrics)
    entitle(figure, _title(result))
    return figure


def _title(result: Mapping[str, Any]) -> str:
    metrics = result["metrics"]
    (claim,) = (each for each in result["claims"] if each["id"] == "cos-over-cof")
    return f"{result['model']}: {metrics['n']} puzzles, mode {metrics['mode']}. Steps over frames: {claim['verdict']}"


def _influence(panel: Any, metrics: Mapping[str, Any]) -> None:
    """Shares of all movement; a frame's own is left white, frames that the question tells are set in brackets."""
    found = metrics["influence"]
    frames, told = found["frames"], set(found["frames"]) - set(found["open"])
    shares = np.array(found["shares"])
    shares[range(len(frames)), frames] = np.nan
    _table(panel, shares, "{:.0%}")
    panel.set_xticks(range(metrics["num_frames"]))
    panel.set_yticks(range(len(frames)), [f"({frame})" if frame in told else str(frame) for frame in frames])
    panel.set(title="who moves whom, share of movement", xlabel="felt in latent frame", ylabel="noise in latent frame")


def _asymmetry(panel: Any, metrics: Mapping[str, Any]) -> None:
    panel.set_yticks(list(_MEANINGS), list(_MEANINGS.values()))
    panel.axhline(0.5, color=_QUIET, linewidth=1, linestyle=":")
    for who, colour in (("observer", _OBSERVER), ("model", _MODEL)):
        if (total := metrics["asymmetry"][who]) is not None:
            panel.axhline(total["value"], color=colour, label=f"{who}, all steps: {total['value']:.2f}")
            if total["ci95"] is not None:
                panel.axhspan(*total["ci95"], color=colour, alpha=0.12, linewidth=0)
    steps = metrics["influence"]["steps"]
    found = [(step, each) for step, each in zip(steps, metrics["influence"]["by_step"], strict=True) if each]
    _points(panel, found, _MODEL, "model, step by step")
    panel.set(title="asymmetry A", xlabel="step of the noise", ylim=(-1.1, 1.1), xticks=steps)
    _legend(panel, loc="lower right")


def _survival(panel: Any, metrics: Mapping[str, Any]) -> None:
    """The paper's protocol; nothing here can speak for frames."""
    entries = [each for each in metrics["survival"] if each["step"] is None]
    for reading, colour, label in (
        ("all", _QUIET, "read from all frames"),
        ("others", _MODEL, "from the other frames"),
    ):
        found = [(each["frame"], each[reading]["success"]) for each in entries if each[reading]["success"]]
        _points(panel, found, colour, label)
    panel.axhline(
        metrics["clean"]["success"]["value"], color=_QUIET, linestyle="--", linewidth=1, label="without noise"
    )
    panel.set(title="success after noise in every step", xlabel="noise in latent frame", ylim=(-0.05, 1.05))
    panel.set_xticks(sorted({each["frame"] for each in entries}))
    _legend(panel, loc="lower right")


def _single_steps(panel: Any, metrics: Mapping[str, Any]) -> None:
    entries = [each for each in metrics["survival"] if each["step"] is not None and each["others"]["kept"]]
    if not entries:
        return _nothing(panel, "answers kept after noise in one step", "no answer that could be kept")
    frames, steps = (sorted({each[name] for each in entries}) for name in ("frame", "step"))
    kept = np.full((len(frames), len(steps)), np.nan)
    for each in entries:
        kept[frames.index(each["frame"]), steps.index(each["step"])] = each["others"]["kept"]["value"]
    _table(panel, kept, "{:.0%}", top=1.0)
    panel.set_xticks(range(len(steps)), steps)
    panel.set_yticks(range(len(frames)), frames)
    panel.set(title="answers kept, from the other frames", xlabel="step of the noise", ylabel="noise in latent frame")


def _commitment(panel: Any, metrics: Mapping[str, Any]) -> None:
    found, slope = metrics["commitment"]["frames"], metrics["commitment"]["slope"]
    title = "when each latent frame commits"
    if slope is None:
        return _nothing(panel, title, "no two frames in which solutions differ")
    settled = [(each["frame"], each["median"]) for each in found if each["median"] is not None]
    if settled:
        panel.plot(*zip(*settled, strict=True), color=_MODEL, marker="o")
    panel.set(title=f"{title}: {slope['value']:+.2f} a frame", xlabel="latent frame", ylabel="median step")
    panel.set_xticks([each["frame"] for each in found])
    panel.set_ylim(0, 1.1 * max([1.0, *(step for _, step in settled)]))


def _knock_out(panel: Any, metrics: Mapping[str, Any]) -> None:
    title, found = "success with attention cut", metrics["knock_out"]
    if found is None:
        return _nothing(panel, title, "not cut")
    bars = {"not cut": metrics["clean"], "past hidden": found["past"], "future hidden": found["future"]}
    heights = [each["success"] for each in bars.values()]
    labels = [f"{name}\nR = {each['knowledge']['value']:.2g}" for name, each in bars.items()]
    panel.bar(labels, [each["value"] for each in heights], color=[_QUIET, _MODEL, _MODEL], width=0.6)
    for place, each in enumerate(heights):
        if each["ci95"] is not None:
            panel.vlines(place, *each["ci95"], color="black", linewidth=1)
    panel.set(title=title, ylim=(0, 1.05))


def _table(panel: Any, values: np.ndarray, form: str, top: float | None = None) -> None:
    """A heat map with its numbers."""
    top = top or max(float(np.nanmax(values, initial=0)), 1e-9)
    panel.imshow(values, cmap=_SHADES, vmin=0, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value > 0.6 * top else "black"
            panel.text(column, row, form.format(value), ha="center", va="center", color=colour, fontsize=8)


def _points(panel: Any, found: Sequence[tuple[int, Mapping[str, Any]]], colour: str, label: str) -> None:
    """Means with their intervals."""
    panel.plot([at for at, _ in found], [each["value"] for _, each in found], color=colour, marker="o", label=label)
    for at, each in found:
        if each["ci95"] is not None:
            panel.vlines(at, *each["ci95"], color=colour, linewidth=1)


def _nothing(panel: Any, title: str, reason: str) -> None:
    panel.set_title(title)
    draw_words(panel, reason)
    panel.set(xticks=[], yticks=[])


def _legend(panel: Any, loc: str) -> None:
    panel.legend(loc=loc, fontsize=8, frameon=False)
