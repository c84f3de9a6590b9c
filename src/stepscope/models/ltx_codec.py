"""Between frames and latents of an LTX-Video pipeline: its own VAE, its own pre- and postprocessing.

    encode   z = k (mode(VAE(2 p / 255 - 1)) - mean) / std        frames uint8 [T, Y, X, 3] -> latents [C, F, H, W]
    decode   p = round(255 clamp(VAE⁻¹(z', t) / 2 + 1/2)),        T = f (F - 1) + 1,  f the temporal factor
             z' = (1 - w) y + w n,  y = z std / k + mean          for a VAE with `timestep_conditioning`, else z' = y

The last denoising step of such a VAE is its own: t is `decode_timestep`, w is `decode_noise_scale`.  Its noise n is
drawn by a generator of seed 0, and so is what the layers of some decoders add (`decoder_inject_noise`); the global
generator is as before afterwards.  So decoding is the stock call's with `generator=torch.Generator().manual_seed(0)`,
preceded for the latter kind by `torch.manual_seed(0)`.  Encoding takes the mode, never a sample.  Cost: one pass of the
VAE, one video at a time.
"""

import math
from typing import Any

import torch

from stepscope.models.inputs import check_frames
from stepscope.models.pixels import frames_from_video, video_from_frames
from stepscope.models.sizes import Sizes
from stepscope.shapes import Frames, Image, Latents

__all__ = ["LTXCodec"]

_STOCK_MULTIPLE = 32  # written into the stock pipeline's check of height and width, whatever the VAE
_NOISE_SEED = 0


class LTXCodec:
    """The VAE of a stock `LTXImageToVideoPipeline`, and the sizes that it can take.

    Attributes:
        pipeline: the pipeline.
        sizes: heights and widths that it takes.
        frame_multiple: the number of frames must be a multiple of this, plus 1.
        decode_timestep: t in [0, 1].
        decode_noise_scale: w in [0, 1].
    """

    def __init__(
        self, pipeline: Any, *, decode_timestep: float | int = 0.0, decode_noise_scale: float | int | None = None
    ) -> None:
        """Read the sizes off the pipeline's configuration; without a noise scale it is the time step, as stock."""
        multiple = math.lcm(_STOCK_MULTIPLE, pipeline.vae_spatial_compression_ratio)
        self.pipeline = pipeline
        self.sizes = Sizes((multiple, multiple))
        self.frame_multiple: int = pipeline.vae_temporal_compression_ratio
        self.decode_timestep = decode_timestep
        self.decode_noise_scale = decode_timestep if decode_noise_scale is None else decode_noise_scale

    def latents_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(C, F, H, W) of a video's latents.

        Raises:
            BadInputError: for a size or a number of frames that VAE and transformer cannot take.
        """
        self.sizes.check(height, width)
        check_frames(num_frames, self.frame_multiple)
        spatial, channels = self.pipeline.vae_spatial_compression_ratio, self.pipeline.transformer.config.in_channels
        return channels, (num_frames - 1) // self.frame_multiple + 1, height // spatial, width // spatial

    @torch.no_grad()
    def encode(self, frames: Frames) -> Latents:
        """Standardised latents of a video, float32, by the mode of the VAE's posterior."""
        return self._encoded(frames, self.pipeline.vae.config.scaling_factor)

    @torch.no_grad()
    def first_frame(self, image: Image) -> Latents:
        """The latents [C, 1, H, W] on which the pipeline conditions: the stock call leaves `scaling_factor` out."""
        return self._encoded(image[None], 1.0)

    def decode(self, latents: Latents) -> Frames:
        """The frames that the stock pipeline would show for these latents, rounded to 8 bits."""
        return frames_from_video(self.pipeline, self.video(latents))

    @torch.no_grad()
    def video(self, latents: Latents) -> torch.Tensor:
        """What the VAE makes of these latents, pixels [1, 3, T, Y, X] in about [-1, 1]."""
        vae = self.pipeline.vae
        z, timestep = self._unscaled(latents[None].to(self.pipeline._execution_device)).to(vae.dtype), None
        if vae.config.timestep_conditioning:
            noise = torch.randn(
                z.shape, generator=torch.Generator().manual_seed(_NOISE_SEED), dtype=z.dtype, device="cpu"
            ).to(z)
            timestep, w = (torch.tensor([value]).to(z) for value in (self.decode_timestep, self.decode_noise_scale))
            z = (1 - w) * z + w * noise
        with torch.random.fork_rng(devices=range(torch.cuda.device_count()), enabled=self._injects_noise):
            if self._injects_noise:
                torch.manual_seed(_NOISE_SEED)
            return vae.decode(z, timestep, return_dict=False)[0]

    @property
    def _injects_noise(self) -> bool:
        return any(self.pipeline.vae.config.decoder_inject_noise)

    def _encoded(self, frames: Frames, scaling_factor: float) -> Latents:
        self.latents_shape(*frames.shape[:3])
        vae = self.pipeline.vae
        video = video_from_frames(self.pipeline, frames).to(device=self.pipeline._execution_device, dtype=vae.dtype)
        mode = vae.encode(video).latent_dist.mode().float()
        return self.pipeline._normalize_latents(mode, vae.latents_mean, vae.latents_std, scaling_factor)[0]

    def _unscaled(self, latents: torch.Tensor) -> torch.Tensor:
        vae = self.pipeline.vae
        return self.pipeline._denormalize_latents(latents, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
