import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qthreshold.numerics import decay, likelihood
from qthreshold.numerics.decay import REASONS, REJECTED, fit_decays, interleaved_error, joint_decays
from qthreshold.numerics.intervals import clopper_pearson, satterthwaite
from qthreshold.numerics.rates import magesan_bound
from reference.decay import fit_one, sandwich_one

M = np.array([1, 40, 120])


def curves(p, lengths, shots, sequences, rng, a=0.72, b=0.25):
    """Binomial counts (N, L, K) of decays with parameters p (N,)."""
    survival = np.clip(np.asarray(a)[..., None] * np.asarray(p)[:, None] ** lengths + b, 0, 1)
    return rng.binomial(shots, np.broadcast_to(survival[..., None], (*survival.shape, sequences)))


def exact(p, lengths, a=0.75, b=0.25, shots=10**9):
    """Counts without sampling noise, (N, L, 2)."""
    survival = a * np.asarray(p)[:, None] ** np.asarray(lengths, float) + b
    return np.rint(shots * survival).astype(np.int64)[..., None].repeat(2, axis=2), shots


def in_band(count, trials, low, high):
    """Whether a share of hits lies in a band, up to its own statistics."""
    slack = 4 * np.sqrt(0.05 * 0.95 / trials)
    return low - slack < count / trials < high + slack


BAND = {3: (0.93, 0.97), 10: (0.935, 0.965)}  # wanted coverage of 95 % intervals, by sequences per length

# the slow twin


@pytest.mark.parametrize("asymptote", [0.25, 0.5, None])
def test_batch_agrees_with_the_slow_twin(asymptote):
    rng = np.random.default_rng(1)
    lengths = np.array([1, 10, 30, 80, 200])
    p = rng.uniform(0.97, 0.985 if asymptote is None else 0.999, 25)
    b = 0.25 if asymptote is None else asymptote
    x = curves(p, lengths, 300, 6, rng, a=0.9 * (1 - b), b=b)
    fit = fit_decays(lengths, x, 300, asymptote=asymptote)
    for i in range(len(p)):
        start = [0.9 * (1 - b), p[i]] + ([b] if asymptote is None else [])
        twin = fit_one(lengths, x[i].sum(-1)[None], np.full((1, 5), 1800), asymptote, start)
        assert fit.p[i] == pytest.approx(twin[1], rel=1e-8)
        assert 1 - fit.p[i] == pytest.approx(1 - twin[1], rel=1e-6)
        assert fit.a[i] == pytest.approx(twin[0], rel=1e-6)
        assert fit.b[i] == pytest.approx(b if asymptote is not None else twin[2], rel=1e-6)


def test_batch_agrees_with_the_slow_twin_on_ragged_data():
    rng = np.random.default_rng(2)
    lengths = np.array([1, 25, 60, 150])
    p = rng.uniform(0.98, 0.995, 20)
    shots = rng.integers(0, 400, (20, 4, 5)) * (rng.random((20, 4, 5)) < 0.8)
    x = rng.binomial(shots, (0.7 * p[:, None] ** lengths + 0.25)[..., None])
    fit = fit_decays(lengths, x, shots)
    for i in range(20):
        twin = fit_one(lengths, x[i].sum(-1)[None], shots[i].sum(-1)[None], 0.25, [0.7, p[i]])
        assert fit.p[i] == pytest.approx(twin[1], rel=1e-8)


def test_joint_fit_agrees_with_the_slow_twin():
    rng = np.random.default_rng(3)
    p_ref = rng.uniform(0.985, 0.995, 20)
    p_int = p_ref * rng.uniform(0.985, 0.998, 20)
    ref, inter = (curves(p, M, 500, 8, rng) for p in (p_ref, p_int))
    fit = interleaved_error(M, ref, inter, 500)
    for i in range(20):
        twin = fit_one(M, np.stack([ref[i].sum(-1), inter[i].sum(-1)]), np.full((2, 3), 4000), 0.25, [0.72, p_ref[i], p_int[i]])
        assert fit.p_ref[i] == pytest.approx(twin[1], rel=1e-8)
        assert fit.p_int[i] == pytest.approx(twin[2], rel=1e-8)
        assert fit.error[i] == pytest.approx(0.75 * (1 - twin[2] / twin[1]), rel=1e-6)


def test_joint_fit_of_four_arms_agrees_with_the_slow_twin():
    rng = np.random.default_rng(16)
    p = np.array([0.99, 0.985, 0.988, 0.98])
    arms = [curves(np.full(6, q), M, 400, 8, rng) for q in p]
    fit = joint_decays(M, arms, 400, ratios=[(1, 0), (3, 2)])
    for i in range(6):
        twin = fit_one(M, np.stack([x[i].sum(-1) for x in arms]), np.full((4, 3), 3200), 0.25, [0.72, *p])
        np.testing.assert_allclose(fit.p[i], twin[1:], rtol=1e-8)
        assert fit.a[i] == pytest.approx(twin[0], rel=1e-7)
        np.testing.assert_allclose(fit.error[i], 0.75 * (1 - twin[[2, 4]] / twin[[1, 3]]), rtol=1e-6)


def test_joint_fit_of_two_arms_is_the_interleaved_fit():
    rng = np.random.default_rng(17)
    ref, inter = curves(np.full(9, 0.99), M, 300, 5, rng), curves(np.full(9, 0.98), M, 300, 5, rng)
    joint, fit = joint_decays(M, [ref, inter], 300, ratios=[(1, 0)]), interleaved_error(M, ref, inter, 300)
    np.testing.assert_array_equal(joint.error[:, 0], fit.error)
    np.testing.assert_array_equal(joint.p[:, 1], fit.p_int)
    assert joint_decays(M, [ref, inter], 300).error.shape == (9, 0)


def test_arms_that_share_an_amplitude_sharpen_each_other():
    rng = np.random.default_rng(18)
    ref, inter = (curves(np.full(400, q), M, 300, 10, rng) for q in (0.99, 0.985))
    shots = np.full((2, 400, 3, 10), 300)
    shots[1, :, 0] = inter[:, 0] = 0  # without its short length an arm alone hardly knows its amplitude
    together, alone = joint_decays(M, [ref, inter], shots), fit_decays(M, inter, shots[1])
    assert together.p[:, 1].std() < 0.75 * alone.p.std()
    assert np.median(together.p_error[:, 1]) == pytest.approx(together.p[:, 1].std(), rel=0.15)


def test_lengths_that_one_arm_did_not_use_are_missing_cells():
    rng = np.random.default_rng(19)
    ref, inter = curves([0.99], M, 300, 6, rng), curves([0.985], M, 300, 6, rng)
    shots = np.full((2, 1, 3, 6), 300)
    shots[1, :, 1] = 0
    inter[:, 1] = 0
    fit = joint_decays(M, [ref, inter], shots)
    twin = fit_one(M, np.stack([ref[0].sum(-1), inter[0].sum(-1)]), shots[:, 0].sum(-1), 0.25, [0.72, 0.99, 0.985])
    np.testing.assert_allclose(fit.p[0], twin[1:], rtol=1e-8)


