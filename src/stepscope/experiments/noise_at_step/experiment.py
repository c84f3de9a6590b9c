"""Noise at a step: disturb all latents before one step, and see what becomes of the answer.

    a branch a step   AddNoise(mode, step), all else as in the clean run;  by N + N(N+1)/2 model calls, not N(N+1)
    loss              success of the clean run minus that of the branch, by the latent read-out
    answer kept       the branch ends on the answer of the clean run
    lever arm         (sigma_k - sigma_{k+1})/sigma_k, printed beside every effect: an early edit of what is believed
                      moves little
    propagation       how far each branch is from the clean run at every later step, see `propagation`

The null is another seed.  In mode `replace` noise at step 0 *is* another seed, and noise at a late step destroys any
video, whatever the model does; `renoise` (the default) keeps what is believed and draws the noise anew, so that it
disturbs the plan and not the picture.  Where one expert hands over to another, a peak may be about the hand-over: the
switch is drawn, and the claim stays open until the sweep was made a second time with the boundary moved (`boundary`).
Of a model with one expert the claim is not tested, for want of a control; the numbers are in `metrics`.

Source: section 3.2 of *Demystifying Video Reasoning* (arXiv 2603.16870), which reports a score of 0.685 falling below
0.3 and a peak at steps 20-30 of 50, without a null and at the very step where its experts switch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.executors import Finding, Measured, Puzzle
from stepscope.experiments.noise_at_step import ledger, measures, summary
from stepscope.experiments.spans import chosen
from stepscope.experiments.sweeps import noise_seed, null_branch, steps_of
from stepscope.interventions import AddNoise, MoveBoundary
from stepscope.recorders import Experts, Raw
from stepscope.scope import Branch

__all__ = ["NoiseAtStep"]

_TOKENS = 1024  # rows on which hidden states are compared
_BUDGET = 2**31  # bytes


@dataclass(frozen=True)
class NoiseAtStep:
    """Noise in all latents before one step.

    Attributes:
        mode: `replace`, `add`, `vp` or `renoise`, see `interventions.AddNoise`.
        at: The disturbed steps: one, several, or START:STOP:STRIDE; None for all. Kept as a sorted tuple.
        strength: Of the noise; 0 is none.
        seed: Seed of the noise; every puzzle gets noise of its own.
        layers: Layers whose hidden states are compared too, spelled like `at`; None for none. They are kept in memory,
            1,024 tokens of each layer and step, 2 GiB a run at most (see `recorders.Raw`).
        decode: Also decode every result and let the task score it, for its progress; a decoding a branch.
        boundary: Noise level in [0, 1] to which the boundary between two experts is moved in a second sweep, the
            control; None for no second sweep. A model with one expert is refused.

    Raises:
        UserError: If any of these cannot be used.
    """

    name: ClassVar[str] = "noise-at-step"
    emits: ClassVar[tuple[str, ...]] = ("middle-step-sensitivity",)
    prepare_runs: ClassVar[int] = 0

    mode: str = "renoise"
    at: Any = None
    strength: float | int = 1.0
    seed: int = 0
    layers: Any = None
    decode: bool = True
    boundary: float | int | None = None

    def __post_init__(self) -> None:
        AddNoise(self.mode, 0, strength=self.strength, seed=self.seed)  # refuses what it cannot use
        object.__setattr__(self, "at", chosen("at", self.at))
        object.__setattr__(self, "layers", chosen("layers", self.layers))
        if self.boundary is not None:
            object.__setattr__(self, "boundary", MoveBoundary(self.boundary).boundary)

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """A branch for each step, and the null; with a boundary, an undisturbed one and each step once more."""
        noise, steps = noise_seed(self.seed, sample), steps_of(self.at, num_steps)
        edits = {step: AddNoise(self.mode, step, None, self.strength, noise) for step in steps}
        branches = [Branch(measures.name_of(step), [edit]) for step, edit in edits.items()]
        branches.append(null_branch(self.seed, sample))
        if self.boundary is not None:
            moved = MoveBoundary(self.boundary)
            branches.append(Branch(measures.MOVED, [moved]))
            branches += [Branch(f"{measures.MOVED} {measures.name_of(at)}", [moved, edits[at]]) for at in steps]
        return branches

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """Which expert answered; hidden states where they are asked for."""
        return [Experts(), Raw(layers=self.layers, tokens=_TOKENS, budget=_BUDGET)] if self.layers else [Experts()]

    def paired(self) -> Sequence[PairedRecorder]:
        """None: branches are compared when they are done."""
        return ()

    def prepare(self, job: Any) -> None:
        """Nothing."""

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        return measures.measure(puzzle, self.layers or (), self.decode)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claims, in the order of `emits`."""
        return [ledger.judge(findings)]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        return {
            "mode": self.mode,
            "strength": float(self.strength),
            "boundary": self.boundary,
            **summary.summarise(findings, sigmas),
        }
