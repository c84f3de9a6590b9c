"""A tree of forks: what branches share is asked once, and a branch is what a full rerun would be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from closed_form import AdamsBashforth, Gaussian, Layered, Puzzle, make_run
from stepscope.denoise import Euler, Fork, Heun, Rehearsal, denoise, denoise_pair, grow
from stepscope.interventions import AddNoise, BlockFrames, Jump, ScaleLayer, SkipLayer, Swap, SwitchPrompt
from stepscope.recorders import Difference

N = 6
EDITS = {
    "add": [AddNoise("add", 3)],
    "renoise": [AddNoise("renoise", 3, seed=1)],
    "renoise, two steps": [AddNoise("renoise", [1, 4])],
    "after noise": [AddNoise("replace", 2), AddNoise("renoise", 3)],
    "jump": [Jump(2)],
    "prompt": [SwitchPrompt([2, 3], "something else")],
    "blocked": [BlockFrames(None, "future", layers=0)],
    "scaled": [ScaleLayer(4, 1, 0.5, "mlp")],
    "skipped": [SkipLayer([1, 2], 0, 0.5)],
    "noise and scale": [AddNoise("vp", 3, strength=0.5), ScaleLayer(3, 0, 2)],
}


class Asks(Layered):
    """Counts the rows that it is asked about, and the calls."""

    def __init__(self):
        super().__init__()
        self.rows, self.calls = 0, []

    def predict(self, latents, step, grid, condition, guidance, taps):
        self.rows += len(latents)
        self.calls.append((step, len(latents)))
        return super().predict(latents, step, grid, condition, guidance, taps)


class Scribbles:
    """A recorder that changes its state in place, as it should not, and looks inside."""

    name, sites = "scribbles", ("mlp",)

    def init(self, run):
        return []

    def update(self, state, event):
        seen = event.hidden if hasattr(event, "hidden") else event.clean
        state.append(float(seen.sum()))
        return state

    def merge(self, first, second):
        return first + second

    def finish(self, state):
        return np.array(state)


def forks(edits, model=None, solver=None, **options):
    run, start = make_run(model or Layered(), solver or Euler(), num_steps=N, **options)
    branches = {"clean": [], **edits}
    return [Fork(name, replace(run, interventions=tuple(i)), start, "clean") for name, i in branches.items()]


@pytest.mark.parametrize("solver", [Euler(), Heun(), AdamsBashforth()], ids=lambda solver: solver.name)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_branch_equals_a_full_rerun(solver, guidance):
    planted = forks(EDITS, solver=solver, guidance=guidance)
    leaves, _ = grow(planted, [Scribbles()])
    for fork in planted:
        events, end, records = denoise(fork.run, fork.start, [Scribbles()])
        leaf = leaves[fork.name]
        assert torch.equal(leaf.end.latents, end.latents), fork.name
        assert [e.model_calls for e in leaf.events] == [e.model_calls for e in events], fork.name
        assert all(torch.equal(a.clean, b.clean) for a, b in zip(leaf.events, events, strict=True)), fork.name
        assert np.array_equal(leaf.records["scribbles"], records["scribbles"]), fork.name


@pytest.mark.parametrize("mode", ["replace", "add", "vp", "renoise"])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_full_sweep_asks_n_plus_n_n_plus_1_over_2_times(mode, guidance):
    model = Asks()
    sweep = {f"at {step}": [AddNoise(mode, step)] for step in range(N)}
    _, made = grow(forks(sweep, model, guidance=guidance))
    assert model.rows == N + N * (N + 1) // 2
    assert made == model.rows * (1 if guidance == 1 else 2)


def test_order_and_company_change_nothing():
    planted = forks(EDITS)
    whole, _ = grow(planted)
    backwards, _ = grow(planted[::-1])
    pair, _ = grow([planted[2], planted[0]])
    for name, leaf in whole.items():
        assert torch.equal(leaf.end.latents, backwards[name].end.latents)
    assert torch.equal(pair["renoise"].end.latents, whole["renoise"].end.latents)


def test_branches_with_equal_beginnings_share_them():
    model = Asks()
    late = {f"then {seed}": [AddNoise("replace", 1), AddNoise("add", 4, seed=seed)] for seed in range(3)}
    grow(forks(late, model))
    assert model.rows == N + (4 - 1) + 3 * (N - 4)


def test_an_estimate_that_nobody_else_is_told_is_asked_once_for_all():
    model = Asks()
    grow(forks({f"{a}": [AddNoise("replace", 1), AddNoise("renoise", 3, strength=a)] for a in (0.2, 0.5, 1)}, model))
    assert model.rows == N + (3 - 1) + 1 + 3 * (N - 3)


def test_two_seeds_are_two_trunks():
    model = Asks()
    both = [replace(fork, name=(fork.name, s), against=("clean", s)) for s in (0, 1) for fork in seeded(model, s)]
    leaves, made = grow(both, paired=[Difference()])
    assert made == 2 * (N + N - 3)
    assert not torch.equal(leaves["add", 0].end.latents, leaves["add", 1].end.latents)
    assert leaves["clean", 1].records["difference"].max() == 0


def seeded(model, seed):
    return forks({"add": EDITS["add"]}, model, seeds=(seed,))


def test_paired_recorders_compare_with_the_clean_run():
    clean, edited = forks({"add": EDITS["add"]})
    leaves, _ = grow([clean, edited], paired=[Difference()])
    expected = denoise_pair((clean.run, clean.start), (edited.run, edited.start), [Difference()])
    assert np.array_equal(leaves["add"].records["difference"], expected["difference"])
    assert leaves["clean"].records["difference"].max() == 0
    assert expected["difference"][:3].max() == 0 < expected["difference"][3:].min()


def test_an_edited_prompt_is_encoded_once():
    model = Asks()
    grow(forks({"prompt": [SwitchPrompt(None, "something else")]}, model))
    assert model.conditioned == 2


@pytest.mark.parametrize("solver", [Euler(), Heun(), AdamsBashforth()], ids=lambda solver: solver.name)
def test_chunks_stay_within_the_tolerance_of_batches(solver):
    alone, made = grow(forks(EDITS, solver=solver), [Scribbles()])
    model = Asks()
    together, also = grow(forks(EDITS, model, solver=solver), [Scribbles()], chunk=4)
    assert {size for _, size in model.calls} == {4}
    assert also == made
    for name, leaf in alone.items():
        torch.testing.assert_close(together[name].end.latents, leaf.end.latents, rtol=0, atol=1e-5)
        np.testing.assert_allclose(together[name].records["scribbles"], leaf.records["scribbles"], rtol=1e-4, atol=1e-4)


def test_chunks_are_filled():
    model = Asks()
    grow(forks({f"at {step}": [AddNoise("add", step)] for step in range(N)}, model), chunk=4)
    assert len(model.calls) == sum(-(-(step + 2) // 4) for step in range(N))


def test_chunks_keep_samples_apart():
    one, other = forks({}, sample=Puzzle("go")), forks({}, sample=Puzzle("go further"))
    planted = [replace(fork, name=index) for index, fork in enumerate([*one, *other])]
    together, _ = grow([replace(fork, against=fork.name) for fork in planted], chunk=4)
    for fork in planted:
        end = denoise(fork.run, fork.start)[1]
        torch.testing.assert_close(together[fork.name].end.latents, end.latents, rtol=0, atol=1e-5)


def test_a_rehearsal_counts_without_a_model():
    for guidance in (1.0, 2.0):
        for solver in (Euler(), Heun()):
            planted = forks(EDITS, solver=solver, guidance=guidance)
            leaves, made = grow(planted)
            stand_in = Rehearsal(planted[0].run.denoiser)
            dry, counted = grow([replace(fork, run=replace(fork.run, denoiser=stand_in)) for fork in planted])
            assert counted == made
            assert [[e.model_calls for e in dry[n].events] for n in dry] == [
                [e.model_calls for e in leaves[n].events] for n in dry
            ]


def swapping(edits, model=None, **options):
    """The clean run, a donor of another seed, and branches that take from either."""
    planted = forks(edits, model, **options)
    donor = forks({}, planted[0].run.denoiser, seeds=(7,), **options)[0]
    names = {name: name for name in ("clean", "donor", *edits)}
    return [replace(fork, donors=names) for fork in (*planted, replace(donor, name="donor", against="donor"))]


@pytest.mark.parametrize("mode", ["residual", "delta", "attn", "mlp"])
def test_a_swap_with_itself_changes_nothing(mode):
    leaves, made = grow(swapping({"self": [Swap("clean", [0, 1], 2, mode)]}))
    clean, itself = leaves["clean"].end.latents, leaves["self"].end.latents
    torch.testing.assert_close(itself, clean, rtol=0, atol=0 if mode != "delta" else 1e-5)
    assert made == N + N + N - 2


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_residual_swap_at_the_last_layer_says_what_the_donor_says(guidance):
    leaves, _ = grow(swapping({"taken": [Swap("donor", 1, 2)]}, guidance=guidance))
    at = {name: leaf.events[2] for name, leaf in leaves.items()}
    velocity = {name: (e.latents - e.clean) / e.sigma for name, e in at.items()}
    torch.testing.assert_close(velocity["taken"], velocity["donor"], rtol=0, atol=1e-5)
    assert torch.equal(at["taken"].latents, at["clean"].latents)


@pytest.mark.parametrize("mode", ["delta", "attn", "mlp"])
def test_other_modes_keep_something_of_ones_own(mode):
    leaves, _ = grow(swapping({"taken": [Swap("donor", 1, 2, mode)]}))
    estimates = [leaves[name].events[2].clean for name in ("clean", "donor", "taken")]
    assert not torch.equal(estimates[2], estimates[0])
    assert not torch.allclose(estimates[2], estimates[1])


def test_tokens_that_are_not_named_stay():
    leaves, _ = grow(swapping({"taken": [Swap("donor", 1, 2, tokens=[0, 1, 2, 3])]}))
    clean, taken = (leaves[name].events[2].clean for name in ("clean", "taken"))
    assert torch.equal(clean[:, :, 1], taken[:, :, 1])
    assert not torch.equal(clean[:, :, 0], taken[:, :, 0])


def test_branches_may_name_each_other():
    edits = {
        "left": [AddNoise("add", 1), Swap("right", 0, 2)],
        "right": [AddNoise("add", 1, seed=1), Swap("left", 0, 2)],
    }
    leaves, made = grow(swapping(edits))
    alone, _ = grow(swapping({name: edit[:1] for name, edit in edits.items()}))
    one_way, _ = grow(swapping({"left": edits["left"], "right": edits["right"][:1]}))
    assert torch.equal(leaves["left"].events[2].clean, one_way["left"].events[2].clean)
    assert not torch.equal(leaves["right"].events[2].clean, alone["right"].events[2].clean)
    assert made == 2 * N + 2 * (N - 1) + 2  # each is asked once more for what it lends


def test_swaps_in_chunks():
    edits = {"taken": [Swap("donor", 1, 2, "delta")], **EDITS}
    alone, together = grow(swapping(edits))[0], grow(swapping(edits), chunk=4)[0]
    torch.testing.assert_close(together["taken"].end.latents, alone["taken"].end.latents, rtol=0, atol=1e-5)


def test_survival_after_a_jump_is_eulers():
    edit, moved = [AddNoise("add", 3, strength=0.1)], {}
    for solver in (Euler(), AdamsBashforth()):
        leaves, _ = grow(forks({"jump": [Jump(3)], "edited": edit}, Gaussian(), solver))
        moved[solver.name] = leaves["edited"].events[3].following - leaves["jump"].events[3].following
    torch.testing.assert_close(moved["adams-bashforth"], moved["euler"], rtol=0, atol=1e-4)