# intervals of the slow twin


@pytest.mark.parametrize("asymptote", [0.25, None])
@pytest.mark.parametrize("ragged", [False, True])
def test_covariance_and_interval_agree_with_the_slow_twin(asymptote, ragged):
    rng = np.random.default_rng(33)
    lengths = np.array([1, 25, 60, 150])
    p = rng.uniform(0.97, 0.985, 12)
    shots = np.full((12, 4, 6), 400)
    if ragged:
        shots = np.where(rng.random(shots.shape) < 0.8, rng.integers(200, 400, shots.shape), 0)
        shots[..., :2] = np.maximum(shots[..., :2], 100)  # every length keeps two sequences
    x = rng.binomial(shots, (0.72 * p[:, None] ** lengths + 0.25)[..., None])
    fit = fit_decays(lengths, x, shots, asymptote=asymptote, level=0.9)
    for i in np.flatnonzero(~np.isin(fit.status, [*REJECTED, "asymptote_shifted"])):
        theta = [fit.a[i], fit.p[i]] + ([fit.b[i]] if asymptote is None else [])
        covariance, parts, dofs = sandwich_one(lengths, x[i][None], shots[i][None], asymptote, theta)
        order = [1, 0, 2][: len(theta)]
        np.testing.assert_allclose(fit.covariance[i], covariance[np.ix_(order, order)], rtol=1e-6)
        assert fit.p_error[i] == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-7)
        assert fit.p_dof[i] == pytest.approx(float(satterthwaite(parts, dofs)), rel=1e-6)
        rate, error = -np.log(fit.p[i]), np.sqrt(covariance[1, 1]) / fit.p[i]
        half = stats.t.ppf(0.95, fit.p_dof[i]) * error
        assert -np.log(fit.p_low[i]) == pytest.approx(rate + half, rel=1e-6)
        assert -np.log(fit.p_high[i]) == pytest.approx(max(rate - half, 0), rel=1e-6)


def test_covariance_of_both_arms_agrees_with_the_slow_twin():
    rng = np.random.default_rng(34)
    common = rng.normal(0, 0.03, (8, 3, 7))
    arms = [rng.binomial(500, np.clip((0.72 * q**M + 0.25)[:, None] + common, 0, 1)) for q in (0.99, 0.985)]
    fit = interleaved_error(M, *arms, 500)
    for i in range(8):
        theta = [fit.a[i], fit.p_ref[i], fit.p_int[i]]
        covariance = sandwich_one(M, np.stack([x[i] for x in arms]), np.full((2, 3, 7), 500), 0.25, theta)[0]
        np.testing.assert_allclose(fit.covariance[i], covariance[np.ix_([1, 2, 0], [1, 2, 0])], rtol=1e-6)
        ratio = fit.p_int[i] / fit.p_ref[i]  # the delta rule on p_int / p_ref
        slope = np.array([0, -ratio / fit.p_ref[i], 1 / fit.p_ref[i]])
        assert fit.standard_error[i] == pytest.approx(0.75 * np.sqrt(slope @ covariance @ slope), rel=1e-6)


# lengths in any order


def test_order_of_lengths_does_not_matter():
    rng = np.random.default_rng(20)
    x = curves(rng.uniform(0.98, 0.995, 20), M, 200, 6, rng)
    order = [2, 0, 1]
    sorted_, shuffled = fit_decays(M, x, 200), fit_decays(M[order], x[:, order], 200)
    np.testing.assert_array_equal(sorted_.p, shuffled.p)
    np.testing.assert_array_equal(sorted_.p_low, shuffled.p_low)


def test_a_repeated_length_is_one_length_with_more_sequences():
    rng = np.random.default_rng(21)
    x = curves(rng.uniform(0.98, 0.995, 20), np.repeat(M, 2), 200, 6, rng)
    pooled = np.concatenate([x[:, ::2], x[:, 1::2]], axis=2)
    a, b = fit_decays(np.repeat(M, 2), x, 200), fit_decays(M, pooled, 200)
    for name in ("p", "p_low", "p_high", "chi2", "covariance"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-10)


def test_only_some_lengths_repeated_leave_gaps_that_count_as_missing():
    rng = np.random.default_rng(22)
    x = curves(rng.uniform(0.98, 0.995, 20), [1, 40, 40, 120], 200, 6, rng)
    padded, shots = np.zeros((20, 3, 12), int), np.zeros((20, 3, 12), int)
    for i, rows in enumerate(([0], [1, 2], [3])):
        padded[:, i, : 6 * len(rows)] = x[:, rows].reshape(20, -1)
        shots[:, i, : 6 * len(rows)] = 200
    a, b = fit_decays([1, 40, 40, 120], x, 200), fit_decays(M, padded, shots)
    np.testing.assert_array_equal(a.p_low, b.p_low)
    one = np.stack([fit_one(M, padded[i].sum(-1)[None], shots[i].sum(-1)[None], 0.25, [0.72, 0.99])[1] for i in range(20)])
    np.testing.assert_allclose(a.p, one, rtol=1e-8)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(23)
    x = curves(rng.uniform(0.5, 0.9999, 500), M, 100, 4, rng)
    x[::50] = 0
    whole_, shots = fit_decays(M, x, 100), np.where(rng.random(x.shape) < 0.9, 100, 0)
    ragged = fit_decays(M, np.minimum(x, shots), shots)
    monkeypatch.setattr(decay, "_BLOCK_CELLS", 800)  # 64 curves a block
    for before, after in ((whole_, fit_decays(M, x, 100)), (ragged, fit_decays(M, np.minimum(x, shots), shots))):
        for field in dataclasses.fields(before):
            old, new = getattr(before, field.name), getattr(after, field.name)
            if field.name in ("status", "dof"):
                np.testing.assert_array_equal(old, new)
            else:  # sums may be taken in another order
                np.testing.assert_allclose(old, new, rtol=1e-7, atol=1e-7)


# nothing failed


@pytest.mark.parametrize("level", [0.68, 0.95])
def test_without_a_failure_the_bound_is_that_of_clopper_and_pearson(level):
    """Every shot of length m fails with probability A m rate, A = 3/4; two-sided, so 3.7 instead of the 3 of the one-sided rule."""
    fit = fit_decays(M, whole(1, 3, 10, value=1000), 1000, level=level)
    exposure = 0.75 * 10_000 * M.sum()
    assert fit.status[0] == "no_decay"
    assert 1 - fit.p_low[0] == pytest.approx(float(clopper_pearson(0, exposure, level)[2]), rel=1e-3)
    assert fit.p_high[0] == pytest.approx(1.0, abs=1e-9)


