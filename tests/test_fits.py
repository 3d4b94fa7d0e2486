import numpy as np
import pytest
from scipy import stats

from qthreshold.backends.aer import AerBackend
from qthreshold.circuits import native
from qthreshold.counts import add_counts
from qthreshold.datafiles import load_named
from qthreshold.decays import DecayTable, make_decays
from qthreshold.fits import make_fits
from qthreshold.numerics.decay import REASONS
from qthreshold.plan import make_plan
from qthreshold.recipe import Recipe
from qthreshold.ticket import layer_tickets

ONE, TWO = np.array([1, 100, 400]), np.array([1, 30, 90])


def table(p1, p_ref, p_int, flips, sequences=8, shots=10**7, rng=None):
    """Decays of known parameters: exact counts, or drawn ones."""
    p1, p_ref, p_int, flips = (np.asarray(v, dtype=float) for v in (p1, p_ref, p_int, flips))
    one = np.broadcast_to((0.48 * p1[:, None] ** ONE + 0.5)[..., None], (len(p1), 3, sequences))
    two = np.stack([np.broadcast_to((0.7 * p[:, None] ** TWO + 0.25)[..., None], (len(p), 3, sequences)) for p in (p_ref, p_int)])
    draw = (lambda s: rng.binomial(shots, s)) if rng else (lambda s: np.rint(shots * s).astype(int))
    return DecayTable(
        plan_id="p", qubits=np.arange(len(p1)), edges=np.arange(len(p_ref)), readout_wrong=draw(flips), readout_shots=np.full(flips.shape, shots),
        one_qubit_lengths=ONE, one_qubit_survived=draw(one), one_qubit_shots=np.full(one.shape, shots),
        one_qubit_expected=np.zeros(one.shape, np.uint8), two_qubit_expected=np.zeros(two.shape, np.uint8),
        two_qubit_lengths=TWO, two_qubit_survived=draw(two), two_qubit_shots=np.full(two.shape, shots),
    )  # fmt: skip


def test_errors_are_average_gate_infidelities_of_the_right_dimension():
    fits = make_fits(table([0.999, 0.997], [0.98], [0.97], [[0.01, 0.03], [0.02, 0.02]]), 0.95)
    np.testing.assert_allclose(fits.one_qubit[:, 0], [0.0005, 0.0015], rtol=1e-3)  # (1 - p) / 2
    assert fits.cnot[0, 0] == pytest.approx(0.75 * (1 - 0.97 / 0.98), rel=1e-3)
    np.testing.assert_allclose(fits.p_ref[0, 0], 0.98, rtol=1e-5)
    np.testing.assert_allclose(fits.p_int[0, 0], 0.97, rtol=1e-5)
    np.testing.assert_allclose(fits.readout_flips, [[0.01, 0.03], [0.02, 0.02]], rtol=1e-6)
    np.testing.assert_allclose(fits.readout[:, 0], 0.02, rtol=1e-6)


def test_columns_are_best_low_high():
    data = table(np.full(20, 0.998), np.full(20, 0.98), np.full(20, 0.97), np.full((20, 2), 0.02), shots=300, rng=np.random.default_rng(1))
    fits = make_fits(data, 0.9)
    for name in ("readout", "one_qubit", "cnot", "p_ref", "p_int"):
        best, low, high = getattr(fits, name).T
        assert ((low < best) & (best < high)).all(), name
    low, high = fits.systematic.T
    assert ((low <= fits.cnot[:, 0]) & (fits.cnot[:, 0] <= high)).all()


def test_a_higher_level_gives_wider_intervals():
    data = table([0.998], [0.98], [0.97], [[0.01, 0.02]], shots=300, rng=np.random.default_rng(2))
    narrow, wide = make_fits(data, 0.68), make_fits(data, 0.99)
    for name in ("readout", "one_qubit", "cnot"):
        assert np.ptp(getattr(wide, name)[0, 1:]) > 1.5 * np.ptp(getattr(narrow, name)[0, 1:])
    assert narrow.cnot_error == pytest.approx(wide.cnot_error)


def test_intervals_cover_the_truth():
    n = 600
    data = table(np.full(n, 0.998), np.full(n, 0.98), np.full(n, 0.97), np.full((n, 2), 0.02), shots=200, rng=np.random.default_rng(3))
    fits = make_fits(data, 0.95)
    for name, truth in (("one_qubit", 0.001), ("cnot", 0.75 * (1 - 0.97 / 0.98)), ("readout", 0.02)):
        _, low, high = getattr(fits, name).T
        cover = ((low <= truth) & (truth <= high)).mean()
        assert 0.95 - 4.5 * np.sqrt(0.95 * 0.05 / n) < cover, name
        assert cover < 0.99 or name == "readout"  # Clopper-Pearson covers more


