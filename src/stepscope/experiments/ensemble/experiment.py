"""Ensembles and their rivals: what makes an answer better for the same model calls?

    frontier   success against model calls: single runs, a single run with more steps, ensembles, best of K, pruning
    paired     every strategy against single runs of the same seeds on the same puzzles; Holm over all of them
    spread     how much success moves from seed to seed, with which any gain has to be compared
    lever      how much of an edit of the clean estimate reaches the next latents, beside every effect
    steadier?  variance of the clean estimates between seeds, and R, step by step, merged and not

All is computed from one tree: K single runs of a pool of seeds, and the merged runs.  What best-of-K and pruning would
have chosen follows from the single runs, since their answers are runs of the pool bit for bit (see `scope.generate`);
their calls are those that `generate` counts.  Answers are read in the latents; the rule of a task, where it has one,
is shown decoded estimates.  Cost: pool + groups x 1 + rivals + groups (more steps) runs, 2 x pool decodings for a rule.

Source: section 6 of *Demystifying Video Reasoning* (arXiv 2603.16870): three seeds merged, 0.685 -> 0.716, without
controls; early selection of seeds: *Video Models Reason Early* (arXiv 2603.30043).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.errors import BadInputError, UnknownNameError
from stepscope.executors import Finding, Job, Measured, Puzzle
from stepscope.experiments.ensemble import ledger, measures, summary
from stepscope.experiments.ensemble.variants import LAYERED, VARIANTS, branches_of, leads, pool_seeds
from stepscope.experiments.option_values import named, settle, truth, whole, wholes
from stepscope.scope import Branch, Model

__all__ = ["Ensemble"]


@dataclass(frozen=True)
class Ensemble:
    """Strategies over seeds on one frontier.

    Attributes:
        size: Seeds that are merged.
        pool: Seeds of single runs, at least `size`.
        counts: K of best-of-K and of pruning, each at most `pool`.
        look: Steps before pruning chooses.
        merge_steps: Steps in which seeds are merged.
        variants: What is merged besides the recipe, see `variants`; None for all that the model allows.
        rule: Whether the task's rule is asked too, which decodes.
        draw: Another number draws other test seeds.
        layered: Whether the model has layers; no option, the model settles it.
    """

    name: ClassVar[str] = "ensemble"
    emits: ClassVar[tuple[str, ...]] = ("seed-ensemble-helps", "ensemble-stabilises", "shared-seed-bias")
    prepare_runs: ClassVar[int] = 0

    size: int = 3
    pool: int = 9
    counts: Any = (2, 4, 8)
    look: int = 3
    merge_steps: Any = (0,)
    variants: Any = None
    rule: Any = True
    draw: int = 0
    layered: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        pool = whole("pool", self.pool, 2)
        settle(
            self,
            size=whole("size", self.size, 2),
            counts=wholes("counts", self.counts, 2),
            look=whole("look", self.look, 1),
            merge_steps=wholes("merge_steps", self.merge_steps, 0),
            variants=None if self.variants is None else named(self.variants),
            rule=truth("rule", self.rule),
            draw=whole("draw", self.draw, 0),
        )
        if max(self.size, *self.counts) > pool:
            raise BadInputError(
                f"size {self.size}, counts {list(self.counts)} and pool {pool} came. Size and counts are at most the "
                "size of the pool. Give a larger pool, or fewer of the others."
            )
        for variant in self.variants or ():
            if variant not in VARIANTS:
                raise UnknownNameError.of("variant", variant, tuple(VARIANTS))

    def for_model(self, model: Model) -> "Ensemble":
        """The same, without what needs layers for a model that has none."""
        layered = model.num_layers > 0
        allowed = [name for name in VARIANTS if layered or name not in LAYERED]
        wanted = allowed if self.variants is None else self.variants
        if refused := [name for name in wanted if name not in allowed]:
            raise BadInputError(
                f"Variant {refused[0]!r} came for a model without layers. It allows {', '.join(allowed)}. Choose these."
            )
        known = replace(self, variants=tuple(wanted))
        settle(known, layered=layered)
        return known

    @property
    def leads(self) -> Sequence[int]:
        """Places in the pool of the seeds that others are merged into."""
        return leads(self.pool, self.size)

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """The pool and the merged runs.

        Raises:
            BadInputError: If the run is too short to look, or to merge.
        """
        if self.look >= num_steps:
            raise BadInputError(
                f"look came as {self.look} in runs of {num_steps} steps. Allowed is 1 to {num_steps - 1}. Look earlier."
            )
        seeds = pool_seeds(vars(self), num_steps, self.pool)
        return tuple(branches_of(self.variants or (), seeds, self.size, self.merge_steps, self.layered))

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """None: traces say it all."""
        return ()

    def paired(self) -> Sequence[PairedRecorder]:
        """None: traces say it all."""
        return ()

    def prepare(self, job: Job) -> None:
        """Nothing is needed beforehand."""

    def further_calls(self, job: Job, sample: Any) -> int:
        """Model calls of the single runs with more steps."""
        return measures.further_calls(self, job.model, sample, job.recording.settings.options())

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        return measures.measure(self, puzzle)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claims, in the order of `emits`."""
        return [ledger.judge(id, findings) for id in self.emits]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        return summary.summarise(findings, sigmas, self.merge_steps)
