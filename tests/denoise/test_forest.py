"""Trees side by side: rows of several samples, seeds and branches share calls, and only the last bits notice."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from closed_form import AdamsBashforth, Layered, Puzzle, make_run
from every_edit import every_edit, every_exchange
from stepscope.denoise import Euler, Fork, Heun, Tree, grow, grow_forest
from stepscope.interventions import AddNoise, MergeEstimates, MergeLayers, ScaleLayer, Swap
from stepscope.recorders import Difference

N, CHUNK = 4, 3
EVERY = every_edit(2, np.zeros((5, 8, 8, 3), np.uint8), np.full((8, 8, 3), 9, np.uint8))
EXCHANGES = {
    **every_exchange(2),
    **{f"swap {mode}": [Swap("donor", 1, 2, mode)] for mode in ("residual", "delta", "attn", "mlp")},
    "to and fro": [AddNoise("add", 1), Swap("swap delta", 0, 2)],
    "merged, matched": [MergeLayers(["clean", "donor"], 1, layers=[0], matched=True)],
    "merged early and late": [MergeEstimates("donor", [1, 3])],
}


@dataclass(frozen=True, eq=False)
class Scene(Puzzle):
    first_frame: np.ndarray = None

    def __post_init__(self):
        if self.first_frame is None:
            grey = np.full((8, 8, 3), 10 * len(self.prompt), np.uint8)
            object.__setattr__(self, "first_frame", grey)


class Beside(Layered):
    """Conditions of single samples can be laid side by side; calls are counted."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def collate(self, conditions):
        return {branch: torch.cat([each[branch] for each in conditions]) for branch in ("cond", "uncond")}

    def predict(self, latents, step, grid, condition, guidance, taps):
        self.calls.append((step, len(latents)))
        return super().predict(latents, step, grid, condition, guidance, taps)


class Sums:
    """The sum of every hidden state that is seen, in order."""

    name, sites = "sums", ("mlp",)

    def init(self, run):
        return ()

    def update(self, state, event):
        return (*state, float(event.hidden.double().sum())) if hasattr(event, "hidden") else state

    def merge(self, first, second):
        return first + second

    def finish(self, state):
        return np.array(state)


def encode(frames):
    return torch.from_numpy(frames[:2, ::4, ::4]).permute(3, 0, 1, 2).float() / 127.5 - 1


def planted(model, prompt, seeds=(0,), edits=EVERY | EXCHANGES, **options):
    """One tree: all branches of a sample for some seeds, with a donor of another seed."""
    forks, options = [], {"solver": Euler(), **options}
    for seed in seeds:
        run, start = make_run(model, num_steps=N, sample=Scene(prompt), seeds=(seed,), encode=encode, **options)
        donor, elsewhere = make_run(model, num_steps=N, sample=Scene(prompt), seeds=(seed + 7,), **options)
        names = {name: (name, seed) for name in ("clean", "donor", *edits)}
        against = ("clean", seed)
        forks.append(Fork(against, run, start, against))
        forks.append(Fork(("donor", seed), donor, elsewhere, against))
        for name, edit in edits.items():
            forks.append(Fork((name, seed), replace(run, interventions=tuple(edit)), start, against, names))
    return Tree(forks, [Sums()], [Difference()])


def alike(grown, alone, atol=1e-5):
    (leaves, made), (expected, as_many) = grown, alone
    assert made == as_many
    for name, leaf in expected.items():
        for event, other in zip(leaves[name].events, leaf.events, strict=True):
            torch.testing.assert_close(event.clean, other.clean, rtol=0, atol=atol, msg=f"{name}")
            assert event.model_calls == other.model_calls
        torch.testing.assert_close(leaves[name].end.latents, leaf.end.latents, rtol=0, atol=atol)
        for record, value in leaf.records.items():
            np.testing.assert_allclose(leaves[name].records[record], value, rtol=1e-4, atol=20 * atol)


SOLVERS = pytest.mark.parametrize("solver", [Euler(), Heun(), AdamsBashforth()], ids=lambda solver: solver.name)


