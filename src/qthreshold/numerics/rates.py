"""Error rates that follow from decay parameters, and how far they may lie off for reasons that are no matter of chance.

A decay parameter p shrinks the traceless part of a state by p per step. Every function says its convention: *average* is
average gate infidelity r, *process* is entanglement infidelity, e = (d+1)/d r.

References:
    E. Magesan, J. M. Gambetta, J. Emerson, arXiv:1109.6887 (error per Clifford); E. Magesan et al., arXiv:1203.4550 (interleaved RB).
    M. Horodecki, P. Horodecki, R. Horodecki, arXiv:quant-ph/9807091 (average and process fidelity).
    D. C. McKay et al., arXiv:1712.06550 (one-qubit gates inside two-qubit Cliffords).
    A. Carignan-Dugas, J. J. Wallman, J. Emerson, arXiv:1610.05296 (bounds on compositions from the unitarity).
"""

import numpy as np
import numpy.typing as npt

__all__ = [
    "CNOTS_PER_CLIFFORD",
    "average_from_process",
    "corrected_cnot_error",
    "error_per_clifford",
    "error_per_gate",
    "interleaved_gate_error",
    "magesan_bound",
    "process_from_average",
    "two_qubit_clifford_decay",
    "unitarity_bound",
    "upper_cnot_error",
]

Real = npt.NDArray[np.float64]

CNOTS_PER_CLIFFORD = 1.5
"""C-NOTs in a uniformly drawn two-qubit Clifford on average: classes with 0, 1, 2, 3 hold 1, 9, 9, 1 of every 20 elements."""


def error_per_clifford(p: npt.ArrayLike, dim: int = 4) -> Real:
    """EPC, average gate infidelity: (d-1)/d (1 - p), shape of ``p``.

    Example:
        >>> float(error_per_clifford(0.98))
        0.015000000000000013
    """
    return np.asarray((dim - 1) / dim * (1 - np.asarray(p, dtype=float)))


def error_per_gate(p: npt.ArrayLike, gates: float, dim: int = 4) -> Real:
    """EPG, average gate infidelity, if all error of a step came from ``gates`` equal depolarizing gates: (d-1)/d (1 - p^(1/gates))."""
    return error_per_clifford(np.asarray(p, dtype=float) ** (1 / gates), dim)


def upper_cnot_error(p: npt.ArrayLike, gates: float = CNOTS_PER_CLIFFORD) -> Real:
    """Upper estimate of the C-NOT error without interleaving: all error of a two-qubit Clifford charged to its C-NOTs.

    To first order EPC / 1.5. One-qubit gates only raise it; coherent errors of neighbouring gates may in principle cancel, so it
    is an estimate, not a bound.

    Args:
        p: Decay parameter of standard two-qubit RB, shape ``(...)``.
        gates: C-NOTs (or native two-qubit gates) per Clifford.

    Returns:
        Average gate infidelity per C-NOT, shape ``(...)``.
    """
    return error_per_gate(p, gates, 4)


def process_from_average(error: npt.ArrayLike, dim: int = 4) -> Real:
    """Process (entanglement) infidelity of an average gate infidelity: (d+1)/d r; 5/4 r for two qubits."""
    return np.asarray((dim + 1) / dim * np.asarray(error, dtype=float))


def average_from_process(error: npt.ArrayLike, dim: int = 4) -> Real:
    """Average gate infidelity of a process infidelity: d/(d+1) e; 4/5 e for two qubits."""
    return np.asarray(dim / (dim + 1) * np.asarray(error, dtype=float))


def interleaved_gate_error(p_ref: npt.ArrayLike, p_int: npt.ArrayLike, dim: int = 4) -> Real:
    """Average gate infidelity of an interleaved gate: (d-1)/d (1 - p_int / p_ref). A ratio of decay parameters, not of fidelities.

    References:
        arXiv:1203.4550, eq. (4).
    """
    return error_per_clifford(np.asarray(p_int, dtype=float) / np.asarray(p_ref, dtype=float), dim)


def two_qubit_clifford_decay(one_qubit_error: npt.ArrayLike, pulses: npt.ArrayLike, cnot_error: npt.ArrayLike, gates: float) -> Real:
    """Decay parameter of two-qubit RB predicted from depolarizing gates.

    Of the 15 traceless Paulis 3 live on each qubit alone and 9 on both: one-qubit decays a and b act as (a + b + 3 a b) / 5.

    Args:
        one_qubit_error: Average gate infidelity per pulse of each qubit, shape ``(..., 2)``.
        pulses: Pulses of each qubit in a Clifford, ``(..., 2)`` or ``(2,)``.
        cnot_error: Average gate infidelity of the C-NOT, ``(...)``.
        gates: C-NOTs per Clifford.

    References:
        D. C. McKay et al., arXiv:1712.06550.
    """
    return _local_decay(one_qubit_error, pulses) * (1 - 4 / 3 * np.asarray(cnot_error, dtype=float)) ** gates