def test_bounds_hold_the_truth_where_hardly_anything_fails():
    rng = np.random.default_rng(24)
    p = np.full(4000, 1 - 1e-6)  # one or two failures in all
    x = curves(p, M, 200, 10, rng, a=0.75)
    fit = fit_decays(M, x, 200)
    assert ((fit.p_low <= p) & (p <= fit.p_high)).mean() > 0.94
    inter = interleaved_error(M, x, curves(p * (1 - 1e-6), M, 200, 10, rng, a=0.75), 200)
    ok = np.isfinite(inter.error)
    assert ok.all()
    assert ((inter.low <= 7.5e-7) & (inter.high >= 7.5e-7))[ok].mean() > 0.94


# recovering the truth


@pytest.mark.parametrize("error", [0.3, 1e-1, 1e-2, 1e-4, 1e-6])
def test_noise_free_curves_give_their_own_parameters(error):
    lengths = np.unique(np.maximum(np.array([0, 0.3, 1.0, 2.0]) / error, [0, 1, 2, 4]).astype(int))
    x, shots = exact([1 - error], lengths, a=0.7)
    fit = fit_decays(lengths, x, shots)
    assert fit.status[0] == "ok"
    assert 1 - fit.p[0] == pytest.approx(error, rel=1e-5)
    assert fit.a[0] == pytest.approx(0.7, rel=1e-5)


def test_free_asymptote_is_found():
    x, shots = exact([0.97], [1, 20, 50, 200], a=0.6, b=0.31)
    fit = fit_decays([1, 20, 50, 200], x, shots, asymptote=None)
    assert fit.b[0] == pytest.approx(0.31, abs=1e-6)
    assert fit.p[0] == pytest.approx(0.97, abs=1e-6)
    assert fit.covariance.shape == (1, 3, 3)


def test_lengths_of_twenty_thousand_cliffords():
    lengths = np.array([1, 5000, 20_000])
    x = curves(np.full(50, 1 - 1e-4), lengths, 300, 10, np.random.default_rng(4))
    fit = fit_decays(lengths, x, 300)
    assert (fit.status == "ok").all()
    np.testing.assert_allclose(1 - fit.p, 1e-4, rtol=0.2)
    assert ((fit.p_low <= 1 - 1e-4) & (fit.p_high >= 1 - 1e-4)).mean() > 0.8


def test_amplitude_below_one_is_not_taken_for_decay():
    x, shots = exact([0.99], [1, 50, 150], a=0.45)
    fit = fit_decays([1, 50, 150], x, shots)
    assert 1 - fit.p[0] == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_length_without_data_is_left_out(missing):
    lengths = np.array([1, 40, 80, 120])
    x, shots = exact([0.99], lengths, shots=10**6)
    shots = np.full(x.shape, shots)
    shots[:, missing] = 0
    fit = fit_decays(lengths, np.minimum(x, shots), shots)
    assert fit.status[0] == "ok"
    assert 1 - fit.p[0] == pytest.approx(0.01, rel=1e-3)


def test_permuting_curves_permutes_results():
    rng = np.random.default_rng(5)
    x = curves(rng.uniform(0.5, 0.999, 40), M, 100, 4, rng)
    order = rng.permutation(40)
    a, b = fit_decays(M, x, 100), fit_decays(M, x[order], 100)
    for name in ("p", "p_low", "p_high", "a", "chi2", "covariance", "status"):
        left, right = getattr(a, name)[order], getattr(b, name)
        np.testing.assert_array_equal(left, right) if name == "status" else np.testing.assert_allclose(left, right, rtol=1e-9)


def test_a_curve_is_fitted_the_same_alone_and_among_hopeless_ones():
    rng = np.random.default_rng(6)
    good = curves([0.99], M, 200, 6, rng)
    batch = np.concatenate([good, np.zeros_like(good), np.full_like(good, 200), rng.integers(0, 200, good.shape)])
    assert fit_decays(M, batch, 200).p[0] == pytest.approx(fit_decays(M, good, 200).p[0], rel=1e-12)


def test_doubling_the_shots_of_every_cell_halves_the_binomial_variance():
    x, shots = exact([0.99], M, shots=1000)
    once, twice = fit_decays(M, x, shots), fit_decays(M, 2 * x, 2 * shots)
    assert twice.p[0] == pytest.approx(once.p[0], rel=1e-10)
    assert twice.p_error[0] == pytest.approx(once.p_error[0] / np.sqrt(2), rel=1e-6)


def test_sequences_that_scatter_beyond_their_shots_widen_the_interval():
    rng = np.random.default_rng(7)
    survival = 0.7 * 0.99**M + 0.25
    wide = rng.binomial(1000, np.clip(survival[:, None] + rng.normal(0, 0.05, (500, 3, 20)), 0, 1))
    narrow = rng.binomial(1000, np.broadcast_to(survival[:, None], (500, 3, 20)))
    ratio = np.nanmedian(fit_decays(M, wide, 1000).p_error) / np.nanmedian(fit_decays(M, narrow, 1000).p_error)
    expected = np.sqrt(1 + 0.05**2 * 1000 / (survival * (1 - survival)).mean())
    assert ratio == pytest.approx(expected, rel=0.25)


def test_covariance_is_that_of_p_and_a():
    x = curves(np.full(400, 0.99), M, 300, 12, np.random.default_rng(8))
    fit = fit_decays(M, x, 300)
    np.testing.assert_allclose(np.sqrt(fit.covariance[:, 0, 0]), fit.p_error, rtol=1e-9)
    seen = np.cov(fit.p, fit.a)
    mean = fit.covariance.mean(axis=0)
    np.testing.assert_allclose(mean, seen, rtol=0.35)


# statuses


def test_statuses_say_what_is_wrong():
    shots = 200
    survived = np.stack([
        np.full((3, 4), 200),  # nothing ever fails
        [[190] * 4, [50] * 4, [50] * 4],  # gone before the second length
        [[180] * 4, [60] * 4, [180] * 4],  # comes back
        [[190] * 4, [145] * 4, [96] * 4],
    ])  # fmt: skip
    fit = fit_decays(M, survived, shots)
    assert fit.status.tolist() == ["no_decay", "too_fast", "poor_fit", "ok"]
    assert np.isfinite(fit.p).tolist() == [True, False, False, True]
    assert set(fit.status) <= set(REASONS)


LONG = np.array([1, 20, 60, 150, 400])


