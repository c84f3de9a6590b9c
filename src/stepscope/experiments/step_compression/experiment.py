"""Step compression: what is lost when a run takes fewer steps, and is it exploration?

The same puzzle and seed is run with several numbers of steps N on the same schedule.  For each N:

    success        the latent read-out of the result, and what it would cost in model calls
    knowledge      R of the first clean estimate and of the result: how much the steps compute
    exploration    mean multiplicity over the first quarter of the steps, beside the state-matched observer's
    changes        how often a finished answer is given up for another, or for none

A short run sees other noise levels than a long one, so multiplicity falls for an observer too: that is the control.
Multiplicity of S solutions lies in [1, S], so that the claim's value lies within S - 1 of 0.
Cost: one run for each number of steps, seed and puzzle, and no decoding.

Source of the question: section 7 of *Demystifying Video Reasoning* (arXiv 2603.16870); a four-step student of its model
loses 0.01 of 0.676 (arXiv 2606.02564, table I).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.errors import BadInputError
from stepscope.executors import Finding, Job, Measured, Puzzle
from stepscope.experiments.evidence import Evidence, emit
from stepscope.experiments.option_values import settle, wholes
from stepscope.experiments.step_compression import measures, summary
from stepscope.scope import Branch, generation_calls

__all__ = ["StepCompression"]

_FEW = 4


@dataclass(frozen=True)
class StepCompression:
    """The same runs with fewer steps.

    Attributes:
        counts: Numbers of steps besides the run's own; 4 is among them, for the claim is about it.
    """

    name: ClassVar[str] = "step-compression"
    emits: ClassVar[tuple[str, ...]] = ("compression-collapses-exploration",)
    prepare_runs: ClassVar[int] = 0

    counts: Any = (1, 2, 4, 8, 12)

    def __post_init__(self) -> None:
        settle(self, counts=wholes("counts", self.counts, 1))
        if _FEW not in self.counts:
            raise BadInputError(
                f"counts came as {list(self.counts)}. The claim compares with {_FEW} steps. Put {_FEW} among them."
            )

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """None: other numbers of steps are other grids, which no tree holds.

        Raises:
            BadInputError: If the run is no longer than its compressions.
        """
        if max(self.counts) >= num_steps:
            raise BadInputError(
                f"counts up to {max(self.counts)} came for runs of {num_steps} steps. The run itself is the longest. "
                "Give more steps, or leave out the larger counts."
            )
        return ()

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """None: traces say it all."""
        return ()

    def paired(self) -> Sequence[PairedRecorder]:
        """None: there is nothing to compare."""
        return ()

    def prepare(self, job: Job) -> dict[str, Any]:
        """How the shorter runs are made."""
        return job.recording.settings.options()

    def further_calls(self, job: Job, sample: Any) -> int:
        """Model calls of the shorter runs."""
        settings = job.recording.settings.options()
        each = [generation_calls(job.model, sample, **{**settings, "num_steps": count}) for count in self.counts]
        return len(job.recording.seeds) * sum(each)

    def measure(self, puzzle: Puzzle) -> Measured:
        """Run one puzzle with every number of steps, and read it."""
        return measures.measure(self.counts, puzzle)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claim."""
        runs = evidence(findings)
        return [emit(self.emits[0], runs, "puzzles with several solutions", summary.difference_bounds(findings))]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        return summary.summarise(findings, evidence(findings))


def evidence(findings: Sequence[Finding]) -> list[Evidence]:
    """Early multiplicity of the longest run minus that with four steps, and the observer's."""
    found = []
    for puzzle, finding in enumerate(findings):
        for run in finding.runs if finding.puzzle["num_solutions"] > 1 else ():
            longest, few = run[max(run, key=int)], run[str(_FEW)]
            value, control = (longest[who] - few[who] for who in ("explored", "observer_explored"))
            found.append(Evidence(puzzle, value, control))
    return found
