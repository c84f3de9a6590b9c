"""The page of a recorded run as bytes: the data inlined into the view, one file that needs nothing else.

Whatever a user wrote reaches the page inside the JSON and is put on screen as text, never as markup.
"""

import html
from collections.abc import Mapping
from typing import Any

from stepscope.report.dress import asset, dress, json_text, policy

__all__ = ["page_bytes"]

_SECTIONS = (
    "state",
    "elements",
    "numbers",
    "pictures",
    "lead",
    "stage",
    "grid",
    "axes",
    "panels",
    "charts",
    "words",
    "start",
)


def page_bytes(data: Mapping[str, Any]) -> bytes:
    """Dress data (see `stepscope.report.data`) in the view; a pure function, UTF-8 HTML comes out."""
    style, script = asset("page.css"), _script()
    parts = {
        "policy": policy(style, script),
        "title": html.escape(data["title"]),
        "style": style,
        "data": json_text(data),
        "script": script,
    }
    return dress("page.html", parts)


def _script() -> str:
    """Join the sections into one function, so that nothing but `window.stepscope` is left outside."""
    sections = "\n".join(asset("script", f"{name}.js") for name in _SECTIONS)
    return f'(() => {{\n"use strict";\n\n{sections}}})();\n'
