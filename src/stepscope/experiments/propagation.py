"""Propagation: how far a disturbed run is from the clean one at every later step, by CKA dissimilarity.

    d(k, j) = 1 - CKA(X_j, Y_j),     X_j clean run, Y_j run disturbed at step k <= j

A row of X is one position (frame, row, column) of one video, a column one channel, so n = F·H·W and no other puzzle is
needed; CKA is debiased (see `analysis.cka`).  d = 0 where both runs say the same, 1 where they have nothing in common.

    clean_estimate   x0_hat - x0_still, what the run believes will be *drawn* on the first frame: the main panel.  The
                     scene is the same in every run of a puzzle; left in, it makes two different answers look alike
    latents          x_j, edits done.  Says which noise it is: 1 for every other noise until the last steps, however
                     right the answer
    layer l          hidden states of a block, a row one token of the conditional forward

Each stands beside two nulls, the other seed's run where it ended on the same answer, and where it ended on another.

Source: CKA dissimilarity over later steps, *Demystifying Video Reasoning* (arXiv 2603.16870, section 3.2), which says
neither on which tensor nor over which rows.  Cost: n p^2 a step and branch.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stepscope.analysis import debiased_cka
from stepscope.errors import BadInputError
from stepscope.experiments.curves import band_of
from stepscope.scope import Trace
from stepscope.shapes import Latents

__all__ = ["cells", "compare", "summarise"]

Curve = list[float | None]
"""[N], None before the disturbance and where a representation does not vary."""


def compare(clean: Trace, other: Trace, still: Latents, layers: Sequence[int] = (), first: int = 0) -> dict[str, Curve]:
    """Compare a run with the clean one.

    Args:
        clean: The run without edits.
        other: The same puzzle, disturbed.
        still: The first frame held still, in latents.
        layers: Layers that recorder `raw_block` has kept of both.
        first: Step of the disturbance.

    Returns:
        For each site, d at every step.
    """
    pairs = {
        "clean_estimate": (clean.clean_estimates - still, other.clean_estimates - still),
        "latents": (clean.latents, other.latents),
    }
    curves = {site: [_apart(_rows(x), _rows(y)) for x, y in zip(*both, strict=True)] for site, both in pairs.items()}
    for index, layer in enumerate(layers):
        hidden = (trace.records["raw_block"][:, index] for trace in (clean, other))
        curves[f"layer {layer}"] = [_apart(x, y) for x, y in zip(*hidden, strict=True)]
    steps = range(clean.num_steps)
    return {site: [curve[step] if step >= first else None for step in steps] for site, curve in curves.items()}


def cells(curves: Mapping[str, Curve], branch: str, step: int | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a comparison: CKA itself, 1 where both say the same.

    Args:
        curves: What `compare` gave.
        branch: Name of the disturbed branch.
        step: Step of the disturbance; None for another seed.
    """
    for site, curve in curves.items():
        place = {"site": "block", "layer": int(site.split()[1])} if site.startswith("layer") else {"site": site}
        where = {"metric": "cka", "branch": branch, "step": step, **place}
        yield from ({**where, "other_step": j, "value": 1 - d} for j, d in enumerate(curve) if d is not None)


def summarise(runs: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, Any]:
    """Sum up the comparisons of all runs.

    Args:
        runs: Index of the puzzle, and {"disturbed": [curves of each step], "null": curves, "same": bool or None}.

    Returns:
        For each site: `map` [disturbed step, later step], the mean; `sensitivity`, its last column with a band;
        `same_answer` and `other_answer`, the mean curve of the other seed's runs and how many there were.
    """
    return {site: _site(site, runs) for site in runs[0][1]["null"]}


def _site(site: str, runs: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, Any]:
    maps = [(puzzle, [curves[site] for curves in run["disturbed"]]) for puzzle, run in runs]
    return {
        "map": [_mean(rows) for rows in zip(*(rows for _, rows in maps), strict=True)],
        "sensitivity": band_of([(puzzle, [row[-1] for row in rows]) for puzzle, rows in maps], (0.0, 1.0)),
        **{
            name: {"n": len(chosen), "mean": _mean(chosen) if chosen else None}
            for name, same in (("same_answer", True), ("other_answer", False))
            for chosen in ([run["null"][site] for _, run in runs if run["same"] is same],)
        },
    }


def _mean(curves: Sequence[Curve]) -> Curve:
    """The mean of what is there, step by step."""
    columns = ([value for value in column if value is not None] for column in zip(*curves, strict=True))
    return [float(np.mean(column)) if column else None for column in columns]


def _rows(latents: Latents) -> np.ndarray:
    """A row a position, a column a channel."""
    return latents.flatten(1).T.numpy()


def _apart(first: np.ndarray, second: np.ndarray) -> float | None:
    try:
        return 1 - debiased_cka(first, second)
    except BadInputError:  # one of them is the same everywhere, and so like nothing and unlike nothing
        return None
