"""Trees of forks: branches advance together, what they share is computed once, and trees stand side by side.

    at step k      branches from one start whose active interventions agree at steps 0 … k are one node
    trunk          the node without interventions; noise at each of N steps costs N + N(N+1)/2 predictions, not N(N+1)
    forest         trees of several puzzles, each step of all of them asked in the same chunks

A node takes a step by the same code as the plain loop, so on a CPU (chunk 1) a branch equals a full rerun bit for bit,
whatever stands beside it.  Fork, edit, predict (in chunks, see `chunks`), solve; exchanges of hidden states come last
in a step, when what their donors put out is known.  A donor that itself takes hidden states in the same step lends
those that it would have put out without taking: that costs one more call.  All forks share model, solver and number of
steps, and start at the same one.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from stepscope.denoise.chunks import Asked, Chunks
from stepscope.denoise.denoiser import Address, Prediction, Site, SiteTap
from stepscope.denoise.folds import Folds
from stepscope.denoise.intervention import AbstractExchange, AbstractIntervention, Lent
from stepscope.denoise.loop import Conditions, Run, Step, edits_of
from stepscope.denoise.recorder import PairedRecorder, Recorder, StepEvent
from stepscope.denoise.shared import SharedDenoiser, Unanswered
from stepscope.denoise.state import DenoisingState

__all__ = ["Fork", "Leaf", "Tree", "grow", "grow_forest"]

_INSIDE = frozenset({"site", "attention", "expert"})


@dataclass(frozen=True, eq=False)
class Fork:
    """One branch: a run, and where it starts.

    Attributes:
        name: unique in its tree.
        run: the run, of one sample and one seed.
        start: forks that are given the same object share their prefix.
        against: name of the fork with which paired recorders compare it.
        donors: the forks behind the names that its exchanges use.
    """

    name: Hashable
    run: Run
    start: DenoisingState
    against: Hashable = None
    donors: Mapping[str, Hashable] = field(default_factory=dict)


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
        _taken([stride for growing in forest for stride in growing.strides(step)], chunks)
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
        self.taking: list[_Stride] = []

    def strides(self, step: int) -> "list[_Stride]":
        """The step that each node is about to take."""
        self.taking = [_Stride(part, step, self.shared) for node in self.nodes for part in node.parts(step)]
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


@dataclass(frozen=True, eq=False)
class _Node:
    """Branches that are still one; `run` is theirs, with what acts at the present step alone."""

    forks: tuple[Fork, ...]
    run: Run
    state: DenoisingState
    folds: Folds
    events: tuple[StepEvent, ...] = ()

    def parts(self, step: int) -> Iterator["_Node"]:
        """The node, forked by what acts at `step`."""
        groups: list[tuple[list[AbstractIntervention], list[Fork]]] = []
        for fork in self.forks:
            active = fork.run.active(step)
            members = next((members for acting, members in groups if acting == active), None)
            if members is None:
                groups.append((active, [fork]))
            else:
                members.append(fork)
        for active, members in groups:
            acting = tuple(active)
            run = self.run if acting == self.run.interventions else replace(self.run, interventions=acting)
            folds = self.folds if len(groups) == 1 else self.folds.forked()
            yield replace(self, forks=tuple(members), run=run, folds=folds)

    def donors(self, exchange: AbstractExchange) -> list[Hashable]:
        """The forks that an exchange of this node borrows from."""
        return [self.forks[0].donors[name] for name in exchange.donors]


class _Stride:
    """One node taking one step: edited, asked, told, moved."""

    def __init__(self, node: _Node, step: int, shared: SharedDenoiser) -> None:
        self.node, self.run, self.state, self.shared = node, node.run, node.state, shared
        self.now = Step(self.run, step, Conditions(self.run))
        self.edits = edits_of(self.run, step)
        self.exchanges = tuple(i for i in self.run.interventions if isinstance(i, AbstractExchange))
        self.loan, self.borrows = _Loan(), any(self._places(exchange) for exchange in self.exchanges)
        self.donors: list[tuple[AbstractExchange, list[_Stride]]] = []
        self.unedited: DenoisingState | None = None
        self.told: Prediction | None = None

    @property
    def late(self) -> bool:
        """Whether an edit of its latents may want an estimate that another node is about to be told."""
        return any(i.asks_estimate for i in self.run.interventions)

    def meet(self, lenders: "Mapping[Hashable, _Stride]") -> None:
        """Know the strides of its donors, and tell them what they shall lend."""
        for exchange in self.exchanges:
            donors, places = [lenders[donor] for donor in self.node.donors(exchange)], self._places(exchange)
            self.donors.append((exchange, donors))
            for donor in donors:
                donor.loan.places |= places

    def edit(self) -> Asked | None:
        """Edit the latents; if the edits ask something that is not known yet, what: then it is to be done again."""
        self.unedited = self.unedited or self._exchanged()
        try:
            with self.shared.putting_off():
                self.state = self.now.edited(self.unedited)
        except Unanswered as put_off:
            return put_off.asked

    def asked(self) -> Asked:
        """The row to be predicted: recorders look, and borrowers take what they are lent."""
        if not self.borrows:
            return self._row((*self.node.folds.observers(), *self.loan.taps()))
        lent = [
            (exchange, [donor.loan.shown(self._places(exchange)) for donor in donors])
            for exchange, donors in self.donors
        ]
        return self._row(self.node.folds.observers(), lent)

    def asked_to_lend(self) -> Asked:
        """The row of a borrower that is to show what it would put out otherwise."""
        return self._row(self.loan.taps())

    def after(self) -> _Node:
        """The node behind the step, when all have been told."""
        prediction = _known(self.told)
        self.now.calls += prediction.model_calls
        for exchange, donors in self.donors:
            lent = [_known(donor.told) for donor in donors]
            prediction = exchange.exchange_prediction(prediction, lent, self.now.run.grid.sigma(self.now.step))
        event, following = self.now.taken(self.state, prediction, self.edits)
        self.node.folds.update(event)
        return replace(self.node, state=following, events=(*self.node.events, event))

    def _exchanged(self) -> DenoisingState:
        latents = self.node.state.latents
        for exchange, donors in self.donors:
            latents = exchange.exchange_latents(latents, [donor.node.state.latents for donor in donors])
        return replace(self.node.state, latents=latents)

    def _row(self, observers: Sequence[SiteTap], lent: Sequence[tuple[AbstractExchange, Sequence[Lent]]] = ()) -> Asked:
        inside = [i for i in self.run.interventions if i.reaches & _INSIDE and not isinstance(i, AbstractExchange)]
        alike = (inside, [exchange for exchange, _ in lent])
        inputs = self.now.conditions.at(self.now.step)
        return Asked(self.state.latents, self.run.grid, inputs, self.edits, observers, alike, lent)

    def _places(self, exchange: AbstractExchange) -> frozenset[tuple[Site, int]]:
        return exchange.places(self.run.denoiser.num_layers)


def _known(told: Prediction | None) -> Prediction:
    assert told is not None, "a node was not asked about"
    return told


@dataclass(eq=False)
class _Loan:
    """What a node puts out at the places where others borrow."""

    places: set[tuple[Site, int]] = field(default_factory=set)
    hidden: dict[tuple[str, int | None, str | None], torch.Tensor] = field(default_factory=dict)

    def taps(self) -> tuple[SiteTap, ...]:
        """The observers that fill it."""
        return tuple(SiteTap(site, self._keep, frozenset({layer})) for site, layer in sorted(self.places))

    def shown(self, places: Set[tuple[Site, int]]) -> Lent:
        """What it holds of some places."""
        return {key: hidden for key, hidden in self.hidden.items() if (key[2], key[1]) in places}

    def _keep(self, hidden: torch.Tensor, address: Address) -> None:
        self.hidden[address.cfg_branch, address.layer, address.site] = hidden.detach().clone()


def _roots(tree: Tree, shared: SharedDenoiser) -> Iterator[_Node]:
    """One node for each start."""
    starts: dict[int, list[Fork]] = {}
    for fork in tree.forks:
        starts.setdefault(id(fork.start), []).append(fork)
    for members in starts.values():
        first = members[0]
        run = replace(first.run, denoiser=shared, grid=shared.chunks.grid(first.run.grid), interventions=())
        yield _Node(tuple(members), run, first.start, Folds.begun(tree.recorders, run.info))


def _taken(strides: Sequence[_Stride], chunks: Chunks) -> None:
    """Tell all nodes: trunks first, then those that need to know what trunks were told, borrowers last."""
    for late in (False, True):
        wave = [stride for stride in strides if stride.late == late]
        _edit(wave, chunks)
        _tell([stride for stride in wave if not stride.borrows], chunks)
    borrowers = [stride for stride in strides if stride.borrows]
    _lend(borrowers, chunks)
    _tell(borrowers, chunks)


def _edit(strides: Sequence[_Stride], chunks: Chunks) -> None:
    """Edit the latents of nodes; what their edits ask is asked together, each question of a tree once."""
    while waiting := [(asked, stride) for stride in strides if (asked := stride.edit()) is not None]:
        once = {(id(stride.shared), id(asked.latents), id(asked.inputs)): (asked, stride) for asked, stride in waiting}
        rows, strides = (list(each) for each in zip(*once.values(), strict=True))
        _answers(strides, rows, chunks)
        strides = [stride for _, stride in waiting]


def _tell(strides: Sequence[_Stride], chunks: Chunks) -> None:
    """Ask for the predictions with which nodes go on."""
    rows = [stride.asked() for stride in strides]
    for stride, prediction in zip(strides, _answers(strides, rows, chunks), strict=True):
        stride.told = prediction


def _lend(borrowers: Sequence[_Stride], chunks: Chunks) -> None:
    """Ask donors that borrow too, once, what they would put out otherwise; who named one first pays for it."""
    payers: dict[_Stride, _Stride] = {}
    for stride in borrowers:
        for donor in (donor for _, donors in stride.donors for donor in donors if donor.borrows):
            payers.setdefault(donor, stride)
    rows = [donor.asked_to_lend() for donor in payers]
    for payer, prediction in zip(payers.values(), _answers(list(payers), rows, chunks), strict=True):
        payer.now.calls += prediction.model_calls


def _answers(strides: Sequence[_Stride], rows: Sequence[Asked], chunks: Chunks) -> list[Prediction]:
    """What the model says of rows, counted and remembered by the tree of each."""
    answers = chunks.answers(rows, strides[0].now.step) if strides else []
    for stride, row, prediction in zip(strides, rows, answers, strict=True):
        stride.shared.keep(row, stride.now.step, prediction)
    return answers
