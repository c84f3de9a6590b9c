"""The page of an experiment as bytes: its claims with intervals and verdicts, its figures, where it comes from.

    value ● with its 95% interval ──   smallest effect of interest δ ┊      supported: all of the interval beyond δ

One file that needs nothing else; what a user wrote is escaped.  The view is written here, not by a script, so that the
page says everything without one; the script only tells that the page is ready.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stepscope.report.dress import asset, dress, json_text, policy

__all__ = ["findings_bytes"]

_WIDTH, _MARGIN = 220.0, 8.0
_KEY = (
    '<p class="claims-key">A dot is the measured value, the bar its 95% interval, the dotted line the smallest effect '
    "of interest δ, fixed before the run.</p>"
)
_READY = (
    'window.stepscope = {state: () => ({step: null, frame: null, seed: null, branch: "clean"})};\n'
    'document.body.dataset.ready = "";\n'
)


def findings_bytes(data: Mapping[str, Any]) -> bytes:
    """Dress data (see `stepscope.report.findings`) in the view; a pure function, UTF-8 HTML comes out."""
    style = asset("page.css") + asset("findings.css")
    return dress(
        "findings.html",
        {
            "policy": policy(style, _READY),
            "title": html.escape(data["title"]),
            "style": style,
            "facts": "".join(f"<li>{name} <b>{_text(data[name])}</b></li>" for name in ("experiment", "model")),
            "headline": _text(data["headline"]),
            "detail": _text(data["detail"]),
            "claims": _claims(data["claims"]),
            "figures": "\n".join(_figures(data["figures"])),
            "provenance": "".join(
                f"<div><dt>{_text(label)}</dt><dd>{_text(text)}</dd></div>" for label, text in data["provenance"]
            ),
            "data": json_text(data),
            "script": _READY,
        },
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _claims(claims: Sequence[Mapping[str, Any]]) -> str:
    """How to read a claim, then the claims; nothing where there is none."""
    articles = "\n".join(_claim(claim) for claim in claims)
    return articles and f'{_KEY}\n<section class="claims" aria-label="Claims">\n{articles}\n</section>'


def _claim(claim: Mapping[str, Any]) -> str:
    """One claim as an article."""
    control = {True: "held", False: "failed", None: "not run"}[claim["control_passed"]]
    verdict = claim["verdict"]
    return (
        f'<article class="claim {verdict}" id="{_text(claim["id"])}"><header><h3>{_text(claim["statement"])}</h3>'
        f'<span class="badge">{_text(verdict.replace("-", " "))}</span></header>'
        f'<div class="measured"><p class="value">{_value(claim)}</p>{_interval(claim)}</div>'
        f'<p class="metric">{_text(claim["metric"])}</p>'
        f"<dl><div><dt>Control: {control}</dt><dd>{_text(claim['control'])}</dd></div>"
        f"<div><dt>Why</dt><dd>{_text(claim['why'])}</dd></div></dl></article>"
    )


def _value(claim: Mapping[str, Any]) -> str:
    if claim["value"] is None:
        return "not measured"
    interval = "" if claim["ci95"] is None else " <small>{:.3g} to {:.3g} ·</small>".format(*claim["ci95"])
    return f"<b>{claim['value']:.3g}</b>{interval}<small> δ {claim['delta']:.3g} · n {claim['n']}</small>"


def _interval(claim: Mapping[str, Any]) -> str:
    """Value, interval and δ on a line of their own."""
    if claim["value"] is None or claim["ci95"] is None:
        return ""
    low, high = claim["ci95"]
    marks = (0.0, low, high, claim["value"], claim["delta"])
    least, span = min(marks), (max(marks) - min(marks)) or 1.0

    def at(value: float) -> str:
        return f"{_MARGIN + (value - least) / span * (_WIDTH - 2 * _MARGIN):.1f}"

    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} 28" width="{_WIDTH:.0f}" height="28" role="img" '
        f'aria-label="value {claim["value"]:.3g}, interval {low:.3g} to {high:.3g}, delta {claim["delta"]:.3g}">'
        f'<path class="axis" d="M{_MARGIN:.0f} 14H{_WIDTH - _MARGIN:.0f}"/>'
        f'<path class="zero" d="M{at(0.0)} 9v10"/><path class="delta" d="M{at(claim["delta"])} 3v22"/>'
        f'<path class="span" d="M{at(low)} 14H{at(high)}"/>'
        f'<circle cx="{at(claim["value"])}" cy="14" r="5"/></svg>'
    )


def _figures(figures: list[dict[str, Any]]) -> Iterator[str]:
    for figure in figures:
        name = _text(figure["name"])
        yield f'<figure><div><img src="{figure["svg"]}" alt="{name}"></div><figcaption>{name}</figcaption></figure>'
    if not figures:
        yield "<p>No figure was drawn: that needs matplotlib, the extra <code>stepscope[figures]</code>.</p>"
