"""The tidy table: one measured number a row, the same columns for every experiment.

A row says *where* (task, sample, seed, branch, strategy, step, sigma, layer, frame, candidate, …), *what* (metric) and
*how much* (value, or text for an answer).  What does not apply is null: a final value has no step.  A plain run is
strategy "single", branch "clean"; the ideal observers are strategies "observer-state" and "observer-rollout".  Rows are
sorted by all columns, so the file does not depend on the order in which they were measured.
"""

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stepscope.errors import BadInputError, RecordError, UnknownNameError

__all__ = ["METRICS", "SCHEMA", "Row", "build_table", "read_table", "table_bytes"]

METRICS = frozenset(
    {
        "answer",
        "choice",
        "cka",
        "commitment_step",
        "depth",
        "energy",
        "flip",
        "identity",
        "influence",
        "knowledge",
        "knowledge_step",
        "length",
        "localisation",
        "model_calls",
        "motion_step",
        "multiplicity",
        "object_step",
        "observer_multiplicity",
        "progress",
        "repair",
        "success",
    }
)
"""Every metric that a row may have."""

SCHEMA = pa.schema(
    [
        ("run", pa.string()),
        ("task", pa.string()),
        ("sample", pa.int64()),
        ("seed", pa.int64()),
        ("branch", pa.string()),
        ("strategy", pa.string()),
        ("step", pa.int64()),
        ("other_step", pa.int64()),
        ("sigma", pa.float64()),
        ("expert", pa.string()),
        ("cfg_branch", pa.string()),
        ("layer", pa.int64()),
        ("site", pa.string()),
        ("frame", pa.int64()),
        ("candidate", pa.int64()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("text", pa.string()),
        ("num_steps", pa.int64()),
        ("schedule", pa.string()),
        ("guidance", pa.float64()),
        ("weights_hash", pa.string()),
    ]
)
"""The columns, in order; they are the fields of `Row`."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured number and where it belongs.

    Attributes:
        run: Short name of the run, see `Identity.run`.
        task: Name of the task; None for a user's own image.
        sample: Seed of the sample.
        seed: Seed of the noise.
        branch: Branch of the tree of forks; "clean" without interventions.
        strategy: "single" for the model itself, "observer-state" or "observer-rollout" for an ideal observer.
        step: Denoising step, from 0; None for a final value.
        other_step: The second step of a pair.
        sigma: Noise level in [0, 1] at which the step begins.
        expert: "high_noise" or "low_noise" where there are two.
        cfg_branch: "cond" or "uncond".
        layer: Transformer block, from 0.
        site: Place in the block.
        frame: Latent frame.
        candidate: Index of the solution that the value is about.
        metric: One of `METRICS`.
        value: The number; finite, or None where it does not exist (a commitment step that was never reached).
        text: The answer, for metrics that are no numbers.
        num_steps: Steps of the whole run.
        schedule: "paper" or "pipeline".
        guidance: Guidance scale; 1 is none.
        weights_hash: Hash of the weights.

    Raises:
        UnknownNameError: If the metric is not one of `METRICS`.
        BadInputError: If a number is NaN or infinite.
    """

    run: str
    metric: str
    weights_hash: str
    task: str | None = None
    sample: int | None = None
    seed: int | None = None
    branch: str = "clean"
    strategy: str = "single"
    step: int | None = None
    other_step: int | None = None
    sigma: float | int | None = None
    expert: str | None = None
    cfg_branch: str | None = None
    layer: int | None = None
    site: str | None = None
    frame: int | None = None
    candidate: int | None = None
    value: float | int | None = None
    text: str | None = None
    num_steps: int | None = None
    schedule: str | None = None
    guidance: float | int | None = None

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise UnknownNameError.of("metric", self.metric, tuple(METRICS))
        for name in ("value", "sigma", "guidance"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise BadInputError(
                    f"A row of metric {self.metric!r} came with {name} = {number}. Allowed are finite numbers. "
                    "Leave it out where it does not exist."
                )


def build_table(rows: Iterable[Row]) -> pa.Table:
    """Gather rows into a table of `SCHEMA`, sorted by all columns, null first."""
    ordered = sorted(([getattr(row, name) for name in SCHEMA.names] for row in rows), key=_order)
    columns = zip(*ordered, strict=True) if ordered else ([] for _ in SCHEMA)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)], SCHEMA)


def table_bytes(table: pa.Table) -> bytes:
    """Return the parquet file of a table."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def read_table(path: Path) -> pa.Table:
    """Read a table back.

    Raises:
        RecordError: If the file is missing, damaged or has other columns.
    """
    try:
        table = pq.ParquetFile(io.BytesIO(path.read_bytes())).read()
    except (OSError, pa.ArrowException) as error:
        raise RecordError(
            f"The table {path} cannot be read ({error}). Expected a parquet file written by stepscope. "
            "Run the same command again to write it anew."
        ) from error
    if not table.schema.equals(SCHEMA):
        raise RecordError(
            f"The table {path} has the columns {', '.join(table.schema.names)}. Expected {', '.join(SCHEMA.names)}. "
            "Read it with the version of stepscope that wrote it."
        )
    return table


def _order(values: list) -> tuple:
    return tuple((value is not None, value if value is not None else 0) for value in values)
