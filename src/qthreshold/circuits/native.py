"""Clifford elements as words in native gates: rz by quarter turns (virtual), sx, x, and one two-qubit gate.

A two-qubit Clifford is ``(a x b) . core`` with one of 20 cores, each a fixed sequence of one-qubit layers and at most
three native gates (0, 1, 2 or 3 for 1, 9, 9 and 1 of the cores, 1.5 on average); one-qubit elements take at most one
pulse. Every Clifford therefore has one fixed word for a given native gate, the same in simulation and on hardware.

Words are rows of opcodes; for one qubit 0..4 are rz(1, 2, 3 quarter turns), sx, x; on a pair the same five for qubit 0,
then for qubit 1, then :data:`NATIVE` and :data:`BARRIER`. Qubit 0 is the first qubit of the native gate.

References:
    A. D. Corcoles et al., arXiv:1210.7011 (the four classes of two-qubit Cliffords and their 1.5 C-NOTs on average).
    D. C. McKay et al., arXiv:1612.00858 (virtual Z).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qthreshold.numerics import channels, cliffords

__all__ = [
    "BARRIER",
    "CNOT",
    "NATIVE",
    "NATIVE_UNITARY",
    "PADDINGS",
    "PAIR_BLOCK",
    "PAIR_PADDING",
    "Words",
    "block_element",
    "block_word",
    "decomposition",
    "ideal_one_qubit_ptms",
    "ideal_ptm",
    "native_element",
    "native_words",
    "one_qubit_ptms",
    "one_qubit_words",
    "opcode_ptms",
    "padding_words",
    "pair_ptms",
    "pair_words",
    "word_ptm",
    "words_ptms",
]

Word = tuple[int, ...]

NATIVE, BARRIER = 10, 11
_RZ, _SX, _X = (0, 1, 2), 3, 4

_HALF = np.exp(-1j * np.pi / 4 * np.array([1, -1, -1, 1]))
NATIVE_UNITARY = {
    "cz": np.diag([1, 1, 1, -1]).astype(complex),
    "cx": np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]], dtype=complex),  # control: qubit 0
    "ecr": np.array([[0, 1, 0, 1j], [1, 0, -1j, 0], [0, 1j, 0, 1], [-1j, 0, 1, 0]]) / np.sqrt(2),
    "rzz": np.diag(_HALF),  # rzz(pi/2)
    "rxx": (np.eye(4) - 1j * np.eye(4)[::-1]) / np.sqrt(2),  # rxx(pi/2)
}
"""Matrices of the native gates; qubit 0 is the least significant bit."""

_ONE_QUBIT = {
    "rz": np.diag(np.exp(-1j * np.pi / 4 * np.array([1, -1]))),
    "sx": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "x": np.array([[0, 1], [1, 0]], dtype=complex),
}


def _element_of(u: npt.NDArray[np.complex128]) -> int:
    """The Clifford index of a unitary matrix."""
    n = u.shape[0].bit_length() - 1
    r = np.rint(channels.unitary(u)).astype(int)
    bits = np.array([sum(((p >> 2 * k) & 3 in (1, 2)) << k | ((p >> 2 * k) & 3 in (2, 3)) << (n + k) for k in range(n)) for p in range(4**n)])
    column = [4**k for k in range(n)] + [3 * 4**k for k in range(n)]  # X_k and Z_k in PTM order
    row = [int(np.abs(r[:, c]).argmax()) for c in column]
    sign = [int(r[i, c] < 0) for i, c in zip(row, column, strict=True)]
    return int(cliffords.from_images(bits[row], sign, n))


@functools.cache
def native_element(gate: str) -> int:
    """Clifford index of a native two-qubit gate.

    Raises:
        ValueError: The gate is not one of :data:`NATIVE_UNITARY`.
    """
    if gate not in NATIVE_UNITARY:
        raise ValueError(f"unknown native gate {gate!r}; accepted: {', '.join(NATIVE_UNITARY)}")
    return _element_of(NATIVE_UNITARY[gate])


CNOT = native_element("cx")
"""Clifford index of C-NOT with qubit 0 as control."""


def block_element(block: str, gate: str) -> int:
    """Clifford index of the interleaved block: ``cnot`` (compiled C-NOT) or ``native`` (the native gate alone)."""
    return {"cnot": CNOT, "native": native_element(gate)}[block]


def block_word(block: str, gate: str) -> Word:
    """Word of the interleaved block."""
    return (NATIVE,) if block == "native" else native_words(gate)[CNOT]


@functools.cache
def one_qubit_words() -> tuple[Word, ...]:
    """The 24 one-qubit elements as ``rz? pulse? rz?`` words with the fewest pulses, then the fewest rz."""
    rz, sx, x = (_element_of(_ONE_QUBIT[name]) for name in ("rz", "sx", "x"))
    turn = [int(cliffords.pauli(0, 1))]
    for _ in range(3):
        turn.append(int(cliffords.compose(turn[-1], rz, 1)))
    words: dict[int, Word] = {}
    for pulse in ((), (_SX,), (_X,)):
        for before, after in sorted(((i, j) for i in range(4) for j in range(4)), key=lambda t: (t[0] > 0) + (t[1] > 0)):
            middle = turn[0] if not pulse else sx if pulse[0] == _SX else x
            element = int(cliffords.compose(cliffords.compose(turn[before], middle, 1), turn[after], 1))
            words.setdefault(element, (*((_RZ[before - 1],) if before else ()), *pulse, *((_RZ[after - 1],) if after else ())))
    return tuple(words[g] for g in range(24))


PADDINGS: tuple[Word, ...] = ((), (_RZ[1],), (_X,), (_RZ[1], _X, _RZ[1]), (_RZ[2], _X, _RZ[0]), (_RZ[0], _X, _RZ[2]))
"""One-qubit padding: I, Z (no pulse), X and Y as one pi pulse with either sign of its phase: I Z X+ X- Y+ Y-."""


def _shift(word: Word, qubit: int) -> Word:
    return tuple(op + 5 * qubit for op in word)


@dataclass(frozen=True, slots=True)
class Words:
    """Words of a set of elements, ragged: word i is ``flat[start[i] : start[i + 1]]``."""

    flat: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int64]

    @classmethod
    def of(cls, words: list[Word] | tuple[Word, ...]) -> "Words":
        """Pack a list of words."""
        start = np.concatenate([[0], np.cumsum([len(w) for w in words])])
        return cls(np.array([op for w in words for op in w], dtype=np.uint8), start.astype(np.int64))

    def __getitem__(self, i: int) -> Word:
        return tuple(self.flat[self.start[i] : self.start[i + 1]].tolist())

    def __len__(self) -> int:
        return len(self.start) - 1

    def join(self, index: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """The words of many elements one after the other, as one row of opcodes."""
        index = np.asarray(index, dtype=np.int64)
        first, size = self.start[index], self.start[index + 1] - self.start[index]
        end = np.cumsum(size)
        within = np.arange(end[-1] if end.size else 0) - np.repeat(end - size, size)
        return self.flat[np.repeat(first, size) + within]


@dataclass(frozen=True, slots=True)
class _Compiler:
    """The 20 cores of a native gate and how every element splits into (a x b) . core."""

    core_words: tuple[Word, ...]
    core: npt.NDArray[np.integer]  # (11520,)
    parts: npt.NDArray[np.int16]  # (11520, 2) one-qubit elements a, b


@functools.cache
def _compiler(gate: str) -> _Compiler:
    native = native_element(gate)
    one = one_qubit_words()
    pulses = np.array([sum(op >= _SX for op in w) for w in one])
    cheap = sorted(range(24), key=lambda g: (pulses[g], len(one[g]), g))
    one_map = cliffords.symplectic(np.arange(24), 1)
    layers = [next(g for g in cheap if one_map[g] == s) for s in range(6)]  # one element per map: Paulis are free at the end
    pairs = sorted(((a, b) for a in layers for b in layers), key=lambda p: (pulses[p[0]] + pulses[p[1]], len(one[p[0]]) + len(one[p[1]]), p))
    # left cosets of the local group, told apart by the orbit of their symplectic maps under local maps from the left
    local = np.array([int(cliffords.local(a, b)) for a in layers for b in layers])
    coset = cliffords.symplectic(cliffords.compose((np.arange(720) * 16)[:, None], local[None, :], 2), 2).min(axis=1)

    def coset_of(element: npt.ArrayLike) -> npt.NDArray[np.int64]:
        return coset[cliffords.symplectic(element, 2)]

    identity = int(cliffords.pauli(0, 2))
    cores: dict[int, tuple[int, Word]] = {int(coset_of(identity)): (identity, ())}
    frontier: list[tuple[int, Word]] = [(identity, ())]
    while len(cores) < 20:
        grown: list[tuple[int, Word]] = []
        for a, b in pairs:
            for element, word in frontier:
                step = int(cliffords.compose(cliffords.compose(element, int(cliffords.local(a, b)), 2), native, 2))
                key = int(coset_of(step))
                if key not in cores:
                    cores[key] = (step, (*word, *one[a], *_shift(one[b], 1), NATIVE))
                    grown.append(cores[key])
        frontier = grown
    elements = np.arange(cliffords.order(2))
    keys = np.array(list(cores))
    number = np.searchsorted(np.sort(keys), coset_of(elements))
    number = np.argsort(keys)[number].astype(np.int8)
    chosen = np.array([c for c, _ in cores.values()])
    parts = cliffords.local_parts(cliffords.compose(cliffords.inverse(chosen, 2)[number], elements, 2))
    return _Compiler(tuple(w for _, w in cores.values()), number, parts)


def decomposition(gate: str) -> tuple[tuple[Word, ...], npt.NDArray[np.integer], npt.NDArray[np.int16]]:
    """How every two-qubit element is built: words of the 20 cores, the core of each element ``(11520,)``, and the one-qubit elements on
    the first and the second qubit that follow it ``(11520, 2)``.
    """
    c = _compiler(gate)
    return c.core_words, c.core, c.parts


@functools.cache
def native_words(gate: str) -> Words:
    """Words of all 11,520 two-qubit elements for a native gate."""
    c = _compiler(gate)
    one = one_qubit_words()
    tails = [[(*one[a], *_shift(one[b], 1)) for b in range(24)] for a in range(24)]
    return Words.of([(*c.core_words[k], *tails[a][b]) for k, (a, b) in zip(c.core.tolist(), c.parts.tolist(), strict=True)])


PAIR_PADDING = 11520
"""Where padding layers begin in :func:`pair_words`."""

PAIR_BLOCK = PAIR_PADDING + 36
"""Where the interleaved block is in :func:`pair_words`."""


@functools.cache
def pair_words(gate: str, block: str) -> Words:
    """Words of all that sequences on a pair are made of: the 11,520 elements, the 36 padding layers, the interleaved block."""
    elements, pads = native_words(gate), padding_words()
    rest = Words.of([*(pads[i] for i in range(len(pads))), block_word(block, gate)])
    return Words(np.concatenate([elements.flat, rest.flat]), np.concatenate([elements.start, elements.start[-1] + rest.start[1:]]))


@functools.cache
def padding_words() -> Words:
    """The 36 padding layers of a pair; layer ``6 * j + i`` pads qubit 0 with ``PADDINGS[i]`` and qubit 1 with ``PADDINGS[j]``."""
    return Words.of([(*a, *_shift(b, 1)) for b in PADDINGS for a in PADDINGS])


def opcode_ptms(sx_error: npt.ArrayLike, x_error: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Noisy channels of the five one-qubit opcodes.

    Args:
        sx_error: Error channels (PTM) that follow sx, ``(..., 4, 4)``.
        x_error: The same for x.

    Returns:
        Shape ``(..., 5, 4, 4)``: rz by one, two, three quarter turns, sx, x.
    """
    rz, sx, x = (channels.unitary(_ONE_QUBIT[name]) for name in ("rz", "sx", "x"))
    e_sx, e_x = np.asarray(sx_error, dtype=float), np.asarray(x_error, dtype=float)
    turns = [np.broadcast_to(t, e_sx.shape) for t in (rz, rz @ rz, rz @ rz @ rz)]
    return np.stack([*turns, e_sx @ sx, e_x @ x], axis=-3)


