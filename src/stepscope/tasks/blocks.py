"""Pictures made of blocks: 4-pixel squares painted in a given order, and read back by colour.

A puzzle is a background picture and an order map on a grid of 4-px blocks (24 x 24 on a 96-px frame).  With L the last
order and T frames, the front at frame t is

    front_t = round(t L / (T - 1))

and frame t shows blocks with order < front_t in the trail colour and, if there is a head, those with order = front_t in
the head colour.  Blocks agree with the 4-px pitch of usual video codecs, so that no colour is cut by a latent pixel.

A block is read as the colour nearest to its inner mean if that lies within `TOLERANCE` in RGB, else as unclear; the
palettes keep their colours more than twice that far apart, so a half-and-half ghost is unclear.
"""

from collections.abc import Mapping

import numpy as np

__all__ = [
    "BLOCK",
    "FRAME",
    "TOLERANCE",
    "UNCLEAR",
    "block_means",
    "fronts",
    "nearest_colour",
    "paint_video",
    "upscale",
]

BLOCK = 4
FRAME = 96
TOLERANCE = 60.0
UNCLEAR = -1
Colour = tuple[int, int, int]


def fronts(last: int, num_frames: int) -> np.ndarray:
    """The front at every frame, int [T], from 0 to `last`."""
    share = np.arange(num_frames) / max(num_frames - 1, 1)
    return np.floor(share * last + 0.5).astype(int)


def upscale(grid: np.ndarray, factor: int) -> np.ndarray:
    """Repeat every entry of a grid `factor` times along both its axes."""
    return grid.repeat(factor, axis=0).repeat(factor, axis=1)


def paint_video(
    picture: np.ndarray, order: np.ndarray, last: int, num_frames: int, trail: Colour, head: Colour | None
) -> np.ndarray:
    """Paint blocks over a picture as time goes.

    Args:
        picture: uint8 [H, W, 3], the background.
        order: int [H / 4, W / 4], when each block is painted; negative for never.
        last: L, the last order.
        num_frames: T.
        trail: colour of painted blocks.
        head: colour of the block being painted, or None.

    Returns:
        uint8 [T, H, W, 3].
    """
    pixels = upscale(order, BLOCK)
    video = np.repeat(picture[None], num_frames, axis=0)
    for frame, front in zip(video, fronts(last, num_frames), strict=True):
        frame[(pixels >= 0) & (pixels < front)] = trail
        if head is not None:
            frame[pixels == front] = head
    return video


def block_means(frames: np.ndarray, size: int, origin: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Mean colour of the inner half of every square of a grid.

    Args:
        frames: uint8 [T, H, W, 3].
        size: pixels of a square's side, at least 4.
        origin: (y, x) of the grid's corner.
        shape: (rows, columns).

    Returns:
        float [T, rows, columns, 3].
    """
    (top, left), (rows, columns) = origin, shape
    area = frames[:, top : top + rows * size, left : left + columns * size].astype(np.float64)
    squares = area.reshape(len(frames), rows, size, columns, size, 3)
    margin = size // 4
    inner = slice(margin, size - margin)
    return squares[:, :, inner, :, inner].mean(axis=(2, 4))


def nearest_colour(means: np.ndarray, palette: Mapping[str, Colour]) -> np.ndarray:
    """Index into the palette of the colour that each mean [..., 3] shows, `UNCLEAR` if none is near."""
    colours = np.array(list(palette.values()), dtype=np.float64)
    distance = np.linalg.norm(means[..., None, :] - colours, axis=-1)
    return np.where(distance.min(axis=-1) <= TOLERANCE, distance.argmin(axis=-1), UNCLEAR)
