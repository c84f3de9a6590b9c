"""What `ensemble` comes to: the frontier with its paired tests, and beside it what merging does to an estimate.

frontier    for each strategy: model calls, success with its interval over puzzles, and the difference to single runs
            of the same seeds on the same puzzles, with its interval, p and p after Holm over all strategies
spread      of success from seed to seed: over the pool (of means over puzzles) and within a puzzle
lever       (s_k - s_k+1) / s_k at the merged steps; `moved` says how far estimate and latents really went
curves      R, and the seed-specific share of what is drawn, of leads by themselves and merged
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from stepscope.analysis import holm, mean_interval, minimal_detectable_effect, paired_bootstrap
from stepscope.executors import Finding
from stepscope.experiments.ensemble.ledger import evidence, succeeded
from stepscope.experiments.evidence import detectable

__all__ = ["summarise"]

Facts = Mapping[str, Any]

_SEED = 0
_SHARE = (0.0, 1.0)
_CLAIMS = ("seed-ensemble-helps", "ensemble-stabilises", "shared-seed-bias")


@dataclass(frozen=True)
class _Strategy:
    """One strategy: what it costs, and from a puzzle to its successes and those of the single runs beside them."""

    name: str
    family: str
    verifier: str | None
    calls: Callable[[Facts], int]
    pairs: Callable[[Facts], tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]]


def summarise(findings: Sequence[Finding], sigmas: Sequence[float], merge_steps: Sequence[int]) -> dict[str, Any]:
    """Sum up what was found.

    Args:
        findings: The measured puzzles.
        sigmas: Noise levels [N+1].
        merge_steps: Steps in which seeds were merged.
    """
    puzzles = [finding.puzzle for finding in findings]
    steps = range(len(sigmas) - 1)
    return {
        "n": len(puzzles),
        "pool": len(puzzles[0]["singles"]),
        "groups": len(puzzles[0]["leads"]),
        "frontier": _frontier(puzzles),
        "spread": _spread(puzzles),
        "lever_arm": {str(step): (sigmas[step] - sigmas[step + 1]) / sigmas[step] for step in merge_steps},
        "moved": {variant: _moved(puzzles, variant) for variant in puzzles[0]["moved"]},
        "copies_are_the_lead": all(facts["bitwise"] for facts in puzzles),
        "curves": {"step": list(steps), "sigma": list(sigmas[:-1])}
        | {who: _curve(puzzles, who) for who in ("single", "ensemble")},
        "detectable": {id: detectable(evidence(id, findings)) for id in _CLAIMS},
    }


def _frontier(puzzles: Sequence[Facts]) -> list[dict[str, Any]]:
    entries = [_entry(strategy, puzzles) for strategy in _strategies(puzzles[0])]
    tested = [entry for entry in entries if entry["p"] is not None]
    for entry, corrected in zip(tested, holm([entry["p"] for entry in tested]) if tested else (), strict=True):
        entry["p_holm"] = float(corrected)
    return entries


def _strategies(facts: Facts) -> Iterator[_Strategy]:
    yield _Strategy("single", "single", None, lambda f: f["calls"]["single"], _singles)
    yield _Strategy("more steps", "single", None, lambda f: f["calls"]["more"], _beside_leads(lambda f: f["more"]))
    for variant in facts["merged"]:
        yield _Strategy(variant, "ensemble", None, lambda f: f["calls"]["ensemble"], _beside_leads(_merged(variant)))
    for family, verifiers in facts["chosen"].items():
        for verifier, counts in verifiers.items():
            for count in counts:
                yield _Strategy(
                    f"{family}-{count}", family, verifier, _cost(family, count), _best(family, verifier, count)
                )


def _singles(facts: Facts) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    values = succeeded(facts["singles"])
    return values, values


def _merged(variant: str) -> Callable[[Facts], Sequence[Any]]:
    return lambda facts: facts["merged"][variant]


def _beside_leads(outcomes: Callable[[Facts], Sequence[Any]]) -> Any:
    """Runs of the first leads, beside the same leads by themselves."""

    def pairs(facts: Facts) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        values, singles = succeeded(outcomes(facts)), succeeded(facts["singles"])
        return values, singles[facts["leads"][: len(values)]]

    return pairs


def _cost(family: str, count: str) -> Callable[[Facts], int]:
    return lambda facts: facts["calls"][family][count]


def _best(family: str, verifier: str, count: str) -> Any:
    """The chosen runs, one for each first neighbour, beside the mean over the pool."""

    def pairs(facts: Facts) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        singles = succeeded(facts["singles"])
        values = singles[facts["chosen"][family][verifier][count]]
        return values, np.full_like(values, singles.mean())

    return pairs


def _entry(strategy: _Strategy, puzzles: Sequence[Facts]) -> dict[str, Any]:
    pairs = [strategy.pairs(facts) for facts in puzzles]
    mine, beside = (np.array([values.mean() for values in side]) for side in zip(*pairs, strict=True))
    entry: dict[str, Any] = {
        "strategy": strategy.name,
        "family": strategy.family,
        "verifier": strategy.verifier,
        "calls": float(np.mean([strategy.calls(facts) for facts in puzzles])),
        "runs": int(sum(len(values) for values, _ in pairs)),
        "success": {"value": float(mine.mean()), "ci95": None},
        "gain": None,
        "p": None,
        "p_holm": None,
        "detectable": None,
    }
    if len(puzzles) > 1:
        value, *ends = mean_interval(mine, _SEED, None, _SHARE)
        entry["success"] = {"value": value, "ci95": ends}
    if len(puzzles) > 1 and strategy.name != "single":
        *_, p = paired_bootstrap(mine, beside, _SEED)
        gain, *ends = mean_interval(mine - beside, _SEED, None, (-1.0, 1.0))
        entry |= {"gain": {"value": gain, "ci95": ends}, "p": p}
        entry["detectable"] = minimal_detectable_effect(mine - beside)
    return entry


def _spread(puzzles: Sequence[Facts]) -> dict[str, float]:
    outcomes = np.stack([succeeded(facts["singles"]) for facts in puzzles])  # [P, K]
    return {
        "between_seeds": float(outcomes.mean(axis=0).std(ddof=1)),
        "within_puzzle": float(outcomes.var(axis=1, ddof=1).mean()),
        "lowest": float(outcomes.mean(axis=0).min()),
        "highest": float(outcomes.mean(axis=0).max()),
    }


def _moved(puzzles: Sequence[Facts], variant: str) -> dict[str, float]:
    names = puzzles[0]["moved"][variant]
    return {name: float(np.mean([facts["moved"][variant][name] for facts in puzzles])) for name in names}


def _curve(puzzles: Sequence[Facts], who: str) -> dict[str, Any]:
    """Means over puzzles; the share is of sums, so that puzzles in which much is drawn weigh more."""
    curves = [facts["curves"][who] for facts in puzzles]
    found: dict[str, Any] = {"knowledge": np.mean([curve["knowledge"] for curve in curves], axis=0).tolist()}
    if "specific" in curves[0]:
        shared, specific = (np.sum([curve[name] for curve in curves], axis=0) for name in ("shared", "specific"))
        found |= {"specific": specific.tolist(), "specific_share": (specific / (shared + specific)).tolist()}
    return found
