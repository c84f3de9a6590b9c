"""Intervals hold the truth as often as they say, and the exact ones equal SciPy's."""

import numpy as np
import pytest
from scipy import stats

from stepscope.analysis import holm, mean_interval, minimal_detectable_effect, paired_bootstrap, proportion
from stepscope.analysis.beta import beta_cdf, beta_quantile
from stepscope.errors import BadInputError


@pytest.mark.parametrize(
    ("a", "b"), [(0.5, 0.5), (1.0, 1.0), (1.0, 40.0), (40.0, 1.0), (3.0, 7.0), (950.0, 51.0), (5000.0, 5001.0)]
)
def test_the_beta_distribution_is_scipy_s(a: float, b: float) -> None:
    for probability in (1e-6, 0.025, 0.3, 0.5, 0.975, 0.999):
        quantile = beta_quantile(probability, a, b)
        assert quantile == pytest.approx(stats.beta.ppf(probability, a, b), rel=1e-9)
        assert beta_cdf(quantile, a, b) == pytest.approx(probability, rel=1e-9)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (20, 20), (7, 20), (961, 1000), (1, 100_000)])
def test_clopper_pearson_is_scipy_s(successes: int, n: int) -> None:
    value, low, high = proportion(successes, n)
    exact = stats.binomtest(successes, n).proportion_ci(method="exact")
    assert value == successes / n
    assert (low, high) == pytest.approx((exact.low, exact.high), rel=1e-9)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    with pytest.raises(BadInputError, match=rf"{successes} successes of {n}"):
        proportion(successes, n)


def clustered(seed: int, mean: float, clusters: int = 40, size: int = 5) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(clusters), size)
    return mean + generator.standard_normal(clusters)[labels] + generator.standard_normal(len(labels)), labels


def test_coverage_is_kept_when_puzzles_carry_their_seeds() -> None:
    held, naive = 0, 0
    for seed in range(100):
        values, labels = clustered(seed, mean=0.3)
        _, low, high = mean_interval(values, seed, labels)
        held += low <= 0.3 <= high
        _, low, high = mean_interval(values, seed)
        naive += low <= 0.3 <= high
    assert held >= 88
    assert naive < held - 10


def test_an_interval_is_the_same_each_time_and_narrows() -> None:
    values, labels = clustered(0, mean=0.0, clusters=200)
    assert mean_interval(values, 1, labels) == mean_interval(values, 1, labels)
    _, low, high = mean_interval(values, 1, labels)
    _, wide_low, wide_high = mean_interval(values[:200], 1, labels[:200])
    assert high - low < 0.7 * (wide_high - wide_low)


@pytest.mark.parametrize("outcome", [0, 1])
def test_all_or_none_falls_back_on_the_exact_interval_over_puzzles(outcome: int) -> None:
    values, labels = np.full(60, outcome), np.repeat(np.arange(20), 3)
    assert mean_interval(values, 0, labels) == proportion(20 * outcome, 20)


def test_a_pair_differs_by_a_minus_b() -> None:
    generator = np.random.default_rng(0)
    b = generator.standard_normal(200)
    a = b + 0.5 + 0.1 * generator.standard_normal(200)
    difference, low, high, p = paired_bootstrap(a, b, seed=0)
    assert difference == pytest.approx(a.mean() - b.mean())
    assert 0.45 < low < difference < high < 0.55
    assert p == pytest.approx(1 / 10_001)
    assert paired_bootstrap(a, b, seed=0) == (difference, low, high, p)


def test_few_puzzles_try_every_flip() -> None:
    a, b = np.array([1.5, 2.5, 3.5, 4.5]), np.zeros(4)
    assert paired_bootstrap(a, b, seed=0)[3] == pytest.approx(2 / 16)
    exact = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert paired_bootstrap(a, b, seed=0)[3] == pytest.approx(exact)


def test_yes_or_no_pairs_are_mcnemar_s() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.integers(2, size=300), generator.integers(2, size=300)
    up, down = int((a > b).sum()), int((a < b).sum())
    assert paired_bootstrap(a, b, seed=0)[3] == pytest.approx(stats.binomtest(up, up + down).pvalue)
    assert paired_bootstrap(a, a, seed=0) == (0.0, 0.0, 0.0, 1.0)


def test_p_is_uniform_where_nothing_differs() -> None:
    p_values = []
    for seed in range(60):
        values, labels = clustered(seed, mean=0.0, clusters=10)
        p_values.append(paired_bootstrap(values, np.zeros_like(values), seed, labels)[3])
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_the_detectable_effect_is_found_four_times_in_five() -> None:
    values, labels = clustered(0, mean=0.0, clusters=2000)
    effect = minimal_detectable_effect(values, labels)
    error = np.sqrt((1 + 1 / 5) / 2000)
    assert effect == pytest.approx((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * error, rel=0.05)


def test_holm_is_the_step_down() -> None:
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm([0.6, 0.5]), [1.0, 1.0])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize(
    ("values", "clusters"), [([1.0], None), ([1.0, np.nan], None), ([1.0, 2.0], [7, 7]), ([1.0, 2.0], [1, 2, 3])]
)
def test_what_has_no_interval_is_refused(values: list, clusters: list | None) -> None:
    with pytest.raises(BadInputError, match=r"at least two clusters"):
        mean_interval(values, 0, clusters)


def test_pairs_need_partners() -> None:
    with pytest.raises(BadInputError, match=r"3 and 2 values came"):
        paired_bootstrap([1, 2, 3], [1, 2], seed=0)
