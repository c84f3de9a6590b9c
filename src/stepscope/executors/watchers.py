"""Recorders that keep nothing: one stops a run before its first step, one says when a step is done.

A rehearsal goes through everything that a run refuses (sample, grid, solver, recorders, layers) and learns what the run
is about to do, without a model call.
"""

from collections.abc import Callable
from typing import Any

from stepscope.denoise import RunInfo
from stepscope.errors import InternalError
from stepscope.executors.recording import Recording
from stepscope.scope import Model

__all__ = ["Ticker", "rehearse"]


def rehearse(model: Model, sample: Any, recording: Recording) -> RunInfo:
    """What a run is about to do, without doing it.

    Raises:
        UserError: whatever the run itself would raise before its first step.
    """
    settings = recording.settings
    recorders = [*settings.fresh_recorders(), _Rehearsal()]  # the last to begin: the others may refuse first
    try:
        model.denoise(sample, seed=recording.seeds[0], recorders=recorders, **settings.options())
    except _Ready as ready:
        return ready.info
    raise InternalError("A rehearsal ran to its end.")


class Ticker:
    """Calls a function after every step."""

    name = "ticker"

    def __init__(self, tick: Callable[[], object]) -> None:
        self.tick = tick

    def init(self, run: RunInfo) -> None:
        """Nothing to keep."""

    def update(self, state: None, event: Any) -> None:
        """A step is done."""
        self.tick()

    def merge(self, first: None, second: None) -> None:
        """Nothing to join."""

    def finish(self, state: None) -> None:
        """Nothing to say."""


class _Ready(Exception):  # noqa: N818 - no error: the rehearsal went well
    """Carries out of a run what it is about to do."""

    def __init__(self, info: RunInfo) -> None:
        self.info = info


class _Rehearsal:
    """Stops a run when it would begin."""

    name = "rehearsal"

    def init(self, run: RunInfo) -> None:
        """All that can be refused has been."""
        raise _Ready(run)

    def update(self, state: None, event: Any) -> None:
        """Never reached."""

    def merge(self, first: None, second: None) -> None:
        """Never reached."""

    def finish(self, state: None) -> None:
        """Never reached."""