def word_ptm(word: Word, one: npt.NDArray[np.float64], native: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Channel of a word on a pair.

    Args:
        word: Opcodes.
        one: Channels of the one-qubit opcodes of both qubits, ``(..., 2, 5, 4, 4)``.
        native: Channel of the native gate, ``(..., 16, 16)``.
    """
    out = np.broadcast_to(np.eye(16), native.shape)
    for op in word:
        out = (native if op == NATIVE else channels.on_qubit(one[..., op // 5, op % 5, :, :], op // 5)) @ out
    return out


def _one_qubit_ptm(word: Word, table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    out = np.broadcast_to(np.eye(4), (*table.shape[:-3], 4, 4))
    for op in word:
        out = table[..., op, :, :] @ out
    return out


def words_ptms(words: Sequence[Word], table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """PTMs of one-qubit words, ``(..., W, 4, 4)``, from those of the five opcodes, ``(..., 5, 4, 4)``."""
    return np.stack([_one_qubit_ptm(w, table) for w in words], axis=-3)


def one_qubit_ptms(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """PTMs of the 24 one-qubit elements, ``(..., 24, 4, 4)``, from those of the five opcodes, ``(..., 5, 4, 4)``."""
    return words_ptms(one_qubit_words(), table)


@functools.cache
def ideal_one_qubit_ptms() -> npt.NDArray[np.float64]:
    """Noiseless PTMs of the 24 one-qubit elements."""
    return one_qubit_ptms(opcode_ptms(np.eye(4), np.eye(4)))


@functools.cache
def ideal_ptm(element: int) -> npt.NDArray[np.float64]:
    """Noiseless PTM of a two-qubit element."""
    one = opcode_ptms(np.eye(4), np.eye(4))
    return word_ptm(native_words("cz")[element], np.stack([one, one]), channels.unitary(NATIVE_UNITARY["cz"]))


@dataclass(frozen=True, slots=True)
class PairChannels:
    """Noisy channels of everything a sequence on one pair is made of.

    ``locals``: the 24 one-qubit elements on qubit 0 and 1, ``(2, 24, 4, 4)``; ``cores``: ``(20, 16, 16)``;
    ``paddings``: ``(36, 16, 16)``; ``core`` and ``parts`` split an element as in :class:`_Compiler`.
    """

    locals: npt.NDArray[np.float64]
    cores: npt.NDArray[np.float64]
    paddings: npt.NDArray[np.float64]
    core: npt.NDArray[np.integer]
    parts: npt.NDArray[np.int16]

    def elements(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """PTMs of two-qubit elements, shape ``(...)`` -> ``(..., 16, 16)``."""
        index = np.asarray(index)
        a, b = self.parts[index, 0], self.parts[index, 1]
        core = self.cores[self.core[index]]
        # (B x A) core without building the Kronecker product: act on each qubit's index in turn
        shape = core.shape[:-2]
        half = np.matmul(self.locals[0, a][..., None, :, :], core.reshape(*shape, 4, 4, 16)).reshape(*shape, 4, 64)
        return np.matmul(self.locals[1, b], half).reshape(*shape, 16, 16)


def pair_ptms(gate: str, one: npt.NDArray[np.float64], native: npt.NDArray[np.float64]) -> PairChannels:
    """Channels of everything on a pair, from ``one`` (2, 5, 4, 4) and ``native`` (16, 16) as in :func:`word_ptm`."""
    c = _compiler(gate)
    pads = np.array([[_one_qubit_ptm(w, one[q]) for w in PADDINGS] for q in (0, 1)])
    return PairChannels(
        locals=one_qubit_ptms(one),
        cores=np.array([word_ptm(word, one, native) for word in c.core_words]),
        paddings=channels.tensor(pads[0][None, :], pads[1][:, None]).reshape(36, 16, 16),
        core=c.core,
        parts=c.parts,
    )
