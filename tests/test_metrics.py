"""Counts and means over small devices whose fits are written by hand."""

import numpy as np
import pytest
from scipy import stats

from qthreshold.fits import FittedErrors
from qthreshold.identity import Interval
from qthreshold.metrics import DeviceMetrics, make_metrics
from qthreshold.recipe import Criteria
from qthreshold.store import RunDirectory
from reference.devices import device_of, line_device

NORMAL = stats.norm.ppf(0.975)


def fits_of(device, *, cnot=4e-3, se=2e-4, dof=np.inf, one=5e-4, one_se=1e-6, read=0.02, edges=None, level=0.95, estimate="interleaved"):
    """Fits of all usable qubits and of some pairs; numbers are spread over all of them."""
    qubits = device.usable_qubits
    edges = device.usable_edges if edges is None else np.asarray(edges)
    q, m = len(qubits), len(edges)
    cnot, se, dof = (np.broadcast_to(np.asarray(v, dtype=float), m).copy() for v in (cnot, se, dof))
    one, one_se, read = (np.broadcast_to(np.asarray(v, dtype=float), q).copy() for v in (one, one_se, read))
    half = stats.t.ppf((1 + level) / 2, np.minimum(dof, 1e9)) * se if m else se
    return FittedErrors(
        decays_id="0" * 64, level=level, qubits=qubits, edges=edges,
        readout=np.stack([read, read - 1e-4, read + 1e-4], 1), readout_flips=np.stack([read, read], 1),
        one_qubit=np.stack([one, one - NORMAL * one_se, one + NORMAL * one_se], 1), one_qubit_error=one_se, one_qubit_dof=np.full(q, np.inf),
        estimate=estimate, epc=np.full((m, 3), 0.015), cnot_upper=np.full((m, 3), 0.01),
        cnot=np.stack([cnot, cnot - half, cnot + half], 1), cnot_error=np.where(np.isnan(cnot), np.nan, se),
        cnot_dof=np.where(np.isnan(cnot), np.nan, dof), systematic=np.stack([0 * cnot, 3 * cnot], 1),
        p_ref=np.full((m, 3), 0.98), p_int=np.full((m, 3), 0.97), chi2_per_dof=np.ones(m),
        curve=np.full((m, 2), [0.72, 0.25]), curve_covariance=np.full((m, 3, 3), np.nan),
        **said("qubit", one), **said("edge", cnot),
    )  # fmt: skip


def said(what, values):
    status, reason = (np.where(np.isnan(values), word, other).tolist() for word, other in (("too_fast", "ok"), ("decays too fast", "")))
    return {f"{what}_status": tuple(status), f"{what}_reason": tuple(reason)}


def metrics_of(device, seed=1, criteria=None, connected=None, **fits):
    return make_metrics(device, fits_of(device, **fits), criteria or Criteria(), np.random.default_rng(seed), connected=connected)


def ring(n=4):
    return device_of([(i, (i + 1) % n) for i in range(n)], "cz", n)


def all_to_all(n):
    return device_of([(a, b) for a in range(n) for b in range(a + 1, n)], "rzz", n)


def best(interval):
    return interval.low, interval.best, interval.high


def test_a_good_line_counts_every_qubit_and_averages_every_pair():
    cnot = np.array([2e-3, 4e-3, 6e-3, 9e-3])
    m = metrics_of(line_device("cz"), cnot=cnot)
    assert best(m.working_qubits) == best(m.connected_working_qubits) == (5, 5, 5)
    np.testing.assert_array_equal(m.members, range(5))
    np.testing.assert_array_equal(m.member_edges, range(4))
    assert m.unmeasured_edges == 0
    assert m.mean.best == pytest.approx(cnot.mean())
    assert m.median.best == pytest.approx(5e-3)
    assert (m.best.best, m.worst.best) == (2e-3, 9e-3)
    assert m.systematic_high == pytest.approx(3 * cnot.mean())
    assert m.qubit_reason == ("",) * 5
    np.testing.assert_array_equal(m.works, 1)
    assert set(m.draw_qubits.tolist()) == {5}


