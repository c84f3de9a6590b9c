"""The figure of `ensemble`: success against model calls, the gain over single runs, and what merging does on the way.

Left, the frontier: every strategy at the calls that it spends, with its 95% interval over puzzles; the shaded band is
that of the cheapest single run, and a line joins the single runs.  Middle, the difference to single runs of the same
seeds on the same puzzles; the grey band is how far single runs differ from seed to seed, and grey words say by what
share of itself the first merge moved the clean estimate and, through the lever arm, the next latents.  Right, R and,
where several groups of seeds were run, the seed-specific share of what is drawn, by themselves and merged.  Drawn from
`result.json` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from stepscope.figures.canvas import empty, entitle, metrics_of
from stepscope.figures.curves import draw_words, error_bar

__all__ = ["draw"]

_FAMILIES = {"single": "#334155", "ensemble": "#c2410c", "prune": "#15803d", "best-of": "#1d4ed8"}
_MARKERS = {None: "o", "agreement": "s", "multiplicity": "^", "rule": "D", "oracle": "*"}
_FAINT, _WORDS = "#94a3b8", "#64748b"
_STEP = 1.012
"""Strategies with equal calls are drawn side by side, this factor apart."""


def draw(result: Mapping[str, Any]) -> Any:
    """Draw frontier, gains and curves.

    Args:
        result: The content of `result.json`: `stepscope.open(DIR).result`, or `as_json()` of a result in memory.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        PlanError: If matplotlib is not installed.
        BadInputError: If the result is another experiment's.
    """
    metrics = metrics_of(result, "ensemble")
    entries = sorted(metrics["frontier"], key=lambda entry: (entry["calls"], list(_FAMILIES).index(entry["family"])))
    figure = empty(14.0, max(5.0, 1.6 + 0.24 * len(entries)))
    layout = figure.add_gridspec(2, 3, width_ratios=(1.2, 1.2, 0.8))
    _frontier(figure.add_subplot(layout[:, 0]), entries)
    _legend(figure, {entry["family"] for entry in entries}, {entry["verifier"] for entry in entries})
    _gains(figure.add_subplot(layout[:, 1]), entries, metrics)
    grouped = "specific_share" in metrics["curves"]["single"]
    knowledge = figure.add_subplot(layout[0 if grouped else slice(None), 2])
    _curve(knowledge, metrics["curves"], "knowledge", "R")
    if knowledge.get_ylim()[1] > 1:
        knowledge.set_yscale("symlog", linthresh=0.1)
    if grouped:
        _curve(figure.add_subplot(layout[1, 2]), metrics["curves"], "specific_share", "seed-specific share")
    levers = ", ".join(f"{arm:.3g} at step {step}" for step, arm in metrics["lever_arm"].items())
    told = f"{result['model']}: {metrics['n']} puzzles, {metrics['pool']} seeds each; lever arm {levers}"
    entitle(figure, told)
    return figure


def _frontier(panel: Any, entries: Sequence[Mapping[str, Any]]) -> None:
    seen: dict[float, int] = {}
    for entry in entries:
        place = seen[entry["calls"]] = seen.get(entry["calls"], -1) + 1
        style = {"color": _FAMILIES[entry["family"]], "marker": _MARKERS[entry["verifier"]]}
        calls, success = entry["calls"] * _STEP**place, entry["success"]
        panel.errorbar(
            calls, success["value"], yerr=error_bar(success), linestyle="", elinewidth=0.8, alpha=0.85, **style
        )
    runs = [(entry["calls"], entry["success"]["value"]) for entry in entries if entry["family"] == "single"]
    panel.plot(*zip(*runs, strict=True), color=_FAMILIES["single"], linewidth=0.8, alpha=0.6)
    single = entries[0]["success"]
    panel.axhline(single["value"], color=_FAINT, linewidth=0.8)
    if single["ci95"] is not None:
        panel.axhspan(*single["ci95"], color=_FAINT, alpha=0.15, linewidth=0)
    panel.set_xscale("log", base=2)
    panel.xaxis.set_major_formatter("{x:.0f}")
    least = min((entry["success"]["ci95"] or [entry["success"]["value"]])[0] for entry in entries)
    panel.set(xlabel="model calls", ylabel="success", ylim=(max(least - 0.05, -0.03), 1.03))


def _legend(figure: Any, families: set[str], verifiers: set[str | None]) -> None:
    """Colours are families, marks are verifiers."""
    (panel, *_) = figure.axes
    for family in (name for name in _FAMILIES if name in families):
        panel.plot([], [], color=_FAMILIES[family], linewidth=4, label=family)
    for verifier in (name for name in _MARKERS if name in verifiers):
        panel.plot([], [], color=_FAINT, linestyle="", marker=_MARKERS[verifier], label=verifier or "nobody chooses")
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=9, fontsize="small")


def _gains(panel: Any, entries: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> None:
    spread = metrics["spread"]["between_seeds"]
    tested = [entry for entry in entries if entry["gain"] is not None]
    for row, entry in enumerate(tested):
        gain = entry["gain"]
        style = {"color": _FAMILIES[entry["family"]], "marker": _MARKERS[entry["verifier"]]}
        panel.errorbar(gain["value"], row, xerr=error_bar(gain), linestyle="", elinewidth=0.8, **style)
        if moved := metrics["moved"].get(entry["strategy"]):
            told = f"estimate {moved['clean_estimate']:.2g}, latents {moved['latents']:.2g}"
            where = panel.get_yaxis_transform()
            panel.text(
                0.99, row - 0.1, told, transform=where, ha="right", va="bottom", fontsize="x-small", color=_WORDS
            )
    panel.axvline(0, color=_FAINT, linewidth=0.8)
    panel.axvspan(-spread, spread, color=_FAINT, alpha=0.2, linewidth=0)
    panel.set_yticks(range(len(tested)), [_named(entry) for entry in tested], fontsize="small")
    panel.invert_yaxis()
    panel.set_xlabel("success minus that of single runs")
    if not tested:
        draw_words(panel, "one puzzle has no interval")


def _named(entry: Mapping[str, Any]) -> str:
    told = entry["strategy"] + (f", {entry['verifier']}" if entry["verifier"] else "")
    return f"{told} ({entry['calls']:.0f})" + ("*" if entry["p_holm"] is not None and entry["p_holm"] < 0.01 else "")


def _curve(panel: Any, curves: Mapping[str, Any], name: str, label: str) -> None:
    for who, style in {"single": "-", "ensemble": "--"}.items():
        panel.plot(curves["step"], curves[who][name], color=_FAMILIES[who], linestyle=style, marker=".", label=who)
    panel.set(xlabel="step", ylabel=label, ylim=(0, None))
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.legend(fontsize="small")
