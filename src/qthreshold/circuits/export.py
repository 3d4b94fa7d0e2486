"""Plan -> circuits in a form that other control stacks read: OpenQASM 3 text, or Qiskit's QPY.

Qiskit's exporter takes 0.4 ms for every instruction. It writes each distinct instruction of a device once here, and circuits
are joined from those lines along their rows of opcodes, so the text is that of the exporter whatever the gates are.
"""

import io
from collections.abc import Iterable, Iterator

import numpy as np
from qiskit import qasm3, qpy

from qthreshold.circuits.build import Instructions, build_circuits, unit_opcodes
from qthreshold.device import Device
from qthreshold.plan import TWO_QUBIT, Plan, circuit_name

__all__ = ["qasm3_texts", "qpy_bytes"]


class _Lines:
    """OpenQASM 3 of every instruction of a plan's targets, as the exporter writes it.

    Attributes:
        header: Version, include, definitions of gates that the include lacks, and the registers.
        of: Lines of a target's opcodes, by whether it is a pair, and its number.
    """

    def __init__(self, plan: Plan, device: Device) -> None:
        ready = Instructions(device)
        pair = plan.circuit_experiment[plan.unit_circuit] == TWO_QUBIT
        targets = sorted(set(zip(pair.tolist(), plan.unit_target.tolist(), strict=True)))
        tables = {t: ready.of_edge(t[1]) if t[0] else ready.of_qubit(t[1]) for t in targets}
        every = ready.template.copy_empty_like()
        every._data.extend([instruction for table in tables.values() for instruction in table])
        text = qasm3.dumps(every)
        registers = f"qubit[{device.n_qubits}] q;\n"
        before, _, body = text.partition(registers)
        self.header = before + registers
        lines = iter(body.splitlines(keepends=True))
        self.of = {t: [next(lines) for _ in table] for t, table in tables.items()}


def qasm3_texts(plan: Plan, device: Device, circuits: Iterable[int]) -> Iterator[str]:
    """Circuits as OpenQASM 3, one after the other; the same circuits as :func:`.build.build_circuits` gives.

    Args:
        plan: The plan.
        device: Its device.
        circuits: Which circuits.

    Yields:
        Texts; the first line is a comment with the circuit's name, its shots and the plan.
    """
    lines, plan_id = _Lines(plan, device), plan.id
    first = np.searchsorted(plan.unit_circuit, np.arange(plan.n_circuits + 1))
    for c in circuits:
        two = bool(plan.circuit_experiment[c] == TWO_QUBIT)
        parts = [f"// {circuit_name(plan, c)}: {plan.circuit_shots[c]} shots, plan {plan_id}\n", lines.header]
        qubits: list[int] = []
        for unit in range(first[c], first[c + 1]):
            target = int(plan.unit_target[unit])
            parts += map(lines.of[two, target].__getitem__, unit_opcodes(plan, device, unit).tolist())
            qubits += device.direction[target].tolist() if two else [target]
        parts.append(f"barrier {', '.join(f'q[{q}]' for q in qubits)};\n")
        parts += [f"c[{q}] = measure q[{q}];\n" for q in qubits]
        yield "".join(parts)


def qpy_bytes(plan: Plan, device: Device, circuits: Iterable[int]) -> bytes:
    """Circuits as one QPY file, in the oldest format that this Qiskit writes, so that older ones read it.

    Args:
        plan: The plan.
        device: Its device.
        circuits: Which circuits.
    """
    buffer = io.BytesIO()
    qpy.dump(list(build_circuits(plan, device, circuits)), buffer, version=qpy.common.QPY_COMPATIBILITY_VERSION)
    return buffer.getvalue()
