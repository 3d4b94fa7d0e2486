"""Exact probabilities of random sequences, for finding bias and coverage with exactly known sampling."""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qthreshold.backends.exact import Chunks, chances
from qthreshold.backends.noise import Noise, pair_channels
from qthreshold.backends.twirl import padding_weights, pair_limit, twisted, twisted_clifford
from qthreshold.circuits import native
from qthreshold.device import Device
from qthreshold.numerics import channels, cliffords
from qthreshold.plan import TWO_QUBIT, Plan
from qthreshold.steps import PADDING_PAULI
from qthreshold.ticket import layer_tickets

Real = npt.NDArray[np.float64]

_ORDER = 11520


@dataclass(frozen=True, slots=True)
class PairModel:
    """Noisy and ideal channels of one pair: all elements ``(11520, 16, 16)``, paddings ``(36, 16, 16)``, compiled C-NOT ``(16, 16)``."""

    gate: str
    pair: native.PairChannels
    elements: Real
    paddings: Real
    block: Real
    ideal_elements: Real
    ideal_paddings: Real
    ideal_block: Real

    @classmethod
    def of(cls, device: Device, noise: Noise, edge: int = 0) -> "PairModel":
        """The model of one pair of a simulated device."""
        noisy = pair_channels(device, noise, edge)
        elements, paddings = _ideal(device.gate[edge])
        return cls(
            gate=device.gate[edge], pair=noisy, elements=noisy.elements(np.arange(_ORDER)), paddings=noisy.paddings,
            block=noisy.elements(native.CNOT), ideal_elements=elements, ideal_paddings=paddings, ideal_block=native.ideal_ptm(native.CNOT),
        )  # fmt: skip


@functools.cache
def _ideal(gate: str) -> tuple[Real, Real]:
    """Noiseless elements and paddings of a native gate."""
    one = native.opcode_ptms(np.eye(4), np.eye(4))
    pair = native.pair_ptms(gate, np.stack([one, one]), channels.unitary(native.NATIVE_UNITARY[gate]))
    return pair.elements(np.arange(_ORDER)), pair.paddings


def clifford_step(model: PairModel) -> Real:
    """Twisted average over all Cliffords, ``(225, 225)``, element by element."""
    return twisted(model.ideal_elements, model.elements, np.full(_ORDER, 1 / _ORDER))


def decays(model: PairModel, *, padded: bool) -> tuple[float, float]:
    """Exact p_ref and p_int."""
    limit = pair_limit(model.gate, model.pair, model.block, padded=padded)
    return limit.p_ref, limit.p_int


def survival(device: Device, noise: Noise, plan: Plan) -> tuple[Real, npt.NDArray[np.int64]]:
    """Exact survival probability of every two-qubit sequence of a plan.

    Returns:
        Probabilities ``(2, M, L, K)`` (arm, pair, length, sequence) and the shots, int64, of the same shape.
    """
    circuit = plan.unit_circuit
    units = np.flatnonzero(plan.circuit_experiment[circuit] == TWO_QUBIT)
    chance = np.zeros(len(circuit))
    for ticket in layer_tickets(plan, "exact"):
        if plan.circuit_experiment[ticket.circuits[0]] == TWO_QUBIT:
            chunks = Chunks(plan, ticket, device, noise)
            for i, task in enumerate(chunks):
                mine = chunks.units[chunks.places(i)]
                chance[mine] = chances(task)[np.arange(len(mine)), plan.unit_expected[mine]]
    circuit = circuit[units]
    cell = (
        plan.circuit_arm[circuit], np.searchsorted(plan.edges, plan.unit_target[units]),
        np.searchsorted(plan.two_qubit_lengths, plan.circuit_length[circuit]), plan.circuit_sample[circuit],
    )  # fmt: skip
    shape = tuple(int(c.max()) + 1 for c in cell)
    out, shots = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    out[cell], shots[cell] = chance[units], plan.circuit_shots[circuit]
    return out, shots


def block_elements() -> dict[str, int]:
    """Clifford index of the compiled C-NOT for each native gate, as ``make_plan`` wants it."""
    return {gate: native.block_element("cnot", gate) for gate in native.NATIVE_UNITARY}


@dataclass(frozen=True, slots=True)
class Layers:
    """What stands between two random Cliffords, by arm: channels ``(2, J, 16, 16)``, Clifford indices ``(2, J)``, equally likely draws ``(D,)``."""

    noisy: Real
    element: npt.NDArray[np.int64]
    draws: npt.NDArray[np.int64]

    @classmethod
    def of(cls, model: PairModel, *, padded: bool) -> "Layers":
        """Padding, block, padding of both arms, multiplied out for all 36 x 36 paddings; without padding nothing or the block."""
        idle = int(cliffords.pauli(0, 2))
        pads, pauli = (model.paddings, cliffords.pauli(_padding_paulis(), 2)) if padded else (np.eye(16)[None], np.array([idle]))
        noisy, element = [], []
        for block, middle in ((np.eye(16), idle), (model.block, native.CNOT)):
            noisy.append((pads[None] @ (block @ pads)[:, None]).reshape(-1, 16, 16))
            element.append(cliffords.compose(cliffords.compose(pauli, middle, 2)[:, None], pauli[None], 2).ravel())
        chance = np.outer(padding_weights(), padding_weights()).ravel() if padded else np.ones(1)
        draws = np.repeat(np.arange(chance.size), np.rint(chance / chance.min()).astype(int))
        return cls(np.stack(noisy), np.stack(element).astype(np.int64), draws)


