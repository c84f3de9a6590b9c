"""What `serial-depth` reads off one puzzle: by number of steps, what flight and twin know, and whether they succeed.

JSON of a run: {number of steps: {"clean" | "straight": {"success", "knowledge" [N], "knowledge_step"}}}.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis import knowledge, knowledge_step, read_out
from stepscope.executors import Measured, Puzzle
from stepscope.experiments.serial_depth.pairs import depth, length
from stepscope.scope import Solutions, Trace, encode_solutions
from stepscope.tasks import Task

__all__ = ["FLIGHT", "TWIN", "measure"]

FLIGHT, TWIN = "clean", "straight"

Facts = dict[str, Any]
Flights = Mapping[str, Trace]


def measure(puzzle: Puzzle, counts: Sequence[int], decode: bool) -> Measured:
    """Run flight and twin with the other numbers of steps, and read all.

    Args:
        puzzle: Its runs, and in `prepared` how to make others.
        counts: Numbers of steps besides the run's own.
        decode: Whether the task scores the results.
    """
    samples = {name: trace.sample for name, trace in puzzle.runs[0].items()}
    known = {name: _solutions(puzzle, sample) for name, sample in samples.items()}
    judge = puzzle.task if decode else None
    runs, cells, further = [], [], 0
    for own in puzzle.runs:
        others = [_again(puzzle, own, count) for count in counts]
        further += sum(trace.model_calls for flights in others for trace in flights.values())
        runs.append({_steps(flights): _read(flights, known, judge) for flights in (own, *others)})
        cells.append([*_features(samples), *_cells(own, runs[-1]), *_other_cells(others, runs[-1])])
    lengths = {name: length(sample) for name, sample in samples.items()}
    facts = {
        "num_steps": puzzle.clean[0].num_steps,
        "depth": depth(puzzle.sample),
        "length": lengths[FLIGHT],
        "twin_length": lengths.get(TWIN),
    }
    return Measured(facts, runs, cells, further_calls=further)


def _solutions(puzzle: Puzzle, sample: Any) -> Solutions:
    return puzzle.solutions if sample is puzzle.sample else encode_solutions(puzzle.model, sample)


def _again(puzzle: Puzzle, own: Flights, num_steps: int) -> Flights:
    """The same flights from the same noise with another number of steps."""
    options = {**puzzle.prepared, "num_steps": num_steps}
    return {name: puzzle.model.denoise(trace.sample, seed=trace.seed, **options) for name, trace in own.items()}


def _steps(flights: Flights) -> str:
    return str(flights[FLIGHT].num_steps)


def _read(flights: Flights, known: Mapping[str, Solutions], judge: Task | None) -> dict[str, Facts]:
    return {name: _facts(trace, known[name], judge) for name, trace in flights.items()}


def _facts(trace: Trace, solutions: Solutions, judge: Task | None) -> Facts:
    """What a flight knows at each step, and whether its result is right; None if that could not be scored."""
    candidates, still = solutions.candidates, solutions.still
    distances = np.asarray(knowledge(trace.cond_estimates, candidates, still))
    score = None if judge is None else trace.verdict(task=judge)
    shown = read_out([1.0], float(knowledge(trace.latents[-1], candidates, still)))
    success = shown is not None if score is None else score.success
    return {
        "success": None if success is None else float(success),
        "knowledge": distances.tolist(),
        "knowledge_step": knowledge_step(distances),
    }


def _features(samples: Mapping[str, Any]) -> Iterator[Facts]:
    for name, sample in samples.items():
        yield {"metric": "depth", "branch": name, "value": float(depth(sample))}
        yield {"metric": "length", "branch": name, "value": length(sample)}


def _cells(own: Flights, run: Mapping[str, Any]) -> Iterator[Facts]:
    """Rows of the run's own number of steps, step by step."""
    sigmas = own[FLIGHT].sigmas.tolist()
    for name, found in run[_steps(own)].items():
        yield from _ends(name, found)
        for step, distance in enumerate(found["knowledge"]):
            yield {"metric": "knowledge", "branch": name, "step": step, "sigma": sigmas[step], "value": distance}


def _other_cells(others: Sequence[Flights], run: Mapping[str, Any]) -> Iterator[Facts]:
    """Rows of the other numbers of steps: how they end."""
    for flights in others:
        for name, found in run[_steps(flights)].items():
            yield from ({**cell, "strategy": f"{_steps(flights)}-steps"} for cell in _ends(name, found))


def _ends(name: str, found: Facts) -> Iterator[Facts]:
    step = found["knowledge_step"]
    yield {"metric": "success", "branch": name, "value": found["success"]}
    yield {"metric": "knowledge_step", "branch": name, "value": None if step is None else float(step)}
