"""Seeing apart from moving: knowledge of the objects at rest, of the motion, and of the rest of the scene.

    moving    cells in which some solution differs from the still video:   max_i ||x_i - x_still||^2 >= 5% of the most
    resting   cells in which none does to speak of:                        below 1% of the most
    objects   resting cells that the mask of an object covers to a half;   rest   the other resting cells

    R_objects = mean_objects ||x0_hat - x_still||^2 / u         u = mean_objects ||x_still - mean of its frame||^2
    R_rest    = mean_rest    ||x0_hat - x_still||^2 / u
    R_motion  = min_i sum_moving ||x0_hat - x_i||^2 / sum_moving ||x_still - x_i||^2

Each is 1 where nothing is known (a featureless scene; a still video) and 0 where all is.  The motion is that of *one*
solution, so a blend of two is not settled; the observer, read in the same way, says how much of this is ambiguity.  The
first latent frame is left out: a model that is given the first picture knows it.

Limits: objects that move are seen in the motion alone; a puzzle in which every object moves or is drawn upon has no
objects at rest, and is not measured.  Cost: dot products over the latents.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64

from stepscope.shapes import Candidates, Latents, LatentsBatch

__all__ = ["Scene", "SceneKnowledge", "divide_scene", "scene_knowledge"]

_MOVING, _RESTING = 0.05, 0.01
_COVERED = 0.5


@dataclass(frozen=True)
class Scene:
    """Which latent cells show what.

    Attributes:
        objects: Objects at rest [F, H, W].
        motion: Where something moves [F, H, W].
        rest: Everything else that stays as it is [F, H, W].
    """

    objects: Bool[np.ndarray, "F H W"]
    motion: Bool[np.ndarray, "F H W"]
    rest: Bool[np.ndarray, "F H W"]


@dataclass(frozen=True)
class SceneKnowledge:
    """R of each part of a scene, step by step.

    Attributes:
        objects: Of the objects at rest [N].
        motion: Of the motion [N].
        rest: Of everything else [N].
    """

    objects: Float64[np.ndarray, " N"]
    motion: Float64[np.ndarray, " N"]
    rest: Float64[np.ndarray, " N"]


def divide_scene(candidates: Candidates, still: Latents, shares: Float64[np.ndarray, "F H W"]) -> Scene | None:
    """Divide a scene into objects, motion and rest; None if one of them is missing.

    Args:
        candidates: All valid solutions, encoded.
        still: The first frame held still, encoded.
        shares: Share of each cell that objects cover, see `cell_shares`.
    """
    change = _energy(candidates - still).amax(0).cpu().numpy()
    change[0] = 0.0
    moving, resting = change >= _MOVING * change.max(), change < _RESTING * change.max()
    resting[0] = False
    objects = resting & (shares >= _COVERED)
    scene = Scene(objects, moving & (change > 0), resting & ~objects)
    return scene if all(part.any() for part in (scene.objects, scene.motion, scene.rest)) else None


def scene_knowledge(estimates: LatentsBatch, candidates: Candidates, still: Latents, scene: Scene) -> SceneKnowledge:
    """Return what clean estimates know of each part of a scene.

    Args:
        estimates: Clean estimates, one a step.
        candidates: All valid solutions, encoded.
        still: The first frame held still, encoded.
        scene: Its parts.
    """
    off = _energy(estimates - still).cpu().numpy()
    blank = still.double().mean(dim=(2, 3), keepdim=True)
    unit = _energy((still - blank)[None]).cpu().numpy()[0, scene.objects].mean()
    moves = [_motion(estimates, still, answer, scene.motion) for answer in candidates]
    return SceneKnowledge(
        objects=off[:, scene.objects].mean(axis=1) / unit,
        motion=np.min(moves, axis=0),
        rest=off[:, scene.rest].mean(axis=1) / unit,
    )


def _motion(
    estimates: LatentsBatch, still: Latents, answer: Latents, moving: Bool[np.ndarray, "F H W"]
) -> Float64[np.ndarray, " N"]:
    off, whole = (_energy(videos - answer).cpu().numpy()[:, moving].sum(axis=1) for videos in (estimates, still[None]))
    return off / whole


def _energy(videos: torch.Tensor) -> Float64[torch.Tensor, "B F H W"]:
    return videos.double().square().sum(1)
