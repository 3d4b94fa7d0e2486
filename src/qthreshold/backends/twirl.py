"""What a protocol converges to with unlimited data: its decay parameters from the noise, exactly and without any sequence.

The decay of randomized benchmarking with gate-dependent noise is the dominant eigenvalue of the twisted step
T = E_g[G (x) Lambda_g], with G the ideal and Lambda_g the noisy Pauli transfer matrix, both restricted to the traceless Paulis: ideal
inverses at the end of a sequence turn survival into a matrix element of T**m. One step of the padded protocol is a product of independent
averages, so T factorises in the same order. So does the average over all Cliffords: each is one of 20 cores, then any one-qubit element on
either qubit.

References:
    J. J. Wallman, arXiv:1703.09835; T. Proctor et al., arXiv:1702.01853 (decay as an eigenvalue of a twisted map).
    S. T. Merkel et al., arXiv:1804.05951 (the same, as a convolution over the group).
"""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qthreshold.backends.noise import Noise, native_ptm, pair_channels
from qthreshold.circuits import native
from qthreshold.device import Device
from qthreshold.numerics import channels
from qthreshold.numerics.rates import interleaved_gate_error
from qthreshold.steps import PADDING_CODES

__all__ = ["Limit", "dominant_eigenvalue", "padding_weights", "pair_limit", "protocol_limits", "twisted", "twisted_clifford"]

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What interleaved RB of a pair converges to.

    Attributes:
        p_ref, p_int: Decay parameters of both arms; NaN where the noise is so strong that there is no single decay.
        estimate: C-NOT error that follows from them, average gate infidelity.
        true_error: The block's own.
    """

    p_ref: float
    p_int: float
    estimate: float
    true_error: float

    @property
    def bias(self) -> float:
        """Relative to the true error; NaN where there is none."""
        return self.estimate / self.true_error - 1 if self.true_error > 0 else float("nan")


def protocol_limits(device: Device, noise: Noise, edges: npt.ArrayLike, *, block: str = "cnot", padded: bool = True) -> list[Limit]:
    """Limits of a protocol for some pairs of a device, in their order.

    Args:
        device: The device.
        noise: Its channels.
        edges: Rows of ``device.edges``.
        block: What is interleaved, ``cnot`` or ``native``.
        padded: Whether steps are padded; otherwise plain interleaved RB.
    """
    out = []
    for edge in np.asarray(edges).tolist():
        gate, pair = device.gate[edge], pair_channels(device, noise, edge)
        noisy = native_ptm(device, noise, edge) if block == "native" else pair.elements(native.CNOT)
        out.append(pair_limit(gate, pair, noisy, block=block, padded=padded))
    return out


def pair_limit(gate: str, pair: native.PairChannels, noisy: Real, *, block: str = "cnot", padded: bool = True, clifford: Real | None = None) -> Limit:
    """Limit for one pair.

    Args:
        gate: Its native gate.
        pair: Its noisy channels.
        noisy: Channel of the block, ``(16, 16)``.
        block: What is interleaved.
        padded: Whether steps are padded.
        clifford: :func:`twisted_clifford` of the pair, if it is known already; the costly part.
    """
    ideal = native.ideal_ptm(native.block_element(block, gate))
    step = twisted_clifford(gate, pair) if clifford is None else clifford
    middle = twisted(ideal[None], noisy[None], np.ones(1))
    if padded:
        pad = twisted(_ideal(gate).paddings, pair.paddings, padding_weights())
        arms = pad @ pad @ step, pad @ middle @ pad @ step
    else:
        arms = step, middle @ step
    p_ref, p_int = (dominant_eigenvalue(arm) for arm in arms)
    return Limit(
        p_ref=p_ref, p_int=p_int, estimate=float(interleaved_gate_error(p_ref, p_int, 4)),
        true_error=float(channels.average_gate_infidelity(noisy, ideal)),
    )  # fmt: skip


@functools.cache
def _ideal(gate: str) -> native.PairChannels:
    """Noiseless channels of a native gate."""
    one = native.opcode_ptms(np.eye(4), np.eye(4))
    return native.pair_ptms(gate, np.stack([one, one]), channels.unitary(native.NATIVE_UNITARY[gate]))


def twisted(ideal: Real, noisy: Real, weights: Real, *, affine: bool = False) -> Real:
    """sum_g weights_g G (x) Lambda_g on the traceless Paulis: ``(M, 16, 16)`` twice and ``(M,)`` -> ``(225, 225)``.

    ``affine`` keeps the identity component of Lambda: ``(240, 240)``.
    """
    first = 0 if affine else 1
    n = 16 - first
    g = ideal[:, 1:, 1:].reshape(-1, 225) * weights[:, None]
    total = (g.T @ noisy[:, first:, first:].reshape(-1, n * n)).reshape(15, 15, n, n)
    return total.transpose(0, 2, 1, 3).reshape(15 * n, 15 * n)


def twisted_clifford(gate: str, pair: native.PairChannels, *, affine: bool = False) -> Real:
    """The twisted average over all 11,520 Cliffords of a pair, ``(225, 225)``, or ``(240, 240)`` if ``affine``."""
    ideal = _ideal(gate)
    one = np.einsum("qgij,qgkl->qikjl", ideal.locals, pair.locals) / 24  # both qubits: ideal i, j and noisy k, l
    both = np.einsum("ikjl,IKJL->IiKkJjLl", *one).reshape(16, 16, 16, 16)
    first = 0 if affine else 1
    ends = both[1:, first:, 1:, first:].reshape(15 * (16 - first), -1)
    return ends @ twisted(ideal.cores, pair.cores, np.full(len(pair.cores), 1 / len(pair.cores)), affine=affine)


def dominant_eigenvalue(step: Real) -> float:
    """Largest eigenvalue of a twisted step ``(225, 225)``, by power iteration.

    It grew out of the single eigenvalue 1 of the noiseless step, whose vector sum_P P (x) P is the start. NaN where the noise is so strong
    that no eigenvalue stands out.
    """
    v, value = np.eye(15).ravel(), 1.0
    for _ in range(2000):
        v = step @ v
        before, value = value, float(np.linalg.norm(v))
        if value == 0:
            break
        v /= value
        if abs(value - before) < 1e-15:
            return value
    return float("nan")


def padding_weights() -> Real:
    """Probability of each of the 36 padding layers, ``(36,)``."""
    one = np.bincount(PADDING_CODES, minlength=6) / len(PADDING_CODES)
    return np.outer(one, one).ravel()
