"""`stepscope view DIR`: where the page of a record is; opens it where there is a display."""

import os
import sys
import webbrowser
from argparse import Namespace

from stepscope.cli.output import say
from stepscope.errors import RecordError

__all__ = ["run"]


def run(options: Namespace) -> None:
    """Print the page's path, and open it if somebody could see it."""
    from stepscope.store import open_record
    from stepscope.store.layout import REPORT

    record = open_record(options.folder)
    page = (record.folder / REPORT).resolve()
    if not page.is_file() and next(iter(record.traces()), None) is None:
        raise RecordError(
            f"The folder {options.folder} holds no runs to show. Pages are made of records; an experiment leaves "
            "result.json and table.parquet. Read those, or record one of its puzzles."
        )
    if not page.is_file():
        raise RecordError(
            f"The record {options.folder} has no {REPORT} yet. A finished run has one. "
            "Run the command that began it again: it resumes."
        )
    opened = not options.json and _has_display() and webbrowser.open(page.as_uri())
    say(options.json, {"page": str(page), "opened": opened}, [str(page)])


def _has_display() -> bool:
    """Whether a browser would be seen."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
