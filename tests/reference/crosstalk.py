"""Circuits of pairs with crosstalk, gate by gate as density matrices in Qiskit, one after the other."""

import numpy as np
from qiskit.circuit.library import SXGate, XGate
from qiskit.quantum_info import PTM, DensityMatrix, Operator, SuperOp

from qthreshold.circuits import native
from qthreshold.plan import INTERLEAVED


def unit_word(plan, device, unit):
    """Native gates of a pair's unit, as opcodes."""
    circuit = plan.unit_circuit[unit]
    gate = device.gate[plan.unit_target[unit]]
    words, pads = native.native_words(gate), native.padding_words()
    word = []
    for element, (before, after) in zip(*plan.sequences([unit]), strict=True):
        word += words[element]
        word += pads[before] if plan.padded else ()
        word += native.block_word(plan.block, gate) if plan.circuit_arm[circuit] == INTERLEAVED else ()
        word += pads[after] if plan.padded else ()
    return [*word, *words[plan.unit_final[unit]]]


class _Machine:
    def __init__(self, device, noise):
        turn = [np.diag([np.exp(-1j * t * np.pi / 4), np.exp(1j * t * np.pi / 4)]) for t in (1, 2, 3)]
        self.one = [Operator(m) for m in (*turn, SXGate().to_matrix(), XGate().to_matrix())]
        self.device = device
        self.after = {3: [SuperOp(PTM(m)) for m in noise.sx], 4: [SuperOp(PTM(m)) for m in noise.x]}
        self.native = [SuperOp(PTM(m)) for m in noise.native]

    def do(self, state, op, edge, at):
        """One opcode of a pair whose qubits are ``at`` in the state."""
        if op == native.NATIVE:
            state = state.evolve(Operator(native.NATIVE_UNITARY[self.device.gate[edge]]), at)
            return state.evolve(self.native[edge], at)
        q = op // 5
        state = state.evolve(self.one[op % 5], [at[q]])
        return state.evolve(self.after[op % 5][self.device.direction[edge][q]], [at[q]]) if op % 5 in self.after else state


def outcome_chances(plan, device, noise, crosstalk, units):
    """Probabilities of what the pairs of some units of one circuit read, bit 2 p + q for qubit q of the p-th of them."""
    machine = _Machine(device, noise)
    edges = [int(plan.unit_target[u]) for u in units]
    qubits = [int(q) for e in edges for q in device.direction[e]]
    words = [unit_word(plan, device, u) for u in units]
    state = DensityMatrix.from_int(0, 2 ** len(qubits))
    done = [0] * len(units)
    while any(done[p] < len(w) for p, w in enumerate(words)):
        natives = []
        for p, word in enumerate(words):
            while done[p] < len(word):
                op = word[done[p]]
                state = machine.do(state, op, edges[p], [2 * p, 2 * p + 1])
                done[p] += 1
                if op == native.NATIVE:
                    natives.append(p)
                    break
        for (a, b), zz in zip(device.edges.tolist(), crosstalk, strict=True):
            i, j = (qubits.index(q) if q in qubits else -1 for q in (a, b))
            if i >= 0 and j >= 0 and i // 2 != j // 2 and {i // 2, j // 2} <= set(natives):
                state = state.evolve(Operator(np.diag(np.exp(-0.5j * zz * np.array([1, -1, -1, 1])))), [i, j])
    chance = state.probabilities().reshape([2] * len(qubits))
    for i, q in enumerate(qubits):  # the last axis is the first qubit
        a, b = noise.p1_given_0[q], noise.p0_given_1[q]
        axis = len(qubits) - 1 - i
        chance = np.moveaxis(np.tensordot([[1 - a, b], [a, 1 - b]], chance, ([1], [axis])), 0, axis)
    return chance.ravel()
