"""Exact decay parameters and exact sequence probabilities, for finding bias without (or with exactly known) sampling.

The decay of randomized benchmarking with gate-dependent noise is the dominant eigenvalue of the twisted step
T = E_g[G (x) Lambda_g], with G the ideal and Lambda_g the noisy Pauli transfer matrix, both restricted to the traceless
Paulis: ideal inverses at the end of a sequence turn survival into a matrix element of T**m. One step of the padded
protocol is a product of independent averages, so T factorises in the same order.

References:
    J. J. Wallman, arXiv:1703.09835; T. Proctor et al., arXiv:1702.01853 (decay as an eigenvalue of a twisted map).
    S. T. Merkel et al., arXiv:1804.05951 (the same, as a convolution over the group).
"""

import functools
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qthreshold.backends.noise import Noise, native_ptm, pair_channels
from qthreshold.circuits import native
from qthreshold.device import Device
from qthreshold.numerics import channels, cliffords
from qthreshold.plan import INTERLEAVED, TWO_QUBIT, Plan
from qthreshold.steps import PADDING_CODES, PADDING_PAULI

Real = npt.NDArray[np.float64]

_ORDER = 11520


@dataclass(frozen=True, slots=True)
class PairModel:
    """Noisy and ideal channels of one pair: all elements ``(11520, 16, 16)``, paddings ``(36, 16, 16)``, block ``(16, 16)``."""

    elements: Real
    paddings: Real
    block: Real
    ideal_elements: Real
    ideal_paddings: Real
    ideal_block: Real

    @classmethod
    def of(cls, device: Device, noise: Noise, edge: int = 0) -> "PairModel":
        """The model of one pair of a simulated device, with the compiled C-NOT as block."""
        noisy = pair_channels(device, noise, edge)
        elements, paddings = _ideal(device.gate[edge])
        return cls(
            elements=noisy.elements(np.arange(_ORDER)), paddings=noisy.paddings, block=noisy.elements(native.CNOT),
            ideal_elements=elements, ideal_paddings=paddings, ideal_block=native.ideal_ptm(native.CNOT),
        )  # fmt: skip

    def with_native_block(self, device: Device, noise: Noise, edge: int = 0) -> "PairModel":
        """The same pair with its native gate alone interleaved."""
        gate = device.gate[edge]
        return replace(self, block=native_ptm(device, noise, edge), ideal_block=native.ideal_ptm(native.native_element(gate)))

    @property
    def true_error(self) -> float:
        """Average gate infidelity of the block."""
        return float(channels.average_gate_infidelity(self.block, self.ideal_block))


@functools.cache
def _ideal(gate: str) -> tuple[Real, Real]:
    """Noiseless elements and paddings of a native gate."""
    one = native.opcode_ptms(np.eye(4), np.eye(4))
    pair = native.pair_ptms(gate, np.stack([one, one]), channels.unitary(native.NATIVE_UNITARY[gate]))
    return pair.elements(np.arange(_ORDER)), pair.paddings


def twisted(ideal: Real, noisy: Real, weights: Real, *, affine: bool = False) -> Real:
    """sum_g weights_g G (x) Lambda_g on the traceless Paulis: ``(M, 16, 16)`` twice and ``(M,)`` -> ``(225, 225)``.

    ``affine`` keeps the identity component of Lambda: ``(240, 240)``.
    """
    first = 0 if affine else 1
    n = 16 - first
    g = ideal[:, 1:, 1:].reshape(-1, 225) * weights[:, None]
    total = (g.T @ noisy[:, first:, first:].reshape(-1, n * n)).reshape(15, 15, n, n)
    return total.transpose(0, 2, 1, 3).reshape(15 * n, 15 * n)


def dominant_eigenvalue(step: Real) -> float:
    """Largest eigenvalue of a twisted step ``(225, 225)``, by power iteration.

    It grew out of the single eigenvalue 1 of the noiseless step, whose vector sum_P P (x) P is the start.

    Raises:
        ValueError: No convergence: the noise is so strong that no eigenvalue stands out.
    """
    v, value = np.eye(15).ravel(), 1.0
    for _ in range(2000):
        v = step @ v
        before, value = value, float(np.linalg.norm(v))
        v /= value
        if abs(value - before) < 1e-15:
            return value
    raise ValueError(f"power iteration did not converge: {before} and {value}")


def padding_weights() -> Real:
    """Probability of each of the 36 padding layers, ``(36,)``."""
    one = np.bincount(PADDING_CODES, minlength=6) / len(PADDING_CODES)
    return np.outer(one, one).ravel()


def clifford_step(model: PairModel) -> Real:
    """Twisted average over all Cliffords, ``(225, 225)``; the costly part of :func:`steps`, the same for every protocol and block."""
    return twisted(model.ideal_elements, model.elements, np.full(_ORDER, 1 / _ORDER))


def steps(model: PairModel, *, padded: bool, clifford: Real | None = None) -> tuple[Real, Real]:
    """Twisted steps of the reference and the interleaved arm, each ``(225, 225)``; ``clifford`` if it is known already."""
    clifford = clifford_step(model) if clifford is None else clifford
    block = twisted(model.ideal_block[None], model.block[None], np.ones(1))
    if not padded:
        return clifford, block @ clifford
    pad = twisted(model.ideal_paddings, model.paddings, padding_weights())
    return pad @ pad @ clifford, pad @ block @ pad @ clifford


