"""Best connected parts of a measured device: halves that pick and halves that estimate, doubt, failed fits, and when there are none."""

import pickle

import numpy as np
import pytest

from qthreshold.fits import make_fits
from qthreshold.frontier import _Half, _sizes, make_frontier, reported_frontier
from qthreshold.metrics import make_metrics
from qthreshold.recipe import Criteria
from reference.devices import device_of
from reference.frontier import frontier as brute_force
from reference.survival import table_of

GRID = [(4 * r + c, 4 * r + c + 1) for r in range(3) for c in range(3)] + [(4 * r + c, 4 * r + c + 4) for r in range(2) for c in range(4)]
DEVICE = device_of(GRID, "cz", 12)
TRUTH = 2e-3 * np.random.default_rng(1).lognormal(0, 0.5, len(DEVICE.edges))


def made(decays, *, device=DEVICE, seed=3, criteria=None, connected=None, change=None, **options):
    rng, criteria = np.random.default_rng(seed), criteria or Criteria()
    fits = make_fits(decays, 0.95)
    fits = fits if change is None else change(fits)
    metrics = make_metrics(device, fits, criteria, rng, connected=connected)
    return make_frontier(device, decays, fits, metrics, criteria, rng, **options), fits, metrics


@pytest.fixture(scope="module")
def decays():
    return table_of(DEVICE, TRUTH, np.random.default_rng(2))


@pytest.fixture(scope="module")
def frontier(decays):
    return made(decays)[0]


def test_every_size_has_the_best_part_by_the_estimates(frontier, decays):
    wanted = brute_force(12, GRID_SORTED, make_fits(decays, 0.95).cnot[:, 0].tolist())
    assert frontier.reason == ""
    assert frontier.sizes.tolist() == list(range(2, 13))
    np.testing.assert_allclose(frontier.picked, [wanted[k] for k in frontier.sizes.tolist()])
    np.testing.assert_allclose(frontier.picked, frontier.bound)
    for k in frontier.sizes.tolist():
        assert len(frontier.qubits_of(k)) == k


GRID_SORTED = DEVICE.edges.tolist()


def test_each_half_picks_by_its_own_sequences_and_is_estimated_by_the_others(frontier, decays):
    for half, (mine, other) in enumerate(((0, 1), (1, 0))):
        errors = [make_fits(take(decays, h), 0.95) for h in (mine, other)]
        wanted = brute_force(12, GRID_SORTED, errors[0].cnot[:, 0].tolist())
        np.testing.assert_allclose(frontier.picked_half[half], [wanted[k] for k in frontier.sizes.tolist()])
        whole = errors[1].cnot[:, 0].mean()  # of all twelve qubits there is one part only
        assert frontier.estimate[half, -1] == pytest.approx(whole)
        assert frontier.standard_error[half, -1] == pytest.approx(np.sqrt((errors[1].cnot_error ** 2).sum()) / len(DEVICE.edges))


def take(decays, half):
    fields = ("two_qubit_survived", "two_qubit_shots", "two_qubit_expected")
    return decays.replace(**{f: getattr(decays, f)[..., half::2] for f in fields})


def test_both_halves_together_are_their_mean(frontier):
    np.testing.assert_allclose(frontier.cross[:, 0], frontier.estimate.mean(axis=0))
    assert (frontier.cross[:, 1] < frontier.cross[:, 0]).all()
    half = (frontier.cross[:, 2] - frontier.cross[:, 1]) / 2
    assert (half > 1.96 * frontier.standard_error.mean(axis=0)).all()


def test_bounds_of_draws_lie_about_those_of_the_estimates_and_below(frontier):
    at = frontier.draw_bound[:, frontier.sizes]
    assert at.shape == (1000, 11)
    assert np.isinf(frontier.draw_bound[:, :2]).all()
    assert (np.median(at, axis=0) <= frontier.bound * 1.05).all()
    low = frontier.draw_bound_low[:, frontier.sizes]
    assert (low <= at + 1e-15).all()  # the lower end of the worst case of the protocol


def test_a_pair_that_could_not_be_fitted_is_bad_in_a_part_and_good_in_a_bound(decays):
    lost = 5

    def fail(fits):
        cnot, error = fits.cnot.copy(), fits.cnot_error.copy()
        cnot[lost], error[lost] = np.nan, np.nan
        status = tuple("poor_fit" if e == lost else s for e, s in enumerate(fits.edge_status))
        return fits.replace(cnot=cnot, cnot_error=error, edge_status=status)

    whole, _, metrics = made(decays, change=fail)
    assert metrics.failed_edges == 1
    halves = [np.delete(make_fits(take(decays, h), 0.95).cnot[:, 0], lost) for h in (1, 0)]
    for half, others in enumerate(halves):
        assert whole.estimate[half, -1] == pytest.approx((others.sum() + Criteria().cnot_error) / len(DEVICE.edges))
    assert (whole.draw_bound[:, 2] <= 1e-15).mean() > 0.99  # the pair alone may be free of errors


def test_doubt_about_a_qubit_is_summed_over_the_part(decays):
    fits = make_fits(decays, 0.95)
    readout = fits.readout.copy()
    readout[3] = [0.2, 0.19, 0.21]  # at the criterion: it works or not, as likely as not
    frontier, _, metrics = made(decays, change=lambda f: f.replace(readout=readout))
    assert metrics.works[3] == pytest.approx(0.5, abs=0.05)
    inside = [k for k in frontier.sizes.tolist() if 3 in frontier.qubits_of(k)]
    assert frontier.doubt[0, -1] == pytest.approx((1 - metrics.works[metrics.members]).sum())
    assert 12 in inside or metrics.members.size == 11


