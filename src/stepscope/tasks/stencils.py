"""Shapes of any size, place and angle, drawn with soft edges.

A shape is the set where a signed distance d(y, x) (px, negative inside) is below 0; a pixel whose centre lies at
distance d is covered to the share

    alpha = clip(1/2 - d, 0, 1)

so that edges on whole pixels are crisp and others one pixel soft.  Pixel i has its centre at i + 1/2.  Coordinates are
(y, x), y downwards; angles are degrees, clockwise as seen.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from stepscope.tasks.colours import Colour

__all__ = ["KINDS", "TURNING_KINDS", "footprint", "grid", "mix", "soft", "stamp"]

Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def _bar(y: np.ndarray, x: np.ndarray, top: np.ndarray, bottom: np.ndarray, half: np.ndarray) -> np.ndarray:
    """An upright bar around x = 0 from `top` to `bottom`."""
    return np.maximum(np.maximum(top - y, y - bottom), abs(x) - half)


def _circle(y: np.ndarray, x: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.hypot(y, x) - half


def _square(y: np.ndarray, x: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.maximum(abs(y), abs(x)) - half


def _triangle(y: np.ndarray, x: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.maximum(y - 0.9 * half, (2 * abs(x) - y - half) / 5**0.5)


def _diamond(y: np.ndarray, x: np.ndarray, half: np.ndarray) -> np.ndarray:
    return (abs(y) + abs(x) - 1.1 * half) / 2**0.5


def _cross(y: np.ndarray, x: np.ndarray, half: np.ndarray) -> np.ndarray:
    arm = half / 3
    return np.minimum(_bar(y, x, -half, half, arm), _bar(x, y, -half, half, arm))


def _arrow(y: np.ndarray, x: np.ndarray, half: np.ndarray) -> np.ndarray:
    head = np.maximum(y + 0.05 * half, (1.3 * abs(x) - y - half) / 1.64)
    return np.minimum(head, _bar(y, x, -0.1 * half, 0.9 * half, 0.28 * half))


def _hook(y: np.ndarray, x: np.ndarray, half: np.ndarray) -> np.ndarray:
    upright = _bar(y, x + 0.25 * half, -0.85 * half, 0.7 * half, 0.28 * half)
    return np.minimum(upright, _bar(x, y - 0.42 * half, -0.53 * half, 0.75 * half, 0.28 * half))


def _tee(y: np.ndarray, x: np.ndarray, half: np.ndarray) -> np.ndarray:
    return np.minimum(
        _bar(x, y + 0.42 * half, -0.75 * half, 0.75 * half, 0.28 * half),
        _bar(y, x, -0.2 * half, 0.9 * half, 0.28 * half),
    )


def _flag(y: np.ndarray, x: np.ndarray, half: np.ndarray) -> np.ndarray:
    cloth = np.maximum(np.maximum(-0.25 * half - x, -0.8 * half - y), (x + y + 0.05 * half) / 2**0.5)
    cloth = np.maximum(cloth, x - 0.7 * half)
    return np.minimum(cloth, _bar(y, x + 0.3 * half, -0.8 * half, 0.9 * half, 0.26 * half))


KINDS: Mapping[str, Distance] = MappingProxyType(
    {"circle": _circle, "square": _square, "triangle": _triangle, "diamond": _diamond, "cross": _cross}
)
# Each looks different after every turn but a whole one.
TURNING_KINDS: Mapping[str, Distance] = MappingProxyType({"arrow": _arrow, "hook": _hook, "tee": _tee, "flag": _flag})
_DISTANCES = {**KINDS, **TURNING_KINDS}


def grid(height: int, width: int, centre: tuple[float | int, float | int]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates y [height, 1] and x [1, width] of pixels, from a centre."""
    return np.arange(height)[:, None] + 0.5 - centre[0], np.arange(width)[None] + 0.5 - centre[1]


def soft(distance: np.ndarray) -> np.ndarray:
    """The share of a pixel that is covered, 0–1, from its signed distance in px."""
    return np.clip(0.5 - distance, 0.0, 1.0)


def mix(under: np.ndarray, colour: Colour, alpha: np.ndarray) -> np.ndarray:
    """Colour laid over pixels uint8 [..., 3] with shares alpha [...]."""
    share = alpha[..., None].astype(np.float32)
    return (under + (np.array(colour, dtype=np.float32) - under) * share + 0.5).astype(np.uint8)


def _windows(kind: str, centres: np.ndarray, sizes: np.ndarray, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corner (y, x) of a square window around a shape in each frame, int [T, 2], and its coverage [T, S, S]."""
    reach = int(np.ceil(sizes.max() / 2 * 1.1)) + 1
    corners = np.floor(centres).astype(int) - reach
    pixels = np.arange(2 * reach + 1) + 0.5
    y = (corners[:, :1] + pixels - centres[:, :1])[:, :, None].astype(np.float32)
    x = (corners[:, 1:] + pixels - centres[:, 1:])[:, None, :].astype(np.float32)
    if angles.any():
        cos, sin = (f(np.radians(angles))[:, None, None].astype(np.float32) for f in (np.cos, np.sin))
        y, x = y * cos - x * sin, y * sin + x * cos
    half = sizes[:, None, None].astype(np.float32) / 2
    return corners, soft(_DISTANCES[kind](y, x, half)) * (half > 0)


def _spread(
    kind: str, centres: np.ndarray, size: float | int | np.ndarray, angle: float | int | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    count = len(centres)
    sizes = np.broadcast_to(np.asarray(size, dtype=np.float64), (count,))
    angles = np.broadcast_to(np.asarray(angle, dtype=np.float64), (count,))
    return _windows(kind, np.asarray(centres, dtype=np.float64), sizes, angles)


def _clip(corner: np.ndarray, side: int, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a window lies in a frame, and which part of the window that is."""
    top, left = (max(int(edge), 0) for edge in corner)
    bottom, right = min(int(corner[0]) + side, height), min(int(corner[1]) + side, width)
    inside = slice(top - int(corner[0]), bottom - int(corner[0])), slice(left - int(corner[1]), right - int(corner[1]))
    return (slice(top, bottom), slice(left, right)), inside


def stamp(
    video: np.ndarray,
    kind: str,
    centres: np.ndarray,
    size: float | int | np.ndarray,
    colour: Colour,
    angle: float | int | np.ndarray = 0.0,
) -> None:
    """Paint a shape into every frame of a video, in place.

    Args:
        video: uint8 [T, H, W, 3].
        kind: a name of `KINDS` or `TURNING_KINDS`.
        centres: (y, x) in every frame, float [T, 2].
        size: twice the shape's half side, px; one number or [T].
        colour: what it is painted with.
        angle: degrees clockwise; one number or [T].
    """
    corners, alphas = _spread(kind, centres, size, angle)
    for frame, corner, alpha in zip(video, corners, alphas, strict=True):
        place, part = _clip(corner, alpha.shape[-1], *frame.shape[:2])
        frame[place] = mix(frame[place], colour, alpha[part])


def footprint(
    shape: tuple[int, int],
    kind: str,
    centres: np.ndarray,
    size: float | int | np.ndarray,
    angle: float | int | np.ndarray = 0.0,
) -> np.ndarray:
    """Where `stamp` would paint at least half a pixel: bool [T, H, W] for frames of `shape`."""
    corners, alphas = _spread(kind, centres, size, angle)
    masks = np.zeros((len(corners), *shape), dtype=bool)
    for mask, corner, alpha in zip(masks, corners, alphas, strict=True):
        place, part = _clip(corner, alpha.shape[-1], *shape)
        mask[place] = alpha[part] >= 0.5
    return masks
