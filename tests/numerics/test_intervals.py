import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qthreshold.numerics.intervals import (
    clopper_pearson,
    mean_of_dependent,
    mean_of_finite_set,
    probability_above,
    quantile_interval,
    satterthwaite,
    student_t,
)

level = st.floats(0.01, 0.9999)


@given(st.floats(1, 1e4), level)
def test_student_t_is_scipys_two_sided_quantile(dof, level):
    assert student_t(dof, level) == pytest.approx(stats.t.ppf((1 + level) / 2, dof), rel=1e-8)


@given(level)
def test_infinite_degrees_of_freedom_are_normal(level):
    assert student_t(np.inf, level) == pytest.approx(stats.norm.ppf((1 + level) / 2), rel=1e-6)


@given(st.integers(0, 300), st.integers(1, 300), level)
def test_clopper_pearson_is_scipys_exact_interval(successes, trials, level):
    successes = min(successes, trials)
    best, low, high = clopper_pearson(successes, trials, level)
    twin = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    assert best == successes / trials
    assert low == pytest.approx(twin.low, rel=1e-6, abs=1e-12)
    assert high == pytest.approx(twin.high, rel=1e-6, abs=1e-12)
    assert 0 <= low <= best <= high <= 1


def test_clopper_pearson_without_trials_is_nan_beside_good_cells():
    best, low, high = clopper_pearson([0, 5], [0, 5], 0.95)
    assert np.isnan([best[0], low[0], high[0]]).all()
    assert (best[1], high[1]) == (1.0, 1.0)


def test_clopper_pearson_covers_at_least_its_level():
    k = np.arange(41)
    _, low, high = clopper_pearson(k, 40, 0.9)
    for p in (0.001, 0.02, 0.3, 0.5, 0.99):
        assert stats.binom.pmf(k, 40, p)[(low <= p) & (p <= high)].sum() >= 0.9


def test_satterthwaite_by_hand():
    # (1 + 2)^2 / (1/5 + 4/10) - 1
    assert satterthwaite([1.0, 2.0], [4, 9]) == pytest.approx(14)
    assert satterthwaite([3.0, 0.0], [7, 1]) == pytest.approx(7)
    assert satterthwaite([0.0, 0.0], [1, 1]) == np.inf
    assert satterthwaite([1.0, 2.0], [np.inf, np.inf]) == np.inf


@given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.integers(1, 50)), min_size=1, max_size=6))
def test_satterthwaite_lies_between_the_smallest_degrees_and_those_of_equal_variances(parts):
    variances, dofs = (np.array(x, dtype=float) for x in zip(*parts, strict=True))
    assert dofs.min() * (1 - 1e-9) <= satterthwaite(variances, dofs) <= (dofs.sum() + len(dofs) - 1) * (1 + 1e-9)


@pytest.mark.parametrize("sigma", [(1.0, 1.0, 1.0), (1.0, 2.0, 0.3), (1.0, 0.3, 0.0), (1.0, 0.01, 0.01)])
def test_intervals_from_few_degrees_of_freedom_cover_as_stated(sigma):
    """Means of three groups of three: the sum of their variances has few degrees of freedom, and they are estimated too."""
    rng = np.random.default_rng(4)
    groups = rng.normal(0, np.array(sigma)[:, None], (100_000, 3, 3))
    parts = groups.var(axis=2, ddof=1) / 3
    for level in (0.68, 0.95):
        half = student_t(satterthwaite(parts, 2), level) * np.sqrt(parts.sum(axis=1))
        assert (np.abs(groups.mean(axis=2).sum(axis=1)) < half).mean() == pytest.approx(level, abs=0.015)  # plainly 0.017 and 0.022 off


def test_mean_of_a_fully_measured_set_has_only_measurement_error():
    best, low, high, error = mean_of_finite_set([1.0, 2.0, 6.0], [0.3, 0.4, 1.2], [np.inf] * 3, 3, 0.95)
    assert best == 3.0
    assert error == pytest.approx(1.3 / 3)
    assert high - best == pytest.approx(best - low) == pytest.approx(1.959964 * 1.3 / 3, rel=1e-5)


def test_members_left_out_widen_the_mean():
    values, errors = [1.0, 2.0, 6.0], [1e-9] * 3
    full = mean_of_finite_set(values, errors, [9] * 3, 3, 0.95)[3]
    half = mean_of_finite_set(values, errors, [9] * 3, 6, 0.95)[3]
    assert full < 1e-8
    assert half == pytest.approx(np.sqrt(0.5 * 7.0 / 3), rel=1e-6)  # (1 - 3/6) s^2 / 3, s^2 = 7


