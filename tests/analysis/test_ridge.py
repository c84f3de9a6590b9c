"""Ridge regression: the closed form, whatever the order and the cut of the rows."""

import numpy as np
import pytest
import torch

from stepscope.analysis import Regression
from stepscope.errors import BadInputError


def rows(count=60, width=5, targets=3, noise=0.0):
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, width, generator=generator, dtype=torch.float64) + 3
    weights = torch.randn(width, targets, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    error = noise * torch.randn(count, targets, generator=generator, dtype=torch.float64)
    return x, x @ weights + 2 + error


def test_an_affine_map_is_found():
    x, y = rows()
    fitted = Regression.of(x, y).solved(1e-12)
    torch.testing.assert_close(fitted(x), y, rtol=1e-8, atol=1e-8)
    unseen, images = rows(count=11)
    torch.testing.assert_close(fitted(unseen[None])[0], images, rtol=1e-8, atol=1e-8)


def test_the_normal_equations_hold():
    x, y = rows(noise=1.0)
    fitted = Regression.of(x, y).solved(0.3)
    a, b = x - x.mean(0), y - y.mean(0)
    ridge = 0.3 * (a.T @ a).trace() / 5
    torch.testing.assert_close(a.T @ (b - a @ fitted.weights), ridge * fitted.weights)


def test_rows_may_come_in_any_parts():
    x, y = rows(noise=1.0)
    whole = Regression.of(x, y).solved(1e-3)
    for cut in (1, 20, 59):
        first, second = Regression.of(x[:cut], y[:cut]), Regression.of(x[cut:], y[cut:])
        for joined in (first.joined(second), second.joined(first)):
            torch.testing.assert_close(joined.solved(1e-3).weights, whole.weights, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(joined.mean_y, whole.after, rtol=1e-12, atol=1e-12)


def test_the_penalty_does_not_depend_on_the_number_of_rows():
    x, y = rows(noise=1.0)
    once, twice = Regression.of(x, y), Regression.of(x, y).joined(Regression.of(x, y))
    torch.testing.assert_close(once.solved(0.1).weights, twice.solved(0.1).weights)


def test_images_keep_the_number_type():
    x, y = rows()
    assert Regression.of(x.float(), y.float()).solved(1e-6)(x.float()).dtype == torch.float32


@pytest.mark.parametrize("penalty", [0, -1.0, np.nan])
def test_a_penalty_that_is_none_is_refused(penalty):
    with pytest.raises(BadInputError, match="It is above 0"):
        Regression.of(*rows()).solved(penalty)
