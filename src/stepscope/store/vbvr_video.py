"""Video files: frames to mp4 and back, by PyAV, which is an optional part of the installation.

H.264 at 16 frames a second (the benchmark's own rate), encoded in memory and written whole or not at all.  mp4 halves
the resolution of colours, so what is to be judged exactly is read from lossless frames, never from here.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from stepscope.errors import BadInputError, RecordError
from stepscope.shapes import Frames, Image
from stepscope.store.atomic import write_bytes

__all__ = ["count_frames", "mp4_bytes", "png_bytes", "read_mp4", "read_png", "require_av", "write_mp4"]

FPS = 16
_QUALITY = {"crf": "10", "preset": "veryfast", "threads": "1"}


def require_av() -> Any:
    """The module that reads and writes video files.

    Raises:
        BadInputError: if it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise BadInputError(
            "Video files were asked for, and PyAV is not installed here. mp4 is read and written by it. "
            "Install it: pip install 'stepscope[video]'."
        ) from error
    return av


def mp4_bytes(frames: Frames) -> bytes:
    """A video file with these frames."""
    av = require_av()
    height, width = frames.shape[1:3]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_QUALITY)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def write_mp4(path: Path, frames: Frames) -> None:
    """Write a video file.

    Raises:
        OutputError: if the system refuses.
    """
    write_bytes(path, mp4_bytes(frames))


def read_mp4(path: Path) -> Frames:
    """All frames of a video file.

    Raises:
        RecordError: if it is missing, unreadable or empty.
    """
    return np.stack([frame.to_ndarray(format="rgb24") for frame in _decoded(path)])


def count_frames(path: Path) -> int:
    """How many frames a video file really has: each is decoded, whatever its header says.

    Raises:
        RecordError: if it is missing, unreadable or empty.
    """
    return len(_decoded(path))


def png_bytes(image: Image) -> bytes:
    """A PNG file with this picture."""
    file = io.BytesIO()
    Pillow.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def read_png(path: Path) -> Image:
    """The pixels of a picture, 8-bit RGB.

    Raises:
        RecordError: if it is missing or unreadable.
    """
    try:
        with Pillow.open(path) as picture:
            return np.array(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise RecordError(f"The picture {str(path)!r} cannot be read ({error}). Fetch or export it again.") from error


def _decoded(path: Path) -> list[Any]:
    av = require_av()
    try:
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
    except (OSError, ValueError, IndexError) as error:  # av's own errors derive from these
        told = getattr(error, "strerror", None) or error
        raise RecordError(
            f"The video {str(path)!r} cannot be read ({told}). A whole mp4 is needed. Make it again."
        ) from error
    if not frames:
        raise RecordError(f"The video {str(path)!r} holds no frame. A whole mp4 is needed. Make it again.")
    return frames
