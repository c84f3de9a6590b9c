"""The held-out puzzles on which an edition is measured: families with dials, drawn by seed, rebuilt from their state.

A cell is a family with a setting of its dials.  Each family's default dials are a cell, whose rate is the one that is
quoted for the family; it and all cells of mazes and named shapes have four times as many puzzles as the others.  The
hardest one-goal dial is chosen on puzzles of its own.  Small families repeat themselves: rows carry a number that tells
puzzles apart, which later is the unit of chance.  The graphics of some families were tuned on test puzzles of seeds
below `TUNED`; their content is never drawn here.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

from puzzles import TASKS
from stepscope.tasks import Sample, canonical, find_shape, with_prompt
from stepscope.tasks import get as get_task

__all__ = [
    "CELLS",
    "CHOOSING_SEED",
    "DEFAULTS",
    "FIRST_SEED",
    "TUNED",
    "cells_of",
    "draw_row",
    "jobs_of",
    "sample_of",
    "tuned",
]

Cell = tuple[str, str, dict[str, Any]]
CELLS: list[Cell] = [
    ("maze-5", "maze", {"size": 5}),
    ("maze-7", "maze", {"size": 7}),
    ("maze-9", "maze", {"size": 9}),
    ("maze-11", "maze", {"size": 11}),
    ("maze-7-long", "maze", {"size": 7, "length": (20, 35)}),
    ("maze-8-long", "maze", {"size": 8, "length": (25, 45)}),
    ("maze-9-mid", "maze", {"size": 9, "length": (20, 35)}),
    ("maze-9-long", "maze", {"size": 9, "length": (36, 60)}),
    ("maze-10-mid", "maze", {"size": 10, "length": (25, 40)}),
    ("maze-11-short", "maze", {"size": 11, "length": (5, 15)}),
    ("maze-11-mid", "maze", {"size": 11, "length": (16, 30)}),
    ("maze-11-long", "maze", {"size": 11, "length": (31, 45)}),
    ("maze-11-longer", "maze", {"size": 11, "length": (46, 60)}),
    ("maze-11-longest", "maze", {"size": 11, "length": (61, 90)}),
    ("two-7", "maze-two-goals", {"size": 7}),
    ("two-9", "maze-two-goals", {"size": 9}),
    ("two-11", "maze-two-goals", {"size": 11}),
    ("find-4", "find-shape", {"count": 4}),
    ("find-6", "find-shape", {"count": 6}),
    ("find-4-other", "find-shape", {"count": 4}),
    ("find-odd", "find-shape", {"named": False}),
    ("find-odd-two", "find-shape", {"named": False, "count": 6, "odd": 2}),
    ("find-odd-one", "find-shape", {"named": False, "count": 6, "odd": 1}),
    ("tic-tac-toe", "tic-tac-toe", {}),
    ("tic-tac-toe-two", "tic-tac-toe", {"wins": 2}),
    ("tic-tac-toe-one", "tic-tac-toe", {"wins": 1}),
    ("tic-tac-toe-safe", "tic-tac-toe", {"wins": 1, "threat": False}),
    ("tic-tac-toe-threat", "tic-tac-toe", {"wins": 1, "threat": True}),
    ("tic-tac-toe-implied", "tic-tac-toe", {"side": "implied"}),
    ("size-pattern", "size-pattern", {}),
    ("size-pattern-2-rows", "size-pattern", {"rows": 2}),
    ("size-pattern-1-row", "size-pattern", {"rows": 1}),
    ("size-pattern-one", "size-pattern", {"answers": 1}),
    ("size-pattern-two", "size-pattern", {"answers": 2}),
    ("rotate", "rotate", {}),
    ("rotate-other", "rotate", {"example": "other"}),
    ("rotate-half", "rotate", {"answers": 2}),
    ("rotate-one", "rotate", {"answers": 1}),
    ("rotate-45", "rotate", {"step": 45}),
    ("rotate-45-other", "rotate", {"step": 45, "example": "other"}),
    ("occlusion", "occlusion", {}),
    ("occlusion-one", "occlusion", {"count": 1}),
    ("occlusion-narrow", "occlusion", {"screen": 24}),
    ("occlusion-wide", "occlusion", {"screen": 48}),
    ("occlusion-crossing", "occlusion", {"crossing": True}),
    ("bounce", "bounce", {}),
    ("bounce-0", "bounce", {"bounces": 0, "length": (76, 92)}),
    ("bounce-1", "bounce", {"bounces": 1, "length": (76, 92)}),
    ("bounce-2", "bounce", {"bounces": 2, "length": (76, 92)}),
    ("bounce-3", "bounce", {"bounces": 3, "length": (76, 92)}),
    ("bounce-4", "bounce", {"bounces": 4, "length": (76, 92)}),
    ("bounce-1-short", "bounce", {"bounces": 1, "length": (64, 75)}),
    ("bounce-2-targets", "bounce", {"count": 2}),
    ("bounce-4-targets", "bounce", {"count": 4}),
]
DEFAULTS: Mapping[str, str] = {
    "maze": "maze-7",
    "maze-two-goals": "two-9",
    "find-shape": "find-4",
    **{name: name for name in ("tic-tac-toe", "size-pattern", "rotate", "occlusion", "bounce")},
}
FIRST_SEED = 1_000_000
CHOOSING_SEED = 2_000_000  # puzzles on which the hardest dial is chosen
SPAN = 1_000_000
TUNED = 12  # the graphics of some families were tuned on test puzzles of these seeds
_STRIDE = 100_000  # to the seed that is tried instead of one whose puzzle was seen then
_FACTOR = 4  # 1,000 puzzles where the others have 250
Row = dict[str, Any]


def cells_of(edition: int) -> list[Cell]:
    """The cells that an edition was trained for."""
    first = [cell for cell in CELLS if cell[1] in TASKS and cell[2].get("named", True)]
    return first if edition == 1 else CELLS


def jobs_of(cells: list[Cell], count: int) -> list[tuple[Cell, int]]:
    """A cell and a seed for every puzzle, so that the beginning of the list holds some of every cell."""
    jobs, quoted = [], cells_of(1)
    for cell in cells:
        number = _FACTOR * count if cell in quoted or cell[0] in DEFAULTS.values() else count
        jobs += [(i / number, cell, FIRST_SEED + i) for i in range(number)]
        if cell[1] == "maze":
            jobs += [(i / count, cell, CHOOSING_SEED + i) for i in range(0, count, 2)]
    return [(cell, seed) for _, cell, seed in sorted(jobs, key=lambda job: job[0])]


def draw_row(job: tuple[Cell, int]) -> Row:
    """The puzzle of a cell with a seed, or with a later one where the graphics were tuned on it: what rebuilds it."""
    (cell, name, dials), seed = job
    while _puzzle(name, (sample := get_task(name).sample(seed, **dials)).state) in tuned(name):
        seed += _STRIDE
    sample = with_prompt(sample) if cell.endswith("other") and name == "find-shape" else sample
    return {
        "cell": cell, "seed": seed, "task": name, "prompt": sample.prompt, "state": sample.state,
        "puzzle": _puzzle(name, sample.state),
    }  # fmt: skip


@cache
def tuned(name: str) -> frozenset[int]:
    """The puzzles of a family on which graphics may have been tuned: its cells' first ones; of mazes, the default's."""
    settings = [{}] + [dials for _, task, dials in CELLS if task == name and not name.startswith("maze")]
    task = get_task(name)
    return frozenset(_puzzle(name, task.sample(seed, **dials).state) for dials in settings for seed in range(TUNED))


def _puzzle(name: str, state: Mapping[str, Any] | None) -> int:
    """A number that tells puzzles apart by content."""
    return int(hashlib.sha256(f"{name} {canonical(state or {})}".encode()).hexdigest()[:15], 16)


def sample_of(row: Row) -> Sample:
    """The puzzle of a row."""
    task, state, prompt, seed = get_task(row["task"]), row["state"], row["prompt"], row["seed"]
    if row["task"] == "find-shape":
        target = None if prompt == find_shape.ODD_PROMPT else find_shape.target_of(prompt, state["items"])
        return find_shape.from_state(state, target, seed=seed)
    if row["task"] in ("tic-tac-toe", "occlusion"):
        return task.from_state(state, prompt, seed=seed)  # type: ignore[attr-defined]
    return task.from_state(state, seed=seed)  # type: ignore[attr-defined]
