"""Where each layer is lit: maps of token energy, and how far they concentrate on the objects of the task.

    energy         L2 norm over channels of a block's output, a token; of the conditional forward
    localisation   energy inside the task's objects over energy outside, a layer and step, see `analysis.localisation`
    foreign        the same with the masks of another puzzle: what a layer would show that knows no objects
    turned         the same with the own masks turned by half a turn, where there is no other puzzle to take masks from

A norm says where a layer is large, not what it does there.  Cost: one reduction a block; no further model call.

Source: section 5.1 of *Demystifying Video Reasoning* (arXiv 2603.16870), which shows the maps of single videos and
reads them by eye: background in the first quarter of the layers, objects after.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.errors import BadInputError
from stepscope.executors import Finding, Measured, Puzzle
from stepscope.experiments.layer_energy import ledger, measures, summary
from stepscope.experiments.option_values import settle
from stepscope.recorders import TokenEnergy
from stepscope.scope import Branch, Model

__all__ = ["LayerEnergy"]


@dataclass(frozen=True)
class LayerEnergy:
    """Token energy over layers, frames and steps.

    Attributes:
        objects: Names of masks of the sample that count as objects, or what such names begin with (`goal` for `goal-0`
            and `goal-1`): one, several, or separated by commas; None for all masks.
        has_layers: Whether there are layers to read; no option, the model settles it.

    Raises:
        BadInputError: If objects are no names.
    """

    name: ClassVar[str] = "layer-energy"
    emits: ClassVar[tuple[str, ...]] = ("early-layers-global", "middle-layers-objects")
    prepare_runs: ClassVar[int] = 0

    objects: Any = None
    has_layers: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        settle(self, objects=_names(self.objects))

    def for_model(self, model: Model) -> "LayerEnergy":
        """The same, or for a model without layers one that reads nothing."""
        known = replace(self)
        settle(known, has_layers=model.num_layers > 0)
        return known

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """None: the clean run is all that is read."""
        return ()

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """The norms of all tokens."""
        return [TokenEnergy()] if self.has_layers else []

    def paired(self) -> Sequence[PairedRecorder]:
        """None: there is nothing to compare."""
        return ()

    def prepare(self, job: Any) -> None:
        """Nothing is needed beforehand."""

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        return measures.measure(puzzle, self.objects)

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claims, in the order of `emits`."""
        return [ledger.judge(id, findings) for id in self.emits]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        return summary.summarise(findings, sigmas)


def _names(objects: Any) -> tuple[str, ...] | None:
    if objects is None:
        return None
    several = objects.split(",") if isinstance(objects, str) else objects
    if not isinstance(several, Sequence) or not several or not all(isinstance(name, str) and name for name in several):
        raise BadInputError(
            f"objects came as {objects!r}. Allowed are names of masks, one or several. Leave it out for all of them."
        )
    return tuple(sorted(set(several)))
