"""Bounded means: the interval is exact where it is known, holds the truth where the bootstrap does not, and narrows."""

import numpy as np
import pytest

from stepscope.analysis import bounded_interval, mean_band, mean_interval, proportion
from stepscope.errors import BadInputError

REPETITIONS = 80

POPULATIONS = {
    "uniform": (lambda generator, n: generator.random(n), 0.5),
    "rarely low": (lambda generator, n: (generator.random(n) < 0.9) * (0.8 + 0.2 * generator.random(n)), 0.81),
    "at both ends": (lambda generator, n: generator.beta(0.2, 2, n), 1 / 11),
    "mostly alike": (lambda generator, n: generator.choice([0, 0.5, 1], p=[0.05, 0.9, 0.05], size=n), 0.5),
}


@pytest.mark.parametrize(("successes", "n"), [(0, 6), (6, 6), (1, 6), (7, 20), (19, 20)])
def test_yes_or_no_is_clopper_and_pearson(successes, n):
    values = np.arange(n) < successes
    assert bounded_interval(values, (0, 1), 0) == pytest.approx(proportion(successes, n), rel=1e-9)


@pytest.mark.parametrize(
    ("value", "bounds", "interval"),
    [
        (0.0, (-1.0, 1.0), (-0.4593, 0.4593)),
        (1.0, (-1.0, 1.0), (0.0815, 1.0)),
        (0.0, (0.0, 1.0), (0.0, 0.4593)),
        (0.5, (0.0, 1.0), (0.2704, 0.7296)),
    ],
)
def test_six_alike_leave_room_for_others(value, bounds, interval):
    assert bounded_interval([value] * 6, bounds, 0) == pytest.approx((value, *interval), abs=1e-4)


@pytest.mark.parametrize("n", [3, 12])
@pytest.mark.parametrize("name", POPULATIONS)
def test_the_truth_is_held_however_few_there_are(name, n):
    draw, mean = POPULATIONS[name]
    generator, held = np.random.default_rng(n), 0
    for seed in range(REPETITIONS):
        _, low, high = bounded_interval(draw(generator, n), (0, 1), seed)
        held += low <= mean <= high
    # 95% of 80 is 76 with a standard error of 1.9.
    assert held >= 72


def test_where_the_bootstrap_fails():
    draw, mean = POPULATIONS["rarely low"]
    generator = np.random.default_rng(0)
    intervals = [mean_interval(draw(generator, 8), seed) for seed in range(60)]
    assert sum(low <= mean <= high for _, low, high in intervals) < 45


def test_many_values_have_the_interval_of_the_bootstrap():
    values = np.random.default_rng(0).beta(2, 3, 1000)
    value, low, high = bounded_interval(values, (0, 1), 0)
    assert (value, low, high) == pytest.approx(mean_interval(values, 0), abs=2e-3)
    assert low < value < high


def test_the_interval_moves_and_stretches_with_the_values():
    values = np.random.default_rng(0).random(9)
    value, low, high = bounded_interval(values, (0, 1), 0)
    moved = bounded_interval(3 * values - 1, (-1, 2), 0)
    assert moved == pytest.approx((3 * value - 1, 3 * low - 1, 3 * high - 1))
    mirrored = bounded_interval(-values, (-1, 0), 0)
    assert mirrored == pytest.approx((-value, -high, -low), abs=0.02)


def test_seeds_of_a_puzzle_are_one_draw():
    values, labels = np.repeat([0.0, 1.0, 1.0], 50), np.repeat([0, 1, 2], 50)
    assert bounded_interval(values, (0, 1), 0, labels) == pytest.approx(proportion(2, 3))


def test_puzzles_of_different_size_weigh_by_it():
    value, low, high = bounded_interval([0.0, 0.0, 0.0, 1.0], (0, 1), 0, [0, 0, 0, 1])
    assert 0 < low < value == 0.25 < high < 1


def test_the_same_each_time():
    values = np.random.default_rng(0).random(9)
    assert bounded_interval(values, (0, 1), 5) == bounded_interval(values, (0, 1), 5)


def test_a_band_within_bounds_holds_both_its_own_and_the_interval_of_each_mean():
    generator, puzzles = np.random.default_rng(0), np.repeat(np.arange(9), 2)
    curves = np.column_stack([np.ones(18), generator.random((18, 3)), np.repeat(np.arange(9) % 2, 2)])
    plain, band = mean_band(curves, 0, puzzles), mean_band(curves, 0, puzzles, (0, 1))
    each = np.array([bounded_interval(column, (0, 1), 0, puzzles) for column in curves.T])
    np.testing.assert_allclose(band.mean, each[:, 0])
    np.testing.assert_allclose(band.low, np.minimum(plain.low.clip(0), each[:, 1]))
    np.testing.assert_allclose(band.high, np.maximum(plain.high.clip(max=1), each[:, 2]))
    assert plain.low[0] == 1 > band.low[0], "resampling cannot see beyond what came"


def test_a_side_without_a_bound_is_that_of_the_plain_band():
    curves = np.random.default_rng(0).exponential(size=(6, 3)) * [1, 1, 0] + [0, 0, 2]
    plain, band = mean_band(curves, 0), mean_band(curves, 0, bounds=(0.0, np.inf))
    np.testing.assert_array_equal(band.high, plain.high)
    assert (band.low >= 0).all()
    assert (band.low <= plain.low.clip(0)).all()
    assert band.low[2] == pytest.approx(bounded_interval([2.0] * 6, (0, 9), 0)[1])
    with pytest.raises(BadInputError, match="bounds 0 to inf"):
        mean_band(curves - 3, 0, bounds=(0.0, np.inf))


def test_bounds_that_do_not_hold_are_refused():
    with pytest.raises(BadInputError, match=r"-0\.5 to 1 came for bounds 0 to 1"):
        bounded_interval([-0.5, 1.0], (0, 1), 0)
    assert bounded_interval([0.0, 1 + 1e-9], (0, 1), 0)[0] == pytest.approx(0.5), "rounding is no mistake"
