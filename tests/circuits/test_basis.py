"""Circuits in every one-qubit basis do what those in rz, sx and x do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator
from qiskit_aer import AerSimulator

from qthreshold.circuits import build, native
from qthreshold.circuits.basis import spelling
from qthreshold.device import BASES, DIAGONAL_GATES, NATIVE_GATES, ONE_QUBIT_BASIS
from reference.devices import line_device, small_plan, small_recipe

EVERY_BASIS = pytest.mark.parametrize("basis", BASES, ids="+".join)
FITTING = [(basis, gate) for basis in BASES for gate in (DIAGONAL_GATES if basis == ("r",) else NATIVE_GATES)]


def of_letters(row, basis, gate, n=2):
    """The circuit of a row of letters on a pair (or one qubit), barriers left out."""
    letters, circuit = spelling(basis).letters, QuantumCircuit(n)
    for op in row:
        if op < n * len(letters):
            circuit.append(letters[op % len(letters)], [op // len(letters)])
        elif op == n * len(letters) and n == 2:
            circuit.append(build._TWO[gate], [0, 1])
    return circuit


def same_but_for_final_phases(a, b):
    """Whether two unitaries agree up to a phase of each outcome, which no measurement sees."""
    ratio = np.einsum("ij,kj->ik", Operator(a).data, Operator(b).data.conj())
    return np.allclose(np.abs(np.diag(ratio)), 1, atol=1e-9)


def equivalent(a, b, basis):
    return same_but_for_final_phases(a, b) if basis == ("r",) else Operator(a).equiv(Operator(b))


@EVERY_BASIS
def test_every_letter_is_a_gate_of_the_basis(basis):
    assert {g.name for g in spelling(basis).letters} == set(basis)


@settings(max_examples=300)
@given(choice=st.sampled_from(FITTING), word=st.lists(st.integers(0, 11), max_size=25))
def test_any_word_means_the_same_in_every_basis(choice, word):
    basis, gate = choice
    spelled = spelling(basis)
    row = spelled.row(np.array(word, dtype=np.uint8), 2) if spelled.tracked else spelled.word(word, 2)
    assert equivalent(of_letters(row, basis, gate), of_letters(word, ONE_QUBIT_BASIS, gate), basis)


@EVERY_BASIS
def test_one_qubit_elements_mean_the_same_in_every_basis(basis):
    spelled = spelling(basis)
    for word in native.one_qubit_words():
        row = spelled.row(np.array(word, dtype=np.uint8), 1) if spelled.tracked else spelled.word(word, 1)
        assert equivalent(of_letters(row, basis, None, 1), of_letters(word, ONE_QUBIT_BASIS, None, 1), basis)


@pytest.mark.parametrize("basis", [("u",), ("u3",)])
def test_where_any_rotation_is_one_gate_a_layer_takes_one_per_qubit_and_run(basis):
    spelled = spelling(basis)
    for word in native.one_qubit_words():
        assert len(spelled.word(word, 1)) == (len(word) > 0)
    words, size = native.native_words("cz"), len(spelled.letters)
    for g in range(0, 11520, 7):
        runs = "".join("ab|"[min(op // size, 2)] for op in spelled.word(words[g], 2)).split("|")
        assert {*runs} <= {"", "a", "b", "ab"}


@settings(max_examples=40)
@given(
    choice=st.sampled_from(FITTING), seed=st.integers(0, 10**6), protocol=st.sampled_from(["padded", "plain"]),
    block=st.sampled_from(["cnot", "native"]),
)  # fmt: skip
def test_circuits_of_a_plan_are_those_of_the_default_basis(choice, seed, protocol, block):
    basis, gate = choice
    usual, device = line_device(gate, 2), line_device(gate, 2, basis=basis)
    recipe = small_recipe(one_qubit={"lengths": [0, 3], "sequences": 2}, lengths=[0, 2], sequences=2, protocol=protocol, gate=block)
    plan = small_plan(usual, recipe, seed)
    for a, b in zip(build.build_circuits(plan, device), build.build_circuits(plan, usual), strict=True):
        assert {i.operation.name for i in a.data} <= {*basis, gate, "barrier", "measure"}
        assert [i.operation.name == "barrier" for i in a.data].count(True) == [i.operation.name == "barrier" for i in b.data].count(True)
        bare = [c.remove_final_measurements(inplace=False) for c in (a, b)]
        assert equivalent(*bare, basis)


@pytest.mark.parametrize(("basis", "gate"), FITTING)
def test_noiseless_circuits_give_their_expected_outcomes_in_every_basis(basis, gate):
    device = line_device(gate, 3, basis=basis)
    plan = small_plan(device, small_recipe(one_qubit={"lengths": [0, 7], "sequences": 2}, lengths=[1, 4], sequences=2))
    circuits = list(build.build_circuits(plan, device))
    result = AerSimulator(method="statevector", max_parallel_threads=1).run(circuits, shots=10, seed_simulator=1).result()
    for c in range(plan.n_circuits):
        (outcome,) = result.data(c)["counts"]
        for unit in np.flatnonzero(plan.unit_circuit == c):
            target = int(plan.unit_target[unit])
            qubits = device.direction[target] if plan.circuit_experiment[c] == 2 else [target]
            for k, q in enumerate(qubits):
                assert int(outcome, 16) >> q & 1 == plan.unit_expected[unit] >> k & 1


def test_a_basis_that_nobody_offers_is_refused():
    with pytest.raises(ValueError, match="cannot be written in h, t"):
        spelling(("h", "t"))
