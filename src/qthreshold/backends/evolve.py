"""Exact evolution of random sequences on qubits and pairs: products of noisy channels, many sequences at a time.

States are vectors of Pauli components; a batch holds one column for each sequence. On a pair, all one-qubit operations between two
native gates are one channel for each qubit, looked up in a table of everything that can stand there; the native gate is the same for all
sequences of a pair, so that it acts on all of them in one matrix product. Sequences of a length go through these *slots* in step: a
Clifford takes as many slots as it has native gates, at least one. A column with nothing to do in a slot keeps its state.

The result equals what a density-matrix simulator gives for the same circuits, up to rounding.

References:
    D. Greenbaum, arXiv:1509.02921 (Pauli transfer matrices).
"""

import functools
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from qthreshold.circuits import native
from qthreshold.numerics import cliffords

__all__ = ["PairColumns", "PairSteps", "PairTables", "QubitColumns", "QubitTables", "outcome_chances"]

Real = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

_LAYERS = 3  # one-qubit operations that stand before a native gate within a Clifford, the empty one first
_LAYER_BITS, _PART_BITS = 2, 14  # where they start in a packed element
_Z = (0, 3, 12, 15)  # components I, Z on the first qubit, Z on the second, Z on both


@dataclass(frozen=True, slots=True)
class _Alphabet:
    """What can stand between two native gates on either qubit, as numbers of rows in a table, for one native gate and block.

    A row is an operation that ends a step, followed by the layer before the next native gate:

    - end of a reference step: ``(layer * n_pads**2 + p1 + n_pads * p2) * 24 + a`` (element a, paddings p1 and p2);
    - from an element to the block's native gate: ``before + p1 * 24 + a``;
    - from there to the next Clifford: ``after + layer * n_pads + p2``;
    - a layer alone: ``alone + layer``; the first of them does nothing.

    Attributes:
        layers: Words of the layers on each qubit.
        block: Words before and after the native gate of the block, on each qubit.
        n_pads: 6, or 1 without padding.
        packed: Of each element, in one number: how many native gates it has (2 bits), the layers before the first, second and third of
            them on the first and the second qubit (6 times 2 bits), and the one-qubit elements that follow (twice 5 bits); ``(11520,)``.
    """

    layers: tuple[tuple[native.Word, ...], tuple[native.Word, ...]]
    block: tuple[tuple[native.Word, native.Word], tuple[native.Word, native.Word]]
    n_pads: int
    packed: npt.NDArray[np.uint32]

    @property
    def before(self) -> int:
        return _LAYERS * self.n_pads**2 * 24

    @property
    def after(self) -> int:
        return self.before + self.n_pads * 24

    @property
    def alone(self) -> int:
        return self.after + _LAYERS * self.n_pads

    @property
    def rows(self) -> int:
        return self.alone + _LAYERS


@functools.cache
def _alphabet(gate: str, block: str, padded: bool) -> _Alphabet:
    cores, core, parts = native.decomposition(gate)
    cut = [_cut(word) for word in cores]
    layers = tuple(tuple(sorted({(), *(piece[q] for pieces in cut for piece in pieces[:-1])}, key=lambda w: (len(w), w))) for q in (0, 1))
    if any(len(known) != _LAYERS for known in layers) or any(pieces[-1] != ((), ()) for pieces in cut):
        raise ValueError(f"Cliffords in {gate} are not built as expected: layers {layers}")
    before, *after = _cut(native.block_word(block, gate))
    if len(after) != 1:
        raise ValueError(f"the {block} block in {gate} has {len(after)} native gates, expected one")
    packed = np.zeros(len(core), dtype=np.uint32)
    for i, pieces in enumerate(cut):
        code = len(pieces) - 1
        for k, piece in enumerate(pieces[:-1]):
            for q in (0, 1):
                code |= layers[q].index(piece[q]) << _LAYER_BITS + 4 * k + 2 * q
        packed[core == i] = code
    packed |= parts[:, 0].astype(np.uint32) << _PART_BITS | parts[:, 1].astype(np.uint32) << _PART_BITS + 5
    return _Alphabet(
        layers=(layers[0], layers[1]), block=((before[0], after[0][0]), (before[1], after[0][1])),
        n_pads=len(native.PADDINGS) if padded else 1, packed=packed,
    )  # fmt: skip


