import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from qthreshold.numerics.decay import fit_decays, interleaved_error
from qthreshold.numerics.design import Setup, optimal_lengths, relative_error

PAIR = Setup()
QUBIT = Setup(dim=2, step=(1e-7,))


def slow_relative_error(lengths, shares, error, reference, setup):
    """Twin of ``relative_error``: the log likelihood's curvature by finite differences of the survival probabilities."""
    d, arms = setup.dim, len(setup.step)
    decays = [1 - d / (d - 1) * error] if arms == 1 else [1 - d / (d - 1) * reference, (1 - d / (d - 1) * reference) * (1 - d / (d - 1) * error)]
    theta = np.array([setup.visibility * (1 - 1 / d), *decays])

    def estimate(t):
        return (d - 1) / d * (1 - (t[1] if arms == 1 else t[2] / t[1]))

    def survival(t, arm, m):
        return t[0] * t[1 + arm] ** m + 1 / d

    def gradient(f):
        h = theta * 1e-6
        return np.array([(f(theta + e) - f(theta - e)) / (2 * e.sum()) for e in np.diag(h)])

    executions = np.asarray(shares) / (np.asarray(shares) * [arms * setup.overhead + m * sum(setup.step) for m in lengths]).sum()
    fisher = np.zeros((theta.size, theta.size))
    for m, n in zip(lengths, executions, strict=True):
        for arm in range(arms):
            slope, s = gradient(lambda t, arm=arm, m=m: survival(t, arm, m)), survival(theta, arm, m)
            lost = theta[0] * (1 - theta[1 + arm] ** m)
            fisher += n * np.outer(slope, slope) / (s * (1 - s) + (setup.shots - 1) * (setup.coherence * lost) ** 2)
    c = gradient(estimate)
    return np.sqrt(c @ np.linalg.solve(fisher, c)) / error


@pytest.mark.parametrize("setup", [PAIR, QUBIT, Setup(coherence=0.3), Setup(step=(2e-4, 3e-4), visibility=0.8)])
@pytest.mark.parametrize("error", [1e-2, 1e-3, 1e-4])
def test_predicted_error_is_that_of_the_slow_twin(setup, error):
    lengths, shares = [1, 7, round(0.2 / error)], [0.2, 0.1, 0.7]
    fast = relative_error(lengths, shares, error, reference_error=3 * error, setup=setup)
    assert fast == pytest.approx([slow_relative_error(lengths, shares, error, 3 * error, setup)], rel=1e-4)


@pytest.mark.parametrize(("setup", "points"), [(PAIR, 2), (QUBIT, 2), (QUBIT, 3), (Setup(coherence=0.3), 2), (Setup(step=(2e-4, 3e-4)), 2)])
@pytest.mark.parametrize("error", [1e-2, 1e-3])
def test_design_is_as_good_as_brute_force(setup, error, points):
    def loss(x):  # log lengths, then log shares but for the last
        shares = np.exp([*x[points:], 0.0])
        lengths = np.exp(x[:points])
        return np.log(slow_relative_error(lengths, shares / shares.sum(), error, 2 * error, setup))

    starts = [np.concatenate([np.log(np.geomspace(1, c / error, points)), np.full(points - 1, -3.0)]) for c in (0.1, 0.3)]
    bounds = [(0, 12)] * points + [(-8, 8)] * (points - 1)
    best = min(minimize(loss, s, bounds=bounds, method="Nelder-Mead", options={"maxiter": 400, "fatol": 1e-6}).fun for s in starts)
    design = optimal_lengths(error, setup=setup, least=1)
    assert 2 * np.log(design.relative_error[0]) - 2 * best < 0.01
    assert 2 * best - 2 * np.log(design.relative_error[0]) < 0.01
    assert design.efficiency > 0.99


