"""A clean estimate from every layer: how much of the answer is there, and how far it is chosen, over steps and layers.

    lens_l    ridge map from the output of block l to that of the last block, one for each step, fitted on other puzzles
    estimate  x0_hat_l = head( lens_l(h_l) ),   the model's own last lines and change of variables; no model call
    input     the same from what enters block 0: what a map of the patch embedding alone would know
    control   the last layer needs no map: its estimate is the model's own

A lens is linear and sees one token at a time: what it reads is there in that layer, in place; what it misses may be
there in another form, or would be found with more puzzles to fit on (a second lens, of half of them, shows how much).
Cost: the runs of `calibration` puzzles beforehand, N predictions each; then nothing but estimates is kept, and two
readings by the head, of a few thousandths of a call each.  A map takes 4 D^2 bytes on the model's device and 16 D^2 on
the CPU while it is fitted, two for each layer and step that is read (D = 5120: 0.1 and 0.4 GiB): choose few of both.

Source: late layers "consolidate" (arXiv 2603.16870); the lens is that of Belrose et al. 2023, *Eliciting Latent
Predictions from Transformers with the Tuned Lens* (arXiv 2303.08112), in closed form and on clean estimates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from stepscope.analysis.claims import Verdict
from stepscope.denoise import PairedRecorder, Recorder
from stepscope.errors import BadInputError
from stepscope.executors import Finding, Job, Measured, Puzzle
from stepscope.experiments.layer_lens import ledger, measures, summary
from stepscope.experiments.layer_lens.estimates import LensEstimates
from stepscope.experiments.layer_lens.fit import Lens, fit
from stepscope.experiments.layer_lens.regressions import LensRegressions
from stepscope.experiments.spans import chosen
from stepscope.scope import Branch, Model

__all__ = ["LayerLens"]

_USUAL = 8  # steps that are read where none are asked for


@dataclass(frozen=True)
class LayerLens:
    """Clean estimates from inside.

    Attributes:
        at: The steps that are read: one, several, or START:STOP:STRIDE; None for eight, evenly spread.
        layers: The layers: one, several, or START:STOP:STRIDE, the last one always among them; None for all.
        calibration: Puzzles on which the maps are fitted, of the training split and none that is measured; 1 or more.
        penalty: Of the ridge, in units of the mean variance of the hidden states, above 0.

    Raises:
        BadInputError: If any of these cannot be used.
    """

    name: ClassVar[str] = "layer-lens"
    emits: ClassVar[tuple[str, ...]] = ("late-layers-consolidate",)

    at: Any = None
    layers: Any = None
    calibration: int = 16
    penalty: float | int = 1e-3

    def __post_init__(self) -> None:
        if self.calibration < 1 or not self.penalty > 0:
            raise BadInputError(
                f"calibration came as {self.calibration} and penalty as {self.penalty}. Allowed are 1 puzzle or more, "
                "and a penalty above 0. Leave them out for 16 and 1e-3."
            )
        object.__setattr__(self, "at", chosen("at", self.at))
        if self.layers != ():
            object.__setattr__(self, "layers", chosen("layers", self.layers))

    def for_model(self, model: Model) -> "LayerLens":
        """The same with the layers of a model; with none, so that nothing is read, if it has none or no head."""
        if measures.lacking(model) is not None:
            return replace(self, layers=())
        last = model.num_layers - 1
        return replace(self, layers=(*range(last), last) if self.layers is None else {*self.layers, last})

    @property
    def prepare_runs(self) -> int:
        """A run for each puzzle of the calibration."""
        return self.calibration if self.layers else 0

    def branches(self, sample: Any, other: Any | None, num_steps: int) -> Sequence[Branch]:
        """None: the clean run is all that is read."""
        return ()

    def recorders(self, prepared: Any) -> Sequence[Recorder]:
        """What looks through the lens; what it is fitted with, as long as there is none."""
        if not self.layers:
            return []
        if prepared is None:
            return [self._regressions()]
        return [LensEstimates(prepared, self.layers, self._steps)]

    def paired(self) -> Sequence[PairedRecorder]:
        """None: there is nothing to compare."""
        return ()

    def prepare(self, job: Job) -> Lens | None:
        """Fit the lens."""
        return fit(job, self._regressions(), self.calibration, self.penalty) if self.layers else None

    def measure(self, puzzle: Puzzle) -> Measured:
        """Read the runs of one puzzle."""
        return measures.measure(puzzle, self.layers or ())

    def claims(self, findings: Sequence[Finding]) -> list[Verdict]:
        """Hold what was found against the claims, in the order of `emits`."""
        return [ledger.judge(findings)]

    def metrics(self, findings: Sequence[Finding], sigmas: Sequence[float]) -> dict[str, Any]:
        """Sum up what was found."""
        asked = {"calibration": self.calibration, "penalty": float(self.penalty)}
        return asked | summary.summarise(findings, sigmas)

    @property
    def _steps(self) -> Sequence[int] | int:
        return _USUAL if self.at is None else self.at

    def _regressions(self) -> LensRegressions:
        return LensRegressions(self.layers, self._steps)
