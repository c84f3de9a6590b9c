"""What came of an experiment, in memory: the fields of `result.json`, and the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stepscope import store

__all__ = ["Result"]


@dataclass(frozen=True, eq=False)
class Result:
    """What came of an experiment.

    Attributes:
        experiment: Its name.
        model: Name of the model.
        claims: One mapping a claim: id, statement, value, ci95, n, control, control_passed, verdict, why.
        table: Every measured number, one a row, see `stepscope.store.SCHEMA`.
        model_calls: {"planned", "made", "naive"}.
        metrics: The numbers that sum the experiment up, by name.
    """

    experiment: str
    model: str
    claims: Sequence[Mapping[str, Any]]
    table: pa.Table
    model_calls: Mapping[str, int]
    metrics: Mapping[str, Any]

    def __repr__(self) -> str:
        told = ", ".join(f"{claim['id']} {claim['verdict']}" for claim in self.claims)
        return f"Result({self.experiment!r}, {self.model!r}, {told})"

    def stored(self) -> store.Result:
        """The form in which it is written."""
        return store.Result(self.experiment, self.model, **self.model_calls, claims=self.claims, metrics=self.metrics)

    def as_json(self) -> dict[str, Any]:
        """The content of `result.json`."""
        return self.stored().as_json()
