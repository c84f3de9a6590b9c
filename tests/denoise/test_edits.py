"""What an intervention reaches: latents, sample, sites, attention; and what it leaves alone."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from closed_form import AdamsBashforth, Gaussian, Layered, Puzzle, make_run
from stepscope.denoise import AbstractIntervention, Euler, Heun, Taps, denoise
from stepscope.interventions import AddNoise

AT = 3


class AtStep(AbstractIntervention):
    def acts_at(self, step, num_steps):
        return step == AT


@dataclass(frozen=True)
class Jump(AtStep):
    """The control branch: declares an edit of the latents and changes nothing."""

    reaches: ClassVar = frozenset({"latents"})


@dataclass(frozen=True)
class OtherPrompt(AtStep):
    reaches: ClassVar = frozenset({"prompt"})

    def edit_sample(self, sample, step):
        return replace(sample, prompt="something else")


@dataclass(frozen=True)
class OtherFrame(AtStep):
    reaches: ClassVar = frozenset({"condition"})

    def edit_sample(self, sample, step):
        return replace(sample, first_frame=255 - sample.first_frame // 2)


@dataclass(frozen=True)
class Damp(AtStep):
    reaches: ClassVar = frozenset({"site"})
    sites: ClassVar = ("mlp",)
    factor: float = 0.5
    layer: int = 1

    def edit_site(self, hidden, address):
        return hidden * self.factor if address.layer == self.layer else None


@dataclass(frozen=True)
class NoLookingBack(AtStep):
    reaches: ClassVar = frozenset({"attention"})

    def attention_mask(self, address):
        frames = address.token_grid[0]
        return torch.ones(frames, frames, dtype=torch.bool).triu() if address.layer == 0 else None


EDITS = [AddNoise("add", AT), AddNoise("renoise", AT), OtherPrompt(), OtherFrame(), Damp(), NoLookingBack()]


def clean_estimates(model, interventions, solver=None, **options):
    run, start = make_run(model, solver or Euler(), interventions=interventions, **options)
    return [event.clean for event in denoise(run, start)[0]]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: type(edit).__name__)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_an_edit_is_felt_from_its_step_on(edit, guidance):
    plain = clean_estimates(Layered(), [], guidance=guidance)
    edited = clean_estimates(Layered(), [edit], guidance=guidance)
    assert [torch.equal(a, b) for a, b in zip(plain, edited, strict=True)] == [True] * AT + [False] * (6 - AT)


def test_a_mask_is_about_the_frame_that_looks():
    plain, edited = clean_estimates(Layered(), [])[AT], clean_estimates(Layered(), [NoLookingBack()])[AT]
    changed = [not torch.equal(plain[:, :, frame], edited[:, :, frame]) for frame in range(2)]
    assert changed == [True, True]  # layer 1 passes on what layer 0 was kept from seeing
    shallow = Layered()
    shallow.num_layers = 1
    plain, edited = clean_estimates(shallow, [])[AT], clean_estimates(shallow, [NoLookingBack()])[AT]
    assert [torch.equal(plain[:, :, frame], edited[:, :, frame]) for frame in range(2)] == [True, False]


def test_edits_of_a_site_apply_in_their_order():
    class Shift(Damp):
        def edit_site(self, hidden, address):
            return hidden + 1

    one, other = (clean_estimates(Layered(), edits)[AT] for edits in ([Damp(), Shift()], [Shift(), Damp()]))
    assert not torch.equal(one, other)


def test_recorders_see_what_edits_made():
    class Mlp:
        name, sites = "mlp", ("mlp",)

        def init(self, run):
            return {}

        def update(self, state, event):
            if not hasattr(event, "address") or (event.address.step, event.address.layer) != (AT, 1):
                return state
            return {"norm": float(event.hidden.norm())}

        def merge(self, first, second):
            return first | second

        def finish(self, state):
            return state["norm"]

    run, start = make_run(Layered(), Euler())
    edited = replace(run, interventions=[Damp(factor=0.0)])
    assert denoise(run, start, [Mlp()])[2]["mlp"] > 0
    assert denoise(edited, start, [Mlp()])[2]["mlp"] == 0


def test_samples_are_encoded_again_only_when_they_change():
    model = Layered()
    clean_estimates(model, [OtherPrompt()])
    assert model.conditioned == 3  # before, at and after the edit


@pytest.mark.parametrize("solver", [Euler(), Heun(), AdamsBashforth()])
def test_a_zero_intervention_is_the_identity(solver):
    zero = [AddNoise(mode, None, strength=0) for mode in ("replace", "add", "vp", "renoise")]
    run, start = make_run(Layered(), solver)
    plain, end, _ = denoise(run, start)
    same, same_end, _ = denoise(replace(run, interventions=zero), start)
    assert torch.equal(end.latents, same_end.latents)
    assert [event.model_calls for event in plain] == [event.model_calls for event in same]


def test_a_jump_voids_the_memory_of_a_solver_and_nothing_else():
    run, start = make_run(Gaussian(), AdamsBashforth(), interventions=[Jump()])
    events, _, _ = denoise(run, start)
    at = events[AT]
    euler = Euler().step(run.start(at.latents, AT), asked(run, at.latents), run.grid, never)
    assert torch.equal(at.following, euler.latents)
    assert not torch.equal(at.following, denoise(replace(run, interventions=()), start)[0][AT].following)


def test_an_edit_survives_a_jump_as_it_does_under_euler():
    edit = [AddNoise("add", AT, strength=0.1)]
    moved = {}
    for solver in (Euler(), AdamsBashforth()):
        run, start = make_run(Gaussian(), solver, interventions=[Jump()])
        control = denoise(run, start)[0][AT]
        edited = denoise(replace(run, interventions=edit), start)[0][AT]
        moved[solver.name] = edited.following - control.following
    torch.testing.assert_close(moved["adams-bashforth"], moved["euler"], rtol=0, atol=1e-6)


def test_a_call_that_an_edit_asks_for_is_counted():
    run, start = make_run(Layered(), Euler(), guidance=2.0, interventions=[AddNoise("renoise", [1, AT])])
    assert [event.model_calls for event in denoise(run, start)[0]] == [2, 4, 2, 4, 2, 2]


def test_an_estimate_that_an_edit_asks_for_is_of_the_latents_before_all_edits():
    asked = []

    class Ask(Jump):
        def edit_latents(self, latents, view):
            asked.append(view.clean_estimate())
            return latents

    run, start = make_run(Layered(), Euler(), interventions=[AddNoise("add", AT), Ask()])
    denoise(run, start)
    assert torch.equal(asked[0], clean_estimates(Layered(), [])[AT])


def test_an_edit_sees_the_samples_and_seeds_of_its_batch():
    seen = []

    class Look(Jump):
        def edit_latents(self, latents, view):
            seen.append((view.step, view.num_steps, view.sigma, view.seeds, [s.prompt for s in view.samples]))
            return latents

    run, start = make_run(Gaussian(), Euler(), seeds=(4, 9), sample=Puzzle("here"), interventions=[Look()])
    denoise(run, start)
    assert seen == [(AT, 6, run.grid.sigma(AT), (4, 9), ["here", "here"])]


def asked(run, latents):
    return run.denoiser.predict(latents, AT, run.grid, None, 1.0, Taps())


def never(latents, step):
    raise AssertionError("Euler asks once")
