"""The student starts as its teacher and ships as trained; the batched frontier merges and chooses as published."""

import copy
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stepscope.interventions import MergeEstimates, MergeLatents, MergeLayers
from stepscope.models.cards import Card
from stepscope.models.lora import merge_loras

SHAPE = (32, 2, 4, 4)


def tiny(layers=2):
    """A small random model of the recipe's own kind, without a codec."""
    import prompts
    import puzzles
    import transformer as net
    from batched import Batched

    class Tiny(Batched):
        def __init__(self):
            self.device, self.half, self.run_block = torch.device("cpu"), False, net.block
            self.card, self.model = Card(shift=12.0), net.build(0, num_layers=layers).eval()
            torch.nn.init.normal_(self.model.proj_out.weight, std=0.1)
            self.text, self.bias = net.compact_prompts(prompts.embed(puzzles.PROMPTS))

    return Tiny()


def asked(count, seed=0):
    """Latents and condition of a batch of puzzles, and their prompts."""
    generator = torch.Generator().manual_seed(seed)
    return *torch.randn(2, count, *SHAPE, generator=generator), torch.arange(count) % 3


@torch.no_grad()
def test_a_student_starts_as_its_teacher_and_ships_as_it_is(tmp_path):
    import low_rank

    teacher, student, shipped = tiny(), tiny(), tiny()
    updates = low_rank.attach(student.model, 4)
    x, condition, prompt = asked(2)
    plain = teacher.velocity(x, 0.9, condition, prompt)
    torch.testing.assert_close(student.velocity(x, 0.9, condition, prompt), plain, rtol=0, atol=0)
    assert {name.split(".")[0] for name in updates} == {"blocks", "condition_embedder"}
    for update in updates.values():
        torch.nn.init.normal_(update.up, std=0.05)
    low_rank.save(low_rank.tensors_of(updates), tmp_path / "lora.safetensors", {"teacher": "abc", "steps": 3})
    low_rank.load(updates, tmp_path / "lora.safetensors")
    merge_loras(SimpleNamespace(transformer=shipped.model), {"transformer": tmp_path / "lora.safetensors"})
    said = shipped.velocity(x, 0.9, condition, prompt)
    torch.testing.assert_close(said, student.velocity(x, 0.9, condition, prompt), rtol=1e-4, atol=1e-5)
    assert (said - plain).abs().max() > 1e-2
    assert low_rank.options_of(tmp_path / "lora.safetensors") == {"teacher": "abc", "steps": 3}


def learner(pairs):
    import low_rank
    from learning import Learner

    student = tiny(1)
    return Learner(student, low_rank.attach(student.model, 2), pairs, 2, rate=5e-3)


def test_learning_draws_nearer_and_goes_on_where_it_stopped():
    from pairs import Pairs

    noise, condition, prompt = asked(4)
    taught = Pairs(noise, torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(1)), condition, prompt)
    first = learner(taught)
    seen = []
    for step in range(60):
        seen.append(torch.stack(first.losses()).mean().item())
        first.update(step / 120)
    assert np.mean(seen[-10:]) < 0.9 * np.mean(seen[:10])
    second = learner(taught)
    second.resume(copy.deepcopy(first.state()))
    for each in (first, second):
        each.reseed()
        each.losses()
        each.update(0.5)
    for name, matrix in first.matrices.items():
        assert torch.equal(matrix, second.matrices[name])
    assert set(first.averaged()) == {
        f"transformer.{name}.lora_{side}.weight" for name in first.updates for side in "AB"
    }


def test_a_distance_prefers_the_likelier_of_two_ends():
    """Two ends in three cases one and one the other: the distance is least at the likelier, a square in between."""
    from learning import distance

    ends = torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1, 1, 1).expand(3, *SHAPE)
    at = [distance(torch.full_like(ends, share), ends).item() for share in (0.0, 1 / 3, 0.5, 1.0)]
    assert min(at) == at[0]


@pytest.mark.parametrize(
    "merge",
    [MergeLayers(), MergeLayers(site="mlp"), MergeEstimates(of="velocity"), MergeLatents(matched=True)],
    ids=str,
)
@torch.no_grad()
def test_copies_merged_are_the_lead_and_others_are_not(merge):
    from advance import Runs
    from menu import Ensemble

    model = tiny(4)
    x, condition, prompt = asked(2)
    other, *_ = asked(2, seed=5)
    copies = Runs(model, torch.stack([x, x, x]), condition, prompt)
    assert torch.equal(copies.merged(Ensemble(2, 3, merge)).latents[-1], copies.way(0, 2).latents[-1])
    mixed = Runs(model, torch.stack([x, other]), condition, prompt)
    assert not torch.equal(mixed.merged(Ensemble(2, 2, merge)).latents[-1], mixed.way(0, 2).latents[-1])
    torch.testing.assert_close(mixed.way(0, 2).latents[-1], model.estimates(x, condition, prompt, 2)[-1])


def frontier(**changes):
    from menu import candidates

    made = candidates("abc", 1, 4)
    few = {name: made.ensembles[name] for name in ("recipe-2-of-2", "recipe-3-of-4")}
    return replace(made, ensembles=few, pool=3, pools=(2,), **changes)


