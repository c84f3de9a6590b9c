"""A tree of forks: branches of one run advance together, and what they share is computed once.

    at step k      branches from one start whose active interventions agree at steps 0 … k are one node
    trunk          the node without interventions; noise at each of N steps costs N + N(N+1)/2 predictions, not N(N+1)

A node takes a step by the same code as the plain loop, so on a CPU (chunk 1) a branch equals a full rerun bit for bit,
whatever stands beside it.  Fork, edit, predict (in chunks, see `shared`), solve; exchanges of hidden states come last
in a step, when what their donors put out is known.  A donor that itself takes hidden states in the same step lends
those that it would have put out without taking: that costs one more call.  All forks of a tree share model, solver and
number of steps, and start at the same one.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from stepscope.denoise.denoiser import Address, Prediction, Site, SiteTap
from stepscope.denoise.folds import Folds
from stepscope.denoise.intervention import AbstractExchange, AbstractIntervention, Lent
from stepscope.denoise.loop import Conditions, Run, Step, edits_of
from stepscope.denoise.recorder import PairedRecorder, Recorder, StepEvent
from stepscope.denoise.shared import Asked, SharedDenoiser
from stepscope.denoise.state import DenoisingState

__all__ = ["Fork", "Leaf", "grow"]


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


def grow(
    forks: Sequence[Fork],
    recorders: Sequence[Recorder] = (),
    paired: Sequence[PairedRecorder] = (),
    chunk: int = 1,
    stop: int | None = None,
) -> tuple[dict[Hashable, Leaf], int]:
    """Run all branches: {name: leaf}, and the model calls that this really took.

    Args:
        forks: the branches.
        recorders: folds over each.
        paired: folds over each beside the one that it is compared with.
        chunk: rows in every model call.
        stop: the step before which all halt, to go on from their leaves' `end`; None for the end of the grid.
    """
    run = forks[0].run
    shared = SharedDenoiser(run.denoiser, chunk)
    nodes = list(_roots(forks, shared, recorders))
    pairs = {fork.name: {pair.name: pair.init(fork.run.info) for pair in paired} for fork in forks}
    for step in range(forks[0].start.step, run.grid.num_steps if stop is None else stop):
        nodes = _taken([_Stride(part, step) for node in nodes for part in node.parts(step)], shared)
        _compare(nodes, pairs, paired)
        shared.forget()
    leaves: dict[Hashable, Leaf] = {}
    for node in nodes:
        for fork in node.forks:
            compared = {pair.name: pair.finish(pairs[fork.name][pair.name]) for pair in paired}
            leaves[fork.name] = Leaf(node.events, node.state, {**node.folds.finish(), **compared})
    return leaves, shared.model_calls


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
            folds = self.folds if len(groups) == 1 else self.folds.forked()
            yield replace(self, forks=tuple(members), run=replace(self.run, interventions=tuple(active)), folds=folds)

    def donors(self, exchange: AbstractExchange) -> list[Hashable]:
        """The forks that an exchange of this node borrows from."""
        return [self.forks[0].donors[name] for name in exchange.donors]


class _Stride:
    """One node taking one step: edited, asked, moved."""

    def __init__(self, node: _Node, step: int) -> None:
        self.node, self.run, self.state = node, node.run, node.state
        self.now = Step(self.run, step, Conditions(self.run))
        self.edits = edits_of(self.run, step)
        self.exchanges = tuple(i for i in self.run.interventions if isinstance(i, AbstractExchange))
        self.borrows = any(exchange.places(self.run.denoiser.num_layers) for exchange in self.exchanges)
        self.loan = _Loan()

    @property
    def late(self) -> bool:
        """Whether an edit of its latents may want an estimate that another node is about to be told."""
        return any(i.asks_estimate for i in self.run.interventions)

    def edit(self, lenders: "_Lenders") -> None:
        """Edit the latents."""
        latents = self.node.state.latents
        for exchange in self.exchanges:
            lent = [lenders[donor].node.state.latents for donor in self.node.donors(exchange)]
            latents = exchange.exchange_latents(latents, lent)
        self.state = self.now.edited(replace(self.node.state, latents=latents))

    def asked(self, observers: Sequence[SiteTap], taps: Sequence[SiteTap] = ()) -> Asked:
        """The row to be predicted; `taps` are the edits that exchanges add to those of other interventions."""
        inside = tuple(i for i in self.run.interventions if i.reaches & {"site", "attention"})
        edits = replace(self.edits, sites=(*self.edits.sites, *taps))
        inputs = self.now.conditions.at(self.now.step)
        return Asked(self.state.latents, self.run.grid, inputs, edits, observers, None if self.borrows else inside)

    def observers(self) -> tuple[SiteTap, ...]:
        """Its recorders, and what keeps a loan for others unless it borrows itself."""
        return (*self.node.folds.observers(), *(() if self.borrows else self.loan.taps()))

    def after(self, told: Mapping[int, Prediction], lenders: "_Lenders") -> _Node:
        """The node behind the step, given what the model told each stride."""
        prediction = told[id(self)]
        self.now.calls += prediction.model_calls
        for exchange in self.exchanges:
            lent = [told[id(lenders[donor])] for donor in self.node.donors(exchange)]
            prediction = exchange.exchange_prediction(prediction, lent, self.now.run.grid.sigma(self.now.step))
        event, following = self.now.taken(self.state, prediction, self.edits)
        self.node.folds.update(event)
        return replace(self.node, state=following, events=(*self.node.events, event))


_Lenders = Mapping[Hashable, _Stride]
"""The stride of every fork."""


@dataclass(eq=False)
class _Loan:
    """What a node puts out at the places where others borrow."""

    places: set[tuple[Site, int]] = field(default_factory=set)
    hidden: dict[tuple[str, int | None, str | None], torch.Tensor] = field(default_factory=dict)
    granted: bool = False

    def taps(self) -> tuple[SiteTap, ...]:
        """The observers that fill it."""
        return tuple(SiteTap(site, self._keep, frozenset({layer})) for site, layer in sorted(self.places))

    def shown(self, places: Set[tuple[Site, int]]) -> Lent:
        """What it holds of some places."""
        return {key: hidden for key, hidden in self.hidden.items() if (key[2], key[1]) in places}

    def _keep(self, hidden: torch.Tensor, address: Address) -> None:
        self.hidden[address.cfg_branch, address.layer, address.site] = hidden.detach().clone()


def _roots(forks: Sequence[Fork], shared: SharedDenoiser, recorders: Sequence[Recorder]) -> Iterator[_Node]:
    """One node for each start."""
    starts: dict[int, list[Fork]] = {}
    for fork in forks:
        starts.setdefault(id(fork.start), []).append(fork)
    for members in starts.values():
        run = replace(members[0].run, denoiser=shared, interventions=())
        yield _Node(tuple(members), run, members[0].start, Folds.begun(recorders, run.info))


def _taken(strides: Sequence[_Stride], shared: SharedDenoiser) -> list[_Node]:
    """All nodes behind the step: trunks first, then those that need to know what trunks were told, borrowers last."""
    lenders = _lenders(strides)
    told: dict[int, Prediction] = {}

    def ask(rows: Mapping[int, Asked]) -> None:
        told.update(zip(rows, shared.predict_together(list(rows.values()), strides[0].now.step), strict=True))

    for late in (False, True):
        wave = [stride for stride in strides if stride.late == late]
        for stride in wave:
            stride.edit(lenders)
        ask({id(s): s.asked(s.observers()) for s in wave if not s.borrows})
    for stride in strides:
        if stride.borrows:
            ask({id(stride): _borrowed(stride, lenders, shared)})
    return [stride.after(told, lenders) for stride in strides]


def _lenders(strides: Sequence[_Stride]) -> _Lenders:
    """The stride of every fork, its loan told what others want."""
    strides_of = {fork.name: stride for stride in strides for fork in stride.node.forks}
    for stride in strides:
        for exchange in stride.exchanges:
            for donor in stride.node.donors(exchange):
                strides_of[donor].loan.places |= exchange.places(stride.run.denoiser.num_layers)
    return strides_of


def _borrowed(stride: _Stride, lenders: _Lenders, shared: SharedDenoiser) -> Asked:
    """The row of a node that borrows; a donor that borrows too is asked once what it would put out otherwise."""
    taps: list[SiteTap] = []
    donors = {exchange: [lenders[donor] for donor in stride.node.donors(exchange)] for exchange in stride.exchanges}
    for donor in dict.fromkeys(donor for several in donors.values() for donor in several):
        if donor.borrows and not donor.loan.granted:
            (extra,) = shared.predict_together([donor.asked(donor.loan.taps())], donor.now.step)
            stride.now.calls += extra.model_calls
            donor.loan.granted = True
    for exchange, several in donors.items():
        places = exchange.places(shared.num_layers)
        taps += exchange.taps([donor.loan.shown(places) for donor in several])
    return stride.asked(stride.observers(), taps)


def _compare(nodes: Sequence[_Node], pairs: dict[Hashable, dict[str, Any]], paired: Sequence[PairedRecorder]) -> None:
    """Fold the step into the paired recorders of every fork."""
    events = {fork.name: node.events[-1] for node in nodes for fork in node.forks}
    for node in nodes:
        for fork in node.forks:
            first = events[fork.name if fork.against is None else fork.against]
            for pair in paired:
                states = pairs[fork.name]
                states[pair.name] = pair.update(states[pair.name], first, events[fork.name])
