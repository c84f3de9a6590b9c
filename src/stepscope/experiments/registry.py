"""Which experiments there are, by name; an experiment is a frozen dataclass whose fields are its options."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Protocol, runtime_checkable

from stepscope.analysis.claims import Verdict
from stepscope.errors import UnknownNameError
from stepscope.executors import Finding, Procedure
from stepscope.experiments.commitment import Commitment

__all__ = ["Experiment", "get", "names"]


@runtime_checkable
class Experiment(Procedure, Protocol):
    """What every experiment can do: measure a puzzle (see `stepscope.executors.Procedure`), and judge.

    Attributes:
        name: Its name.
        emits: Ids of the claims on which it says something.
    """

    name: ClassVar[str]
    emits: ClassVar[tuple[str, ...]]

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claims, in the order of `emits`."""
        ...

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found; JSON."""
        ...


_EXPERIMENTS: Mapping[str, type] = {Commitment.name: Commitment}


def names() -> tuple[str, ...]:
    """List the experiments."""
    return tuple(sorted(_EXPERIMENTS))


def get(name: str, **options: Any) -> Experiment:
    """Return an experiment with its options set.

    Raises:
        UnknownNameError: If there is no such experiment, or it has no such option.
    """
    if name not in _EXPERIMENTS:
        raise UnknownNameError.of("experiment", name, names())
    kind = _EXPERIMENTS[name]
    known = tuple(field.name for field in fields(kind))
    for option in options:
        if option not in known:
            allowed = f"Known: {', '.join(known)}" if known else "It has none"
            raise UnknownNameError(f"Unknown option {option!r} of experiment {name!r}. {allowed}. Leave it out.")
    return kind(**options)
