"""Which experiments there are, by name; an experiment is a frozen dataclass whose fields are its options.

A field that `__init__` does not take is no option: it is what the model settles, see `OfLayers`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Protocol, runtime_checkable

from stepscope.analysis.claims import Verdict
from stepscope.errors import UnknownNameError
from stepscope.executors import Finding, Job, Procedure
from stepscope.experiments.commitment import Commitment
from stepscope.experiments.ensemble import Ensemble
from stepscope.experiments.frame_count import FrameCount
from stepscope.experiments.layer_energy import LayerEnergy
from stepscope.experiments.layer_lens import LayerLens
from stepscope.experiments.layer_probe import LayerProbe
from stepscope.experiments.layer_swap import LayerSwap
from stepscope.experiments.noise_at_frame import NoiseAtFrame
from stepscope.experiments.noise_at_step import NoiseAtStep
from stepscope.experiments.serial_depth import SerialDepth
from stepscope.experiments.step_compression import StepCompression
from stepscope.experiments.wrong_plan import WrongPlanSweep
from stepscope.scope import Model

__all__ = ["Experiment", "Further", "OfLayers", "get", "names"]


@runtime_checkable
class Experiment(Procedure, Protocol):
    """What every experiment can do: measure a puzzle (see `stepscope.executors.Procedure`), and judge.

    Attributes:
        name: Its name.
        emits: Ids of the claims on which it says something.
    """

    name: ClassVar[str]
    emits: ClassVar[tuple[str, ...]]

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claims, in the order of `emits`."""
        ...

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found; JSON."""
        ...


@runtime_checkable
class OfLayers(Protocol):
    """An experiment on all layers of a model that does not know yet how many there are."""

    def for_model(self, model: Model) -> Experiment:
        """The same on the layers of a model; one that reads nothing, if the model has none."""
        ...


@runtime_checkable
class Further(Protocol):
    """An experiment that also takes runs which no tree holds: with another number of steps or frames."""

    def further_calls(self, job: Job, sample: Any) -> int:
        """Model calls of those runs for one puzzle."""
        ...


_EXPERIMENTS: Mapping[str, type] = {
    kind.name: kind
    for kind in (
        Commitment,
        Ensemble,
        FrameCount,
        LayerEnergy,
        LayerLens,
        LayerProbe,
        LayerSwap,
        NoiseAtFrame,
        NoiseAtStep,
        SerialDepth,
        StepCompression,
        WrongPlanSweep,
    )
}


def names() -> tuple[str, ...]:
    """List the experiments."""
    return tuple(sorted(_EXPERIMENTS))


def get(name: str, **options: Any) -> Experiment:
    """Return an experiment with its options set.

    Raises:
        UnknownNameError: If there is no such experiment, or it has no such option.
    """
    if name not in _EXPERIMENTS:
        raise UnknownNameError.of("experiment", name, names())
    kind = _EXPERIMENTS[name]
    known = tuple(field.name for field in fields(kind) if field.init)
    for option in options:
        if option not in known:
            allowed = f"Known: {', '.join(known)}" if known else "It has none"
            raise UnknownNameError(
                f"Unknown option {option!r} of experiment {name!r}. {allowed}. Leave it out; "
                "a dial of the task goes among the dials."
            )
    return kind(**options)
