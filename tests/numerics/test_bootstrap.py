import numpy as np
import pytest

from qthreshold.numerics.bootstrap import bootstrap_decays, bootstrap_interleaved
from qthreshold.numerics.decay import fit_decays, interleaved_error
from qthreshold.numerics.intervals import bootstrap_interval, student_t
from reference.decay import fit_one

M = np.array([1, 20, 60, 150])
R = 1e-3
P_REF, P_INT = 1 - 4 / 3 * 2.6e-3, (1 - 4 / 3 * 2.6e-3) * (1 - 4 / 3 * R)


def arms(n, sequences, rng, scatter=0.0, shots=300):
    """Counts of both arms (2, N, L, K); sequences differ by ``scatter`` times the lost signal, the same in both arms."""
    common = scatter * rng.standard_normal((n, len(M), sequences))
    out = [np.clip((0.72 * p**M + 0.25)[:, None] + common * (1 - p**M)[:, None], 0, 1) for p in (P_REF, P_INT)]
    return np.stack([rng.binomial(shots, s) for s in out])


@pytest.mark.parametrize("sequences", [3, 12])
@pytest.mark.parametrize("scatter", [0.0, 0.1])
def test_replicates_scatter_as_the_sandwich_says(sequences, scatter):
    rng = np.random.default_rng(1)
    x = arms(150, sequences, rng, scatter)
    fit, boot = interleaved_error(M, *x, 300), bootstrap_interleaved(M, *x, 300, rng=rng, replicates=400)
    np.testing.assert_array_equal(boot.error, fit.error)
    # drawing sequences alone would give sqrt((K-1)/K), drawing shots on top of them up to sqrt(2) of this
    assert np.mean(boot.standard_error**2) / np.mean(fit.standard_error**2) == pytest.approx(1.0, abs=0.08)
    assert (boot.failed == 0).all()


@pytest.mark.parametrize("sequences", [3, 10])
@pytest.mark.parametrize("scatter", [0.0, 0.1])
def test_intervals_cover_at_the_stated_level(sequences, scatter):
    rng = np.random.default_rng(2)
    n = 1200
    boot = bootstrap_interleaved(M, *arms(n, sequences, rng, scatter), 300, rng=rng, replicates=300)
    low, high = (0.93, 0.97) if sequences == 3 else (0.935, 0.965)
    slack = 4 * np.sqrt(0.05 * 0.95 / n)
    assert low - slack < ((boot.low <= R) & (boot.high >= R)).mean() < high + slack


def test_the_mean_over_pairs_comes_from_rows_of_replicates():
    rng = np.random.default_rng(3)
    x = arms(60, 10, rng)
    fit, boot = interleaved_error(M, *x, 300), bootstrap_interleaved(M, *x, 300, rng=rng, replicates=1500)
    of_mean = boot.draws.mean(axis=1).std()
    assert of_mean == pytest.approx(np.sqrt((fit.standard_error**2).sum()) / 60, rel=0.1)


def test_replicates_are_fits_of_resampled_counts():
    """A slow twin of one stage: without scatter between sequences, replicates are fits of binomial counts of the mean."""
    rng = np.random.default_rng(4)
    x = np.rint(300 * (0.72 * P_REF**M + 0.25)).astype(int)[None, :, None].repeat(8, axis=2)  # all sequences alike
    draws = bootstrap_decays(M, [x], 300, rng=rng, replicates=4000)[:, 0, 0]
    totals = rng.binomial(2400, x[0, :, 0] / 300, (300, 4))
    slow = [fit_one(M, t[None], np.full((1, 4), 2400), 0.25, [0.72, P_REF])[1] for t in totals]
    assert draws.mean() == pytest.approx(np.mean(slow), abs=4 * np.std(slow) / np.sqrt(300))
    assert draws.std() == pytest.approx(np.std(slow), rel=4 / np.sqrt(2 * 300))


def test_gaps_are_never_drawn():
    rng = np.random.default_rng(5)
    x = arms(40, 6, rng)
    padded, shots = np.zeros((2, 40, len(M), 11), int), np.zeros((2, 40, len(M), 11), int)
    padded[..., 2:8], shots[..., 2:8] = x, 300
    whole = bootstrap_decays(M, list(x), 300, rng=np.random.default_rng(6), replicates=600)
    gappy = bootstrap_decays(M, list(padded), shots, rng=np.random.default_rng(7), replicates=600)
    np.testing.assert_allclose(gappy.mean(axis=0), whole.mean(axis=0), atol=6e-4)
    assert np.median(gappy.std(axis=0) / whole.std(axis=0)) == pytest.approx(1.0, abs=0.05)


