import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import PTM, Choi, DensityMatrix, Operator, Pauli, SuperOp, average_gate_fidelity, random_quantum_channel, random_unitary
from qiskit_aer.noise import ReadoutError, depolarizing_error, thermal_relaxation_error
from scipy.linalg import expm

from qthreshold.numerics import channels

seed = st.integers(0, 2**31)
QUBITS = pytest.mark.parametrize("n", [1, 2])
LABELS = {1: list("IXYZ"), 2: [b + a for b in "IXYZ" for a in "IXYZ"]}  # Qiskit's labels: last letter is qubit 0


def random_ptm(n, seed, rank=3):
    return PTM(random_quantum_channel(2**n, 2**n, rank=rank, seed=seed)).data.real


def check_physical(ptm):
    assert Choi(PTM(ptm)).is_cptp(atol=1e-9)
    np.testing.assert_allclose(ptm[0], np.eye(len(ptm))[0], atol=1e-12)


@QUBITS
def test_pauli_basis_is_qiskits_in_qiskits_order(n):
    for matrix, label in zip(channels.pauli_basis(n), LABELS[n], strict=True):
        np.testing.assert_array_equal(matrix, Pauli(label).to_matrix())


@QUBITS
@given(seed)
def test_unitary_is_qiskits_ptm(n, seed):
    u = random_unitary(2**n, seed=seed)
    np.testing.assert_allclose(channels.unitary(u.data), PTM(u).data.real, atol=1e-12)


def test_unitary_works_on_batches_and_ignores_global_phase():
    u = np.array([[random_unitary(4, seed=3 * i + j).data for j in range(3)] for i in range(2)])
    batch = channels.unitary(u)
    assert batch.shape == (2, 3, 16, 16)
    np.testing.assert_allclose(batch[1, 2], channels.unitary(1j * u[1, 2]), atol=1e-12)


@QUBITS
@given(seed)
def test_hamiltonian_error_is_the_matrix_exponential(n, seed):
    angles = np.random.default_rng(seed).normal(0, 1, 4**n)
    h = sum(a * p for a, p in zip(angles, channels.pauli_basis(n), strict=True))
    np.testing.assert_allclose(channels.hamiltonian_error(angles, n), PTM(Operator(expm(-0.5j * h))).data.real, atol=1e-11)


def test_hamiltonian_error_of_zero_is_the_identity_and_batches():
    many = channels.hamiltonian_error(np.zeros((2, 3, 16)), 2)
    np.testing.assert_allclose(many, np.broadcast_to(channels.identity(2), many.shape), atol=1e-14)


@QUBITS
@pytest.mark.parametrize("probability", [0.0, 0.1, 1.0])
def test_depolarizing_is_aers(n, probability):
    aer = PTM(SuperOp(depolarizing_error(probability, n))).data.real
    np.testing.assert_allclose(channels.depolarizing(1 - probability, n), aer, atol=1e-12)


@given(st.floats(1e-6, 1e-3), st.floats(0.05, 2), st.floats(0, 1e-3))
def test_relaxation_is_aers_thermal_relaxation(t1, ratio, time):
    t2 = ratio * t1
    aer = PTM(SuperOp(thermal_relaxation_error(t1, t2, time))).data.real
    np.testing.assert_allclose(channels.relaxation(t1, t2, time), aer, atol=1e-9)


def test_relaxation_ends_in_the_ground_state_and_never_with_infinite_times():
    np.testing.assert_allclose(channels.relaxation(1, 1, 1e3)[:, 0], [1, 0, 0, 1], atol=1e-12)
    np.testing.assert_array_equal(channels.relaxation(np.inf, np.inf, 1.0), np.eye(4))
    assert channels.relaxation(np.ones(3), np.ones((2, 1)), 0.1).shape == (2, 3, 4, 4)


@given(st.floats(0, 1), st.floats(0, 1), seed)
def test_readout_flip_confuses_like_aers_readout_error(p1_given_0, p0_given_1, seed):
    confusion = np.array(ReadoutError([[1 - p1_given_0, p1_given_0], [p0_given_1, 1 - p0_given_1]]).probabilities)
    rho = DensityMatrix(random_unitary(2, seed=seed).data[:, 0])
    after = rho.evolve(SuperOp(PTM(channels.readout_flip(p1_given_0, p0_given_1)))).probabilities()
    np.testing.assert_allclose(after, rho.probabilities() @ confusion, atol=1e-12)


