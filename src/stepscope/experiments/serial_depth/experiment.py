"""Serial depth: does a model fail where one thing must be known before the next, and do more steps help?

    depth   walls that a ball meets before its target      twin   a flight as long that meets none, from the same noise
    gap     success on the twin minus success on the flight, puzzle by puzzle
    step    from which on the flight is known, R <= 0.1 to the end; censored where never

What is hard about a long flight is in both; what is left is depth.  `counts` runs all of it again with other numbers of
steps: if steps bought depth, the gap would close as they grow.

Cost: two runs a puzzle, seed and number of steps, one where nothing bounces; with `decode` as many decodings.

Source of the question: *Seriality Gap* (Diaz Chao, Preechakul, Liu, Bai, arXiv 2607.13031), there with colliding balls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.errors import BadInputError
from stepscope.executors import Finding, Job, Measured, Puzzle
from stepscope.experiments.serial_depth import measures, pairs, summary
from stepscope.scope import Branch, generation_calls

__all__ = ["SerialDepth"]


@dataclass(frozen=True)
class SerialDepth:
    """Success and knowledge on flights with bounces, beside flights as long without.

    Attributes:
        counts: Numbers of steps besides the run's own, each once; one, or several. Kept as a tuple.
        decode: Whether results are decoded and scored by the task; otherwise the latents are read.

    Raises:
        BadInputError: If a number of steps is none, or comes twice.
    """

    name: ClassVar[str] = "serial-depth"
    emits: ClassVar[tuple[str, ...]] = ("serial-depth-gap",)
    prepare_runs: ClassVar[int] = 0

    counts: Any = ()
    decode: bool = True

    def __post_init__(self) -> None:
        counts = (self.counts,) if isinstance(self.counts, int | str) else tuple(self.counts)
        if not all(type(count) is int and count >= 1 for count in counts) or len(set(counts)) < len(counts):
            raise BadInputError(
                f"counts came as {self.counts!r}. They are numbers of steps from 1 up, each once. "
                "Give for example [1, 4]."
            )
        object.__setattr__(self, "counts", counts)

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """The twin of a flight that bounces.

        Raises:
            BadInputError: If the sample is no flight, or `counts` names the run's own number of steps.
        """
        if num_steps in self.counts:
            raise BadInputError(
                f"counts {list(self.counts)} came for runs of {num_steps} steps. These are made in any case. "
                "Leave that number out."
            )
        twin = pairs.twin(sample) if pairs.depth(sample) else None
        return () if twin is None else (Branch(measures.TWIN, sample=twin),)

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """None: traces say it all."""
        return ()

    def paired(self) -> Sequence[PairedRecorder]:
        """None: there is nothing to compare on the way."""
        return ()

    def prepare(self, job: Job) -> dict[str, Any]:
        """How runs with other numbers of steps are made."""
        return job.recording.settings.options()

    def further_calls(self, job: Job, sample: Any) -> int:
        """Model calls of the runs with other numbers of steps."""
        settings = job.recording.settings.options()
        each = [generation_calls(job.model, sample, **{**settings, "num_steps": count}) for count in self.counts]
        flights = 1 + len(self.branches(sample, None, settings["num_steps"]))
        return flights * len(job.recording.seeds) * sum(each)

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the flights of one puzzle."""
        return measures.measure(puzzle, self.counts, self.decode)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claim, which is about the run's own number of steps."""
        own = next((finding.puzzle["num_steps"] for finding in findings), 1)
        return [summary.judge(findings, own)]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found, depth by depth and number by number."""
        return summary.summarise(findings, len(sigmas) - 1)
