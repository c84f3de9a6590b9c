"""Bounce: a ball flies through a box and hits one of several targets.

The ball flies straight and is reflected by the walls, until it meets one that holds a target there.  With y measured
across the range c of the centre, and 0 <= s the distance flown,

    y(s) = | (y_0 + s sin a + c) mod 2c - c |,    x(s) = x_0 + s cos a

The speed is the same in all puzzles, `REACH` px in a video, and the ball rests where it hits.  Each bounce must be
known before the next: bounces are the serial depth.  A long flight needs none, since a box may be wide: `bounces=0`
with the same `length` is the control.

Dials: `bounces` (0–4, None for any), `length` of the flight in px (low, high), `count` of targets (2–4), `num_frames`.
State: {"upright" (x and y exchanged), "box" [top, bottom], "ball" [y, x], "heading" degrees from the x axis to the y
axis, "targets": [{"colour", "wall" "near" | "far", "at" x}, …]}.
The score is by agreement, see `agreement`; a ball seen on a wall has the flag `through-wall`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from stepscope.errors import BadInputError
from stepscope.tasks import stencils
from stepscope.tasks.agreement import ALLOWED, Question, judge
from stepscope.tasks.blocks import FRAME, TOLERANCE
from stepscope.tasks.colours import BACKGROUND, INK, OUTSIDE, SHAPE_COLOURS, Colour
from stepscope.tasks.dials import check_all, check_choice, draw_in_split
from stepscope.tasks.masks import LazyMasks
from stepscope.tasks.sample import Sample, Score, Split

__all__ = ["Bounce"]

BALL_COLOUR = "blue"
TARGET_COLOURS = ("red", "green", "orange", "purple")
PALETTE: Mapping[str, Colour] = MappingProxyType(
    {
        "background": BACKGROUND,
        "wall": INK,
        "ball": SHAPE_COLOURS[BALL_COLOUR],
        **{colour: SHAPE_COLOURS[colour] for colour in TARGET_COLOURS},
    }
)
WALL, BALL, TARGET = 8, 16, 16  # width of walls, diameter of the ball, length of targets, px
RADIUS = BALL / 2
REACH = 96.0  # px flown from the first frame to the last
AIM = (24.0, 3.0)  # length from the ball's centre and half width of the line that shows its heading, px
SPANS = (12, 16, 24, 32, 48, 64)  # c, px
LEANS = (15, 30, 45, 60, 75)  # degrees between heading and the way across
SIDE = (WALL + RADIUS, FRAME - WALL - RADIUS)  # range of the centre along x, px
PLACES = range(WALL + TARGET // 2, FRAME - WALL - TARGET // 2 + 1, 4)
CLEAR, APART = 13, 24  # px between a target and a bounce, and between two targets
NEAREST = 10.0  # px to the first wall, so that the heading is seen
PROMPT = "Let the ball fly until it hits a target."


@dataclass(frozen=True)
class Bounce:
    """Balls that bounce off walls before they hit a target."""

    name: str = "bounce"
    version: int = 1
    palette = PALETTE

    def sample(
        self,
        seed: int,
        *,
        split: Split = "test",
        bounces: int | None = None,
        length: tuple[int, int] = (64, 96),
        count: int = 3,
        num_frames: int = 17,
    ) -> Sample:
        """The flight with this seed.

        Args:
            seed: any non-negative integer.
            split: `"test"` or `"train"`, by content.
            bounces: walls met before the target, 0–4; None for any, equally often.
            length: px from start to target, (low, high) within 16–96.
            count: targets, 2–4.
            num_frames: frames of the video, at least 9.
        """
        check_all(seed, split, num_frames, 9)
        check_choice("bounces", bounces, (0, 1, 2, 3, 4, None))
        check_choice("count", count, (2, 3, 4))
        low, high = _length_range(length)
        rng = np.random.default_rng([seed, count, 8])
        bounces = int(rng.integers(5)) if bounces is None else bounces
        flights = _flights(bounces, low, high)
        what = f"flight of {low} to {high} px with {bounces} bounces and {count} targets"
        if not flights:
            raise BadInputError(f"There is no {what}. Flights of 64 to 96 px have 0 to 4. Choose another length.")
        state = draw_in_split(lambda: _propose(rng, flights[rng.integers(len(flights))], bounces, count), split, what)
        return self.from_state(state, num_frames=num_frames, seed=seed)

    def from_state(self, state: Mapping[str, Any], *, num_frames: int = 17, seed: int | None = None) -> Sample:
        """The sample of a state."""
        video = flight_video(state, flight(state, num_frames))
        return Sample(
            prompt=PROMPT,
            first_frame=video[0],
            num_frames=num_frames,
            task=self.name,
            seed=seed,
            solutions=(video,),
            state=state,
            masks=LazyMasks(partial(_masks, state, num_frames)),
        )

    def score(self, frames: np.ndarray, sample: Sample) -> Score:
        """The verdict on `frames` uint8 [T, H, W, 3], by agreement."""
        state = sample.state or {}
        _, hit = first_hit(state)
        targets = {target["colour"]: target for target in state["targets"]}
        name = state["targets"][hit]["colour"]
        right = {name: flight_video(state, flight(state, sample.num_frames))}
        wrong = {
            colour: flight_video(state, resting_place(state, target)[None])[0]
            for colour, target in targets.items()
            if colour != name
        }
        stage = _turned(_inside(state), state)
        score = judge(frames, sample, Question(right, wrong, stage, slack=2))
        if (
            not score.success
            and score.success is not None
            and _on_wall(frames, (sample.first_frame == INK).all(axis=-1) & ~stage)
        ):
            return replace(score, explanation="The ball passes through a wall.", flags=("through-wall",))
        return score


def contacts(state: Mapping[str, Any]) -> list[tuple[float, str, float]]:
    """Where the ball meets the walls, in order, as if it were reflected by all: (px flown, wall, x)."""
    near, far = _range_of(state)
    y, x = state["ball"]
    sine, cosine = _direction(state)
    first = (far - y) / sine if sine > 0 else (near - y) / sine
    period = (far - near) / abs(sine)
    met = []
    for index in range(32):
        flown = first + index * period
        at = x + flown * cosine
        if not SIDE[0] - 0.01 <= at <= SIDE[1] + 0.01:
            break
        met.append((flown, "far" if (index % 2 == 0) == (sine > 0) else "near", at))
    return met


def first_hit(state: Mapping[str, Any]) -> tuple[float, int]:
    """Px flown until a target is hit, and its index."""
    for flown, wall, at in contacts(state):
        for index, target in enumerate(state["targets"]):
            if target["wall"] == wall and abs(at - target["at"]) < TARGET / 2:
                return flown, index
    raise BadInputError("The ball of this state hits no target. A puzzle needs one. Move a target into its way.")


def flight(state: Mapping[str, Any], num_frames: int) -> np.ndarray:
    """Centre (y, x) of the ball in every frame, float [T, 2]."""
    flown = np.minimum(np.linspace(0, REACH, num_frames), first_hit(state)[0])
    near, far = _range_of(state)
    sine, cosine = _direction(state)
    span = far - near
    across = abs((state["ball"][0] - near + flown * sine + span) % (2 * span) - span)
    return np.stack([near + across, state["ball"][1] + flown * cosine], axis=1)


def resting_place(state: Mapping[str, Any], target: Mapping[str, Any]) -> np.ndarray:
    """Centre (y, x) of a ball that rests at the middle of a target."""
    near, far = _range_of(state)
    return np.array([near if target["wall"] == "near" else far, target["at"]], dtype=np.float64)


def flight_video(state: Mapping[str, Any], centres: np.ndarray) -> np.ndarray:
    """The video of a ball at these centres (as they lie before x and y are exchanged), uint8 [T, 96, 96, 3]."""
    video = np.repeat(_draw_scene(state)[None], len(centres), axis=0)
    stencils.stamp(video, "circle", centres, BALL, PALETTE["ball"])
    return _turned(video, state)


def _draw_scene(state: Mapping[str, Any]) -> np.ndarray:
    """Box, targets and heading, without the ball; x and y not yet exchanged."""
    top, bottom = state["box"]
    picture = np.full((FRAME, FRAME, 3), OUTSIDE, dtype=np.uint8)
    picture[top - WALL : bottom + WALL] = INK
    picture[_inside(state)] = BACKGROUND
    for target in state["targets"]:
        edge = top - WALL if target["wall"] == "near" else bottom
        half = TARGET // 2
        picture[edge : edge + WALL, target["at"] - half : target["at"] + half] = PALETTE[target["colour"]]
    _draw_aim(picture, state)
    return picture


def _draw_aim(picture: np.ndarray, state: Mapping[str, Any]) -> None:
    """A line from the ball along its heading that ends before the first wall, in place."""
    sine, cosine = _direction(state)
    y, x = stencils.grid(FRAME, FRAME, tuple(state["ball"]))
    along, aside = y * sine + x * cosine, y * cosine - x * sine
    length = min(AIM[0], contacts(state)[0][0] + 2)
    alpha = stencils.soft(np.maximum(np.maximum(-along, along - length), abs(aside) - AIM[1]))
    touched = np.nonzero(alpha)
    picture[touched] = stencils.mix(picture[touched], INK, alpha[touched])


def _turned(values: np.ndarray, state: Mapping[str, Any]) -> np.ndarray:
    """Exchange x and y of [96, 96] or [T, 96, 96, …] if the state says so."""
    if not state["upright"]:
        return values
    return values.T if values.ndim == 2 else np.ascontiguousarray(values.swapaxes(1, 2))


def _inside(state: Mapping[str, Any]) -> np.ndarray:
    mask = np.zeros((FRAME, FRAME), dtype=bool)
    mask[slice(*state["box"]), WALL : FRAME - WALL] = True
    return mask


def _range_of(state: Mapping[str, Any]) -> tuple[float, float]:
    return state["box"][0] + RADIUS, state["box"][1] - RADIUS


def _direction(state: Mapping[str, Any]) -> tuple[float, float]:
    heading = np.radians(state["heading"])
    return float(np.sin(heading)), float(np.cos(heading))


def _on_wall(frames: np.ndarray, walls: np.ndarray) -> bool:
    """Whether the ball's colour is seen on a wall in any frame."""
    off = np.linalg.norm(frames[:, walls].astype(np.float64) - PALETTE["ball"], axis=-1)
    return bool((off <= TOLERANCE).sum(axis=1).max() > ALLOWED)