def sampled(design, rates, setup, budget, samples, rng):
    """Counts ``(arms, samples, L, 4)`` and shots ``(L, 4)`` of repeated experiments of so many executions per arm."""
    shots = np.rint(design.shares * budget / 4).astype(np.int64)[:, None].repeat(4, 1)
    full = setup.visibility * (1 - 1 / setup.dim)
    survival = full * np.exp(-rates[:, None] * design.lengths) + 1 / setup.dim
    return rng.binomial(shots, survival[:, None, :, None], size=(len(rates), samples, *shots.shape)), shots


@pytest.mark.parametrize("error", [1e-2, 1e-3])
def test_sampled_estimates_scatter_as_predicted(error):
    design, samples = optimal_lengths(error, spread=2, outlier=50, least=4), 4000
    rates = PAIR.rates(np.array([error]), np.array([2 * error]))[0]
    (ref, interleaved), shots = sampled(design, rates, PAIR, 40_000, samples, np.random.default_rng(1))
    fit = interleaved_error(design.lengths, ref, interleaved, shots)
    seconds = (shots.sum(axis=1) * PAIR.seconds(design.lengths)).sum()
    predicted = design.relative_error[0] / np.sqrt(seconds)
    assert (fit.error / error).std(ddof=1) == pytest.approx(predicted, rel=4 / np.sqrt(2 * samples))
    assert (fit.error / error).mean() == pytest.approx(1, abs=4 * predicted / np.sqrt(samples) + predicted**2)


def test_sampled_estimates_of_a_qubit_scatter_as_predicted():
    error, samples = 4e-4, 4000
    design = optimal_lengths(error, setup=QUBIT)
    rates = QUBIT.rates(np.array([error]), np.array([error]))[0]
    (survived,), shots = sampled(design, rates, QUBIT, 20_000, samples, np.random.default_rng(2))
    fit = fit_decays(design.lengths, survived, shots, asymptote=0.5)
    predicted = design.relative_error[0] / np.sqrt((shots.sum(axis=1) * QUBIT.seconds(design.lengths)).sum())
    assert ((1 - fit.p) / 2 / error).std(ddof=1) == pytest.approx(predicted, rel=4 / np.sqrt(2 * samples))


def mean_length(design):
    return design.shares @ np.log(design.lengths)


@pytest.mark.parametrize("least", [1, 3])
def test_longer_delay_longer_sequences(least):
    found = [mean_length(optimal_lengths(1e-3, setup=Setup(overhead=t, step=(2e-5, 3e-5)), least=least)) for t in (1e-5, 1e-4, 1e-3, 1e-2)]
    assert (np.diff(found) > 0).all()


def test_smaller_error_longer_sequences_and_smaller_relative_precision():
    designs = [optimal_lengths(r) for r in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)]
    assert (np.diff([mean_length(d) for d in designs]) > 0).all()
    assert (np.diff([d.relative_error[0] for d in designs[1:]]) > 0).all()


def test_coherent_noise_wants_shorter_sequences():
    found = [optimal_lengths(1e-3, setup=Setup(coherence=c), least=1).lengths[-1] for c in (0.0, 0.1, 0.5)]
    assert (np.diff(found) < 0).all()


def test_spread_of_expectations_gives_more_lengths():
    assert optimal_lengths(1e-3, least=1).lengths.size == 1  # the ratio of the arms needs no A
    wide = optimal_lengths(np.geomspace(1e-4, 1e-2, 30), least=1)
    assert wide.lengths.size > 1
    assert wide.efficiency > 0.98
    assert optimal_lengths(1e-3, spread=10, least=1).lengths.size > 1


def test_design_holds_up_where_expectations_were_wrong():
    for wrong in (1 / 3, 3):
        best = optimal_lengths(1e-3 * wrong, least=1).relative_error[0]
        robust, fragile = (optimal_lengths(1e-3, spread=s, least=1) for s in (3, 1))
        of = [relative_error(d.lengths, d.shares, 1e-3 * wrong)[0] for d in (robust, fragile)]
        assert of[0] < 1.4 * best
        assert wrong < 1 or of[0] < of[1]  # too long is worse than too short


