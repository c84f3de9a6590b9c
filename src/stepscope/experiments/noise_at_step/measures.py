"""What `noise-at-step` reads off the runs of one puzzle: how each branch ended, and how far it is from the clean run.

A run's facts: `clean`, `null` and, in the order of the disturbed steps, `success`, `kept`, `knowledge`, `progress` and
`agrees` (both None where nothing was decoded), `propagation`; `moved` has the first five of the sweep with the boundary
moved, None if there was none.  In the table a branch's `success`, `answer`, `knowledge` and `progress` carry the step
at which it was disturbed; those of the clean run, of the null and of the boundary moved alone have none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stepscope.analysis import separation, signal_to_noise
from stepscope.executors import Measured, Puzzle
from stepscope.experiments import propagation
from stepscope.experiments.sweeps import NULL, Ending, ending
from stepscope.scope import Trace
from stepscope.tasks import Task

__all__ = ["MOVED", "measure", "name_of"]

MOVED = "boundary moved"
"""Name of the undisturbed branch of the second sweep, and what the names of its others begin with."""

Facts = dict[str, Any]


@dataclass(frozen=True)
class _Outcome:
    """A branch, read.

    Attributes:
        ending: By the latent read-out.
        progress: By the task, None where nothing was decoded or could be scored.
        agrees: Whether the task's verdict is that of the read-out.
    """

    ending: Ending
    progress: float | None
    agrees: float | None


def name_of(step: int) -> str:
    """Name of the branch that is disturbed at a step."""
    return f"step {step}"


def measure(puzzle: Puzzle, layers: Sequence[int], decode: bool) -> Measured:
    """Read the runs of one puzzle.

    Args:
        puzzle: The puzzle, run.
        layers: Layers whose hidden states were kept.
        decode: Whether results are decoded and scored.
    """
    clean = puzzle.runs[0]["clean"]
    snr = signal_to_noise(clean.sigmas[:-1], separation(puzzle.solutions.candidates, puzzle.solutions.still))
    experts, moved = clean.records["experts"].tolist(), puzzle.runs[0].get(MOVED)
    facts = {
        "num_solutions": len(puzzle.solutions.candidates),
        "signal_to_noise": snr.tolist(),
        "steps": _steps(puzzle.runs[0]),
        "experts": experts if any(experts) else None,
        "moved_experts": moved.records["experts"].tolist() if moved else None,
    }
    read = [_run(puzzle, branches, layers, puzzle.task if decode else None) for branches in puzzle.runs]
    return Measured(facts, [run for run, _ in read], [cells for _, cells in read])


def _steps(branches: Mapping[str, Trace]) -> list[int]:
    """The disturbed steps, in order."""
    return [int(name.split()[1]) for name in branches if name.startswith("step ")]


def _run(
    puzzle: Puzzle, branches: Mapping[str, Trace], layers: Sequence[int], task: Task | None
) -> tuple[Facts, list[Facts]]:
    """The facts of one run, and its cells."""
    steps, sigmas = _steps(branches), branches["clean"].sigmas.tolist()
    outcomes = {name: _outcome(trace, puzzle, task) for name, trace in branches.items()}
    others = {name: (branches[name], first) for name, first in [*((name_of(step), step) for step in steps), (NULL, 0)]}
    curves = propagation.compare(branches["clean"], others, puzzle.solutions.still, layers)
    cells = [*_cells(outcomes["clean"], "clean"), *_cells(outcomes[NULL], NULL), *propagation.cells(curves[NULL], NULL)]
    for step in steps:
        name = name_of(step)
        cells += [{"step": step, "sigma": sigmas[step], **cell} for cell in _cells(outcomes[name], name)]
        cells += [{"sigma": sigmas[step], **cell} for cell in propagation.cells(curves[name], name, step)]
    if MOVED in outcomes:
        cells += [*_cells(outcomes[MOVED], MOVED)]
        for step, name in ((step, f"{MOVED} {name_of(step)}") for step in steps):
            cells += [{"step": step, "sigma": sigmas[step], **cell} for cell in _cells(outcomes[name], name)]
    return _facts(outcomes, curves, steps), cells


def _outcome(trace: Trace, puzzle: Puzzle, task: Task | None) -> _Outcome:
    end = ending(trace.latents[-1], puzzle.solutions)
    score = None if task is None else trace.verdict(task=task)
    if score is None or score.success is None:
        return _Outcome(end, None, None)
    return _Outcome(end, float(score.progress), float(score.success == (end.answer is not None)))


def _facts(outcomes: Mapping[str, _Outcome], curves: Mapping[str, Any], steps: Sequence[int]) -> Facts:
    clean = outcomes["clean"].ending
    return {
        **_sweep(outcomes, "clean", [name_of(step) for step in steps]),
        "null": _ended(outcomes[NULL], clean),
        "agrees": [each.agrees for each in outcomes.values()],
        "moved": _sweep(outcomes, MOVED, [f"{MOVED} {name_of(step)}" for step in steps]) if MOVED in outcomes else None,
        "propagation": {
            "disturbed": [curves[name_of(step)] for step in steps],
            "null": curves[NULL],
            "same": _same(outcomes[NULL].ending, clean),
        },
    }


def _sweep(outcomes: Mapping[str, _Outcome], clean: str, names: Sequence[str]) -> Facts:
    """How the branches of one sweep ended, beside its undisturbed one."""
    calm, disturbed = outcomes[clean], [outcomes[name] for name in names]
    return {
        "clean": _ended(calm, calm.ending),
        "success": [each.ending.success for each in disturbed],
        "kept": [_kept(each.ending, calm.ending) for each in disturbed],
        "knowledge": [each.ending.knowledge for each in disturbed],
        "progress": [each.progress for each in disturbed],
    }


def _ended(outcome: _Outcome, clean: Ending) -> Facts:
    end = outcome.ending
    return {**asdict(end), "success": end.success, "kept": _kept(end, clean), "progress": outcome.progress}


def _kept(end: Ending, clean: Ending) -> float | None:
    """Whether the clean run's answer was kept; None if it had none."""
    return None if clean.answer is None else float(end.answer == clean.answer)


def _same(null: Ending, clean: Ending) -> bool | None:
    """Whether two runs show the same answer; None if one of them shows none."""
    return None if None in (null.answer, clean.answer) else null.answer == clean.answer


def _cells(outcome: _Outcome, branch: str) -> Iterator[Facts]:
    end = outcome.ending
    yield {"metric": "success", "branch": branch, "value": end.success}
    yield {"metric": "knowledge", "branch": branch, "value": end.knowledge}
    text = None if end.answer is None else f"solution {end.answer}"
    yield {"metric": "answer", "branch": branch, "candidate": end.answer, "text": text}
    if outcome.progress is not None:
        yield {"metric": "progress", "branch": branch, "value": outcome.progress}
