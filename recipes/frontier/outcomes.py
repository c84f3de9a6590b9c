"""From what runs came to, to what strategies would have answered; all of it follows from single runs of the pool.

    best-of-K@N    of K runs of N steps, the one that a verifier likes best                          K N calls
    prune-K@N      of K runs, the one whose first clean estimate it likes best, to the end           K + N - 1
    verifiers      multiplicity, agreement (the model alone), rule (no solution), oracle (the scorer)

As `stepscope.generate` chooses: larger is better, the first of equals wins.  Pruning looks after one step: all grids
share that step.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from advance import Runs, Way
from bench import Asked, Columns, Said
from measures import hull
from menu import Frontier

__all__ = ["KS", "MOVED", "VERIFIERS", "Strategy", "answered", "strategies"]

KS = (2, 3, 4, 8)
VERIFIERS = ("multiplicity", "agreement", "rule", "oracle")
MOVED = ("clean_estimate", "latents", "result")


@dataclass(frozen=True)
class Strategy:
    """What one strategy came to.

    Attributes:
        name: as in the figure.
        family: `single`, `ensemble`, `prune` or `best-of`.
        verifier: who chose; None for nobody.
        num_steps: N.
        calls: model calls.
        success: of each puzzle, NaN where its verifier has nothing to say, or the video could not be scored.
    """

    name: str
    family: str
    verifier: str | None
    num_steps: int
    calls: int
    success: np.ndarray


def answered(runs: Runs, asked: Asked, frontier: Frontier) -> Said:
    """Run all that a frontier asks for; columns hold what needs no decoding.

    multiplicity, distance     of the pool's results, and of what pruning sees: for the verifiers
    moved                      how far the first step of an ensemble moved clean estimate, latents and result
    knowledge                  R at every step, of the chosen ensemble and of its lead alone
    """
    pools = {f"pool-{count}": _pool(runs, count) for count in frontier.pools}
    looks = [runs.way(place, frontier.pools[0]).estimate(0) for place in range(frontier.pool)]
    found = {f"single-{count}": runs.way(0, count).latents[-1] for count in frontier.singles}
    for name, results in pools.items():
        found |= {f"{name}-{place}": result for place, result in enumerate(results) if place}
    found |= {f"look-{place}": estimate for place, estimate in enumerate(looks)}
    merged = {name: runs.merged(each) for name, each in frontier.ensembles.items()}
    found |= {name: way.latents[-1] for name, way in merged.items()}
    columns = {f"moved {name}": _moved(way, runs.way(0, len(way.velocities))) for name, way in merged.items()}
    if frontier.chosen:
        way = merged[frontier.chosen["ensemble"]]
        for who, each in (("single", runs.way(0, len(way.velocities))), ("ensemble", way)):
            estimates = torch.stack([each.estimate(step) for step in range(len(each.velocities))])
            columns[f"knowledge {who}"] = hull(estimates, asked.solutions, asked.still)[0].T.cpu().numpy()
    for name, seen in {**pools, "look": looks}.items():
        columns[f"multiplicity {name}"] = _multiplicity(seen, asked.still)
        columns[f"distance {name}"] = _distances(seen)
    return Said(found, columns)


def _pool(runs: Runs, num_steps: int) -> list[torch.Tensor]:
    return [runs.way(place, num_steps).latents[-1] for place in range(len(runs.noise))]


def _moved(merged: Way, plain: Way) -> np.ndarray:
    """Distances as shares of the plain run's size, [B, 3]."""
    pairs = [
        (merged.estimate(0), plain.estimate(0)), (merged.latents[1], plain.latents[1]),
        (merged.latents[-1], plain.latents[-1]),
    ]  # fmt: skip
    return torch.stack([(a - b).flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1) for a, b in pairs], 1).cpu().numpy()


def _multiplicity(seen: list[torch.Tensor], still: torch.Tensor) -> np.ndarray:
    """[B, K]; see `stepscope.scope.generate_verifiers`."""
    drawn = torch.stack([(each.double() - still).norm(dim=1).flatten(1) for each in seen], 1)
    tiny = torch.finfo(torch.float64).tiny
    return -(drawn.sum(2).square() / drawn.square().sum(2).clamp_min(tiny)).cpu().numpy()


def _distances(seen: list[torch.Tensor]) -> np.ndarray:
    """Mean squared distances between runs, [B, K, K]."""
    flat = torch.stack([each.flatten(1).double() for each in seen], 1)
    rows = [(flat - flat[:, place : place + 1]).square().mean(2) for place in range(len(seen))]
    return torch.stack(rows, 1).cpu().numpy()


def strategies(rows: Columns, frontier: Frontier) -> Iterator[Strategy]:
    """Every strategy that the rows tell of."""
    success = {name: rows["success"][:, at].astype(float) for at, name in enumerate(rows["names"].tolist())}
    for count in frontier.singles:
        yield Strategy(f"single-{count}", "single", None, count, count, success[f"single-{count}"])
    for name, each in frontier.ensembles.items():
        yield Strategy(name, "ensemble", None, each.num_steps, each.calls, success[name])
    for count in frontier.pools:
        ends = np.stack([success[name] for name in _pool_names(frontier, count)], 1)
        for many in (k for k in KS if k <= frontier.pool):
            for verifier in VERIFIERS:
                calls = {"best-of": many * count, "prune": many + count - 1}
                for family, spent in calls.items():
                    value = _values(rows, frontier, verifier, count if family == "best-of" else None, many)
                    if value is not None:
                        name = f"{family}-{many}@{count}"
                        yield Strategy(name, family, verifier, count, spent, _chosen(ends, value))


def _pool_names(frontier: Frontier, count: int | None) -> list[str]:
    """Names of the videos that a verifier chooses from: results of N steps, or None for looks."""
    if count is None:
        return [f"look-{place}" for place in range(frontier.pool)]
    return [f"single-{count}", *(f"pool-{count}-{place}" for place in range(1, frontier.pool))]


def _values(rows: Columns, frontier: Frontier, verifier: str, count: int | None, many: int) -> np.ndarray | None:
    """What a verifier says of the first `many` of the pool [n, K]; None where it cannot tell them apart."""
    at = [rows["names"].tolist().index(name) for name in _pool_names(frontier, count)][:many]
    key = "look" if count is None else f"pool-{count}"
    if verifier == "multiplicity":
        return rows[f"multiplicity {key}"][:, :many]
    if verifier == "agreement":
        return None if many == 2 else -rows[f"distance {key}"][:, :many, :many].sum(2)
    if verifier == "rule":
        return rows["rule"][:, at]
    # Whoever knows the answer likes a video that nobody can read least.
    return np.nan_to_num(rows["success"][:, at].astype(float), nan=-1.0) + rows["progress"][:, at]


def _chosen(ends: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Success of the best-liked, NaN where nothing was said."""
    silent = np.isnan(values).any(axis=1)
    best = np.argmax(np.where(silent[:, None], 0.0, values), axis=1)
    return np.where(silent, np.nan, np.take_along_axis(ends, best[:, None], 1)[:, 0])
