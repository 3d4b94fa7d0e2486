"""The size of circuits is known without building them: it agrees with the circuits that are built."""

import numpy as np
import pytest

from qthreshold.backends.profiles import build, load_profile
from qthreshold.circuits.build import build_circuits
from qthreshold.circuits.native import NATIVE_UNITARY, block_element
from qthreshold.circuits.size import circuit_load
from qthreshold.datafiles import load_named
from qthreshold.plan import make_plan
from qthreshold.recipe import Recipe
from reference.devices import device_of

WEIGHTS = {"rz": 1, "sx": 2, "x": 2, "cx": 5, "cz": 6, "ecr": 7, "rzz": 8, "measure": 10, "circuit": 50}


def weighed(circuit, n_qubits):
    """Control instructions on each qubit of a circuit, one instruction after the other."""
    total = np.full(n_qubits, WEIGHTS["circuit"])
    for instruction in circuit.data:
        if instruction.operation.name != "barrier":
            for qubit in instruction.qubits:
                total[circuit.find_bit(qubit).index] += WEIGHTS[instruction.operation.name]
    return total


@pytest.mark.parametrize("protocol", ["padded", "plain"])
@pytest.mark.parametrize("block", ["cnot", "native"])
def test_gates_of_every_kind_agree_with_the_circuits(protocol, block):
    device = device_of([(0, 1), (2, 1), (2, 3), (4, 3)], ["cx", "cz", "ecr", "rzz"], 6)
    recipe = load_named("circuits", "quick", Recipe, "recipe")
    recipe = recipe.model_copy(update={"two_qubit": recipe.two_qubit.model_copy(update={"protocol": protocol, "gate": block})})
    plan = make_plan(device, recipe, 5, {g: block_element(block, g) for g in NATIVE_UNITARY})
    load = circuit_load(plan, device, WEIGHTS)
    for c, circuit in enumerate(build_circuits(plan, device)):
        ops = circuit.count_ops()
        assert load.instructions[c] == sum(ops.values())
        assert load.two_qubit_gates[c] == sum(ops.get(g, 0) for g in NATIVE_UNITARY)
        np.testing.assert_array_equal(load.control[c], weighed(circuit, device.n_qubits))


def test_a_large_plan_is_looked_at_in_parts(monkeypatch):
    device = build(load_profile("coherent-16")).device
    recipe = load_named("circuits", "quick", Recipe, "recipe")
    plan = make_plan(device, recipe, 5, {g: block_element("cnot", g) for g in NATIVE_UNITARY})
    whole = circuit_load(plan, device, WEIGHTS)
    monkeypatch.setattr("qthreshold.circuits.size._CHUNK", 100)
    parts = circuit_load(plan, device, WEIGHTS)
    for name in ("instructions", "two_qubit_gates", "control"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