def test_a_pair_that_does_not_work_splits_the_device_and_the_larger_part_counts():
    m = metrics_of(line_device("cz"), cnot=[2e-3, 0.5, 4e-3, 6e-3])
    assert (m.working_qubits.best, m.connected_working_qubits.best) == (5, 3)
    np.testing.assert_array_equal(m.members, [2, 3, 4])
    np.testing.assert_array_equal(m.member_edges, [2, 3])
    assert m.mean.best == pytest.approx(5e-3)
    assert m.unmeasured_edges == 0


def test_a_pair_that_does_not_work_inside_the_component_is_neither_averaged_nor_unmeasured():
    m = metrics_of(ring(), cnot=[2e-3, 0.5, 4e-3, 6e-3])
    assert m.connected_working_qubits.best == 4
    assert (len(m.member_edges), m.unmeasured_edges) == (3, 0)
    assert m.mean.best == pytest.approx(4e-3)


@pytest.mark.parametrize(
    ("bad", "words"),
    [({"one": [5e-4, 5e-4, 0.05, 5e-4, 5e-4]}, "one-qubit error 0.05 above the criterion 0.01"),
     ({"read": [0.02, 0.02, 0.4, 0.02, 0.02]}, "readout error 0.4 above the criterion 0.2"),
     ({"one": [5e-4, 5e-4, np.nan, 5e-4, 5e-4]}, "one-qubit RB failed: decays too fast")],
)  # fmt: skip
def test_a_bad_qubit_drops_out_with_its_pairs_and_a_reason(bad, words):
    m = metrics_of(line_device("cz"), **bad)
    assert m.works.tolist() == [1, 1, 0, 1, 1]
    assert words in m.qubit_reason[2]
    assert m.qubit_reason[:2] + m.qubit_reason[3:] == ("",) * 4
    assert (m.working_qubits.best, m.connected_working_qubits.best) == (4, 2)
    np.testing.assert_array_equal(m.member_edges, [0])  # of parts of equal size the one with the lowest qubit


def test_a_qubit_without_a_working_pair_does_not_work():
    m = metrics_of(line_device("cz"), cnot=[0.5, 2e-3, 2e-3, 2e-3])
    assert m.works[0] == 0
    assert m.qubit_reason[0] == "no working pair"
    assert (m.working_qubits.best, m.connected_working_qubits.best) == (4, 4)


def test_criteria_are_inputs():
    device, cnot = line_device("cz"), [2e-3, 4e-3, 6e-3, 9e-3]
    m = metrics_of(device, cnot=cnot, criteria=Criteria(cnot_error=5e-3))
    np.testing.assert_array_equal(m.members, [0, 1, 2])
    assert metrics_of(device, criteria=Criteria(one_qubit_error=1e-4)).working_qubits.best == 0
    assert metrics_of(device, criteria=Criteria(readout_error=0.01)).working_qubits.best == 0


def test_a_criterion_that_was_not_measured_is_not_held_against_a_qubit():
    device = line_device("cz")
    fits = fits_of(device, one=[5e-4, np.nan, 5e-4, 5e-4, 5e-4], read=[0.02, 0.02, np.nan, 0.02, 0.02])
    fits = fits.replace(qubit_status=("ok", "not_measured", "ok", "ok", "ok"))
    m = make_metrics(device, fits, Criteria(), np.random.default_rng(1))
    np.testing.assert_array_equal(m.works, 1)
    assert m.qubit_reason == ("",) * 5


def test_what_was_measured_of_a_qubit_still_counts_where_the_rest_was_not():
    device = line_device("cz")
    fits = fits_of(device, one=[5e-4, 5e-4, 0.05, np.nan, 5e-4], read=[0.02, 0.02, np.nan, 0.4, 0.02])
    fits = fits.replace(qubit_status=("ok", "ok", "ok", "not_measured", "ok"))
    m = make_metrics(device, fits, Criteria(), np.random.default_rng(1))
    assert m.works.tolist() == [1, 1, 0, 0, 0]  # the last one is left without a partner
    assert m.qubit_reason[2:] == ("one-qubit error 0.05 above the criterion 0.01", "readout error 0.4 above the criterion 0.2", "no working pair")


def zones():
    """Four pairs that are not joined, as the gate zones of an ion trap."""
    return device_of([(0, 1), (2, 3), (4, 5), (6, 7)], "rzz", 8)


