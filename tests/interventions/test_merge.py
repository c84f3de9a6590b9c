"""Merging seeds: the mean is the mean, copies of oneself and a zero change nothing, refusals are one line."""

import math
from dataclasses import replace

import pytest
import torch

from closed_form import Layered, make_run
from stepscope.denoise import Address, Euler, Fork, grow, latents_noise, lever_arm
from stepscope.errors import BadInputError, PlanError, UnknownNameError
from stepscope.interventions import MergeEstimates, MergeLatents, MergeLayers
from stepscope.interventions.merge_states import ESTIMATES

N = 6
DONORS = ("one", "two")
EVERY = [
    *(MergeLayers(DONORS, [0, 2], site) for site in ("resid_pre", "self_attn", "cross_attn", "mlp", "block")),
    *(MergeEstimates(DONORS, [0, 2], of) for of in ESTIMATES),
    MergeLatents(DONORS, [0, 2]),
]
VARIANTS = [
    replace(merge, pooled=pooled, matched=matched)
    for merge in EVERY
    for pooled in (False, True)
    for matched in (False, True)
]


def told(merge):
    return f"{merge.what}{' pooled' * merge.pooled}{' matched' * merge.matched}"


def grown(edits, seeds=(5, 6, 7), guidance=1.0, **options):
    """The branches `clean`, `one` and `two` of three seeds, and branches of the first seed with edits."""
    model = Layered()
    names = {name: name for name in ("clean", *DONORS, *edits)}
    planted, starts = [], {}
    for name, seed in zip(("clean", *DONORS), seeds, strict=True):
        run, start = make_run(model, Euler(), num_steps=N, seeds=(seed,), guidance=guidance)
        start = starts.setdefault(seed, start)
        planted.append(Fork(name, run, start, "clean", names))
    first = planted[0]
    planted += [
        Fork(name, replace(first.run, interventions=tuple(edit)), first.start, "clean", names)
        for name, edit in edits.items()
    ]
    return grow(planted, **options)


def velocity(event):
    return (event.latents - event.clean) / event.sigma


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("merge", VARIANTS, ids=told)
def test_copies_of_one_seed_are_that_seed(merge, guidance):
    leaves, _ = grown({"merged": [merge]}, seeds=(5, 5, 5), guidance=guidance)
    for merged, clean in zip(leaves["merged"].events, leaves["clean"].events, strict=True):
        assert torch.equal(merged.following, clean.following)
        assert torch.equal(merged.clean, clean.clean)
        assert torch.equal(merged.cond, clean.cond)


@pytest.mark.parametrize("merge", VARIANTS, ids=told)
def test_other_seeds_change_the_run_at_the_steps_that_were_asked(merge):
    leaves, _ = grown({"merged": [replace(merge, steps=2)]})
    same = [torch.equal(a.clean, b.clean) for a, b in zip(leaves["merged"].events, leaves["clean"].events, strict=True)]
    assert same[:2] == [True, True]
    assert not same[2]


def test_the_order_of_donors_means_nothing():
    edits = {"ab": [MergeLayers(DONORS)], "ba": [MergeLayers(DONORS[::-1])]}
    leaves, _ = grown(edits)
    torch.testing.assert_close(leaves["ab"].end.latents, leaves["ba"].end.latents, rtol=0, atol=1e-6)


def test_the_last_block_of_all_is_the_mean_of_what_all_say():
    leaves, _ = grown({"merged": [MergeLayers(DONORS, 2, layers=1)]})
    at = {name: velocity(leaf.events[2]) for name, leaf in leaves.items()}
    mean = (at["clean"] + at["one"] + at["two"]) / 3
    torch.testing.assert_close(at["merged"], mean, rtol=0, atol=1e-5)


@pytest.mark.parametrize("of", ESTIMATES)
def test_estimates_by_their_formulas(of):
    leaves, made = grown({"merged": [MergeEstimates(DONORS, 0, of)]}, guidance=2.0)
    at = {name: leaf.events[0] for name, leaf in leaves.items()}
    own, merged = at["clean"], at["merged"]
    several = [at[name] for name in ("clean", *DONORS)]
    if of == "velocity":
        v = sum(velocity(each) for each in several) / 3
        clean = own.latents - own.sigma * v
        cond = own.latents - own.sigma * sum((each.latents - each.cond) / each.sigma for each in several) / 3
    else:
        clean, cond = (sum(getattr(each, name) for each in several) / 3 for name in ("clean", "cond"))
    torch.testing.assert_close(merged.clean, clean, rtol=0, atol=1e-5)
    torch.testing.assert_close(merged.cond, cond, rtol=0, atol=1e-5)
    run, _ = make_run(Layered(), Euler(), num_steps=N)
    moved = merged.following - own.following
    torch.testing.assert_close(moved, lever_arm(run.grid, 0) * (clean - own.clean), rtol=0, atol=1e-5)
    assert made == 2 * 4 * N  # estimates are lent without a further call


