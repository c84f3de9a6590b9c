"""What every family does with its inputs, whatever its codec: where they go, and what it refuses of them."""

from collections.abc import Sequence
from typing import Any

import torch

from stepscope.denoise import Input
from stepscope.errors import BadInputError

__all__ = ["check_batch", "check_frames", "check_input", "device_of"]


def device_of(pipeline: Any, network: Any) -> torch.device:
    """Where a pipeline's network runs; with offloading, where it is brought to."""
    offloaded = getattr(network, "_hf_hook", None) is not None
    return torch.device(pipeline._execution_device) if offloaded else network.device


def check_input(sample: Input) -> None:
    """Refuse an empty prompt, and a first frame that is not 8-bit RGB."""
    if not sample.prompt.strip():
        raise BadInputError("The prompt came empty. A prompt has at least one word. Say what the video shall show.")
    frame = sample.first_frame
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != "uint8":
        raise BadInputError(
            f"The first frame came as {frame.dtype} {list(frame.shape)}. It must be uint8 [height, width, 3]. "
            "Convert it to 8-bit RGB."
        )


def check_batch(samples: Sequence[Input], guidance: float) -> None:
    """Refuse guidance below 1, and samples of different sizes."""
    if not guidance >= 1:
        raise BadInputError(
            f"Guidance came as {guidance}. It must be 1 (one forward a prediction) or more. Choose 1 to go without."
        )
    sizes = {(sample.num_frames, *sample.first_frame.shape) for sample in samples}
    if len(sizes) != 1:
        raise BadInputError(
            f"A batch came with samples of {len(sizes)} sizes. All must have one. Run each size on its own."
        )


def check_frames(num_frames: int, factor: int) -> None:
    """Refuse a number of frames that a VAE with this temporal factor cannot take."""
    if num_frames < 1 or num_frames % factor != 1 % factor:
        lower = max(num_frames - 1, 0) // factor * factor + 1
        raise BadInputError(
            f"The number of frames came as {num_frames}. This VAE takes {factor}n+1. "
            f"Choose {lower} or {lower + factor}."
        )
