import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.numerics import channels, rates

decay = st.floats(0.01, 1.0)


@pytest.mark.parametrize(
    ("p_ref", "p_int", "dim", "expected"),
    [
        # 3/4 (|0.99 - 0.98/0.99| + 0.01); 0.98/0.99 = 0.98989899
        (0.99, 0.98, 4, 0.75 * (0.99 - 0.9898989898989899 + 0.01)),
        (0.99, 0.99**2, 4, 0.75 * 0.01),
        # 1/2 (|0.9 - 0.8/0.9| + 0.1); 0.8/0.9 = 0.88888889
        (0.9, 0.8, 2, 0.5 * (0.9 - 0.8888888888888889 + 0.1)),
        (1.0, 1.0, 4, 0.0),
        # the second form is smaller only when the reference is nearly perfect and the gate very bad: 30 e/(16 (1-e)) + 4 sqrt(15 e)/(1-e), e = 1e-4
        (0.9999, 0.5, 4, 30 * 1e-4 / (16 * 0.9999) + 4 * 0.01 * np.sqrt(15) / 0.9999),
    ],
)
def test_bound_by_hand_from_magesan_eq_5(p_ref, p_int, dim, expected):
    assert rates.magesan_bound(p_ref, p_int, dim) == pytest.approx(expected, rel=1e-10, abs=1e-15)


def test_error_per_clifford_and_its_process_infidelity():
    assert rates.error_per_clifford(0.98) == pytest.approx(0.015)
    assert rates.error_per_clifford(0.98, dim=2) == pytest.approx(0.01)
    assert rates.process_from_average(0.008) == pytest.approx(0.01)  # average gate infidelity is 4/5 of the process infidelity
    assert rates.process_from_average(0.01, dim=2) == pytest.approx(0.015)


@given(st.floats(0, 1), st.sampled_from([2, 4]))
def test_conventions_convert_there_and_back(error, dim):
    assert rates.average_from_process(rates.process_from_average(error, dim), dim) == pytest.approx(error)


def test_conventions_agree_with_a_channel():
    noise = channels.depolarizing(0.97, 2)  # process infidelity 15/16 (1 - p)
    average = channels.average_gate_infidelity(noise, np.eye(16))
    assert rates.error_per_clifford(0.97) == pytest.approx(float(average))
    assert rates.process_from_average(average) == pytest.approx(15 / 16 * 0.03)


def test_interleaved_error_is_a_ratio_of_decay_parameters_not_of_fidelities():
    assert rates.interleaved_gate_error(0.9, 0.9 * 0.95) == pytest.approx(0.75 * 0.05)


def test_upper_estimate_charges_all_error_to_the_cnots():
    assert rates.upper_cnot_error(0.97**1.5) == pytest.approx(0.75 * 0.03)
    assert rates.upper_cnot_error(1 - 1e-6) == pytest.approx(float(rates.error_per_clifford(1 - 1e-6)) / 1.5, rel=1e-5)
    published = 1 - (3 * 0.996 ** (1 / 1.5) + 1) / 4  # how makers of ion traps convert
    assert rates.upper_cnot_error(0.996) == pytest.approx(published)
    assert rates.error_per_gate(0.99**3, 3, dim=2) == pytest.approx(0.005)


def test_two_qubit_decay_of_depolarizing_gates_by_hand():
    # qubits with 5.2 pulses each of 1e-3 and 1.5e-3, 1.5 C-NOTs of 2e-2: an error of 0.0446283 per Clifford, worked out from arXiv:1712.06550
    p = rates.two_qubit_clifford_decay([1e-3, 1.5e-3], [5.2, 5.2], 2e-2, 1.5)
    assert rates.error_per_clifford(p) == pytest.approx(0.0446283, abs=5e-8)


def test_local_depolarizing_noise_of_a_clifford_twirls_to_3_3_9():
    """The formula against channels: one-qubit depolarizing noise on both qubits, averaged over Cliffords, is its mean over the Paulis."""
    a, b = 0.99, 0.97
    both = channels.tensor(channels.depolarizing(a, 1), channels.depolarizing(b, 1))
    twirled = np.trace(both[1:, 1:]) / 15
    assert rates.two_qubit_clifford_decay([(1 - a) / 2, (1 - b) / 2], [1, 1], 0.0, 1.5) == pytest.approx(twirled)


@given(st.lists(st.floats(0, 0.01), min_size=2, max_size=2), st.lists(st.floats(0, 8), min_size=2, max_size=2), st.floats(0, 0.1), st.floats(0.5, 3))
def test_corrected_estimate_undoes_the_prediction(one, pulses, cnot, gates):
    p = rates.two_qubit_clifford_decay(one, pulses, cnot, gates)
    assert rates.corrected_cnot_error(p, one, pulses, gates) == pytest.approx(cnot, abs=1e-12)


def test_corrected_estimate_of_arrays_lies_below_the_upper_one():
    p = np.array([0.99, 0.98])
    corrected = rates.corrected_cnot_error(p, np.full((2, 2), 3e-4), [2.5, 2.5])
    assert (corrected < rates.upper_cnot_error(p)).all()
    np.testing.assert_allclose(rates.corrected_cnot_error(p, np.zeros((2, 2)), [2.5, 2.5]), rates.upper_cnot_error(p))


def test_without_coherence_purity_data_leave_no_room():
    low, high = rates.unitarity_bound(0.98, 0.98 * 0.99, 0.98**2, 0.99**2)
    assert low == pytest.approx(0.75 * 0.01)
    assert high == pytest.approx(0.75 * 0.01)


@given(decay, decay, st.floats(0, 1), st.floats(0, 1))
def test_the_true_gate_lies_inside_the_range_of_purity_data(a, b, share_a, share_b):
    """Any p_int that Cauchy-Schwarz allows for the true b gives a range that holds b."""
    u_a, u_b = a**2 + share_a * (1 - a**2), b**2 + share_b * (1 - b**2)
    reach = np.sqrt((u_a - a**2) * (u_b - b**2))
    for p_int in (a * b - reach, a * b, a * b + reach):
        low, high = rates.unitarity_bound(a, p_int, u_a, u_b)
        assert low - 1e-7 <= 0.75 * (1 - b) <= high + 1e-7
        worst_low, worst_high = rates.unitarity_bound(a, p_int, u_a)  # nothing known of the gate: wider
        assert worst_low <= low + 1e-7
        assert worst_high >= high - 1e-7


def test_purity_data_bound_channels_with_coherent_errors():
    """Two unital channels, coherent and depolarizing: the range from their own unitarities holds the true decay of the second."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        blocks = []
        for _ in range(2):
            angles = np.zeros(16)
            angles[1:] = rng.normal(0, 0.05, 15)
            blocks.append((channels.depolarizing(rng.uniform(0.97, 1), 2) @ channels.hamiltonian_error(angles, 2))[1:, 1:])
        a, b = (np.trace(m) / 15 for m in blocks)
        u_a, u_b = ((m**2).sum() / 15 for m in blocks)
        low, high = rates.unitarity_bound(a, np.trace(blocks[1] @ blocks[0]) / 15, u_a, u_b)
        assert low <= 0.75 * (1 - b) <= high
        assert high - low > 0


def test_contradictory_purity_data_are_nan():
    assert np.isnan(rates.unitarity_bound(0.98, 0.97, 0.95)).all()  # below p_ref^2 = 0.9604
