"""Frame count: what is lost when the same puzzle is answered in a shorter video with as many steps?

    success     the latent read-out of the result
    knowledge   R of the first clean estimate and of the result
    coherent    share of the latent frames in which something is drawn whose own R, against the answer that the whole
                video is nearest to, is at most 0.1: does every frame tell the story of the others?

If reasoning ran along the frames, half of them would halve it.  A model shown a length that it never saw in training
fails for that reason: the claim's control asks whether both lengths are within its range, see `trained`.  A shorter
video has its own noise, so pairs share the puzzle and the seed's name, and no more.
Cost: one run for each number of frames, seed and puzzle, encodings of the solutions at each length, no decoding.

Source: the project page of *Demystifying Video Reasoning* (arXiv 2603.16870): fewer frames have "only minor effects";
no numbers were published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.errors import BadInputError
from stepscope.executors import Finding, Job, Measured, Puzzle
from stepscope.experiments.evidence import Evidence, emit
from stepscope.experiments.frame_count import measures, summary
from stepscope.experiments.option_values import settle, wholes
from stepscope.scope import Branch, Model, generation_calls

__all__ = ["FrameCount"]

_TRAINED: Mapping[str, tuple[int, int]] = {"embedded@2": (5, 17)}
"""Video lengths that a model saw in training; of the bundled one, see `recipes/embedded`."""


@dataclass(frozen=True)
class FrameCount:
    """The same puzzles in shorter videos.

    Attributes:
        counts: Numbers of frames besides the puzzle's own, each smaller.
        trained: Shortest and longest video of the model's training; None if that is not known.
    """

    name: ClassVar[str] = "frame-count"
    emits: ClassVar[tuple[str, ...]] = ("frames-matter-little",)
    prepare_runs: ClassVar[int] = 0

    counts: Any = (5, 9, 13)
    trained: Any = None

    def __post_init__(self) -> None:
        settle(self, counts=wholes("counts", self.counts, 2))
        if self.trained is not None:
            settle(self, trained=_range(self.trained))

    def for_model(self, model: Model) -> "FrameCount":
        """The same, with what is known of a model's training."""
        return self if self.trained else replace(self, trained=_TRAINED.get(model.name))

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """None: other lengths are other latents, which no tree holds.

        Raises:
            BadInputError: If the puzzle's video is no longer than its compressions.
        """
        if max(self.counts) >= sample.num_frames:
            raise BadInputError(
                f"counts up to {max(self.counts)} came for videos of {sample.num_frames} frames. The puzzle's own is "
                "the longest. Leave out the larger counts."
            )
        return ()

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """None: traces say it all."""
        return ()

    def paired(self) -> Sequence[PairedRecorder]:
        """None: there is nothing to compare."""
        return ()

    def prepare(self, job: Job) -> dict[str, Any]:
        """How shorter puzzles are drawn and run."""
        asked = job.recording.asked
        return {"settings": job.recording.settings.options(), "split": asked["split"], "dials": asked["dials"]}

    def further_calls(self, job: Job, sample: Any) -> int:
        """Model calls of the shorter videos."""
        settings = job.recording.settings.options()
        return len(job.recording.seeds) * len(self.counts) * generation_calls(job.model, sample, **settings)

    def measure(self, puzzle: Puzzle) -> Measured:
        """Run one puzzle at every length, and read it."""
        return measures.measure(self.counts, puzzle)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claim."""
        return [emit(self.emits[0], evidence(findings, self.trained))]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        return summary.summarise(findings, evidence(findings, self.trained), self.trained)


def _range(trained: Any) -> tuple[int, int]:
    ends = wholes("trained", trained, 1)
    if len(ends) != 2 or ends[0] > ends[1]:
        raise BadInputError(
            f"trained came as {trained!r}. It is the shortest and the longest video of the training, in frames. Give "
            "for example 5,17."
        )
    return ends[0], ends[1]


def evidence(findings: Sequence[Finding], trained: tuple[int, int] | None) -> list[Evidence]:
    """Success with the count nearest to half of the frames, minus that with all; the control is 0 within the range."""
    found = []
    for puzzle, finding in enumerate(findings):
        for run in finding.runs:
            counts = sorted(map(int, run))
            half = min(counts[:-1], key=lambda count: (abs(2 * count - counts[-1]), count))
            solved = [float(run[str(count)]["answer"] is not None) for count in (half, counts[-1])]
            within = None if trained is None else trained[0] <= half and counts[-1] <= trained[1]
            found.append(Evidence(puzzle, solved[0] - solved[1], None if within is None else _control(within)))
    return found


def _control(within: bool) -> float:
    """A number below the claim's delta, which is negative, if both lengths were trained on, and above it if not."""
    return -1.0 if within else 1.0