def test_hopeless_targets_are_nan_with_a_reason_and_leave_the_others_alone():
    good = table([0.998, 0.998], [0.98, 0.98], [0.97, 0.97], np.full((2, 2), 0.02), shots=1000)
    one, two = good.one_qubit_shots.copy(), good.two_qubit_shots.copy()
    one[0], two[1, 0], flips = 0, 0, good.readout_shots.copy()
    flips[0] = 0
    broken = good.replace(
        one_qubit_shots=one, one_qubit_survived=np.minimum(good.one_qubit_survived, one), two_qubit_shots=two,
        two_qubit_survived=np.minimum(good.two_qubit_survived, two), readout_shots=flips, readout_wrong=np.minimum(good.readout_wrong, flips),
    )  # fmt: skip
    fits, whole = make_fits(broken, 0.95), make_fits(good, 0.95)
    assert fits.qubit_status == ("not_measured", "ok")
    assert fits.edge_status == ("no_data", "ok")
    assert fits.qubit_reason == ("no one-qubit RB in the data", "")
    assert fits.edge_reason == (REASONS["no_data"], "")
    for name in ("one_qubit", "cnot", "readout", "systematic", "p_int"):
        assert np.isnan(getattr(fits, name)[0]).all(), name
        np.testing.assert_allclose(getattr(fits, name)[1], getattr(whole, name)[1], rtol=1e-9)


def test_a_device_without_pairs_is_fine():
    fits = make_fits(table([0.998], [], [], [[0.01, 0.02]]), 0.95)
    assert fits.cnot.shape == (0, 3)
    assert fits.edge_status == ()


@pytest.mark.parametrize("level", [0, 1, 95])
def test_level_outside_0_to_1_is_refused(level):
    with pytest.raises(ValueError, match=f"got {level}"):
        make_fits(table([0.998], [], [], [[0.01, 0.02]]), level)


def standard(p_ref, p1=(0.998, 0.998), rng=None, **changes):
    """A table without an interleaved arm."""
    both = table(p1, p_ref, p_ref, np.full((len(p1), 2), 0.02), rng=rng, **changes)
    survived, shots = both.two_qubit_survived.copy(), both.two_qubit_shots.copy()
    survived[1] = shots[1] = 0
    return both.replace(two_qubit_survived=survived, two_qubit_shots=shots)


def test_without_an_interleaved_arm_the_whole_clifford_is_charged_to_its_cnots():
    fits = make_fits(standard([0.98, 0.995]), 0.95)
    assert fits.estimate == "upper"
    np.testing.assert_allclose(fits.cnot[:, 0], 0.75 * (1 - np.array([0.98, 0.995]) ** (2 / 3)), rtol=1e-3)
    np.testing.assert_array_equal(fits.cnot, fits.cnot_upper)
    np.testing.assert_allclose(fits.epc[:, 0], 0.75 * (1 - np.array([0.98, 0.995])), rtol=1e-3)
    assert np.isnan(fits.p_int).all()
    assert np.isnan(fits.systematic).all()
    assert fits.edge_status == ("ok", "ok")


def test_an_interleaved_run_holds_the_upper_estimate_beside_the_error():
    fits = make_fits(table([0.998], [0.98], [0.97], [[0.01, 0.02]]), 0.95)
    assert fits.estimate == "interleaved"
    assert fits.cnot_upper[0, 0] == pytest.approx(0.75 * (1 - 0.98 ** (2 / 3)), rel=1e-3)
    assert fits.epc[0, 0] == pytest.approx(0.75 * 0.02, rel=1e-3)
    assert fits.cnot[0, 0] != fits.cnot_upper[0, 0]


def test_intervals_of_the_upper_estimate_cover_the_truth_and_agree_with_their_standard_error():
    n = 600
    fits = make_fits(standard(np.full(n, 0.98), rng=np.random.default_rng(5), shots=200), 0.95)
    for values, truth in ((fits.cnot, 0.75 * (1 - 0.98 ** (2 / 3))), (fits.epc, 0.015)):
        best, low, high = values.T
        assert ((low < best) & (best < high)).all()
        cover = ((low <= truth) & (truth <= high)).mean()
        assert 0.95 - 4.5 * np.sqrt(0.95 * 0.05 / n) < cover < 0.99
    half = (fits.cnot[:, 2] - fits.cnot[:, 1]) / 2
    np.testing.assert_allclose(half, stats.t.ppf(0.975, fits.cnot_dof) * fits.cnot_error, rtol=0.05)