@pytest.mark.parametrize("arms", [1, 2])
def test_a_shifted_asymptote_is_said_and_fitted(arms):
    rng = np.random.default_rng(25)
    p = np.full(200, 0.99)
    x = [curves(p if g == 0 else 0.99 * p, LONG, 400, 20, rng, b=0.19, a=0.78) for g in range(arms)]
    fit = fit_decays(LONG, x[0], 400) if arms == 1 else interleaved_error(LONG, *x, 400)
    found = fit.p if arms == 1 else fit.p_ref
    assert (fit.status == "asymptote_shifted").mean() > 0.98
    assert np.median(fit.b) == pytest.approx(0.19, abs=0.005)
    assert found.mean() == pytest.approx(0.99, abs=4 * found.std() / np.sqrt(200) + 1e-5)
    assert (np.abs(fit.asymptote_z) > 4).mean() > 0.98
    assert fit.covariance.shape[1:] == (1 + arms, 1 + arms)
    low, high = (fit.p_low, fit.p_high) if arms == 1 else (fit.p_ref_low, fit.p_ref_high)
    assert in_band(((low <= 0.99) & (high >= 0.99)).sum(), 200, 0.93, 0.97)
    if arms == 2:
        assert in_band(((fit.low <= 0.0075) & (fit.high >= 0.0075)).sum(), 200, 0.93, 0.97)


@pytest.mark.parametrize("direction", [-1, 1])
def test_results_that_drift_in_time_are_said_to_and_keep_their_numbers(direction):
    rng = np.random.default_rng(26)
    ramp = np.linspace(-0.08, 0.08, 40)[::direction]  # of the survival at the longer lengths, in the course of the run
    s = 0.72 * 0.99 ** LONG[:, None] + 0.25 + ramp * (LONG > 20)[:, None]
    fit = fit_decays(LONG, rng.binomial(1000, np.broadcast_to(s, (100, 5, 40))), 1000)
    assert (fit.status == "drift").mean() > 0.95
    assert np.isfinite(fit.p).all()


def test_sequences_that_both_arms_share_are_no_drift():
    rng = np.random.default_rng(27)
    common = rng.normal(0, 0.05, (2000, 5, 20))
    s = [np.clip((0.7 * p**LONG + 0.25)[:, None] + common, 0, 1) for p in (0.99, 0.985)]
    fit = interleaved_error(LONG, *(rng.binomial(1000, v) for v in s), 1000)
    assert (fit.status == "drift").sum() <= 1


def test_good_curves_raise_no_alarm():
    rng = np.random.default_rng(28)
    x = curves(rng.uniform(0.98, 0.995, 20_000), LONG, 200, 10, rng)
    fit = fit_decays(LONG, x, 200)
    assert np.isin(fit.status, ["asymptote_shifted", "drift", "poor_fit"]).sum() <= 4  # once in 100,000 each
    assert np.nanstd(fit.asymptote_z) == pytest.approx(1.0, abs=0.08)
    assert np.nanmean(fit.asymptote_z) == pytest.approx(0.0, abs=0.05)
    assert np.nanstd(fit.runs_z) == pytest.approx(1.0, abs=0.08)
    assert -0.1 < np.nanmean(fit.runs_z) < 0.4  # about their own mean residuals change sign more often than independent ones


def test_missing_cells_do_not_count_as_runs():
    rng = np.random.default_rng(29)
    x = curves(np.full(300, 0.99), LONG, 200, 10, rng)
    gaps = np.zeros((300, 5, 10), int)
    shots = np.concatenate([np.full((300, 5, 10), 200), gaps], axis=2)
    spread = rng.permuted(np.arange(20))  # the same cells in the same order, with gaps between
    spread = np.argsort(np.where(spread < 10, 0, 1), kind="stable")
    place = np.sort(spread[:10])
    wide, there = np.zeros((300, 5, 20), int), np.zeros((300, 5, 20), int)
    wide[:, :, place], there[:, :, place] = x, 200
    whole_ = fit_decays(LONG, x, 200)
    for got in (fit_decays(LONG, np.concatenate([x, gaps], axis=2), shots), fit_decays(LONG, wide, there)):
        np.testing.assert_allclose(got.runs_z, whole_.runs_z)
        np.testing.assert_allclose(got.p_low, whole_.p_low, rtol=1e-12)


def test_overdispersion_is_the_scatter_in_units_of_that_of_shots():
    rng = np.random.default_rng(30)
    survival = 0.7 * 0.99**M + 0.25
    sd = 0.03
    x = rng.binomial(500, np.clip(survival[:, None] + rng.normal(0, sd, (2000, 3, 10)), 0, 1))
    expected = 1 + np.mean(sd**2 * 499 / (survival * (1 - survival))[1:])
    assert np.mean(fit_decays(M[1:], x[:, 1:], 500).overdispersion) == pytest.approx(expected, rel=0.03)
    assert np.mean(fit_decays(M, curves(np.full(2000, 0.99), M, 500, 10, rng), 500).overdispersion) == pytest.approx(1.0, abs=0.02)


def uneven_readout(p, outcome, lengths, shots, rng, flips=(0.01, 0.03)):
    """Counts (N, L, K) of sequences that should end in ``outcome``, with P(1|0) and P(0|1) of both qubits."""
    one = np.array([[1 - flips[0], flips[1]], [flips[0], 1 - flips[1]]])  # read, true
    read = np.kron(one, one)
    signal = p ** lengths[:, None]
    survival = read.diagonal() * (signal + (1 - signal) / 4) + (read.sum(axis=1) - read.diagonal()) * (1 - signal) / 4  # (L, 4)
    return rng.binomial(shots, survival[np.arange(len(lengths))[:, None], outcome])


@pytest.mark.parametrize("sequences", [4, 12])
def test_an_uneven_readout_is_not_taken_for_scatter_when_outcomes_are_told(sequences):
    rng = np.random.default_rng(31)
    outcome = np.argsort(rng.random((4000, len(LONG), sequences)), axis=2) % 4
    p_ref, p_int = 0.995, 0.995 * (1 - 4 / 3 * 2e-3)
    ref, inter = (uneven_readout(p, outcome, LONG, 1000, rng) for p in (p_ref, p_int))
    blind, told = fit_decays(LONG, ref, 1000), fit_decays(LONG, ref, 1000, outcome=outcome)
    np.testing.assert_allclose(told.p, blind.p, rtol=1e-12)
    band = BAND[3 if sequences == 4 else 10]
    assert in_band(((told.p_low <= p_ref) & (p_ref <= told.p_high)).sum(), 4000, *band)
    assert ((blind.p_low <= p_ref) & (p_ref <= blind.p_high)).mean() > 0.985  # what telling is for
    assert np.median(told.p_error) < 0.8 * np.median(blind.p_error)
    assert np.mean(told.overdispersion) == pytest.approx(1.0, abs=0.05)
    fit = interleaved_error(LONG, ref, inter, 1000, outcome=np.stack([outcome, outcome]))
    assert in_band(((fit.low <= 2e-3) & (fit.high >= 2e-3)).sum(), 4000, *band)


