"""Merging without layers: latents before a step, or what the model says in it. Works on any denoiser.

    MergeLatents      x <- merged x        (at step 0 the noise: 1/sqrt(K) too weak, or matched and another seed)
    MergeEstimates    velocity             v <- merged v,   x0_hat = x - s v
                      clean-estimate       x0_hat <- merged x0_hat,   v = (x - x0_hat) / s

Velocities of several seeds differ by their noise too, clean estimates by what is believed alone.  An edit of the clean
estimate moves the next latents by the lever arm (s_k - s_k+1) / s_k of itself (`denoise.lever_arm`): at step 0 by a
few hundredths.  Cost: some products, no model call.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from stepscope.denoise import Prediction
from stepscope.errors import UnknownNameError
from stepscope.interventions.merge import AbstractMerge
from stepscope.shapes import LatentsBatch

__all__ = ["ESTIMATES", "MergeEstimates", "MergeLatents"]

ESTIMATES = ("velocity", "clean-estimate")
"""What of a prediction can be merged."""

_PLACES = (2, 3, 4)
_ALL = (1, 2, 3, 4)


@dataclass(frozen=True)
class MergeLatents(AbstractMerge):
    """Merge the latents before the model calls of some steps.

    Attributes:
        donors: names of the branches that are merged into this one; none is the identity.
        steps: step indices, an int or several; None for all.
        pooled: whether only the mean of each channel is merged.
        matched: whether the latents keep their length.
        strength: a in [0, 1]; 0 is the identity.

    Raises:
        BadInputError: If any of these cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"latents"})

    donors: Any = ()
    steps: int | Iterable[int] | None = 0
    pooled: bool = False
    matched: bool = False
    strength: float | int = 1.0

    @property
    def what(self) -> str:
        """The latents."""
        return "latents"

    def exchange_latents(self, latents: LatentsBatch, lent: Sequence[LatentsBatch]) -> LatentsBatch:
        """The merged latents [B, C, F, H, W]."""
        return self.merged(latents, lent, _PLACES, _ALL)


@dataclass(frozen=True)
class MergeEstimates(AbstractMerge):
    """Merge what the model says in some steps.

    Attributes:
        donors: names of the branches that are merged into this one; none is the identity.
        steps: step indices, an int or several; None for all.
        of: one of `ESTIMATES`.
        pooled: whether only the mean of each channel is merged.
        matched: whether what is merged keeps its length.
        strength: a in [0, 1]; 0 is the identity.

    Raises:
        UnknownNameError: If there is no such estimate.
        BadInputError: If any other of these cannot be used.
    """

    reaches: ClassVar[frozenset[str]] = frozenset({"prediction"})

    donors: Any = ()
    steps: int | Iterable[int] | None = 0
    of: str = "velocity"
    pooled: bool = False
    matched: bool = False
    strength: float | int = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of not in ESTIMATES:
            raise UnknownNameError.of("estimate", self.of, ESTIMATES)

    @property
    def what(self) -> str:
        """Velocity or clean estimate."""
        return self.of

    def exchange_prediction(self, prediction: Prediction, lent: Sequence[Prediction], sigma: float) -> Prediction:
        """The merged prediction; what a scheduler reads of it is merged along."""
        merge = self._velocity if self.of == "velocity" else self._clean
        return merge(prediction, lent, sigma)

    def _velocity(self, own: Prediction, lent: Sequence[Prediction], sigma: float) -> Prediction:
        velocity = self._merged(own.velocity, [each.velocity for each in lent])
        cond = self._merged(_cond_velocity(own, sigma), [_cond_velocity(each, sigma) for each in lent])
        return replace(
            own,
            velocity=velocity,
            model_output=_output(own, velocity),
            clean=own.clean - sigma * (velocity - own.velocity),
            cond=own.cond - sigma * (cond - _cond_velocity(own, sigma)),
        )

    def _clean(self, own: Prediction, lent: Sequence[Prediction], sigma: float) -> Prediction:
        clean = self._merged(own.clean, [each.clean for each in lent])
        velocity = own.velocity - (clean - own.clean) / sigma
        cond = self._merged(own.cond, [each.cond for each in lent])
        return replace(own, velocity=velocity, model_output=_output(own, velocity), clean=clean, cond=cond)

    def _merged(self, own: LatentsBatch, others: Sequence[LatentsBatch]) -> LatentsBatch:
        return self.merged(own, others, _PLACES, _ALL)


def _output(own: Prediction, velocity: LatentsBatch) -> LatentsBatch:
    """What the network would have put out to say `velocity`."""
    if own.output_slope is None:
        return velocity.to(own.model_output)
    return own.model_output + (own.output_slope * (velocity - own.velocity)).to(own.model_output)


def _cond_velocity(prediction: Prediction, sigma: float) -> LatentsBatch:
    """Velocity of the conditional forward alone, from what is kept of it."""
    return prediction.velocity + (prediction.clean - prediction.cond) / sigma
