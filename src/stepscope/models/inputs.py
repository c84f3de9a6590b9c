"""What every family refuses of its inputs, whatever its codec."""

from collections.abc import Sequence

from stepscope.denoise import Input
from stepscope.errors import BadInputError

__all__ = ["check_batch", "check_input"]


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
