"""What the engine asks of a model: one prediction at one noise level, labelled and counted.

    predict: (x_s [B, C, F, H, W], step k, condition) -> velocity v, clean estimate x_0_hat

With classifier-free guidance w (Ho & Salimans 2022, arXiv 2207.12598) a prediction is two forwards,

    v = v_uncond + w (v_cond - v_uncond)

and costs 2 model calls a sample.  Implementations live in `models`; the engine never learns a model's name.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch

from stepscope.denoise.schedule import Grid
from stepscope.errors import PlanError
from stepscope.shapes import LatentsBatch

__all__ = ["SITES", "AbstractDenoiser", "Address", "Input", "Prediction", "SiteTap", "Taps"]

Site = Literal["resid_pre", "self_attn_qk", "self_attn", "cross_attn", "mlp", "block"]
CfgBranch = Literal["cond", "uncond"]
SITES: tuple[Site, ...] = ("resid_pre", "self_attn", "cross_attn", "mlp", "block")
"""Sites of hidden states [B, L, D]; besides them `self_attn_qk`, queries and keys."""


@runtime_checkable
class Input(Protocol):
    """The part of a task's sample that a model sees."""

    @property
    def prompt(self) -> str:
        """What is asked."""
        ...

    @property
    def first_frame(self) -> np.ndarray:
        """uint8 [Y, X, 3]."""
        ...

    @property
    def num_frames(self) -> int:
        """Pixel frames of the video."""
        ...


@dataclass(frozen=True)
class Address:
    """Where in a run a tensor was read: step x sigma x expert x CFG branch x layer x site.

    Attributes:
        step: index in denoising order.
        sigma: noise level in [0, 1].
        expert: `"high_noise"` or `"low_noise"` for a model with two experts, else None.
        cfg_branch: `"cond"` or `"uncond"`.
        layer: index of the transformer block, None outside of layers.
        site: one of `SITES`, None outside of layers.
        token_grid: (F, H, W) after patching, so that tokens [B, F*H*W, D] can be laid out.
    """

    step: int
    sigma: float
    expert: str | None = None
    cfg_branch: CfgBranch = "cond"
    layer: int | None = None
    site: Site | None = None
    token_grid: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class SiteTap:
    """A function on one site of some layers: returns None to observe, or a tensor to put in its place.

    Attributes:
        site: one of `SITES`, or `self_attn_qk` for queries and keys, [B, 2, heads, L, d].
        function: called as function(hidden [B, L, D], address) -> hidden or None.
        layers: layer indices, None for all.
    """

    site: Site
    function: Callable[[torch.Tensor, Address], torch.Tensor | None]
    layers: frozenset[int] | None = None

    def touches(self, layer: int) -> bool:
        """Whether this tap sits on `layer`."""
        return self.layers is None or layer in self.layers


@dataclass(frozen=True)
class Taps:
    """All that is attached to the insides of a model during one prediction.

    Attributes:
        sites: edits first, then observers; they are called in this order.
        masks: called as mask(address) -> bool [F, F] or None; True where a query frame (row) may see a key frame.
        boundary: the noise level at which one expert hands over to the other; None for the model's own.
    """

    sites: tuple[SiteTap, ...] = ()
    masks: tuple[Callable[[Address], torch.Tensor | None], ...] = ()
    boundary: float | None = None

    def __bool__(self) -> bool:
        return bool(self.sites or self.masks) or self.boundary is not None


@dataclass(frozen=True)
class Prediction:
    """What a model says at one step, each of shape [B, C, F, H, W].

    Attributes:
        velocity: the guided velocity that the solver uses.
        clean: the clean estimate that belongs to it.
        cond: clean estimate of the conditional forward alone, a posterior mean if any is.
        model_calls: transformer forwards times samples that it took.
        model_output: what the network itself put out after guidance, in its own parametrisation and number type (for
            schedulers, which round as they would in the pipeline's own call).
        output_slope: d model_output / d velocity at fixed latents, where the output is no velocity; None where it is.
    """

    velocity: LatentsBatch
    clean: LatentsBatch
    cond: LatentsBatch
    model_calls: int
    model_output: LatentsBatch
    output_slope: float | None = None


class AbstractDenoiser(ABC):
    """A model as the engine sees it. Implementations are final."""

    @property
    @abstractmethod
    def num_layers(self) -> int:
        """Transformer blocks of one expert; 0 if the model has no layers to attach to."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where latents must be."""

    @abstractmethod
    def latents_shape(self, sample: Input) -> tuple[int, int, int, int]:
        """(C, F, H, W) of the latents of a sample; refuses what the codec cannot take."""

    @abstractmethod
    def condition(self, samples: Sequence[Input], guidance: float, negative_prompt: str | None) -> Any:
        """Encode prompts and first frames, once for a run; opaque to the engine."""

    def collate(self, conditions: Sequence[Any]) -> Any | None:
        """The condition of several samples, a row each, from those of single samples of one size, encoded already.

        None (the default) if they cannot be laid side by side: then whoever wants these rows in one call encodes the
        samples anew, together.
        """
        return None

    def begin(self, latents: LatentsBatch, grid: Grid) -> LatentsBatch:
        """Noise of unit variance as the latents of step 0; the noise itself where the path begins at sigma 1."""
        return latents

    def pipeline_grid(self, sample: Input, num_steps: int, shift: float | int | None) -> Grid:
        """The `pipeline` grid: where the model's own pipeline would step for a sample.

        Raises:
            PlanError: for a model without a scheduler.
        """
        raise PlanError("Schedule 'pipeline' was asked for. This model has no scheduler. Choose 'paper'.")

    @abstractmethod
    def expert(self, grid: Grid, step: int, boundary: float | None = None) -> str | None:
        """Which expert answers at `step`, None if there is but one; `boundary` as in `Taps`."""

    @abstractmethod
    def predict(
        self, latents: LatentsBatch, step: int, grid: Grid, condition: Any, guidance: float, taps: Taps
    ) -> Prediction:
        """One prediction at the noise level of `step`; two forwards if `guidance` is not 1 (see the family)."""

    @abstractmethod
    def finish(self, latents: LatentsBatch, condition: Any) -> LatentsBatch:
        """The result of a run from its last latents (some families put the first frame back)."""
