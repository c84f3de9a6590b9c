"""What `layer-probe` keeps of the runs of one puzzle: features of the regions that are asked something, and answers.

A run's facts: `answer` (the solution that the result shows by the latent read-out, None for none), `visible` (whether
the estimate of each probed step shows it already) and `rows` ([question, right answer] of each row of the features).
The features lie in the tensors, `SEED/SOURCE` [step, row, D], SEED the place of the seed; in bfloat16, whose rounding
(0.4%) is far below what tells rows apart.  A run without an answer has no rows: nothing is right or wrong there.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from stepscope.executors import Measured, Puzzle, reading_rows
from stepscope.experiments.layer_probe.places import asked_of
from stepscope.scope import Reading, Trace, read

__all__ = ["measure"]

Facts = dict[str, Any]


def measure(puzzle: Puzzle, steps: Sequence[int]) -> Measured:
    """Read the runs of one puzzle.

    Args:
        puzzle: The puzzle, run.
        steps: The probed steps.
    """
    readings = [read(trace, puzzle.solutions) for trace in puzzle.clean]
    runs, tensors = [], {}
    for index, (trace, reading) in enumerate(zip(puzzle.clean, readings, strict=True)):
        labels = _labels(puzzle, trace, reading.final_answer)
        runs.append(_facts(reading, steps) | {"rows": [[question, label] for _, question, label in labels]})
        kept = [row for row, _, _ in labels]
        tensors |= {f"{index}/{source}": rows for source, rows in _features(trace, steps, kept)}
    cells = [list(_cells(*each)) for each in zip(puzzle.clean, readings, strict=True)]
    return Measured({"steps": list(steps), "sources": _sources(puzzle.clean[0])}, runs, cells, tensors)


def _facts(reading: Reading, steps: Sequence[int]) -> Facts:
    final = reading.final_answer
    shown = [final is not None and reading.answers[step] == final for step in steps]
    return {"answer": final, "visible": [float(each) for each in shown]}


def _labels(puzzle: Puzzle, trace: Trace, chosen: int | None) -> list[tuple[int, str, bool]]:
    """Row, question and right answer of every region that is asked something."""
    if chosen is None or "probe_features" not in trace.records:
        return []
    grid = tuple(int(count) for count in trace.records["probe_features"]["grid"])
    asked = asked_of(puzzle.sample, (grid[0], grid[1], grid[2]))
    told = [(row, each.question, each.label(chosen)) for row, each in enumerate(asked)]
    return [(row, question, label) for row, question, label in told if label is not None]


def _sources(trace: Trace) -> list[str]:
    """From what goes in to what comes out; none for a model without layers."""
    if "probe_features" not in trace.records:
        return []
    found = [name for name in trace.records["probe_features"] if name.startswith("layer ")]
    return ["latents", "embedding", *sorted(found, key=lambda name: int(name.split()[1])), "estimate"]


def _features(trace: Trace, steps: Sequence[int], rows: Sequence[int]) -> Iterator[tuple[str, torch.Tensor]]:
    for source in _sources(trace):
        features = trace.records["probe_features"][source]
        yield source, torch.from_numpy(features[np.ix_(steps, rows)]).to(torch.bfloat16)


def _cells(trace: Trace, reading: Reading) -> Iterator[Facts]:
    yield from reading_rows(reading, trace.sigmas.tolist())
    shown = reading.final_answer
    yield {"metric": "success", "value": float(shown is not None)}
    yield {"metric": "answer", "candidate": shown, "text": None if shown is None else f"solution {shown}"}
