"""What `ensemble` reads off one puzzle: outcomes of every run, what verifiers would have chosen, and how seeds differ.

    outcome   [answer, R]       which solution the result shows by the latent read-out (None for none), and its R
    chosen    {strategy: {verifier: {K: [place]}}}     of K neighbours in the pool, for every first neighbour
    curves    per step: R, and what is specific to a seed, of the leads by themselves and merged

The oracle knows the solutions: it takes the estimate nearest to one of them, and an answer before all that is none.
Everything is JSON.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from stepscope.analysis import candidate_weights, knowledge, read_out, seed_variance
from stepscope.executors import Measured, Puzzle
from stepscope.experiments.ensemble.variants import COPIES, RECIPE, merged, pool_name
from stepscope.scope import Model, Solutions, Trace, generation_calls
from stepscope.scope.generate_verifiers import judge_named
from stepscope.shapes import Latents

__all__ = ["Outcome", "further_calls", "measure", "settings_of"]

Outcome = tuple[int | None, float]
Facts = dict[str, Any]
Ask = Callable[[Sequence[int]], list[float]]
"""From places in the pool to a value each."""


def measure(options: Any, puzzle: Puzzle) -> Measured:
    """Read one puzzle.

    Args:
        options: the experiment.
        puzzle: whose first seed's branches are read; the pool has seeds of its own.
    """
    runs = puzzle.runs[0]
    pool = [runs[pool_name(place)] for place in range(options.pool)]
    more = _more(options, puzzle, pool[0])
    facts = {
        "num_solutions": len(puzzle.solutions.candidates),
        "leads": list(options.leads),
        "singles": [_outcome(trace, puzzle.solutions) for trace in pool],
        "merged": {
            variant: [
                _outcome(runs[merged(variant, lead)], puzzle.solutions) for lead in _groups(runs, variant, options)
            ]
            for variant in _variants(runs)
        },
        "bitwise": torch.equal(runs[merged(COPIES, 0)].latents, pool[0].latents),
        "more": [_outcome(trace, puzzle.solutions) for trace in more],
        "chosen": _chosen(options, puzzle, pool),
        "calls": _calls(options, puzzle, pool[0]),
        "moved": {variant: _moved(options, runs, pool, variant) for variant in _variants(runs)},
        "curves": _curves(options, runs, pool, puzzle.solutions),
    }
    cells = [list(_cells(facts, pool[0].sigmas.tolist())), *([] for _ in puzzle.seeds[1:])]
    return Measured(facts, [{} for _ in puzzle.seeds], cells, further_calls=sum(trace.model_calls for trace in more))


def further_calls(options: Any, model: Model, sample: Any, settings: Mapping[str, Any]) -> int:
    """Model calls of a single run with more steps, for every lead."""
    steps = settings["num_steps"] + _extra(options)
    return len(options.leads) * generation_calls(model, sample, **{**settings, "num_steps": steps})


def settings_of(trace: Trace) -> Facts:
    """How a trace was made, as arguments of `denoise`."""
    return {
        name: getattr(trace, name) for name in ("num_steps", "guidance", "solver", "schedule", "negative_prompt")
    } | {"shift": trace.shift if trace.schedule == "paper" else None}


def _extra(options: Any) -> int:
    """Steps that an ensemble's further calls would buy a single run."""
    return (options.size - 1) * (max(options.merge_steps) + 1)


def _more(options: Any, puzzle: Puzzle, like: Trace) -> list[Trace]:
    """For each lead, one run by itself with as many calls as the ensemble takes."""
    settings = settings_of(like)
    settings["num_steps"] += _extra(options)
    return [
        puzzle.model.denoise(puzzle.sample, seed=puzzle.runs[0][pool_name(lead)].seed, **settings)
        for lead in options.leads
    ]


def _variants(runs: Mapping[str, Trace]) -> list[str]:
    return [name.removesuffix("-0") for name in runs if name.endswith("-0") and not name.startswith(("pool-", "twin-"))]


def _groups(runs: Mapping[str, Trace], variant: str, options: Any) -> list[int]:
    return [lead for lead in options.leads if merged(variant, lead) in runs]


def _outcome(trace: Trace, solutions: Solutions) -> Outcome:
    weights = candidate_weights(trace.latents[-1], solutions.candidates)
    distance = float(knowledge(trace.latents[-1], solutions.candidates, solutions.still))
    return read_out(weights, distance), distance


def _chosen(options: Any, puzzle: Puzzle, pool: Sequence[Trace]) -> Facts:
    """The place that each strategy would have chosen, for every run of neighbours in the pool."""
    estimates = {
        "best-of": [trace.latents[-1] for trace in pool],
        "prune": [trace.clean_estimates[options.look - 1] for trace in pool],
    }
    return {
        strategy: {
            name: {str(count): _choices(ask, options.pool, count) for count in options.counts}
            for name, ask in _asks(options, puzzle, seen).items()
        }
        for strategy, seen in estimates.items()
    }


