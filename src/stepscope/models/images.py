"""A user's own image, made to fit a model: read, resized to one of the sizes that the model takes, and told."""

from dataclasses import dataclass
from os import PathLike

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from stepscope.errors import BadInputError
from stepscope.models.sizes import Sizes
from stepscope.shapes import Image

__all__ = ["FittedImage", "fit_image", "read_image"]


@dataclass(frozen=True, eq=False)
class FittedImage:
    """An image that a model can take, and what was done to it.

    Attributes:
        pixels: uint8 [Y, X, 3].
        said: one sentence for the user.
    """

    pixels: Image
    said: str


def read_image(path: str | PathLike[str]) -> Image:
    """The pixels of an image file, upright, 8-bit RGB, [Y, X, 3].

    Raises:
        BadInputError: for a file that is missing or no image, or whose numbers or transparency leave its colours open.
    """
    try:
        with Pillow.open(path) as picture:
            return _rgb(ImageOps.exif_transpose(picture), path)
    except FileNotFoundError as error:
        raise BadInputError(f"The image {path} does not exist. Give a PNG or JPEG file.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise BadInputError(f"The image {path} cannot be read: {error}. Give a whole PNG or JPEG file.") from error


def _rgb(picture: Pillow.Image, path: str | PathLike[str]) -> Image:
    """The colours of a picture; 16-bit grey is scaled to 8 bits, which Pillow would clip."""
    if picture.mode.startswith("I;16"):
        grey = np.round(np.asarray(picture, np.float64) / 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("I", "F"):
        raise BadInputError(
            f"The image {path} holds numbers without a white. Give an 8-bit or 16-bit PNG or JPEG file."
        )
    if picture.has_transparency_data and np.asarray(picture.convert("RGBA"))[..., 3].min() < 255:
        raise BadInputError(f"The image {path} is transparent in places. A video is not. Put it on a background first.")
    return np.array(picture.convert("RGB"))


def fit_image(image: Image, sizes: Sizes, area: int) -> FittedImage:
    """Resize an image to a size that a model takes.

    Args:
        image: uint8 [Y, X, 3].
        sizes: what the model takes.
        area: about how many pixels the model was made for.
    """
    height, width = image.shape[:2]
    rows, columns = sizes.fitted(height, width, area)
    if (rows, columns) == (height, width):
        return FittedImage(image, f"The image is used as it is, {height}x{width} (height x width).")
    resized = Pillow.fromarray(image).resize((columns, rows), Pillow.Resampling.LANCZOS)
    made_for = "" if sizes.only else f" and was made for about {area} pixels"
    stretched = " Its proportions changed." if sizes.only and height * columns != width * rows else ""
    said = (
        f"The image was resized from {height}x{width} to {rows}x{columns} (height x width): this model takes {sizes}"
        f"{made_for}.{stretched}"
    )
    return FittedImage(np.array(resized), said)
