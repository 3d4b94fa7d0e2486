"""Plan -> Qiskit circuits in native gates, without a transpiler.

Each unit becomes a row of opcodes (:func:`unit_opcodes`), each opcode a ready-made instruction on its qubits, and whole
rows are appended to the circuit at once. On devices with another basis than rz, sx and x the opcodes are letters of that
basis (:mod:`qthreshold.circuits.basis`).
"""

from collections.abc import Iterable, Iterator
from math import pi

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, CircuitInstruction, Gate
from qiskit.circuit.library import CXGate, CZGate, ECRGate, RXXGate, RZZGate

from qthreshold.circuits import native
from qthreshold.circuits.basis import spelling
from qthreshold.device import ONE_QUBIT_BASIS, Device
from qthreshold.plan import INTERLEAVED, TWO_QUBIT, Plan, circuit_name

__all__ = ["Instructions", "build_circuit", "build_circuits", "native_gate", "unit_opcodes"]

_ONE = spelling(ONE_QUBIT_BASIS).letters
_TWO: dict[str, Gate] = {"cz": CZGate(), "cx": CXGate(), "ecr": ECRGate(), "rzz": RZZGate(pi / 2), "rxx": RXXGate(pi / 2)}
_ONE_QUBIT_BARRIER = 5


def native_gate(name: str) -> Gate:
    """The Qiskit gate, with its angle, that circuits use for one of :data:`qthreshold.device.NATIVE_GATES`."""
    return _TWO[name]


def unit_opcodes(plan: Plan, device: Device, unit: int) -> npt.NDArray[np.uint8]:
    """Opcodes of one unit, barriers between its layers; one-qubit units use 0..4 and 5 for a barrier.

    On a device with another basis: its letters, those of qubit 0, then of qubit 1, then as for opcodes.
    """
    row = _unit_row(plan, device, unit)
    spelled = spelling(device.basis)
    return spelled.row(row, 2 if plan.circuit_experiment[plan.unit_circuit[unit]] == TWO_QUBIT else 1) if spelled.tracked else row


def _unit_row(plan: Plan, device: Device, unit: int) -> npt.NDArray[np.uint8]:
    circuit = plan.unit_circuit[unit]
    m, final = int(plan.circuit_length[circuit]), plan.unit_final[unit]
    drawn, paddings = plan.sequences([unit])
    if plan.circuit_experiment[circuit] != TWO_QUBIT:
        return _one_qubit_table(device.basis).join(_with_barriers(np.append(drawn, final)[:, None], 24))
    gate = device.gate[plan.unit_target[unit]]
    table = _pair_table(gate, plan.block, device.basis)
    layers = [drawn.astype(np.int64)]
    if plan.padded:
        layers.append(native.PAIR_PADDING + paddings[:, 0].astype(np.int64))
    if plan.circuit_arm[circuit] == INTERLEAVED:
        layers.append(np.full(m, native.PAIR_BLOCK))
    if plan.padded:
        layers.append(native.PAIR_PADDING + paddings[:, 1].astype(np.int64))
    row = np.stack(layers, axis=1) if m else np.zeros((0, 1), dtype=np.int64)
    body = _with_barriers(row, _BARRIER_WORD)
    return table.join(np.concatenate([body, [_BARRIER_WORD] if m else [], [final]]).astype(np.int64))


_BARRIER_WORD = native.PAIR_BLOCK + 1


def _with_barriers(layers: npt.NDArray[np.int64], barrier: int) -> npt.NDArray[np.int64]:
    """Layer numbers in order, ``(S, W)`` -> flat, with a barrier between any two."""
    flat = layers.astype(np.int64).ravel()
    out = np.full(max(2 * flat.size - 1, 0), barrier, dtype=np.int64)
    out[::2] = flat
    return out


_tables: dict[object, native.Words] = {}


def _one_qubit_table(basis: tuple[str, ...]) -> native.Words:
    if basis not in _tables:
        _tables[basis] = _spelled(native.Words.of([*native.one_qubit_words(), (_ONE_QUBIT_BARRIER,)]), basis, 1)
    return _tables[basis]


def _pair_table(gate: str, block: str, basis: tuple[str, ...]) -> native.Words:
    """Words of all elements, then of the padding layers, the block and the barrier."""
    if (gate, block, basis) not in _tables:
        pair = native.pair_words(gate, block)
        words = native.Words(np.append(pair.flat, np.uint8(native.BARRIER)), np.append(pair.start, pair.start[-1] + 1))
        _tables[gate, block, basis] = _spelled(words, basis, 2)
    return _tables[gate, block, basis]


def _spelled(words: native.Words, basis: tuple[str, ...], n_qubits: int) -> native.Words:
    """Words in the letters of a basis; those of tracked bases stay opcodes until the whole row is known."""
    spelled = spelling(basis)
    if basis == ONE_QUBIT_BASIS or spelled.tracked:
        return words
    return native.Words.of([spelled.word(words[i], n_qubits) for i in range(len(words))])


class Instructions:
    """Ready-made instructions of every qubit and pair of a register."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.letters = spelling(device.basis).letters
        self.template = QuantumCircuit(device.n_qubits, device.n_qubits)
        self.one: dict[int, list[CircuitInstruction]] = {}
        self.two: dict[int, list[CircuitInstruction]] = {}

    def of_qubit(self, qubit: int) -> list[CircuitInstruction]:
        """By opcode of a one-qubit unit."""
        if qubit not in self.one:
            at = (self.template.qubits[qubit],)
            self.one[qubit] = [CircuitInstruction(g, at, ()) for g in (*self.letters, Barrier(1))]
        return self.one[qubit]

    def of_edge(self, edge: int) -> list[CircuitInstruction]:
        """By opcode of a pair's unit."""
        if edge not in self.two:
            a, b = self.device.direction[edge].tolist()
            pair = (self.template.qubits[a], self.template.qubits[b])
            both = [CircuitInstruction(g, pair, ()) for g in (_TWO[self.device.gate[edge]], Barrier(2))]
            self.two[edge] = [*self.of_qubit(a)[:-1], *self.of_qubit(b)[:-1], *both]
        return self.two[edge]


def build_circuits(plan: Plan, device: Device, circuits: Iterable[int] | None = None) -> Iterator[QuantumCircuit]:
    """Native circuits of a plan, one after the other.

    Args:
        plan: The plan.
        device: Its device.
        circuits: Which circuits; all by default.

    Yields:
        Circuits as wide as the device; classical bit q holds qubit q; only targets are measured.
    """
    ready = Instructions(device)
    first = np.searchsorted(plan.unit_circuit, np.arange(plan.n_circuits + 1))
    for c in range(plan.n_circuits) if circuits is None else circuits:
        circuit = ready.template.copy_empty_like(circuit_name(plan, c))
        two = plan.circuit_experiment[c] == TWO_QUBIT
        qubits: list[int] = []
        for unit in range(first[c], first[c + 1]):
            target = int(plan.unit_target[unit])
            table = ready.of_edge(target) if two else ready.of_qubit(target)
            circuit._data.extend([table[op] for op in unit_opcodes(plan, device, unit).tolist()])
            qubits += device.direction[target].tolist() if two else [target]
        circuit.barrier(qubits)
        circuit.measure(qubits, qubits)
        yield circuit


def build_circuit(plan: Plan, device: Device, circuit: int) -> QuantumCircuit:
    """One native circuit."""
    return next(build_circuits(plan, device, [circuit]))