def _choices(ask: Ask, pool: int, count: int) -> list[int]:
    chosen = []
    for first in range(pool):
        places = [(first + ahead) % pool for ahead in range(count)]
        chosen.append(places[int(np.argmax(ask(places)))])
    return chosen


def _asks(options: Any, puzzle: Puzzle, seen: Sequence[Latents]) -> dict[str, Ask]:
    """The verifiers, each asked once about every estimate, but for agreement, which depends on the company."""
    model, sample, task = puzzle.model, puzzle.sample, puzzle.task
    _, agreement = judge_named("agreement", model, sample, None)
    _, spread = judge_named("multiplicity", model, sample, None)
    values = {"multiplicity": spread(seen), "oracle": [-_distance(each, puzzle.solutions) for each in seen]}
    if options.rule and callable(getattr(task, "rule", None)):
        values["rule"] = judge_named("rule", model, sample, task)[1](seen)
    found: dict[str, Ask] = {name: _looked_up(known) for name, known in values.items()}
    return {"agreement": lambda places: agreement([seen[place] for place in places]), **found}


def _looked_up(values: Sequence[float]) -> Ask:
    return lambda places: [values[place] for place in places]


def _distance(estimate: Latents, solutions: Solutions) -> float:
    """R against the nearest single solution, less 1 for an answer: to be near to a mixture is not to have chosen."""
    distance = float(knowledge(estimate, solutions.candidates, solutions.still))
    answered = read_out(candidate_weights(estimate, solutions.candidates), distance) is not None
    nearest = min(float(knowledge(estimate, each[None], solutions.still)) for each in solutions.candidates)
    return nearest - float(answered)


def _calls(options: Any, puzzle: Puzzle, like: Trace) -> Facts:
    """Model calls of each strategy on this puzzle, as `generate` counts them."""
    settings = settings_of(like)

    def calls(strategy: str, count: int, **more: Any) -> int:
        return generation_calls(
            puzzle.model, puzzle.sample, strategy=strategy, seeds=range(count), **{**settings, **more}
        )

    return {
        "single": calls("single", 1),
        "ensemble": calls("ensemble", options.size, merge="latents", merge_steps=options.merge_steps),
        "more": calls("single", 1, num_steps=settings["num_steps"] + _extra(options)),
        "best-of": {str(count): calls("best-of", count) for count in options.counts},
        "prune": {str(count): calls("prune", count, look=options.look) for count in options.counts},
    }


def _moved(options: Any, runs: Mapping[str, Trace], pool: Sequence[Trace], variant: str) -> Facts:
    """How far the first merged step moves the first lead's clean estimate and next latents, as shares of their size."""
    step = min(options.merge_steps)
    edited, plain = runs[merged(variant, 0)], pool[0]
    return {
        "clean_estimate": _apart(edited.clean_estimates[step], plain.clean_estimates[step]),
        "latents": _apart(edited.latents[step + 1], plain.latents[step + 1]),
        "result": _apart(edited.latents[-1], plain.latents[-1]),
    }


def _apart(a: Latents, b: Latents) -> float:
    return float((a - b).norm() / b.norm())


def _curves(options: Any, runs: Mapping[str, Trace], pool: Sequence[Trace], solutions: Solutions) -> Facts:
    """R and the two parts of what leads draw, step by step; no parts with one lead."""
    alike = {
        "single": [pool[lead] for lead in options.leads],
        "ensemble": [runs[merged(RECIPE, lead)] for lead in options.leads],
    }
    return {who: _curve(traces, solutions) for who, traces in alike.items()}


def _curve(traces: Sequence[Trace], solutions: Solutions) -> Facts:
    estimates = [trace.cond_estimates for trace in traces]
    distances = [np.asarray(knowledge(each, solutions.candidates, solutions.still)) for each in estimates]
    curve: Facts = {"knowledge": np.mean(distances, axis=0).tolist()}
    if len(traces) > 1:
        parts = seed_variance(estimates, solutions.still)
        curve |= {"shared": parts.shared.tolist(), "specific": parts.specific.tolist()}
    return curve


def _cells(facts: Facts, sigmas: Sequence[float]) -> Iterator[Facts]:
    """Rows of the table: what each strategy came to on this puzzle."""
    for place, (answer, distance) in enumerate(facts["singles"]):
        yield from _told(pool_name(place), "single", answer, distance)
    for variant, outcomes in facts["merged"].items():
        for lead, (answer, distance) in zip(facts["leads"], outcomes, strict=False):
            yield from _told(merged(variant, lead), "ensemble", answer, distance)
    for lead, (answer, distance) in zip(facts["leads"], facts["more"], strict=True):
        yield from _told(pool_name(lead), "more-steps", answer, distance)
    for strategy, curve in facts["curves"].items():
        for step, value in enumerate(curve["knowledge"]):
            yield {"metric": "knowledge", "strategy": strategy, "step": step, "sigma": sigmas[step], "value": value}


def _told(branch: str, strategy: str, answer: int | None, distance: float) -> Iterator[Facts]:
    where = {"branch": branch, "strategy": strategy}
    yield {"metric": "success", "value": float(answer is not None), **where}
    yield {"metric": "knowledge", "value": distance, **where}
