"""The one- and two-qubit Clifford groups as integers.

An element is ``index = s * 4**n + q``: first the ``s``-th symplectic map with all-plus signs, then the Pauli ``q``
(both up to global phase). There are 6 * 4 = 24 elements for one qubit and 720 * 16 = 11,520 for two. Paulis are
integers too: bit ``k`` is X on qubit ``k``, bit ``n + k`` is Z on qubit ``k``, both set is Y; qubit 0 is the least
significant bit everywhere.

Composition is two table look-ups and two XORs on whole arrays. Tables are built once per process.

References:
    S. Aaronson, D. Gottesman, arXiv:quant-ph/0406196 (tableaux and their composition).
    R. Koenig, J. A. Smolin, arXiv:1406.2170 (a Clifford as a symplectic matrix and a Pauli).
"""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "compose",
    "from_images",
    "images",
    "inverse",
    "local",
    "local_parts",
    "order",
    "pauli",
    "sample",
    "symplectic",
]

Ints = npt.NDArray[np.integer]
Index = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class _Tables:
    n: int
    action: npt.NDArray[np.uint8]  # (M, 4**n) image of each Pauli under each symplectic map
    sign: npt.NDArray[np.uint8]  # (M, 4**n) 1 where that image carries a minus
    product: Index  # (M * M,) index of "s2 then s1" at s1 * M + s2, Pauli correction included
    inverse: Index  # (M * 4**n,)
    rank: npt.NDArray[np.int32]  # (16**n ** n,) symplectic map from its packed generator images, -1 if none
    solve: npt.NDArray[np.uint8]  # (M, 4**n) Pauli that flips the given set of generator signs


def _parity(x: Ints) -> npt.NDArray[np.uint8]:
    return (np.bitwise_count(x) & 1).astype(np.uint8)


def _anticommute(p: Ints, q: Ints, n: int) -> npt.NDArray[np.uint8]:
    mask = (1 << n) - 1
    return _parity(((p & mask) & (q >> n)) ^ ((p >> n) & (q & mask)))