@SOLVERS
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_forest_is_its_trees_to_the_tolerance_of_chunks(solver, guidance):
    model, edits = Beside(), EVERY if solver.name == "heun" else EVERY | EXCHANGES
    trees = [
        planted(model, "go", (0, 1), edits, solver=solver, guidance=guidance),
        planted(model, "go on", (0,), edits, solver=solver, guidance=guidance),
    ]
    grown = grow_forest(trees, CHUNK)
    assert {size for _, size in model.calls} == {CHUNK}
    for each, tree in zip(grown, trees, strict=True):
        alike(each, grow(tree.forks, tree.recorders, tree.paired))


def test_conditions_that_cannot_be_laid_side_by_side_are_encoded_together():
    trees = [planted(Layered(), prompt, guidance=2.0) for prompt in ("go", "go on")]
    for each, tree in zip(grow_forest(trees, CHUNK), trees, strict=True):
        alike(each, grow(tree.forks, tree.recorders, tree.paired))


def test_one_row_a_call_is_bit_for_bit_a_tree_alone():
    model = Beside()
    trees = [planted(model, prompt) for prompt in ("go", "go on")]
    for (leaves, made), tree in zip(grow_forest(trees), trees, strict=True):
        expected, as_many = grow(tree.forks, tree.recorders, tree.paired)
        assert made == as_many
        assert all(torch.equal(leaves[name].end.latents, leaf.end.latents) for name, leaf in expected.items())
        assert all(
            np.array_equal(leaves[name].records[record], value)
            for name, leaf in expected.items()
            for record, value in leaf.records.items()
        )
    assert {size for _, size in model.calls} == {1}


def test_company_matters_to_the_last_bits_at_most():
    edits = {name: (EVERY | EXCHANGES)[name] for name in ("renoise", "prompt", "skipped", "swap delta", "to and fro")}
    trees = [planted(Beside(), prompt, (0,), edits, guidance=2.0) for prompt in ("go", "go on", "stay", "turn around")]
    whole, backwards = grow_forest(trees, CHUNK), grow_forest(trees[::-1], CHUNK)[::-1]
    pair = grow_forest([trees[2], trees[0]], CHUNK)
    for there, elsewhere in [*zip(whole, backwards, strict=True), (whole[2], pair[0]), (whole[0], pair[1])]:
        alike(there, elsewhere)


def test_rows_of_different_samples_fill_chunks():
    model, edits = Beside(), {f"at {step}": [AddNoise("add", step)] for step in range(N)}
    trees = [planted(model, prompt, (0, 1), edits) for prompt in ("go", "go on")]
    grow_forest(trees, CHUNK)
    assert model.calls == [(step, CHUNK) for step in range(N) for _ in range(-(-4 * (step + 3) // CHUNK))]


def test_equal_edits_inside_share_a_call_across_samples_and_others_do_not():
    model, edits = Beside(), {"a": [ScaleLayer(2, 0, 0.5)], "b": [ScaleLayer(2, 0, 0.25)], "c": [Swap("donor", 0, 2)]}
    trees = [planted(model, prompt, (0,), edits) for prompt in ("go", "go on", "stay")]
    grow_forest(trees, CHUNK)
    assert [size for step, size in model.calls if step == 2] == [CHUNK] * (2 + 1 + 1 + 1)


def test_each_sample_is_encoded_once_where_conditions_can_be_laid_side_by_side():
    model = Beside()
    edits = {name: EVERY[name] for name in ("prompt", "picture")}
    grow_forest([planted(model, prompt, (0,), edits) for prompt in ("go", "go on", "stay")], CHUNK)
    assert model.conditioned == 3 * 3  # as it is, with another prompt, with another picture


def test_where_they_cannot_a_chunk_is_encoded_once_for_as_long_as_it_stands():
    model = Layered()
    grow_forest([planted(model, prompt, edits={}) for prompt in ("go", "go on", "stay")], CHUNK)
    assert model.conditioned == 2 + 3  # of two chunks, and of each sample to finish with


def test_samples_that_show_the_same_are_one():
    model = Beside()
    grow_forest([planted(model, "go", (seed,), {}) for seed in (0, 1)], CHUNK)
    assert model.conditioned == 1


def test_grids_of_their_own_keep_rows_apart():
    model = Beside()
    trees = [planted(model, "go", (0,), {}, shift=shift) for shift in (3.0, 5.0)]
    for grown, tree in zip(grow_forest(trees, CHUNK), trees, strict=True):
        alike(grown, grow(tree.forks, tree.recorders, tree.paired))
