"""Rotate: turn a shape as the example shows.

Above, a shape before and after its turn, with a sign between them; below, a shape that is to be turned by the same
angle in the same direction, evenly.  Of two ways round the shorter is meant.  A half-turn can be made either way: two
answers at the same place, which differ on the way alone.

Dials: `step` (turns and poses are multiples of 90 or of 45 degrees: the finer, the harder to tell apart), `example`
(`"same"`: it shows the very shape; `"other"`: another kind and colour, so that only the turn carries over), `answers`
(1, 2 or None for either), `num_frames`.
State: {"example": {"kind", "colour", "before", "after"}, "shape": {"kind", "colour", "pose"}}, angles in degrees
clockwise.  The score is by agreement, see `agreement`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from stepscope.tasks import stencils
from stepscope.tasks.agreement import Question, judge
from stepscope.tasks.blocks import FRAME
from stepscope.tasks.colours import BACKGROUND, INK, SHAPE_COLOURS, Colour
from stepscope.tasks.dials import check_all, check_choice, draw_in_split
from stepscope.tasks.masks import LazyMasks
from stepscope.tasks.sample import Sample, Score, Split

__all__ = ["Rotate"]

PALETTE: Mapping[str, Colour] = MappingProxyType({"background": BACKGROUND, "line": INK, **SHAPE_COLOURS})
KINDS = tuple(stencils.TURNING_KINDS)
BEFORE, SIGN, AFTER, CENTRE = (18.0, 20.0), (18.0, 48.0), (18.0, 76.0), (68.0, 48.0)  # (y, x), px
SMALL, LARGE, SIGN_SIZE = 30, 46, 12  # px
LINE = slice(36, 40)
PROMPT = "Turn the lower shape as the example above shows."


@dataclass(frozen=True)
class Rotate:
    """Shapes to be turned like the shape of an example."""

    name: str = "rotate"
    version: int = 1
    palette = PALETTE

    def sample(
        self,
        seed: int,
        *,
        split: Split = "test",
        step: int = 90,
        example: str = "same",
        answers: int | None = None,
        num_frames: int = 17,
    ) -> Sample:
        """The example and the shape with this seed.

        Args:
            seed: any non-negative integer.
            split: `"test"` or `"train"`, by content.
            step: 90 or 45 degrees, of which turns and poses are multiples.
            example: whether the example shows the `"same"` shape or an `"other"`.
            answers: 1 for a turn with one direction, 2 for a half-turn; None for any turn, equally often.
            num_frames: frames of the video, at least 5.
        """
        check_all(seed, split, num_frames, 5)
        check_choice("step", step, (90, 45))
        check_choice("example", example, ("same", "other"))
        check_choice("answers", answers, (1, 2, None))
        rng = np.random.default_rng([seed, step, 5])
        turns = [turn for turn in turns_of(step) if answers is None or (answers == 2) == (turn == 180)]
        state = draw_in_split(lambda: _propose(rng, step, turns, example == "same"), split, "turn")
        return self.from_state(state, num_frames=num_frames, seed=seed)

    def from_state(self, state: Mapping[str, Any], *, num_frames: int = 17, seed: int | None = None) -> Sample:
        """The sample of a state."""
        scene = draw_scene(state)
        return Sample(
            prompt=PROMPT,
            first_frame=turn_video(scene, state, 0, 1)[0],
            num_frames=num_frames,
            task=self.name,
            seed=seed,
            solutions=tuple(turn_video(scene, state, turn, num_frames) for turn in right_turns(state)),
            state=state,
            masks=LazyMasks(partial(_masks, state, num_frames)),
        )

    def score(self, frames: np.ndarray, sample: Sample) -> Score:
        """The verdict on `frames` uint8 [T, H, W, 3], by agreement."""
        state, turns = sample.state or {}, right_turns(sample.state or {})
        scene = draw_scene(state)
        right = {turn_name(turn): turn_video(scene, state, turn, sample.num_frames) for turn in turns}
        others = [turn for turn in turns_of(45) if turn % 360 not in [good % 360 for good in turns]]
        wrong = {turn_name(turn): turn_video(scene, state, turn, 2)[-1] for turn in others}
        stage = np.zeros((FRAME, FRAME), dtype=bool)
        stage[LINE.stop :] = True
        return judge(frames, sample, Question(right, wrong, stage, slack=2))


def turns_of(step: int) -> list[int]:
    """Turns in multiples of a step, degrees clockwise, from above -180 to 180, without none."""
    return [turn for turn in range(step - 180, 181, step) if turn]


def right_turns(state: Mapping[str, Any]) -> list[int]:
    """The turn that the example shows, degrees clockwise; both directions of a half-turn."""
    turn = (state["example"]["after"] - state["example"]["before"]) % 360
    return [180, -180] if turn == 180 else [turn - 360 if turn > 180 else turn]


def turn_name(turn: int) -> str:
    """A turn in words: `90 degrees clockwise`."""
    return f"{abs(turn)} degrees {'clockwise' if turn > 0 else 'anticlockwise'}"


def turn_video(scene: np.ndarray, state: Mapping[str, Any], turn: int, num_frames: int) -> np.ndarray:
    """The video in which the lower shape turns evenly in a scene, uint8 [T, 96, 96, 3]."""
    video = np.repeat(scene[None], num_frames, axis=0)
    shape = state["shape"]
    centres, angles = _motion(state, turn, num_frames)
    stencils.stamp(video, shape["kind"], centres, LARGE, SHAPE_COLOURS[shape["colour"]], angles)
    return video


def _motion(state: Mapping[str, Any], turn: int, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    angles = state["shape"]["pose"] + np.linspace(0, turn, num_frames)
    return np.broadcast_to(CENTRE, (num_frames, 2)), angles


def draw_scene(state: Mapping[str, Any]) -> np.ndarray:
    """The picture without the lower shape, uint8 [96, 96, 3]."""
    picture = np.full((1, FRAME, FRAME, 3), BACKGROUND, dtype=np.uint8)
    picture[:, LINE] = INK
    example = state["example"]
    for place, pose in ((BEFORE, example["before"]), (AFTER, example["after"])):
        stencils.stamp(picture, example["kind"], np.array([place]), SMALL, SHAPE_COLOURS[example["colour"]], pose)
    stencils.stamp(picture, "triangle", np.array([SIGN]), SIGN_SIZE, INK, 90)
    return picture[0]


def _masks(state: Mapping[str, Any], num_frames: int) -> dict[str, np.ndarray]:
    """Where the shape is, along each right turn, and where the example is."""
    kind, example = state["shape"]["kind"], np.zeros((num_frames, FRAME, FRAME), dtype=bool)
    example[:, : LINE.start] = True
    masks = {"example": example}
    for index, turn in enumerate(right_turns(state)):
        centres, angles = _motion(state, turn, num_frames)
        masks[f"shape-{index}"] = stencils.footprint((FRAME, FRAME), kind, centres, LARGE, angles)
    return masks


def _propose(rng: np.random.Generator, step: int, turns: list[int], same: bool) -> dict[str, Any]:
    kinds, colours = rng.permutation(KINDS).tolist(), rng.permutation(list(SHAPE_COLOURS)).tolist()
    before, pose = (int(angle) * step for angle in rng.integers(360 // step, size=2))
    after = (before + turns[rng.integers(len(turns))]) % 360
    shown = 0 if same else 1
    return {
        "example": {"kind": kinds[shown], "colour": colours[shown], "before": before, "after": after},
        "shape": {"kind": kinds[0], "colour": colours[0], "pose": pose},
    }
