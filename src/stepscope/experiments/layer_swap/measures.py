"""What `layer-swap` reads off the runs of one puzzle: which answer each branch shows, at its step and in the end.

With w the hull weights of an estimate among the videos that show the run's own answers and those that show the donor's,
each in both pictures, over the latent cells in which one of these answers is drawn:

    choice = sum of w over the donor's      flip = 1 if choice >= 0.9 and R <= 0.1 (the latent read-out), else 0

The rest of the picture is not asked: a swap may well spoil what the shapes look like, and still move the answer.

A run's facts: for `swap` and `random` (None where the task has no such donor) `flip`, `final` and `choice`, each
[step][layer]; the same [step] for `self`, `clean` and `donor`, with one `final`.  In the table a `flip` with a step is
read from that step's clean estimate; one without is read from the result, `other_step` says when the swap began.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64

from stepscope.analysis import candidate_weights, knowledge, read_out
from stepscope.executors import Measured, Puzzle
from stepscope.experiments.layer_probe.places import drawn_cells
from stepscope.experiments.layer_swap.donors import shown_by
from stepscope.scope import Trace
from stepscope.shapes import Candidates, LatentsBatch

__all__ = ["DONOR", "RANDOM", "SELF", "SWAP", "measure", "name_of"]

CLEAN, DONOR, SWAP, RANDOM, SELF = "clean", "donor", "swap", "random", "self"
_SITES = {"residual": "block", "delta": "block", "attn": "self_attn", "cross_attn": "cross_attn", "mlp": "mlp"}

Facts = dict[str, Any]


def name_of(kind: str, step: int, layer: int | None = None) -> str:
    """Name of a branch: who lends, from which step on, in which layer (None: in all of them)."""
    return f"{kind} {step}" + ("" if layer is None else f" {layer}")


def measure(puzzle: Puzzle, donor: Any, mode: str) -> Measured:
    """Read the runs of one puzzle.

    Args:
        puzzle: The puzzle, run.
        donor: The sample whose run lent.
        mode: What was taken.
    """
    reader = _Reader(puzzle, donor)
    steps, layers = _places(puzzle.runs[0])
    runs = [_run(reader, branches, steps, layers) for branches in puzzle.runs]
    sigmas = puzzle.runs[0][CLEAN].sigmas.tolist()
    cells = [list(_cells(run, steps, layers, sigmas, _SITES[mode])) for run in runs]
    return Measured({"steps": steps, "layers": layers}, runs, cells)


class _Reader:
    """Says how much of the donor's answer an estimate shows."""

    def __init__(self, puzzle: Puzzle, donor: Any) -> None:
        own, theirs = shown_by(puzzle.sample, donor), shown_by(donor, puzzle.sample)
        known = puzzle.solutions.candidates
        further = [puzzle.model.encode(video).to(known) for video in [*own[len(known) :], *theirs]]
        self.asked = _asked(puzzle.sample, donor, known)
        self.still, self.num_own = puzzle.solutions.still * self.asked, len(own)
        self.candidates = torch.cat([known, torch.stack(further)]) * self.asked

    def choice(self, estimates: LatentsBatch) -> Float64[np.ndarray, " B"]:
        """Hull weight of the donor's answer."""
        return candidate_weights(estimates * self.asked, self.candidates)[:, self.num_own :].sum(axis=1)

    def shown(self, estimates: LatentsBatch) -> list[str | None]:
        """Whose answer each estimate shows: "own", "donor" or, if it shows none, None."""
        weights = candidate_weights(estimates * self.asked, self.candidates)
        distances = np.asarray(knowledge(estimates * self.asked, self.candidates, self.still))
        grouped = np.column_stack([weights[:, : self.num_own], weights[:, self.num_own :].sum(axis=1)])
        found = [read_out(row, distance) for row, distance in zip(grouped, distances, strict=True)]
        return [None if each is None else DONOR if each == self.num_own else "own" for each in found]

    def flips(self, estimates: LatentsBatch) -> list[float]:
        """1 where the donor's answer is shown, else 0."""
        return [float(shown == DONOR) for shown in self.shown(estimates)]