def corrected_cnot_error(p: npt.ArrayLike, one_qubit_error: npt.ArrayLike, pulses: npt.ArrayLike, gates: float = CNOTS_PER_CLIFFORD) -> Real:
    """C-NOT error from standard RB less the one-qubit gates inside the Clifford: the inverse of :func:`two_qubit_clifford_decay`.

    Right for depolarizing noise. Coherent errors of the gates inside a Clifford add up or cancel, so it may be off by its own size there.

    Args:
        p: Decay parameter of standard two-qubit RB, shape ``(...)``.
        one_qubit_error: Average gate infidelity per pulse of each qubit, from one-qubit RB, ``(..., 2)``.
        pulses: Pulses of each qubit in a Clifford, ``(..., 2)`` or ``(2,)``.
        gates: C-NOTs per Clifford.

    Returns:
        Average gate infidelity per C-NOT, shape ``(...)``.
    """
    return error_per_gate(np.asarray(p, dtype=float) / _local_decay(one_qubit_error, pulses), gates, 4)


def _local_decay(error: npt.ArrayLike, pulses: npt.ArrayLike) -> Real:
    a = (1 - 2 * np.asarray(error, dtype=float)) ** np.asarray(pulses, dtype=float)
    return np.asarray((a[..., 0] + a[..., 1] + 3 * a[..., 0] * a[..., 1]) / 5)


def magesan_bound(p_ref: npt.ArrayLike, p_int: npt.ArrayLike, dim: int = 4) -> Real:
    """Worst-case distance between the interleaved estimate and the true gate error (plain interleaved RB).

    Args:
        p_ref: Decay parameter of the reference arm, shape ``(...)``.
        p_int: Decay parameter of the interleaved arm.
        dim: Dimension d.

    Returns:
        E of arXiv:1203.4550, eq. (5), in average gate infidelity, shape ``(...)``.
    """
    r, i = np.asarray(p_ref, dtype=float), np.asarray(p_int, dtype=float)
    first = (dim - 1) / dim * (np.abs(r - i / r) + (1 - r))
    second = 2 * (dim**2 - 1) * (1 - r) / (r * dim**2) + 4 * np.sqrt(1 - r) * np.sqrt(dim**2 - 1) / r
    return np.minimum(first, second)


def unitarity_bound(
    p_ref: npt.ArrayLike, p_int: npt.ArrayLike, unitarity_ref: npt.ArrayLike, unitarity_gate: npt.ArrayLike = 1.0, dim: int = 4
) -> tuple[Real, Real]:
    """Range of the true gate error that purity data leave open, around the interleaved estimate.

    For unital noise |p_int - p_ref x|^2 <= (u_ref - p_ref^2) (u_gate - x^2) for the gate's own decay parameter x. Solved for x:
    u_ref x = p_ref p_int +- sqrt((u_ref - p_ref^2) (u_ref u_gate - p_int^2)). For stochastic noise u - p^2 is of second order, and the range is
    narrow; for coherent noise it is wider than the bias that it bounds.

    Args:
        p_ref: Decay parameter of the reference arm, shape ``(...)``.
        p_int: Decay parameter of the interleaved arm.
        unitarity_ref: Unitarity of the mean step of the reference arm, from purity RB (arXiv:1503.07865); not below p_ref^2.
        unitarity_gate: Unitarity of the gate; 1, the worst case, where it is not known.
        dim: Dimension d.

    Returns:
        Lowest and highest average gate infidelity, each ``(...)``; NaN where the numbers contradict each other (no x solves it).

    References:
        arXiv:1610.05296, section on composition of two channels; Cauchy-Schwarz on the unital blocks.
    """
    r, i, u, v = (np.asarray(x, dtype=float) for x in (p_ref, p_int, unitarity_ref, unitarity_gate))
    with np.errstate(invalid="ignore"):
        reach = np.sqrt((u - r**2) * (u * v - i**2))
    low, high = (error_per_clifford((r * i + s * reach) / u, dim) for s in (1, -1))
    return low, high
