"""What `noise-at-frame` reads off the runs of one puzzle, as facts and as rows of the table.

In the table an `influence` carries the frame where it was felt and, as text, the one that was disturbed; with neither,
it is the run's 1 - A.  A branch's `success`, `answer`, `knowledge`, `flip` (1 where the clean run's answer was lost)
and `progress` carry the disturbed frame, and the step unless it was every step; those with strategy "other-frames" are
read without that frame.  A `commitment_step` with a frame is that frame's own, in the clean run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepscope.analysis import commitment_by_frame, told_frames
from stepscope.executors import Measured, Puzzle
from stepscope.experiments.noise_at_frame.endings import ending_facts, kept, progress
from stepscope.experiments.noise_at_frame.influence import MODEL, Layout, read_influence
from stepscope.experiments.noise_at_frame.sweep import BLIND, Disturbance
from stepscope.scope import Solutions, Trace

__all__ = ["ALL", "OTHERS", "measure"]

ALL, OTHERS = "all", "others"
"""The two readings of an ending: from all frames, and from those that were not disturbed."""

Facts = dict[str, Any]
Branches = Mapping[str, Trace]


@dataclass(frozen=True)
class _Placed:
    """A disturbance whose latent frame is known."""

    branch: str
    frame: int
    step: int | None


def measure(puzzle: Puzzle, disturbances: Sequence[Disturbance], *, first_steps: bool, decode: bool) -> Measured:
    """Read the runs of one puzzle.

    Args:
        puzzle: The puzzle, run.
        disturbances: Its branches with noise in a frame.
        first_steps: Whether influence is also read at step 0 of the branches that are disturbed in every step.
        decode: Whether the clean run, and the branches that are disturbed in every step, are decoded and scored.
    """
    num_frames = puzzle.solutions.still.shape[1]
    found = [(each, each.frame_of(num_frames)) for each in disturbances]
    placed = [_Placed(each.branch, frame, each.step) for each, frame in found if frame is not None]
    layout = _layout(puzzle.solutions, {each.frame for each in placed})
    runs = [
        {
            **_influence(branches, placed, layout, puzzle.solutions, first_steps),
            **_endings(branches, placed, puzzle, decode),
        }
        for branches in puzzle.runs
    ]
    cells = [list(_cells(run, clean, layout)) for run, clean in zip(runs, puzzle.clean, strict=True)]
    facts = {"frames": list(layout.frames), "open": list(layout.open), "num_frames": num_frames}
    return Measured(facts, runs, cells)


def _layout(solutions: Solutions, disturbed: set[int]) -> Layout:
    told = told_frames(solutions.candidates, solutions.still)
    frames = tuple(sorted(disturbed))
    return Layout(solutions.still.shape[1], frames, tuple(frame for frame in frames if frame not in told))


def _influence(
    branches: Branches, placed: Sequence[_Placed], layout: Layout, solutions: Solutions, first_steps: bool
) -> Facts:
    disturbed = {(each.step, each.frame): branches[each.branch] for each in placed if each.step is not None}
    if first_steps:
        disturbed |= {(0, each.frame): branches[each.branch] for each in placed if each.step is None}
    return read_influence(branches["clean"], disturbed, layout, solutions.candidates)


def _endings(branches: Branches, placed: Sequence[_Placed], puzzle: Puzzle, decode: bool) -> Facts:
    clean, solutions, task = branches["clean"], puzzle.solutions, puzzle.task if decode else None
    cut = {hidden: branches[name] for hidden, name in BLIND.items() if name in branches}
    before = {frame: ending_facts(clean, solutions, frame) for frame in {None, *(each.frame for each in placed)}}
    return {
        "clean": {ALL: before[None], "progress": progress(clean, task)},
        "disturbed": [
            {
                "branch": each.branch,
                "frame": each.frame,
                "step": each.step,
                **_readings(branches[each.branch], solutions, each.frame, before),
                "progress": progress(branches[each.branch], task) if each.step is None else None,
            }
            for each in placed
        ],
        "cut": {hidden: ending_facts(trace, solutions) for hidden, trace in cut.items()},
        "commitment": list(commitment_by_frame(clean.cond_estimates, solutions.candidates).items()),
        "num_steps": clean.num_steps,
    }


def _readings(trace: Trace, solutions: Solutions, frame: int, clean: Mapping[int | None, Facts | None]) -> Facts:
    """Both readings of a branch; `before` is the clean run's, `kept` whether the answer is still that one."""
    readings: Facts = {ALL: None, OTHERS: None}
    for name, dropped in ((ALL, None), (OTHERS, frame)):
        if (found := ending_facts(trace, solutions, dropped)) is not None:
            readings[name] = {**found, "before": clean[dropped], "kept": kept(found, clean[dropped])}
    return readings


def _cells(run: Facts, clean: Trace, layout: Layout) -> Iterator[Facts]:
    sigmas = clean.sigmas.tolist()
    yield from _influence_cells(run, layout, sigmas)
    yield from _ending_cells(run["clean"][ALL], {})
    yield from _progress_cells(run["clean"], {})
    for each in run["disturbed"]:
        where: Facts = {"branch": each["branch"], "frame": each["frame"]}
        if each["step"] is not None:
            where |= {"step": each["step"], "sigma": sigmas[each["step"]]}
        yield from _ending_cells(each[ALL], where)
        yield from _ending_cells(each[OTHERS], where | {"strategy": "other-frames"})
        yield from _progress_cells(each, where)
    for hidden, found in run["cut"].items():
        yield from _ending_cells(found, {"branch": BLIND[hidden]})
    for frame, step in run["commitment"]:
        yield {"metric": "commitment_step", "frame": frame, "value": None if step is None else float(step)}


def _influence_cells(run: Facts, layout: Layout, sigmas: Sequence[float]) -> Iterator[Facts]:
    if (asymmetry := run["asymmetry"][MODEL]) is not None:
        yield {"metric": "influence", "value": 1 - asymmetry}
    branches = {(each["step"] or 0, each["frame"]): each["branch"] for each in run["disturbed"]}
    for step, matrix in zip(run["steps"], run["influence"], strict=True):
        for source, row in zip(layout.frames, matrix, strict=True):
            where = {"branch": branches[step, source], "step": step, "sigma": sigmas[step]}
            where |= {"text": f"noise in latent frame {source}"}
            yield from ({"metric": "influence", "frame": f, "value": value, **where} for f, value in enumerate(row))


def _ending_cells(found: Facts | None, where: Facts) -> Iterator[Facts]:
    if found is None:
        return
    text = None if found["answer"] is None else f"solution {found['answer']}"
    yield {"metric": "success", "value": found["success"], **where}
    yield {"metric": "knowledge", "value": found["knowledge"], **where}
    yield {"metric": "answer", "candidate": found["answer"], "text": text, **where}
    if found.get("kept") is not None:
        yield {"metric": "flip", "value": 1 - found["kept"], **where}


def _progress_cells(found: Facts, where: Facts) -> Iterator[Facts]:
    if found["progress"] is not None:
        yield {"metric": "progress", "value": found["progress"], **where}
