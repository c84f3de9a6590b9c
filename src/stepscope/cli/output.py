"""What a command says: lines for people, or one JSON object; and how far it is, on a terminal alone.

Results go to stdout, progress to stderr.  A bar appears after `PATIENCE_SECONDS` and only where somebody looks.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["progress", "say"]

PATIENCE_SECONDS = 2.0


def say(as_json: bool, facts: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Print the facts as one JSON object, or the lines."""
    print(json.dumps(facts, ensure_ascii=False, allow_nan=False) if as_json else "\n".join(lines))


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[[], object]]:
    """Give a function to call after each piece of work; it moves a bar where stderr is a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", delay=PATIENCE_SECONDS, leave=False, disable=None) as bar:
        yield bar.update
