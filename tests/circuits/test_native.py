import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit.library import CXGate, CZGate, ECRGate, RXXGate, RZGate, RZZGate, SXGate, XGate
from qiskit.quantum_info import Clifford, Operator

from qthreshold.circuits import native
from qthreshold.numerics import channels, cliffords
from qthreshold.steps import PADDING_PAULI
from reference.dense import ONE, ptm

GATES = ("cz", "cx", "ecr", "rzz", "rxx")
EVERY_GATE = pytest.mark.parametrize("gate", GATES)
QISKIT = {"cz": CZGate(), "cx": CXGate(), "ecr": ECRGate(), "rzz": RZZGate(np.pi / 2), "rxx": RXXGate(np.pi / 2)}
ONE_QUBIT = [RZGate(np.pi / 2), RZGate(np.pi), RZGate(3 * np.pi / 2), SXGate(), XGate()]


def circuit_of(word, gate):
    circuit = QuantumCircuit(2)
    for op in word:
        circuit.append(QISKIT[gate], [0, 1]) if op == native.NATIVE else circuit.append(ONE_QUBIT[op % 5], [op // 5])
    return circuit


def index_of(operator):
    clifford = Clifford.from_operator(operator)
    return int(cliffords.from_images(clifford.symplectic_matrix @ (1 << np.arange(4)), clifford.phase, 2))


def as_qiskit(element):
    paulis, signs = cliffords.images(element, 2)
    return Clifford(np.concatenate([(paulis[:, None] >> np.arange(4)) & 1, signs[:, None]], axis=1).astype(bool))


def composed(words, gate):
    """Element of every word, by integer composition of its opcodes; the opcodes' elements come from Qiskit."""
    opcode = [index_of(Operator(circuit_of([op], gate))) for op in range(11)]
    out = np.full(len(words), int(cliffords.pauli(0, 2)))
    longest = max(len(words[i]) for i in range(len(words)))
    padded = np.array([[*words[i], *[-1] * (longest - len(words[i]))] for i in range(len(words))])
    steps = np.array([*opcode, int(cliffords.pauli(0, 2))])
    for column in padded.T:
        out = cliffords.compose(out, steps[column], 2)
    return out


@EVERY_GATE
def test_every_word_composes_to_its_element(gate):
    words = native.native_words(gate)
    assert len(words) == 11520
    np.testing.assert_array_equal(composed(words, gate), np.arange(11520))


@EVERY_GATE
def test_words_are_their_elements_as_qiskit_operators(gate):
    words = native.native_words(gate)
    for g in cliffords.sample(2, 60, np.random.default_rng(1)).tolist():
        assert Operator(circuit_of(words[g], gate)).equiv(as_qiskit(g).to_operator())


@EVERY_GATE
def test_one_and_a_half_native_gates_on_average(gate):
    words = native.native_words(gate)
    uses = np.array([words[g].count(native.NATIVE) for g in range(11520)])
    assert np.bincount(uses).tolist() == [576, 5184, 5184, 576]
    assert uses.mean() == 1.5


@EVERY_GATE
def test_product_elements_use_no_native_gate_and_entangling_ones_do(gate):
    words = native.native_words(gate)
    product = (cliffords.local_parts(np.arange(11520)) >= 0).all(axis=1)
    assert [native.NATIVE not in words[g] for g in range(11520)] == product.tolist()


def test_one_qubit_words_are_their_elements_with_at_most_one_pulse():
    pulses = []
    for g, word in enumerate(native.one_qubit_words()):
        paulis, signs = cliffords.images(g, 1)
        wanted = Clifford(np.concatenate([(paulis[:, None] >> np.arange(2)) & 1, signs[:, None]], axis=1).astype(bool))
        circuit = QuantumCircuit(1)
        for op in word:
            circuit.append(ONE_QUBIT[op], [0])
        assert Operator(circuit).equiv(wanted.to_operator())
        pulses.append(sum(op >= 3 for op in word))
    assert np.bincount(pulses).tolist() == [4, 20]


@EVERY_GATE
def test_native_matrices_are_qiskits(gate):
    np.testing.assert_allclose(native.NATIVE_UNITARY[gate], Operator(QISKIT[gate]).data, atol=1e-15)
    assert native.native_element(gate) == index_of(Operator(QISKIT[gate]))


@EVERY_GATE
def test_compiled_cnot_is_cnot_with_the_first_qubit_as_control(gate):
    word = native.block_word("cnot", gate)
    assert Operator(circuit_of(word, gate)).equiv(Operator(CXGate()))
    assert word.count(native.NATIVE) == 1
    assert native.block_element("cnot", gate) == native.CNOT == index_of(Operator(CXGate()))


@EVERY_GATE
def test_native_block_is_the_bare_gate(gate):
    assert native.block_word("native", gate) == (native.NATIVE,)
    assert native.block_element("native", gate) == native.native_element(gate)


def test_unknown_gate_is_named():
    with pytest.raises(ValueError, match=r"'swap'.*cz"):
        native.native_element("swap")


def test_paddings_are_their_paulis():
    for word, pauli in zip(native.PADDINGS, PADDING_PAULI.tolist(), strict=True):
        circuit = QuantumCircuit(1)
        for op in word:
            circuit.append(ONE_QUBIT[op], [0])
        assert Operator(circuit).equiv(Operator(ONE[pauli]))


def test_paddings_i_and_z_have_no_pulse_and_x_and_y_one_pi_pulse():
    for word, pauli in zip(native.PADDINGS, PADDING_PAULI.tolist(), strict=True):
        assert [op for op in word if op >= 3] == ([4] if pauli & 1 else [])
    assert np.bincount(PADDING_PAULI).tolist() == [1, 2, 1, 2]


def test_the_two_x_and_y_paddings_over_rotate_in_opposite_directions():
    angle = 0.1
    over = channels.hamiltonian_error([0, angle, 0, 0], 1)
    table = native.opcode_ptms(np.eye(4), over)
    rotation = {}
    for word, pauli in zip(native.PADDINGS, PADDING_PAULI.tolist(), strict=True):
        noisy = np.eye(4)
        for op in word:
            noisy = table[op] @ noisy
        error = noisy @ channels.unitary(ONE[pauli]).T
        axis = {1: (3, 2), 3: (1, 3)}.get(pauli)  # rotation about X takes Y to Z, about Y takes Z to X
        rotation.setdefault(pauli, []).append(np.arcsin(error[axis]) if axis else np.abs(error - np.eye(4)).max())
    np.testing.assert_allclose(sorted(rotation[1]), [-angle, angle], atol=1e-12)
    np.testing.assert_allclose(sorted(rotation[3]), [-angle, angle], atol=1e-12)
    np.testing.assert_allclose([*rotation[0], *rotation[2]], 0, atol=1e-12)


def test_padding_layers_pad_the_stated_qubits():
    words = native.padding_words()
    assert len(words) == 36
    elements = composed(words, "cz")
    for j in range(6):
        for i in range(6):
            a, b = int(PADDING_PAULI[i]), int(PADDING_PAULI[j])
            assert elements[6 * j + i] == cliffords.pauli((a & 1) | (b & 1) << 1 | (a >> 1) << 2 | (b >> 1) << 3, 2)


@given(st.lists(st.integers(0, 23), max_size=8))
def test_join_is_the_words_one_after_the_other(index):
    words = native.Words.of(native.one_qubit_words())
    assert words.join(index).tolist() == [op for i in index for op in words[i]]


def noisy_pair(seed):
    rng = np.random.default_rng(seed)
    errors = channels.relaxation(1, 0.8, rng.uniform(0, 0.1, (2, 2))) @ channels.hamiltonian_error(rng.normal(0, 0.1, (2, 2, 4)), 1)
    return native.opcode_ptms(errors[0], errors[1]), channels.hamiltonian_error(rng.normal(0, 0.1, 16), 2)


@EVERY_GATE
def test_element_channels_are_those_of_their_words_gate_by_gate(gate):
    one, after = noisy_pair(5)
    two = after @ channels.unitary(native.NATIVE_UNITARY[gate])
    pair = native.pair_ptms(gate, one, two)
    sample = cliffords.sample(2, (4, 10), np.random.default_rng(2))
    fast = pair.elements(sample)
    assert fast.shape == (4, 10, 16, 16)
    for at in np.ndindex(sample.shape):
        np.testing.assert_allclose(fast[at], native.word_ptm(native.native_words(gate)[sample[at]], one, two), atol=1e-13)
    for layer in range(36):
        np.testing.assert_allclose(pair.paddings[layer], native.word_ptm(native.padding_words()[layer], one, two), atol=1e-13)


def test_noise_follows_its_gate_and_opcodes_keep_their_order():
    one, after = noisy_pair(6)
    two = after @ channels.unitary(native.NATIVE_UNITARY["cz"])
    expected = two @ channels.on_qubit(one[1, 3], 1) @ channels.on_qubit(one[0, 4], 0)
    np.testing.assert_allclose(native.word_ptm((4, 5 + 3, native.NATIVE), one, two), expected, atol=1e-14)


def test_rz_has_no_noise():
    one, _ = noisy_pair(7)
    quarter = channels.unitary(np.diag([1, 1j]))
    for turns in (1, 2, 3):
        np.testing.assert_allclose(one[0, turns - 1], np.linalg.matrix_power(quarter, turns), atol=1e-14)


def test_one_qubit_channels_are_those_of_their_words():
    table = noisy_pair(8)[0]
    fast = native.one_qubit_ptms(table)
    for g, word in enumerate(native.one_qubit_words()):
        slow = np.eye(4)
        for op in word:
            slow = table[1, op] @ slow
        np.testing.assert_allclose(fast[1, g], slow, atol=1e-14)


def test_ideal_channels_are_the_clifford_group():
    to_ptm_order = np.array([{0: 0, 1: 1, 2: 3, 3: 2}[q & 1 | q >> 1 & 2] + 4 * {0: 0, 1: 1, 2: 3, 3: 2}[q >> 1 & 1 | q >> 2 & 2] for q in range(16)])
    for g in cliffords.sample(2, 20, np.random.default_rng(3)).tolist():
        slow = ptm(as_qiskit(g).to_operator().data, 2)
        np.testing.assert_allclose(native.ideal_ptm(g)[np.ix_(to_ptm_order, to_ptm_order)], slow, atol=1e-12)