@functools.cache
def _tables(n: int) -> _Tables:
    if n not in (1, 2):
        raise ValueError(f"Clifford tables exist for 1 and 2 qubits, not {n}")
    size, gens = 4**n, 2 * n  # generators X_0..X_{n-1}, Z_0..Z_{n-1} are the Paulis 1 << g
    codes = np.arange(size**gens)
    image = np.stack([(codes >> (gens * g)) & (size - 1) for g in range(gens)], axis=1)
    valid = np.ones(codes.size, dtype=bool)
    for g in range(gens):
        for h in range(g):
            valid &= _anticommute(image[:, g], image[:, h], n) == (g - h == n)
    image = image[valid]
    maps = len(image)
    rank = np.full(codes.size, -1, dtype=np.int32)
    rank[codes[valid]] = np.arange(maps)

    # phase of a product of Hermitian Paulis, as a power of i
    a, b = np.arange(size)[:, None], np.arange(size)[None, :]
    mask = (1 << n) - 1
    weight = [np.bitwise_count((v & mask) & (v >> n)).astype(int) for v in (a, b, a ^ b)]
    phase = (weight[0] + weight[1] - weight[2] + 2 * np.bitwise_count((a >> n) & (b & mask)).astype(int)) % 4

    action = np.zeros((maps, size), dtype=np.uint8)
    power = np.zeros((maps, size), dtype=int)
    for p in range(size):
        y_phase = int(np.bitwise_count((p & mask) & (p >> n)))
        acc, exponent = np.zeros(maps, dtype=int), np.full(maps, y_phase)
        for g in range(gens):
            if p >> g & 1:
                exponent += phase[acc, image[:, g]]
                acc = acc ^ image[:, g]
        action[:, p], power[:, p] = acc, exponent % 4
    sign = (power // 2).astype(np.uint8)

    q = np.arange(size)
    flips = np.zeros((maps, size), dtype=int)
    for g in range(gens):
        flips |= _anticommute(q[None, :], image[:, g, None], n).astype(int) << g
    solve = np.zeros((maps, size), dtype=np.uint8)
    np.put_along_axis(solve, flips, np.broadcast_to(q, flips.shape).astype(np.uint8), axis=1)

    packed = np.zeros((maps, maps), dtype=np.int32)  # [first applied last]: rows act after columns
    minus = np.zeros((maps, maps), dtype=np.uint8)
    for g in range(gens):
        packed |= action[:, image[:, g]].astype(np.int32) << (gens * g)
        minus |= sign[:, image[:, g]] << g
    s = rank[packed]
    product = (s * size + solve[s, minus]).astype(np.uint16).ravel()
    t = _Tables(n, action, sign, product, np.empty(0, np.uint16), rank, solve)
    identity = int(rank[sum((1 << g) << (gens * g) for g in range(gens))])
    inv_s = np.argmax(product.reshape(maps, maps) // size == identity, axis=0)
    element = np.arange(maps * size)
    back = (inv_s[element >> gens] << gens).astype(np.uint16)
    residue = _compose(t, element, back) & (size - 1)  # a Pauli left over: apply it after
    return _Tables(n, action, sign, product, back ^ residue, rank, solve)


def _compose(t: _Tables, first: Ints, then: Ints) -> Index:
    bits, maps = 2 * t.n, len(t.action)
    first, then = np.asarray(first, dtype=np.int32), np.asarray(then, dtype=np.int32)
    low = (1 << bits) - 1
    s2 = then >> bits
    moved = t.action.ravel()[(then & ~low) | (first & low)]
    return t.product[s2 * maps + (first >> bits)] ^ moved ^ (then & low).astype(np.uint16)


def order(n_qubits: int) -> int:
    """Number of elements up to phase: 24 for one qubit, 11,520 for two.

    Example:
        >>> order(1), order(2)
        (24, 11520)
    """
    return len(_tables(n_qubits).action) * 4**n_qubits


def sample(n_qubits: int, shape: int | tuple[int, ...], rng: np.random.Generator) -> Index:
    """Draw uniformly from the whole group.

    Args:
        n_qubits: 1 or 2.
        shape: Shape of the result.
        rng: Source of randomness.

    Returns:
        uint16 array of the given shape.
    """
    return rng.integers(order(n_qubits), size=shape, dtype=np.uint16)


def compose(first: npt.ArrayLike, then: npt.ArrayLike, n_qubits: int) -> Index:
    """The element that does ``first`` and afterwards ``then`` (matrix product ``then @ first``), elementwise.

    Args:
        first: Integer array, any shape, values in ``[0, order(n_qubits))``.
        then: Integer array that broadcasts with ``first``.
        n_qubits: 1 or 2.

    Returns:
        uint16 array of the broadcast shape.

    Example:
        >>> g = np.arange(24)
        >>> bool((compose(g, inverse(g, 1), 1) == pauli(0, 1)).all())
        True
    """
    return _compose(_tables(n_qubits), np.asarray(first), np.asarray(then))


def inverse(element: npt.ArrayLike, n_qubits: int) -> Index:
    """The inverse of each element; uint16 array of the same shape."""
    return _tables(n_qubits).inverse[np.asarray(element)]


def images(element: npt.ArrayLike, n_qubits: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Tableau of each element: Paulis that the generators X_0.., Z_0.. are mapped to, and their signs.

    Args:
        element: Integer array of any shape ``(...)``.
        n_qubits: 1 or 2.

    Returns:
        Paulis and signs (1 is minus), each uint8 of shape ``(..., 2 * n_qubits)``.
    """
    t = _tables(n_qubits)
    g = np.asarray(element, dtype=np.int64)[..., None]
    generators = 1 << np.arange(2 * n_qubits)
    s, q = g >> (2 * n_qubits), g & (4**n_qubits - 1)
    out = t.action[s, generators]
    return out, t.sign[s, generators] ^ _anticommute(q, out.astype(np.int64), n_qubits)


def from_images(paulis: npt.ArrayLike, signs: npt.ArrayLike, n_qubits: int) -> Index:
    """Inverse of :func:`images`.

    Raises:
        ValueError: The images do not keep the commutation relations of the generators.
    """
    t = _tables(n_qubits)
    gens = 2 * n_qubits
    p, m = np.asarray(paulis, dtype=np.int64), np.asarray(signs, dtype=np.int64)
    shifts = np.arange(gens)
    s = t.rank[(p << (gens * shifts)).sum(axis=-1)]
    if (s < 0).any():
        raise ValueError(f"not a Clifford tableau on {n_qubits} qubits: {p[s < 0][:1].tolist()}")
    return (s * 4**n_qubits + t.solve[s, (m << shifts).sum(axis=-1)]).astype(np.uint16)


def pauli(q: npt.ArrayLike, n_qubits: int) -> Index:
    """Index of the Clifford element that is the Pauli ``q`` (0 is the identity)."""
    gens = 2 * n_qubits
    identity = sum((1 << g) << (gens * g) for g in range(gens))
    base = int(_tables(n_qubits).rank[identity]) * 4**n_qubits
    return (base + np.asarray(q, dtype=np.int64)).astype(np.uint16)


def symplectic(element: npt.ArrayLike, n_qubits: int) -> npt.NDArray[np.int64]:
    """Which symplectic map an element is, disregarding its Pauli part."""
    return np.asarray(element, dtype=np.int64) >> (2 * n_qubits)


@functools.cache
def _local_tables() -> tuple[Index, npt.NDArray[np.int16]]:
    one = np.arange(24)
    p, m = images(one, 1)
    spread = np.array([0, 1, 4, 5], dtype=np.uint8)  # one-qubit Pauli (x, z) on qubit 0 of two
    a, b = one[:, None].repeat(24, 1), one[None, :].repeat(24, 0)
    pauli_images = np.stack([spread[p[a, 0]], spread[p[b, 0]] << 1, spread[p[a, 1]], spread[p[b, 1]] << 1], axis=-1)
    sign_images = np.stack([m[a, 0], m[b, 0], m[a, 1], m[b, 1]], axis=-1)
    table = from_images(pauli_images, sign_images, 2)
    split = np.full((order(2), 2), -1, dtype=np.int16)
    split[table.ravel()] = np.stack([a.ravel(), b.ravel()], axis=1)
    return table, split


def local(a: npt.ArrayLike, b: npt.ArrayLike) -> Index:
    """Two-qubit element that does the one-qubit element ``a`` on qubit 0 and ``b`` on qubit 1."""
    return _local_tables()[0][np.asarray(a), np.asarray(b)]


def local_parts(element: npt.ArrayLike) -> npt.NDArray[np.int16]:
    """The one-qubit elements of a product element, shape ``(..., 2)``; -1 where the element entangles."""
    return _local_tables()[1][np.asarray(element)]
