"""What `step-compression` reads off one puzzle: for each seed, the facts of a run with each number of steps; JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis import answer_changes, painted, shown_answers
from stepscope.executors import Measured, Puzzle
from stepscope.scope import Solutions, Trace, read

__all__ = ["measure"]

Facts = dict[str, Any]


def measure(counts: Sequence[int], puzzle: Puzzle) -> Measured:
    """Run one puzzle with every number of steps.

    Args:
        counts: numbers of steps besides the run's own.
        puzzle: its clean runs, and in `prepared` how to make others.
    """
    runs, further = [], 0
    for clean in puzzle.clean:
        traces = [
            puzzle.model.denoise(puzzle.sample, seed=clean.seed, **{**puzzle.prepared, "num_steps": count})
            for count in counts
        ]
        further += sum(trace.model_calls for trace in traces)
        runs.append({str(trace.num_steps): _facts(trace, puzzle.solutions) for trace in (*traces, clean)})
    facts = {"num_solutions": len(puzzle.solutions.candidates)}
    return Measured(facts, runs, [list(_cells(run)) for run in runs], further_calls=further)


def _facts(trace: Trace, solutions: Solutions) -> Facts:
    reading = read(trace, solutions)
    early = max(1, trace.num_steps // 4)
    amounts = painted(trace.cond_estimates, solutions.candidates, solutions.still)
    changes = answer_changes(shown_answers(reading.weights, reading.knowledge, amounts))
    return {
        "answer": reading.final_answer,
        "calls": trace.model_calls,
        "first_knowledge": float(reading.knowledge[0]),
        "knowledge": reading.final_knowledge,
        "explored": float(np.mean(reading.multiplicity[:early])),
        "observer_explored": float(np.mean(reading.observer_multiplicity[:early])),
        "changes": changes.wrong_to_right + changes.right_to_wrong + changes.right_to_other,
    }


def _cells(run: Mapping[str, Facts]) -> Iterator[Facts]:
    for count, facts in run.items():
        where = {"strategy": f"{count}-steps"}
        yield {"metric": "success", "value": float(facts["answer"] is not None), **where}
        yield {"metric": "knowledge", "value": facts["knowledge"], **where}
        yield {"metric": "multiplicity", "value": facts["explored"], **where}
        yield {"metric": "observer_multiplicity", "value": facts["observer_explored"], **where}
