"""Quantum channels as real Pauli transfer matrices (PTMs), in batches.

A channel on n qubits is a real ``(..., 4**n, 4**n)`` array R with R[i, j] = tr(P_i E(P_j)) / 2**n; Paulis are ordered
I, X, Y, Z on each qubit with qubit 0 varying fastest. Composition is matrix multiplication, later channel on the left.

References:
    D. Greenbaum, arXiv:1509.02921 (PTM representation).
    M. A. Nielsen, arXiv:quant-ph/0205035 (average fidelity from process fidelity).
"""

import functools

import numpy as np
import numpy.typing as npt

__all__ = [
    "average_gate_infidelity",
    "depolarizing",
    "depolarizing_fill",
    "hamiltonian_error",
    "identity",
    "on_qubit",
    "pauli_basis",
    "readout_flip",
    "relaxation",
    "tensor",
    "to_superop",
    "unitary",
]

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

_PAULI = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


@functools.cache
def pauli_basis(n: int) -> Complex:
    """All Paulis on n qubits, shape ``(4**n, 2**n, 2**n)``, qubit 0 varying fastest and least significant."""
    if n == 1:
        return _PAULI
    rest = pauli_basis(n - 1)
    return np.array([np.kron(_PAULI[i], p) for i in range(4) for p in rest])


def identity(n: int) -> Real:
    """The channel that does nothing, shape ``(4**n, 4**n)``."""
    return np.eye(4**n)


def unitary(u: npt.ArrayLike) -> Real:
    """PTM of unitaries, shape ``(..., d, d)`` -> ``(..., d**2, d**2)``."""
    u = np.asarray(u, dtype=complex)
    d = u.shape[-1]
    basis = pauli_basis(d.bit_length() - 1)
    moved = u[..., None, :, :] @ basis @ u.conj().swapaxes(-1, -2)[..., None, :, :]
    return np.einsum("iab,...jba->...ij", basis, moved).real / d


def hamiltonian_error(angles: npt.ArrayLike, n: int) -> Real:
    """PTM of ``exp(-i/2 sum_k angles_k P_k)``.

    Args:
        angles: Rotation angles in radians, shape ``(..., 4**n)``, one per Pauli in :func:`pauli_basis` order.
        n: Number of qubits.

    Returns:
        Shape ``(..., 4**n, 4**n)``.
    """
    h = np.einsum("...k,kab->...ab", np.asarray(angles, dtype=float), pauli_basis(n)) / 2
    values, vectors = np.linalg.eigh(h)
    return unitary((vectors * np.exp(-1j * values)[..., None, :]) @ vectors.conj().swapaxes(-1, -2))


def depolarizing(keep: npt.ArrayLike, n: int) -> Real:
    """Every non-identity Pauli shrinks by ``keep``; shape ``(...)`` -> ``(..., 4**n, 4**n)``."""
    keep = np.asarray(keep, dtype=float)
    diagonal = np.concatenate([np.ones((*keep.shape, 1)), np.broadcast_to(keep[..., None], (*keep.shape, 4**n - 1))], -1)
    return diagonal[..., None] * np.eye(4**n)


def relaxation(t1: npt.ArrayLike, t2: npt.ArrayLike, time: npt.ArrayLike) -> Real:
    """Amplitude damping and dephasing of one qubit during ``time`` (all in seconds; infinite T1, T2 allowed).

    Args:
        t1: Energy relaxation time.
        t2: Coherence time, at most 2 T1.
        time: Duration.

    Returns:
        Shape ``(..., 4, 4)``, relaxing towards the ground state.
    """
    t1, t2, time = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (t1, t2, time)))
    e1, e2 = np.exp(-time / t1), np.exp(-time / t2)
    out = np.zeros((*t1.shape, 4, 4))
    out[..., 0, 0], out[..., 1, 1], out[..., 2, 2], out[..., 3, 3] = 1, e2, e2, e1
    out[..., 3, 0] = 1 - e1
    return out


def readout_flip(p1_given_0: npt.ArrayLike, p0_given_1: npt.ArrayLike) -> Real:
    """Classical misassignment of one qubit just before an ideal measurement, as a channel on the diagonal."""
    a, b = np.broadcast_arrays(np.asarray(p1_given_0, dtype=float), np.asarray(p0_given_1, dtype=float))
    out = np.zeros((*a.shape, 4, 4))
    out[..., 0, 0] = 1
    out[..., 3, 0] = b - a
    out[..., 3, 3] = 1 - a - b
    return out


def tensor(on_0: npt.ArrayLike, on_1: npt.ArrayLike) -> Real:
    """Two-qubit channel from one-qubit channels on qubit 0 and qubit 1, shape ``(..., 16, 16)``."""
    a, b = np.asarray(on_0, dtype=float), np.asarray(on_1, dtype=float)
    out = np.einsum("...ij,...kl->...kilj", a, b)
    return out.reshape(*out.shape[:-4], 16, 16)


def on_qubit(channel: npt.ArrayLike, qubit: int) -> Real:
    """A one-qubit channel as a two-qubit channel that acts on ``qubit`` (0 or 1)."""
    return tensor(channel, np.eye(4)) if qubit == 0 else tensor(np.eye(4), channel)


def average_gate_infidelity(channel: npt.ArrayLike, ideal: npt.ArrayLike) -> Real:
    """1 - average gate fidelity of channels against ideal unitary channels, shape ``(...)``.

    r = d/(d+1) (1 - F_process), F_process = tr(R_ideal^T R) / d**2 (Nielsen, arXiv:quant-ph/0205035, eq. 3).
    """
    r, t = np.asarray(channel, dtype=float), np.asarray(ideal, dtype=float)
    d2 = r.shape[-1]
    d = np.sqrt(d2)
    return d / (d + 1) * (1 - np.einsum("...ij,...ij->...", r, t) / d2)


def depolarizing_fill(other: npt.ArrayLike, infidelity: npt.ArrayLike) -> Real:
    """How much depolarizing noise, beside the channel ``other``, makes up a given average gate infidelity.

    Args:
        other: Error channels that are there anyway (for instance relaxation), shape ``(..., d**2, d**2)``.
        infidelity: Wanted total average gate infidelity, shape ``(...)``.

    Returns:
        ``keep`` for :func:`depolarizing`, at most 1 (then ``other`` alone is worse than asked for).
    """
    r = np.asarray(other, dtype=float)
    d2 = r.shape[-1]
    d = np.sqrt(d2)
    process = 1 - np.asarray(infidelity, dtype=float) * (d + 1) / d
    trace = np.trace(r, axis1=-2, axis2=-1)
    return np.minimum((process * d2 - 1) / (trace - 1), 1.0)


@functools.cache
def _vectorized(n: int) -> tuple[Complex, Complex]:
    columns = pauli_basis(n).transpose(0, 2, 1).reshape(4**n, 4**n).T  # column-stacked Paulis side by side
    return columns, np.ascontiguousarray(columns.conj().T) / 2**n


def to_superop(channel: npt.ArrayLike) -> Complex:
    """Column-stacking superoperators of PTMs, shape ``(..., d**2, d**2)`` (the convention of Qiskit's ``SuperOp``)."""
    r = np.asarray(channel, dtype=float)
    left, right = _vectorized((r.shape[-1].bit_length() - 1) // 2)
    return left @ (r @ right)
