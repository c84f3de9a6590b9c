"""Between frames and latents of a CogVideoX pipeline: its own VAE, its own pre- and postprocessing.

    encode   z = k mode(VAE(2 p / 255 - 1))                 frames uint8 [T, Y, X, 3] -> latents [C, F, H, W]
    decode   p = round(255 clamp(VAE⁻¹(z / k) / 2 + 1/2))   T = 8 n + 1

k is the `scaling_factor` of the VAE's configuration.  The stock decoder gives 4 F frames for an even number of latent
frames and 4 (F - 1) + 1 for an odd one, so F must be odd.  A transformer with temporal patches (CogVideoX 1.5) works on
a latent frame more, put in front: encoding repeats the first one, decoding drops it, both as the stock pipeline does.
Cost: one pass of the VAE, one video at a time.
"""

import math
from typing import Any

import torch

from stepscope.errors import ModelLoadError
from stepscope.models.inputs import check_frames
from stepscope.models.pixels import frames_from_video, video_from_frames
from stepscope.models.sizes import Sizes
from stepscope.shapes import Frames, Latents

__all__ = ["CogVideoXCodec"]

_STOCK_MULTIPLE = 8  # written into the stock pipeline's check of height and width, whatever the VAE


class CogVideoXCodec:
    """The VAE of a stock `CogVideoXImageToVideoPipeline`, and the sizes that it can take.

    Attributes:
        pipeline: the pipeline.
        sizes: heights and widths that it takes.
        frame_multiple: the number of frames must be a multiple of this, plus 1.
        padding: latent frames put in front, 0 or 1.
    """

    def __init__(self, pipeline: Any) -> None:
        """Read the sizes off the pipeline's configuration.

        Raises:
            ModelLoadError: for temporal patches of more than 2 latent frames; no release has them.
        """
        config = pipeline.transformer.config
        if config.patch_size_t not in (None, 1, 2):
            raise ModelLoadError(
                f"The transformer has temporal patches of {config.patch_size_t} latent frames. Supported are up to 2. "
                "Give another model."
            )
        multiple = math.lcm(_STOCK_MULTIPLE, pipeline.vae_scale_factor_spatial * config.patch_size)
        self.pipeline = pipeline
        self.sizes = _sizes(config, multiple, pipeline.vae_scale_factor_spatial)
        self.frame_multiple: int = 2 * pipeline.vae_scale_factor_temporal
        self.padding = 1 if config.patch_size_t == 2 else 0

    def latents_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(C, F, H, W) of a video's latents, the padding included.

        Raises:
            BadInputError: for a size or a number of frames that VAE and transformer cannot take.
        """
        self.sizes.check(height, width)
        check_frames(num_frames, self.frame_multiple)
        frames = (num_frames - 1) // self.pipeline.vae_scale_factor_temporal + 1
        spatial = self.pipeline.vae_scale_factor_spatial
        channels = self.pipeline.transformer.config.in_channels // 2
        return channels, frames + self.padding, height // spatial, width // spatial

    @torch.no_grad()
    def encode(self, frames: Frames) -> Latents:
        """Scaled latents of a video, float32, by the mode of the VAE's posterior."""
        self.latents_shape(*frames.shape[:3])
        vae = self.pipeline.vae
        video = video_from_frames(self.pipeline, frames).to(device=self.pipeline._execution_device, dtype=vae.dtype)
        latents = vae.encode(video).latent_dist.mode().float()[0] * self.pipeline.vae_scaling_factor_image
        return torch.cat([latents[:, : self.padding], latents], dim=1)

    def decode(self, latents: Latents) -> Frames:
        """The frames that the stock pipeline would show for these latents, rounded to 8 bits."""
        return frames_from_video(self.pipeline, self.video(latents))

    @torch.no_grad()
    def video(self, latents: Latents) -> torch.Tensor:
        """What the VAE makes of these latents, pixels [1, 3, T, Y, X] in about [-1, 1]."""
        vae = self.pipeline.vae
        kept = latents[:, self.padding :].transpose(0, 1)[None]
        return self.pipeline.decode_latents(kept.to(device=self.pipeline._execution_device, dtype=vae.dtype))


def _sizes(config: Any, multiple: int, spatial: int) -> Sizes:
    """Learned positions are of one size; those of version 1.5 are cut from the largest."""
    own = config.sample_height * spatial, config.sample_width * spatial
    return Sizes(
        (multiple, multiple),
        largest=None if config.patch_size_t is None else own,
        only=own if config.use_learned_positional_embeddings else None,
    )