def _masks(state: Mapping[str, Any], num_frames: int) -> dict[str, np.ndarray]:
    """Where the ball is and where the targets are, the one that is hit also as `target`."""
    shape = (num_frames, FRAME, FRAME)
    ball = stencils.footprint((FRAME, FRAME), "circle", flight(state, num_frames), BALL)
    masks = {"ball": _turned(ball, state)}
    scene = _turned(_draw_scene(state)[None], state)[0]
    for target in state["targets"]:
        seen = (scene == PALETTE[target["colour"]]).all(axis=-1)
        masks[f"{target['colour']} target"] = np.broadcast_to(seen, shape)
    masks["target"] = masks[f"{state['targets'][first_hit(state)[1]]['colour']} target"]
    return masks


def _length_range(length: tuple[int, int]) -> tuple[int, int]:
    fits = isinstance(length, tuple | list) and len(length) == 2 and 16 <= length[0] <= length[1] <= REACH
    if not fits:
        raise BadInputError(f"Length came as {length!r}. It is (low, high) within 16 to 96 px. Choose such a range.")
    return int(length[0]), int(length[1])


@cache
def _flights(bounces: int, low: int, high: int) -> list[tuple[int, int, int]]:
    """(c, lean, px across to the first wall) of all flights with so many bounces and such a length."""
    return [
        (span, lean, across)
        for span in SPANS
        for lean in LEANS
        for across in range(4, span, 4)
        if across / np.cos(np.radians(lean)) >= NEAREST
        and low <= (across + bounces * span) / np.cos(np.radians(lean)) <= high
        and (across + bounces * span) * np.tan(np.radians(lean)) <= SIDE[1] - SIDE[0]
    ]