def _cut(word: native.Word) -> list[tuple[native.Word, native.Word]]:
    """What a word does on each qubit before, between and after its native gates."""
    pieces: list[tuple[list[int], list[int]]] = [([], [])]
    for op in word:
        if op == native.NATIVE:
            pieces.append(([], []))
        else:
            pieces[-1][op // 5].append(op % 5)
    return [(tuple(a), tuple(b)) for a, b in pieces]


@dataclass(frozen=True, slots=True)
class PairTables:
    """Channels of P pairs with the same native gate.

    Attributes:
        alphabet: What the rows are.
        local: Of everything that can stand between native gates, by qubit, ``(2, P * rows, 12)``: all but the first row, which is that of
            the identity in every channel.
        native: Noisy native gates, ``(P, 16, 16)``.
    """

    alphabet: _Alphabet
    local: Real
    native: Real

    @classmethod
    def of(cls, gate: str, block: str, padded: bool, sx: Real, x: Real, native_ptms: Real) -> "PairTables":
        """Tables of pairs.

        Args:
            gate: Their native gate.
            block: The interleaved block, ``cnot`` or ``native``.
            padded: Whether steps are padded.
            sx: Error after sx on both qubits, ``(P, 2, 4, 4)``.
            x: The same for x.
            native_ptms: Noisy native gate, ``(P, 16, 16)``.

        Raises:
            ValueError: A channel does not keep the trace.
        """
        alphabet = _alphabet(gate, block, padded)
        opcodes = native.opcode_ptms(sx, x)  # (P, 2, 5, 4, 4)
        if max(np.abs(m[..., 0, :] - np.eye(1, m.shape[-1])).max(initial=0.0) for m in (opcodes, native_ptms)) > 1e-12:
            raise ValueError("a channel that does not keep the trace cannot be simulated")
        count = len(native_ptms)
        local = np.empty((2, count, alphabet.rows, 12))
        for q in (0, 1):
            table = opcodes[:, q]
            elements = native.one_qubit_ptms(table)  # (P, 24, 4, 4)
            pads = native.words_ptms(native.PADDINGS[: alphabet.n_pads], table)
            layers = native.words_ptms(alphabet.layers[q], table)
            both = pads[:, :, None] @ pads[:, None]  # p2, p1
            before, after = (native.words_ptms((word,), table) for word in alphabet.block[q])
            ends = _joined(both.reshape(count, -1, 4, 4), elements)
            rows = local[q]
            _joined(layers, ends, rows[:, : alphabet.before])
            _joined(before, _joined(pads, elements), rows[:, alphabet.before : alphabet.after])
            _joined(layers, _joined(pads, after), rows[:, alphabet.after : alphabet.alone])
            rows[:, alphabet.alone :] = layers[:, :, 1:].reshape(count, -1, 12)
        return cls(alphabet, local.reshape(2, -1, 12), native_ptms)


def _joined(then: Real, first: Real, rows: Real | None = None) -> Real:
    """All products of channels, ``(P, A, 4, 4)`` and ``(P, B, 4, 4)`` -> ``(P, A * B, 4, 4)``, in one matrix product.

    With ``rows``, ``(P, A * B, 12)``, they are written there, all but the first row of each.
    """
    count, a, b = len(first), then.shape[1], first.shape[1]
    right = first.transpose(0, 2, 3, 1).reshape(count, 4, 4 * b)
    out = (then.reshape(count, 4 * a, 4) @ right).reshape(count, a, 4, 4, b).transpose(0, 1, 4, 2, 3)
    if rows is not None:
        rows.reshape(count, a, b, 3, 4)[...] = out[:, :, :, 1:]
        return rows
    return out.reshape(count, a * b, 4, 4)


class PairSteps:
    """Some consecutive steps of B sequences, taken apart: by step and sequence, ``(T, B)``.

    Args:
        tables: Of the pairs.
        elements: Clifford indices, ``(T, B)``.
        paddings: Codes of P1 on either qubit and of P2 on either qubit, ``(4, T, B)``; None where there are none.
    """

    def __init__(self, tables: PairTables, elements: npt.NDArray[np.uint16], paddings: npt.NDArray[np.int16] | None = None) -> None:
        packed = np.take(tables.alphabet.packed, elements.astype(np.intp), mode="clip")
        self.natives = (packed & 3).astype(np.int16)
        self._packed = packed
        self.part = [(packed >> _PART_BITS + 5 * q & 31).astype(np.int16) for q in (0, 1)]
        self.first, self.second = (paddings[:2], paddings[2:]) if paddings is not None else (np.zeros(2, dtype=np.int16),) * 2

    def layer(self, k: int, qubit: int, those: npt.NDArray[np.intp] | None = None) -> npt.NDArray[np.int16]:
        """Layer on a qubit before the k-th native gate of each element, or of ``those`` among all, counted row by row."""
        packed = self._packed if those is None else self._packed.reshape(-1)[those]
        return (packed >> _LAYER_BITS + 4 * k + 2 * qubit & 3).astype(np.int16)


@dataclass(slots=True)
class _Pending:
    """What ended the last step and waits for the layer of the next: row ``number + layer * stride``, for each qubit ``(2, B)``."""

    number: npt.NDArray[np.int16]
    stride: int


class PairColumns:
    """States of B sequences of one length and arm on P pairs, B / P on each, ordered by pair.

    Args:
        tables: Of the pairs.
        columns: B.
        interleaved: Whether the block follows each Clifford.
    """

    def __init__(self, tables: PairTables, columns: int, *, interleaved: bool) -> None:
        self.tables, self.interleaved = tables, interleaved
        count = len(tables.native)
        self._offset = np.repeat(np.arange(count) * tables.alphabet.rows, columns // count)
        self._now, self._next = _Buffer(count, columns), _Buffer(count, columns)
        self._now.flat[list(_Z)] = 1.0  # all qubits in the ground state
        self._found, channel = np.empty((columns, 12)), np.empty((12, columns))
        self._channel, self._channel_by_row = channel.reshape(3, 4, columns), channel.T
        self._pending = _Pending(np.full((2, columns), tables.alphabet.alone, dtype=np.int16), 1)

    def advance(self, steps: PairSteps) -> None:
        """Go through some steps."""
        self._through(*self._slots(steps, self.interleaved))

    def finish(self, final: npt.NDArray[np.uint16]) -> Real:
        """Components I, Z1, Z2 and ZZ ``(4, B)`` after the elements ``(B,)`` that end the sequences."""
        self._through(*self._slots(PairSteps(self.tables, final[None]), interleaved=False))
        self._apply_local(self._pending.number + self._offset)
        return self._now.flat[list(_Z)]

    def _slots(self, steps: PairSteps, interleaved: bool) -> tuple[Index, npt.NDArray[np.bool_]]:
        """Table rows of each slot ``(2, S, B)``, and where the native gate is left out ``(S, B)``; the last step's end becomes pending."""
        t, columns = self.tables.alphabet, steps.natives.shape[1]
        slots = np.maximum(steps.natives, 1).astype(np.intp)
        own = slots + 1 if interleaved else slots
        end = np.cumsum(own, axis=0)
        place = (end - own) * columns + np.arange(columns)
        count = int(end[-1].max(initial=0))
        rows = np.full((2, count, columns), t.alone, dtype=np.int16)
        idle = np.ones((count, columns), dtype=bool)
        flat_idle = idle.reshape(-1)
        flat_idle[place] = steps.natives == 0
        more = [(k, np.flatnonzero(steps.natives > k)) for k in (1, 2)]  # second and third native gates
        at_more = [place.ravel()[those] + k * columns for k, those in more]
        at_block = place + slots * columns
        for at in (*at_more, *([at_block] if interleaved else [])):
            flat_idle[at] = False
        for q in (0, 1):
            flat = rows[q].reshape(-1)
            if interleaved:
                flat[at_block] = t.before + steps.first[q] * 24 + steps.part[q]
                number, stride = np.broadcast_to(t.after + steps.second[q], steps.natives.shape), t.n_pads
            else:
                number, stride = (steps.first[q] + t.n_pads * steps.second[q]) * 24 + steps.part[q], t.n_pads**2 * 24
            layer = steps.layer(0, q)
            row = layer * np.int16(stride)
            row[0] = self._pending.number[q] + layer[0] * self._pending.stride
            row[1:] += number[:-1]
            flat[place] = row
            for (k, those), at in zip(more, at_more, strict=True):
                flat[at] = t.alone + steps.layer(k, q, those)
            self._pending.number[q] = number[-1]
        self._pending.stride = stride
        return rows + self._offset, idle

    def _through(self, rows: Index, idle: npt.NDArray[np.bool_]) -> None:
        at, column = np.nonzero(idle)
        bounds = np.searchsorted(at, np.arange(len(idle) + 1)).tolist()
        for k, (first, last) in enumerate(pairwise(bounds)):
            self._apply_local(rows[:, k])
            now, then = self._now, self._next
            np.matmul(self.tables.native, now.by_pair, out=then.by_pair)
            if last > first:
                still = column[first:last]
                then.flat[:, still] = now.flat[:, still]
            self._now, self._next = then, now

    def _apply_local(self, rows: Index) -> None:
        """Channels of both qubits, looked up in the tables by row ``(2, B)``."""
        for q, source, target in ((0, self._now, self._next), (1, self._next, self._now)):
            self.tables.local[q].take(rows[q], axis=0, out=self._found, mode="clip")  # whole rows: few cache lines
            self._channel_by_row[...] = self._found
            target.by_qubit[0] = source.by_qubit[:, 0]
            np.einsum("abu,kbu->aku", self._channel, source.by_qubit, out=target.traceless)  # the qubits change places, and back again


class _Buffer:
    """States of the columns, ``(16, B)``, and the views of them that are needed again and again."""

    def __init__(self, pairs: int, columns: int) -> None:
        self.flat = np.zeros((16, columns))
        self.by_pair = self.flat.reshape(16, pairs, -1).transpose(1, 0, 2)
        self.by_qubit = self.flat.reshape(4, 4, columns)  # axes: second qubit, first qubit
        self.traceless = self.by_qubit[1:]


@dataclass(frozen=True, slots=True)
class QubitTables:
    """Channels of any two consecutive elements of Q qubits, ``(Q * 576, 12)``; row ``24 * second + first``."""

    local: Real

    @classmethod
    def of(cls, sx: Real, x: Real) -> "QubitTables":
        """Tables of qubits from the errors after their pulses, ``(Q, 4, 4)`` each."""
        elements = native.one_qubit_ptms(native.opcode_ptms(sx, x))
        both = _joined(elements, elements)
        return cls(np.ascontiguousarray(both[:, :, 1:]).reshape(-1, 12))


class QubitColumns:
    """States of B sequences of one length on Q qubits, B / Q on each, ordered by qubit.

    Args:
        tables: Of the qubits.
        columns: B.
    """

    def __init__(self, tables: QubitTables, columns: int) -> None:
        self.tables = tables
        count = len(tables.local) // 576
        self._offset = np.repeat(np.arange(count) * 576, columns // count)
        self._state = np.zeros((4, columns))
        self._state[[0, 3]] = 1.0
        self._room = self._state.copy()

    def advance(self, elements: npt.NDArray[np.uint16]) -> None:
        """Go through some elements, ``(T, B)``."""
        if len(elements) % 2:
            idle = np.full((1, elements.shape[1]), cliffords.pauli(0, 1), dtype=np.uint16)
            elements = np.concatenate([elements, idle])
        found, channel = np.empty((elements.shape[1], 12)), np.empty((12, elements.shape[1]))
        rows = 24 * elements[1::2].astype(np.intp) + elements[0::2] + self._offset
        for row in rows:
            self.tables.local.take(row, axis=0, out=found, mode="clip")
            channel[...] = found.T
            np.einsum("abu,bu->au", channel.reshape(3, 4, -1), self._state, out=self._room[1:])
            self._state, self._room = self._room, self._state

    def finish(self, final: npt.NDArray[np.uint16]) -> Real:
        """Components I and Z ``(2, B)`` after the elements ``(B,)`` that end the sequences."""
        self.advance(final[None])
        return self._state[[0, 3]]


def outcome_chances(components: Real, p1_given_0: Real, p0_given_1: Real) -> Real:
    """Chances to read each bit string.

    Args:
        components: I and Z, or I, Z1, Z2 and ZZ, ``(2**n, B)``.
        p1_given_0: Misread zeros of each qubit, ``(n, B)``.
        p0_given_1: Misread ones.

    Returns:
        Shape ``(B, 2**n)``; bit 0 of an outcome belongs to the first qubit. Each row sums to 1.
    """
    n = len(p1_given_0)
    table = components.reshape(*(2,) * n, -1)  # axes: last qubit first
    for q in range(n):
        axis = n - 1 - q
        one, z = np.take(table, 0, axis=axis), np.take(table, 1, axis=axis)
        zero, two = (one + z) / 2, (one - z) / 2
        read = zero * p1_given_0[q] + two * (1 - p0_given_1[q])
        table = np.stack([zero + two - read, read], axis=axis)
    chance = np.clip(table.reshape(2**n, -1).T, 0.0, None)
    return chance / chance.sum(axis=1, keepdims=True)
