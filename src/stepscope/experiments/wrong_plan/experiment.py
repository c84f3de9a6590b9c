"""A wrong plan at a step: put another video into the latents, and see whether the run repairs it.

    other-valid   another right answer, the one that the latents speak against most    can a choice be changed?
    corrupted     a right answer with a known share of wrong cells                     is a mistake repaired?
    foreign       an answer of another puzzle                                          is what does not belong dropped?

    repaired      the result shows a solution of the puzzle that is not the donor's plan; for `other-valid` that is to
                  refuse it
    observer      the ideal observer, rolled out from the same edited latents.  It repairs all of `corrupted` and
                  `foreign`, which are none of its solutions, and accepts `other-valid` once the plan outweighs the
                  noise: what it does says what the edit left to be seen

So a repair rate says something about a model only beside the observer's.  Noise is on the path that the model was
trained on, and every puzzle gets noise of its own.  Cost: N(N+1)/2 model calls a donor, beside the clean run's N.

Source: repair of a known share of wrong cells, as in *Think Before You Paint* (2026), turned from cells to videos.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.executors import Finding, Measured, Puzzle
from stepscope.experiments.spans import chosen
from stepscope.experiments.sweeps import noise_seed, steps_of
from stepscope.experiments.wrong_plan import measures, summary
from stepscope.experiments.wrong_plan.donors import asked_donors, donors_of, name_of, source
from stepscope.interventions import WrongPlan
from stepscope.scope import Branch

__all__ = ["WrongPlanSweep"]


@dataclass(frozen=True)
class WrongPlanSweep:
    """Another video put into the latents before one step.

    Attributes:
        donor: `other-valid`, `corrupted`, `foreign`, or several of them, separated by commas or as a list; None for
            all that a puzzle can have. Kept as a tuple.
        at: The steps: one, several, or START:STOP:STRIDE; None for all. Kept as a sorted tuple.
        strength: 1 replaces the latents, 0 leaves them.
        seed: Seed of noise and corruption; every puzzle gets its own.
        share: Of the plan's cells that `corrupted` makes wrong, in (0, 1].

    Raises:
        UserError: If any of these cannot be used.
    """

    name: ClassVar[str] = "wrong-plan"
    emits: ClassVar[tuple[str, ...]] = ()
    prepare_runs: ClassVar[int] = 0

    donor: Any = None
    at: Any = None
    strength: float | int = 1.0
    seed: int = 0
    share: float | int = 0.25

    def __post_init__(self) -> None:
        WrongPlan(0, 0, self.strength, self.seed, self.share)  # refuses what it cannot use
        object.__setattr__(self, "donor", asked_donors(self.donor))
        object.__setattr__(self, "at", chosen("at", self.at))

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """A branch for each donor and step.

        Raises:
            PlanError: If the puzzle cannot have a donor that was asked for.
        """
        seed = noise_seed(self.seed, sample)
        return [
            Branch(
                name_of(donor, step), [WrongPlan(step, source(donor, other), self.strength, seed, float(self.share))]
            )
            for donor in donors_of(self.donor, sample, other)
            for step in steps_of(self.at, num_steps)
        ]

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """None."""
        return ()

    def paired(self) -> Sequence[PairedRecorder]:
        """None."""
        return ()

    def prepare(self, job: Any) -> None:
        """Nothing."""

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        steps = steps_of(self.at, puzzle.runs[0]["clean"].num_steps)
        return measures.measure(puzzle, donors_of(self.donor, puzzle.sample, puzzle.other), steps)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """None: it says nothing on the claims of the ledger."""
        return []

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        return {
            "strength": float(self.strength),
            "share": float(self.share),
            **summary.summarise(findings, sigmas),
        }
