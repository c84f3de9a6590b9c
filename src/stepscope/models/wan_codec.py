"""Between frames and latents of a Wan pipeline: its own VAE, its own pre- and postprocessing.

    encode   z = (mode(VAE(2 p / 255 - 1)) - mean) / std          frames uint8 [T, Y, X, 3] -> latents [C, F, H, W]
    decode   p = round(255 clamp(VAE⁻¹(z std + mean) / 2 + 1/2))   T = f (F - 1) + 1,  f the temporal factor

mean and std are the measured ones of the VAE's configuration, so the latents are standardised.  Encoding takes the
mode, never a sample.  Cost: one pass of the VAE, one video at a time.
"""

import math
from typing import Any

import torch

from stepscope.models.inputs import check_frames
from stepscope.models.pixels import frames_from_video, video_from_frames
from stepscope.models.sizes import Sizes
from stepscope.shapes import Frames, Latents

__all__ = ["WanCodec"]

_STOCK_MULTIPLE = 16  # written into the stock pipeline's check of height and width, whatever the VAE


class WanCodec:
    """The VAE of a stock `WanImageToVideoPipeline`, and the sizes that it can take.

    Attributes:
        pipeline: the pipeline.
        sizes: heights and widths that it takes.
        frame_multiple: the number of frames must be a multiple of this, plus 1.
    """

    def __init__(self, pipeline: Any) -> None:
        """Read the sizes off the pipeline's configuration."""
        transformer = pipeline.transformer if pipeline.transformer is not None else pipeline.transformer_2
        spatial = pipeline.vae_scale_factor_spatial
        self.pipeline = pipeline
        self.frame_multiple: int = pipeline.vae_scale_factor_temporal
        token = [spatial * patch for patch in transformer.config.patch_size[1:]]  # height and width in pixels
        multiple = [math.lcm(_STOCK_MULTIPLE, side) for side in token]
        most = [transformer.config.rope_max_seq_len * side for side in token]
        self.sizes = Sizes((multiple[0], multiple[1]), largest=(most[0], most[1]))

    def latents_shape(self, num_frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(C, F, H, W) of a video's latents.

        Raises:
            BadInputError: for a size or a number of frames that VAE and transformer cannot take.
        """
        self.sizes.check(height, width)
        check_frames(num_frames, self.frame_multiple)
        vae = self.pipeline.vae.config
        spatial = self.pipeline.vae_scale_factor_spatial
        return vae.z_dim, (num_frames - 1) // self.frame_multiple + 1, height // spatial, width // spatial

    @torch.no_grad()
    def encode(self, frames: Frames) -> Latents:
        """Standardised latents of a video, float32, by the mode of the VAE's posterior."""
        self.latents_shape(*frames.shape[:3])
        vae = self.pipeline.vae
        video = video_from_frames(self.pipeline, frames).to(device=self.pipeline._execution_device, dtype=vae.dtype)
        mode = vae.encode(video).latent_dist.mode().float()
        mean, inverse_std = self._moments(mode)
        return ((mode - mean) * inverse_std)[0]

    def decode(self, latents: Latents) -> Frames:
        """The frames that the stock pipeline would show for these latents, rounded to 8 bits."""
        return frames_from_video(self.pipeline, self.video(latents))

    @torch.no_grad()
    def video(self, latents: Latents) -> torch.Tensor:
        """What the VAE makes of these latents, pixels [1, 3, T, Y, X] in about [-1, 1]."""
        vae = self.pipeline.vae
        scaled = latents[None].to(device=self.pipeline._execution_device, dtype=vae.dtype)
        mean, inverse_std = self._moments(scaled)
        return vae.decode(scaled / inverse_std + mean, return_dict=False)[0]

    def _moments(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and 1/std, each [1, C, 1, 1, 1]; multiplied and divided in the stock order, to agree bitwise."""
        config = self.pipeline.vae.config
        mean, std = torch.tensor(config.latents_mean), torch.tensor(config.latents_std)
        shape = (1, config.z_dim, 1, 1, 1)
        return mean.view(shape).to(like), 1.0 / std.view(shape).to(like)
