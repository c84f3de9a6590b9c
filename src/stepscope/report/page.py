r"""The page as bytes: the data inlined into the view, one file that needs nothing else.

The content security policy comes first and begins with `default-src 'none'`; the one style and the one script are
allowed by their sha256, pictures as data: only.  Whatever a user wrote reaches the page inside the JSON, where `<`, `>`
and `&` are written as \u escapes, and is put on screen as text, never as markup.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from stepscope.report.data import page_data
from stepscope.store import Record

__all__ = ["page_bytes", "render"]

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
_MARK = re.compile(r"\{\{(\w+)\}\}")
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def page_bytes(data: Mapping[str, Any]) -> bytes:
    """Dress data (see `stepscope.report.data`) in the view; a pure function, UTF-8 HTML comes out."""
    style, script = _asset("page.css"), _script()
    parts = {
        "policy": _policy(style, script),
        "title": html.escape(data["title"]),
        "style": style,
        "data": _json(data),
        "script": script,
    }
    return _MARK.sub(lambda mark: parts[mark[1]], _asset("page.html")).encode()


def render(record: Record) -> bytes:
    """Return the page of a record."""
    return page_bytes(page_data(record))


def _script() -> str:
    """Join the sections into one function, so that nothing but `window.stepscope` is left outside."""
    sections = "\n".join(_asset("script", f"{name}.js") for name in _SECTIONS)
    return f'(() => {{\n"use strict";\n\n{sections}}})();\n'


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(str.maketrans(_ESCAPES))


def _asset(*path: str) -> str:
    return resources.files("stepscope.report").joinpath("assets", *path).read_text("utf-8")