def _propose(rng: np.random.Generator, shape: tuple[int, int, int], bounces: int, count: int) -> dict[str, Any] | None:
    """A state with a flight of this shape, or None if its targets do not fit."""
    span, lean, across = shape
    down, right, upright = (bool(flip) for flip in rng.integers(2, size=3))
    height = span + BALL
    room = (FRAME - 2 * WALL - height) // 4
    top = WALL + 4 * int(rng.integers(room + 1))
    run = (across + bounces * span) * np.tan(np.radians(lean))
    start = float(rng.uniform(SIDE[0], SIDE[1] - run))
    x = round(start) if right else round(FRAME - start)
    y = top + RADIUS + (span - across if down else across)
    heading = (90 - lean if right else 90 + lean) * (1 if down else -1)
    state = {"upright": int(upright), "box": [top, top + height], "ball": [int(y), x], "heading": heading}
    met = contacts(state)
    if len(met) <= bounces:
        return None
    places = _place_targets(rng, met[: bounces + 1], count)
    colours = rng.permutation(TARGET_COLOURS)[:count].tolist()
    if places is None:
        return None
    targets = [{"colour": c, "wall": wall, "at": at} for c, (wall, at) in zip(colours, places, strict=True)]
    return {**state, "targets": targets}


def _place_targets(
    rng: np.random.Generator, met: list[tuple[float, str, float]], count: int
) -> list[tuple[str, int]] | None:
    """Walls and places of the targets, in random order: one at the last contact, none near another contact."""
    *_, (_, wall, at) = met
    places = [(wall, min(PLACES, key=lambda place: abs(place - at)))]
    if abs(places[0][1] - at) > 2.5:
        return None
    free = [(side, place) for side in ("near", "far") for place in PLACES]
    for index in rng.permutation(len(free)):
        side, place = free[index]
        if len(places) < count and all(other != side or abs(place - there) >= APART for other, there in places):
            places.append(free[index])
    clear = all(side != other or abs(x - place) >= CLEAR for _, other, x in met[:-1] for side, place in places)
    return [places[index] for index in rng.permutation(count)] if clear and len(places) == count else None
