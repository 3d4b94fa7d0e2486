import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qthreshold.numerics.comparison import false_discovery_rate, mean_of_repeats, probability_of_excess

chances = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(chances)
def test_adjusted_values_are_those_of_scipy(p):
    assert false_discovery_rate(p) == pytest.approx(stats.false_discovery_control(p), abs=1e-14)


@given(chances, st.integers(0, 39))
def test_what_was_not_tested_does_not_count(p, hole):
    holed = np.insert(p, min(hole, len(p)), np.nan)
    adjusted = false_discovery_rate(holed)
    assert np.isnan(adjusted[min(hole, len(p))])
    assert adjusted[~np.isnan(holed)].tolist() == false_discovery_rate(p).tolist()


def test_the_rate_of_false_discoveries_is_kept():
    """200 of 1,000 tests have a real excess; among those found, at most one in ten is false, on average."""
    rng = np.random.default_rng(1)
    real = np.arange(1000) < 200
    shares = []
    for _ in range(200):
        found = false_discovery_rate(probability_of_excess(rng.normal(4.0 * real, 1.0), 1.0, np.inf)) <= 0.1
        shares.append((found & ~real).sum() / max(found.sum(), 1))
    assert np.mean(shares) == pytest.approx(0.1 * 0.8, abs=4 * np.std(shares) / np.sqrt(200))


@pytest.mark.parametrize("dof", [3.0, 12.0, np.inf])
def test_p_values_are_those_of_a_t_test(dof):
    assert probability_of_excess([-1.0, 0.0, 2.5], 0.5, dof) == pytest.approx(stats.t.sf([-2.0, 0.0, 5.0], min(dof, 1e9)), rel=1e-6)


def test_without_an_error_the_answer_is_certain():
    assert probability_of_excess([1.0, 0.0, -1.0, np.nan], [0.0, 0.0, 0.0, 0.0], np.inf).tolist()[:3] == [0.0, 1.0, 1.0]
    assert np.isnan(probability_of_excess(np.nan, 1.0, 5.0))


def test_the_scatter_of_nights_counts_where_it_is_more_than_their_errors_say():
    rng = np.random.default_rng(2)
    nights, targets = 12, 4000
    steady = rng.normal(1.0, 0.1, (nights, targets))
    shaky = steady + rng.normal(0.0, 0.2, (nights, targets))
    errors, dofs = np.full((nights, targets), 0.1), np.full((nights, targets), np.inf)
    _, variance, dof, n = mean_of_repeats(shaky, errors, dofs)
    assert variance.mean() == pytest.approx(0.05, rel=0.05)
    assert set(dof) == {nights - 1.0}
    assert set(n) == {12.0}
    assert mean_of_repeats(steady, errors, dofs)[1].min() >= 0.01 * (1 - 1e-12)


def test_one_night_knows_nothing_of_scatter_and_a_hole_is_left_out():
    mean, variance, dof, n = mean_of_repeats([[2.0, np.nan]], [[0.5, np.nan]], [[7.0, np.nan]])
    assert (mean[0], variance[0], dof[0], n[0]) == (2.0, 0.25, 7.0, 1.0)
    assert np.isnan(mean[1])
    assert np.isnan(variance[1])
    with_hole = mean_of_repeats([[1.0], [np.nan], [3.0]], [[0.1], [np.nan], [0.1]], [[9.0], [np.nan], [9.0]])
    without = mean_of_repeats([[1.0], [3.0]], [[0.1], [0.1]], [[9.0], [9.0]])
    assert [float(a[0]) for a in with_hole] == [float(a[0]) for a in without]