def test_a_stated_number_of_qubits_is_taken_in_every_draw_and_the_mean_runs_over_all_fitted_pairs():
    cnot = [1e-3, 2e-3, 3e-3, 0.5]  # the last one does not work, but it is there
    m = metrics_of(zones(), cnot=cnot, connected=56)
    assert m.connected == "stated"
    assert best(m.connected_working_qubits) == (56, 56, 56)
    assert set(m.draw_qubits.tolist()) == {56}
    assert m.mean.best == pytest.approx(np.mean(cnot))
    assert m.working_qubits.best == 6
    counted = metrics_of(zones(), cnot=cnot)
    assert (counted.connected, counted.connected_working_qubits.best, counted.mean.best) == ("measured", 2, 1e-3)


def test_pairs_that_could_not_be_fitted_stay_in_sight_where_the_number_of_qubits_is_stated():
    m = metrics_of(zones(), cnot=[1e-3, np.nan, 3e-3, 2e-3], connected=56)
    assert (m.failed_edges, m.unmeasured_edges) == (1, 1)
    assert m.failed_shift == pytest.approx((0.1 - 2e-3) / 4)


def test_qubits_far_apart_in_number_take_no_more_memory_than_neighbours():
    m = metrics_of(device_of([(0, 80_000)], "cz", 80_001, absent_qubits=dict.fromkeys(range(1, 80_000), "not there")), cnot=[2e-3])
    assert m.members.tolist() == [0, 80_000]
    assert (m.works.size, m.works.sum()) == (80_001, 2)


def test_metrics_say_what_kind_of_estimate_they_hold():
    assert metrics_of(ring(), estimate="upper").estimate == "upper"


def test_whether_a_qubit_works_is_a_probability():
    one, se = np.array([0.008, 0.01, 0.012, 5e-4, 5e-4]), 0.002
    m = metrics_of(line_device("cz"), one=one, one_se=se)
    # qubit 0 also needs its only pair, and so qubit 1
    expected = stats.norm.cdf((0.01 - one) / se)
    assert m.works[0] == pytest.approx(expected[0] * expected[1], abs=0.03)
    assert m.works[3] == 1
    assert m.works[1] == pytest.approx(expected[1] * (1 - (1 - expected[0]) * (1 - expected[2])), abs=0.03)
    assert m.working_qubits.low <= 3
    assert m.working_qubits.high == 5


def by_hand(values, se, dof, size, level=0.95):
    """Mean of a finite set with its unmeasured members, straight from the formula."""
    m = len(values)
    own = np.asarray(se) ** 2 / m**2
    spread = max(np.var(values, ddof=1) - np.mean(np.asarray(se) ** 2), 0)
    missing = (1 - m / size) * spread / m
    parts, dofs = np.append(own, missing), np.append(dof, m - 1)
    freedom = parts.sum() ** 2 / np.sum(np.where(parts > 0, parts**2 / (dofs + 1), 0)) - 1 if np.isfinite(dofs).any() else np.inf
    half = stats.t.ppf((1 + level) / 2, min(freedom, 1e9)) * np.sqrt(parts.sum())
    return np.mean(values) - half, np.mean(values), np.mean(values) + half


def test_the_interval_of_the_mean_follows_from_the_errors_of_the_pairs():
    cnot, se, dof = [2e-3, 4e-3, 6e-3, 9e-3], [1e-4, 3e-4, 2e-4, 8e-4], [4.0, 9.0, 11.0, 6.0]
    m = metrics_of(line_device("cz"), cnot=cnot, se=se, dof=dof)
    assert best(m.mean) == pytest.approx(by_hand(cnot, se, dof, 4), rel=1e-9)


def test_a_pair_that_could_not_be_fitted_is_counted_as_unmeasured_and_widens_the_interval():
    known, se, dof = np.array([2e-3, 4e-3, 6e-3]), np.full(3, 1e-4), np.full(3, 8.0)
    m = metrics_of(ring(), cnot=[2e-3, np.nan, 4e-3, 6e-3], se=1e-4, dof=8.0)
    assert (m.connected_working_qubits.best, len(m.member_edges), m.unmeasured_edges) == (4, 3, 1)
    assert best(m.mean) == pytest.approx(by_hand(known, se, dof, 4), rel=1e-9)
    assert m.mean.high - m.mean.low > 2 * np.diff(by_hand(known, se, dof, 3)[::2])[0]
    assert np.std(m.draw_mean) > 2 * np.sqrt(np.sum(se**2)) / 3


