"""One step of a tree: branches that are still one take it together, and lend each other hidden states.

    edit, predict (in chunks, see `chunks`), solve        a node takes a step by the same code as the plain loop
    trunks, then whoever's edits ask an estimate, then borrowers        the order in which nodes are asked

Exchanges of hidden states come last in a step, when what their donors put out is known.  A donor that itself takes
hidden states in the same step lends those that it would have put out without taking: that costs one more call.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import torch

from stepscope.denoise.chunks import Asked, Chunks
from stepscope.denoise.denoiser import Address, Prediction, Site, SiteTap
from stepscope.denoise.folds import Folds
from stepscope.denoise.intervention import AbstractExchange, AbstractIntervention, Lent
from stepscope.denoise.loop import Conditions, Run, Step, edits_of
from stepscope.denoise.recorder import StepEvent
from stepscope.denoise.shared import SharedDenoiser, Unanswered
from stepscope.denoise.state import DenoisingState

__all__ = ["Fork", "Node", "Stride", "take"]

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
class Node:
    """Branches that are still one; `run` is theirs, with what acts at the present step alone."""

    forks: tuple[Fork, ...]
    run: Run
    state: DenoisingState
    folds: Folds
    events: tuple[StepEvent, ...] = ()

    def parts(self, step: int) -> Iterator["Node"]:
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


class Stride:
    """One node taking one step: edited, asked, told, moved."""

    def __init__(self, node: Node, step: int, shared: SharedDenoiser) -> None:
        self.node, self.run, self.state, self.shared = node, node.run, node.state, shared
        self.now = Step(self.run, step, Conditions(self.run))
        self.edits = edits_of(self.run, step)
        self.exchanges = tuple(i for i in self.run.interventions if isinstance(i, AbstractExchange))
        self.loan, self.borrows = _Loan(), any(self._places(exchange) for exchange in self.exchanges)
        self.donors: list[tuple[AbstractExchange, list[Stride]]] = []
        self.unedited: DenoisingState | None = None
        self.told: Prediction | None = None

    @property
    def late(self) -> bool:
        """Whether an edit of its latents may want an estimate that another node is about to be told."""
        return any(i.asks_estimate for i in self.run.interventions)

    def meet(self, lenders: "Mapping[Hashable, Stride]") -> None:
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

    def after(self) -> Node:
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
        """The state with latents that donors changed; copies of itself change nothing, and are no jump."""
        state = self.node.state
        latents = state.latents
        for exchange, donors in self.donors:
            latents = exchange.exchange_latents(latents, [donor.node.state.latents for donor in donors])
        if torch.equal(latents, state.latents):
            return state
        memory = self.run.solver.jump(state.solver_state, self.run.grid, state.step)
        return replace(state, latents=latents, solver_state=memory)

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


def take(strides: Sequence[Stride], chunks: Chunks) -> None:
    """Tell all nodes: trunks first, then those that need to know what trunks were told, borrowers last."""
    for late in (False, True):
        wave = [stride for stride in strides if stride.late == late]
        _edit(wave, chunks)
        _tell([stride for stride in wave if not stride.borrows], chunks)
    borrowers = [stride for stride in strides if stride.borrows]
    _lend(borrowers, chunks)
    _tell(borrowers, chunks)


def _edit(strides: Sequence[Stride], chunks: Chunks) -> None:
    """Edit the latents of nodes; what their edits ask is asked together, each question of a tree once."""
    while waiting := [(asked, stride) for stride in strides if (asked := stride.edit()) is not None]:
        once = {(id(stride.shared), id(asked.latents), id(asked.inputs)): (asked, stride) for asked, stride in waiting}
        rows, strides = (list(each) for each in zip(*once.values(), strict=True))
        _answers(strides, rows, chunks)
        strides = [stride for _, stride in waiting]


def _tell(strides: Sequence[Stride], chunks: Chunks) -> None:
    """Ask for the predictions with which nodes go on."""
    rows = [stride.asked() for stride in strides]
    for stride, prediction in zip(strides, _answers(strides, rows, chunks), strict=True):
        stride.told = prediction


def _lend(borrowers: Sequence[Stride], chunks: Chunks) -> None:
    """Ask donors that borrow too, once, what they would put out otherwise; who named one first pays for it."""
    payers: dict[Stride, Stride] = {}
    for stride in borrowers:
        for donor in (donor for _, donors in stride.donors for donor in donors if donor.borrows):
            payers.setdefault(donor, stride)
    rows = [donor.asked_to_lend() for donor in payers]
    for payer, prediction in zip(payers.values(), _answers(list(payers), rows, chunks), strict=True):
        payer.now.calls += prediction.model_calls


def _answers(strides: Sequence[Stride], rows: Sequence[Asked], chunks: Chunks) -> list[Prediction]:
    """What the model says of rows, counted and remembered by the tree of each."""
    answers = chunks.answers(rows, strides[0].now.step) if strides else []
    for stride, row, prediction in zip(strides, rows, answers, strict=True):
        stride.shared.keep(row, stride.now.step, prediction)
    return answers