def test_scatter_from_measurement_alone_is_not_counted_twice():
    rng = np.random.default_rng(1)
    errors = [mean_of_finite_set(rng.normal(5, 1, 50), np.ones(50), [100] * 50, 100, 0.95)[3] for _ in range(200)]
    assert np.median(errors) < 1.15 / np.sqrt(50)


def test_one_member_of_many_says_nothing_about_the_rest():
    best, low, high, error = mean_of_finite_set([1.0], [0.1], [5], 10, 0.95)
    assert (best, low, high, error) == (1.0, -np.inf, np.inf, np.inf)


def test_nothing_measured_is_nan_and_more_than_all_is_refused():
    assert np.isnan(mean_of_finite_set([], [], [], 4, 0.95)).all()
    with pytest.raises(ValueError, match="2 members measured of a set of 1"):
        mean_of_finite_set([1.0, 2.0], [1.0, 1.0], [5, 5], 1, 0.95)


@pytest.mark.parametrize("size", [12, 20, 60])
def test_mean_covers_the_mean_of_the_whole_set(size):
    rng = np.random.default_rng(2)
    hits, trials = 0, 1500
    for _ in range(trials):
        truth = rng.normal(3, 1, size)
        measured = truth[:12] + rng.normal(0, 0.5, 12)
        _, low, high, _ = mean_of_finite_set(measured, np.full(12, 0.5), [30] * 12, size, 0.9)
        hits += low <= truth.mean() <= high
    assert abs(hits / trials - 0.9) < 0.035


def test_order_of_members_does_not_matter():
    rng = np.random.default_rng(3)
    values, errors, dofs = rng.normal(size=9), rng.uniform(0.1, 1, 9), rng.integers(1, 20, 9)
    order = rng.permutation(9)
    shuffled = mean_of_finite_set(values[order], errors[order], dofs[order], 20, 0.9)
    np.testing.assert_allclose(mean_of_finite_set(values, errors, dofs, 20, 0.9), shuffled)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), level)
def test_quantile_interval_ignores_nan_and_is_ordered(draws, level):
    best, low, high = quantile_interval([*draws, np.nan], level)
    assert low <= best <= high
    assert (best, low, high) == quantile_interval(draws, level)
    assert min(draws) <= low
    assert high <= max(draws)


def test_quantile_interval_is_equal_tailed_and_nan_when_empty():
    assert quantile_interval(np.arange(101), 0.9) == pytest.approx((50, 5, 95))
    assert np.isnan(quantile_interval([np.nan, np.nan], 0.9)).all()


@given(st.floats(-5, 5), st.floats(1e-3, 5), st.floats(1, 1e4))
def test_the_probability_to_lie_above_zero_is_that_of_students_t(estimate, error, dof):
    assert probability_above(estimate, error, dof) == pytest.approx(stats.t.cdf(estimate / error, dof), abs=1e-9)


def test_without_an_error_an_estimate_lies_above_zero_or_not():
    assert [probability_above(e, 0.0, np.inf) for e in (-1e-12, 0.0, 1e-12, np.inf)] == [0, 1, 1, 1]
    assert probability_above(-np.inf, 1.0, 3.0) == 0


@pytest.mark.parametrize("correlation", [-1.0, 0.0, 0.5, 1.0])
def test_a_mean_of_dependent_estimates_covers_at_least_its_level_whatever_the_correlation(correlation):
    rng = np.random.default_rng(4)
    trials, sigma, dof = 20_000, np.array([1.0, 2.0]), 8.0
    first = rng.standard_normal(trials)
    draws = np.stack([first, correlation * first + np.sqrt(1 - correlation**2) * rng.standard_normal(trials)]) * sigma[:, None]
    errors = sigma[:, None] * np.sqrt(rng.chisquare(dof, trials) / dof)
    _, low, high = mean_of_dependent(3.0 + draws, errors, np.full((2, trials), dof), 0.95).T
    covered = ((low <= 3.0) & (high >= 3.0)).mean()
    noise = 4 * np.sqrt(0.95 * 0.05 / trials)
    assert covered >= 0.95 - noise
    if correlation == 1.0:
        assert covered <= 0.95 + noise  # exact there, too wide elsewhere