def test_whatever_is_frozen_moves_the_test_seeds():
    from menu import Frontier

    frozen = frontier(chosen={"ensemble": "recipe-2-of-2", "selection": ["prune-2@2", "multiplicity"]})
    again = Frontier.from_json(json.loads(json.dumps(frozen.to_json())))
    assert (again.digest, again.jobs()) == (frozen.digest, frozen.jobs())
    other = replace(frozen, chosen={**frozen.chosen, "ensemble": "recipe-3-of-4"})
    assert not {seed for _, seed in other.jobs()} & {seed for _, seed in frozen.jobs()}
    assert other.noise_seeds(1) != frozen.noise_seeds(1)
    assert [each.calls for each in frozen.ensembles.values()] == [3, 6]
    cells = [cell[0] for cell, _ in frozen.jobs()]
    assert set(cells[:3]) == {"maze-7", "two-9", "find-4"}  # any beginning holds some of every family


def columns(asked_for, success):
    """Rows in which the third of the pool looks best, and the second alone is right."""
    n, names = len(success), asked_for.names
    won = np.zeros((n, len(names)), bool)
    won[:, names.index("pool-2-1")] = success
    seen = {
        "multiplicity pool-2": np.tile([0.0, 1.0, 2.0], (n, 1)),
        "multiplicity look": np.tile([0.0, 2.0, 1.0], (n, 1)),
    }
    apart = np.tile([[0.0, 1, 4], [1, 0, 1], [4, 1, 0]], (n, 1, 1))
    rule = np.full((n, len(names)), np.nan)
    return {
        "success": won, "progress": np.zeros_like(rule), "rule": rule, "names": np.array(names), "puzzle": np.arange(n),
        **seen, "distance pool-2": apart, "distance look": apart,
    }  # fmt: skip


def test_strategies_choose_as_their_verifiers_say():
    from frontier_results import entries
    from outcomes import strategies

    rows = columns(frontier(), np.array([True, True, True, False]))
    found = {(each.name, each.verifier): each for each in strategies(rows, frontier())}
    means = {key: each.success.mean() for key, each in found.items()}
    assert means["best-of-3@2", "multiplicity"] == 0
    assert (
        means["prune-3@2", "multiplicity"]
        == means["best-of-3@2", "agreement"]
        == means["best-of-3@2", "oracle"]
        == 0.75
    )
    assert np.isnan(means["best-of-3@2", "rule"])
    assert ("best-of-2@2", "agreement") not in found
    assert [found[f"{name}@2", "oracle"].calls for name in ("best-of-3", "prune-3")] == [6, 4]
    told = {(entry["strategy"], entry["verifier"]): entry for entry in entries(rows, frontier())}
    gain = told["prune-3@2", "multiplicity"]["gain"]
    assert gain["value"] == 0.75
    assert -1 <= gain["ci95"][0] < 0.75 < gain["ci95"][1] <= 1


def test_a_video_that_nobody_can_read_is_neither_right_nor_wrong():
    import cells
    from bench import Desk

    row = cells.draw_row((next(cell for cell in cells.CELLS if cell[0] == "maze-5"), 1_000_000))
    desk, sample = Desk(1, 1, 3), cells.sample_of(row)
    desk.lay(((0, 0), row))
    desk.videos[0, 1, 0], desk.videos[0, 2, 0] = sample.still, sample.solutions[0]  # the first stays black
    success, progress, _ = zip(*desk.judge(((0, 0), row)), strict=True)
    np.testing.assert_array_equal(success, [np.nan, 0, 1])
    assert progress[0] == 0 < progress[2]


def test_what_could_not_be_scored_is_left_out_of_the_student_s_rates_and_counted(capsys):
    from bench import unscored
    from student_results import _cell, table

    nan = np.nan
    rows = {
        "cell": np.array(["maze-5"] * 4), "puzzle": np.arange(4), "names": np.array(["teacher-1", "student-1"]),
        "success": np.array([[1, 1], [1, nan], [0, 1], [nan, nan]]),
    }  # fmt: skip
    cell = _cell("maze-5", rows, rows["names"].tolist())
    assert {name: (rate["rate"], rate["n"]) for name, rate in cell["rates"].items()} == {
        "teacher-1": (2 / 3, 3), "student-1": (1, 2),
    }  # fmt: skip
    assert (cell["kept"]["1"]["value"], cell["kept"]["1"]["n"], cell["n"]) == (0.5, 2, 4)
    assert unscored(rows) == {"teacher-1": 1, "student-1": 2}
    table(rows)
    assert "unscored, left out: {'teacher-1': 1, 'student-1': 2}" in capsys.readouterr().out
    blind = _cell("maze-5", {**rows, "success": np.full((4, 2), nan)}, rows["names"].tolist())
    assert blind["rates"]["student-1"] == {"rate": None, "ci95": None, "n": 0}
    assert blind["kept"]["1"]["value"] is None


def test_no_strategy_is_judged_by_what_could_not_be_scored():
    from frontier_results import entries

    rows = columns(frontier(), np.array([True, True, True, False]))
    rows["success"] = rows["success"].astype(float)
    rows["success"][0, frontier().names.index("pool-2-1")] = np.nan
    told = {(entry["strategy"], entry["verifier"]): entry for entry in entries(rows, frontier())}
    pruned, oracle = told["prune-3@2", "multiplicity"], told["best-of-3@2", "oracle"]
    assert (pruned["n"], pruned["success"]["value"]) == (3, pytest.approx(2 / 3))
    assert (oracle["n"], oracle["success"]["value"]) == (4, 0.5), "it takes another video"
