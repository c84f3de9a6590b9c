"""A probe reads what is there, on puzzles that it has not seen, and nothing else."""

import numpy as np
import pytest
import torch

from stepscope.analysis import probe, probe_hits
from stepscope.errors import BadInputError


def planted(seed=0, groups=40, rows=4, width=30, strength=3.0, classes=2):
    """Features of noise with the label along one direction a class."""
    draw = np.random.default_rng(seed)
    y = draw.integers(classes, size=groups * rows)
    X = draw.normal(size=(len(y), width))
    X[np.arange(len(y)), y] += strength
    return X, y, np.repeat(np.arange(groups), rows)


def test_a_planted_direction_is_read_and_shuffled_labels_are_not():
    found = probe(*planted(), 0)
    assert found["accuracy"] > 0.95
    assert abs(found["control"] - 0.5) < 0.1


def test_noise_is_read_at_chance():
    X, y, groups = planted(strength=0.0, groups=150)
    assert abs(probe(X, y, groups, 0)["accuracy"] - 0.5) < 0.1


def test_what_only_names_the_puzzle_helps_nobody():
    """Rows of a puzzle share features and label: a split by rows would read them all."""
    draw = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 5)
    X, y = draw.normal(size=(60, 80))[groups], draw.integers(2, size=60)[groups]
    assert abs(probe(X, y, groups, 0)["accuracy"] - 0.5) < 0.2


def test_more_classes_and_names_as_labels():
    X, y, groups = planted(classes=4, strength=4.0)
    named = probe(X, np.array(["up", "down", "left", "right"])[y], groups.astype(str), 0)
    assert named["accuracy"] > 0.95
    assert named["control"] < 0.4


def test_unequal_classes_show_in_the_control():
    X, _, groups = planted(strength=0.0)
    y = (np.random.default_rng(3).random(len(X)) < 0.1).astype(int)
    found = probe(X, y, groups, 0)
    assert found["control"] > 0.8
    assert abs(found["accuracy"] - found["control"]) < 0.1


def test_more_channels_than_rows_are_no_trouble():
    X, y, groups = planted(groups=20, rows=2, width=6, strength=4.0)
    wide = X @ np.random.default_rng(2).normal(size=(6, 3000))
    assert probe(wide, y, groups, 0)["accuracy"] > 0.9


def test_scale_and_shift_of_a_channel_do_not_matter():
    X, y, groups = planted()
    moved = X * np.geomspace(1e-3, 1e3, X.shape[1]) + 5
    assert np.array_equal(probe_hits(X, y, groups, 0)[0], probe_hits(moved, y, groups, 0)[0])


def test_a_channel_that_never_varies_is_ignored():
    X, y, groups = planted()
    X[:, 5] = 7.0
    assert probe(X, y, groups, 0)["accuracy"] > 0.95


def test_the_seed_decides_all_and_rows_are_what_is_averaged():
    X, y, groups = planted(strength=1.0)
    hits, chance = probe_hits(torch.tensor(X), y, groups, 4)
    assert probe(X, y, groups, 4) == {"accuracy": hits.mean(), "control": chance.mean()}
    assert hits.shape == chance.shape == y.shape


def test_the_dual_form_is_ridge_regression():
    """Against the primal solution on the same fold: two groups, each tested by the other."""
    X, y, _ = planted(groups=2, rows=25, width=6, strength=1.0)
    groups = np.repeat([0, 1], 25)
    hits, _ = probe_hits(X, y, groups, 0)
    for held in (0, 1):
        seen, unseen = X[groups != held], X[groups == held]
        mean, spread = seen.mean(0), seen.std(0)
        Z, target = (seen - mean) / spread / np.sqrt(6), 2.0 * y[groups != held] - 1
        w = np.linalg.solve(Z.T @ Z + 0.1 * np.eye(6), Z.T @ (target - target.mean()))
        guess = (unseen - mean) / spread / np.sqrt(6) @ w + target.mean() > 0
        assert np.array_equal(guess == y[groups == held], hits[groups == held])


@pytest.mark.parametrize(
    ("X", "y", "groups", "told"),
    [
        (np.zeros((4, 2)), [0, 1, 0], [0, 0, 1, 1], "came with labels"),
        (np.full((4, 2), np.nan), [0, 1, 0, 1], [0, 0, 1, 1], "finite"),
        (np.zeros((4, 2)), [1, 1, 1, 1], [0, 0, 1, 1], "1 classes"),
        (np.zeros((4, 2)), [0, 1, 0, 1], [0, 0, 0, 0], "in 1 groups"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(X, y, groups, told):
    with pytest.raises(BadInputError, match=told) as caught:
        probe(X, y, groups, 0)
    assert "\n" not in str(caught.value)
