"""The loop: counted, forkable, and undisturbed by being watched."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch

from closed_form import AdamsBashforth, Gaussian, Layered, make_run
from stepscope.denoise import SITES, DenoisingState, Euler, Heun, SiteEvent, StepEvent, denoise, denoise_pair, steps
from stepscope.errors import BadInputError
from stepscope.recorders import Difference, TokenEnergy

SOLVERS = [Euler(), Heun(), AdamsBashforth()]
MODELS = [Gaussian(), Layered()]


@dataclass
class Tape:
    """Keeps every event, of every site."""

    name: str = "tape"
    sites: tuple = SITES
    events: list = field(default_factory=list)

    def init(self, run):
        return []

    def update(self, state, event):
        return [*state, event]

    def merge(self, first, second):
        return first + second

    def finish(self, state):
        return state


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_under_euler_the_last_clean_estimate_is_the_result(model, guidance):
    run, start = make_run(model, Euler(), guidance=guidance)
    events, end, _ = denoise(run, start)
    assert torch.equal(events[-1].clean, end.latents)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("model", MODELS)
def test_a_fork_equals_a_rerun(model, solver):
    run, start = make_run(model, solver)
    states = [start, *(state for _, state in steps(run, start))]
    for state in states:
        assert torch.equal(denoise(run, state)[1].latents, states[-1].latents)


def test_events_follow_each_other():
    run, start = make_run(Layered(), Heun(), guidance=2.0)
    events, end, _ = denoise(run, start)
    assert [event.step for event in events] == list(range(6))
    assert [event.sigma for event in events] == run.grid.sigmas[:-1].tolist()
    assert {event.expert for event in events} == {"high_noise", "low_noise"}
    assert torch.equal(events[0].latents, start.latents)
    for before, after in pairwise(events):
        assert torch.equal(before.following, after.latents)
    assert (end.step, torch.equal(events[-1].following, end.latents)) == (6, True)


@pytest.mark.parametrize(("solver", "predictions"), [(Euler(), 6), (Heun(), 11)])
@pytest.mark.parametrize(("guidance", "forwards"), [(1.0, 1), (4.0, 2)])
def test_every_model_call_is_counted(solver, predictions, guidance, forwards):
    run, start = make_run(Layered(), solver, seeds=(0, 1, 2), guidance=guidance)
    assert sum(event.model_calls for event in denoise(run, start)[0]) == predictions * forwards * 3


def test_prompts_are_encoded_once():
    model = Layered()
    run, start = make_run(model, Heun())
    denoise(run, start)
    assert model.conditioned == 1


@pytest.mark.parametrize("solver", SOLVERS)
def test_recorders_change_nothing(solver):
    run, start = make_run(Layered(), solver, guidance=2.0)
    plain, plain_end, nothing = denoise(run, start)
    seen, seen_end, records = denoise(run, start, [Tape(), TokenEnergy()])
    assert torch.equal(plain_end.latents, seen_end.latents)
    assert [e.model_calls for e in plain] == [e.model_calls for e in seen]
    assert (nothing, set(records)) == ({}, {"tape", "token_energy"})


def test_a_recorder_sees_each_site_of_each_layer_and_branch_once_a_step():
    run, start = make_run(Layered(), Heun(), guidance=2.0)
    tape = denoise(run, start, [Tape()])[2]["tape"]
    places = [(e.address.step, e.address.cfg_branch, e.address.layer, e.address.site) for e in tape if is_site(e)]
    assert len(places) == len(set(places)) == 6 * 2 * 2 * len(SITES)
    assert sum(isinstance(event, StepEvent) for event in tape) == 6


def test_a_fold_sees_the_layers_of_a_step_before_the_step():
    run, start = make_run(Layered(), Euler())
    tape = denoise(run, start, [Tape()])[2]["tape"]
    order = [(event.address.step, 0) if is_site(event) else (event.step, 1) for event in tape]
    assert order == sorted(order)


def test_a_model_without_layers_refuses_to_be_tapped():
    run, start = make_run(Gaussian(), Euler())
    with pytest.raises(BadInputError, match="without layers"):
        denoise(run, start, [TokenEnergy()])


def test_a_pair_is_folded_step_by_step():
    one, two = (make_run(Gaussian(), Euler(), seeds=(seed,)) for seed in (0, 1))
    same = denoise_pair(one, one, [Difference()])["difference"]
    other = denoise_pair(one, two, [Difference()])["difference"]
    assert same.tolist() == [0.0] * 6
    assert (other > 0).all()


def test_runs_of_different_length_are_no_pair():
    long, short = (make_run(Gaussian(), Euler(), num_steps=count) for count in (4, 3))
    with pytest.raises(ValueError, match="shorter"):
        denoise_pair(long, short, [Difference()])


def test_a_state_at_the_end_has_nothing_to_do():
    run, start = make_run(Gaussian(), Euler())
    over = DenoisingState(start.latents, 6)
    assert denoise(run, over)[:2] == ([], over)


def is_site(event):
    return isinstance(event, SiteEvent)
