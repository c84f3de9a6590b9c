"""A model of fewer layers is some of the model's own, and the table of depths says what the rows say."""

import numpy as np
import torch
from pyarrow import parquet
from safetensors import safe_open
from safetensors.torch import save_file

from stepscope import store


def test_layers_that_stay_keep_their_weights_and_their_order():
    import shallower
    import transformer

    deep = transformer.build(3, num_layers=4, ffn_dim=32, num_attention_heads=2, attention_head_dim=12)
    shallow = shallower.kept_of(deep, [0, 3])
    assert len(shallow.blocks) == 2
    for ours, theirs in zip(shallow.blocks, (deep.blocks[0], deep.blocks[3]), strict=True):
        pairs = zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True)
        assert all(name == other and torch.equal(a, b) for (name, a), (other, b) in pairs)
    assert torch.equal(shallow.patch_embedding.weight, deep.patch_embedding.weight)


def test_a_gain_is_paired_by_puzzle_and_told_for_each_model(tmp_path):
    import depth
    import results

    rows = {
        "cell": np.repeat(["maze-5", "maze-11"], 40), "seed": np.tile(np.arange(40), 2),
        "first": np.repeat([True, False], 40), "final": np.repeat([True, True], 40),
        "knowledge": np.repeat([[0.03, 0.01], [0.3, 0.02]], 40, axis=0),
    }  # fmt: skip
    rows["knowledge"] = np.pad(rows["knowledge"], ((0, 0), (0, results.NUM_STEPS - 2)), mode="edge")
    for edition in ("embedded@2", "embedded@2-4-layers"):
        table = store.build_table(results.tidy(rows, np.full(80, True), "maze", edition, "0" * 64))
        parquet.write_table(table, tmp_path / f"{edition.replace('@', '-')}-maze.parquet")
    both = {edition: depth.columns_of(tmp_path, edition) for edition in ("embedded@2", "embedded@2-4-layers")}
    told = list(depth.lines(both))[1:]
    assert [line.split(" | ")[3] for line in told] == ["embedded@2", "embedded@2-4-layers"] * 2
    assert told[0].endswith("embedded@2 | 40 | 1.000 | 1.000 | +0.000 | +0.000 to +0.000 | 0.030 | 0.010 |")
    assert "| 40 | 0.000 | 1.000 | +1.000 |" in told[-1]
    assert told[-1].endswith("| 0.300 | 0.020 |")


def test_the_same_weights_make_the_same_bytes(tmp_path):
    import assemble

    tensors = {name: torch.full((2, 3), place) for place, name in enumerate("abc")}
    files = []
    for number in range(6):  # safetensors writes metadata in another order each time
        file = tmp_path / f"{number}.safetensors"
        save_file(tensors, file)
        assemble._halve(file, {"edition": "x", "recipe": "y", "progress": '{"step": 1}', "note": "ü"})
        files.append(file.read_bytes())
    assert len(set(files)) == 1
    with safe_open(file, "pt") as held:
        assert list(held.keys()) == ["a", "b", "c"]
        assert held.metadata()["note"] == "ü"
        assert held.get_tensor("c").equal(tensors["c"].half())
