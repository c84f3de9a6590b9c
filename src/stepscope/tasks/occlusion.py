"""Occlusion: shapes pass behind a screen and must come out the same.

One shape or two, each on a lane of its own, move at one even speed from one side of the frame to the other; a screen
hides them for a while.  Nothing shows what is behind it: its identity, while hidden, is memory.  If the prompt says so,
two shapes change lanes behind the screen, so that identity cannot be read from the lane.

Dials: `count` (1 or 2 shapes), `screen` (its width, 24–48 px in steps of 8: the wider, the longer they are hidden),
`crossing` (whether two shapes change lanes), `num_frames`.
State: {"shapes": [{"kind", "colour", "lane" y}, …], "from" "left" | "right", "screen" [left, right]}; whether lanes are
changed stands in the prompt alone.  The score is by agreement, see `agreement`; the answer names what came out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from stepscope.errors import BadInputError
from stepscope.tasks import stencils
from stepscope.tasks.agreement import ALLOWED, Question, disagreement, judge
from stepscope.tasks.blocks import FRAME
from stepscope.tasks.colours import BACKGROUND, INK, SHAPE_COLOURS, Colour
from stepscope.tasks.dials import check_all, check_choice, draw_in_split
from stepscope.tasks.masks import LazyMasks
from stepscope.tasks.sample import Sample, Score, Split

__all__ = ["Occlusion"]

PALETTE: Mapping[str, Colour] = MappingProxyType({"background": BACKGROUND, "screen": INK, **SHAPE_COLOURS})
KINDS = tuple(stencils.KINDS)
SIZE = 16  # px of a shape
FIRST, LAST = 12.0, 84.0  # x of the centres at either end, px
HIGH_LANES, LOW_LANES = (20, 24, 28, 32, 36), (60, 64, 68, 72, 76)
SHIFTS = (-4, 0, 4)  # of the screen from the middle, px
SCREENS = (24, 32, 40, 48)
SCREEN_ROWS = slice(4, 92)
PROMPTS: Mapping[bool, str] = MappingProxyType(
    {
        False: "The shapes pass behind the screen and come out again.",
        True: "The shapes change lanes behind the screen and come out again.",
    }
)


@dataclass(frozen=True)
class Occlusion:
    """Shapes that a screen hides on their way."""

    name: str = "occlusion"
    version: int = 1
    palette = PALETTE

    def sample(
        self,
        seed: int,
        *,
        split: Split = "test",
        count: int = 2,
        screen: int = 40,
        crossing: bool = False,
        num_frames: int = 17,
    ) -> Sample:
        """The scene with this seed.

        Args:
            seed: any non-negative integer.
            split: `"test"` or `"train"`, by content of the picture.
            count: shapes, 1 or 2.
            screen: its width in px: 24, 32, 40 or 48.
            crossing: whether the shapes change lanes behind it; takes two shapes and a screen of at least 32 px.
            num_frames: frames of the video, at least 5.
        """
        check_all(seed, split, num_frames, 5)
        check_choice("count", count, (1, 2))
        check_choice("screen", screen, SCREENS)
        check_choice("crossing", crossing, (False, True))
        _check_crossing(count, screen, crossing)
        rng = np.random.default_rng([seed, count, screen, 6])
        state = draw_in_split(lambda: _propose(rng, count, screen), split, f"scene of {count} shapes")
        return self.from_state(state, PROMPTS[crossing], num_frames=num_frames, seed=seed)

    def from_state(
        self, state: Mapping[str, Any], prompt: str = PROMPTS[False], *, num_frames: int = 17, seed: int | None = None
    ) -> Sample:
        """The sample of a state and a prompt."""
        video = pass_video(state, crossing_of(prompt), num_frames)
        return Sample(
            prompt=prompt,
            first_frame=video[0],
            num_frames=num_frames,
            task=self.name,
            seed=seed,
            solutions=(video,),
            state=state,
            masks=LazyMasks(partial(_masks, state, crossing_of(prompt), num_frames)),
        )

    def score(self, frames: np.ndarray, sample: Sample) -> Score:
        """The verdict on `frames` uint8 [T, H, W, 3], by agreement."""
        state, crossing = sample.state or {}, crossing_of(sample.prompt)
        right = {"the same": pass_video(state, crossing, sample.num_frames)}
        stage = np.zeros((FRAME, FRAME), dtype=bool)
        for index in range(len(state["shapes"])):
            lanes = _path(state, index, crossing, 2)[:, 0]
            for lane in lanes.astype(int):
                stage[lane - SIZE // 2 - 3 : lane + SIZE // 2 + 3] = True
        stage[SCREEN_ROWS, slice(*state["screen"])] = False
        score = judge(frames, sample, Question(right, {}, stage, slack=2))
        return score if score.success is None else replace(score, answer=_what_came_out(frames[-1], state, crossing))


def crossing_of(prompt: str) -> bool:
    """Whether a prompt says that lanes are changed."""
    for crossing, text in PROMPTS.items():
        if prompt == text:
            return crossing
    raise BadInputError(
        f"The prompt {prompt!r} says nothing of lanes. It is one of {', '.join(map(repr, PROMPTS.values()))}. Use one."
    )


def pass_video(state: Mapping[str, Any], crossing: bool, num_frames: int) -> np.ndarray:
    """The video in which the shapes pass, uint8 [T, 96, 96, 3]."""
    video = np.full((num_frames, FRAME, FRAME, 3), BACKGROUND, dtype=np.uint8)
    for index, shape in enumerate(state["shapes"]):
        path = _path(state, index, crossing, num_frames)
        stencils.stamp(video, shape["kind"], path, SIZE, SHAPE_COLOURS[shape["colour"]])
    video[:, SCREEN_ROWS, slice(*state["screen"])] = INK
    return video


def _path(state: Mapping[str, Any], index: int, crossing: bool, num_frames: int) -> np.ndarray:
    """Centre (y, x) of a shape in every frame, float [T, 2]; lanes are changed while it is wholly hidden."""
    x = np.linspace(FIRST, LAST, num_frames)
    left, right = state["screen"]
    if state["from"] == "right":
        x = FRAME - x
    lane = state["shapes"][index]["lane"]
    if not crossing:
        return np.stack([np.full(num_frames, float(lane)), x], axis=1)
    other = state["shapes"][1 - index]["lane"]
    hidden = (left + SIZE / 2, right - SIZE / 2)
    ends = (lane, other) if state["from"] == "left" else (other, lane)
    return np.stack([np.interp(x, hidden, ends), x], axis=1)


def _what_came_out(frame: np.ndarray, state: Mapping[str, Any], crossing: bool) -> str | None:
    """The looks at the places where the shapes should be, in words; None if one of them shows no shape."""
    looks = [_look_at(frame, _path(state, index, crossing, 2)[-1]) for index in range(len(state["shapes"]))]
    return None if None in looks else " and ".join(map(str, looks))


def _look_at(frame: np.ndarray, centre: np.ndarray) -> str | None:
    reach = SIZE // 2
    top, left = (max(int(edge) - reach, 0) for edge in centre)
    area = frame[None, top : top + 2 * reach, left : left + 2 * reach]
    found = {}
    for kind in KINDS:
        for colour, value in SHAPE_COLOURS.items():
            shown = np.full_like(area, BACKGROUND)
            stencils.stamp(shown, kind, centre[None] - (top, left), SIZE, value)
            found[f"{colour} {kind}"] = int(disagreement(area, shown, 1).sum())
    nearest = min(found, key=lambda look: found[look])
    return nearest if found[nearest] <= ALLOWED else None


def _masks(state: Mapping[str, Any], crossing: bool, num_frames: int) -> dict[str, np.ndarray]:
    """Where the screen is and where each shape is, hidden or not."""
    screen = np.zeros((num_frames, FRAME, FRAME), dtype=bool)
    screen[:, SCREEN_ROWS, slice(*state["screen"])] = True
    masks = {"screen": screen}
    for index, shape in enumerate(state["shapes"]):
        path = _path(state, index, crossing, num_frames)
        masks[f"shape-{index}"] = stencils.footprint((FRAME, FRAME), shape["kind"], path, SIZE)
    return masks


def _check_crossing(count: int, screen: int, crossing: bool) -> None:
    if crossing and (count < 2 or screen < 32):
        raise BadInputError(
            f"Crossing came with {count} shapes and a screen of {screen} px. It takes 2 shapes and at least 32 px. "
            "Give both, or leave crossing out."
        )


def _propose(rng: np.random.Generator, count: int, screen: int) -> dict[str, Any]:
    colours = rng.permutation(list(SHAPE_COLOURS))[:count].tolist()
    lanes = [int(rng.choice(HIGH_LANES)), int(rng.choice(LOW_LANES))]
    if count == 1:
        lanes = [lanes[int(rng.integers(2))]]
    left = (FRAME - screen) // 2 + int(rng.choice(SHIFTS))
    return {
        "shapes": [
            {"kind": KINDS[rng.integers(len(KINDS))], "colour": colour, "lane": lane}
            for colour, lane in zip(colours, lanes, strict=True)
        ],
        "from": ("left", "right")[rng.integers(2)],
        "screen": [left, left + screen],
    }
