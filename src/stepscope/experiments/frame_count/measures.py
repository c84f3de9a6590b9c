"""What `frame-count` reads off one puzzle: for each seed, the facts of a run of each length; JSON.

R_f   ||x_f - c_f||² / ||still_f - c_f||² of latent frame f, c the solution that the whole result is nearest to
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from stepscope.analysis import candidate_weights, knowledge, read_out
from stepscope.errors import BadInputError
from stepscope.executors import Measured, Puzzle, draw_sample
from stepscope.scope import Solutions, Trace, encode_solutions
from stepscope.shapes import Latents

__all__ = ["coherent", "measure"]

Facts = dict[str, Any]

_LARGEST_DISTANCE = 0.1
_DRAWING = 0.05
"""Least that is drawn in a frame that counts, relative to the frame with most."""


@dataclass(frozen=True, eq=False)
class _Length:
    """One puzzle at one length."""

    sample: Any
    solutions: Solutions


def measure(counts: Sequence[int], puzzle: Puzzle) -> Measured:
    """Run one puzzle at every length.

    Args:
        counts: numbers of frames besides the puzzle's own.
        puzzle: its clean runs, and in `prepared` how to make others.

    Raises:
        BadInputError: If the task draws another puzzle at another length.
    """
    samples = {count: _drawn(puzzle, count) for count in counts}
    lengths = {count: _Length(sample, encode_solutions(puzzle.model, sample)) for count, sample in samples.items()}
    runs, further = [], 0
    for clean in puzzle.clean:
        traces = {
            count: puzzle.model.denoise(length.sample, seed=clean.seed, **puzzle.prepared["settings"])
            for count, length in lengths.items()
        }
        further += sum(trace.model_calls for trace in traces.values())
        run = {str(count): _facts(traces[count], length.solutions) for count, length in lengths.items()}
        runs.append(run | {str(puzzle.sample.num_frames): _facts(clean, puzzle.solutions)})
    facts = {"num_solutions": len(puzzle.solutions.candidates)}
    return Measured(facts, runs, [list(_cells(run)) for run in runs], further_calls=further)


def coherent(result: Latents, candidates: torch.Tensor, still: Latents) -> float:
    """Share of the latent frames with something drawn that show the same answer as the whole, within R_f <= 0.1.

    Args:
        result: [C, F, H, W].
        candidates: every solution, [S, C, F, H, W].
        still: the first frame held still, [C, F, H, W].
    """
    answer = candidates[int(candidate_weights(result, candidates).argmax())].double()
    off, drawn = ((each.double() - answer).square().sum((0, 2, 3)) for each in (result, still))
    counted = drawn >= _DRAWING * drawn.max()
    return float((off[counted] / drawn[counted] <= _LARGEST_DISTANCE).double().mean())


def _drawn(puzzle: Puzzle, count: int) -> Any:
    """The same puzzle with another number of frames."""
    task, sample, how = puzzle.task, puzzle.sample, puzzle.prepared
    assert task is not None
    shorter = draw_sample(task, sample.seed, how["split"], {**how["dials"], "num_frames": count})
    if not np.array_equal(shorter.first_frame, sample.first_frame):
        raise BadInputError(
            f"Task {task.name!r} draws another puzzle from seed {sample.seed} for {count} frames. Lengths are compared "
            "on one puzzle. Choose another task, or give the dials that made the samples."
        )
    return shorter


def _facts(trace: Trace, solutions: Solutions) -> Facts:
    first, result = trace.cond_estimates[0], trace.latents[-1]
    distances = [float(knowledge(each, solutions.candidates, solutions.still)) for each in (first, result)]
    return {
        "answer": read_out(candidate_weights(result, solutions.candidates), distances[1]),
        "calls": trace.model_calls,
        "latent_frames": result.shape[1],
        "first_knowledge": distances[0],
        "knowledge": distances[1],
        "coherent": coherent(result, solutions.candidates, solutions.still),
    }


def _cells(run: Mapping[str, Facts]) -> Iterator[Facts]:
    for count, facts in run.items():
        where = {"strategy": f"{count}-frames"}
        yield {"metric": "success", "value": float(facts["answer"] is not None), **where}
        yield {"metric": "knowledge", "value": facts["knowledge"], **where}
