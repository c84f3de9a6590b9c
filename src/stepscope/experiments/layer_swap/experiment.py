"""Swap what one layer puts out for another run's, and see whether the answer follows: which layer decides?

    a branch a layer   Swap(donor, layer, steps, mode) from step `at` on, all else as in the clean run
    flip               the donor's answer is shown, by the latent read-out: in the clean estimate of that very step (no
                       later step has mended it), and in the result
    choice             hull weight of the donor's answer among the run's own solutions and the donor's
    self-swap          every layer at once taken from the run itself: must flip nothing
    at random          the same swap from a run that knows nothing of the donor's answer: must not show it

Which mode tells layers apart?  `residual` does not: under one prompt all that follows in the step is the donor's, so
it flips at *every* layer, and at the last layer it does under any prompt.  `delta` takes what this layer *adds*, and
`attn`, `cross_attn` and `mlp` a part of that, so they can fail; `delta` is the default.  A swap of one step moves the
result by no more than the lever arm (sigma_k - sigma_{k+1})/sigma_k, printed beside it; `span` makes it last.

Cost: 2 L + 1 branches a step in `at`, L the layers, from there on, and two donors; up to four videos are encoded.

Source: section 5.2 of *Demystifying Video Reasoning* (arXiv 2603.16870): at the first step, on a blank background with
two sets of objects, one layer "flips the outcome completely"; the mode and the number of trials are not told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.errors import BadInputError, UnknownNameError
from stepscope.executors import Finding, Measured, Puzzle
from stepscope.experiments.layer_swap import ledger, measures, summary
from stepscope.experiments.layer_swap.donors import DONORS, donor_of, random_donor_of
from stepscope.experiments.layer_swap.measures import DONOR, RANDOM, SELF, SWAP, name_of
from stepscope.experiments.spans import chosen
from stepscope.experiments.sweeps import steps_of
from stepscope.interventions import Swap
from stepscope.scope import Branch, Model

__all__ = ["LayerSwap"]


@dataclass(frozen=True)
class LayerSwap:
    """What one layer puts out, taken from a donor.

    Attributes:
        donor: `other-prompt` or `other-scene`, see `donors`.
        mode: `residual`, `delta`, `attn`, `cross_attn` or `mlp`, see `interventions.Swap`.
        layers: The layers that are swapped, each by itself: one, several, or START:STOP:STRIDE; None for all.
        at: The steps at which a swap begins, each by itself: one, several, or START:STOP:STRIDE; None for all.
        span: How many steps a swap lasts, at least 1; None for all that follow.
        tokens: Token indices (frame, row, column) that are swapped; None for all.
        cfg_branch: `cond` or `uncond` to swap in that one alone; None for both.

    Raises:
        UserError: If any of these cannot be used.
    """

    name: ClassVar[str] = "layer-swap"
    emits: ClassVar[tuple[str, ...]] = ("decisive-layer",)
    prepare_runs: ClassVar[int] = 0

    donor: str = "other-prompt"
    mode: str = "delta"
    layers: Any = None
    at: Any = 0
    span: Any = 1
    tokens: Any = None
    cfg_branch: str | None = None

    def __post_init__(self) -> None:
        if self.donor not in DONORS:
            raise UnknownNameError.of("donor", self.donor, tuple(DONORS))
        if self.span is not None and not (isinstance(self.span, int) and self.span >= 1):
            raise BadInputError(f"span came as {self.span!r}. A swap lasts 1 step or more. Leave it out for 1.")
        object.__setattr__(self, "at", chosen("at", self.at))
        if self.layers != ():
            object.__setattr__(self, "layers", chosen("layers", self.layers))
        swap = Swap(DONOR, 0, 0, self.mode, self.tokens, self.cfg_branch)  # refuses what it cannot use
        object.__setattr__(self, "tokens", swap.tokens)

    def for_model(self, model: Model) -> "LayerSwap":
        """The same with all layers of a model, where none were named; with none, if the model has none."""
        if model.num_layers == 0:
            return replace(self, layers=())
        return self if self.layers is not None else replace(self, layers=range(model.num_layers))

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """The donors, and a branch for each step, layer and lender."""
        if self.layers == ():
            return ()
        by_chance = random_donor_of(sample)
        lenders = {SWAP: DONOR} if by_chance is None else {SWAP: DONOR, RANDOM: f"{RANDOM} donor"}
        return [
            Branch(DONOR, sample=donor_of(self.donor, sample, other)),
            *([] if by_chance is None else [Branch(lenders[RANDOM], sample=by_chance)]),
            *self._swaps(lenders, num_steps),
        ]

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """None: traces say it all."""
        return ()

    def paired(self) -> Sequence[PairedRecorder]:
        """None: branches are read one by one."""
        return ()

    def prepare(self, job: Any) -> None:
        """Nothing is needed beforehand."""

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        if self.layers == ():
            return Measured({"steps": [], "layers": []}, [{} for _ in puzzle.runs], [[] for _ in puzzle.runs])
        return measures.measure(puzzle, donor_of(self.donor, puzzle.sample, puzzle.other), self.mode)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claims, in the order of `emits`."""
        return [ledger.judge(findings)]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        asked = {"donor": self.donor, "mode": self.mode, "span": self.span}
        return asked | summary.summarise(findings, sigmas)

    def _swaps(self, lenders: dict[str, str], num_steps: int) -> Iterator[Branch]:
        if self.layers is None:
            raise BadInputError(
                "layers came as None before the model was known. Which layers there are, the model says. "
                "Name them, or call for_model(model)."
            )
        for step in steps_of(self.at, num_steps):
            yield Branch(name_of(SELF, step), [self._swap("clean", self.layers, step, num_steps)])
            for kind, donor in lenders.items():
                for layer in self.layers:
                    yield Branch(name_of(kind, step, layer), [self._swap(donor, layer, step, num_steps)])

    def _swap(self, donor: str, layers: Any, step: int, num_steps: int) -> Swap:
        last = num_steps if self.span is None else min(num_steps, step + self.span)
        return Swap(donor, layers, range(step, last), self.mode, self.tokens, self.cfg_branch)
