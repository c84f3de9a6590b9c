"""Debiased CKA is 1 for the same, 0 for the unrelated, and does not care how features are turned or scaled."""

import numpy as np
import pytest

from stepscope.analysis import centred, debiased_cka, debiased_ckas
from stepscope.errors import BadInputError

GENERATOR = np.random.default_rng


def plain_cka(X: np.ndarray, Y: np.ndarray) -> float:
    X, Y = X - X.mean(0), Y - Y.mean(0)
    return float(np.linalg.norm(X.T @ Y) ** 2 / (np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y)))


def test_the_same_is_one() -> None:
    X = GENERATOR(0).standard_normal((20, 50))
    assert debiased_cka(X, X) == pytest.approx(1.0, abs=1e-12)


def test_turning_scaling_and_shifting_change_nothing() -> None:
    X, Y = GENERATOR(1).standard_normal((2, 20, 8))
    Y = Y + X
    turn, _ = np.linalg.qr(GENERATOR(2).standard_normal((8, 8)))
    assert debiased_cka(3 * X @ turn + 1000, Y) == pytest.approx(debiased_cka(X, Y), abs=1e-9)
    assert debiased_cka(Y, X) == pytest.approx(debiased_cka(X, Y), abs=1e-12)


def test_the_unrelated_is_zero_where_plain_cka_is_not() -> None:
    pairs = [GENERATOR(seed).standard_normal((2, 10, 200)) for seed in range(50)]
    assert abs(np.mean([debiased_cka(X, Y) for X, Y in pairs])) < 0.03
    assert np.mean([plain_cka(X, Y) for X, Y in pairs]) > 0.8


def test_it_is_the_unbiased_hsic_of_song() -> None:
    X, Y = GENERATOR(3).standard_normal((2, 12, 5))

    def hsic(first: np.ndarray, second: np.ndarray) -> float:
        n, (K, L) = len(first), (features @ features.T for features in (first, second))
        K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
        total = np.trace(K @ L) + K.sum() * L.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (K @ L).sum()
        return float(total / (n * (n - 3)))

    assert debiased_cka(X, Y) == pytest.approx(hsic(X, Y) / np.sqrt(hsic(X, X) * hsic(Y, Y)), abs=1e-12)


@pytest.mark.parametrize("count", [12, 40])
def test_many_samples_of_few_features_are_compared_without_a_gram_matrix(count: int) -> None:
    X, Y = GENERATOR(4).standard_normal((2, count, 5))
    Y = Y + X
    padded = np.pad(X, ((0, 0), (0, count)))  # the same representation, with as many features as samples
    assert debiased_cka(X, Y) == pytest.approx(debiased_cka(padded, Y), abs=1e-12)


@pytest.mark.parametrize("shapes", [((3, 5), (3, 5)), ((8, 5), (9, 5)), ((8,), (8, 5))])
def test_other_shapes_are_refused(shapes: tuple) -> None:
    with pytest.raises(BadInputError, match=r"same n >= 4"):
        debiased_cka(*(GENERATOR(0).standard_normal(shape) for shape in shapes))


def test_what_does_not_vary_is_refused() -> None:
    X = GENERATOR(0).standard_normal((8, 5))
    with pytest.raises(BadInputError, match=r"same for all samples"):
        debiased_cka(X, np.ones((8, 5)) * X[0])


@pytest.mark.parametrize("as_gram", [False, True])
def test_representations_that_were_centred_once_are_compared_together(as_gram: bool) -> None:
    X, Y = GENERATOR(5).standard_normal((2, 3, 12, 14 if as_gram else 5))
    Y, X[1] = Y + X, 7.0
    found = debiased_ckas(centred(X, as_gram), centred(Y, as_gram))
    assert np.isnan(found[1]), "what is the same for all samples is like nothing and unlike nothing"
    for index in (0, 2):
        assert found[index] == pytest.approx(debiased_cka(X[index], Y[index]), abs=1e-13)


def test_three_samples_cannot_be_compared() -> None:
    three = centred(GENERATOR(6).standard_normal((2, 3, 5)), as_gram=False)
    assert np.isnan(debiased_ckas(three, three)).all()
