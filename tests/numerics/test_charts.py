import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qthreshold.numerics.charts import cusum, false_alarm_chance, self_starting_scores, threshold


def too_far(share, chance, trials, sigmas=4):
    """Whether a share of trials is off a chance by more than counting explains."""
    return abs(share - chance) > sigmas * np.sqrt(chance * (1 - chance) / trials)


@pytest.mark.parametrize("chance", [0.05, 1e-3])
def test_charts_of_normal_scores_alarm_as_often_as_stated(chance):
    scores = np.random.default_rng(1).standard_normal((60_000, 30))
    for chart in cusum(scores, threshold(chance, 30)):
        assert not too_far((chart >= threshold(chance, 30)).any(axis=1).mean(), chance, len(scores))


@pytest.mark.parametrize("chance", [0.3, 1e-2, 1e-5])
@pytest.mark.parametrize("window", [5, 30, 400])
def test_the_threshold_has_the_chance_that_was_asked_for(chance, window):
    assert false_alarm_chance(threshold(chance, window), window) == pytest.approx(chance, rel=1e-4)


def test_what_a_few_nights_cannot_reach_is_never_exceeded():
    assert false_alarm_chance(threshold(1e-5, 1), 1) <= 1e-5
    assert false_alarm_chance(threshold(0.9, 1), 1) <= 0.9


def test_a_chance_that_is_none_is_refused():
    with pytest.raises(ValueError, match="chance between 0 and 1"):
        threshold(0.0, 30)
    with pytest.raises(ValueError, match="at least one night"):
        threshold(0.1, 0)


def plain_scores(x):
    """Hawkins' chart, value by value."""
    out = []
    for n in range(2, len(x)):
        t = (x[n] - x[:n].mean()) / (x[:n].std(ddof=1) * np.sqrt(1 + 1 / n))
        out.append(stats.norm.ppf(stats.t.cdf(t, n - 1)))
    return np.array(out)


def test_without_stated_errors_the_scores_are_hawkins():
    x = 5 + np.random.default_rng(2).standard_normal(40)
    assert self_starting_scores(x[None], 1e-9)[0, 2:] == pytest.approx(plain_scores(x), abs=1e-6)


def test_scores_of_nights_that_scatter_are_standard_normal_and_independent():
    x = np.random.default_rng(3).standard_normal((4000, 20))
    u = self_starting_scores(x, 1e-9)[:, 2:]
    assert stats.kstest(u.ravel(), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(u.T) - np.eye(18)).max() < 5 / np.sqrt(4000)


@pytest.mark.parametrize("scatter", [0.0, 0.5, 1.0, 4.0])
def test_with_stated_errors_alarms_are_at_most_as_frequent(scatter):
    """Nights of unequal precision, errors known from 10 degrees of freedom each, and scatter of the device on top."""
    rng, rows = np.random.default_rng(4), 3000
    true = np.where(rng.random((rows, 30)) < 0.3, 0.5, 1.0)
    x = 20 + rng.standard_normal((rows, 30)) * np.hypot(true, scatter)
    stated = true * np.sqrt(rng.chisquare(10, true.shape) / 10)
    h = threshold(0.05, 30)
    up, down = cusum(self_starting_scores(x, stated, 10), h)
    for chart in (up, down):
        share = (chart >= h).any(axis=1).mean()
        assert share < 0.05 + 4 * np.sqrt(0.05 * 0.95 / rows)
    assert scatter < 4 or share > 0.03  # and no less than that where the device scatters


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=12), st.floats(0.1, 10), st.floats(-1e3, 1e3))
def test_scores_do_not_depend_on_unit_or_sign(values, unit, shift):
    x = np.array(values)
    one = self_starting_scores(x[None], 1.0)
    assert self_starting_scores(-x[None], 1.0) == pytest.approx(-one, nan_ok=True)
    x = x + 1e4  # away from 0, where errors are small beside the values, so that their own weight does not matter
    assert self_starting_scores(unit * x[None] + shift, unit) == pytest.approx(self_starting_scores(x[None], 1.0), nan_ok=True, abs=1e-4)


def test_a_night_without_a_value_leaves_everything_as_it_was():
    x = np.array([[1.0, 1.2, 0.9, 1.1, 1.6]])
    gaps = np.array([[1.0, np.nan, 1.2, 0.9, np.nan, 1.1, 1.6]])
    scores = self_starting_scores(gaps, 0.1)
    assert np.isnan(scores[0, [1, 4]]).all()
    assert scores[0, [0, 2, 3, 5, 6]] == pytest.approx(self_starting_scores(x, 0.1)[0], nan_ok=True)
    up, _ = cusum(scores, 5.0)
    assert up[0, 4] == up[0, 3]


def test_the_chart_of_values_that_never_change():
    assert np.nanmax(np.abs(self_starting_scores(np.full((1, 9), 7.0), 0.0))) == 0
    assert self_starting_scores([[7.0, 7.0, 7.0, 7.1]], 0.0)[0, -1] == pytest.approx(4.0, abs=0.5)


def test_the_chart_forgets_beyond_twice_its_threshold():
    up, _ = cusum(np.append(np.full(50, 3.0), np.full(6, -2.0))[None], 5.0)
    assert up.max() == 10
    assert up[0, -1] == 0
