"""`result.json`: what came of a run, in the one form that every experiment shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stepscope.errors import InternalError

__all__ = ["Result"]

_CLAIM = {"id", "statement", "value", "ci95", "n", "control", "verdict"}


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        experiment: Its name; "record" for a plain recording.
        model: Name of the model.
        claims: One mapping a claim: id, statement, value, ci95, n, control, verdict, and what else the ledger says.
        planned: Model calls that the plan announced.
        made: Model calls that were made or found stored.
        naive: Model calls without shared prefixes.
        metrics: The numbers that sum the run up, by name.

    Raises:
        InternalError: If a claim lacks a part.
    """

    experiment: str
    model: str
    planned: int
    made: int
    naive: int
    claims: Sequence[Mapping[str, object]] = ()
    metrics: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for claim in self.claims:
            if missing := _CLAIM - claim.keys():
                raise InternalError(f"A claim of {self.experiment} lacks {', '.join(sorted(missing))}.")

    def as_json(self) -> dict[str, object]:
        """Return the content of `result.json`."""
        return {
            "claims": self.claims,
            "experiment": self.experiment,
            "metrics": self.metrics,
            "model": self.model,
            "model_calls": {"made": self.made, "naive": self.naive, "planned": self.planned},
        }
