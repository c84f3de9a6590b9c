"""How much of a model's work goes side by side: rows in a call, puzzles in a forest.

    rows      1 on a CPU, where a branch then equals a rerun bit for bit; on an accelerator the largest power of two up
              to 64 for which rows x 2 x parameters x latent positions <= 2e12 operations
    puzzles   1 where a call has one row, else as many as their traces have memory for, and as fill four calls at step 0

A call of a small transformer takes an accelerator some milliseconds, whatever it holds: launching kernels takes the
time.  2e12 operations are about as long on an H100, so beyond them more rows gain nothing and only take memory: the
bundled model (16e9 a row) gets 64 rows, Wan2.2-I2V-A14B (4e15) one.  Of a live denoiser nothing is known; it gets 64.
"""

import math
from typing import Any

import torch

from stepscope.scope.model import Model

__all__ = ["puzzles_at_once", "rows_in_a_call"]

_MOST_ROWS = 64
_OPERATIONS = 2e12
_FILLED_CALLS = 4
_MOST_BYTES = 8 << 30
_SOME_BYTES = 1 << 30  # where nobody says how much is free


def rows_in_a_call(model: Model, sample: Any) -> int:
    """The chunk of a plan that names none; a function of the model and of the sample's size alone."""
    denoiser, pipeline = model.loaded.denoiser, model.pipeline
    if denoiser.device.type == "cpu":
        return 1
    names = ("transformer", "transformer_2")
    networks = [getattr(pipeline, name) for name in names if getattr(pipeline, name, None) is not None]
    if not networks:
        return _MOST_ROWS
    parameters = sum(parameter.numel() for parameter in networks[0].parameters())
    operations = 2 * parameters * math.prod(denoiser.latents_shape(sample)[1:])
    return max(1, min(_MOST_ROWS, 1 << int(math.log2(max(1, _OPERATIONS / operations)))))


def puzzles_at_once(model: Model, chunk: int, trunks: int, size: int) -> int:
    """How many puzzles are grown together; no result depends on it but by the tolerance of chunks.

    Args:
        model: the model.
        chunk: rows in a call.
        trunks: rows of a puzzle at the first step.
        size: bytes of its traces.
    """
    if chunk == 1:
        return 1
    return max(1, min(math.ceil(_FILLED_CALLS * chunk / trunks), _budget(model.loaded.denoiser.device) // size))


def _budget(device: torch.device) -> int:
    """Bytes for the traces of a forest: a quarter of what is free."""
    if device.type != "cuda":
        return _SOME_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return min(free // 4, _MOST_BYTES)
