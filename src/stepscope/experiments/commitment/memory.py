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
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool

from stepscope.analysis import cell_shares, latent_frames
from stepscope.executors import Puzzle
from stepscope.shapes import Candidates, LatentsBatch
from stepscope.tasks.colours import SHAPE_COLOURS
from stepscope.tasks.occlusion import KINDS, PROMPTS, Occlusion
from stepscope.tasks.sample import canonical

__all__ = ["line_up", "recall", "recognise", "views"]

Cells = Bool[np.ndarray, "F H W"]
Shown = dict[str, list[str]]

_LOOKS = ("same", "other", "stranger")


def recall(puzzle: Puzzle) -> list[list[Shown]]:
    """What each shape looks like at each step of each run: [run][shape]["entering" | "emerging"][step].

    Args:
        puzzle: A puzzle, denoised; no shapes are found in one without a screen.
    """
    seen = views(puzzle.sample, puzzle.solutions.still.shape[1:]) if _has_screen(puzzle.sample) else []
    if not seen:
        return [[] for _ in puzzle.runs]
    shown = list(line_up(puzzle.sample))
    names, encoded = [name for name, _ in shown], torch.stack([puzzle.model.encode(video) for _, video in shown])
    return [recognise(trace.cond_estimates, encoded, names, seen) for trace in puzzle.clean]


def line_up(sample: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The videos among which the shapes of an `occlusion` puzzle are recognised, with their names."""
    state, shapes = sample.state, sample.state["shapes"]
    kinds, colours = _looks(shapes, canonical(state))
    for kind, colour in product(_LOOKS, _LOOKS):
        looks = [own | {"kind": kinds[kind][i], "colour": colours[colour][i]} for i, own in enumerate(shapes)]
        yield kind if kind == colour else "mixed", _video({**state, "shapes": looks}, sample.prompt, sample)
    yield "nothing", _video({**state, "shapes": []}, sample.prompt, sample)
    if len(shapes) == 2:
        (elsewhere,) = set(PROMPTS.values()) - {sample.prompt}
        yield "exchanged", _video(state, elsewhere, sample)


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


def _has_screen(sample: Any) -> bool:
    known = getattr(sample, "task", None) == Occlusion.name and sample.state is not None
    return known and "screen" in (getattr(sample, "masks", None) or {})


def _video(state: Mapping[str, Any], prompt: str, sample: Any) -> np.ndarray:
    return Occlusion().from_state(state, prompt, num_frames=sample.num_frames).solutions[0]


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
