"""Working memory: is what comes out from behind a screen what went in?

A line-up of videos of the same scene in which the shapes alone differ:

    same        the solution                    other, stranger   two decoys' looks, drawn for the puzzle
    mixed       kind and colour of two of them  exchanged         two shapes change places behind the screen
    nothing     no shape at all

The clean estimate of a step shows the nearest of them, for each shape in the cells in which it is seen after it was
hidden (`emerging`), and before (`entering`).  A model without memory shows what does not depend on what went in, and so
the true look as often as a decoy's: one is drawn like the other, and the line-up holds all kinds with all colours.

Only the codec sees the line-up, never the model.  Cost: nine or ten encodings a puzzle.  It needs puzzles of the family
`occlusion`; a shape that is never wholly hidden, or has no latent frame before or after, is left out.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from stepscope.analysis import cell_shares, latent_frames
from stepscope.executors import Puzzle
from stepscope.shapes import Candidates, Latents, LatentsBatch
from stepscope.tasks.colours import SHAPE_COLOURS
from stepscope.tasks.occlusion import KINDS, PROMPTS, Occlusion
from stepscope.tasks.sample import canonical

__all__ = ["Known", "first_frame", "has_screen", "known", "line_up", "recall", "recognise", "views"]

Cells = Bool[np.ndarray, "F H W"]
Shown = dict[str, list[str]]

_LOOKS = ("same", "other", "stranger")


@dataclass(frozen=True, eq=False)
class Known:
    """The line-up of a puzzle in the model's latents, and where its shapes can be seen.

    Attributes:
        videos: The line-up by name; several are named `mixed`.
        seen: For each shape the cells in which it is seen before and after it is hidden, see `views`.
    """

    videos: Sequence[tuple[str, Latents]]
    seen: Sequence[Mapping[str, Cells]]

    def video(self, name: str) -> Latents:
        """The first video of this name."""
        return next(video for each, video in self.videos if each == name)


def known(puzzle: Puzzle) -> Known | None:
    """Encode the line-up of a puzzle; None if it has no screen, or no shape of which anything can be read."""
    seen = views(puzzle.sample, puzzle.solutions.still.shape[1:]) if has_screen(puzzle.sample) else []
    if not seen:
        return None
    return Known([(name, puzzle.model.encode(video)) for name, video in line_up(puzzle.sample)], seen)


def recall(estimates: LatentsBatch, lined: Known | None) -> list[Shown]:
    """What each hidden shape looks like in each estimate: [shape]["entering" | "emerging"][step].

    Args:
        estimates: Clean estimates, one a step.
        lined: The line-up; None for a puzzle without a screen, in which no shapes are found.
    """
    if lined is None:
        return []
    names, videos = zip(*lined.videos, strict=True)
    return recognise(estimates, torch.stack(videos), names, lined.seen)


def line_up(sample: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The videos among which the shapes of an `occlusion` puzzle are recognised, with their names."""
    shapes = sample.state["shapes"]
    for kind, colour in product(_LOOKS, _LOOKS):
        yield kind if kind == colour else "mixed", _video(sample, _dressed(sample, kind, colour))
    yield "nothing", _video(sample, [])
    if len(shapes) == 2:
        (elsewhere,) = set(PROMPTS.values()) - {sample.prompt}
        yield "exchanged", _video(sample, shapes, elsewhere)


def first_frame(sample: Any, look: str) -> np.ndarray:
    """The first frame of a video of the line-up: of "same", of a decoy's look, or of "nothing"."""
    shapes = [] if look == "nothing" else _dressed(sample, look, look)
    return Occlusion().from_state({**sample.state, "shapes": shapes}, sample.prompt, num_frames=5).first_frame


def views(sample: Any, latents_shape: Sequence[int]) -> list[dict[str, Cells]]:
    """For each shape, the cells in which it is seen before and after it is hidden; shapes that cannot be read left out.

    Args:
        sample: A puzzle with masks of `screen` and of shapes.
        latents_shape: (F, H, W).
    """
    shapes = [mask & ~sample.masks["screen"] for name, mask in sample.masks.items() if name != "screen"]
    found = [_view(visible, latents_shape) for visible in shapes]
    return [view for view in found if view is not None]


def recognise(
    estimates: LatentsBatch, videos: Candidates, names: Sequence[str], seen: Sequence[Mapping[str, Cells]]
) -> list[Shown]:
    """Name the video of the line-up that is nearest to each estimate, where each shape is seen.

    Args:
        estimates: Clean estimates, one a step.
        videos: The line-up, encoded.
        names: Its names.
        seen: Where each shape is seen, see `views`.
    """
    off = torch.stack([(estimates.double() - video).square().sum(1) for video in videos]).cpu().numpy()
    return [
        {when: [names[int(nearest)] for nearest in off[:, :, cells].sum(2).argmin(0)] for when, cells in view.items()}
        for view in seen
    ]


def has_screen(sample: Any) -> bool:
    """Whether a puzzle hides shapes behind a screen."""
    known = getattr(sample, "task", None) == Occlusion.name and sample.state is not None
    return known and "screen" in (getattr(sample, "masks", None) or {})


def _video(sample: Any, shapes: Sequence[Mapping[str, Any]], prompt: str | None = None) -> np.ndarray:
    state = {**sample.state, "shapes": shapes}
    return Occlusion().from_state(state, prompt or sample.prompt, num_frames=sample.num_frames).solutions[0]


def _dressed(sample: Any, kind: str, colour: str) -> list[dict[str, Any]]:
    """The shapes of a puzzle with the kinds of one look and the colours of another."""
    shapes = sample.state["shapes"]
    kinds, colours = _looks(shapes, canonical(sample.state))
    return [own | {"kind": kinds[kind][i], "colour": colours[colour][i]} for i, own in enumerate(shapes)]


def _looks(shapes: Sequence[Mapping[str, Any]], text: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Kinds and colours of all shapes, by look; decoys are unlike the shape, and depend on the puzzle alone."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
    taken = {shape["colour"] for shape in shapes}
    kinds, colours = [], []
    for shape in shapes:
        kinds.append([shape["kind"], *rng.permutation([kind for kind in KINDS if kind != shape["kind"]])])
        colours.append([shape["colour"], *rng.permutation([colour for colour in SHAPE_COLOURS if colour not in taken])])
    by_look = ({look: [str(row[i]) for row in rows] for i, look in enumerate(_LOOKS)} for rows in (kinds, colours))
    return next(by_look), next(by_look)


def _view(visible: Bool[np.ndarray, "T Y X"], latents_shape: Sequence[int]) -> dict[str, Cells] | None:
    hidden = np.flatnonzero(~visible.any(axis=(1, 2)))
    if not len(hidden):
        return None
    count = latents_shape[0]
    behind = latent_frames(len(visible), count)[hidden]
    order, shown = np.arange(count)[:, None, None], cell_shares(visible, latents_shape) > 0
    cells = {"entering": shown & (order > 0) & (order < behind[0]), "emerging": shown & (order > behind[-1])}
    return cells if all(each.any() for each in cells.values()) else None
