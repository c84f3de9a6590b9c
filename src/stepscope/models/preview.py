"""Previews: what latents look like, by one matrix product in place of a decoding.

    colour(f, h, w) ~ [z(1, f, h, w), …, z(C, f, h, w), 1] M,      M [C+1, 3] = argmin ||Z M - P||²

Z are latents of videos that the model's own VAE encoded, P their pixels, averaged over what one latent covers: a block
of pixels, and the first frame alone or the k frames after it (k the temporal factor).  M is a value: it depends on the
weights and the videos alone, under whose hash it is kept while the process lives.  Cost: one encoding a video to fit, C
products a latent to apply, against seconds of the VAE's decoder.  Flat colours come out right; edges, movement within k
frames and what the videos lack do not, so fit on videos of the same kind.  (Bundled model, six solutions of three
tasks: the root mean square error is 17 to 50 of 255 with the answer itself, 48 to 68 with one puzzle of each task.)

After the linear approximations in use for image latents (`latent_rgb_factors` of ComfyUI), fitted here in place of
being written down for each VAE.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float64

from stepscope.errors import BadInputError
from stepscope.shapes import Frames, Latents

__all__ = ["PreviewMatrix", "fit_preview", "kept_matrix", "preview"]

PreviewMatrix = Float64[torch.Tensor, "K 3"]

_KEPT: dict[str, PreviewMatrix] = {}


def kept_matrix(
    weights_hash: str, encode: Callable[[Frames], Latents], videos: Sequence[Frames], padding: int = 0
) -> PreviewMatrix:
    """`fit_preview`, once in a process for the same weights and videos."""
    digest = hashlib.sha256(weights_hash.encode())
    for video in videos:
        digest.update(f" {video.shape} ".encode() + video.tobytes())
    if (key := digest.hexdigest()) not in _KEPT:
        _KEPT[key] = fit_preview(encode, videos, padding)
    return _KEPT[key]


def fit_preview(encode: Callable[[Frames], Latents], videos: Sequence[Frames], padding: int = 0) -> PreviewMatrix:
    """The matrix that best tells colours from latents, by least squares.

    Args:
        encode: of a model's codec: frames -> latents.
        videos: uint8 [T, Y, X, 3] each, together with many more colours than the latents have channels.
        padding: latent frames that the codec puts in front, which show no frame of their own (CogVideoX 1.5).

    Returns:
        float64 [C+1, 3] on the CPU, the last row the constant; colours in [0, 1].

    Raises:
        BadInputError: if there is no video, or its latents do not divide it evenly.
    """
    if not videos:
        raise BadInputError("No video came. A preview is fitted on at least one. Give some frames.")
    pairs = []
    for video in videos:
        latents = encode(video).detach().cpu().double()[:, padding:]
        pairs.append((_rows(latents), _colours(video, latents.shape)))
    inputs = torch.cat([rows for rows, _ in pairs])
    targets = torch.cat([colours for _, colours in pairs])
    return torch.linalg.lstsq(inputs, targets, driver="gelsd").solution


def preview(latents: Latents, matrix: PreviewMatrix) -> Frames:
    """Small frames: uint8 [F, H, W, 3], one pixel a latent.

    Args:
        latents: [C, F, H, W] of the model whose matrix it is.
        matrix: of `fit_preview`.

    Raises:
        BadInputError: if the matrix is that of another number of channels.
    """
    if len(matrix) != len(latents) + 1:
        raise BadInputError(
            f"Latents with {len(latents)} channels came, and a matrix for {len(matrix) - 1}. They belong to one VAE. "
            "Fit the matrix with the codec of this model."
        )
    colours = _rows(latents.detach().cpu().double()) @ matrix
    return (colours.clamp(0, 1) * 255).round().to(torch.uint8).reshape(*latents.shape[1:], 3).numpy()


def _rows(latents: Float64[torch.Tensor, "C F H W"]) -> Float64[torch.Tensor, "R K"]:
    """One row a latent, with a 1 behind it."""
    flat = latents.flatten(1).T
    return torch.cat([flat, torch.ones(len(flat), 1, dtype=torch.float64)], dim=1)


def _colours(video: Frames, shape: Sequence[int]) -> Float64[torch.Tensor, "R 3"]:
    """The mean colour of what each latent covers, in [0, 1]."""
    _, frames, rows, columns = shape
    count, height, width, _ = video.shape
    rest = frames - 1
    if height % rows or width % columns or (rest and (count - 1) % rest) or (not rest and count != 1):
        raise BadInputError(
            f"A video {count}x{height}x{width} came with latents {frames}x{rows}x{columns}. Latents must divide it "
            "evenly, the first frame alone. Give videos of a size that the codec takes."
        )
    blocks = video.reshape(count, rows, height // rows, columns, width // columns, 3).mean(
        axis=(2, 4), dtype=np.float64
    )
    later = blocks[1:].reshape(rest, -1, rows, columns, 3).mean(axis=1) if rest else blocks[:0]
    return torch.from_numpy(np.concatenate([blocks[:1], later]) / 255).reshape(-1, 3)