def test_outlier_still_has_signal_at_two_lengths():
    errors = np.full(20, 2.5e-3)
    design = optimal_lengths(errors, outlier=50, least=4)
    rate = PAIR.rates(errors, 2 * errors)[0, -1] * 50
    assert design.lengths[0] == 1
    assert PAIR.visibility * 0.75 * np.exp(-rate * design.lengths[1]) > 0.05
    assert (design.shares > 0.02).all()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(1e-6, 0.3), min_size=1, max_size=40), st.floats(1e-6, 1e-1), st.floats(0, 1e-3), st.integers(1, 6), st.floats(1, 10),
    st.sampled_from([None, 50.0]), st.sampled_from([1, 2]), st.sampled_from([10**7, 2000, 6]),
)  # fmt: skip
def test_designs_are_sound(errors, overhead, step, least, spread, outlier, arms, longest):
    setup = Setup(dim=2 * arms, overhead=overhead, step=(step, 1.5 * step)[:arms])
    design = optimal_lengths(errors, setup=setup, least=least, spread=spread, outlier=outlier, longest=longest)
    assert design.lengths.dtype == np.int64
    assert design.lengths[0] >= 1
    assert design.lengths[-1] <= longest
    assert (np.diff(design.lengths) > 0).all()
    assert design.lengths.size >= least
    assert (design.shares > 0).all()
    assert design.shares.sum() == pytest.approx(1)
    assert 0.05 < design.efficiency <= 1 + 1e-9
    assert (design.relative_error > 0).all()
    assert np.isfinite(design.relative_error).all()


def test_design_is_deterministic():
    a, b = (optimal_lengths([1e-3, 4e-3], spread=3) for _ in range(2))
    assert a.lengths.tolist() == b.lengths.tolist()
    assert a.shares.tolist() == b.shares.tolist()


def test_tiny_errors_reach_as_far_as_they_must_and_longest_holds_them():
    assert optimal_lengths(1e-6).lengths[-1] > 30_000
    assert optimal_lengths(1e-6, longest=500).lengths[-1] <= 500
    nothing = optimal_lengths(0.0, longest=500)
    assert nothing.lengths[-1] > 300
    assert np.isfinite(nothing.relative_error).all()


def test_unknown_errors_are_left_out():
    design = optimal_lengths([2e-3, np.nan, 0.7])
    assert design.lengths.tolist() == optimal_lengths(2e-3).lengths.tolist()
    assert np.isnan(design.relative_error).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"expected_error": -1e-3}, "expected_error.*-0.001"), ({"expected_error": np.inf}, "expected_error.*inf"),
        ({"expected_error": [np.nan, 0.6]}, r"expected_error must hold a value below 0.5.*0\.6"),
        ({"spread": 0.5}, "spread.*0.5"), ({"outlier": 1.0}, "outlier.*1.0"), ({"least": 0}, "least.*0"), ({"least": 9, "longest": 8}, "9 and 8"),
        ({"reference_error": -1.0}, "reference_error.*-1.0"), ({"reference_error": np.nan}, "reference_error.*nan"),
        ({"outlier": 9, "least": 1, "longest": 1}, "longest is 1"),
    ],
)  # fmt: skip
def test_misuse_names_the_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        optimal_lengths(**({"expected_error": 1e-3} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 1}, "dim.*1"), ({"visibility": 1.2}, "visibility.*1.2"), ({"overhead": 0.0}, "overhead.*0.0"), ({"step": ()}, r"step.*\(\)"),
        ({"step": (-1.0,)}, "step.*-1.0"), ({"coherence": -1.0}, "coherence.*-1.0"), ({"shots": 0}, "shots.*0"),
    ],
)  # fmt: skip
def test_misuse_of_the_setup_names_the_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        Setup(**arguments)