def test_a_table_without_one_qubit_rb_or_without_pairs_is_fitted_as_far_as_it_goes():
    whole = standard([0.98])
    empty = np.zeros((2, 0, 0), int)
    no_qubits = whole.replace(one_qubit_lengths=np.zeros(0, int), one_qubit_survived=empty, one_qubit_shots=empty, one_qubit_expected=empty)
    fits = make_fits(no_qubits, 0.95)
    assert (fits.qubit_status, fits.edge_status, fits.estimate) == (("not_measured",) * 2, ("ok",), "upper")
    assert np.isnan(fits.one_qubit).all()
    none = np.zeros((2, 0, 0, 0), int)
    no_pairs = whole.replace(
        edges=np.zeros(0, int), two_qubit_lengths=np.zeros(0, int), two_qubit_survived=none, two_qubit_shots=none, two_qubit_expected=none
    )
    fits = make_fits(no_pairs, 0.95)
    assert (fits.qubit_status, fits.edge_status, fits.cnot.shape) == (("ok", "ok"), (), (0, 3))


def test_outcomes_that_a_table_knows_narrow_the_intervals_of_decay_parameters():
    rng = np.random.default_rng(5)
    data = table([0.998] * 60, [0.99] * 60, [0.985] * 60, np.full((60, 2), 0.02), shots=2000, rng=rng)
    ends = np.argsort(rng.random((60, 3, 8)), axis=2) % 4
    read = 1 + 0.02 * (1.5 - ends)  # ones are read worse
    survived = np.clip(np.rint(data.two_qubit_survived * read), 0, 2000).astype(int)
    one = np.clip(np.rint(data.one_qubit_survived * (1 + 0.02 * (0.5 - ends % 2))), 0, 2000).astype(int)
    blind = data.replace(two_qubit_survived=survived, one_qubit_survived=one)
    told = blind.replace(two_qubit_expected=np.stack([ends, ends]).astype(np.uint8), one_qubit_expected=(ends % 2).astype(np.uint8))
    for name in ("p_ref", "p_int", "one_qubit"):
        width = [np.median(np.ptp(getattr(make_fits(t, 0.95), name)[:, 1:], axis=1)) for t in (blind, told)]
        assert width[1] < 0.8 * width[0], name


def test_same_decays_same_fits():
    data = table([0.998], [0.98], [0.97], [[0.01, 0.02]], shots=300, rng=np.random.default_rng(4))
    assert make_fits(data, 0.95).id == make_fits(data, 0.95).id
    assert make_fits(data, 0.95).decays_id == data.id


@pytest.fixture(scope="module")
def tiny_run():
    backend = AerBackend("tiny-5")
    recipe = load_named("circuits", "default", Recipe, "recipe")
    plan = make_plan(backend.device, recipe, 11, dict.fromkeys(native.NATIVE_UNITARY, native.CNOT))
    counts = add_counts(backend.collect(plan, t, lambda n: None) for t in layer_tickets(plan, backend.spec))
    return make_fits(make_decays(plan, backend.device, counts), 0.95), backend.truth("cnot")


def test_a_whole_simulated_run_finds_the_true_errors(tiny_run):
    fits, truth = tiny_run
    assert set(fits.edge_status) == set(fits.qubit_status) == {"ok"}
    assert (np.abs(fits.cnot[:, 0] - truth.cnot_error) < 5 * fits.cnot_error).all()
    assert (fits.cnot_error < 0.5 * truth.cnot_error).all()
    assert (np.abs(fits.one_qubit[:, 0] - truth.one_qubit_error) < 5 * fits.one_qubit_error).all()
    np.testing.assert_allclose(fits.readout[:, 0], truth.readout_error, atol=5 * np.sqrt(0.02 / 4000))


def test_readout_flips_are_not_exchanged(tiny_run):
    fits, _ = tiny_run
    np.testing.assert_allclose(fits.readout_flips.mean(axis=0), [0.01, 0.03], atol=0.004)  # P(1|0), P(0|1) of tiny-5