@pytest.mark.parametrize("matched", [False, True])
def test_merged_noise_is_weak_unless_matched(matched):
    leaves, _ = grown({"merged": [MergeLatents(DONORS, matched=matched)]})
    noise = {name: leaf.events[0].latents for name, leaf in leaves.items()}
    mean = (noise["clean"] + noise["one"] + noise["two"]) / 3
    scale = noise["clean"].norm() / mean.norm() if matched else 1.0
    torch.testing.assert_close(noise["merged"], mean * scale, rtol=0, atol=1e-6)


def test_pooled_moves_every_token_alike_and_matched_keeps_its_length():
    own, *others = (latents_noise(seed, 0, (4, 1, 1, 6))[:, 0, 0].T[None] for seed in range(3))
    address = Address(0, 1.0, layer=1, site="block")
    lent = [{("cond", 1, "block"): other} for other in others]

    def merged(**options):
        (tap,) = MergeLayers(DONORS, **options).taps(lent)
        return tap.function(own, address)

    shift = merged(pooled=True) - own
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), rtol=0, atol=1e-6)
    assert (merged().norm(dim=2) < own.norm(dim=2)).float().mean() > 0.5
    torch.testing.assert_close(merged(matched=True).norm(dim=2), own.norm(dim=2), rtol=1e-5, atol=0)
    half = merged(strength=0.5)
    torch.testing.assert_close(half, (own + merged()) / 2, rtol=0, atol=1e-6)


def test_all_may_be_merged_into_all():
    everyone = ("a", "b", "c")
    model, planted = Layered(), []
    for seed, name in enumerate(everyone):
        run, start = make_run(model, Euler(), num_steps=N, seeds=(seed,))
        others = tuple(other for other in everyone if other != name)
        merge = MergeEstimates(others, None, "clean-estimate")
        planted.append(Fork(name, replace(run, interventions=(merge,)), start, name, {n: n for n in everyone}))
    leaves, made = grow(planted)
    for step in range(N):
        first, *rest = (leaves[name].events[step].clean for name in everyone)
        for other in rest:
            torch.testing.assert_close(other, first, rtol=0, atol=1e-4)
    assert made == 3 * N


def test_a_mutual_merge_of_layers_costs_each_donor_one_call_more():
    edits = {"left": [MergeLayers("right")], "right": [MergeLayers("left")]}
    _, alone = grown({})
    _, made = grown(edits)
    assert made - alone == 2 * N + 2


def test_halted_runs_go_on_as_if_they_had_not():
    whole, _ = grown({"merged": [MergeLayers(DONORS, 1)]})
    halted, early = grown({"merged": [MergeLayers(DONORS, 1)]}, stop=2)
    assert early == 3 * 2 + 1
    assert [len(leaf.events) for leaf in halted.values()] == [2] * 4
    run, _ = make_run(Layered(), Euler(), num_steps=N, seeds=(5,))
    rest, late = grow([Fork("merged", run, halted["merged"].end)])
    assert torch.equal(rest["merged"].end.latents, whole["merged"].end.latents)
    assert late == N - 2


@pytest.mark.parametrize(("layers", "chosen"), [(40, list(range(20, 30))), (8, [4, 5]), (3, [2]), (2, [1])])
def test_the_third_quarter(layers, chosen):
    assert sorted(layer for _, layer in MergeLayers("a").places(layers)) == chosen


def test_random_layers_are_as_many_others_and_known_by_their_seed():
    drawn = {seed: MergeLayers("a", scatter=seed).layers_among(40) for seed in range(20)}
    assert all(len(layers) == 10 and not set(layers) & set(range(20, 30)) for layers in drawn.values())
    assert len(set(drawn.values())) == 20
    assert drawn[3] == MergeLayers("a", scatter=3).layers_among(40)


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (
            lambda: MergeLayers(["a", "a"]),
            BadInputError,
            "donors came as ['a', 'a']. They are names of branches, each once.",
        ),
        (lambda: MergeLatents([1]), BadInputError, "donors came as [1]."),
        (lambda: MergeLatents(1), BadInputError, "donors came as [1]."),
        (lambda: MergeLayers("a", scatter=-1), BadInputError, "scatter came as -1. It is a seed from 0 up, or None"),
        (lambda: MergeLayers("a", depth=(0.5, 0.5)), BadInputError, "depth came as (0.5, 0.5). It is (from, to)"),
        (lambda: MergeLayers("a", depth=3), BadInputError, "depth came as 3."),
        (lambda: MergeLayers("a", site="brain"), UnknownNameError, "Unknown site 'brain'. Known: block,"),
        (lambda: MergeEstimates("a", of="mood"), UnknownNameError, "Unknown estimate 'mood'. Known: clean-estimate, v"),
        (lambda: MergeLatents("a", strength=2), BadInputError, "strength came as 2. Allowed is 0 to 1."),
        (lambda: MergeLatents("a", strength=math.nan), BadInputError, "strength came as nan."),
        (lambda: MergeLayers("a", scatter="x"), BadInputError, "seed came as 'x'."),
        (lambda: MergeLayers("a").places(1), PlanError, "MergeLayers has depth 0.5 to 0.75. A model with 1 layers"),
    ],
)
def test_refusals(make, error, told):
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value).startswith(told)
