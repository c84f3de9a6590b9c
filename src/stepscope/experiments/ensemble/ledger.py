"""From what `ensemble` measured to its claims.

    seed-ensemble-helps   success of the recipe minus that of the better of two runs of its lead by itself: as it is,
                          and with more steps at the recipe's calls; the better one is named by all other puzzles
    ensemble-stabilises   unbiased variance of success over leads within a puzzle, by themselves minus merged
    shared-seed-bias      share of pairs of puzzles on which one seed chooses alike, minus that of two seeds; puzzles
                          with two solutions, in the reading order of their goals

Control of the first two: merging copies of the lead gives the lead, bit for bit (0, or 1 if it does not); of the third:
the seeds of every puzzle are dealt anew, `DEALS` times.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int

from stepscope.analysis.claims import Verdict
from stepscope.executors import Finding
from stepscope.experiments.ensemble.variants import RECIPE
from stepscope.experiments.evidence import Evidence, emit, withhold

__all__ = ["evidence", "judge", "succeeded"]

Facts = Mapping[str, Any]

DEALS = 50
_SEED = 0
_TWO = 2
_KINDS = {
    "seed-ensemble-helps": "puzzles",
    "ensemble-stabilises": "puzzles with several groups of seeds",
    "shared-seed-bias": "pairs of answered puzzles with two solutions",
}


def judge(id: str, findings: Sequence[Finding]) -> Verdict:
    """Hold what was found against a claim.

    Args:
        id: One of the claims that `ensemble` emits.
        findings: The measured puzzles.
    """
    found = evidence(id, findings)
    if not found:
        return withhold(id, 0, f"no {_KINDS[id]} came")
    return emit(id, found, _KINDS[id])


def evidence(id: str, findings: Sequence[Finding]) -> list[Evidence]:
    """What the puzzles say on a claim."""
    facts = [finding.puzzle for finding in findings]
    match id:
        case "seed-ensemble-helps":
            return _helps(facts)
        case "ensemble-stabilises":
            return _stabilises(facts)
        case _:
            return _leaning(facts)


def succeeded(outcomes: Sequence[Sequence[Any]]) -> Float64[np.ndarray, " n"]:
    """1 for each outcome that shows a solution, else 0."""
    return np.array([float(answer is not None) for answer, _ in outcomes])


def _alone(facts: Facts) -> Float64[np.ndarray, " G"]:
    """Success of the leads by themselves."""
    return succeeded([facts["singles"][lead] for lead in facts["leads"]])


def _helps(puzzles: Sequence[Facts]) -> list[Evidence]:
    rivals = np.array([[_alone(facts).mean(), succeeded(facts["more"]).mean()] for facts in puzzles])
    found = []
    for puzzle, facts in enumerate(puzzles):
        elsewhere = rivals.sum(axis=0) - rivals[puzzle]
        rival = succeeded(facts["more"]) if elsewhere[1] > elsewhere[0] else _alone(facts)
        gains = succeeded(facts["merged"][RECIPE]) - rival
        found += [Evidence(puzzle, float(gain), float(not facts["bitwise"])) for gain in gains]
    return found


def _stabilises(puzzles: Sequence[Facts]) -> list[Evidence]:
    return [
        Evidence(
            puzzle,
            float(_alone(facts).var(ddof=1) - succeeded(facts["merged"][RECIPE]).var(ddof=1)),
            float(not facts["bitwise"]),
        )
        for puzzle, facts in enumerate(puzzles)
        if len(facts["leads"]) > 1
    ]


def _leaning(puzzles: Sequence[Facts]) -> list[Evidence]:
    places = [puzzle for puzzle, facts in enumerate(puzzles) if facts["num_solutions"] == _TWO]
    if len(places) < _TWO:
        return []
    answers = np.array(
        [[-1 if answer is None else answer for answer, _ in puzzles[place]["singles"]] for place in places]
    )
    generator = np.random.default_rng(_SEED)
    deals = [generator.permuted(answers, axis=1) for _ in range(DEALS)]
    found = []
    for index, place in enumerate(places):
        value = _surplus(answers, index)
        controls = [each for dealt in deals if (each := _surplus(dealt, index)) is not None]
        if value is not None and controls:
            found.append(Evidence(place, value, float(np.mean(controls))))
    return found


def _surplus(answers: Int[np.ndarray, "P K"], puzzle: int) -> float | None:
    """How much more often a puzzle agrees with others at its own seeds than at other seeds; None without any pair.

    Args:
        answers: of all puzzles, -1 for none.
        puzzle: index of one of them.
    """
    mine = answers[puzzle]
    others = np.stack([(answers == side).sum(axis=0) - (mine == side) for side in range(_TWO)])  # [side, seed]
    answered = mine >= 0
    alike = others[mine] * answered[:, None]  # [own seed, other seed]; row -1 is never counted
    pairs = others.sum(axis=0) * answered[:, None]
    same, total_same = np.trace(alike), np.trace(pairs)
    rest, total_rest = alike.sum() - same, pairs.sum() - total_same
    return float(same / total_same - rest / total_rest) if total_same and total_rest else None
