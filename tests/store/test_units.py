"""One value, one text, one key."""

import hashlib

import numpy as np
import pytest
import torch
from safetensors.torch import load

from stepscope.errors import BadInputError
from stepscope.store import Unit, canonical_json, unit_key
from stepscope.store.tensors import unit_bytes


def test_canonical_json_is_sorted_dense_and_ascii() -> None:
    assert canonical_json({"b": (1, 2.5, None), "a": "ü"}) == '{"a":"\\u00fc","b":[1,2.5,null]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), np.float32("nan")])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(BadInputError, match=r"cannot be written as JSON"):
        canonical_json({"value": value})


def test_numbers_of_numpy_are_the_numbers_that_they_equal() -> None:
    plain = {"yes": True, "half": 0.5, "grid": [[0, 1], [2, 3]]}
    assert canonical_json({"yes": np.True_, "half": np.float32(0.5), "grid": np.arange(4).reshape(2, 2)}) == (
        canonical_json(plain)
    )


def test_the_key_is_the_hash_of_its_parts() -> None:
    text = '{"chunk":4,"schema_version":1,"threads":2,"unit":{"seed":1},"weights_hash":"w"}'
    assert unit_key({"seed": 1}, "w", threads=2, chunk=4) == hashlib.sha256(text.encode()).hexdigest()


def test_every_part_changes_the_key() -> None:
    keys = {
        unit_key({"seed": 1}, "w", threads=1, chunk=1),
        unit_key({"seed": 2}, "w", threads=1, chunk=1),
        unit_key({"seed": 1}, "v", threads=1, chunk=1),
        unit_key({"seed": 1}, "w", threads=2, chunk=1),
        unit_key({"seed": 1}, "w", threads=1, chunk=2),
        unit_key({"seed": 1}, "w", threads=1, chunk=1, schema_version=2),
    }
    assert len(keys) == 6


def test_unit_files_do_not_depend_on_the_order_of_names() -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "b": whole[:, 1],
        "a": whole.bfloat16(),
        "c": np.arange(6, dtype=np.uint8)[::-1],
        "d": torch.tensor([True, False]),
    }
    files = {
        unit_bytes(Unit("k", "w", "test", facts, dict(order)))
        for order in (list(tensors.items()), list(reversed(tensors.items())))
        for facts in ({"x": 1, "y": 2}, {"y": 2, "x": 1})
    }
    assert len(files) == 1
    read = load(files.pop())
    assert torch.equal(read["b"], whole[:, 1])
    assert torch.equal(read["a"], whole.bfloat16())
    assert read["c"].tolist() == [5, 4, 3, 2, 1, 0]
    assert read["d"].tolist() == [True, False]