def test_a_pair_that_could_not_be_fitted_does_not_connect():
    m = metrics_of(line_device("cz"), cnot=[2e-3, np.nan, 4e-3, 6e-3])
    np.testing.assert_array_equal(m.members, [2, 3, 4])
    assert m.unmeasured_edges == 0
    assert m.working_qubits.best == 5


def test_a_pair_that_is_not_there_is_not_unmeasured():
    device = device_of([(0, 1), (1, 2), (2, 3), (3, 0)], "cz", 4, absent_edges={1: "dead"})
    m = metrics_of(device, cnot=[2e-3, 4e-3, 6e-3])
    assert (m.connected_working_qubits.best, len(m.member_edges), m.unmeasured_edges) == (4, 3, 0)


def test_an_absent_qubit_keeps_the_reason_of_the_device():
    m = metrics_of(line_device("cz", absent_qubits={4: "dead in the profile"}))
    assert m.qubit_reason[4] == "dead in the profile"
    assert (m.works[4], m.connected_working_qubits.best) == (0, 4)


def test_pairs_that_the_recipe_left_out_of_an_all_to_all_device_are_unmeasured():
    device, rng = all_to_all(8), np.random.default_rng(3)
    edges = [e for e, (a, b) in enumerate(device.edges.tolist()) if (b - a) % 8 in (1, 7)]
    cnot = 3e-3 + 5e-4 * rng.standard_normal(len(edges))
    m = metrics_of(device, cnot=cnot, se=1e-4, dof=10.0, edges=edges)
    assert (m.connected_working_qubits.best, len(m.member_edges), m.unmeasured_edges) == (8, 8, 20)
    assert best(m.mean) == pytest.approx(by_hand(cnot, np.full(8, 1e-4), np.full(8, 10.0), 28), rel=1e-9)


@pytest.mark.parametrize("n", [1, 3])
def test_a_device_without_pairs_has_no_working_qubit_and_no_error(n):
    m = metrics_of(device_of([], "cz", n))
    assert best(m.working_qubits) == best(m.connected_working_qubits) == (0, 0, 0)
    assert np.isnan([*best(m.mean), *best(m.median), *best(m.best), *best(m.worst), m.systematic_low, m.systematic_high]).all()
    assert m.qubit_reason == ("no pair is known",) * n
    assert (len(m.members), len(m.member_edges), m.unmeasured_edges) == (0, 0, 0)
    assert np.isnan(m.draw_mean).all()
    assert (m.draw_qubits == 0).all()


def test_a_device_with_one_pair_has_the_interval_of_that_pair():
    m = metrics_of(line_device("cz", 2), cnot=[4e-3], se=[3e-4], dof=[5.0])
    assert m.connected_working_qubits.best == 2
    half = stats.t.ppf(0.975, 5) * 3e-4
    assert best(m.mean) == pytest.approx((4e-3 - half, 4e-3, 4e-3 + half), rel=1e-9)


def test_a_device_whose_pairs_all_failed_has_no_error():
    m = metrics_of(line_device("cz"), cnot=np.nan)
    assert best(m.connected_working_qubits) == (0, 0, 0)
    assert np.isnan(m.mean.best)
    assert m.qubit_reason == ("no working pair",) * 5


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize(
    ("device", "cnot", "dof"),
    [(line_device("cz"), [2e-3, 4e-3, 6e-3, 9e-3], 12.0), (ring(12), np.linspace(2e-3, 9e-3, 12), 6.0),
     (ring(12), [np.nan, *np.linspace(2e-3, 9e-3, 11)], 30.0)],
    ids=["line", "ring", "ring with an unmeasured pair"],
)  # fmt: skip
def test_draws_and_interval_of_the_mean_agree(device, cnot, dof, level):
    m = metrics_of(device, cnot=cnot, se=4e-4, dof=dof, level=level)
    inside = np.mean((m.draw_mean >= m.mean.low) & (m.draw_mean <= m.mean.high))
    # 4 standard deviations of a share of 3999 draws, and the t quantile of a sum against the sum of t draws
    assert inside == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / m.draw_mean.size) + 0.015)
    assert np.mean(m.draw_mean) == pytest.approx(m.mean.best, abs=4 * np.std(m.draw_mean) / np.sqrt(m.draw_mean.size))


