"""CogVideoX image-to-video models (arXiv 2408.06072) as denoisers: a stock diffusers pipeline, taken apart.

    the network is given [x_vp, z_first, 0 … 0] on channels, and answers
    v_vp = a n - s x_0         (Salimans & Ho 2022, arXiv 2202.00512)       at x_vp = a x_0 + s n
    x_0_hat = a x_vp - s v_vp,  n_hat = s x_vp + a v_vp                     nothing is divided by a, which is 0 at first
    v = n_hat - x_0_hat                                                     the velocity on the engine's path

`cogvideox_scheduler` has the change of variables between the two paths.  A pipeline whose scheduler says `epsilon` or
`sample` is read in that parametrisation.  On a grid that is not the scheduler's own, the network is told the time, a
fraction of a trained step, at which the path has the grid's noise level.

With guidance w > 1 both CFG branches share one forward, [uncond, cond]; taps see one at a time.  Text and video attend
to each other in `self_attn`; there is no `cross_attn`.  The first frame's latents are a draw of the VAE's posterior, as
in the stock call, by a generator of seed 0, so that every run sees the same.  On CPU, float32 and batch 1 the run
equals the stock call with `generator=torch.Generator().manual_seed(0)` bit for bit.  `use_dynamic_cfg` is not there:
guidance is one number a run.  Cost of a prediction: one forward of B samples, of 2 B with guidance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from PIL import Image as Pillow

from stepscope.denoise import AbstractDenoiser, Address, Grid, Input, Prediction, Taps
from stepscope.denoise.denoiser import CfgBranch
from stepscope.errors import PlanError
from stepscope.models.attach import Layout, attach
from stepscope.models.cogvideox_codec import CogVideoXCodec
from stepscope.models.cogvideox_scheduler import (
    from_flow,
    is_variance_preserving,
    scale,
    to_flow,
    trained_timestep,
    variance_preserving_grid,
)
from stepscope.models.heads import States, cogvideox_output
from stepscope.models.inputs import check_batch, check_input, device_of
from stepscope.shapes import LatentsBatch, Trajectory

__all__ = ["LAYOUT", "CogVideoXCondition", "CogVideoXDenoiser"]

LAYOUT = Layout("transformer_blocks", cross_attn=None, mlp="ff", masks_by_head=True)
_TEXT_TOKENS = 226  # what the stock call pads to
_POSTERIOR_SEED = 0
_OFFSET = 2.0  # what the stock call tells the models that have an `ofs` embedding


@dataclass(frozen=True)
class CogVideoXCondition:
    """Encoded inputs of one run.

    Attributes:
        branches: the CFG branches in the batch, in their order.
        text: prompt embeddings [branches · B, L, D], branch by branch.
        first_frame: latents of the first frame, zeros behind it, [B, F, C, H, W].
        rotary: cosines and sines of the positions, None for models that add positions instead.
    """

    branches: tuple[CfgBranch, ...]
    text: torch.Tensor
    first_frame: torch.Tensor
    rotary: tuple[torch.Tensor, torch.Tensor] | None


@final
class CogVideoXDenoiser(AbstractDenoiser):
    """A stock `CogVideoXImageToVideoPipeline` as the engine sees it.

    Attributes:
        pipeline: the pipeline; read, never changed.
        codec: its VAE, and the sizes that it can take.
    """

    def __init__(self, pipeline: Any) -> None:
        """Wrap a pipeline of CogVideoX 1.0 or 1.5, on any device and in any number type.

        Raises:
            PlanError: for a scheduler of another path, or one that cannot say what the network answers with.
        """
        _check_scheduler(pipeline.scheduler)
        self.pipeline = pipeline
        self.codec = CogVideoXCodec(pipeline)
        self._main = pipeline.transformer

    @property
    def num_layers(self) -> int:
        """Transformer blocks."""
        return len(self._main.transformer_blocks)

    @property
    def device(self) -> torch.device:
        """Where the transformer runs; with offloading, where it is brought to."""
        return device_of(self.pipeline, self._main)

    def latents_shape(self, sample: Input) -> tuple[int, int, int, int]:
        """(C, F, H, W) for a sample.

        Raises:
            BadInputError: for an empty prompt, no 8-bit RGB first frame, a size or a number of frames not allowed.
        """
        check_input(sample)
        return self.codec.latents_shape(sample.num_frames, *sample.first_frame.shape[:2])

    def begin(self, latents: LatentsBatch, grid: Grid) -> LatentsBatch:
        """The pipeline starts from x_vp = noise, also where its first time step is not pure noise."""
        return latents if scale(grid.sigma(0)) == 1 else to_flow(latents, grid.sigma(0))

    def pipeline_grid(self, sample: Input, num_steps: int, shift: float | int | None) -> Grid:
        """The scheduler's own time steps, whatever the sample."""
        return variance_preserving_grid(self.pipeline.scheduler, num_steps, shift)

    def expert(self, grid: Grid, step: int, boundary: float | None = None) -> None:
        """There is one expert only."""

    @torch.no_grad()
    def condition(self, samples: Sequence[Input], guidance: float, negative_prompt: str | None) -> CogVideoXCondition:
        """Encode prompts and first frames, each sample alone, so that company changes nothing.

        Raises:
            BadInputError: for guidance below 1, or samples of different sizes.
        """
        check_batch(samples, guidance)
        text = [self._text(sample.prompt) for sample in samples]
        if guidance > 1:
            text = [self._text(negative_prompt or "")] * len(samples) + text
        return CogVideoXCondition(
            branches=("uncond", "cond") if guidance > 1 else ("cond",),
            text=torch.cat(text),
            first_frame=torch.cat([self._first_frame(sample) for sample in samples]),
            rotary=self._rotary(samples[0]),
        )

    @torch.no_grad()
    def wordless(self, sample: Input, guidance: float) -> CogVideoXCondition:
        """What `condition` gives for a sample, its text embeddings with a shape and no content: for an estimate."""
        branches: tuple[CfgBranch, ...] = ("uncond", "cond") if guidance > 1 else ("cond",)
        shape = (len(branches), _TEXT_TOKENS, self._main.config.text_embed_dim)
        return CogVideoXCondition(
            branches=branches,
            text=torch.empty(shape, dtype=self._main.dtype, device=self.device),
            first_frame=self._first_frame(sample),
            rotary=self._rotary(sample),
        )

    def collate(self, conditions: Sequence[CogVideoXCondition]) -> CogVideoXCondition:
        """The conditions of single samples of one size side by side."""
        first = conditions[0]
        return CogVideoXCondition(
            branches=first.branches,
            text=torch.stack([each.text for each in conditions], dim=1).flatten(0, 1),
            first_frame=torch.cat([each.first_frame for each in conditions]),
            rotary=first.rotary,
        )

    @torch.no_grad()
    def predict(
        self,
        latents: LatentsBatch,
        step: int,
        grid: Grid,
        condition: CogVideoXCondition,
        guidance: float,
        taps: Taps,
    ) -> Prediction:
        """One prediction; both CFG branches in one forward. Estimates are in the number type of the latents."""
        sigma, branches = grid.sigma(step), condition.branches
        x_vp = from_flow(latents, sigma)
        address = Address(step, sigma, token_grid=self._token_grid(latents))
        with attach(self._main, taps, address, LAYOUT, branches), self._main.cache_context("cond_uncond"):
            output = self._forward(x_vp, self._timestep(grid, step), condition)
        *uncond, cond = output.float().transpose(1, 2).chunk(len(branches))
        guided = uncond[0] + guidance * (cond - uncond[0]) if uncond else cond
        clean, noise = self._believed(x_vp, guided, sigma)
        return Prediction(
            velocity=(noise - clean).to(latents),
            clean=clean.to(latents),
            cond=self._believed(x_vp, cond, sigma)[0].to(latents),
            model_calls=len(latents) * len(branches),
            model_output=guided,
            output_slope=self._slope(sigma),
        )

    @torch.no_grad()
    def head(
        self, hidden: States, latents: LatentsBatch, step: int, grid: Grid, condition: CogVideoXCondition
    ) -> Trajectory:
        """The clean estimates of hidden states, each read as if the last block had put it out for these latents.

        Args:
            hidden: [K, L, D], tokens of the video alone.
            latents: what entered the model, [1, C, F, H, W].
            step: at which step.
            grid: the noise levels.
            condition: of the one sample that was asked about.

        Returns:
            [K, C, F, H, W], of the conditional forward; no model call is made.
        """
        timestep = self._timestep(grid, step).to(latents.device).reshape(1)
        output = cogvideox_output(self._main, hidden, timestep, self._ofs(hidden), self._token_grid(latents))
        x_vp = from_flow(latents, grid.sigma(step)).expand(len(output), *latents.shape[1:])
        return self._believed(x_vp, output.float(), grid.sigma(step))[0].to(latents)

    def finish(self, latents: LatentsBatch, condition: CogVideoXCondition) -> LatentsBatch:
        """The last latents are the result."""
        return latents

    def _forward(self, x_vp: torch.Tensor, timestep: torch.Tensor, condition: CogVideoXCondition) -> torch.Tensor:
        """What the network puts out, [branches · B, F, C, H, W]."""
        shown = torch.cat([x_vp.transpose(1, 2), condition.first_frame.to(x_vp)], dim=2)
        shown = torch.cat([shown] * len(condition.branches)).to(self._main.dtype)
        return self._main(
            hidden_states=shown,
            encoder_hidden_states=condition.text,
            timestep=timestep.to(shown.device).expand(len(shown)),
            ofs=self._ofs(shown),
            image_rotary_emb=condition.rotary,
            return_dict=False,
        )[0]

    def _believed(self, x_vp: torch.Tensor, output: torch.Tensor, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Clean estimate and noise, from an answer in the scheduler's parametrisation."""
        a, s = (1 - sigma) * scale(sigma), sigma * scale(sigma)
        match self.pipeline.scheduler.config.prediction_type:
            case "epsilon":
                return (x_vp - s * output) / a, output
            case "sample":
                return output, (x_vp - a * output) / s
        return a * x_vp - s * output, s * x_vp + a * output

    def _slope(self, sigma: float) -> float:
        """How the output changes with v at fixed x, since x_0_hat = x - sigma v and n_hat = x + (1 - sigma) v there."""
        match self.pipeline.scheduler.config.prediction_type:
            case "epsilon":
                return 1 - sigma
            case "sample":
                return -sigma
        return 1 / scale(sigma)

    def _ofs(self, like: torch.Tensor) -> torch.Tensor | None:
        """What the models with such an embedding are told."""
        return None if self._main.config.ofs_embed_dim is None else like.new_full((1,), fill_value=_OFFSET)

    def _timestep(self, grid: Grid, step: int) -> torch.Tensor:
        """What the network is told: the scheduler's own step, or where a noise level lies between trained ones."""
        if grid.name == "pipeline":
            return grid.timesteps[step]
        return torch.tensor(trained_timestep(self.pipeline.scheduler, grid.sigma(step)))

    def _token_grid(self, latents: LatentsBatch) -> tuple[int, int, int]:
        spatial, temporal = self._main.config.patch_size, self._main.config.patch_size_t or 1
        return latents.shape[2] // temporal, latents.shape[3] // spatial, latents.shape[4] // spatial

    def _text(self, prompt: str) -> torch.Tensor:
        embeds, _ = self.pipeline.encode_prompt(prompt, do_classifier_free_guidance=False, device=self.device)
        return embeds.to(self._main.dtype)

    def _first_frame(self, sample: Input) -> torch.Tensor:
        height, width = sample.first_frame.shape[:2]
        vae, channels = self.pipeline.vae, self.codec.latents_shape(sample.num_frames, height, width)[0]
        pixels = self.pipeline.video_processor.preprocess(Pillow.fromarray(sample.first_frame), height, width)
        padding = self.codec.padding * self.pipeline.vae_scale_factor_temporal
        # Without `latents` the pipeline would draw some; without a generator, from the global one.
        return self.pipeline.prepare_latents(
            image=pixels.to(self.device, vae.dtype),
            num_channels_latents=channels,
            num_frames=sample.num_frames + padding,
            height=height,
            width=width,
            dtype=torch.float32,
            device=self.device,
            generator=torch.Generator().manual_seed(_POSTERIOR_SEED),
            latents=torch.empty(0),
        )[1]

    def _rotary(self, sample: Input) -> tuple[torch.Tensor, torch.Tensor] | None:
        if not self._main.config.use_rotary_positional_embeddings:
            return None
        height, width = sample.first_frame.shape[:2]
        frames = self.codec.latents_shape(sample.num_frames, height, width)[1]
        return self.pipeline._prepare_rotary_positional_embeddings(height, width, frames, self.device)


def _check_scheduler(scheduler: Any) -> None:
    if not is_variance_preserving(scheduler):
        raise PlanError(
            f"The scheduler is {type(scheduler).__name__}. CogVideoX is read through CogVideoXDDIMScheduler or "
            "CogVideoXDPMScheduler. Set one of these."
        )
    if scheduler.config.prediction_type == "epsilon" and float(scheduler.alphas_cumprod[-1]) == 0:
        raise PlanError(
            "The scheduler says 'epsilon' and begins at pure noise, where noise says nothing of the video. "
            "It must say 'v_prediction'. Mend its configuration."
        )
