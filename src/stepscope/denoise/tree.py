"""Trees of forks: branches advance together, what they share is computed once, and trees stand side by side.

    at step k      branches from one start whose active interventions agree at steps 0 … k are one node
    trunk          the node without interventions; noise at each of N steps costs N + N(N+1)/2 predictions, not N(N+1)
    forest         trees of several puzzles, each step of all of them asked in the same chunks

A node takes a step by the same code as the plain loop (see `stride`), so on a CPU (chunk 1) a branch equals a full
rerun bit for bit, whatever stands beside it.  All forks share model, solver and number of steps, and start at the same
one.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepscope.denoise.chunks import Chunks
from stepscope.denoise.folds import Folds
from stepscope.denoise.recorder import PairedRecorder, Recorder, StepEvent
from stepscope.denoise.shared import SharedDenoiser
from stepscope.denoise.state import DenoisingState
from stepscope.denoise.stride import Fork, Node, Stride, take

__all__ = ["Leaf", "Tree", "grow", "grow_forest"]


@dataclass(frozen=True, eq=False)
class Leaf:
    """Where a branch ended: its events, its last state, {recorder name: result}.

    The events count the model calls of the branch alone, as a full rerun would make them.
    """

    events: Sequence[StepEvent]
    end: DenoisingState
    records: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Tree:
    """Branches that are compared and exchange with each other, and what is recorded of them.

    Attributes:
        forks: the branches.
        recorders: folds over each.
        paired: folds over each beside the one that it is compared with.
    """

    forks: Sequence[Fork]
    recorders: Sequence[Recorder] = ()
    paired: Sequence[PairedRecorder] = ()


Grown = tuple[dict[Hashable, Leaf], int]
"""{name: leaf} of a tree, and the model calls that it really took."""


def grow(
    forks: Sequence[Fork],
    recorders: Sequence[Recorder] = (),
    paired: Sequence[PairedRecorder] = (),
    chunk: int = 1,
    stop: int | None = None,
) -> Grown:
    """Run all branches of one tree: {name: leaf}, and the model calls that this really took.

    Args:
        forks: the branches.
        recorders: folds over each.
        paired: folds over each beside the one that it is compared with.
        chunk: rows in every model call.
        stop: the step before which all halt, to go on from their leaves' `end`; None for the end of the grid.
    """
    (grown,) = grow_forest([Tree(forks, recorders, paired)], chunk, stop)
    return grown


def grow_forest(trees: Sequence[Tree], chunk: int = 1, stop: int | None = None) -> list[Grown]:
    """Run all branches of several trees side by side, as `grow` would run each.

    Args:
        trees: trees on one model, with the same number of steps.
        chunk: rows in every model call, of whichever tree.
        stop: the step before which all halt; None for the end of the grid.
    """
    first = trees[0].forks[0]
    chunks = Chunks(first.run.denoiser, chunk)
    forest = [_Growing(tree, chunks) for tree in trees]
    for step in range(first.start.step, first.run.grid.num_steps if stop is None else stop):
        take([stride for growing in forest for stride in growing.strides(step)], chunks)
        for growing in forest:
            growing.advance()
        chunks.forget()
    return [growing.grown() for growing in forest]


class _Growing:
    """A tree, and how far it has come."""

    def __init__(self, tree: Tree, chunks: Chunks) -> None:
        self.tree, self.shared = tree, SharedDenoiser(chunks)
        self.nodes = list(_roots(tree, self.shared))
        self.pairs = {fork.name: {pair.name: pair.init(fork.run.info) for pair in tree.paired} for fork in tree.forks}
        self.taking: list[Stride] = []

    def strides(self, step: int) -> list[Stride]:
        """The step that each node is about to take."""
        self.taking = [Stride(part, step, self.shared) for node in self.nodes for part in node.parts(step)]
        lenders = {fork.name: stride for stride in self.taking for fork in stride.node.forks}
        for stride in self.taking:
            stride.meet(lenders)
        return self.taking

    def advance(self) -> None:
        """Stand behind the step that was taken."""
        self.nodes, self.taking = [stride.after() for stride in self.taking], []
        self.shared.forget()
        self.compare()

    def compare(self) -> None:
        """Fold the step into the paired recorders of every fork."""
        events = {fork.name: node.events[-1] for node in self.nodes for fork in node.forks}
        for fork in self.tree.forks if self.tree.paired else ():
            first, states = events[fork.name if fork.against is None else fork.against], self.pairs[fork.name]
            for pair in self.tree.paired:
                states[pair.name] = pair.update(states[pair.name], first, events[fork.name])

    def grown(self) -> Grown:
        """Every leaf, and the calls."""
        leaves: dict[Hashable, Leaf] = {}
        for node in self.nodes:
            for fork in node.forks:
                compared = {pair.name: pair.finish(self.pairs[fork.name][pair.name]) for pair in self.tree.paired}
                leaves[fork.name] = Leaf(node.events, node.state, {**node.folds.finish(), **compared})
        return leaves, self.shared.model_calls


def _roots(tree: Tree, shared: SharedDenoiser) -> Iterator[Node]:
    """One node for each start."""
    starts: dict[int, list[Fork]] = {}
    for fork in tree.forks:
        starts.setdefault(id(fork.start), []).append(fork)
    for members in starts.values():
        first = members[0]
        run = replace(first.run, denoiser=shared, grid=shared.chunks.grid(first.run.grid), interventions=())
        yield Node(tuple(members), run, first.start, Folds.begun(tree.recorders, run.info))
