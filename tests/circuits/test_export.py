"""Exported circuits are the circuits that are built, whatever the native gate."""

import io

import numpy as np
import pytest
from qiskit import qasm3, qpy
from qiskit.quantum_info import Operator

from qthreshold.circuits.build import build_circuit, build_circuits
from qthreshold.circuits.export import qasm3_texts, qpy_bytes
from qthreshold.device import BASES, DIAGONAL_GATES, NATIVE_GATES
from qthreshold.plan import circuit_name
from reference.devices import line_device, small_plan, small_recipe


def instructions(circuit):
    """Name, parameters, qubits and bits of every instruction."""
    return [
        (i.operation.name, [float(p) for p in i.operation.params], [circuit.find_bit(q).index for q in i.qubits],
         [circuit.find_bit(b).index for b in i.clbits]) for i in circuit.data
    ]  # fmt: skip


@pytest.mark.parametrize("gate", sorted(NATIVE_GATES))
@pytest.mark.parametrize("protocol", ["padded", "plain"])
def test_text_is_what_the_exporter_writes_and_loads_as_the_same_circuit(gate, protocol):
    device = line_device(gate, 3)
    plan = small_plan(device, small_recipe(lengths=[0, 1, 2], protocol=protocol))
    texts = list(qasm3_texts(plan, device, range(plan.n_circuits)))
    assert len(texts) == plan.n_circuits
    for c, text in enumerate(texts):
        first, _, rest = text.partition("\n")
        assert first == f"// {circuit_name(plan, c)}: {plan.circuit_shots[c]} shots, plan {plan.id}"
        written = qasm3.dumps(build_circuit(plan, device, c))  # without definitions of gates that the circuit does not use
        assert rest.partition("q;\n")[2].rstrip() == written.partition("q;\n")[2].rstrip()
        assert rest.rstrip() == written.rstrip() or "gate " not in written
    for c in [0, int(np.flatnonzero(plan.circuit_experiment == 1)[-1]), plan.n_circuits - 1]:
        built, loaded = build_circuit(plan, device, c), qasm3.loads(texts[c])
        assert instructions(loaded) == instructions(built)
        assert (loaded.num_qubits, loaded.num_clbits) == (built.num_qubits, built.num_clbits)
        for circuit in (built, loaded):
            circuit.remove_final_measurements()
        assert Operator(loaded).equiv(Operator(built))
        assert gate not in ("cz", "cx") or loaded == built


@pytest.mark.parametrize("basis", BASES, ids="+".join)
def test_circuits_in_other_bases_load_as_the_same_circuits(basis):
    gate = sorted(DIAGONAL_GATES if basis == ("r",) else NATIVE_GATES)[BASES.index(basis) % 2]
    device = line_device(gate, 3, basis=basis)
    plan = small_plan(device, small_recipe(lengths=[0, 1]))
    chosen = [0, int(np.flatnonzero(plan.circuit_experiment == 1)[-1]), plan.n_circuits - 1]
    for c, text in zip(chosen, qasm3_texts(plan, device, chosen), strict=True):
        built, loaded = build_circuit(plan, device, c), qasm3.loads(text)
        assert instructions(loaded) == instructions(built)
        for circuit in (built, loaded):
            circuit.remove_final_measurements()
        assert Operator(loaded).equiv(Operator(built))


def test_devices_of_several_gates_and_selections_are_written():
    device = line_device("mixed")
    plan = small_plan(device)
    chosen = [0, plan.n_circuits - 1]
    texts = list(qasm3_texts(plan, device, chosen))
    assert [t.split(":")[0] for t in texts] == [f"// {circuit_name(plan, c)}" for c in chosen]
    for c, text in zip(chosen, texts, strict=True):
        assert instructions(qasm3.loads(text)) == instructions(build_circuit(plan, device, c))


def test_qpy_holds_the_circuits_that_are_built():
    device = line_device("mixed")
    plan = small_plan(device)
    loaded = qpy.load(io.BytesIO(qpy_bytes(plan, device, range(plan.n_circuits))))
    built = list(build_circuits(plan, device))
    assert loaded == built
    assert [c.name for c in loaded] == [circuit_name(plan, c) for c in range(plan.n_circuits)]
