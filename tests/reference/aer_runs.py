"""Native circuits on Aer, whole and gate by gate: what every other way to simulate them is compared with."""

import numpy as np
from qiskit_aer import AerSimulator

from qthreshold.backends.aer import noise_model
from qthreshold.circuits import build
from qthreshold.plan import TWO_QUBIT

GATES = ("cz", "cx", "ecr", "rzz", "rxx")

NOISY = """
schema = "qthreshold/profile/1"
name = "noisy"
seed = {seed}
[topology]
kind = "line"
qubits = {qubits}
[qubits]
t1 = {{ median = 20e-6, spread = 0.3 }}
t2 = {{ median = 15e-6, spread = 0.3 }}
pulse_error = {{ median = 1e-3, spread = 0.3 }}
over_rotation = {over}
phase_error = {phase}
p1_given_0 = {{ median = 0.02, spread = 0.5 }}
p0_given_1 = {{ median = 0.05, spread = 0.5 }}
[pairs]
gate = "{gate}"
order = "drawn"
error = {{ median = 1e-2, spread = 0.4 }}
duration = 3e-7
coherent = {{ ZZ = {zz}, ZI = 0.05, XY = 0.02 }}
"""


def profile_file(folder, gate="cz", **values):
    """Path of a noisy line of qubits."""
    path = folder / f"{gate}.toml"
    path.write_text(NOISY.format(gate=gate, **({"seed": 1, "qubits": 5, "over": 0.05, "phase": 0.02, "zz": 0.1} | values)))
    return str(path)


def qubits_of(backend, plan, unit):
    target = plan.unit_target[unit]
    two = plan.circuit_experiment[plan.unit_circuit[unit]] == TWO_QUBIT
    return backend.device.direction[target].tolist() if two else [int(target)]


def probabilities(circuits, noise=None):
    simulator = AerSimulator(method="density_matrix", noise_model=noise, max_parallel_threads=1)
    result = simulator.run(circuits).result()
    assert result.success
    return [result.data(i)["probabilities"] for i in range(len(circuits))]


def unsplit(backend, plan):
    """The same from one run of the native circuits with the gate-by-gate noise model; readout errors by hand on what is measured."""
    circuits = []
    for circuit in build.build_circuits(plan, backend.device):
        bare = circuit.copy()
        bare.data = [i for i in circuit.data if i.operation.name != "measure"]
        bare.save_probabilities()
        circuits.append(bare)
    n, noise = backend.device.n_qubits, backend.noise
    out = []
    for c, p in enumerate(probabilities(circuits, noise_model(backend.device, noise))):
        tensor = p.reshape([2] * n)  # axis n - 1 - q is qubit q
        measured = {q for u in np.flatnonzero(plan.unit_circuit == c) for q in qubits_of(backend, plan, u)}
        for q in range(n):
            a, b = noise.p1_given_0[q], noise.p0_given_1[q]
            confusion = np.array([[1 - a, b], [a, 1 - b]]) if q in measured else np.array([[1, 1], [0, 0]])
            tensor = np.moveaxis(np.tensordot(confusion, tensor, ([1], [n - 1 - q])), 0, n - 1 - q)
        out.append(tensor.ravel())
    return np.array(out)