def test_the_interval_of_the_median_lies_about_the_median_of_the_estimates():
    cnot = np.array([1e-3, 2e-3, 4e-3, 2e-2])
    m = metrics_of(line_device("cz"), cnot=cnot, se=2e-4)
    assert m.median.best == pytest.approx(3e-3)
    assert m.median.low < 3e-3 < m.median.high
    assert m.median.high - m.median.low == pytest.approx(2 * NORMAL * 2e-4 / np.sqrt(2), rel=0.1)


def test_count_and_mean_are_drawn_together():
    # the last pair is as likely to work as not; where it does, it counts in both
    m = metrics_of(line_device("cz"), cnot=[4e-3, 4e-3, 4e-3, 0.1], se=[1e-4, 1e-4, 1e-4, 5e-3])
    four, five = (m.draw_mean[m.draw_qubits == n] for n in (4, 5))
    assert len(four) + len(five) == m.draw_qubits.size
    assert len(five) / m.draw_qubits.size == pytest.approx(0.5, abs=0.04)
    assert four.max() < 6e-3 < five.min()
    assert (m.connected_working_qubits.low, m.connected_working_qubits.high) == (4, 5)


def test_the_same_generator_gives_the_same_record_and_another_one_the_same_estimates():
    device, cnot = ring(6), np.linspace(2e-3, 9e-3, 6)
    first, again, other = (metrics_of(device, seed, cnot=cnot) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first.mean == other.mean
    assert first.median.best == other.median.best
    assert not np.array_equal(first.draw_mean, other.draw_mean)


def test_connected_never_exceeds_working():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        device = ring(8)
        m = metrics_of(
            device, seed, cnot=np.where(rng.random(8) < 0.2, np.nan, rng.uniform(0.0, 0.15, 8)), se=5e-3, one=rng.uniform(0, 0.015, 8), one_se=2e-3,
            read=rng.uniform(0, 0.25, 8),
        )  # fmt: skip
        assert m.connected_working_qubits.best <= m.working_qubits.best
        assert m.connected_working_qubits.high <= m.working_qubits.high
        assert m.connected_working_qubits.best == len(m.members)
        assert (m.draw_qubits <= 8).all()
        assert np.isnan(m.mean.best) == (len(m.member_edges) == 0)


def test_an_interval_without_ends_survives_storage(tmp_path):
    device = device_of([(0, 1)], "cz", 2)
    fits = fits_of(device, cnot=[2e-3])
    m = make_metrics(device, fits, Criteria(), np.random.default_rng(1))
    m = m.replace(mean=Interval(low=-np.inf, best=2e-3, high=np.inf, level=0.95))
    directory = RunDirectory.create(tmp_path / "run")
    directory.write_record("metrics.json", m, software={})
    assert directory.read_record("metrics.json", DeviceMetrics) == m
    assert m.mean.as_dict() == {"low": None, "best": 2e-3, "high": None, "level": 0.95}


def test_a_failed_fit_between_two_halves_leaves_open_that_they_hang_together():
    device = line_device("cz", 9)
    cnot = np.full(8, 4e-3)
    cnot[3] = np.nan  # failed
    m = metrics_of(device, cnot=cnot)
    assert m.connected_working_qubits.best == 5
    assert set(m.draw_qubits.tolist()) == {5}
    assert set(m.draw_qubits_if.tolist()) == {9}
    cnot[3] = 0.3  # measured, and bad: no hope
    assert set(metrics_of(device, cnot=cnot).draw_qubits_if.tolist()) == {5}
    one = np.full(9, 5e-4)
    one[4] = np.nan
    assert set(metrics_of(device, one=one).draw_qubits_if.tolist()) == {9}


@pytest.mark.parametrize("cells", [1, 100, 7777])
def test_how_many_draws_are_looked_at_at_a_time_changes_nothing(cells, monkeypatch):
    device = line_device("cz", 6)
    fits = fits_of(device, cnot=[4e-3, np.nan, 3e-3, 0.05, 2e-3], se=1e-3, dof=12, one=[5e-4, 1e-3, np.nan, 5e-4, 5e-4, 5e-4], read=0.1)
    at_once = make_metrics(device, fits, Criteria(), np.random.default_rng(5))
    monkeypatch.setattr("qthreshold.metrics._CELLS", 100 * cells)
    assert make_metrics(device, fits, Criteria(), np.random.default_rng(5)).id == at_once.id
