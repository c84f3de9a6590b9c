"""What `wrong-plan` reads off the runs of one puzzle: what became of each wrong plan, in the model and in the observer.

A run's facts: `clean`, and for each donor, in the order of the steps, `repair` and `observer` (1 repaired), `kept` (the
clean run's answer; None if it had none), `agrees` (model and observer end on the same answer) and `knowledge` (R).  In
the table, rows of strategy "observer-rollout" are the observer's; every row carries the step of the edit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stepscope.analysis import observer_rollout, separation, signal_to_noise
from stepscope.executors import Measured, Puzzle
from stepscope.experiments.sweeps import Ending, ending
from stepscope.experiments.wrong_plan.donors import name_of
from stepscope.scope import Solutions, Trace
from stepscope.shapes import Candidates, Latents

__all__ = ["measure"]

Facts = dict[str, Any]


@dataclass(frozen=True)
class _Outcome:
    """What became of one wrong plan.

    Attributes:
        donor: Whose it was.
        step: Where it was put in.
        plan: Index of the solution that it is; None if it is none.
        model: How the run ended.
        observer: How the observer's rollout from the same latents ended.
    """

    donor: str
    step: int
    plan: int | None
    model: Ending
    observer: Ending

    def repaired(self, end: Ending) -> float:
        """Whether a solution is shown that is not the plan."""
        return float(end.answer is not None and end.answer != self.plan)


def measure(puzzle: Puzzle, donors: Sequence[str], steps: Sequence[int]) -> Measured:
    """Read the runs of one puzzle.

    Args:
        puzzle: The puzzle, run.
        donors: Its donors.
        steps: At which their videos were put in.
    """
    candidates, still = puzzle.solutions.candidates, puzzle.solutions.still
    snr = signal_to_noise(puzzle.runs[0]["clean"].sigmas[:-1], separation(candidates, still))
    facts = {"num_solutions": len(candidates), "signal_to_noise": snr.tolist(), "steps": list(steps)}
    read = [_run(branches, puzzle.solutions, donors, steps) for branches in puzzle.runs]
    return Measured(facts, [run for run, _ in read], [cells for _, cells in read])


def _run(
    branches: Mapping[str, Trace], solutions: Solutions, donors: Sequence[str], steps: Sequence[int]
) -> tuple[Facts, list[Facts]]:
    """The facts of one run, and its cells."""
    clean, sigmas = ending(branches["clean"].latents[-1], solutions), branches["clean"].sigmas.tolist()
    outcomes = [_outcome(branches, solutions, donor, step) for donor in donors for step in steps]
    facts = {
        "clean": asdict(clean),
        "donors": {
            donor: _curves([each for each in outcomes if each.donor == donor], clean.answer) for donor in donors
        },
    }
    cells = list(_ended(clean))
    for each in outcomes:
        where = {"branch": name_of(each.donor, each.step), "step": each.step, "sigma": sigmas[each.step]}
        cells += [{**where, **cell} for cell in _cells(each)]
    return facts, cells


def _outcome(branches: Mapping[str, Trace], solutions: Solutions, donor: str, step: int) -> _Outcome:
    trace, clean = branches[name_of(donor, step)], branches["clean"]
    rollout = observer_rollout(trace.latents[step], trace.sigmas[step:], solutions.candidates)
    plan = None
    if donor == "other-valid":
        plan = _spoken_against(clean.latents[step], float(clean.sigmas[step]), solutions.candidates)
    ends = (ending(latents[-1], solutions) for latents in (trace.latents, rollout.latents))
    return _Outcome(donor, step, plan, *ends)


def _spoken_against(latents: Latents, sigma: float, candidates: Candidates) -> int:
    """The solution that donor `other-valid` stands for, see `interventions.donors`."""
    return int(np.argmax([float((latents - (1 - sigma) * each).norm()) for each in candidates]))


def _curves(outcomes: Sequence[_Outcome], clean: int | None) -> Facts:
    return {
        "repair": [each.repaired(each.model) for each in outcomes],
        "observer": [each.repaired(each.observer) for each in outcomes],
        "kept": [None if clean is None else float(each.model.answer == clean) for each in outcomes],
        "agrees": [float(each.model.answer == each.observer.answer) for each in outcomes],
        "knowledge": [each.model.knowledge for each in outcomes],
    }


def _cells(outcome: _Outcome) -> Iterator[Facts]:
    yield from _ended(outcome.model)
    yield from ({"strategy": "observer-rollout", **cell} for cell in _ended(outcome.observer))
    for strategy, end in (("single", outcome.model), ("observer-rollout", outcome.observer)):
        yield {"metric": "repair", "strategy": strategy, "value": outcome.repaired(end)}


def _ended(end: Ending) -> Iterator[Facts]:
    text = None if end.answer is None else f"solution {end.answer}"
    yield {"metric": "success", "value": end.success}
    yield {"metric": "knowledge", "value": end.knowledge}
    yield {"metric": "answer", "candidate": end.answer, "text": text}