@pytest.mark.parametrize(("why", "words"), [("stated", "is stated"), ("lots", "3 of 17 pairs were not measured"), ("dead", "no working pair")])
def test_where_the_best_parts_cannot_be_known_it_is_said_why(why, words, decays):
    if why == "stated":
        found = made(decays, connected=40)[0]
    elif why == "dead":
        found = made(decays, criteria=Criteria(cnot_error=1e-9))[0]
    else:
        some = {f: getattr(decays, f)[:, 3:] for f in ("two_qubit_survived", "two_qubit_shots", "two_qubit_expected")}
        found = made(decays.replace(edges=decays.edges[3:], **some))[0]
    assert words in found.reason
    assert found.sizes.size == found.cross.size == found.draw_bound.size == 0
    with pytest.raises(ValueError, match="no register of 5 qubits"):
        found.qubits_of(5)


def test_a_half_that_cannot_be_fitted_is_stood_in_for_by_all_sequences(decays):
    # two sequences of a length may agree to the last shot; without scatter a good curve looks like a poor fit
    fits, half = make_fits(decays, 0.95), make_fits(take(decays, 0), 0.95)
    cnot, error = half.cnot.copy(), half.cnot_error.copy()
    cnot[7], error[7] = np.nan, np.nan
    row = np.array([2, 7, 9])
    found = _Half.of(half.replace(cnot=cnot, cnot_error=error), fits, row)
    np.testing.assert_allclose(found.error, [half.cnot[2, 0], fits.cnot[7, 0], half.cnot[9, 0]])
    np.testing.assert_allclose(found.variance, [half.cnot_error[2] ** 2, 2 * fits.cnot_error[7] ** 2, half.cnot_error[9] ** 2])
    np.testing.assert_allclose(found.dof, [half.cnot_dof[2], fits.cnot_dof[7], half.cnot_dof[9]])


def test_two_sequences_a_length_are_enough(decays):
    few = decays.replace(**{f: getattr(decays, f)[..., :2] for f in ("two_qubit_survived", "two_qubit_shots", "two_qubit_expected")})
    frontier = made(few)[0]
    assert np.isfinite(frontier.cross).all()
    assert np.isfinite(frontier.draw_bound[:, 2:]).all()


def test_reported_errors_are_taken_as_they_are():
    frontier = reported_frontier(12, DEVICE.edges, TRUTH, 0.95)
    np.testing.assert_array_equal(frontier.cross[:, 0], frontier.picked)
    np.testing.assert_array_equal(frontier.cross[:, 1], frontier.cross[:, 2])
    np.testing.assert_array_equal(frontier.draw_bound[0, frontier.sizes], frontier.bound)
    silent = TRUTH.copy()
    silent[2] = np.nan
    assert "1 of 17 pairs report no error" in reported_frontier(12, DEVICE.edges, silent, 0.95).reason


def elsewhere(function, tasks):
    """As another process would: pickled, and in another order."""
    for i in reversed(range(len(tasks))):
        yield i, pickle.loads(pickle.dumps(function(pickle.loads(pickle.dumps(tasks[i])))))


def test_whoever_runs_the_tasks_the_frontier_is_the_same(frontier, decays):
    assert made(decays, run=elsewhere)[0].id == frontier.id


def test_of_large_devices_some_sizes_are_looked_at_and_all_are_bounded(frontier, decays):
    some = made(decays, every_size=4)[0]
    assert some.sizes.tolist() == [2, 3, 4, 10, 12]
    row = np.searchsorted(frontier.sizes, some.sizes)
    for field in ("picked", "bound", "cross", "members"):
        np.testing.assert_array_equal(getattr(some, field), getattr(frontier, field)[row])
    assert np.isfinite(some.draw_bound[:, 2:]).all()
    assert some.draw_bound.shape == some.draw_bound_low.shape == (1000, 13)
    # the draws are the same, and of all qubits there is one part only
    np.testing.assert_allclose(some.draw_bound[:, 12], frontier.draw_bound[:, 12])


@pytest.mark.parametrize("n", [513, 2025, 10000])
def test_sizes_looked_at_hold_those_at_which_rules_begin(n):
    sizes = _sizes(n, 512).tolist()
    assert sizes[0] == 2
    assert sizes[-1] == n
    assert sizes == sorted(set(sizes))
    assert {k for k in (34, 50, 100, 200, 350, 500, 700, 1100, 2000) if k <= n} <= set(sizes)
    assert len(sizes) < 250
    assert (np.array(sizes[1:]) / sizes[:-1]).max() <= 1.5  # 2 and 3
    assert _sizes(512, 512).tolist() == list(range(2, 513))


def test_reported_errors_of_a_large_device_are_bounded_at_every_size():
    n = 900
    line = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    found = reported_frontier(n, line, 2e-3 * np.random.default_rng(4).lognormal(0, 0.3, n - 1), 0.95)
    assert found.sizes.size < n - 1
    assert np.isfinite(found.draw_bound[0, 2:]).all()
    np.testing.assert_array_equal(found.draw_bound[0, found.sizes], found.bound)