@dataclass(frozen=True, slots=True)
class Sequences:
    """Random sequences of one length: Cliffords and layers between, ``(m, n)``; Z part of the final Pauli by arm, outcome, ``(2, n, 4)``."""

    elements: npt.NDArray[np.uint16]
    layers: npt.NDArray[np.int64]
    signs: npt.NDArray[np.int64]

    @classmethod
    def draw(cls, layers: Layers, m: int, n: int, rng: np.random.Generator) -> "Sequences":
        """Uniformly, as a plan draws them."""
        elements, between = np.empty((m, n), dtype=np.uint16), np.empty((m, n), dtype=np.int64)
        for step in range(m):
            elements[step] = cliffords.sample(2, n, rng)
            between[step] = layers.draws[rng.integers(layers.draws.size, size=n)]
        signs = np.stack([np.stack([rng.integers(4, size=n) for _ in range(4)], axis=1) for _ in range(2)])
        return cls(elements, between, signs)


def sequence_survival(model: PairModel, layers: Layers, readout: Real, sequences: Sequences) -> tuple[Real, Real]:
    """Exact survival probabilities of sequences in both arms.

    Args:
        model: The pair; its block must be the compiled C-NOT.
        layers: :meth:`Layers.of` this model.
        readout: Channel of the readout, ``(16, 16)``.
        sequences: n of them.

    Returns:
        Survival by expected outcome 00, 10, 01, 11, ``(2, n, 4)``: each outcome has a final Pauli of its own, merged into the
        inverse. And survival without readout error and with a noiseless inverse, whose mean is :func:`mean_ideal_end`, ``(2, n)``.
    """
    n = sequences.elements.shape[1]
    states = np.zeros((n, 16, 2))
    states[:, [0, 3, 12, 15]] = 1.0  # both qubits in the ground state
    totals = [cliffords.pauli(np.zeros(n, dtype=int), 2) for _ in (0, 1)]
    for g, j in zip(sequences.elements, sequences.layers, strict=True):
        states = model.elements[g] @ states
        for arm in (0, 1):
            states[..., arm] = (layers.noisy[arm, j] @ states[..., arm, None])[..., 0]
            totals[arm] = cliffords.compose(cliffords.compose(totals[arm], g, 2), layers.element[arm, j], 2)
    by_outcome, plain = np.empty((2, n, 4)), np.empty((2, n))
    for arm in (0, 1):
        v, back = states[..., arm, None], cliffords.inverse(totals[arm], 2)
        plain[arm] = _agreement(model.ideal_elements[back] @ v, 0)
        for outcome in range(4):
            final = cliffords.compose(back, cliffords.pauli(outcome | sequences.signs[arm, :, outcome] << 2, 2), 2)
            by_outcome[arm, :, outcome] = _agreement(readout @ (model.elements[final] @ v), outcome)
    return by_outcome, plain


def _agreement(v: Real, expected: int) -> Real:
    """Probability of the expected outcome (bit 0: first qubit) of states ``(U, 16, 1)``."""
    first, second = 1 - 2 * (expected & 1), 1 - 2 * (expected >> 1)
    return (v[:, 0, 0] + first * v[:, 3, 0] + second * v[:, 12, 0] + first * second * v[:, 15, 0]) / 4


def mean_ideal_end(model: PairModel, lengths: npt.ArrayLike, *, padded: bool) -> Real:
    """Mean over all sequences of the survival with a noiseless inverse and readout, reference and interleaved arm, exact, ``(2, L)``.

    It is a matrix element of a power of the twisted step; the identity component is kept on the noisy side, for channels
    that are not unital.
    """
    clifford = twisted_clifford(model.gate, model.pair, affine=True)
    block = twisted(model.ideal_block[None], model.block[None], np.ones(1), affine=True)
    pad = twisted(model.ideal_paddings, model.paddings, padding_weights(), affine=True) if padded else np.eye(len(block))
    start = np.zeros((3, 15, 16))
    start[[0, 1, 2], [2, 11, 14]] = np.isin(np.arange(16), [0, 3, 12, 15])
    v = start.reshape(3, -1).T
    arms = (pad @ pad @ clifford, pad @ block @ pad @ clifford)
    powers = [[np.linalg.matrix_power(step, m) @ v for m in np.asarray(lengths).tolist()] for step in arms]
    return np.array([[(1 + sum(np.trace(x.reshape(15, 16)[:, 1:]) for x in p.T)) / 4 for p in arm] for arm in powers])


def mean_survival(model: PairModel, lengths: npt.ArrayLike, samples: int, rng: np.random.Generator, *, padded: bool) -> Real:
    """Mean survival without readout error over random sequences, reference and interleaved arm, by Monte Carlo, ``(2, L)``."""
    layers = Layers.of(model, padded=padded)
    runs = [sequence_survival(model, layers, np.eye(16), Sequences.draw(layers, m, samples, rng))[0] for m in np.asarray(lengths).tolist()]
    return np.stack([r.mean(axis=(1, 2)) for r in runs], axis=1)


def _padding_paulis() -> npt.NDArray[np.int64]:
    """Two-qubit Pauli of each padding layer, ``(36,)``."""
    one = PADDING_PAULI.astype(np.int64)
    a, b = one[None, :].repeat(6, 0).ravel(), one[:, None].repeat(6, 1).ravel()
    return (a & 1) | (b & 1) << 1 | (a >> 1) << 2 | (b >> 1) << 3
