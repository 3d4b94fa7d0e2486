import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Clifford, Operator
from qiskit_aer import AerSimulator

from qthreshold.circuits import build, native
from qthreshold.numerics import cliffords
from qthreshold.plan import INTERLEAVED, ONE_QUBIT, READOUT, REFERENCE, TWO_QUBIT, make_plan
from qthreshold.steps import PADDING_PAULI
from reference.devices import line_device, small_recipe

GATES = ("cz", "cx", "ecr", "rzz", "rxx")


def plan_for(device, **two_qubit):
    recipe = small_recipe(**two_qubit)
    return make_plan(device, recipe, 3, {g: native.block_element(recipe.two_qubit.gate, g) for g in GATES})


def units_of(plan, circuit):
    return np.flatnonzero(plan.unit_circuit == circuit)


def qubits_of(plan, device, unit):
    target = plan.unit_target[unit]
    two = plan.circuit_experiment[plan.unit_circuit[unit]] == TWO_QUBIT
    return device.direction[target].tolist() if two else [int(target)]


def expected_string(plan, device, circuit):
    out = 0
    for u in units_of(plan, circuit):
        for k, q in enumerate(qubits_of(plan, device, u)):
            out |= int(plan.unit_expected[u] >> k & 1) << q
    return out


@pytest.mark.parametrize("protocol", ["padded", "plain"])
@pytest.mark.parametrize("block", ["cnot", "native"])
@pytest.mark.parametrize("gate", [*GATES, "mixed"])
def test_every_circuit_gives_its_expected_outcome_without_noise(gate, block, protocol):
    device = line_device(gate)
    assert {tuple(d) == tuple(e) for d, e in zip(device.direction, device.edges, strict=True)} == {True, False}
    plan = plan_for(device, protocol=protocol, gate=block)
    assert set(plan.circuit_experiment.tolist()) == {READOUT, ONE_QUBIT, TWO_QUBIT}
    circuits = list(build.build_circuits(plan, device))
    result = AerSimulator(method="statevector", max_parallel_threads=1).run(circuits, shots=25, seed_simulator=1).result()
    for c in range(plan.n_circuits):
        assert result.data(c)["counts"] == {hex(expected_string(plan, device, c)): 25}, circuits[c].name


@pytest.mark.parametrize("gate", [*GATES, "mixed"])
def test_circuits_hold_only_native_instructions_in_native_direction(gate):
    device = line_device(gate)
    plan = plan_for(device)
    direction = {(tuple(d), g) for d, g in zip(device.direction.tolist(), device.gate, strict=True)}
    seen = set()
    for circuit in build.build_circuits(plan, device):
        for item in circuit.data:
            name, at = item.operation.name, tuple(circuit.find_bit(q).index for q in item.qubits)
            seen.add(name)
            if name in GATES:
                assert (at, name) in direction
            elif name == "rz":
                assert min(abs(float(item.operation.params[0]) - k * np.pi / 2) for k in (-1, 1, 2)) < 1e-12
    assert seen == {"rz", "sx", "x", "barrier", "measure", *device.gate}


def test_rzz_circuits_turn_by_a_quarter():
    device = line_device("rzz")
    angles = {float(i.operation.params[0]) for c in build.build_circuits(plan_for(device), device) for i in c.data if i.operation.name == "rzz"}
    assert angles == {np.pi / 2}


def body_of(circuit):
    """Instructions before the final barrier."""
    data = list(circuit.data)
    return data[: max(i for i, item in enumerate(data) if item.operation.name == "barrier")]


def layers_of(circuit, pair):
    """Instructions of one pair between its barriers, up to the final barrier."""
    layers, pair = [[]], set(pair)
    for item in body_of(circuit):
        at = {circuit.find_bit(q).index for q in item.qubits}
        if not at & pair:
            continue
        assert at <= pair
        if item.operation.name == "barrier":
            assert at == pair
            layers.append([])
        else:
            layers[-1].append(item)
    return layers


