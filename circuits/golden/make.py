"""Golden circuits: one reference and one interleaved circuit of a pair for each native gate, as OpenQASM 3.

They show what runs on hardware, and a change in them means that results of earlier versions no longer compare. To write
them anew after a deliberate change (and say so in the changelog):

    python circuits/golden/make.py

The plan is fixed: two qubits, the native gate from qubit 1 to qubit 0, two padded steps, seed 2026. The first line of each
file names the circuit and the outcome that it gives without noise, as bits c[1] c[0]. ``SHA256SUMS`` holds the hashes of
the files (check with ``sha256sum -c SHA256SUMS`` in this directory).
"""

import hashlib
from pathlib import Path

import numpy as np
from qiskit import qasm3

from qthreshold.circuits import native
from qthreshold.circuits.build import build_circuit
from qthreshold.device import build_device
from qthreshold.plan import REFERENCE, TWO_QUBIT, circuit_name, make_plan
from qthreshold.recipe import Recipe

RECIPE = {
    "schema": "qthreshold/recipe/1", "name": "golden", "two_qubit": {"lengths": [1, 2], "sequences": 2, "shots": 100},
    "one_qubit": {"lengths": [1, 2], "sequences": 2},
}  # fmt: skip


def golden_circuits() -> dict[str, str]:
    """Text of every golden file, by file name."""
    files = {}
    for gate in sorted(native.NATIVE_UNITARY):
        device = build_device(
            name="golden", source="circuits/golden", n_qubits=2, directed=[(1, 0)], gate=[gate], edge_error=[5e-3], edge_duration=[1e-7],
            qubit_error=[5e-4] * 2, readout_error=[0.02] * 2, pulse_duration=[3e-8] * 2, readout_duration=[1e-6] * 2, t1=[1e-4] * 2, t2=[1e-4] * 2,
        )  # fmt: skip
        plan = make_plan(device, Recipe.model_validate(RECIPE), 2026, {gate: native.CNOT})
        chosen = (plan.circuit_experiment == TWO_QUBIT) & (plan.circuit_length == 2) & (plan.circuit_sample == 0)
        for c in np.flatnonzero(chosen):
            arm = "reference" if plan.circuit_arm[c] == REFERENCE else "interleaved"
            expected = int(plan.unit_expected[plan.unit_circuit == c][0])  # bit 0: first qubit of the native order, here qubit 1
            header = f"// {circuit_name(plan, c)}: {gate} from qubit 1 to qubit 0, without noise c = {expected & 1}{expected >> 1}\n"
            files[f"{gate}-{arm}.qasm"] = header + qasm3.dumps(build_circuit(plan, device, c)).rstrip("\n") + "\n"
    return files


def main() -> None:
    """Write the files and their hashes beside this script."""
    here = Path(__file__).resolve().parent
    sums = []
    for name, text in sorted(golden_circuits().items()):
        (here / name).write_text(text, encoding="utf-8", newline="\n")
        sums.append(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n")
    (here / "SHA256SUMS").write_text("".join(sums), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
