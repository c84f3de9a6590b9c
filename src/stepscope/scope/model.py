"""A model with everything that can be done with it.

    trace = load_model("embedded").denoise(sample, num_steps=20, seed=1)

Cost of `denoise`: one prediction a step (two with Heun; each two forwards with guidance), plus what interventions ask
for; nothing is decoded.  One sample at a time, so that company never changes a result.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat, SupportsIndex

import torch

from stepscope import models
from stepscope.denoise import (
    AbstractIntervention,
    DenoisingState,
    Grid,
    Leaf,
    Run,
    denoise,
    initial_latents,
    paper_grid,
)
from stepscope.errors import UnknownNameError
from stepscope.scope.checks import (
    check_alone,
    check_attached,
    check_frames,
    check_latents,
    check_sample,
    check_text,
    check_video_latents,
    finite_number,
    whole_number,
)
from stepscope.scope.trace import Trace
from stepscope.shapes import Frames, Latents

__all__ = ["SCHEDULES", "Model", "load_model", "once_each"]

SCHEDULES = ("paper", "pipeline")
"""The two grids: the paper's, and whatever a pipeline's scheduler does."""


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model.

    Attributes:
        loaded: the parts, see `stepscope.models`.
    """

    loaded: models.LoadedModel

    def __repr__(self) -> str:
        return f"Model({self.name!r}, num_layers={self.num_layers}, weights_hash={self.weights_hash[:12]!r})"

    @property
    def name(self) -> str:
        """Its name, folder or hub id."""
        return self.loaded.name

    @property
    def card(self) -> models.Card:
        """What the model is at home with: guidance, shift, size, frames."""
        return self.loaded.card

    @property
    def pipeline(self) -> Any:
        """The diffusers pipeline, None for a live denoiser."""
        return self.loaded.pipeline

    @property
    def offload(self) -> str:
        """What of it waits on the CPU: `none`, `model` or `group`; a live model is as it came, `none`."""
        return "none" if self.loaded.reference is None else self.loaded.reference.offload

    @property
    def num_layers(self) -> int:
        """Transformer blocks of one expert; 0 if there are none to attach to."""
        return self.loaded.denoiser.num_layers

    @property
    def weights_hash(self) -> str:
        """Hash of the weights, to which every finding is pinned."""
        return self.loaded.weights_hash

    def encode(self, frames: Any) -> Latents:
        """Standardised latents [C, F, H, W] of frames uint8 [T, Y, X, 3]: the mode of the VAE, never a draw."""
        check_frames(frames)
        return self.loaded.encode(frames).detach().cpu()

    def decode(self, latents: Any) -> Frames:
        """Frames uint8 [T, Y, X, 3] of standardised latents [C, F, H, W]."""
        check_video_latents(latents)
        with torch.no_grad():
            return self.loaded.decode(latents.to(self.loaded.denoiser.device))

    def preview(self, latents: Any, videos: Sequence[Any]) -> Frames:
        """What latents [C, F, H, W] look like, without a decoding: uint8 [F, H, W, 3], one pixel a latent.

        Args:
            latents: standardised, of this model.
            videos: uint8 [T, Y, X, 3] each, of the same kind; the linear map from latents to colours is fitted on them,
                once for the same weights and videos.

        Raises:
            BadInputError: If there is no video, or latents do not divide one evenly.
        """
        check_video_latents(latents)
        for video in videos:
            check_frames(video)
        loaded = self.loaded
        matrix = models.kept_matrix(loaded.weights_hash, loaded.encode, videos, loaded.padding)
        return models.preview(latents, matrix)

    def denoise(
        self,
        sample: Any,
        *,
        num_steps: SupportsIndex = 20,
        seed: SupportsIndex = 0,
        guidance: SupportsFloat | None = None,
        solver: str = "euler",
        schedule: str = "paper",
        shift: SupportsFloat | None = None,
        latents: Any = None,
        negative_prompt: str | None = None,
        recorders: Any = (),
        interventions: Any = (),
    ) -> Trace:
        """Run the model on a sample, from noise to video, and keep what it believed at every step.

        Args:
            sample: a prompt, a first frame and a number of frames; see `stepscope.tasks.Sample`.
            num_steps: N >= 1.
            seed: seed of the noise.
            guidance: classifier-free guidance, 1 for none; None for the model's own.
            solver: `euler`, `heun`, `unipc` or `pipeline`.
            schedule: `paper` or `pipeline`.
            shift: shift of the grid; None for the model's own.
            latents: floating-point tensor [C, F, H, W] to start from in place of the seed's noise.
            negative_prompt: prompt of the unconditional forward.
            recorders: folds over the run, a list or tuple.
            interventions: edits of the run, in the order in which they act.

        Raises:
            UserError: If any of these cannot be used.
        """
        check_sample(sample)
        check_attached(recorders, interventions, self.num_layers)
        check_alone(interventions)
        run = self.run_of(
            sample,
            num_steps=num_steps,
            seed=seed,
            guidance=guidance,
            solver=solver,
            schedule=schedule,
            shift=shift,
            negative_prompt=negative_prompt,
            interventions=interventions,
        )
        start = self.start_of(run, latents)
        with torch.no_grad():
            taken = Leaf(*denoise(run, start, recorders))
        return self.trace_of(run, taken, torch.float32 if latents is None else latents.dtype)

    def run_of(
        self,
        sample: Any,
        *,
        num_steps: SupportsIndex,
        seed: SupportsIndex,
        guidance: SupportsFloat | None = None,
        solver: str = "euler",
        schedule: str = "paper",
        shift: SupportsFloat | None = None,
        negative_prompt: str | None = None,
        interventions: Sequence[AbstractIntervention] = (),
        encode: Callable[[Frames], Latents] | None = None,
    ) -> Run:
        """The run that `denoise` takes with the same arguments.

        Args:
            sample: this argument and those not listed are as in `denoise`.
            num_steps: N >= 1.
            seed: seed of the noise.
            guidance: classifier-free guidance.
            solver: name of the solver.
            schedule: name of the schedule.
            shift: shift of the grid.
            negative_prompt: prompt of the unconditional forward.
            interventions: edits of the run.
            encode: how interventions come by the latents of a video; None for the model's own, each video once.

        Raises:
            UserError: If any of these cannot be used.
        """
        check_text("negative_prompt", negative_prompt or "")
        return Run(
            denoiser=self.loaded.denoiser,
            grid=self._grid(
                sample,
                schedule,
                whole_number("num_steps", num_steps, 1),
                None if shift is None else finite_number("shift", shift),
            ),
            solver=models.solver_named(solver, getattr(self.pipeline, "scheduler", None)),
            samples=(sample,),
            seeds=(whole_number("seed", seed),),
            guidance=finite_number("guidance", self.card.guidance if guidance is None else guidance),
            negative_prompt=negative_prompt,
            interventions=tuple(interventions),
            encode=encode or once_each(self.encode),
        )

    def start_of(self, run: Run, latents: Any = None) -> DenoisingState:
        """Where a run starts: from `latents` [C, F, H, W], or from the noise of its seed."""
        shape = run.denoiser.latents_shape(run.samples[0])
        if latents is None:
            latents = initial_latents(run.seeds[0], shape)
        check_latents(latents, shape)
        return run.start(latents.detach()[None])

    def trace_of(self, run: Run, taken: Leaf, dtype: torch.dtype = torch.float32, branch: str = "clean") -> Trace:
        """The trace of a run that was taken, from latents of `dtype`."""
        number = torch.promote_types(dtype, torch.float32)  # a family may compute in more, see CogVideoX
        return Trace(
            sample=run.samples[0],
            seed=run.seeds[0],
            sigmas=run.grid.sigmas.cpu(),
            latents=_stacked([*(event.latents for event in taken.events), taken.end.latents], number),
            clean_estimates=_stacked([event.clean for event in taken.events], number),
            cond_estimates=_stacked([event.cond for event in taken.events], number),
            model_calls=sum(event.model_calls for event in taken.events),
            records=taken.records,
            model=self.name,
            weights_hash=self.weights_hash,
            guidance=run.guidance,
            schedule=run.grid.name,
            shift=run.grid.shift,
            solver=run.solver.name,
            negative_prompt=run.negative_prompt,
            interventions=tuple(run.interventions),
            branch=branch,
            decode=self.decode,
        )

    def _grid(self, sample: Any, schedule: str, num_steps: int, shift: float | None) -> Grid:
        match schedule:
            case "paper":
                return paper_grid(num_steps, float(self.card.shift) if shift is None else shift)
            case "pipeline":
                return self.loaded.denoiser.pipeline_grid(sample, num_steps, shift)
        raise UnknownNameError.of("schedule", schedule, SCHEDULES)


