import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qthreshold.numerics.drift import change_points, evened_errors, linear_trend, log_noise


def share_bound(chance, trials, sigmas=4):
    return chance + sigmas * np.sqrt(chance * (1 - chance) / trials)


def test_a_trend_without_scatter_is_the_least_squares_line():
    rng = np.random.default_rng(1)
    t, x = np.sort(rng.uniform(0, 30, 12)), rng.standard_normal(12)
    fit = linear_trend(t, x, 100.0, np.inf, 0.95)
    twin = stats.linregress(t, x)
    assert fit.slope == pytest.approx(twin.slope)
    assert fit.error == pytest.approx(100 / np.sqrt(((t - t.mean()) ** 2).sum()))
    assert fit.high - fit.low == pytest.approx(2 * stats.t.ppf(0.975, 10) * fit.error, rel=1e-6)


def test_with_much_scatter_it_is_the_usual_regression():
    rng = np.random.default_rng(2)
    t, x = np.arange(15.0), rng.standard_normal(15)
    fit, twin = linear_trend(t, x, 1e-6, np.inf, 0.95), stats.linregress(t, x)
    assert (fit.slope, fit.error) == pytest.approx((twin.slope, twin.stderr), rel=1e-4)


@pytest.mark.parametrize("scatter", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("nights", [4, 12, 40])
def test_the_interval_holds_the_slope(scatter, nights):
    rng, trials = np.random.default_rng([3, nights]), 600
    hits = 0
    for _ in range(trials):
        true = rng.choice([0.5, 1.0], nights)
        x = 0.3 * np.arange(nights) + rng.standard_normal(nights) * np.hypot(true, scatter)
        fit = linear_trend(np.arange(nights), x, true * np.sqrt(rng.chisquare(15, nights) / 15), 15, 0.9)
        hits += fit.low <= 0.3 <= fit.high
    assert 1 - hits / trials < share_bound(0.1, trials)
    assert scatter < 5 or 1 - hits / trials > 0.05


def test_missing_nights_are_left_out_and_two_are_too_few():
    x = np.array([1.0, np.nan, 2.0, 2.5, np.nan, 4.0])
    seen = np.isfinite(x)
    whole, kept = (linear_trend(np.arange(6.0)[s], x[s], 0.1, 20, 0.95) for s in (slice(None), seen))
    assert (whole.slope, whole.low, whole.high) == (kept.slope, kept.low, kept.high)
    assert np.isnan(linear_trend([0, 1], [1.0, 2.0], 0.1, 20, 0.95).slope)
    assert np.isnan(linear_trend([1, 1, 1], [1.0, 2.0, 3.0], 0.1, 20, 0.95).slope)
    assert linear_trend(np.arange(5), np.full(5, 3.0), 0.0, np.inf, 0.95).slope == pytest.approx(0, abs=1e-12)


@given(st.integers(2, 40), st.floats(1, 200))
def test_errors_that_differ_by_chance_become_equal(nights, dof):
    rng = np.random.default_rng(nights)
    stated = 0.1 * np.sqrt(rng.chisquare(dof, nights) / dof) + 1e-9
    even = evened_errors(np.ones(nights), stated, log_noise(dof))
    assert np.ptp(np.log(even)) <= np.ptp(np.log(stated)) + 1e-9
    assert np.log(even).mean() == pytest.approx(np.log(stated).mean())


def test_nights_that_were_measured_better_keep_their_errors():
    stated = np.array([0.1] * 10 + [0.01] * 10)
    assert evened_errors(np.ones(20), stated, log_noise(50)) == pytest.approx(stated, rel=0.1)


@pytest.mark.parametrize("nights", [6, 12, 30, 200])
@pytest.mark.parametrize("error", [1e-9, 0.7, 1.0])
def test_false_steps_are_at_most_as_frequent_as_stated(nights, error):
    """All scatter of the device; half of it; all of the measurement."""
    rng, trials = np.random.default_rng([5, nights]), 600
    wrong = sum(change_points(rng.standard_normal(nights), error, 0.1).index.size > 0 for _ in range(trials))
    assert wrong / trials < share_bound(0.1, trials)
    assert error > 1e-9 or nights < 12 or wrong  # a bound that is never reached would find nothing


def test_a_step_is_found_with_its_night_and_size():
    rng, trials = np.random.default_rng(6), 300
    nights, sizes = 0, 0
    for _ in range(trials):
        x = 1.4 * rng.standard_normal(30)
        x[12:] += 4.5
        found = change_points(x, 1.0, 0.05)
        assert found.index.size == 1
        nights += found.first[0] <= 12 <= found.last[0]
        sizes += found.low[0] <= 4.5 <= found.high[0]
    assert 1 - nights / trials < share_bound(0.05, trials)
    assert 1 - sizes / trials < share_bound(0.05, trials) + 0.02  # where a step is, is chosen by the same data


def test_a_spell_that_ends_again_has_two_steps():
    x = np.random.default_rng(7).standard_normal(300)
    x[200:210] -= 5
    found = change_points(x, 1.0, 0.05)
    assert found.index.tolist() == [200, 210]
    assert found.size[0] == pytest.approx(-5, abs=1.5)


def test_one_bad_night_is_no_step_and_missing_ones_shift_nothing():
    x = np.random.default_rng(8).standard_normal(30)
    x[15] += 9
    assert change_points(x, 1.0, 0.05).index.size == 0
    x = np.where(np.arange(40) < 20, 0.0, 8.0) + np.random.default_rng(9).standard_normal(40)
    x[[3, 19, 20]] = np.nan
    assert change_points(x, 1.0, 0.05).index.tolist() == [21]


def test_what_holds_nothing_has_no_steps():
    for x in ([], [1.0], [1.0, 5.0], [np.nan] * 9, [3.0] * 9):
        assert change_points(x, 0.1, 0.05).index.size == 0
    assert change_points([7.0] * 8 + [6.0] * 8, 0.0, 0.05).index.tolist() == [8]


def test_ten_thousand_nights_take_a_fraction_of_a_second():
    rng = np.random.default_rng(10)
    x = np.repeat(3 * rng.standard_normal(20), 500) + rng.standard_normal(10_000)
    change_points(x[:30], 1.0, 0.05)
    started = time.process_time()
    found = change_points(x, 1.0, 0.05)
    assert time.process_time() - started < 1.0  # 0.1 s on a machine with nothing else to do
    assert 15 <= found.index.size <= 19
