"""Another picture for a prompt of `find-shape`: what the named shape is compared with, and a control.

It is drawn until it holds the named shape in a place that is blank in the first picture, so that its answer is none of
that one's; what else it holds, and where, is chance.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from stepscope.tasks.dials import draw_in_split
from stepscope.tasks.find_shape import PLACE, Item, draw_items, from_state, item_name, target_of
from stepscope.tasks.sample import Sample, split_of

__all__ = ["with_picture"]


def with_picture(sample: Sample, seed: int) -> Sample:
    """The same prompt under another picture of as many shapes, of the same split; the answer lies elsewhere.

    Args:
        sample: a sample of `find-shape` whose prompt names a shape.
        seed: any non-negative integer; another seed is another picture.

    Raises:
        BadInputError: if the prompt names no shape.
    """
    state = sample.state or {}
    items = state["items"]
    name, taken = item_name(items[target_of(sample.prompt, items)]), {_place(item) for item in items}
    rng = np.random.default_rng([seed, len(items), 11])

    def propose() -> Mapping[str, Any] | None:
        drawn = draw_items(rng, len(items), 0)
        fits = any(item_name(item) == name and _place(item) not in taken for item in drawn)
        return {"items": drawn} if fits else None

    drawn = draw_in_split(propose, split_of(state), f"picture with a {name}")
    return from_state(drawn, target_of(sample.prompt, drawn["items"]), num_frames=sample.num_frames, seed=sample.seed)


def _place(item: Item) -> tuple[int, int]:
    """Row and column in the layout."""
    return item["corner"][0] // PLACE, item["corner"][1] // PLACE