def _asked(sample: Any, donor: Any, like: Candidates) -> Float[torch.Tensor, "F H W"]:
    """1 in the latent cells in which one of the answers is drawn, else 0."""
    grid = (int(like.shape[2]), int(like.shape[3]), int(like.shape[4]))
    drawn = [drawn_cells(video, each.first_frame, grid) for each in (sample, donor) for video in each.solutions]
    return torch.from_numpy(np.any(drawn, axis=0)).to(like)


def _places(branches: Mapping[str, Trace]) -> tuple[list[int], list[int]]:
    """At which steps and in which layers something was swapped."""
    swaps = [name.split()[1:] for name in branches if name.startswith(f"{SWAP} ")]
    return sorted({int(step) for step, _ in swaps}), sorted({int(layer) for _, layer in swaps})


def _run(reader: _Reader, branches: Mapping[str, Trace], steps: Sequence[int], layers: Sequence[int]) -> Facts:
    facts: Facts = {
        kind: _grid(reader, branches, kind, steps, layers) if name_of(kind, steps[0], layers[0]) in branches else None
        for kind in (SWAP, RANDOM)
    }
    itself = [branches[name_of(SELF, step)] for step in steps]
    facts[SELF] = _row(reader, itself, steps) | {"final": reader.flips(_results(itself))}
    for name in (CLEAN, DONOR):
        alone = branches[name]
        facts[name] = _row(reader, [alone] * len(steps), steps) | {"final": reader.flips(_results([alone]))[0]}
    facts["own"] = float(reader.shown(_results([branches[CLEAN]]))[0] == "own")
    return facts


def _grid(
    reader: _Reader, branches: Mapping[str, Trace], kind: str, steps: Sequence[int], layers: Sequence[int]
) -> Facts:
    """`flip`, `choice` and `final` of every swap, [step][layer]."""
    swapped = [[branches[name_of(kind, step, layer)] for layer in layers] for step in steps]
    rows = [_row(reader, traces, [step] * len(layers)) for step, traces in zip(steps, swapped, strict=True)]
    ends = [reader.flips(_results(traces)) for traces in swapped]
    return {name: [row[name] for row in rows] for name in ("flip", "choice")} | {"final": ends}


def _row(reader: _Reader, traces: Sequence[Trace], steps: Sequence[int]) -> Facts:
    """`flip` and `choice` of each trace at its step."""
    estimates = torch.stack([trace.cond_estimates[step] for trace, step in zip(traces, steps, strict=True)])
    return {"flip": reader.flips(estimates), "choice": reader.choice(estimates).tolist()}


def _results(traces: Sequence[Trace]) -> LatentsBatch:
    return torch.stack([trace.latents[-1] for trace in traces])


def _cells(
    run: Mapping[str, Any], steps: Sequence[int], layers: Sequence[int], sigmas: Sequence[float], site: str
) -> Iterator[Facts]:
    for row, step in enumerate(steps):
        now = {"step": step, "sigma": sigmas[step], "site": site}
        for kind in (SWAP, RANDOM):
            for column, layer in enumerate(layers if run[kind] is not None else ()):
                branch = {"branch": name_of(kind, step, layer), "layer": layer}
                yield {"metric": "flip", "value": run[kind]["flip"][row][column], **branch, **now}
                yield {"metric": "choice", "value": run[kind]["choice"][row][column], **branch, **now}
                end = {"other_step": step, "site": site}
                yield {"metric": "flip", "value": run[kind]["final"][row][column], **branch, **end}
        branch = {"branch": name_of(SELF, step)}
        yield {"metric": "flip", "value": run[SELF]["flip"][row], **branch, **now}
        yield {"metric": "flip", "value": run[SELF]["final"][row], **branch, "other_step": step, "site": site}
        for name in (CLEAN, DONOR):
            yield {
                "metric": "flip",
                "value": run[name]["flip"][row],
                "branch": name,
                "step": step,
                "sigma": now["sigma"],
            }
    for name in (CLEAN, DONOR):
        yield {"metric": "flip", "value": run[name]["final"], "branch": name}