@pytest.mark.parametrize("sequences", [1, 2, 5])
def test_outcomes_that_are_all_alike_change_nothing(sequences):
    x = curves(np.full(20, 0.99), M, 300, sequences, np.random.default_rng(32))
    blind, told = fit_decays(M, x, 300), fit_decays(M, x, 300, outcome=np.zeros((1, 1, 1), int))
    for name in ("p", "p_low", "p_high", "chi2"):
        np.testing.assert_allclose(getattr(told, name), getattr(blind, name), rtol=1e-9)
    with pytest.raises(ValueError, match=r"outcome of shape \(7,\) do not fit"):
        fit_decays(M, x, 300, outcome=np.zeros(7, int))


def test_no_data_and_one_length_only_are_no_data():
    shots = np.zeros((3, 3, 2), int)
    shots[1, 0] = shots[2, :2] = 100
    fit = fit_decays(M, shots // 2, shots)
    assert fit.status.tolist()[:2] == ["no_data", "no_data"]
    assert fit.status[2] != "no_data"
    assert np.isnan(fit.p[:2]).all()


def test_two_lengths_do_not_determine_a_free_asymptote():
    x, shots = exact([0.99], [1, 100], shots=10**4)
    fit = fit_decays([1, 100], x, shots, asymptote=None)
    assert fit.status[0] == "no_data"
    assert np.isnan([fit.p[0], fit.p_low[0], fit.b[0]]).all()


def test_missing_arm_is_no_data():
    shots = np.full((2, 1, 3, 4), 100)
    shots[1] = 0
    fit = interleaved_error(M, np.full((1, 3, 4), 50), np.zeros((1, 3, 4), int), shots)
    assert fit.status[0] == "no_data"
    assert np.isnan([fit.error[0], fit.low[0], fit.high[0], fit.systematic_high[0]]).all()


def test_no_decay_gives_an_upper_bound_on_the_error():
    fit = fit_decays(M, np.full((1, 3, 10), 1000), 1000, asymptote=0.25)
    assert fit.status[0] == "no_decay"
    assert fit.p_high[0] == pytest.approx(1, abs=1e-6)
    assert 1e-7 < 1 - fit.p_low[0] < 1e-2


def test_no_curves_and_no_sequences_are_fine():
    assert len(fit_decays(M, np.zeros((0, 3, 4), int), 10).p) == 0
    assert fit_decays(M, np.zeros((2, 3, 0), int), 0).status.tolist() == ["no_data"] * 2
    none = np.zeros((0, 3, 0), int)
    assert len(interleaved_error(M, none, none, 0).error) == 0
    assert len(interleaved_error(M, none, none, 0, outcome=none).error) == 0


def whole(*shape, value=0):
    return np.full(shape, value)


@pytest.mark.parametrize(
    ("lengths", "survived", "shots", "message"),
    [
        ([], whole(1, 0, 1), 5, r"at least two different lengths \(three where the asymptote is fitted\), got \[\]"),
        ([7], whole(1, 1, 1), 5, r"at least two different lengths .*, got \[7\]"),
        ([7, 7], whole(1, 2, 1), 5, r"at least two different lengths .*, got \[7, 7\]"),
        ([-1, 2], whole(1, 2, 1), 5, r"not negative, got \[-1, 2\]"),
        ([1, np.nan], whole(1, 2, 1), 5, r"finite and not negative, got \[1.0, nan\]"),
        ([1, np.inf], whole(1, 2, 1), 5, "finite"),
        (["1", "2"], whole(1, 2, 1), 5, r"list of numbers, got <U1 of shape \(2,\)"),
        ([[1, 2]], whole(1, 2, 1), 5, r"shape \(1, 2\)"),
        ([1, 2], whole(1, 3, 1), 5, r"\(N, 2, K\) for 2 lengths, the same in every arm, got \(1, 3, 1\)"),
        ([1, 2], whole(2, 1), 5, r"got \(2, 1\)"),
        ([1, 2], whole(3, 2, 2, value=6), 5, r"between 0 and shots in every cell, got 6 of 5 at \(curve, length, sequence\) \(0, 0, 0\)"),
        ([1, 2], whole(1, 2, 1, value=-1), 5, "got -1 of 5"),
        ([1, 2], whole(1, 2, 1), whole(3, 2, 1, value=1), r"shots of shape \(3, 2, 1\) do not fit survived of shape \(1, 2, 1\)"),
        ([1, 2], np.full((1, 2, 1), 0.9), 5, "survived must be counts of an integer type, got float64"),
        ([1, 2], np.full((1, 2, 1), True), 5, "survived must be counts of an integer type, got bool"),
        ([1, 2], np.array([[[1.0], [np.nan]]]), 5, r"survived must be counts, got NaN at \(0, 1, 0\)"),
        ([1, 2], whole(1, 2, 1), 5.0, "shots must be counts of an integer type, got float64"),
        ([1, 2], whole(1, 2, 1), np.nan, r"shots must be counts, got NaN"),
    ],
)  # fmt: skip
def test_misuse_is_a_value_error(lengths, survived, shots, message):
    with pytest.raises(ValueError, match=message):
        fit_decays(lengths, survived, shots)
    with pytest.raises(ValueError, match=message):
        interleaved_error(lengths, survived, survived, shots)


def test_arms_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got \(1, 3, 2\) and \(1, 3, 1\)"):
        interleaved_error(M, whole(1, 3, 2), whole(1, 3, 1), 5)


@pytest.mark.parametrize("asymptote", [1.0, -0.1, np.nan])
def test_asymptotes_that_are_no_probability_are_refused(asymptote):
    with pytest.raises(ValueError, match=r"asymptote must lie in \[0, 1\), got"):
        fit_decays(M, whole(1, 3, 1), 5, asymptote=asymptote)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, np.nan])
def test_levels_that_are_no_confidence_are_refused(level):
    with pytest.raises(ValueError, match=r"level must lie between 0 and 1, got"):
        fit_decays(M, whole(1, 3, 1), 5, level=level)


@pytest.mark.parametrize("ratios", [[(0, 0)], [(0, 2)], [(-1, 0)], [(0, 1, 1)]])
def test_ratios_of_arms_that_are_not_there_are_refused(ratios):
    with pytest.raises(ValueError, match=r"two different arms out of 0..1, got"):
        joint_decays(M, [whole(1, 3, 1), whole(1, 3, 1)], 5, ratios=ratios)


def check_fit(fit, n):
    """What holds for any data."""
    bad = np.isin(fit.status, REJECTED)
    for name in ("p", "p_low", "p_high", "p_error", "a", "b"):
        assert getattr(fit, name).shape == (n,)
        np.testing.assert_array_equal(np.isnan(getattr(fit, name)), bad)
    good = ~bad
    assert ((fit.p_low >= 0) & (fit.p_low <= fit.p) & (fit.p <= fit.p_high) & (fit.p_high <= 1))[good].all()
    assert ((fit.p > 0) & (fit.p < 1))[good].all()
    assert ((fit.a > 0) & (fit.a <= 2 * (1 + 1e-12)))[good].all()
    np.testing.assert_array_equal(np.isnan(fit.chi2), fit.status == "no_data")
    assert ((fit.chi2 >= 0) | np.isnan(fit.chi2)).all()
    assert (fit.dof >= 0).all()
    if fit.covariance.shape[1] == 2:  # with three parameters and no signal the matrix is singular to rounding
        assert (np.diagonal(fit.covariance, axis1=1, axis2=2)[good] >= 0).all()


