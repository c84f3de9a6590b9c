"""Find a shape: draw a frame around the shape that the prompt names, or around the odd one.

A blank field with a few coloured shapes, each in a place of a 3 x 3 layout.  With `named=True` no two are alike.  Same
picture, other prompt, other answer: the target stands in the prompt alone, so that the split by content keeps all
prompts of a picture together.  With `named=False` all are alike but one, or but two, which also differ from each other:
either of them is the odd one, two answers in separate places.  The frame is drawn clockwise from its top left corner,
24 blocks of 4 px, one after the other.

`scene="A"` and `scene="B"` are a pair, one prompt and two pictures: on the same places of a blank field the shapes have
changed seats, so that the answer of B is to mark in A's picture what is not asked for.

Dials: `count` of shapes (2–6, at least 4 if none is named), `named`, `odd` (1, 2 or None for either), `scene` (A, B or
None for a picture without a partner) and `num_frames`.
State: {"items": [{"colour", "kind", "corner" [y, x]}, …]}.

A video succeeds if the shapes stay, every video frame's marks are the beginning of one target's frame, never shrinking
and never jumping, and the last one shows it whole, with no mark around another shape and no unclear block.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from stepscope.errors import BadInputError
from stepscope.tasks import blocks
from stepscope.tasks.dials import check_all, check_choice
from stepscope.tasks.masks import LazyMasks
from stepscope.tasks.sample import Sample, Score, Split, split_of, unreadable

__all__ = ["FindShape", "with_prompt", "with_scene"]

PALETTE: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        "background": (242, 242, 238),
        "mark": (38, 42, 58),
        "red": (225, 40, 50),
        "green": (0, 170, 80),
        "blue": (60, 120, 235),
        "orange": (250, 150, 20),
        "purple": (165, 60, 215),
    }
)
COLOURS = ("red", "green", "blue", "orange", "purple")
KINDS = ("circle", "square", "triangle", "diamond", "cross")
PLACE = 32  # px of a place of the layout
BOX = 7  # blocks of the frame's side
SHAPE = 16  # px of a shape's side
PERIMETER = 4 * (BOX - 1)
UNREAD = 2
JUMP = 4
TRIES = 10_000
ODD_PROMPT = "Mark the odd one."
Item = Mapping[str, Any]


@dataclass(frozen=True)
class FindShape:
    """Pictures of shapes, one of which the prompt names or is odd."""

    name: str = "find-shape"
    version: int = 1
    palette = PALETTE

    def sample(
        self,
        seed: int,
        *,
        split: Split = "test",
        count: int = 4,
        named: bool = True,
        odd: int | None = None,
        scene: str | None = None,
        num_frames: int = 17,
    ) -> Sample:
        """The picture with this seed, and a prompt that names one of its shapes or asks for the odd one.

        Args:
            seed: any non-negative integer.
            split: `"test"` or `"train"`, by content of the picture.
            count: shapes in the picture, 2–6; at least 4 if none is named.
            named: whether the prompt names the shape.
            odd: odd shapes in the picture, 1 or 2, if none is named; None for either, equally often.
            scene: `"A"` or `"B"` for a pair of pictures with one prompt, both of the split; None for a single one.
            num_frames: frames of the video, at least 2.
        """
        check_all(seed, split, num_frames, 2)
        check_choice("count", count, range(2, 7))
        check_choice("odd", odd, (1, 2, None))
        check_choice("scene", scene, ("A", "B", None) if named else (None,))
        _check_odd(count, named, odd)
        rng = np.random.default_rng([seed, count, 7])
        if named:
            state = draw_state(rng, split, count, paired=scene is not None)
            drawn = from_state(state, int(rng.integers(count)), num_frames=num_frames, seed=seed)
            return with_scene(drawn, other=scene == "B")
        odd = int(rng.integers(1, 3)) if odd is None else odd
        return from_state(draw_state(rng, split, count, odd), None, num_frames=num_frames, seed=seed)

    def score(self, frames: np.ndarray, sample: Sample) -> Score:
        """The verdict on `frames` uint8 [T, H, W, 3]; see the head of this file for the rule."""
        refused = unreadable(frames, sample)
        if refused is not None:
            return refused
        items = (sample.state or {})["items"]
        marks = np.stack([_marks(frames, item) for item in items])
        verdicts = [_verdict(frames, items, target, marks) for target in targets_of(sample.prompt, items)]
        return max(verdicts, key=lambda score: (bool(score.success), score.progress))


def with_prompt(sample: Sample, *, other: bool = True) -> Sample:
    """The same picture with a prompt that names its next shape (or, with `other=False`, the sample itself)."""
    if not other:
        return sample
    state = sample.state or {}
    target = (target_of(sample.prompt, state["items"]) + 1) % len(state["items"])
    return from_state(state, target, num_frames=sample.num_frames, seed=sample.seed)


def with_scene(sample: Sample, *, other: bool = True) -> Sample:
    """The same prompt and places, the shapes one seat further (or, with `other=False`, the sample itself).

    Where the named shape stood, the next one stands.  The picture is not drawn for a split.
    """
    if not other:
        return sample
    items = (sample.state or {})["items"]
    seat = (target_of(sample.prompt, items) - 1) % len(items)
    return from_state(_next_scene(items), seat, num_frames=sample.num_frames, seed=sample.seed)


def draw_state(
    rng: np.random.Generator, split: Split, count: int, odd: int = 0, *, paired: bool = False
) -> dict[str, Any]:
    """Draw pictures until one belongs to the split (if `paired`, its other scene too).

    `odd` shapes differ from all others, or (0) no two are alike.
    """
    for _ in range(TRIES):
        state = {"items": draw_items(rng, count, odd)}
        if split_of(state) == split and (not paired or split_of(_next_scene(state["items"])) == split):
            return state
    raise BadInputError(f"No picture of {count} shapes belongs to the {split} split. Choose another count.")


def from_state(
    state: Mapping[str, Any], target: int | None, *, num_frames: int = 17, seed: int | None = None
) -> Sample:
    """The sample of a picture whose prompt names the shape with index `target`, or (None) asks for the odd one."""
    items = state["items"]
    picture, prompt = draw_picture(state), ODD_PROMPT if target is None else prompt_for(items[target])
    return Sample(
        prompt=prompt,
        first_frame=picture,
        num_frames=num_frames,
        task="find-shape",
        seed=seed,
        solutions=tuple(
            blocks.paint_video(picture, order_map(items[index]), PERIMETER, num_frames, PALETTE["mark"], None)
            for index in targets_of(prompt, items)
        ),
        state=state,
        masks=LazyMasks(partial(_masks, items, num_frames)),
    )


def item_name(item: Item) -> str:
    """A shape's name, as in the prompt: `red circle`."""
    return f"{item['colour']} {item['kind']}"


