"""Wan image-to-video models (arXiv 2503.20314) as denoisers: a stock diffusers pipeline, taken apart.

    Wan2.1-I2V      x -> [x, mask, z_first]                       first frame also by CLIP tokens in every block
    Wan2.2-A14B     x -> [x, mask, z_first]                       two experts, the switch at `boundary_ratio`
    Wan2.2-TI2V-5B  x -> z_first at frame 0, x elsewhere          one timestep a token, 0 at frame 0

The network answers with the velocity v = n - x_0.  With guidance w > 1 it is asked twice, conditional first:
v = v_u + w (v_c - v_u).  Parts of the pipeline are used (prompt encoding, image encoding, preparation of the
condition), its `__call__` never.  With batch 1 and the pipeline's own scheduler the run equals
that call bit for bit, in float32 and in bfloat16.
Cost of a prediction: one forward a branch, B samples each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import torch
from PIL import Image as Pillow

from stepscope.denoise import AbstractDenoiser, Address, Grid, Input, Prediction, Taps, clean_from_velocity
from stepscope.denoise.denoiser import CfgBranch
from stepscope.errors import BadInputError
from stepscope.models.attach import attach
from stepscope.models.heads import States, wan_output
from stepscope.models.inputs import check_batch, check_input, device_of
from stepscope.models.scheduler import pipeline_grid
from stepscope.models.wan_codec import WanCodec
from stepscope.shapes import LatentsBatch, Trajectory

__all__ = ["WanCondition", "WanDenoiser"]

_TEXT_TOKENS = 512  # what the stock call pads to; cross-attention sees the padding


@dataclass(frozen=True)
class WanCondition:
    """Encoded inputs of one run.

    Attributes:
        text: {CFG branch: prompt embeddings [B, 512, D]}; `uncond` only with guidance.
        image: CLIP tokens [B, L, D] (Wan2.1), else None.
        first_frame: what `prepare_latents` makes of the first frame: mask and latents [B, C', F, H, W],
            or with one timestep a token the latents [B, C, 1, H, W] alone.
        free: with one timestep a token, 1 where latents are denoised and 0 at frame 0, [1, 1, F, H, W]; else None.
    """

    text: dict[CfgBranch, torch.Tensor]
    image: torch.Tensor | None
    first_frame: torch.Tensor
    free: torch.Tensor | None

    def given(self, latents: LatentsBatch) -> LatentsBatch:
        """The latents with the first frame put back, where the family does so."""
        if self.free is None:
            return latents
        return (1 - self.free) * self.first_frame + self.free * latents


@final
class WanDenoiser(AbstractDenoiser):
    """A stock `WanImageToVideoPipeline` as the engine sees it.

    Attributes:
        pipeline: the pipeline; read, never changed.
        codec: its VAE, and the sizes that it can take.
    """

    def __init__(self, pipeline: Any) -> None:
        """Wrap a pipeline of any of the three styles, on any device and in any number type."""
        self.pipeline = pipeline
        self.codec = WanCodec(pipeline)
        self._main = pipeline.transformer if pipeline.transformer is not None else pipeline.transformer_2

    @cached_property
    def _dtype(self) -> torch.dtype:
        """The network's number type; diffusers looks through all modules for it."""
        return self._main.dtype

    @property
    def num_layers(self) -> int:
        """Transformer blocks of one expert."""
        return len(self._main.blocks)

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
        shape = self.codec.latents_shape(sample.num_frames, *sample.first_frame.shape[:2])
        times = shape[1] // self._main.config.patch_size[0]
        if times > (longest := self._main.config.rope_max_seq_len):
            raise BadInputError(
                f"The {sample.num_frames} frames make {times} tokens in time. This transformer counts up to {longest}. "
                "Choose a shorter video."
            )
        return shape

    @torch.no_grad()
    def condition(self, samples: Sequence[Input], guidance: float, negative_prompt: str | None) -> WanCondition:
        """Encode prompts and first frames, each sample alone, so that company changes nothing.

        Raises:
            BadInputError: for guidance below 1, or samples of different sizes.
        """
        check_batch(samples, guidance)
        prompts: dict[CfgBranch, list[str]] = {"cond": [sample.prompt for sample in samples]}
        if guidance > 1:
            prompts["uncond"] = [negative_prompt or ""] * len(samples)
        text: dict[CfgBranch, torch.Tensor] = {  # comes first: with offload, experts leave for it
            branch: _encoded(texts, self._text) for branch, texts in prompts.items()
        }
        prepared = [self._first_frame(sample) for sample in samples]
        return WanCondition(
            text=text,
            image=self._image(samples),
            first_frame=torch.cat([first_frame for first_frame, _ in prepared]),
            free=prepared[0][1],
        )

    @torch.no_grad()
    def wordless(self, sample: Input, guidance: float) -> WanCondition:
        """What `condition` gives for a sample, its text embeddings with a shape and no content: for an estimate."""
        branches: tuple[CfgBranch, ...] = ("cond", "uncond") if guidance > 1 else ("cond",)
        first_frame, free = self._first_frame(sample)

        def empty(tokens: int, channels: int) -> torch.Tensor:
            return torch.empty(1, tokens, channels, dtype=self._dtype, device=self.device)

        return WanCondition(
            text={branch: empty(_TEXT_TOKENS, self._main.config.text_dim) for branch in branches},
            image=None
            if self._main.config.image_dim is None
            else empty(self._image_tokens, self._main.config.image_dim),
            first_frame=first_frame,
            free=free,
        )

    def collate(self, conditions: Sequence[WanCondition]) -> WanCondition:
        """The conditions of samples of one size side by side."""
        first, images = conditions[0], [each.image for each in conditions if each.image is not None]
        return WanCondition(
            text={branch: torch.cat([each.text[branch] for each in conditions]) for branch in first.text},
            image=torch.cat(images) if images else None,
            first_frame=torch.cat([each.first_frame for each in conditions]),
            free=first.free,
        )

    def pipeline_grid(self, sample: Input, num_steps: int, shift: float | int | None) -> Grid:
        """What the pipeline's scheduler does by itself, whatever the sample."""
        return pipeline_grid(self.pipeline.scheduler, num_steps, shift)

    def expert(self, grid: Grid, step: int, boundary: float | None = None) -> str | None:
        """`"high_noise"` or `"low_noise"` as the stock call switches, None for a model with one expert."""
        ratio = self.pipeline.config.boundary_ratio
        if ratio is None:
            return None
        first = (ratio if boundary is None else boundary) * self.pipeline.scheduler.config.num_train_timesteps
        return "high_noise" if grid.timesteps[step] >= first else "low_noise"

    @torch.no_grad()
    def predict(
        self, latents: LatentsBatch, step: int, grid: Grid, condition: WanCondition, guidance: float, taps: Taps
    ) -> Prediction:
        """One prediction; two forwards if `guidance` > 1. Latents stay in their number type, whatever the network's."""
        expert, sigma = self.expert(grid, step, taps.boundary), grid.sigma(step)
        address = Address(step, sigma, expert, token_grid=self._token_grid(latents))
        asked = self._question(latents, grid.timesteps[step].to(latents.device), condition)
        model = self._network(expert)
        cond = guided = _forward(model, asked, condition, taps, address, "cond")
        if guidance > 1:
            uncond = _forward(model, asked, condition, taps, address, "uncond")
            guided = uncond + guidance * (cond - uncond)

        def clean(velocity: torch.Tensor) -> LatentsBatch:
            return condition.given(clean_from_velocity(latents, velocity.to(latents), sigma))

        return Prediction(
            velocity=guided.to(latents),
            clean=clean(guided),
            cond=clean(cond),
            model_calls=len(latents) * (2 if guidance > 1 else 1),
            model_output=guided,
        )

    @torch.no_grad()
    def head(self, hidden: States, latents: LatentsBatch, step: int, grid: Grid, condition: WanCondition) -> Trajectory:
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
        asked = self._question(latents, grid.timesteps[step].to(latents.device), condition)
        network = self._network(self.expert(grid, step))
        velocity = wan_output(network, hidden, asked["timestep"], self._token_grid(latents)).to(latents)
        return condition.given(clean_from_velocity(latents.expand_as(velocity), velocity, grid.sigma(step)))

    def finish(self, latents: LatentsBatch, condition: WanCondition) -> LatentsBatch:
        """The result; with one timestep a token, the first frame is put back."""
        return condition.given(latents)

    @property
    def _image_tokens(self) -> int:
        config = self.pipeline.image_encoder.config
        return (config.image_size // config.patch_size) ** 2 + 1  # patches, and the class token

    def _network(self, expert: str | None) -> Any:
        return self.pipeline.transformer_2 if expert == "low_noise" else self.pipeline.transformer

    def _question(
        self, latents: LatentsBatch, timestep: torch.Tensor, condition: WanCondition
    ) -> dict[str, torch.Tensor]:
        """What the network is shown besides text: latents with the first frame, and the timestep."""
        dtype = self._dtype
        if condition.free is None:
            shown = torch.cat([latents, condition.first_frame], dim=1)
            return {"hidden_states": shown.to(dtype), "timestep": timestep.expand(len(latents))}
        # The stock call has a stride of 2 written in here; the patch size is what it means.
        frames, height, width = self._main.config.patch_size
        tokens = (condition.free[0, 0, ::frames, ::height, ::width] * timestep).flatten()
        shown = condition.given(latents)
        return {"hidden_states": shown.to(dtype), "timestep": tokens.unsqueeze(0).expand(len(latents), -1)}

    def _token_grid(self, latents: LatentsBatch) -> tuple[int, int, int]:
        frames, height, width = self._main.config.patch_size
        return latents.shape[2] // frames, latents.shape[3] // height, latents.shape[4] // width

    def _text(self, prompt: str) -> torch.Tensor:
        embeds, _ = self.pipeline.encode_prompt(
            prompt=prompt,
            do_classifier_free_guidance=False,
            max_sequence_length=_TEXT_TOKENS,
            device=self.device,
        )
        return embeds.to(self._dtype)

    def _image(self, samples: Sequence[Input]) -> torch.Tensor | None:
        transformer = self.pipeline.transformer
        if transformer is None or transformer.config.image_dim is None:
            return None
        pictures = [Pillow.fromarray(sample.first_frame) for sample in samples]
        return torch.cat([self.pipeline.encode_image(picture, self.device) for picture in pictures]).to(self._dtype)

    def _first_frame(self, sample: Input) -> tuple[torch.Tensor, torch.Tensor | None]:
        height, width = sample.first_frame.shape[:2]
        picture = Pillow.fromarray(sample.first_frame)
        pixels = self.pipeline.video_processor.preprocess(picture, height=height, width=width)
        # Without `latents` the pipeline would draw some from the global generator.
        _, *made = self.pipeline.prepare_latents(
            image=pixels.to(self.device, dtype=torch.float32),
            batch_size=1,
            num_channels_latents=self.pipeline.vae.config.z_dim,
            height=height,
            width=width,
            num_frames=sample.num_frames,
            dtype=torch.float32,
            device=self.device,
            latents=torch.empty(0),
        )
        return made[0], made[1] if self.pipeline.config.expand_timesteps else None


def _forward(
    model: Any, asked: dict[str, torch.Tensor], condition: WanCondition, taps: Taps, address: Address, branch: CfgBranch
) -> torch.Tensor:
    """One forward of the transformer, in its own number type."""
    labelled = Address(address.step, address.sigma, address.expert, branch, token_grid=address.token_grid)
    with attach(model, taps, labelled), model.cache_context(branch):
        return model(
            **asked,
            encoder_hidden_states=condition.text[branch],
            encoder_hidden_states_image=condition.image,
            return_dict=False,
        )[0]


def _encoded(texts: Sequence[str], encode: Callable[[str], torch.Tensor]) -> torch.Tensor:
    """Embeddings [B, L, D]; equal texts are encoded once."""
    once = {text: encode(text) for text in dict.fromkeys(texts)}
    return torch.cat([once[text] for text in texts])