@st.composite
def decay_data(draw, arms=1):
    lengths = np.array(sorted(draw(st.sets(st.integers(0, 3000), min_size=2, max_size=6))))
    n, k = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    p = np.where(rng.random((arms, n)) < 0.1, 0.0, 1 - 10.0 ** rng.uniform(-6, 0, (arms, n)))
    spam, floor = draw(st.floats(0, 0.75)), draw(st.sampled_from([0.25, 0.5, 0.0]))
    survival = np.minimum(spam * p[..., None] ** lengths + floor, 1)[..., None]
    shots = rng.integers(1, draw(st.sampled_from([2, 100, 10**6])), (arms, n, len(lengths), k))
    shots[rng.random(shots.shape) < draw(st.sampled_from([0, 0.3, 0.8]))] = 0
    survived = rng.binomial(shots, survival)
    kind = draw(st.sampled_from(["drawn", "drawn", "all", "none", "noise"]))
    survived = {"drawn": survived, "all": shots, "none": 0 * shots, "noise": rng.integers(0, shots + 1)}[kind]
    return lengths, survived, shots


@given(decay_data(), st.sampled_from([0.25, 0.5, 0.0, None]), st.sampled_from([0.5, 0.95, 0.999]))
def test_any_data_gives_bounded_results_or_nan_with_a_status(data, asymptote, level):
    lengths, survived, shots = data
    check_fit(fit_decays(lengths, survived[0], shots[0], asymptote=asymptote, level=level), len(survived[0]))


@given(decay_data(arms=2), st.sampled_from([2, 4]))
def test_any_pair_of_arms_gives_bounded_results_or_nan_with_a_status(data, dim):
    lengths, survived, shots = data
    fit = interleaved_error(lengths, survived[0], survived[1], shots, dim=dim)
    bad = np.isin(fit.status, REJECTED)
    for name in ("error", "low", "high", "standard_error", "systematic_low", "systematic_high", "p_ref", "p_int_high", "a"):
        np.testing.assert_array_equal(np.isnan(getattr(fit, name)), bad)
    good = ~bad
    assert ((fit.low <= fit.error) & (fit.error <= fit.high))[good].all()
    assert ((fit.systematic_low <= fit.error) & (fit.error <= fit.systematic_high))[good].all()
    assert (fit.error <= (dim - 1) / dim)[good].all()
    for arm in ("p_ref", "p_int"):
        assert ((getattr(fit, f"{arm}_low") <= getattr(fit, arm)) & (getattr(fit, arm) <= getattr(fit, f"{arm}_high")))[good].all()


# unequal shots and arms


@pytest.mark.parametrize("scatter", [0.0, 0.08])
@pytest.mark.parametrize("shots", [(300,) * 10, (1000, 200, 200), (3000, 100, 100), (3000, *[100] * 9), "drawn"], ids=lambda s: str(s)[:22])
def test_intervals_hold_however_unequal_the_shots(shots, scatter):
    rng = np.random.default_rng(35)
    each = np.rint(10 ** rng.uniform(1, 3.5, (2000, 5, 8))).astype(int) if shots == "drawn" else np.broadcast_to(shots, (2000, 5, len(shots)))
    s = 0.72 * 0.99**LONG + 0.25
    q = np.clip(s[:, None] + scatter * (1 - 0.99**LONG)[:, None] * rng.standard_normal(each.shape), 0, 1)
    fit = fit_decays(LONG, rng.binomial(each, q), each)
    ok = np.isfinite(fit.p)
    assert ok.mean() > 0.9
    cover = ((fit.p_low <= 0.99) & (fit.p_high >= 0.99))[ok].mean()
    equal = len(set(np.ravel(each))) == 1
    assert cover > 0.93  # a sequence that has nearly all shots leaves few degrees of freedom: then wider, never narrower
    assert cover < (0.965 if equal else 1.0)


