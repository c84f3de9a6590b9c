"""Noise at a frame: disturb one latent frame, and see what the others make of it; steps against frames.

    A              what a disturbed frame moves in the same step: later frames minus earlier ones, as a share of both
    witnesses      the step at which each latent frame commits, by frame; which hurts more, hiding the past of every
                   frame or its future; neither decides
    survival       the paper's curve: how a run ends when one frame is disturbed in one step, or in every step, read
                   from all frames, and from the others alone (noise that stays in a frame is no wrong answer)

The paper compares score losses under noise at a step and at a frame, and finds the first larger.  That cannot fail: the
latents of a step are the whole state.  A can: a denoiser whose estimate of a frame depends on that frame and earlier
ones has A = 1, one that treats all frames alike has A = 0, and so has the ideal observer.  Cost: with N = 20 and the
usual frames and steps about 26 N predictions a seed, 28 N with attention cut.

Source: section 3.2 of *Demystifying Video Reasoning* (arXiv 2603.16870); the paper's mode is `replace`, in every step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.errors import BadInputError
from stepscope.executors import Finding, Measured, Puzzle
from stepscope.experiments.noise_at_frame import ledger, measures, summary
from stepscope.experiments.noise_at_frame.sweep import Disturbance, cuts, sweep
from stepscope.experiments.spans import chosen
from stepscope.experiments.sweeps import noise_seed
from stepscope.interventions import AddNoise
from stepscope.scope import Branch, Model

__all__ = ["NoiseAtFrame"]


@dataclass(frozen=True)
class NoiseAtFrame:
    """Noise in one latent frame.

    Attributes:
        mode: `replace`, `add`, `vp` or `renoise`, see `interventions.AddNoise`.
        at: The disturbed latent frames: one, several, or START:STOP:STRIDE; None for up to five along the video.
        steps: The steps at which a frame is disturbed, in the same spellings; None for step 0 and up to four more.
        strength: Of the noise; 0 is none.
        seed: Seed of the noise; every puzzle gets noise of its own.
        knock_out: Whether attention between frames is cut as well, one direction at a time; it needs a model with
            layers. None for whether the model has them, see `for_model`.
        decode: Also decode the clean run and those disturbed in every step, and let the task score their progress.

    Raises:
        UserError: If any of these cannot be used.
    """

    name: ClassVar[str] = "noise-at-frame"
    emits: ClassVar[tuple[str, ...]] = ("cos-over-cof",)
    prepare_runs: ClassVar[int] = 0

    mode: str = "renoise"
    at: Any = None
    steps: Any = None
    strength: float | int = 1.0
    seed: int = 0
    knock_out: Any = None
    decode: Any = True

    def __post_init__(self) -> None:
        AddNoise(self.mode, 0, strength=self.strength, seed=self.seed)  # refuses what it cannot use
        object.__setattr__(self, "at", chosen("at", self.at))
        object.__setattr__(self, "steps", chosen("steps", self.steps))
        for name, value in (("knock_out", self.knock_out), ("decode", self.decode)):
            if not (isinstance(value, bool) or (value is None and name == "knock_out")):
                raise BadInputError(
                    f"{name} came as {value!r}. Allowed are True and False. Leave it out for the usual."
                )

    def for_model(self, model: Model) -> "NoiseAtFrame":
        """The same, with attention cut where nothing was said of it and the model has layers."""
        return self if self.knock_out is not None else replace(self, knock_out=model.num_layers > 0)

    def disturbances(self, sample: Any, num_steps: int) -> list[Disturbance]:
        """What is done to a puzzle, a branch each."""
        noise = AddNoise(self.mode, None, None, self.strength, noise_seed(self.seed, sample))
        return list(sweep(noise, self.at, self.steps, sample.num_frames, num_steps))

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """Every frame in every step, and in each of the chosen ones."""
        disturbed = [Branch(each.branch, [each.edit]) for each in self.disturbances(sample, num_steps)]
        return [*disturbed, *(cuts() if self.knock_out else ())]

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """None: traces say it all."""
        return ()

    def paired(self) -> Sequence[PairedRecorder]:
        """None: branches are compared when they are done."""
        return ()

    def prepare(self, job: Any) -> None:
        """Nothing."""

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        disturbed = self.disturbances(puzzle.sample, puzzle.clean[0].num_steps)
        return measures.measure(puzzle, disturbed, first_steps=self.steps is None, decode=self.decode)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claims, in the order of `emits`."""
        return [ledger.judge(findings)]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        return {
            "mode": self.mode,
            "strength": float(self.strength),
            **summary.summarise(findings, sigmas),
        }
