"""8-bit frames to what a pipeline's VAE reads, and back, by the pipeline's own video processor."""

from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow

from stepscope.shapes import Frames

__all__ = ["frames_from_video", "video_from_frames"]


def video_from_frames(pipeline: Any, frames: Frames) -> torch.Tensor:
    """Pixels [1, 3, T, Y, X] in [-1, 1], float32 on the CPU."""
    pixels = pipeline.video_processor.preprocess([Pillow.fromarray(frame) for frame in frames])
    return pixels.transpose(0, 1)[None]


def frames_from_video(pipeline: Any, video: torch.Tensor) -> Frames:
    """The frames that the stock pipeline would show for decoded pixels [1, 3, T, Y, X], rounded to 8 bits."""
    shown = pipeline.video_processor.postprocess_video(video, output_type="np")[0]
    return (shown * 255).round().astype(np.uint8)