def test_the_same_generator_gives_the_same_replicates():
    x = arms(5, 4, np.random.default_rng(8))
    once, again = (bootstrap_decays(M, list(x), 300, rng=np.random.default_rng(9), replicates=50) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.shape == (50, 2, 5)
    assert len(np.unique(once[:, 0, 0])) == 50


def test_what_cannot_be_fitted_is_nan_and_counted():
    rng = np.random.default_rng(10)
    x = arms(3, 6, rng)
    shots = np.full(x.shape, 300)
    shots[:, 1, 1:] = x[:, 1, 1:] = 0  # one length only
    boot = bootstrap_interleaved(M, *x, shots, rng=rng, replicates=50)
    np.testing.assert_array_equal(boot.failed, [0, 1, 0])
    np.testing.assert_array_equal(np.isnan(boot.low), [False, True, False])
    assert np.isnan(boot.draws[:, 1]).all()


def test_no_decay_is_an_answer_no_signal_is_none():
    flat = np.full((1, 4, 6), 300)
    assert (bootstrap_decays(M, [flat], 300, rng=np.random.default_rng(11), replicates=20) > 1 - 1e-9).all()
    noise = np.random.default_rng(12).binomial(300, 0.25, (1, 4, 6))
    draws = bootstrap_decays(M, [noise], 300, rng=np.random.default_rng(13), replicates=200)
    assert fit_decays(M, noise, 300).status[0] == "too_fast"
    assert np.isnan(draws).any()


def test_outcomes_are_taken_out_of_the_scatter():
    rng = np.random.default_rng(14)
    outcome = np.argsort(rng.random((60, 4, 12)), axis=2) % 4
    s = np.clip((0.70 * P_REF**M + 0.25)[:, None] * (1 + 0.03 * (outcome - 1.5)), 0, 1)
    x = rng.binomial(1000, s)
    blind, told = (bootstrap_decays(M, [x], 1000, rng=rng, replicates=200, outcome=o).std(axis=0) for o in (None, outcome))
    assert np.median(told / blind) < 0.8


def test_interval_of_replicates_is_their_spread_times_student_t():
    rng = np.random.default_rng(15)
    draws = np.concatenate([rng.normal(0, 2, (20_000, 1)), np.full((10, 1), 1e9), np.full((500, 1), np.nan)])
    low, high, error = bootstrap_interval([7.0], draws, [4.0], 0.9)
    assert error[0] == pytest.approx(2, rel=0.03)  # wild replicates do not move it
    assert high[0] - 7 == pytest.approx(7 - low[0]) == pytest.approx(float(student_t(4, 0.9)) * error[0])


def test_without_failures_the_interval_is_that_of_the_fit():
    x = np.full((1, 4, 6), 300)
    fit, boot = interleaved_error(M, x, x, 300), bootstrap_interleaved(M, x, x, 300, rng=np.random.default_rng(16), replicates=20)
    assert boot.status[0] == "no_decay"
    assert (boot.low[0], boot.high[0]) == (fit.low[0], fit.high[0])
    assert boot.high[0] > 1e-7


def test_replicates_of_a_shifted_asymptote_fit_it_too():
    rng = np.random.default_rng(17)
    lengths = np.array([1, 20, 60, 150, 400])
    ref, inter = (rng.binomial(400, np.broadcast_to((0.72 * p**lengths + 0.19)[:, None], (20, 5, 20))) for p in (0.99, 0.98))
    boot = bootstrap_interleaved(lengths, ref, inter, 400, rng=rng, replicates=200)
    assert (boot.status == "asymptote_shifted").all()
    fit = interleaved_error(lengths, ref, inter, 400)
    assert np.median(boot.standard_error / fit.standard_error) == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(np.nanmean(boot.draws, axis=0), boot.error, atol=4 * boot.standard_error.max() / np.sqrt(200))


def test_spread_holds_however_unequal_the_shots():
    rng = np.random.default_rng(18)
    shots = np.rint(10 ** rng.uniform(1, 3.5, (200, 4, 8))).astype(int)
    q = np.clip((0.72 * P_REF**M + 0.25)[:, None] + 0.05 * (1 - P_REF**M)[:, None] * rng.standard_normal(shots.shape), 0, 1)
    x = rng.binomial(shots, q)
    fit, draws = fit_decays(M, x, shots), bootstrap_decays(M, [x], shots, rng=rng, replicates=200)[:, 0]
    assert np.median(draws.std(axis=0) / fit.p_error) == pytest.approx(1.0, abs=0.15)


def test_no_curves_are_fine():
    none = np.zeros((0, 4, 3), int)
    boot = bootstrap_interleaved(M, none, none, 5, rng=np.random.default_rng(19), replicates=3)
    assert boot.error.shape == boot.low.shape == (0,)
    assert boot.draws.shape == (3, 0)


def test_misuse_is_refused():
    x, rng = np.zeros((1, 4, 2), int), np.random.default_rng(1)
    with pytest.raises(ValueError, match="at least one replicate is needed, got 0"):
        bootstrap_decays(M, [x], 5, rng=rng, replicates=0)
    with pytest.raises(ValueError, match="at least two replicates, got 1"):
        bootstrap_interleaved(M, x, x, 5, rng=rng, replicates=1)
    with pytest.raises(ValueError, match=r"asymptote must lie in \[0, 1\), got 7.0"):
        bootstrap_decays(M, [x], 5, rng=rng, asymptote=7.0)
    with pytest.raises(ValueError, match="dim must be at least 2, got 0"):
        bootstrap_interleaved(M, x, x, 5, rng=rng, dim=0)
