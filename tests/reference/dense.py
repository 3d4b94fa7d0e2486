"""Paulis and Cliffords as dense matrices, written without the package."""

import numpy as np

ONE = {0: np.eye(2), 1: np.array([[0, 1], [1, 0]]), 2: np.array([[1, 0], [0, -1]]), 3: np.array([[0, -1j], [1j, 0]])}


def pauli_matrix(q: int, n: int) -> np.ndarray:
    """Matrix of the Pauli integer q: bit k is X on qubit k, bit n + k is Z on qubit k."""
    out = np.eye(1)
    for k in range(n):
        out = np.kron(ONE[(q >> k & 1) | (q >> (n + k) & 1) << 1], out)
    return out


def clifford_ptms(paulis: np.ndarray, signs: np.ndarray, n: int) -> np.ndarray:
    """Signed permutations (M, 4**n, 4**n) of Pauli integers, from the images of X_0.., Z_0.. by multiplying matrices."""
    basis = np.array([pauli_matrix(q, n) for q in range(4**n)])
    image = basis[paulis] * (1 - 2 * signs.astype(int))[..., None, None]
    out = np.zeros((len(paulis), 4**n, 4**n))
    for q in range(4**n):
        moved = np.broadcast_to(np.eye(2**n, dtype=complex), image[:, 0].shape)
        plain = np.eye(2**n, dtype=complex)
        for g in range(2 * n):
            if q >> g & 1:
                moved, plain = moved @ image[:, g], plain @ basis[1 << g]
        phase = np.trace(basis[q] @ plain) / 2**n  # plain = phase * P_q
        out[:, :, q] = np.einsum("iab,mba->mi", basis, moved / phase).real / 2**n
    return out


def ptm(unitary: np.ndarray, n: int) -> np.ndarray:
    """Pauli transfer matrix of one unitary, in Pauli-integer order, entry by entry."""
    basis = [pauli_matrix(q, n) for q in range(4**n)]
    return np.array([[np.trace(p @ unitary @ q @ unitary.conj().T).real / 2**n for q in basis] for p in basis])