def test_a_curve_of_unequal_shots_is_fitted_the_same_alone_and_among_others():
    rng = np.random.default_rng(45)
    shots = np.rint(10 ** rng.uniform(1, 3.5, (6, 5, 8))).astype(int)
    ref, inter = (rng.binomial(shots, (0.72 * q**LONG + 0.25)[:, None]) for q in (0.99, 0.985))
    together = fit_decays(LONG, ref, shots), interleaved_error(LONG, ref, inter, shots)
    for i in range(6):
        alone = fit_decays(LONG, ref[i : i + 1], shots[i : i + 1]), interleaved_error(LONG, ref[i : i + 1], inter[i : i + 1], shots[i : i + 1])
        for batch, one in zip(together, alone, strict=True):
            for field in dataclasses.fields(batch):
                old, new = getattr(batch, field.name)[i], getattr(one, field.name)[0]
                np.testing.assert_array_equal(old, new) if field.name == "status" else np.testing.assert_allclose(old, new, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("sequences", [2, 5])
def test_arms_that_share_no_sequence_are_independent(sequences):
    rng = np.random.default_rng(36)
    shots = np.zeros((2, 2000, 3, 2 * sequences), int)
    shots[0, ..., :sequences] = shots[1, ..., sequences:] = 300
    ref, inter = (rng.binomial(t, (0.72 * q**M + 0.25)[:, None]) for t, q in zip(shots, (0.99, 0.985), strict=True))
    fit = interleaved_error(M, ref, inter, shots)
    truth = 0.75 * (1 - 0.985 / 0.99)
    assert 0.93 < ((fit.low <= truth) & (fit.high >= truth))[np.isfinite(fit.error)].mean() < 0.99


def test_one_sequence_a_length_takes_its_scatter_from_the_points_about_the_curve():
    rng = np.random.default_rng(37)
    lengths = np.array([1, 10, 25, 45, 70, 100, 140, 200])
    s = 0.72 * 0.99**lengths + 0.25
    quiet = rng.binomial(300, np.broadcast_to(s[:, None], (2000, 8, 1)))
    wild = rng.binomial(300, np.clip(s[:, None] + 0.04 * rng.standard_normal((2000, 8, 1)), 0, 1))
    for x, least in ((quiet, 0.93), (wild, 0.85)):
        fit = fit_decays(lengths, x, 300)
        ok = np.isfinite(fit.p)
        assert ((fit.p_low <= 0.99) & (fit.p_high >= 0.99))[ok].mean() > least
    assert (fit_decays(lengths, rng.binomial(300, rng.uniform(0.3, 0.95, (200, 8, 1))), 300).status == "poor_fit").mean() > 0.9


@pytest.mark.parametrize("sequences", [3, 5, 6, 10])
def test_outcomes_that_are_not_balanced_do_not_shift_the_mean(sequences):
    """As plans draw them: with 10 sequences two of the four outcomes come three times, two twice."""
    rng = np.random.default_rng(38)
    outcome = rng.permuted((np.arange(sequences) + rng.integers(4, size=(4000, len(LONG), 1))) % 4, axis=2)
    x = uneven_readout(0.99, outcome, LONG, 1000, rng, flips=(0.015, 0.06))
    blind, told = fit_decays(LONG, x, 1000), fit_decays(LONG, x, 1000, outcome=outcome)
    assert in_band(((told.p_low <= 0.99) & (told.p_high >= 0.99)).sum(), 4000, 0.93, 0.975)
    assert told.p.std() < 0.9 * blind.p.std()


# the true maximum


@pytest.mark.parametrize(
    ("lengths", "error", "shots"),
    [([1, 100], 2e-6, 10**5), ([1, 300], 2e-6, 10**6), ([1, 10, 100], 1e-6, 10**7), ([0, 50, 100], 2e-5, 10**6), ([1, 100], 1e-8, 10**9)],
)
def test_slow_decays_seen_with_many_shots_are_found(lengths, error, shots):
    rng = np.random.default_rng(39)
    p = 1 - error
    x = rng.binomial(shots, np.broadcast_to((0.75 * p ** np.array(lengths) + 0.25)[:, None], (400, len(lengths), 8)))
    fit = fit_decays(lengths, x, shots)
    assert (fit.status == "ok").all()
    assert in_band(((fit.p_low <= p) & (fit.p_high >= p)).sum(), 400, 0.93, 0.97)
    assert np.mean(1 - fit.p) == pytest.approx(error, rel=4 * np.std(1 - fit.p) / error / 20 + 1e-6)


@pytest.mark.parametrize(("lengths", "shots"), [([1, 10, 100, 1000], 400), ([2, 10, 40, 160, 640], 400), ([1, 50], 2000)])
def test_no_better_maximum_is_left(lengths, shots):
    rng = np.random.default_rng(40)
    m, n = np.array(lengths, dtype=float), 400
    p = np.where(np.arange(n) % 2, rng.uniform(0.05, 1, n), 1 - 10 ** rng.uniform(-5, -0.3, n))
    x = rng.binomial(shots, 0.72 * p[:, None] ** m + 0.25).T[None].astype(float)
    totals = likelihood.Totals(m, x, np.full(x.shape, float(shots)), 0.25)
    theta, found, _ = likelihood.maximise(totals)
    best = np.full(n, np.inf)
    for log_rate in np.linspace(np.log(1e-7 / m[-1]), np.log(5), 300):
        for a in np.linspace(0.02, 0.75, 40):
            best = np.minimum(best, likelihood.deviance(totals, np.stack([np.full(n, np.log(a)), np.full(n, log_rate)])))
    worse = likelihood.deviance(totals, theta) > best + 1  # by half a unit of log-likelihood
    assert (worse & found).mean() < 0.02
    assert (likelihood.deviance(totals, theta) < best + 6)[found].all()


def test_what_lies_on_a_bound_is_a_poor_fit_and_nan():
    lengths = np.array([1, 20, 50, 100, 200])
    x = np.rint(300 * (0.97 - 0.003 * lengths)).astype(int)[None, :, None].repeat(12, axis=2)  # a straight line: no exponential
    for asymptote in (0.25, None):
        fit = fit_decays(lengths, x, 300, asymptote=asymptote)
        assert fit.status[0] == "poor_fit"
        assert np.isnan([fit.p[0], fit.p_low[0], fit.a[0], fit.b[0], *fit.covariance.ravel()]).all()
    two = fit_decays([1033, 1926], np.array([[[21532] * 10, [3593] * 10]]), 21661)
    assert two.status[0] == "poor_fit"


def test_few_shots_are_not_taken_for_a_fast_decay():
    rng = np.random.default_rng(41)
    x = curves(np.full(1000, 0.99), LONG, 1, 10, rng)
    assert (fit_decays(LONG, x, 1).status == "too_fast").mean() < 0.01


def test_a_flat_reference_does_not_hide_the_error_of_the_gate():
    rng = np.random.default_rng(42)
    fit = interleaved_error(M, curves(np.full(200, 1 - 1e-7), M, 300, 10, rng), curves(np.full(200, 0.997), M, 300, 10, rng), 300)
    assert (fit.status == "ok").mean() > 0.99
    assert in_band(((fit.low <= 0.75 * 0.003) & (fit.high >= 0.75 * 0.003)).sum(), 200, 0.93, 0.97)
    assert (fit.systematic_high > fit.high * 0.9).all()  # and p_ref = 1 promises no narrow bound


@pytest.mark.parametrize("failures", [5, 10, 15])
def test_upper_ends_hold_with_few_failures(failures):
    rng = np.random.default_rng(43)
    error = failures / (0.75 * 2000 * M.sum())
    p = np.full(4000, 1 - error)
    fit = fit_decays(M, curves(p, M, 200, 10, rng, a=0.75), 200)
    assert ((fit.p_low <= p) & (p <= fit.p_high)).mean() > 0.94


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, ">i4", np.uint64])
def test_any_integer_type_gives_the_same(kind):
    x = curves(np.full(5, 0.99), M, 100, 4, np.random.default_rng(44))
    a, b = fit_decays(M, x, 100), fit_decays(M.astype(kind), x.astype(kind), np.full(x.shape, 100, dtype=kind))
    np.testing.assert_allclose(a.p_low, b.p_low, rtol=1e-12)


def test_masks_are_not_lost_in_silence():
    x = np.ma.masked_less(whole(1, 2, 1, value=3), 5)
    with pytest.raises(ValueError, match="survived is a masked array, whose mask would be lost; give missing cells 0 shots"):
        fit_decays([1, 2], x, 5)
    with pytest.raises(ValueError, match="lengths must not be masked"):
        fit_decays(np.ma.masked_equal([1, 2], 2), whole(1, 2, 1), 5)


# interleaving


def test_interleaved_error_is_built_from_the_ratio_of_decay_parameters():
    lengths = [1, 5, 12]
    x, shots = exact([0.9, 0.9 * 0.95], lengths)
    error = interleaved_error(lengths, x[:1], x[1:], shots).error[0]
    assert error == pytest.approx(0.75 * 0.05, rel=1e-5)
    f_ref, f_int = (1 - 0.75 * (1 - p) for p in (0.9, 0.9 * 0.95))
    assert abs(error - (1 - f_int / f_ref)) > 5e-4  # ratio of fidelities
    assert abs(error - (f_ref - f_int)) > 5e-4  # difference of errors


