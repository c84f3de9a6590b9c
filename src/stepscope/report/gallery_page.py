"""The gallery as bytes: a section for each family, two cases each, clean estimates from the first step to the last.

One file that needs nothing else; the view is written here, not by a script, and what a user wrote is escaped.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stepscope.report.dress import asset, dress, json_text, policy

__all__ = ["gallery_bytes"]

_READY = 'document.body.dataset.ready = "";\n'
_WIDTH, _HEIGHT = 250.0, 74.0
_RULES = {
    "clearest": "The clearest case",
    "typical": "The most typical case",
}


def gallery_bytes(data: Mapping[str, Any]) -> bytes:
    """Dress data (see `stepscope.report.gallery`) in the view; a pure function, UTF-8 HTML comes out."""
    style = asset("page.css") + asset("gallery.css")
    shown = data["exhibits"]
    return dress(
        "gallery.html",
        {
            "policy": policy(style, _READY),
            "title": html.escape(f"stepscope · {data['title']}"),
            "style": style,
            "facts": "".join(f"<li>model <b>{_text(model)}</b></li>" for model in _each(shown, "model"))
            + "".join(f"<li>weights <b>{_text(digest[:12])}</b></li>" for digest in _each(shown, "weights_hash")),
            "headline": _text(data["title"]),
            "contents": "".join(f'<a href="#{_text(each["task"])}">{_text(each["task"])}</a>' for each in shown),
            "exhibits": "\n".join(_exhibit(each) for each in shown),
            "data": json_text(_numbers(data)),
            "script": _READY,
        },
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _each(exhibits: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(str(exhibit[name]) for exhibit in exhibits))


def _numbers(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data without its pictures, which stand in the page already."""
    pictures = ("given", "solutions", "sheets")
    shown = [
        {
            **each,
            "cases": [{key: value for key, value in case.items() if key not in pictures} for case in each["cases"]],
        }
        for each in data["exhibits"]
    ]
    return {**data, "exhibits": shown}


def _exhibit(exhibit: Mapping[str, Any]) -> str:
    task, runs = _text(exhibit["task"]), f"{exhibit['n']} puzzles, {exhibit['num_steps']} steps"
    cases = "\n".join(_case(case) for case in exhibit["cases"])
    head = f'<div class="section-head"><h2>{task}</h2><p>{runs}</p></div>'
    return f'<section class="exhibit" id="{task}">{head}{cases}</section>'


def _case(case: Mapping[str, Any]) -> str:
    columns = "".join(_column(case, step, sheet) for step, sheet in zip(case["steps"], case["sheets"], strict=True))
    goal = "".join(
        f'<figure><img src="{uri}" alt="a right answer, its last frame"><figcaption>{name}</figcaption></figure>'
        for uri, name in zip(case["solutions"], _names(len(case["solutions"])), strict=True)
    )
    where = f"Sample {case['sample']}, seed {case['seed']}. “{_text(case['prompt'])}”"
    return (
        f'<article class="case"><header><p class="rule">{_RULES[case["kind"]]}</p><h3>{_text(case["headline"])}</h3>'
        f'<p class="why">{_text(case["why"])} {where}</p>'
        f'</header><div class="shelf"><div class="asked"><figure><img src="{case["given"]}" alt="the first frame">'
        f"<figcaption>given</figcaption></figure>{goal}</div>"
        f'<div class="scroller"><div class="strip">{columns}</div></div></div>'
        f'<div class="plots">{"".join(_plots(case["curves"]))}</div></article>'
    )


def _names(count: int) -> Sequence[str]:
    return ("right",) if count == 1 else ("right: A", "right: B")


def _column(case: Mapping[str, Any], step: int, sheet: str) -> str:
    frames = ", ".join(map(str, case["frames"]))
    return (
        f'<figure><img src="{sheet}" alt="step {step}: frames {frames} of the clean estimate">'
        f"<figcaption>step {step}</figcaption></figure>"
    )


def _plots(curves: Mapping[str, Sequence[Sequence[float | int]]]) -> Iterator[str]:
    yield _plot("R: distance from all that is right", [("model", curves["knowledge"])], (0.0, 1.0))
    several = [("model", curves["multiplicity"]), ("observer", curves["observer_multiplicity"])]
    if max(value for _, points in several for _, value in points) > 1 + 1e-6:
        yield _plot("answers alive", several, (1.0, 2.0))


def _plot(name: str, lines: Sequence[tuple[str, Sequence[Sequence[float | int]]]], bounds: tuple[float, float]) -> str:
    """One small chart: the step runs to the right, the first value of each line is written beside it."""
    values = [value for _, points in lines for _, value in points]
    low, high = bounds[0], max(bounds[1], *values)
    last = max(lines[0][1][-1][0], 1)

    def at(step: float | int, value: float | int) -> str:
        return f"{4 + step / last * (_WIDTH - 8):.1f},{6 + (high - value) / (high - low) * (_HEIGHT - 12):.1f}"

    drawn = "".join(
        f'<polyline class="{who}" points="{" ".join(at(*point) for point in points)}"/>' for who, points in lines
    )
    told = f"{lines[0][1][0][1]:.2f} → {lines[0][1][-1][1]:.2f}"
    return (
        f'<figure class="plot"><figcaption>{name} <b>{told}</b></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{name}, from {told}">'
        f'<path class="axis" d="M4 {_HEIGHT - 6:.0f}H{_WIDTH - 4:.0f}"/>{drawn}</svg></figure>'
    )
