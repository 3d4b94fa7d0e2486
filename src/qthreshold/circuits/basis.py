"""Opcodes in the one-qubit gates that a device offers.

Words are made of rz by quarter turns, sx and x (see :mod:`qthreshold.circuits.native`). In another basis each opcode becomes
letters: gates of that basis. Where any rotation is one gate (u, u3), all that happens to a qubit between two native gates or
barriers becomes one letter. Where there is no z rotation at all (r alone), quarter turns are kept as the qubit's frame, which
turns the axes of its later pulses; what is left of it at the end is not seen by the measurement.

A row of letters on n qubits of a basis with L letters has ``letter + L * qubit``, then ``n * L`` for the first opcode that is
not a one-qubit gate, and so on.

References:
    D. C. McKay et al., arXiv:1612.00858 (virtual Z, and u1, u2, u3 in terms of it).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import numpy as np
import numpy.typing as npt
from qiskit.circuit import Gate
from qiskit.circuit.library import PhaseGate, RGate, RXGate, RZGate, SXGate, U1Gate, U2Gate, U3Gate, UGate, XGate

from qthreshold.circuits.native import Word, one_qubit_words
from qthreshold.numerics import cliffords

__all__ = ["Spelling", "spelling"]

_OPCODES = 5
_IDENTITY = int(cliffords.pauli(0, 1))
_Z = {"rz": RZGate, "p": PhaseGate, "u1": U1Gate}
_ANY = {"u": UGate, "u3": U3Gate}
_PULSES: dict[tuple[str, ...], tuple[Gate, ...]] = {
    ("sx", "x"): (SXGate(), XGate()),
    ("sx",): (SXGate(),),
    ("rx",): (RXGate(pi / 2), RXGate(pi)),
    ("r",): (RGate(pi / 2, 0), RGate(pi, 0)),
    ("u2", "u3"): (U2Gate(-pi / 2, pi / 2), U3Gate(pi, -pi / 2, pi / 2)),
}


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a basis writes the five one-qubit opcodes.

    Attributes:
        letters: Its gates.
        merged: One letter for each of the 24 elements, in place of each run of opcodes.
        tracked: Quarter turns are frames; letters are sx about four axes, then x about four axes.
    """

    letters: tuple[Gate, ...]
    merged: bool = False
    tracked: bool = False

    def word(self, word: Sequence[int], n_qubits: int) -> Word:
        """A word of opcodes in letters; for all but tracked bases, whose letters depend on what came before."""
        if not self.merged:
            return tuple(letter for op in word for letter in _substituted(op, n_qubits, len(self.letters)))
        out: list[int] = []
        runs = [_IDENTITY] * n_qubits
        for op in (*word, None):
            if op is not None and op < _OPCODES * n_qubits:
                qubit = op // _OPCODES
                runs[qubit] = _after(runs[qubit], op % _OPCODES)
                continue
            out += [element + len(self.letters) * q for q, element in enumerate(runs) if element != _IDENTITY]
            runs = [_IDENTITY] * n_qubits
            out += [] if op is None else [op + (len(self.letters) - _OPCODES) * n_qubits]
        return tuple(out)

    def row(self, row: npt.NDArray[np.uint8], n_qubits: int) -> npt.NDArray[np.uint8]:
        """A whole sequence of opcodes in letters, frames kept; only for tracked bases."""
        row = row.astype(np.int64)
        out = row + (len(self.letters) - _OPCODES) * n_qubits
        kept = row >= _OPCODES * n_qubits
        for qubit in range(n_qubits):
            own = np.where(row // _OPCODES == qubit, row % _OPCODES, _OPCODES)
            pulse = (own == 3) | (own == 4)
            frame = np.cumsum(np.where(own < 3, own + 1, 0)) % 4
            out = np.where(pulse, len(self.letters) * qubit + 4 * (own - 3) + frame, out)
            kept |= pulse
        return out[kept].astype(np.uint8)


@functools.cache  # the same few for each of eleven thousand words
def _substituted(op: int, n_qubits: int, n_letters: int) -> Word:
    if op >= _OPCODES * n_qubits:
        return (op + (n_letters - _OPCODES) * n_qubits,)
    qubit, own = divmod(op, _OPCODES)
    first = qubit * n_letters
    return (first + 3, first + 3) if own == n_letters else (first + own,)  # without x: two sx


@functools.cache
def _after(element: int, op: int) -> int:
    return int(cliffords.compose(element, one_qubit_words().index((op,)), 1))


@functools.cache
def spelling(basis: tuple[str, ...]) -> Spelling:
    """How a basis, one of :data:`qthreshold.device.BASES`, writes opcodes.

    Raises:
        ValueError: The basis is not one of them.
    """
    if basis == ("r",):  # with frame f, Rx(t) Rz(f) = Rz(f) R(t, -f)
        return Spelling(tuple(RGate(turn, -f * pi / 2 if f < 3 else pi / 2) for turn in (pi / 2, pi) for f in range(4)), tracked=True)
    if len(basis) == 1 and basis[0] in _ANY:
        gate = _ANY[basis[0]]
        return Spelling(tuple(gate(*_angles(word)) for word in one_qubit_words()), merged=True)
    if basis[0] not in _Z or basis[1:] not in _PULSES:
        raise ValueError(f"circuits cannot be written in {', '.join(basis)}")
    return Spelling((*(_Z[basis[0]](angle) for angle in (pi / 2, pi, -pi / 2)), *_PULSES[basis[1:]]))


def _angles(word: Word) -> tuple[float, float, float]:
    """Theta, phi, lambda of ``rz? pulse? rz?``: Rx(t) = Rz(-pi/2) Ry(t) Rz(pi/2)."""
    pulse = [i for i, op in enumerate(word) if op >= 3]
    if not pulse:
        return 0.0, 0.0, _turned(sum(op + 1 for op in word))
    before, after = (sum(op + 1 for op in part) for part in (word[: pulse[0]], word[pulse[0] + 1 :]))
    return (pi / 2 if word[pulse[0]] == 3 else pi), _turned(after - 1), _turned(before + 1)


def _turned(quarters: int) -> float:
    """Quarter turns as an angle above -pi and up to pi."""
    return (pi / 2, pi, -pi / 2, 0.0)[(quarters - 1) % 4]
