"""Devices of other makers: whatever a target looks like, its circuits run on it, or one line says why not."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from qiskit.circuit import Gate, Measure, Parameter
from qiskit.circuit.library import CZGate, ECRGate, RGate, RXGate, RXXGate, RZGate, RZZGate, SXGate, U3Gate, XGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import InstructionProperties, Target
from qiskit_aer import AerSimulator

from qthreshold.backends.target import device_from_target
from qthreshold.circuits.build import build_circuits
from qthreshold.errors import InputError
from qthreshold.plan import TWO_QUBIT
from qthreshold.workflow import load_recipe
from reference.devices import small_plan, small_recipe

T, P = Parameter("t"), Parameter("p")
ONE_QUBIT_SETS = [
    ["rz", "sx", "x"], ["rz", "sx"], ["rz", "rx"], ["rz", "r"], ["p", "sx", "x"], ["u1", "u2", "u3"], ["r"], ["u"], ["u3"], ["h", "rz", "sx"],
]  # fmt: skip


def describe(backend):
    return device_from_target(backend.target, "g", "generic", backend.coupling_map)


def check_supported(target, circuits):
    """Every instruction is one that the target offers on these qubits with these angles."""
    names = set()
    for circuit in circuits:
        for item in circuit.data:
            names.add(item.operation.name)
            if item.operation.name != "barrier":
                at = tuple(circuit.find_bit(q).index for q in item.qubits)
                assert target.instruction_supported(item.operation.name, at, parameters=item.operation.params), (item.operation, at)
    return names


@st.composite
def topologies(draw):
    """Number of qubits and a coupling map: line, ring, grid, all-to-all, or random pairs, each in one direction or both."""
    kind = draw(st.sampled_from(["line", "ring", "grid", "all", "random"]))
    n = draw(st.integers(2, 7)) if kind != "grid" else 6
    every = [(a, b) for a in range(n) for b in range(a + 1, n)]
    pairs = {
        "line": [(a, a + 1) for a in range(n - 1)], "ring": sorted({tuple(sorted((a, (a + 1) % n))) for a in range(n)}),
        "grid": [(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)], "all": every,
        "random": [(0, 1), *draw(st.lists(st.sampled_from(every[1:]), unique=True))] if n > 2 else every,
    }[kind]  # fmt: skip
    turns = draw(st.lists(st.integers(0, 2), min_size=len(pairs), max_size=len(pairs)))
    pairs = pairs or [(0, 1)]
    n = 1 + max(b for _, b in pairs)  # a generic backend wants its coupling map to reach the last qubit
    return n, [p for (a, b), t in zip(pairs, turns, strict=True) for p in ([(a, b)], [(b, a)], [(a, b), (b, a)])[t]]


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    topology=topologies(), one=st.sampled_from(ONE_QUBIT_SETS), seed=st.integers(0, 99),
    two=st.lists(st.sampled_from(["cx", "cz", "ecr", "rzz", "rxx"]), min_size=1, max_size=2, unique=True),
)  # fmt: skip
def test_circuits_hold_only_what_a_generic_backend_offers(topology, one, two, seed):
    assume(one != ["r"] or {"cz", "rzz"} & set(two))
    n, coupling = topology
    backend = GenericBackendV2(n, basis_gates=[*one, *two], coupling_map=[list(p) for p in coupling], seed=seed)
    device = describe(backend)
    assert {tuple(e) for e in device.edges.tolist()} == {(min(p), max(p)) for p in coupling}
    assert set(device.basis) <= set(one)
    names = check_supported(backend.target, build_circuits(small_plan(device, small_recipe(lengths=[0, 2], sequences=2)), device))
    assert names <= {*device.basis, *device.gate, "barrier", "measure"}


@pytest.mark.parametrize(
    ("one", "two"), [(["rz", "sx", "x"], ["ecr"]), (["u"], ["cx"]), (["r"], ["cz"]), (["rz", "r"], ["rxx"]), (["rz", "rx"], ["rzz"])]
)
def test_a_quick_plan_runs_on_a_generic_backend_and_its_bits_are_in_order(one, two):
    backend = GenericBackendV2(4, basis_gates=[*one, *two], coupling_map=[[0, 1], [2, 1], [2, 3]], seed=5)
    for pair in backend.target[two[0]]:  # as drawn, errors of rzz and rxx come close to 1
        backend.target.update_instruction_properties(two[0], pair, InstructionProperties(error=5e-3, duration=3e-7))
    device = describe(backend)
    plan = small_plan(device, load_recipe("quick"))
    circuits = list(build_circuits(plan, device))
    check_supported(backend.target, circuits)
    shortest = plan.circuit_length <= np.where(plan.circuit_experiment == TWO_QUBIT, 2, 30)
    chosen = np.flatnonzero(shortest)[::3]
    assert {0, 1, 2} == set(plan.circuit_experiment[chosen].tolist())
    result = backend.run([circuits[c] for c in chosen], shots=200, seed_simulator=3).result()
    for i, c in enumerate(chosen.tolist()):
        counts = result.get_counts(i)
        for unit in np.flatnonzero(plan.unit_circuit == c):
            target, expected = int(plan.unit_target[unit]), int(plan.unit_expected[unit])
            qubits = device.direction[target].tolist() if plan.circuit_experiment[c] == TWO_QUBIT else [target]
            right = sum(n for bits, n in counts.items() if all(int(bits[-1 - q]) == expected >> k & 1 for k, q in enumerate(qubits)))
            assert right / 200 > 0.75, (circuits[c].name, qubits)


def bare(n, *gates, measured=True):
    """A target without any properties: gates with the qubits that they are offered on (None: all)."""
    target = Target(num_qubits=n)
    for gate, at in [*gates, *([(Measure(), None)] if measured else [])]:
        target.add_instruction(gate, at if at is None else dict.fromkeys(at), name=gate.name)
    return target


def every(n):
    return [(q,) for q in range(n)]


def test_a_machine_with_r_and_cz_alone():
    target = bare(3, (RGate(T, P), every(3)), (CZGate(), [(0, 1), (1, 2)]))
    device = device_from_target(target, "d", "IQM-like")
    assert (device.basis, device.two_qubit_gate, device.edge_status) == (("r",), "cz", ("unknown_error",) * 2)
    check_supported(target, build_circuits(small_plan(device), device))


def test_r_alone_goes_only_with_gates_that_commute_with_frames():
    with pytest.raises(InputError, match=r"has ecr, measure, r; they need one of .* \(r alone with cz or rzz\)"):
        device_from_target(bare(3, (RGate(T, P), every(3)), (ECRGate(), [(0, 1)])), "d", "test")
    mixed = device_from_target(bare(3, (RGate(T, P), every(3)), (ECRGate(), [(0, 1)]), (CZGate(), [(2, 1)])), "d", "test", [(0, 1), (1, 2)])
    assert mixed.gate == ("cz", "cz")
    assert mixed.edge_status == ("absent", "unknown_error")


def test_an_ion_trap_with_rxx_between_any_two():
    target = bare(4, (RZGate(T), None), (RGate(T, P), None), (RXXGate(T), None))
    device = device_from_target(target, "d", "AQT-like", None)
    assert (device.basis, device.two_qubit_gate, len(device.usable_edges)) == (("rz", "r"), "rxx", 6)
    check_supported(target, build_circuits(small_plan(device), device))


def test_a_machine_with_gates_of_its_own_is_told_what_is_accepted():
    target = bare(2, *((Gate(name, n, []), None) for name, n in (("gpi", 1), ("gpi2", 1), ("ms", 2))))
    with pytest.raises(InputError, match=r"one-qubit gates of IonQ-like, which has gpi, gpi2, measure, ms; they need one of rz\+sx\+x, ") as caught:
        device_from_target(target, "d", "IonQ-like")
    assert "\n" not in str(caught.value)


def test_the_ideal_simulator():
    device = device_from_target(AerSimulator().target, "d", "aer", n_qubits=5)
    assert (device.n_qubits, device.basis, device.two_qubit_gate, len(device.usable_edges)) == (5, ("rz", "sx", "x"), "cz", 10)
    check_supported(AerSimulator().target, build_circuits(small_plan(device), device))


def test_without_measure_in_the_target_qubits_are_measured_all_the_same():
    device = device_from_target(bare(2, (U3Gate(T, P, Parameter("l")), None), (CZGate(), None), measured=False), "d", "test")
    assert device.usable_qubits.tolist() == [0, 1]
    assert np.isnan(device.readout_error).all()


def test_a_target_of_no_stated_size_is_as_large_as_what_it_names_or_as_it_is_told():
    everywhere = ((RZGate(T), None), (SXGate(), None), (XGate(), None))
    named = device_from_target(bare(None, *everywhere, (CZGate(), [(4, 2)])), "d", "test")
    assert named.n_qubits == 5
    with pytest.raises(InputError, match=r"nowhere does not say how many qubits it has; say how many to use"):
        device_from_target(bare(None, *everywhere, (CZGate(), None)), "d", "nowhere")
    assert len(device_from_target(bare(None, *everywhere, (CZGate(), None)), "d", "test", n_qubits=3).edges) == 3


def test_absurd_numbers_of_qubits_must_be_cut_down():
    target = bare(65535, (RZGate(T), None), (SXGate(), None), (XGate(), None), (CZGate(), None))
    with pytest.raises(InputError, match=r"couples all of its 65535 qubits with each other; say how many to use, at most 500"):
        device_from_target(target, "d", "simulator")
    assert device_from_target(target, "d", "simulator", n_qubits=20).n_qubits == 20


def test_a_device_can_be_cut_down_but_not_made_larger():
    target = bare(4, (RZGate(T), every(4)), (SXGate(), every(4)), (XGate(), every(4)), (CZGate(), [(0, 1), (1, 2), (2, 3)]))
    device = device_from_target(target, "d", "test", [(0, 1), (2, 3), (1, 0)], n_qubits=3)
    assert (device.n_qubits, device.edges.tolist()) == (3, [[0, 1], [1, 2]])
    with pytest.raises(InputError, match="test has 4 qubits, 5 were asked for"):
        device_from_target(target, "d", "test", n_qubits=5)
    with pytest.raises(InputError, match="at least one qubit is needed, got 0"):
        device_from_target(target, "d", "test", n_qubits=0)


@pytest.mark.parametrize(("gate", "fits"), [(RZZGate(T), True), (RZZGate(np.pi / 2), True), (RZZGate(np.pi / 4), False)])
def test_a_gate_of_fixed_angle_is_used_only_if_it_is_the_right_one(gate, fits):
    target = bare(2, (RZGate(T), every(2)), (SXGate(), every(2)), (XGate(), every(2)), (gate, [(0, 1)]))
    assert device_from_target(target, "d", "test").gate == (("rzz",) if fits else ())


def test_pulses_of_fixed_angle_do_not_stand_for_others():
    gates = ((RZGate(T), every(2)), (RXGate(np.pi / 2), every(2)), (CZGate(), [(0, 1)]))
    with pytest.raises(InputError, match="has cz, measure, rx, rz"):
        device_from_target(bare(2, *gates), "d", "test")


def test_the_basis_that_most_qubits_have_is_used_and_the_rest_left_out():
    target = bare(3, (RZGate(T), every(3)), (SXGate(), every(2)), (XGate(), [(0,)]), (CZGate(), [(0, 1), (1, 2)]))
    device = device_from_target(target, "d", "test")
    assert device.basis == ("rz", "sx")
    assert device.qubit_status == ("unknown_error", "unknown_error", "absent")
    assert device.qubit_reason[2] == "the target offers no rz+sx on qubit 2"


def test_reported_values_are_those_of_the_pulse_in_use():
    target = Target(num_qubits=1)
    target.add_instruction(RZGate(T), {(0,): InstructionProperties(error=0.0, duration=0.0)})
    target.add_instruction(RXGate(T), {(0,): InstructionProperties(error=2e-3, duration=4e-8)})
    device = device_from_target(target, "d", "test")
    assert (device.basis, device.qubit_error[0], device.pulse_duration[0]) == (("rz", "rx"), 2e-3, 4e-8)