def prompt_for(item: Item) -> str:
    """The prompt that names a shape."""
    return f"Mark the {item_name(item)}."


def target_of(prompt: str, items: list[Item]) -> int:
    """Index of the shape that a prompt names."""
    named = [index for index, item in enumerate(items) if item_name(item) in prompt.lower()]
    if len(named) != 1:
        raise BadInputError(
            f"The prompt {prompt!r} names {len(named)} of the shapes in the picture. It must name exactly one of "
            f"{', '.join(map(item_name, items))}. Use one of these names."
        )
    return named[0]


def targets_of(prompt: str, items: list[Item]) -> list[int]:
    """Indices of the shapes that a prompt asks for: the one that it names, or all that are odd."""
    if prompt != ODD_PROMPT:
        return [target_of(prompt, items)]
    looks = Counter(map(item_name, items))
    return [index for index, item in enumerate(items) if looks[item_name(item)] == 1]


def draw_picture(state: Mapping[str, Any]) -> np.ndarray:
    """The first frame, uint8 [96, 96, 3]."""
    picture = np.full((blocks.FRAME, blocks.FRAME, 3), PALETTE["background"], dtype=np.uint8)
    for item in state["items"]:
        top, left = _shape_corner(item)
        area = picture[top : top + SHAPE, left : left + SHAPE]
        area[_stencil(item["kind"])] = PALETTE[item["colour"]]
    return picture