def load_model(
    x: Any,
    *,
    device: str | torch.device = "cpu",
    dtype: Any = None,
    loras: Mapping[str, Any] = {},
    revision: str | None = None,
    offload: str = "none",
) -> Model:
    """Load a model, or take one that is alive.

    Args:
        x: a name such as `"embedded"`, a diffusers folder, a hub id, `FILE.py:NAME`, a pipeline or a denoiser.
        device: where the model runs.
        dtype: number type of its weights; None for the model's own.
        loras: LoRA files by expert.
        revision: revision of a hub id.
        offload: what waits on the CPU until it is needed: `none`, `model` (one expert or encoder at a time is on the
            device) or `group` (of an expert a block or two); decoding is then done in tiles.

    Raises:
        UserError: If it is missing, damaged or of a kind that is not supported.
    """
    return Model(models.load(x, device=device, dtype=dtype, loras=loras, revision=revision, offload=offload))


def once_each(encode: Callable[[Frames], Latents]) -> Callable[[Frames], Latents]:
    """An encoder that encodes equal videos once; it keeps what it made for as long as it lives."""
    known: dict[bytes, Latents] = {}

    def encoded(frames: Frames) -> Latents:
        key = hashlib.sha256(f"{frames.shape}".encode() + frames.tobytes()).digest()
        if key not in known:
            known[key] = encode(frames)
        return known[key]

    return encoded


def _stacked(batches: list[torch.Tensor], number: torch.dtype) -> torch.Tensor:
    """The first row of every batch, brought to the CPU in one piece."""
    return torch.stack([batch[0].detach() for batch in batches]).to("cpu", number)