def decays(model: PairModel, *, padded: bool, clifford: Real | None = None) -> tuple[float, float]:
    """Exact p_ref and p_int."""
    ref, interleaved = steps(model, padded=padded, clifford=clifford)
    return dominant_eigenvalue(ref), dominant_eigenvalue(interleaved)


def estimate(model: PairModel, *, padded: bool, clifford: Real | None = None) -> float:
    """What interleaved RB converges to with unlimited data: 3/4 (1 - p_int / p_ref), average gate infidelity."""
    p_ref, p_int = decays(model, padded=padded, clifford=clifford)
    return 0.75 * (1 - p_int / p_ref)


@dataclass(frozen=True, slots=True)
class Register:
    """Channels of the two-qubit units of a device, one row a pair: what :func:`survival` needs.

    ``cores`` (E, 20, 16, 16), ``locals`` (E, 2, 24, 4, 4), ``paddings`` (E, 36, 16, 16), ``block`` and ``readout`` (E, 16, 16);
    ``core`` (E, 11520) and ``parts`` (E, 11520, 2) split every element.
    """

    cores: Real
    locals: Real
    paddings: Real
    block: Real
    readout: Real
    core: npt.NDArray[np.int8]
    parts: npt.NDArray[np.int16]

    @classmethod
    def of(cls, device: Device, noise: Noise, block: str = "cnot") -> "Register":
        """The channels of all pairs of a simulated device."""
        pairs = [pair_channels(device, noise, e) for e in range(len(device.edges))]
        blocks = [p.elements(native.CNOT) if block == "cnot" else native_ptm(device, noise, e) for e, p in enumerate(pairs)]
        flips = channels.readout_flip(noise.p1_given_0, noise.p0_given_1)
        stack = {f: np.stack([getattr(p, f) for p in pairs]) for f in ("cores", "locals", "paddings", "core", "parts")}
        return cls(block=np.stack(blocks), readout=channels.tensor(flips[device.direction[:, 0]], flips[device.direction[:, 1]]), **stack)

    def apply(self, edge: npt.NDArray[np.int64], element: npt.NDArray[np.int64], v: Real) -> Real:
        """States after a two-qubit element each; edge and element ``(U,)``, v ``(U, 16)``."""
        v = (self.cores[edge, self.core[edge, element]] @ v[:, :, None]).reshape(-1, 4, 4)  # rows: second qubit
        part = self.parts[edge, element]
        v = self.locals[edge, 1, part[:, 1]] @ v @ self.locals[edge, 0, part[:, 0]].swapaxes(1, 2)
        return v.reshape(-1, 16)


def survival(register: Register, plan: Plan) -> tuple[Real, npt.NDArray[np.int64]]:
    """Exact survival probability of every two-qubit sequence of a plan.

    Returns:
        Probabilities ``(2, M, L, K)`` (arm, pair, length, sequence) and the shots, int64, of the same shape.
    """
    circuit = plan.unit_circuit
    units = np.flatnonzero(plan.circuit_experiment[circuit] == TWO_QUBIT)
    circuit = circuit[units]
    cell = (
        plan.circuit_arm[circuit], np.searchsorted(plan.edges, plan.unit_target[units]),
        np.searchsorted(plan.two_qubit_lengths, plan.circuit_length[circuit]), plan.circuit_sample[circuit],
    )  # fmt: skip
    shape = tuple(int(c.max()) + 1 for c in cell)
    out, shots = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    shots[cell] = plan.circuit_shots[circuit]
    for arm in (0, 1):
        for m in plan.two_qubit_lengths:
            mine = np.flatnonzero((plan.circuit_arm[circuit] == arm) & (plan.circuit_length[circuit] == m))
            out[tuple(c[mine] for c in cell)] = _survival(register, plan, units[mine], int(m), arm)
    return out, shots


def _survival(register: Register, plan: Plan, units: npt.NDArray[np.int64], m: int, arm: int) -> Real:
    """Survival of units of one length and arm, ``(U,)``."""
    edge = plan.unit_target[units].astype(np.int64)
    drawn, layers = plan.sequences(units)
    drawn, layers = drawn.reshape(-1, m), layers.reshape(-1, m, 2)
    v = np.zeros((len(units), 16))
    v[:, [0, 3, 12, 15]] = 1.0  # both qubits in the ground state
    block = register.block[edge]
    for step in range(m):
        v = register.apply(edge, drawn[:, step].astype(np.int64), v)
        pads = layers[:, step]
        if plan.padded:
            v = (register.paddings[edge, pads[:, 0]] @ v[:, :, None])[..., 0]
        if arm == INTERLEAVED:
            v = (block @ v[:, :, None])[..., 0]
        if plan.padded:
            v = (register.paddings[edge, pads[:, 1]] @ v[:, :, None])[..., 0]
    v = register.apply(edge, plan.unit_final[units].astype(np.int64), v)
    v = (register.readout[edge] @ v[:, :, None])[..., 0]
    first, second = 1 - 2.0 * (plan.unit_expected[units] & 1), 1 - 2.0 * (plan.unit_expected[units] >> 1)
    return (v[:, 0] + first * v[:, 3] + second * v[:, 12] + first * second * v[:, 15]) / 4


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
    clifford = twisted(model.ideal_elements, model.elements, np.full(_ORDER, 1 / _ORDER), affine=True)
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