def order_map(item: Item) -> np.ndarray:
    """When each block of the frame around a shape is drawn: int16 [24, 24], -1 for never."""
    order = np.full((blocks.FRAME // blocks.BLOCK,) * 2, -1, dtype=np.int16)
    top, left = (edge // blocks.BLOCK for edge in item["corner"])
    for index, (row, column) in enumerate(_ring()):
        order[top + row, left + column] = index
    return order


def _ring() -> list[tuple[int, int]]:
    """The blocks of a frame, clockwise from the top left corner."""
    last = BOX - 1
    top = [(0, i) for i in range(last)]
    right = [(i, last) for i in range(last)]
    bottom = [(last, last - i) for i in range(last)]
    left = [(last - i, 0) for i in range(last)]
    return top + right + bottom + left


def _next_scene(items: Sequence[Item]) -> dict[str, Any]:
    """Every place with the look of the shape that stands on the next."""
    ahead = [*items[1:], items[0]]
    return {"items": [{**new, "corner": list(old["corner"])} for old, new in zip(items, ahead, strict=True)]}


def draw_items(rng: np.random.Generator, count: int, odd: int) -> list[dict[str, Any]]:
    """Draw a picture of so many shapes, whatever its split."""
    looks = rng.choice(len(COLOURS) * len(KINDS), size=odd + 1 if odd else count, replace=False)
    looks = looks[np.arange(count).clip(max=odd)] if odd else looks
    places = rng.choice(9, size=count, replace=False)
    shifts = rng.integers(0, 2, size=(count, 2)) * blocks.BLOCK
    return [
        {
            "colour": COLOURS[int(look) // len(KINDS)],
            "kind": KINDS[int(look) % len(KINDS)],
            "corner": [int(place) // 3 * PLACE + int(dy), int(place) % 3 * PLACE + int(dx)],
        }
        for look, place, (dy, dx) in zip(looks, places, shifts, strict=True)
    ]


def _stencil(kind: str) -> np.ndarray:
    """The pixels of a shape, bool [16, 16]."""
    y, x = np.mgrid[:SHAPE, :SHAPE] - (SHAPE - 1) / 2
    half = SHAPE / 2
    return {
        "circle": x**2 + y**2 <= half**2,
        "square": (abs(x) <= half - 1) & (abs(y) <= half - 1),
        "triangle": abs(x) <= (y + half) / 2,
        "diamond": abs(x) + abs(y) <= half,
        "cross": (abs(x) <= 2.5) | (abs(y) <= 2.5),
    }[kind]


def _shape_corner(item: Item) -> tuple[int, int]:
    inset = (BOX * blocks.BLOCK - SHAPE) // 2
    return item["corner"][0] + inset, item["corner"][1] + inset


def _masks(items: list[Item], num_frames: int) -> dict[str, np.ndarray]:
    """Where each shape is; the second of two that are alike is `red circle 2`, and so on."""
    masks: dict[str, np.ndarray] = {}
    for index, item in enumerate(items):
        alike = sum(item_name(other) == item_name(item) for other in items[:index])
        masks[item_name(item) + (f" {alike + 1}" if alike else "")] = _item_mask(item, num_frames)
    return masks


def _item_mask(item: Item, num_frames: int) -> np.ndarray:
    mask = np.zeros((blocks.FRAME, blocks.FRAME), dtype=bool)
    top, left = _shape_corner(item)
    mask[top : top + SHAPE, left : left + SHAPE] = _stencil(item["kind"])
    return np.broadcast_to(mask, (num_frames, *mask.shape))


def _marks(frames: np.ndarray, item: Item) -> np.ndarray:
    """What the blocks around a shape show: int [T, 24], 1 marked, 0 blank, `UNCLEAR` neither."""
    top, left = item["corner"]
    means = blocks.block_means(frames, blocks.BLOCK, (top, left), (BOX, BOX))
    rows, columns = np.array(_ring()).T
    two = {"background": PALETTE["background"], "mark": PALETTE["mark"]}
    return blocks.nearest_colour(means[:, rows, columns], two)


def _shapes_stay(frames: np.ndarray, items: list[Item]) -> bool:
    for item in items:
        (top, left), stencil = _shape_corner(item), _stencil(item["kind"])
        area = frames[:, top : top + SHAPE, left : left + SHAPE][:, stencil].astype(np.float64)
        shown = blocks.nearest_colour(area.mean(axis=1), PALETTE)
        if (shown != list(PALETTE).index(item["colour"])).any():
            return False
    return True


def _verdict(frames: np.ndarray, items: list[Item], target: int, marks: np.ndarray) -> Score:
    drawn = marks == 1
    reached = np.cumprod(drawn[target], axis=1).sum(axis=1)
    progress = float(reached[-1] / PERIMETER)
    whole = [index for index in range(len(items)) if drawn[index, -1].all()]
    answer = item_name(items[whole[0]]) if len(whole) == 1 else None
    fault = _fault(frames, items, target, marks, reached)
    if fault is not None:
        return Score(False, progress, answer, *fault)
    return Score(True, 1.0, answer, f"The {item_name(items[target])} is framed.")


def _fault(
    frames: np.ndarray, items: list[Item], target: int, marks: np.ndarray, reached: np.ndarray
) -> tuple[str, tuple[str, ...]] | None:
    """The first rule that is broken, in words and flags; None if the video is right."""
    others = np.delete(marks, target, axis=0)
    if not _shapes_stay(frames, items):
        return "The shapes do not stay.", ("scene-changed",)
    if (others == 1).any():
        return "Another shape is marked.", ()
    if reached[-1] < PERIMETER:
        return f"The last frame shows {reached[-1]} of {PERIMETER} blocks of the frame.", ()
    pace = PERIMETER / (len(frames) - 1)
    if np.diff(reached).max() > JUMP + np.ceil(pace) or reached[0] > 0:
        return "The frame jumps into being instead of being drawn.", ("teleport",)
    if np.diff(reached).min() < 0 or ((marks[target] == 1).sum(axis=1) - reached).any():
        return "The frame is broken or shrinks on the way.", ()
    unclear = (marks == blocks.UNCLEAR).sum(axis=(0, 2))
    if unclear[-1] or unclear.max() > UNREAD:
        return "Some blocks cannot be read.", ()
    return None


def _check_odd(count: int, named: bool, odd: int | None) -> None:
    if named and odd is not None:
        raise BadInputError(f"Odd came as {odd} for a named shape. It takes named=False. Give that, or leave odd out.")
    if not named and count < 4:
        raise BadInputError(
            f"Count came as {count} without a name. An odd one takes 4 to 6 shapes. Choose one of these."
        )