def element_of(circuit, layer, pair):
    """Clifford index of a layer, from Qiskit's operator."""
    small = QuantumCircuit(2)
    for item in layer:
        small.append(item.operation, [pair.index(circuit.find_bit(q).index) for q in item.qubits])
    c = Clifford.from_operator(Operator(small))
    return int(cliffords.from_images(c.symplectic_matrix @ (1 << np.arange(4)), c.phase, 2))


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("protocol", ["padded", "plain"])
def test_layers_between_a_pairs_barriers_are_the_planned_steps(protocol, gate):
    device = line_device(gate)
    plan = plan_for(device, protocol=protocol)
    pads = cliffords.pauli([a & 1 | (b & 1) << 1 | a >> 1 << 2 | b >> 1 << 3 for b in PADDING_PAULI for a in PADDING_PAULI], 2)
    for c in np.flatnonzero((plan.circuit_experiment == TWO_QUBIT) & (plan.circuit_sample == 0)):
        circuit = build.build_circuit(plan, device, c)
        for u in units_of(plan, c):
            pair = qubits_of(plan, device, u)
            wanted = []
            for clifford, layers in zip(*plan.sequences([u]), strict=True):
                block = [native.CNOT] if plan.circuit_arm[c] == INTERLEAVED else []
                p1, p2 = pads[layers].tolist()
                wanted += [int(clifford), *([p1, *block, p2] if protocol == "padded" else block)]
            wanted.append(int(plan.unit_final[u]))
            assert [element_of(circuit, layer, pair) for layer in layers_of(circuit, pair)] == wanted


def test_no_barrier_spans_two_targets_before_the_final_one():
    device = line_device("cz")
    plan = plan_for(device)
    wide = 0
    for c, circuit in enumerate(build.build_circuits(plan, device)):
        targets = [set(qubits_of(plan, device, u)) for u in units_of(plan, c)]
        barriers = [{circuit.find_bit(q).index for q in i.qubits} for i in circuit.data if i.operation.name == "barrier"]
        assert all(b in targets for b in barriers[:-1])
        assert barriers[-1] == set().union(*targets)
        wide += len(targets) > 1
    assert wide > 0


def test_padding_pulses_stand_alone_between_barriers():
    device = line_device("cz")
    plan = plan_for(device)
    pulses = set()
    for c in np.flatnonzero((plan.circuit_experiment == TWO_QUBIT) & (plan.circuit_arm == REFERENCE)):
        circuit = build.build_circuit(plan, device, c)
        for u in units_of(plan, c):
            for i, layer in enumerate(layers_of(circuit, qubits_of(plan, device, u))[:-1]):
                if i % 3:
                    pulses |= {item.operation.name for item in layer}
    assert pulses == {"rz", "x"}


def test_one_qubit_sequences_have_a_barrier_between_any_two_cliffords():
    device = line_device("cz")
    plan = plan_for(device)
    for c in np.flatnonzero(plan.circuit_experiment == ONE_QUBIT):
        circuit = build.build_circuit(plan, device, c)
        for u in units_of(plan, c):
            q = circuit.qubits[plan.unit_target[u]]
            own = sum(i.operation.name == "barrier" and i.qubits == (q,) for i in body_of(circuit))
            assert own == plan.circuit_length[c]


def test_measured_are_the_targets_each_into_its_own_bit():
    device = line_device("cz")
    plan = plan_for(device)
    for c, circuit in enumerate(build.build_circuits(plan, device)):
        measured = [(circuit.find_bit(i.qubits[0]).index, circuit.find_bit(i.clbits[0]).index) for i in circuit.data if i.operation.name == "measure"]
        targets = sorted(q for u in units_of(plan, c) for q in qubits_of(plan, device, u))
        assert sorted(measured) == [(q, q) for q in targets]
        assert (circuit.num_qubits, circuit.num_clbits) == (device.n_qubits, device.n_qubits)


def test_choosing_circuits_gives_the_same_ones_as_building_all():
    device = line_device("ecr")
    plan = plan_for(device)
    every = list(build.build_circuits(plan, device))
    some = [0, plan.n_circuits - 1, 5]
    assert [c.name for c in build.build_circuits(plan, device, some)] == [every[i].name for i in some]
    assert all(c == every[i] for c, i in zip(build.build_circuits(plan, device, some), some, strict=True))


def test_names_are_unique_and_say_the_arm():
    device = line_device("cz")
    plan = plan_for(device)
    names = [build.circuit_name(plan, c) for c in range(plan.n_circuits)]
    assert len(set(names)) == len(names)
    for c, name in enumerate(names):
        two = plan.circuit_experiment[c] == TWO_QUBIT
        assert ("-int-" in name) == bool(two and plan.circuit_arm[c] == INTERLEAVED)
        assert ("-ref-" in name) == bool(two and plan.circuit_arm[c] == REFERENCE)
        assert f"-m{plan.circuit_length[c]}-k{plan.circuit_sample[c]}" in name


def test_building_does_not_change_earlier_circuits():
    device = line_device("cz")
    plan = plan_for(device)
    first = build.build_circuit(plan, device, 0)
    sizes = [len(c.data) for c in build.build_circuits(plan, device)]
    again = [len(c.data) for c in list(build.build_circuits(plan, device))]
    assert sizes == again
    assert first == build.build_circuit(plan, device, 0)