def test_interleaved_error_of_a_qubit_uses_its_own_dimension():
    x, shots = exact([0.98, 0.98 * 0.99], M, a=0.5, b=0.5)
    assert interleaved_error(M, x[:1], x[1:], shots, dim=2).error[0] == pytest.approx(0.5 * 0.01, rel=1e-5)


def test_arms_swapped_give_a_negative_estimate_not_zero():
    x, shots = exact([0.98, 0.98 * 0.99], M)
    assert interleaved_error(M, x[1:], x[:1], shots).error[0] == pytest.approx(0.75 * (1 - 1 / 0.99), rel=1e-5)


def test_sequences_shared_by_both_arms_narrow_the_interval():
    rng = np.random.default_rng(9)
    common = rng.normal(0, 0.05, (300, 3, 20))
    noise = [np.clip((0.7 * p**M + 0.25)[:, None] + common, 0, 1) for p in (0.99, 0.985)]
    ref, inter = (rng.binomial(2000, s) for s in noise)
    paired = interleaved_error(M, ref, inter, 2000).standard_error
    shuffled = interleaved_error(M, ref, rng.permuted(inter, axis=2), 2000).standard_error
    assert np.nanmedian(paired) < 0.7 * np.nanmedian(shuffled)


def test_systematic_range_is_the_estimate_plus_minus_the_published_bound():
    x, shots = exact([0.98, 0.97], M)
    fit = interleaved_error(M, x[:1], x[1:], shots)
    bound = magesan_bound(fit.p_ref, fit.p_int)
    assert fit.systematic_high[0] == pytest.approx(fit.error[0] + bound[0])
    assert fit.systematic_low[0] == pytest.approx(max(fit.error[0] - bound[0], 0))


# coverage


@pytest.mark.parametrize("sequences", [3, 10])  # with 3, ddof = 0 or a normal quantile would show
def test_intervals_of_one_arm_cover_at_the_stated_level(sequences):
    rng = np.random.default_rng(10)
    p = np.full(4000, 0.99)
    x = curves(p, M, 200, sequences, rng)
    fit = fit_decays(M, x, 200)
    assert (fit.status == "ok").all()
    assert in_band(((fit.p_low <= p) & (p <= fit.p_high)).sum(), 4000, *BAND[sequences])
    fit = fit_decays(M, x, 200, level=0.68)
    assert in_band(((fit.p_low <= p) & (p <= fit.p_high)).sum(), 4000, 0.65, 0.71)


@pytest.mark.parametrize("sequences", [3, 10])
def test_intervals_of_the_interleaved_error_cover_at_the_stated_level(sequences):
    rng = np.random.default_rng(11)
    p_ref, p_int = np.full(4000, 0.99), np.full(4000, 0.985)
    fit = interleaved_error(M, curves(p_ref, M, 200, sequences, rng), curves(p_int, M, 200, sequences, rng), 200)
    truth = 0.75 * (1 - 0.985 / 0.99)
    assert (fit.status == "ok").all()
    assert in_band(((fit.low <= truth) & (truth <= fit.high)).sum(), 4000, *BAND[sequences])
    assert abs(np.nanmean(fit.error) - truth) < 5 * np.nanstd(fit.error) / np.sqrt(4000) + 0.02 * truth


def test_estimates_have_the_variance_of_the_cramer_rao_bound():
    x = curves(np.full(2000, 0.99), M, 200, 10, np.random.default_rng(12))
    fit = fit_decays(M, x, 200)
    s = 0.72 * 0.99**M + 0.25
    gradient = np.stack([0.99**M, 0.72 * M * 0.99 ** (M - 1)], axis=1)
    bound = np.linalg.inv(np.einsum("lp,l,lq->pq", gradient, 2000 / (s * (1 - s)), gradient))[1, 1]
    assert bound / fit.p.var() > 0.9


def test_good_curves_are_not_rejected():
    rng = np.random.default_rng(13)
    x = curves(rng.uniform(0.98, 0.995, 3000), np.array([1, 20, 50, 100, 200]), 300, 6, rng)
    fit = fit_decays([1, 20, 50, 100, 200], x, 300)
    assert (fit.status == "poor_fit").sum() == 0
    assert 0.5 < np.median(fit.chi2 / fit.dof) < 0.9  # 0.79 for chi-square; less, because the scatter it is measured in is never below binomial


def overdispersed(p, lengths, shots, sequences, n, rng, relative):
    """Beta-binomial counts: sequences differ by ``relative`` times the lost signal, as under coherent noise."""
    s = 0.72 * p**lengths + 0.25
    spread = relative * 0.72 * (1 - p**lengths) * p**lengths + 1e-9
    concentration = np.maximum(s * (1 - s) / spread**2 - 1, 1e-3)
    drawn = rng.beta(*np.broadcast_arrays((s * concentration)[:, None], ((1 - s) * concentration)[:, None]), (n, len(lengths), sequences))
    return rng.binomial(shots, drawn)


@pytest.mark.slow
@pytest.mark.parametrize("relative", [0.0, 0.2])
@pytest.mark.parametrize("sequences", [3, 5, 10, 30])
@pytest.mark.parametrize("r", [1e-2, 5e-3, 1e-3, 1e-4])
def test_coverage_at_all_error_rates(r, sequences, relative):
    rng = np.random.default_rng(14)
    p = 1 - 4 / 3 * r
    lengths = np.array([1, round(0.35 / (1 - p)), round(1 / (1 - p))])
    x = overdispersed(p, lengths, 300, sequences, 20_000, rng, relative)
    for level, low, high in ((0.95, 0.935, 0.965), (0.68, 0.65, 0.71)):
        fit = fit_decays(lengths, x, 300, level=level)
        ok = np.isfinite(fit.p)
        cover = ((fit.p_low <= p) & (p <= fit.p_high))[ok].mean()
        if sequences >= 10:
            assert low < cover < high
        elif level == 0.95:
            assert 0.93 < cover < 0.97


@pytest.mark.slow
@pytest.mark.parametrize("r", [1e-2, 1e-3, 1e-4])
def test_joint_coverage_at_all_error_rates(r):
    rng = np.random.default_rng(15)
    p_ref, ratio = 1 - 4 / 3 * 2 * r, 1 - 4 / 3 * r
    lengths = np.array([1, round(0.35 / (1 - p_ref)), round(1 / (1 - p_ref))])
    ref = overdispersed(p_ref, lengths, 300, 12, 20_000, rng, 0.1)
    inter = overdispersed(p_ref * ratio, lengths, 300, 12, 20_000, rng, 0.1)
    fit = interleaved_error(lengths, ref, inter, 300)
    ok = np.isfinite(fit.error)
    assert 0.935 < ((fit.low <= r) & (r <= fit.high))[ok].mean() < 0.965
