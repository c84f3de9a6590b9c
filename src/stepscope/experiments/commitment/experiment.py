"""Commitment: what the model knows and what it has chosen at every step, beside two ideal observers.

    knowledge R     distance of the clean estimate from the hull of the solutions;  only its fall is computation
    choice          where in the hull, and over how many solutions it is spread (multiplicity)
    state-matched   the observer shown the model's own latents      rollout   the observer from the model's own noise

On top of these curves: when choice and knowledge are settled (censored where never), how often several answers are kept
alive after the observer has chosen, how often an answer is changed, whether all latent frames settle together, and what
seeds have in common.  Where a shape is hidden, or the prompt decides, branches of the run are shown something else from
some step on (see `switching`); elsewhere the clean run is all that is made.  Everything is read in the latents: a run
costs its predictions and no decoding.

Source of the behaviours: *Demystifying Video Reasoning* (arXiv 2603.16870), which shows them on single videos.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.executors import Finding, Job, Measured, Puzzle
from stepscope.experiments.commitment import ledger, measures, summary, switching
from stepscope.scope import Branch

__all__ = ["Commitment"]


@dataclass(frozen=True)
class Commitment:
    """Knowledge and choice along the steps; it has no options."""

    name: ClassVar[str] = "commitment"
    emits: ClassVar[tuple[str, ...]] = (
        "exploration-then-convergence",
        "excess-multiplicity",
        "early-commitment",
        "superposition",
        "working-memory",
        "self-correction",
        "perception-before-action",
    )

    prepare_runs: ClassVar[int] = 0

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """The same run, shown another picture or prompt from some step on; none where that decides nothing."""
        return switching.switches(sample, num_steps)

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """None: traces say it all."""
        return ()

    def paired(self) -> Sequence[PairedRecorder]:
        """None: there is nothing to compare."""
        return ()

    def prepare(self, job: Job) -> None:
        """Nothing is needed beforehand."""

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        return measures.measure(puzzle)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claims, in the order of `emits`."""
        return [ledger.judge(id, findings) for id in self.emits]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        return summary.summarise(findings, sigmas)
