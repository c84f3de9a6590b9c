"""What an edition is trained on: families, dials, and the share of each in the data; and every prompt.

Edition 1 knows mazes and named shapes.  Edition 2 starts from it and spends its time where the work is: a third
rehearses the mazes, in all sizes that edition 1 knew (8 and 10, first left out, were forgotten within eight minutes),
mostly the long ways; turns (an angle to be read off and applied, the last thing to be learned) get a quarter, flights
with bounces (a chain of places, each known before the next) a seventh; what is read off the picture in one look gets
the rest.  Long ways, many bounces and fine angles are over-represented: they are what is hard.
"""

from collections.abc import Mapping
from typing import Any

from stepscope.tasks import bounce, find_shape, occlusion, rotate, size_pattern, tic_tac_toe
from stepscope.tasks import get as get_task

__all__ = ["MIXTURES", "PROMPTS"]

Entry = tuple[str, Mapping[str, Any], float]

# New prompts go to the end, so that an index keeps its meaning.
PROMPTS: list[str] = [
    "",
    *(get_task(name).prompt for name in ("maze", "maze-two-goals")),  # type: ignore[attr-defined]
    *(f"Mark the {colour} {kind}." for colour in find_shape.COLOURS for kind in find_shape.KINDS),
    find_shape.ODD_PROMPT,
    *tic_tac_toe.PROMPTS.values(),
    size_pattern.PROMPT,
    rotate.PROMPT,
    *occlusion.PROMPTS.values(),
    bounce.PROMPT,
]

MIXTURES: Mapping[int, list[Entry]] = {
    1: [
        ("maze", {"size": 5}, 0.02),
        ("maze", {"size": 6}, 0.02),
        ("maze", {"size": 7}, 0.10),
        ("maze", {"size": 8}, 0.04),
        ("maze", {"size": 9}, 0.10),
        ("maze", {"size": 10}, 0.05),
        ("maze", {"size": 11}, 0.16),
        ("maze", {"size": 11, "length": (5, 25)}, 0.05),
        ("maze-two-goals", {"size": 7}, 0.06),
        ("maze-two-goals", {"size": 9}, 0.12),
        ("maze-two-goals", {"size": 11}, 0.16),
        ("find-shape", {"count": 3}, 0.02),
        ("find-shape", {"count": 4}, 0.06),
        ("find-shape", {"count": 6}, 0.04),
    ],
    2: [
        ("maze", {"size": 5}, 0.01),
        ("maze", {"size": 6}, 0.01),
        ("maze", {"size": 7}, 0.05),
        ("maze", {"size": 8}, 0.02),
        ("maze", {"size": 9}, 0.04),
        ("maze", {"size": 10}, 0.02),
        ("maze", {"size": 11}, 0.06),
        ("maze", {"size": 11, "length": (5, 25)}, 0.02),
        ("maze-two-goals", {"size": 7}, 0.02),
        ("maze-two-goals", {"size": 9}, 0.05),
        ("maze-two-goals", {"size": 11}, 0.04),
        ("find-shape", {"count": 4}, 0.02),
        ("find-shape", {"count": 6}, 0.01),
        ("find-shape", {"count": 4, "named": False}, 0.03),
        ("find-shape", {"count": 6, "named": False}, 0.02),
        ("tic-tac-toe", {}, 0.03),
        ("tic-tac-toe", {"threat": True}, 0.01),
        ("tic-tac-toe", {"side": "implied"}, 0.02),
        ("size-pattern", {}, 0.025),
        ("size-pattern", {"rows": 2}, 0.01),
        ("size-pattern", {"rows": 1}, 0.005),
        ("rotate", {}, 0.09),
        ("rotate", {"example": "other"}, 0.08),
        ("rotate", {"step": 45}, 0.05),
        ("rotate", {"step": 45, "example": "other"}, 0.05),
        ("occlusion", {"count": 1}, 0.005),
        ("occlusion", {}, 0.02),
        ("occlusion", {"screen": 48}, 0.01),
        ("occlusion", {"screen": 24}, 0.005),
        ("occlusion", {"crossing": True}, 0.015),
        ("occlusion", {"crossing": True, "screen": 48}, 0.005),
        ("bounce", {}, 0.04),
        ("bounce", {"bounces": 3}, 0.025),
        ("bounce", {"bounces": 4}, 0.03),
        ("bounce", {"length": (76, 92)}, 0.02),
        ("bounce", {"length": (76, 92), "bounces": 0}, 0.01),
        ("bounce", {"count": 2}, 0.01),
        ("bounce", {"count": 4}, 0.015),
    ],
}
