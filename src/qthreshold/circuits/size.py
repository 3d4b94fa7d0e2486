"""How large circuits are, from the plan alone: gates of each kind on each qubit, without building a circuit."""

import functools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from qthreshold.circuits import native
from qthreshold.device import Device
from qthreshold.plan import INTERLEAVED, TWO_QUBIT, Plan, circuit_seconds
from qthreshold.ticket import Load

__all__ = ["circuit_load"]

Ints = npt.NDArray[np.int64]

_CHUNK = 1_000_000  # steps looked at together
_TURN, _PULSE, _GATE = 0, 1, 4  # columns of a count: rz and pulses of the first qubit, of the second, native gates


def circuit_load(plan: Plan, device: Device, weights: Mapping[str, int]) -> Load:
    """Instructions of every circuit as :mod:`.build` writes it, barriers included.

    Args:
        plan: The plan.
        device: Its device.
        weights: Control instructions of a gate on each of its qubits, by name, 1 where none is stated; also ``measure``, and
            ``circuit`` for what every circuit costs on each qubit (0).
    """
    instructions = np.ones(plan.n_circuits, dtype=np.int64)  # the last barrier
    two_qubit = np.zeros(plan.n_circuits, dtype=np.int64)
    control = np.full((plan.n_circuits, device.n_qubits), weights.get("circuit", 0), dtype=np.int64)
    per_gate = [weights.get("rz", 1), weights.get("sx", 1)]
    pair = plan.circuit_experiment[plan.unit_circuit] == TWO_QUBIT
    kinds = np.full(len(pair), "", dtype=object)
    kinds[pair] = np.array(device.gate, dtype=object)[plan.unit_target[pair]]
    for gate in dict.fromkeys(kinds.tolist()):
        for units in _chunks(plan, np.flatnonzero(kinds == gate)):
            circuit, target = plan.unit_circuit[units], plan.unit_target[units]
            counted, layers = _pair_gates(plan, units, gate) if gate else _qubit_gates(plan, units)
            qubits = device.direction[target] if gate else target[:, None]
            np.add.at(instructions, circuit, counted.sum(axis=1) + layers + qubits.shape[1])
            np.add.at(two_qubit, circuit, counted[:, _GATE])
            both = weights.get(gate, 1) * counted[:, _GATE] + weights.get("measure", 1)
            for side in range(qubits.shape[1]):
                np.add.at(control, (circuit, qubits[:, side]), counted[:, 2 * side : 2 * side + 2] @ per_gate + both)
    seconds = plan.circuit_shots * (device.repetition_delay + circuit_seconds(plan, device))
    return Load(instructions=instructions, two_qubit_gates=two_qubit, control=control, seconds=seconds)


def _chunks(plan: Plan, units: Ints) -> Iterator[Ints]:
    """Units in groups of few enough steps to be looked at together."""
    steps = np.cumsum(plan.circuit_length[plan.unit_circuit[units]])
    return (units[steps // _CHUNK == i] for i in np.unique(steps // _CHUNK))


def _qubit_gates(plan: Plan, units: Ints) -> tuple[Ints, Ints]:
    """Gates of one-qubit units ``(U, 5)``, and the barriers between their layers ``(U,)``."""
    words = _gates(native.one_qubit_words())
    drawn, _ = plan.sequences(units)
    length = plan.circuit_length[plan.unit_circuit[units]]
    return _sums(words[drawn], length) + words[plan.unit_final[units]], length


def _pair_gates(plan: Plan, units: Ints, gate: str) -> tuple[Ints, Ints]:
    """The same for pairs with one native gate."""
    words, padding = _tables(gate)
    circuit = plan.unit_circuit[units]
    length, interleaved = plan.circuit_length[circuit], plan.circuit_arm[circuit] == INTERLEAVED
    drawn, layers_drawn = plan.sequences(units)
    counted = _sums(words[drawn], length) + words[plan.unit_final[units]]
    counted += (length * interleaved)[:, None] * _gates([native.block_word(plan.block, gate)])
    layers = 1 + interleaved
    if plan.padded:
        counted += _sums(padding[layers_drawn].sum(axis=1), length)
        layers = layers + 2
    return counted, layers * length


def _gates(words: Iterable[native.Word]) -> Ints:
    """Gates of words, ``(W, 5)``."""
    out = []
    for word in words:
        row = [0, 0, 0, 0, 0]
        for op in word:
            row[_GATE if op == native.NATIVE else 2 * (op // 5) + (_TURN if op % 5 < 3 else _PULSE)] += 1
        out.append(row)
    return np.array(out, dtype=np.int64)


@functools.cache
def _tables(gate: str) -> tuple[Ints, Ints]:
    """Gates of all two-qubit elements and of the padding layers."""
    elements, pads = native.native_words(gate), native.padding_words()
    return _gates(elements[i] for i in range(len(elements))), _gates(pads[i] for i in range(len(pads)))


def _sums(rows: Ints, length: Ints) -> Ints:
    """Sums ``(U, 5)`` over the steps of each unit, which follow each other in ``(S, 5)``."""
    end = np.cumsum(length)
    total = np.concatenate([np.zeros((1, 5), dtype=np.int64), np.cumsum(rows, axis=0)])
    return total[end] - total[end - length]
