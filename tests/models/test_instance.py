"""The digest of an instance: other parameters are another model, and the same ones the same everywhere."""

import enum
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stepscope.models import load
from stepscope.models.instance import instance_digest


class Kind(enum.Enum):
    ONE, OTHER = 1, 2


@dataclass
class Inner:
    value: object = None
    more: dict = field(default_factory=dict)


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Net(torch.nn.Module):
    """A denoiser that is a network itself."""

    latents_shape = (3, 5, 8, 8)

    def __init__(self, seed=0, scale=1.0, p=0.1):
        super().__init__()
        torch.manual_seed(seed)
        self.layer, self.drop, self._scale = torch.nn.Linear(3, 3), torch.nn.Dropout(p), scale

    def velocity(self, latents, sigma, samples):
        return latents


class Holds:
    """A denoiser that holds something."""

    latents_shape = (3, 5, 8, 8)

    def __init__(self, held):
        self.held = held

    def velocity(self, latents, sigma, samples):
        return latents


class Counts(Holds):
    """Holds a number that says nothing of the model."""

    def __getstate__(self):
        return {}


def closing(over):
    return lambda x: x + over


def entwined(value):
    made = Inner(value)
    made.more["self"] = made
    return made


def network(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(2, 2))


DIFFERENT = {
    "numbers": (1, 2),
    "number types": (1, 1.0),
    "truth": (True, 1),
    "texts": ("a", "b"),
    "text and bytes": ("a", b"a"),
    "none": (None, 0),
    "nan": (float("nan"), 0.0),
    "tensors": (torch.zeros(2), torch.tensor([0.0, 1e-7])),
    "tensor types": (torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)),
    "tensor shapes": (torch.zeros(2, 3), torch.zeros(3, 2)),
    "arrays": (np.arange(3), np.arange(1, 4)),
    "array types": (np.zeros(2, np.float32), np.zeros(2, np.int32)),
    "arrays of objects": (np.array([1, "a"], object), np.array([1, "b"], object)),
    "numpy's numbers": (np.float32(1), np.float64(1)),
    "lists": ([1, [2, 3]], [[1, 2], 3]),
    "list and tuple": ([1], (1,)),
    "mappings": ({"a": {"b": 1}}, {"a": {"b": 2}}),
    "keys": ({"a": 1}, {"b": 1}),
    "sets": ({1, 2}, {1, 3}),
    "classes": (Kind, Inner),
    "members": (Kind.ONE, Kind.OTHER),
    "dataclasses": (Inner(1), Inner(2)),
    "slots": (Slotted(1), Slotted(2)),
    "namespaces": (SimpleNamespace(a=1), SimpleNamespace(a=2)),
    "functions": (closing, entwined),
    "closures": (closing(1), closing(2)),
    "partials": (partial(closing, 1), partial(closing, 2)),
    "methods": (Net(0).velocity, Net(1).velocity),
    "networks": (network(0), network(1)),
    "settings of a network": (torch.nn.Dropout(0.1), torch.nn.Dropout(0.2)),
    "cycles": (entwined(1), entwined(2)),
    "paths": (Path("/a/b"), Path("/a/c")),
}
SAME = {
    "order of keys": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "order of a set": ({"a", "b", "c"}, {"c", "b", "a"}),
    "layout of a tensor": (torch.arange(6).reshape(2, 3), torch.arange(6).reshape(2, 3).T.contiguous().T),
    "layout of an array": (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
    "folders": (Path("/a/b"), PurePosixPath("/c/b")),
    "networks": (network(0), network(0)),
    "what has no canonical form": (np.random.default_rng(0), np.random.default_rng(1)),
    "locks": (threading.Lock(), threading.Lock()),
    "functions": (closing(1), closing(1)),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_is_another_model(kind):
    one, other = (load(Holds(value)).weights_hash for value in DIFFERENT[kind])
    assert one != other
    assert one.startswith("source:")


@pytest.mark.parametrize("kind", SAME)
def test_what_is_the_same_model(kind):
    one, other = (load(Holds(value)).weights_hash for value in SAME[kind])
    assert one == other


def test_a_class_says_what_is_no_part_of_it():
    assert load(Counts(0)).weights_hash == load(Counts(7)).weights_hash


def test_a_denoiser_that_is_a_network_itself():
    made = [load(Net(**options)).weights_hash for options in ({}, {"seed": 1}, {"scale": 2.0}, {"p": 0.2})]
    assert len(set(made)) == 4
    assert load(Net()).weights_hash == made[0]
    assert load(Net().eval()).weights_hash != made[0]


MODEL = """
import torch
class Mine:
    latents_shape = (3, 5, 8, 8)
    def __init__(self):
        self.words, self.weights, self.maker = {"b", "a", "c"}, {"x": torch.arange(3.0)}, lambda x: x
    def velocity(self, latents, sigma, samples):
        return latents
"""


def test_every_process_and_every_name_of_the_file_gives_the_same(tmp_path):
    (tmp_path / "mine.py").write_text(MODEL)
    program = "import sys; from stepscope.models import load; print(load({}).weights_hash)"
    asked = {f"{str(tmp_path / 'mine.py')!r} + ':Mine'": "0", "__import__('mine').Mine()": "1"}
    told = {
        subprocess.run(
            [sys.executable, "-c", program.format(words)],
            cwd=tmp_path,
            env={"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for words, seed in asked.items()
    }
    assert len(told) == 1
    assert told.pop().startswith("source:")


def test_a_digest_has_32_bytes():
    assert len(instance_digest(Holds(1))) == 32
