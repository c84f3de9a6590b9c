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
neither on which tensor nor over which rows.  Cost: n p^2 a step from the disturbance on, and branch.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from stepscope.analysis import Centred, centred, debiased_ckas
from stepscope.experiments.curves import band_of
from stepscope.scope import Trace
from stepscope.shapes import Latents, LatentsBatch

__all__ = ["cells", "compare", "summarise"]

Curve = list[float | None]
"""[N], None before the disturbance and where a representation does not vary."""

Representations = Float[np.ndarray, "N n p"]


def compare(
    clean: Trace, others: Mapping[str, tuple[Trace, int]], still: Latents, layers: Sequence[int] = ()
) -> dict[str, dict[str, Curve]]:
    """Compare runs with the clean one.

    Args:
        clean: The run without edits.
        others: The same puzzle, disturbed: by name the run, and the step of the disturbance.
        still: The first frame held still, in latents.
        layers: Layers that recorder `raw_block` has kept of all.

    Returns:
        For each run and site, d at every step.
    """
    references = {site: _centred(found) for site, found in _sites(clean, still, layers)}
    return {
        name: {site: _apart(references[site], found, first) for site, found in _sites(other, still, layers)}
        for name, (other, first) in others.items()
    }


def cells(curves: Mapping[str, Curve], branch: str, step: int | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a comparison: CKA itself, 1 where both say the same.

    Args:
        curves: What `compare` gave of the branch.
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


def _sites(trace: Trace, still: Latents, layers: Sequence[int]) -> Iterator[tuple[str, Representations]]:
    """Every site of a run, one after the other: a row a position and a column a channel."""
    yield "clean_estimate", _rows(trace.clean_estimates - still)
    yield "latents", _rows(trace.latents[:-1])
    for index, layer in enumerate(layers):
        yield f"layer {layer}", np.asarray(trace.records["raw_block"][:, index])


def _rows(latents: LatentsBatch) -> Representations:
    return latents.flatten(2).transpose(1, 2).numpy()


def _centred(found: Representations) -> Centred:
    return centred(found.astype(np.float64), as_gram=found.shape[2] >= found.shape[1])


def _apart(reference: Centred, found: Representations, first: int) -> Curve:
    """The curve from step `first` on; None where one of the two is the same everywhere, like nothing and unlike it."""
    later = debiased_ckas(_from(reference, first), _centred(found[first:]))
    return [None] * first + [None if np.isnan(alike) else float(1 - alike) for alike in later]


def _from(reference: Centred, first: int) -> Centred:
    lengths = None if reference.lengths is None else reference.lengths[first:]
    return Centred(reference.features[first:], lengths, reference.size[first:], reference.flat[first:])