@given(seed)
def test_tensor_puts_the_first_channel_on_qubit_0(seed):
    a, b = random_ptm(1, seed), random_ptm(1, seed + 1)
    qiskit = PTM(SuperOp(PTM(b)).tensor(SuperOp(PTM(a)))).data.real
    np.testing.assert_allclose(channels.tensor(a, b), qiskit, atol=1e-12)


def test_tensor_broadcasts():
    a = np.array([random_ptm(1, s) for s in range(3)])
    b = np.array([random_ptm(1, s) for s in range(4)])
    both = channels.tensor(a[None], b[:, None])
    assert both.shape == (4, 3, 16, 16)
    np.testing.assert_allclose(both[2, 1], channels.tensor(a[1], b[2]), atol=1e-14)


@pytest.mark.parametrize("qubit", [0, 1])
def test_on_qubit_leaves_the_other_alone(qubit):
    u = random_unitary(2, seed=1)
    whole = Operator(np.eye(4)).compose(u, qargs=[qubit])
    np.testing.assert_allclose(channels.on_qubit(channels.unitary(u.data), qubit), PTM(whole).data.real, atol=1e-12)


@QUBITS
@given(seed)
def test_composition_is_multiplication_with_the_later_channel_on_the_left(n, seed):
    first, then = random_ptm(n, seed), random_ptm(n, seed + 1)
    np.testing.assert_allclose(then @ first, PTM(SuperOp(PTM(first)).compose(SuperOp(PTM(then)))).data.real, atol=1e-12)


@QUBITS
@given(seed)
def test_infidelity_is_one_minus_qiskits_average_gate_fidelity(n, seed):
    ideal, noise = random_unitary(2**n, seed=seed), random_quantum_channel(2**n, 2**n, rank=2, seed=seed)
    channel = SuperOp(ideal).compose(noise)
    ours = channels.average_gate_infidelity(PTM(channel).data.real, channels.unitary(ideal.data))
    assert ours == pytest.approx(1 - average_gate_fidelity(channel, Operator(ideal)), abs=1e-12)


def test_infidelity_is_not_the_process_infidelity():
    dep = channels.depolarizing(0.9, 2)
    assert channels.average_gate_infidelity(dep, np.eye(16)) == pytest.approx(0.75 * 0.1)  # process infidelity would be 15/16 * 0.1


@QUBITS
@settings(max_examples=30)
@given(seed, st.floats(0, 0.3))
def test_depolarizing_fill_reaches_the_asked_infidelity_or_adds_nothing(n, seed, infidelity):
    rng = np.random.default_rng(seed)
    times = rng.uniform(0, 0.3, 2)
    one = [channels.relaxation(1, rng.uniform(0.1, 2), t) for t in times]
    other = one[0] if n == 1 else channels.tensor(*one)
    keep = channels.depolarizing_fill(other, infidelity)
    own = channels.average_gate_infidelity(other, np.eye(4**n))
    total = channels.average_gate_infidelity(channels.depolarizing(keep, n) @ other, np.eye(4**n))
    assert keep <= 1
    assert total == pytest.approx(max(infidelity, own), abs=1e-12)


@QUBITS
@given(seed)
def test_superoperators_are_qiskits(n, seed):
    ptm = random_ptm(n, seed)
    np.testing.assert_allclose(channels.to_superop(ptm), SuperOp(PTM(ptm)).data, atol=1e-12)


def test_superoperators_of_batches_are_those_of_each():
    many = np.array([random_ptm(2, s) for s in range(5)])
    for ptm, superop in zip(many, channels.to_superop(many), strict=True):
        np.testing.assert_allclose(superop, SuperOp(PTM(ptm)).data, atol=1e-12)


@given(seed)
def test_everything_made_here_is_trace_preserving_and_completely_positive(seed):
    rng = np.random.default_rng(seed)
    one = channels.relaxation(rng.uniform(0.5, 2), rng.uniform(0.1, 1), rng.uniform(0, 3))
    check_physical(one)
    check_physical(channels.readout_flip(*rng.random(2)))
    check_physical(channels.depolarizing(rng.random(), 2))
    check_physical(channels.hamiltonian_error(rng.normal(size=16), 2))
    check_physical(channels.tensor(one, channels.unitary(random_unitary(2, seed=seed).data)))
