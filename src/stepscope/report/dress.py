r"""What every page is dressed in: a template with marks, a content security policy, JSON that cannot end its element.

The policy comes first and begins with `default-src 'none'`; the one style and the one script are allowed by their
sha256, pictures as data: only.  JSON is written with `<`, `>` and `&` as \u escapes.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

__all__ = ["asset", "dress", "json_text", "policy"]

_MARK = re.compile(r"\{\{(\w+)\}\}")
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def dress(template: str, parts: Mapping[str, str]) -> bytes:
    """Fill the marks of a template; `head` and `brand` are what all templates share, with marks of their own."""
    shared = {name: asset(f"{name}.html") for name in ("head", "brand")}
    whole = _MARK.sub(lambda mark: shared.get(mark[1], mark[0]), asset(template))
    return _MARK.sub(lambda mark: parts[mark[1]], whole).encode()


def policy(style: str, script: str) -> str:
    """The content security policy of a page with this style and this script."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def json_text(data: Mapping[str, Any]) -> str:
    """Data as JSON that may stand inside an element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(str.maketrans(_ESCAPES))


def asset(*path: str) -> str:
    """A file of the view."""
    return resources.files("stepscope.report").joinpath("assets", *path).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
