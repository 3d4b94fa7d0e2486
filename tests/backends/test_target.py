"""Device from a Qiskit target: every way in which a target can leave something out is kept apart."""

import numpy as np
import pytest
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CXGate, CZGate, ECRGate, RXXGate, RZGate, RZXGate, SwapGate, SXGate, XGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import InstructionProperties, QubitProperties, Target

from qthreshold.backends.target import device_from_target
from qthreshold.errors import InputError


def make_target(n=4, pairs=None, gate=None, sx=None, measure=None):
    target = Target(num_qubits=n, qubit_properties=[QubitProperties(t1=1e-4, t2=8e-5) for _ in range(n)])
    every = {(q,): InstructionProperties(error=2e-4, duration=3e-8) for q in range(n)}
    target.add_instruction(RZGate(Parameter("t")), {(q,): InstructionProperties(error=0, duration=0) for q in range(n)})
    target.add_instruction(SXGate(), every if sx is None else sx)
    target.add_instruction(XGate(), every)
    target.add_instruction(Measure(), {(q,): InstructionProperties(error=0.02, duration=1e-6) for q in range(n)} if measure is None else measure)
    if pairs:
        target.add_instruction(gate or CZGate(), pairs)
    return target


def both(a, b, error):
    return {(a, b): InstructionProperties(error=error, duration=7e-8), (b, a): InstructionProperties(error=error, duration=7e-8)}


def test_pairs_listed_in_both_directions_are_one_pair():
    d = device_from_target(make_target(pairs=both(0, 1, 0.01) | both(2, 1, 0.02)), "d", "test")
    assert d.edges.tolist() == [[0, 1], [1, 2]]
    assert d.direction.tolist() == [[0, 1], [1, 2]]
    np.testing.assert_allclose(d.edge_error, [0.01, 0.02])


def test_directed_gates_keep_their_native_direction():
    pairs = {(1, 0): InstructionProperties(error=0.01), (1, 2): InstructionProperties(error=0.01)}
    d = device_from_target(make_target(pairs=pairs, gate=ECRGate()), "d", "test")
    assert d.edges.tolist() == [[0, 1], [1, 2]]
    assert d.direction.tolist() == [[1, 0], [1, 2]]
    assert d.gate == ("ecr", "ecr")


def test_absent_unknown_and_faulty_pairs_are_separate_states_with_reasons():
    pairs = {(0, 1): InstructionProperties(error=None), (1, 2): InstructionProperties(error=1.0), (2, 3): None}
    d = device_from_target(make_target(pairs=pairs), "d", "test", coupling=[(0, 1), (1, 2), (2, 3), (3, 0)])
    status = dict(zip(map(tuple, d.edges.tolist()), d.edge_status, strict=True))
    assert status == {(0, 1): "unknown_error", (1, 2): "faulty", (2, 3): "unknown_error", (0, 3): "absent"}
    assert all(r for r in d.edge_reason)
    assert [tuple(e) for e in d.edges[d.usable_edges].tolist()] == [(0, 1), (2, 3)]


def test_a_qubit_without_pulses_or_readout_is_absent_and_takes_its_pairs_along():
    sx = {(q,): InstructionProperties(error=2e-4) for q in (0, 1, 2)}
    d = device_from_target(make_target(pairs=both(0, 1, 0.01) | both(2, 3, 0.01), sx=sx), "d", "test")
    assert d.qubit_status == ("ok", "ok", "ok", "absent")
    assert "sx" in d.qubit_reason[3]
    assert d.edges[d.usable_edges].tolist() == [[0, 1]]


def test_the_better_gate_of_a_pair_is_used():
    target = make_target(pairs=both(0, 1, 0.01))
    target.add_instruction(CXGate(), {(1, 0): InstructionProperties(error=0.003)})
    d = device_from_target(target, "d", "test")
    assert d.gate == ("cx",)
    assert d.direction.tolist() == [[1, 0]]


def test_missing_t1_and_properties_are_nan_not_an_error():
    target = make_target(pairs=both(0, 1, 0.01))
    bare = Target(num_qubits=2)
    for gate in (RZGate(Parameter("t")), SXGate(), XGate(), Measure(), CZGate()):
        bare.add_instruction(gate, dict.fromkeys([(0, 1)] if gate.num_qubits == 2 else [(0,), (1,)]))
    d = device_from_target(bare, "d", "test")
    assert np.isnan(d.t1).all()
    assert d.edge_status == ("unknown_error",)
    assert device_from_target(target, "d", "test").t1[0] == 1e-4


def test_an_all_to_all_target_without_coupling_map():
    target = Target(num_qubits=4)
    for gate in (RZGate(Parameter("t")), SXGate(), XGate(), Measure(), CZGate()):
        target.add_instruction(gate, None, name=gate.name)
    d = device_from_target(target, "d", "test")
    assert len(d.edges) == 6


def test_unusable_targets_say_what_is_missing():
    with pytest.raises(InputError, match="how many qubits"):
        device_from_target(Target(), "d", "nowhere")
    target = Target(num_qubits=2)
    target.add_instruction(RXXGate(Parameter("t")), {(0, 1): None})
    with pytest.raises(InputError, match=r"has rxx; they need one of rz\+sx\+x, .* u3 "):
        device_from_target(target, "d", "test")


@pytest.mark.parametrize("gate", [RXXGate(np.pi / 3), RZXGate(Parameter("t")), SwapGate()])
def test_two_qubit_gates_that_circuits_cannot_use_leave_the_pair_absent(gate):
    target = make_target(n=2)
    target.add_instruction(gate, {(0, 1): InstructionProperties(error=0.01)})
    d = device_from_target(target, "d", "test", coupling=[(0, 1)])
    assert d.edge_status == ("absent",)


@pytest.mark.parametrize("gate", ["cx", "cz", "ecr"])
def test_generic_backend(gate):
    backend = GenericBackendV2(5, basis_gates=["rz", "sx", "x", gate], coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]], seed=1)
    d = device_from_target(backend.target, backend.name, "generic", backend.coupling_map)
    assert d.two_qubit_gate == gate
    assert len(d.usable_edges) == 4
    assert np.isfinite(d.edge_error).all()
