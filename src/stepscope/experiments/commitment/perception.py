"""Perception before action: at which step are the objects seen, and at which is the motion settled?

    step of a part   first step from which on its R is <= 0.1 to the end; N where never (see `analysis.perception`)
    lag              step of the motion minus step of the objects at rest
    control          step of the rest of the scene, in which nothing has to move, minus step of the objects

for the model and for the observer's rollout from the same noise, which sees everything at once and settles on a motion
when it has chosen; what the model has beyond it is no ambiguity.  Objects are what the masks of a puzzle cover.

It is asked where something has to be found before it can move: a ball and its targets, shapes and their screen, an
example and what is to be turned like it.  In `NOTHING_TO_FIND` a way is chosen or a place is marked and no object moves
that had to be localised, so that a lag there is one of choice; puzzles of one's own say by their masks what is to be
found.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stepscope.analysis import Scene, cell_shares, divide_scene, knowledge_step, scene_knowledge
from stepscope.scope import Solutions
from stepscope.shapes import LatentsBatch

__all__ = ["NOTHING_TO_FIND", "PARTS", "lag", "parts", "scene_of"]

NOTHING_TO_FIND = frozenset({"maze", "maze-two-goals", "find-shape", "size-pattern", "tic-tac-toe"})
"""Tasks in which nothing has to be localised before it moves."""

PARTS = ("objects", "motion", "rest")
"""Of a scene, see `analysis.perception`."""


def scene_of(sample: Any, solutions: Solutions) -> Scene | None:
    """Divide the scene of a puzzle; None if nothing has to be found in it, or no mask covers something at rest."""
    if getattr(sample, "task", None) in NOTHING_TO_FIND:
        return None
    masks = list((getattr(sample, "masks", None) or {}).values())
    if not masks:
        return None
    shares = cell_shares(np.logical_or.reduce(masks), solutions.still.shape[1:])
    return divide_scene(solutions.candidates, solutions.still, shares)


def parts(estimates: LatentsBatch, solutions: Solutions, scene: Scene) -> dict[str, Any]:
    """R of each part at each step, and the step at which it is known; JSON.

    Args:
        estimates: Clean estimates, one a step.
        solutions: The puzzle's.
        scene: Its parts.
    """
    found = vars(scene_knowledge(estimates, solutions.candidates, solutions.still, scene))
    steps = {part: knowledge_step(found[part]) for part in PARTS}
    return {"steps": steps} | {part: found[part].tolist() for part in PARTS}


def lag(found: Mapping[str, Any], part: str) -> int:
    """How many steps later than the objects a part is known; a part that never is counts as known after the last."""
    late, seen = (
        len(found[each]) if found["steps"][each] is None else found["steps"][each] for each in (part, "objects")
    )
    return late - seen
