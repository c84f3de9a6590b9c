"""A model with everything that can be done with it.

    trace = load_model("embedded").denoise(sample, num_steps=20, seed=1)

Cost of `denoise`: one prediction a step (two with Heun; each two forwards with guidance), plus what interventions ask
for; nothing is decoded.  One sample at a time, so that company never changes a result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from stepscope import models
from stepscope.denoise import Grid, Recorder, Run, denoise, initial_latents, paper_grid
from stepscope.errors import PlanError, UnknownNameError
from stepscope.scope.checks import check_attached, check_finite, check_latents, check_sample, whole_number
from stepscope.scope.trace import Trace
from stepscope.shapes import Frames, Latents

__all__ = ["SCHEDULES", "Model", "load_model"]

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
    def num_layers(self) -> int:
        """Transformer blocks of one expert; 0 if there are none to attach to."""
        return self.loaded.denoiser.num_layers

    @property
    def weights_hash(self) -> str:
        """Hash of the weights, to which every finding is pinned."""
        return self.loaded.weights_hash

    def encode(self, frames: Frames) -> Latents:
        """Standardised latents [C, F, H, W] of frames uint8 [T, Y, X, 3]: the mode of the VAE, never a draw."""
        return self.loaded.encode(frames).detach().cpu()

    def decode(self, latents: Latents) -> Frames:
        """Frames uint8 [T, Y, X, 3] of standardised latents [C, F, H, W]."""
        with torch.no_grad():
            return self.loaded.decode(latents.to(self.loaded.denoiser.device))

    def denoise(
        self,
        sample: Any,
        *,
        num_steps: int = 20,
        seed: int = 0,
        guidance: float | int | None = None,
        solver: str = "euler",
        schedule: str = "paper",
        shift: float | int | None = None,
        latents: Any = None,
        negative_prompt: str | None = None,
        recorders: Sequence[Any] = (),
        interventions: Sequence[Any] = (),
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
            recorders: folds over the run.
            interventions: edits of the run.

        Raises:
            UserError: If any of these cannot be used.
        """
        check_sample(sample)
        check_attached(recorders, interventions, self.num_layers)
        guidance = self.card.guidance if guidance is None else guidance
        check_finite("guidance", guidance)
        run = Run(
            denoiser=self.loaded.denoiser,
            grid=self._grid(schedule, whole_number("num_steps", num_steps, 1), shift),
            solver=models.solver_named(solver, getattr(self.pipeline, "scheduler", None)),
            samples=(sample,),
            seeds=(whole_number("seed", seed),),
            guidance=float(guidance),
            negative_prompt=negative_prompt,
            interventions=tuple(interventions),
        )
        return self._traced(run, self._start(run, latents), recorders)

    def _grid(self, schedule: str, num_steps: int, shift: float | int | None) -> Grid:
        if shift is not None:
            check_finite("shift", shift)
        match schedule:
            case "paper":
                return paper_grid(num_steps, float(self.card.shift if shift is None else shift))
            case "pipeline" if self.pipeline is None:
                raise PlanError("Schedule 'pipeline' was asked for. This model has no scheduler. Choose 'paper'.")
            case "pipeline":
                return models.pipeline_grid(self.pipeline.scheduler, num_steps, shift)
        raise UnknownNameError.of("schedule", schedule, SCHEDULES)

    def _start(self, run: Run, latents: Any) -> Latents:
        shape = run.denoiser.latents_shape(run.samples[0])
        if latents is None:
            return initial_latents(run.seeds[0], shape)
        check_latents(latents, shape)
        return latents.detach()

    def _traced(self, run: Run, start: Latents, recorders: Sequence[Recorder]) -> Trace:
        with torch.no_grad():
            events, end, records = denoise(run, run.start(start[None]), recorders)
        return Trace(
            sample=run.samples[0],
            seed=run.seeds[0],
            sigmas=run.grid.sigmas.cpu(),
            latents=_stacked([*(event.latents for event in events), end.latents]),
            clean_estimates=_stacked([event.clean for event in events]),
            cond_estimates=_stacked([event.cond for event in events]),
            model_calls=sum(event.model_calls for event in events),
            records=records,
            model=self.name,
            weights_hash=self.weights_hash,
            guidance=run.guidance,
            schedule=run.grid.name,
            shift=run.grid.shift,
            solver=run.solver.name,
            negative_prompt=run.negative_prompt,
            interventions=tuple(run.interventions),
            branch="clean",
            decode=self.decode,
        )


def load_model(
    x: Any,
    *,
    device: str | torch.device = "cpu",
    dtype: Any = None,
    loras: Mapping[str, Any] = {},
    revision: str | None = None,
) -> Model:
    """Load a model, or take one that is alive.

    Args:
        x: a name such as `"embedded"`, a diffusers folder, a hub id, `FILE.py:NAME`, a pipeline or a denoiser.
        device: where the model runs.
        dtype: number type of its weights; None for the model's own.
        loras: LoRA files by expert.
        revision: revision of a hub id.

    Raises:
        UserError: If it is missing, damaged or of a kind that is not supported.
    """
    return Model(models.load(x, device=device, dtype=dtype, loras=loras, revision=revision))


def _stacked(batches: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack([batch[0] for batch in batches]).detach().cpu()
