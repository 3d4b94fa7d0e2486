"""What stands in the way of a plan on a device as it is now, found in its target before anything is sent."""

from math import pi

import numpy as np
from qiskit.transpiler import Target

from qthreshold.device import Device
from qthreshold.plan import TWO_QUBIT, Plan

__all__ = ["obstacles"]

_ANGLES = {"rzz": [pi / 2], "rxx": [pi / 2]}


def obstacles(target: Target, plan: Plan, device: Device) -> list[str]:
    """Why the plan's circuits cannot run on a target, one line for each qubit and pair.

    Args:
        target: The device as it is now.
        plan: The plan.
        device: The device as it was planned.
    """
    two = plan.circuit_experiment[plan.unit_circuit] == TWO_QUBIT
    pairs = np.unique(plan.unit_target[two])
    used = np.unique(np.concatenate([plan.unit_target[~two], device.edges[pairs].ravel()]))
    needed = [*device.basis, *(["measure"] if "measure" in target.operation_names else [])]  # who lists no measurement measures all the same
    lines = []
    for q in used.tolist():
        lacking = [name for name in needed if not _supported(target, name, (q,))]
        if lacking:
            lines.append(f"qubit {q} has no {' and no '.join(lacking)}")
    for edge in pairs.tolist():
        a, b = device.direction[edge].tolist()
        if not _supported(target, device.gate[edge], (a, b)):
            other = _supported(target, device.gate[edge], (b, a))
            lines.append(f"pair {a}-{b} has no {device.gate[edge]}{f' from {a} to {b}, only from {b} to {a}' if other else ''}")
    return lines


def _supported(target: Target, name: str, qubits: tuple[int, ...]) -> bool:
    if name not in target.operation_names:
        return False
    if not target[name] or None in target[name]:  # on any qubits; Qiskit says no where the target does not state their number
        return not target.num_qubits or max(qubits) < target.num_qubits
    return bool(target.instruction_supported(name, qubits, parameters=_ANGLES.get(name)))
