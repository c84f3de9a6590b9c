"""The rows of one run: its scores, its knowledge and choice, and those of the two observers.

A row is a mapping of the table's columns here, without those that all rows of a run share; it is stored with the unit,
so that a table is made again without a model.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stepscope.scope import Reading
from stepscope.store import StoredTrace

__all__ = ["reading_rows", "score_rows"]

Cells = dict[str, Any]


def score_rows(trace: StoredTrace) -> Iterator[Cells]:
    """Success, progress and answer of every step that was scored, and of the result, which has no step."""
    for step, score in enumerate(trace.scores):
        yield from ({"step": step, "sigma": float(trace.sigmas[step]), **cells} for cells in _score(score))
    yield from _score(trace.score)


def reading_rows(reading: Reading, sigmas: Sequence[float]) -> Iterator[Cells]:
    """Knowledge, choice and multiplicity of every step for model and observers, and when they committed."""
    cond = {"cfg_branch": "cond"}
    matched, rollout = {"strategy": "observer-state"}, {"strategy": "observer-rollout"}
    yield from _curve("knowledge", reading.knowledge, sigmas, cond)
    yield from _curve("multiplicity", reading.multiplicity, sigmas, cond)
    yield from _curve("observer_multiplicity", reading.observer_multiplicity, sigmas, {})
    yield from _choice(reading.weights, sigmas, cond)
    yield from _curve("knowledge", reading.observer_knowledge, sigmas, matched)
    yield from _curve("multiplicity", reading.observer_multiplicity, sigmas, matched)
    yield from _choice(reading.observer_weights, sigmas, matched)
    yield from _curve("multiplicity", reading.rollout_multiplicity, sigmas, rollout)
    yield from _choice(reading.rollout_weights, sigmas, rollout)
    yield from _finals(reading)


def _score(score: Mapping[str, Any] | None) -> Iterator[Cells]:
    """What could not be scored has no success, which is not 0."""
    if score is None:
        return
    yield {"metric": "success", "value": None if score["success"] is None else float(score["success"])}
    yield {"metric": "progress", "value": float(score["progress"])}
    yield {"metric": "answer", "text": score["answer"]}


def _curve(metric: str, values: Any, sigmas: Sequence[float], where: Mapping[str, Any]) -> Iterator[Cells]:
    for step, value in enumerate(values):
        yield {"metric": metric, "step": step, "sigma": sigmas[step], "value": float(value), **where}


def _choice(weights: Any, sigmas: Sequence[float], where: Mapping[str, Any]) -> Iterator[Cells]:
    for candidate, curve in enumerate(weights.T):
        yield from _curve("choice", curve, sigmas, {"candidate": candidate, **where})


def _finals(reading: Reading) -> Iterator[Cells]:
    """A commitment that was never reached is null: censored, and not left out."""
    yield {"metric": "knowledge", "value": reading.final_knowledge}
    for candidate, weight in enumerate(reading.final_weights):
        yield {"metric": "choice", "candidate": candidate, "value": float(weight)}
    yield {"metric": "commitment_step", "value": _number(reading.commitment_step)}
    yield {"metric": "knowledge_step", "value": _number(reading.knowledge_step)}
    for who, step in {
        "observer-state": reading.observer_commitment_step,
        "observer-rollout": reading.rollout_commitment_step,
    }.items():
        yield {"metric": "commitment_step", "strategy": who, "value": _number(step)}


def _number(step: int | None) -> float | None:
    return None if step is None else float(step)
