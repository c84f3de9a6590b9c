"""Per-frame commitment: does latent frame f choose at the same step as the first frame that can?

    w_kf    hull weights of latent frame f of the clean estimate at step k, among that frame of the solutions
    k_f     step from which on the weight of frame f's final candidate is >= 0.9; censored if never
    slope   least-squares slope of k_f over f, steps a latent frame; a censored frame counts as N, the number of steps

The direct test of steps against frames: 0 where all frames settle together, as the ideal observer's do, and N/F where a
video is filled frame after frame.  Only frames in which all solutions differ are read: before the ways part, there is
nothing to choose.  Limits: censoring at N makes slopes too small, never too large; a slope needs two such frames.
Cost: S dot products a step over the latents.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from stepscope.analysis.commitment import commitment_step
from stepscope.analysis.hull import candidate_weights
from stepscope.shapes import Candidates, LatentsBatch

__all__ = ["commitment_by_frame", "commitment_slope", "telling_frames"]

_TELLING = 0.05
"""Least squared distance between solutions in a frame that can tell them apart, relative to the best frame's."""


def telling_frames(candidates: Candidates) -> tuple[int, ...]:
    """Return the latent frames in which all solutions differ; none where there is one solution.

    Args:
        candidates: All valid solutions, encoded.
    """
    if len(candidates) < 2:
        return ()
    frames = candidates.double().transpose(1, 2).flatten(2)
    gaps = (frames[:, None] - frames[None]).square().sum(-1)
    pairs = np.triu_indices(len(candidates), 1)
    smallest = gaps.cpu().numpy()[pairs].min(axis=0)
    return tuple(np.flatnonzero((smallest > 0) & (smallest >= _TELLING * smallest.max())).tolist())


def commitment_by_frame(estimates: LatentsBatch, candidates: Candidates) -> dict[int, int | None]:
    """Return the commitment step of every frame that can tell the solutions apart; None where it never commits.

    Args:
        estimates: Clean estimates, one a step.
        candidates: All valid solutions, encoded.
    """
    return {frame: commitment_step(_weights(estimates, candidates, frame)) for frame in telling_frames(candidates)}


def commitment_slope(steps: Mapping[int, int | None], num_steps: int) -> float | None:
    """Return by how many steps each frame commits later than the one before.

    Args:
        steps: Commitment step by latent frame; None where censored.
        num_steps: N, at which censored frames count.

    Returns:
        Steps a latent frame; None with fewer than two frames.
    """
    pairs = [(frame, num_steps if step is None else step) for frame, step in steps.items()]
    if len(pairs) < 2:
        return None
    frames, late = np.array(pairs, dtype=np.float64).T
    return float(np.polyfit(frames, late, 1)[0])


def _weights(estimates: LatentsBatch, candidates: Candidates, frame: int) -> Float64[np.ndarray, "N S"]:
    return candidate_weights(estimates[:, :, frame : frame + 1], candidates[:, :, frame : frame + 1])
