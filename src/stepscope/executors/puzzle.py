"""What an experiment reads of one puzzle, and what it makes of it.

    Puzzle  ->  Experiment.measure  ->  Measured  ->  kept as a unit  ->  Finding

A *foreign* puzzle, the next in turn that has several solutions, stands beside every puzzle as a control.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from stepscope.scope import Model, Solutions, Trace
from stepscope.store import Row
from stepscope.tasks import Task

__all__ = ["Finding", "Measured", "Puzzle"]


@dataclass(frozen=True, eq=False)
class Puzzle:
    """One puzzle, denoised with every seed and branch.

    Attributes:
        model: The model that answered.
        task: Who scores.
        sample: The puzzle itself.
        solutions: What is known about it, in the model's latents.
        other: A foreign puzzle; None if there is none.
        foreign: Its solutions; None if there are none of the same size.
        seeds: Seeds of the noise.
        runs: For each seed, the trace of every branch by name, "clean" among them.
        prepared: What the experiment prepared; None if nothing.
    """

    model: Model
    task: Task | None
    sample: Any
    solutions: Solutions
    other: Any | None
    foreign: Solutions | None
    seeds: Sequence[int]
    runs: Sequence[Mapping[str, Trace]]
    prepared: Any = None

    @property
    def clean(self) -> list[Trace]:
        """The runs without any edit, in the order of the seeds."""
        return [branches["clean"] for branches in self.runs]


@dataclass(frozen=True)
class Measured:
    """What an experiment measured on one puzzle; JSON, but for the tensors.

    Attributes:
        puzzle: Numbers of the puzzle, over all its seeds.
        runs: Numbers of each run, in the order of the seeds.
        cells: Table cells of each run, without the columns that all cells of a run share.
        tensors: What is too large for JSON, by name.
        further_calls: Model calls that measuring took, for runs that no tree holds (other steps, other frames).
    """

    puzzle: Mapping[str, Any]
    runs: Sequence[Mapping[str, Any]]
    cells: Sequence[Sequence[Mapping[str, Any]]]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    further_calls: int = 0


@dataclass(frozen=True)
class Finding:
    """One measured puzzle, computed or found stored.

    Attributes:
        puzzle: Numbers of the puzzle, over all its seeds.
        runs: Numbers of each run, in the order of the seeds.
        rows: All of it as rows of the table.
        model_calls: Model calls that its runs took.
        tensors: What is too large for JSON, by name.
    """

    puzzle: Mapping[str, Any]
    runs: Sequence[Mapping[str, Any]]
    rows: Sequence[Row]
    model_calls: int
    tensors: Mapping[str, Any] = field(default_factory=dict)
