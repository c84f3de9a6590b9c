"""Train linear probes on what the layers hold: where and when can the answer be read before it is visible?

    goal     which goal will the run pick?      path   is this cell on its way?      agent   is the agent here now?

Each is asked of the answer that the run *finally* shows (see `places`), at every step and layer, split by
puzzle.  Beside every cell stands what could be had without the model: the latents before the step and the patch
embedding (which holds the picture); what the model already shows: its clean estimate, cut into the same tokens; and
what shuffled labels reach.  Two numbers come of it for each question:

    decodable   the first step at which some layer's 95% band lies above both inputs, the shuffled labels and chance
    visible     the first step at which that of the clean estimate does

A probe says that the answer *is there*, linearly; whether it is used, `layer-swap` asks.  Cost: the clean run alone,
the regions' averages (see `recorders.ProbeFeatures`), and the training, some seconds a hundred puzzles.

Sources: for probes see `analysis.probe`; the questions are those of *Demystifying Video Reasoning* (arXiv 2603.16870),
which looks at token norms by eye.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.errors import BadInputError
from stepscope.executors import Finding, Measured, Puzzle
from stepscope.experiments.layer_probe import measures, summary
from stepscope.experiments.layer_probe.places import weights_of
from stepscope.experiments.spans import chosen
from stepscope.experiments.sweeps import steps_of
from stepscope.recorders import ProbeFeatures
from stepscope.scope import Branch, Model

__all__ = ["LayerProbe"]

_USUAL = 6


@dataclass(frozen=True)
class LayerProbe:
    """Linear probes over steps and layers.

    Attributes:
        at: The steps that are probed: one, several, or START:STOP:STRIDE; None for six, evenly spread.
        layers: The layers: one, several, or START:STOP:STRIDE; None for all.
        seed: Of the folds and of the shuffled labels.

    Raises:
        BadInputError: If any of these cannot be used.
    """

    name: ClassVar[str] = "layer-probe"
    emits: ClassVar[tuple[str, ...]] = ()
    prepare_runs: ClassVar[int] = 0

    at: Any = None
    layers: Any = None
    seed: Any = 0

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int):
            raise BadInputError(f"seed came as {self.seed!r}. Allowed are whole numbers. Give 0 for example.")
        object.__setattr__(self, "at", chosen("at", self.at))
        if self.layers != ():
            object.__setattr__(self, "layers", chosen("layers", self.layers))

    def for_model(self, model: Model) -> "LayerProbe":
        """The same; with no layers, so that nothing is read, if the model has none."""
        return self if model.num_layers else replace(self, layers=())

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """None: the clean run is all that is read."""
        steps_of(self.at, num_steps)  # refuses steps that there are not
        return ()

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """The regions that are asked something."""
        return [] if self.layers == () else [ProbeFeatures(weights_of, self.layers)]

    def paired(self) -> Sequence[PairedRecorder]:
        """None: there is nothing to compare."""
        return ()

    def prepare(self, job: Any) -> None:
        """Nothing is needed beforehand."""

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        return measures.measure(puzzle, self._steps(puzzle.clean[0].num_steps))

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """None: what can be read is no claim of the ledger."""
        return []

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Train the probes on all puzzles, and sum up what they read."""
        return summary.summarise(findings, sigmas, self.seed)

    def _steps(self, num_steps: int) -> Sequence[int]:
        if self.at is not None:
            return self.at
        count = min(_USUAL, num_steps)
        return sorted({round(index * (num_steps - 1) / max(count - 1, 1)) for index in range(count)})
