"""Steps: the random Cliffords and paddings of sequences, drawn anew from the plan's seed whenever they are needed.

Long sequences on thousands of qubits are hundreds of millions of steps; a plan names them by a place in a stream instead of holding them.
A stream is the raw output of a PCG64 generator, which numpy promises never to change (NEP 19), unlike the methods that draw
distributions from it. One 64-bit word makes a step: the upper half picks the Clifford, twelve low bits the paddings. A pick from
11,520 by 32 bits is off a uniform one by less than 3e-6 of each chance.

References:
    M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms", HMC-CS-2014-0905 (2014).
    R. Kern, NumPy Enhancement Proposal 19 (streams of bit generators are kept).
"""

import functools

import numpy as np
import numpy.typing as npt

from qthreshold.numerics import cliffords

__all__ = ["DRAWN", "PADDING_CODES", "PADDING_PAULI", "STORED", "draw_steps", "draw_words", "elements_of", "layer_paulis", "paddings_of", "product"]

DRAWN, STORED = "pcg64/1", "stored"
"""How a plan holds its steps: by the streams described here, or as arrays (plans of the first version)."""

PADDING_CODES = np.array([0, 0, 1, 1, 2, 3, 4, 5], dtype=np.uint8)
"""Draw one of eight with equal chance: I I Z Z X+ X- Y+ Y-, as numbers of ``native.PADDINGS``."""

PADDING_PAULI = np.array([0, 2, 1, 1, 3, 3])
"""The Pauli (bit 0 is X, bit 1 is Z) behind each padding I Z X+ X- Y+ Y-."""

_STREAM = 5  # first spawn key; 0 to 4 are taken by the rest of the plan, simulation, metrics and frontier


@functools.cache
def _generator_state(seed: int, experiment: int, length_row: int) -> tuple[int, int]:
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(_STREAM, experiment, length_row))
    state = np.random.PCG64(sequence).state["state"]
    return state["state"], state["inc"]


def draw_words(seed: int, experiment: int, length_row: int, start: int, count: int) -> npt.NDArray[np.uint64]:
    """Words ``start`` to ``start + count`` of the stream of an experiment and a length."""
    generator = np.random.PCG64(0)
    value, increment = _generator_state(seed, experiment, length_row)
    generator.state = {"bit_generator": "PCG64", "state": {"state": value, "inc": increment}, "has_uint32": 0, "uinteger": 0}
    generator.advance(start)
    return generator.random_raw(count)


def elements_of(words: npt.NDArray[np.uint64], n_qubits: int) -> npt.NDArray[np.uint16]:
    """The Clifford that each word picks."""
    return ((words >> np.uint64(32)) * np.uint64(cliffords.order(n_qubits)) >> np.uint64(32)).astype(np.uint16)


def paddings_of(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.int16]:
    """Padding of each word, ``(4, ...)``: P1 on the first and the second qubit, P2 on them, as numbers of ``native.PADDINGS``."""
    low = words.astype(np.int16)
    draw = np.stack([low >> 3 * k & 7 for k in range(4)])
    return np.maximum(draw >> 1, draw - 2)  # the entries of PADDING_CODES


def draw_steps(
    seed: int, experiment: int, length_row: int, start: int, count: int, n_qubits: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:  # fmt: skip
    """Some steps of the stream of an experiment and a length.

    Args:
        seed: Of the plan.
        experiment: Number of the experiment.
        length_row: Which of its lengths, by position.
        start: First step.
        count: How many, S.
        n_qubits: 1 or 2.

    Returns:
        Cliffords ``(S,)`` and padding layers P1 and P2 (``6 * j + i`` as in ``native.padding_words``), ``(S, 2)``.
    """
    words = draw_words(seed, experiment, length_row, start, count)
    i, j, k, m = paddings_of(words)
    return elements_of(words, n_qubits), np.stack([i + 6 * j, k + 6 * m], axis=1).astype(np.uint8)


@functools.cache
def layer_paulis() -> npt.NDArray[np.uint16]:
    """Two-qubit Pauli (bits 0 and 1 are X, 2 and 3 are Z) behind each of the 36 padding layers."""
    a, b = PADDING_PAULI[None, :], PADDING_PAULI[:, None]
    return ((a & 1) | (b & 1) << 1 | (a >> 1) << 2 | (b >> 1) << 3).astype(np.uint16).ravel()


def product(elements: npt.NDArray[np.uint16], n_qubits: int) -> npt.NDArray[np.uint16]:
    """The element that does a whole sequence of others, first ones first, ``(m, ...)`` -> ``(...)``; neighbours are joined until one is left."""
    if not len(elements):
        return cliffords.pauli(np.zeros(elements.shape[1:], dtype=np.int64), n_qubits)
    while len(elements) > 1:
        even = len(elements) // 2 * 2
        joined = cliffords.compose(elements[0:even:2], elements[1:even:2], n_qubits)
        elements = np.concatenate([joined, elements[even:]]) if even < len(elements) else joined
    return elements[0]
