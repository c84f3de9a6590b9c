"""LTX-Video image-to-video models (arXiv 2501.00103) as denoisers: a stock diffusers pipeline, taken apart.

    the network is given tokens [B, F·H·W, C], z_first at frame 0 and x elsewhere, and one timestep a token, 0 at
    frame 0; it answers with the velocity v = n - x_0

Here latents are [B, C, F, H, W] as everywhere; packing is this module's own affair.  The stock call keeps frame 0 out
of the scheduler; here its velocity leads to the first frame, its clean estimate is that frame, and `finish` puts it
back.  With guidance w > 1 both CFG branches share one forward, [uncond, cond]; taps see one at a time.  Time is told
with the positions: latent frame k lies at k · f / frame_rate seconds, f the temporal factor of the VAE.

The `pipeline` grid is shifted by the number of tokens where the scheduler says `use_dynamic_shifting`, so it belongs to
a sample.  On CPU, float32 and batch 1 the run equals, bit for bit, the stock call that is given packed latents with the
first frame's at frame 0.  (Without `latents` the stock call draws the first frame from the VAE's posterior; here it is
the mode.)  Cost of a prediction: one forward of B samples, of 2 B with guidance.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from stepscope.denoise import AbstractDenoiser, Address, Grid, Input, Prediction, Taps, clean_from_velocity
from stepscope.denoise.denoiser import CfgBranch
from stepscope.errors import BadInputError, ModelLoadError, PlanError
from stepscope.models.attach import Layout, attach
from stepscope.models.heads import States, ltx_output
from stepscope.models.inputs import check_batch, check_input, device_of
from stepscope.models.ltx_codec import LTXCodec
from stepscope.shapes import LatentsBatch, Trajectory

__all__ = ["LAYOUT", "LTXCondition", "LTXDenoiser"]

LAYOUT = Layout("transformer_blocks", mlp="ff", masks_by_head=True)
FRAME_RATE = 25.0
"""Frames a second that the stock call tells the model if nobody says otherwise."""
_TEXT_TOKENS = 128  # what the stock call pads to


@dataclass(frozen=True)
class LTXCondition:
    """Encoded inputs of one run.

    Attributes:
        branches: the CFG branches in the batch, in their order.
        text: prompt embeddings [branches · B, L, D], branch by branch.
        text_mask: bool [branches · B, L], True for what is no padding.
        first_frame: latents of the first frame [B, C, 1, H, W].
    """

    branches: tuple[CfgBranch, ...]
    text: torch.Tensor
    text_mask: torch.Tensor
    first_frame: torch.Tensor

    def given(self, latents: LatentsBatch) -> LatentsBatch:
        """The latents with the first frame put back."""
        return torch.cat([self.first_frame.to(latents).expand(len(latents), -1, -1, -1, -1), latents[:, :, 1:]], dim=2)


@final
class LTXDenoiser(AbstractDenoiser):
    """A stock `LTXImageToVideoPipeline` as the engine sees it.

    Attributes:
        pipeline: the pipeline; read, never changed.
        codec: its VAE, and the sizes that it can take.
        frame_rate: frames a second that the model is told.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        frame_rate: float | int = FRAME_RATE,
        decode_timestep: float | int = 0.0,
        decode_noise_scale: float | int | None = None,
    ) -> None:
        """Wrap a pipeline, on any device and in any number type; for the decoding see `LTXCodec`.

        Raises:
            ModelLoadError: for a transformer with patches; the stock call cannot run one either.
        """
        if (pipeline.transformer_spatial_patch_size, pipeline.transformer_temporal_patch_size) != (1, 1):
            raise ModelLoadError("The transformer has patches. LTX-Video has a token a latent. Give another model.")
        self.pipeline = pipeline
        self.codec = LTXCodec(pipeline, decode_timestep=decode_timestep, decode_noise_scale=decode_noise_scale)
        self.frame_rate = frame_rate
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

    def pipeline_grid(self, sample: Input, num_steps: int, shift: float | int | None) -> Grid:
        """Where the stock call steps for a sample of this size.

        Args:
            sample: for the number of its tokens.
            num_steps: N >= 1.
            shift: a shift in place of the scheduler's own, dynamic or not; None leaves it.
        """
        if num_steps < 1:
            raise BadInputError(f"Steps came as {num_steps}. A run has at least 1 step. Give --steps 1 or more.")
        own = _shifted(self.pipeline.scheduler, shift)
        sigmas = np.linspace(1.0, 1 / num_steps, num_steps)
        try:
            own.set_timesteps(num_steps, sigmas=sigmas, mu=self._mu(sample))
        except (TypeError, ValueError) as error:
            raise PlanError(
                f"{type(own).__name__} cannot make the grid of LTX-Video ({error}). Its own scheduler is "
                "FlowMatchEulerDiscreteScheduler. Use schedule 'paper'."
            ) from error
        return Grid("pipeline", own.sigmas.clone(), own.timesteps.clone(), None if shift is None else float(shift))

    def expert(self, grid: Grid, step: int, boundary: float | None = None) -> None:
        """There is one expert only."""

    @torch.no_grad()
    def condition(self, samples: Sequence[Input], guidance: float, negative_prompt: str | None) -> LTXCondition:
        """Encode prompts and first frames, each sample alone, so that company changes nothing.

        Raises:
            BadInputError: for guidance below 1, or samples of different sizes.
        """
        check_batch(samples, guidance)
        texts = [self._text(sample.prompt) for sample in samples]
        if guidance > 1:
            texts = [self._text(negative_prompt or "")] * len(samples) + texts
        return LTXCondition(
            branches=("uncond", "cond") if guidance > 1 else ("cond",),
            text=torch.cat([embeds for embeds, _ in texts]),
            text_mask=torch.cat([mask for _, mask in texts]),
            first_frame=torch.stack([self.codec.first_frame(sample.first_frame) for sample in samples]),
        )

    @torch.no_grad()
    def wordless(self, sample: Input, guidance: float) -> LTXCondition:
        """What `condition` gives for a sample, its text embeddings with a shape and no content: for an estimate."""
        branches: tuple[CfgBranch, ...] = ("uncond", "cond") if guidance > 1 else ("cond",)
        shape, device = (len(branches), _TEXT_TOKENS), self.device
        return LTXCondition(
            branches=branches,
            text=torch.empty(*shape, self._main.config.caption_channels, dtype=self._main.dtype, device=device),
            text_mask=torch.ones(shape, dtype=torch.bool, device=device),
            first_frame=self.codec.first_frame(sample.first_frame)[None],
        )

    def collate(self, conditions: Sequence[LTXCondition]) -> LTXCondition:
        """The conditions of single samples of one size side by side."""
        return LTXCondition(
            branches=conditions[0].branches,
            text=torch.stack([each.text for each in conditions], dim=1).flatten(0, 1),
            text_mask=torch.stack([each.text_mask for each in conditions], dim=1).flatten(0, 1),
            first_frame=torch.cat([each.first_frame for each in conditions]),
        )

    @torch.no_grad()
    def predict(
        self, latents: LatentsBatch, step: int, grid: Grid, condition: LTXCondition, guidance: float, taps: Taps
    ) -> Prediction:
        """One prediction; both CFG branches in one forward. Latents stay in their number type."""
        sigma, branches = grid.sigma(step), condition.branches
        address = Address(step, sigma, token_grid=_token_grid(latents))
        with attach(self._main, taps, address, LAYOUT, branches), self._main.cache_context("cond_uncond"):
            output = self._forward(latents, grid.timesteps[step], condition)
        *uncond, cond = output.float().chunk(len(branches))
        guided = uncond[0] + guidance * (cond - uncond[0]) if uncond else cond

        def clean(velocity: torch.Tensor) -> LatentsBatch:
            return condition.given(clean_from_velocity(latents, velocity.to(latents), sigma))

        to_first = (latents[:, :, :1] - condition.first_frame.to(latents)) / sigma
        velocity = torch.cat([to_first, guided[:, :, 1:].to(latents)], dim=2)
        return Prediction(
            velocity=velocity,
            clean=clean(guided),
            cond=clean(cond),
            model_calls=len(latents) * len(branches),
            model_output=velocity,
        )

    @torch.no_grad()
    def head(self, hidden: States, latents: LatentsBatch, step: int, grid: Grid, condition: LTXCondition) -> Trajectory:
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
        timestep = _token_timesteps(latents, grid.timesteps[step].reshape(1))
        velocity = ltx_output(self._main, hidden, timestep, _token_grid(latents)).to(latents)
        return condition.given(clean_from_velocity(latents.expand_as(velocity), velocity, grid.sigma(step)))

    def finish(self, latents: LatentsBatch, condition: LTXCondition) -> LatentsBatch:
        """The result, with the first frame put back."""
        return condition.given(latents)

    def _forward(self, latents: LatentsBatch, timestep: torch.Tensor, condition: LTXCondition) -> torch.Tensor:
        """What the network puts out, [branches · B, C, F, H, W]."""
        frames, height, width = _token_grid(latents)
        tokens = condition.given(latents).flatten(2).transpose(1, 2)
        shown = torch.cat([tokens] * len(condition.branches)).to(self._main.dtype)
        spatial, temporal = self.codec.pipeline.vae_spatial_compression_ratio, self.codec.frame_multiple
        output = self._main(
            hidden_states=shown,
            encoder_hidden_states=condition.text,
            timestep=_token_timesteps(latents, timestep.expand(len(shown))),
            encoder_attention_mask=condition.text_mask,
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=(temporal / self.frame_rate, spatial, spatial),
            return_dict=False,
        )[0]
        return output.transpose(1, 2).unflatten(2, (frames, height, width))

    def _text(self, prompt: str) -> tuple[torch.Tensor, torch.Tensor]:
        embeds, mask, _, _ = self.pipeline.encode_prompt(prompt, do_classifier_free_guidance=False, device=self.device)
        return embeds.to(self._main.dtype), mask

    def _mu(self, sample: Input) -> float:
        """How far a scheduler with dynamic shifting shifts, from the number of tokens; the stock call's own formula."""
        from diffusers.pipelines.ltx.pipeline_ltx_image2video import calculate_shift

        _, frames, height, width = self.latents_shape(sample)
        config = self.pipeline.scheduler.config
        return calculate_shift(
            frames * height * width,
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", 1.15),
        )


def _token_timesteps(latents: LatentsBatch, timesteps: torch.Tensor) -> torch.Tensor:
    """One time step a token, [rows, L], 0 at frame 0."""
    frames, height, width = _token_grid(latents)
    free = torch.ones(frames, height * width, device=latents.device)
    free[0] = 0
    return timesteps.to(latents.device).unsqueeze(-1) * free.flatten()


def _token_grid(latents: LatentsBatch) -> tuple[int, int, int]:
    return latents.shape[2], latents.shape[3], latents.shape[4]


def _shifted(scheduler: Any, shift: float | int | None) -> Any:
    """A copy of the scheduler, with a fixed shift if one is given."""
    if shift is None:
        return copy.deepcopy(scheduler)
    if not shift > 0:
        raise BadInputError(f"Shift came as {shift}. It must be above 0. Leave it out to take the scheduler's own.")
    return type(scheduler).from_config(scheduler.config, shift=float(shift), use_dynamic_shifting=False)
