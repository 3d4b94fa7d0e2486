"""Device from a Qiskit ``Target``, as real backends describe themselves.

What a target leaves out is kept apart: a pair of the coupling map that the target does not offer is absent; an error
that is not reported is unknown (and measured); an error of 0.5 or more is faulty. Each has its reason.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from qiskit.transpiler import Target

from qthreshold.device import NATIVE_GATES, ONE_QUBIT_BASIS, Device, build_device
from qthreshold.errors import InputError

__all__ = ["device_from_target"]

_PREFERENCE = ("cz", "cx", "ecr", "rzz")  # between gates of equal reported error


def device_from_target(target: Target, name: str, source: str, coupling: Iterable[tuple[int, int]] = ()) -> Device:
    """Describe a device from its target.

    Args:
        target: The target.
        name: Device name.
        source: Where the target comes from, such as ``fake:FakeTorino``.
        coupling: Pairs that the maker lists as coupled, from the backend's configuration; those that the target does not
            offer are kept as absent.

    Raises:
        InputError: The target states no number of qubits, or lacks one of rz, sx, x.

    References:
        Qiskit documentation, ``qiskit.transpiler.Target`` and ``InstructionProperties``.
    """
    n = target.num_qubits
    if not n:
        raise InputError(f"{source} does not say how many qubits it has")
    lacking = [g for g in ONE_QUBIT_BASIS if g not in target.operation_names]
    if lacking:
        have = ", ".join(sorted(target.operation_names))
        raise InputError(f"{source} has no {' and no '.join(lacking)}; circuits need {', '.join(ONE_QUBIT_BASIS)}, the device has {have}")
    pairs = _pairs(target, n)
    usual = next(iter(pairs.values()))[0] if pairs else NATIVE_GATES[0]  # what an absent pair would have
    listed = {(min(p), max(p)) for p in coupling}
    absent = sorted(listed - set(pairs))
    rows = [(pair, *pairs[pair]) for pair in sorted(pairs)] + [(p, usual, p, None, None) for p in absent]
    reasons = {len(pairs) + i: "listed as coupled, but the target offers no two-qubit gate that circuits can use" for i in range(len(absent))}
    single = [_properties(target, "sx", (q,)) for q in range(n)]
    measure = [_properties(target, "measure", (q,)) for q in range(n)]
    missing = {}
    for q in range(n):
        if single[q] is None or measure[q] is None:
            missing[q] = f"the target offers no {'sx' if single[q] is None else 'measurement'} on qubit {q}"
    qubits = target.qubit_properties or [None] * n
    return build_device(
        name=name, source=source, n_qubits=n,
        directed=np.array([r[2] for r in rows], dtype=np.int64).reshape(-1, 2), gate=[r[1] for r in rows],
        edge_error=[_float(r[3]) for r in rows], edge_duration=[_float(r[4]) for r in rows],
        qubit_error=[_float(getattr(s, "error", None)) for s in single], readout_error=[_float(getattr(m, "error", None)) for m in measure],
        pulse_duration=[_float(getattr(s, "duration", None)) for s in single],
        readout_duration=[_float(getattr(m, "duration", None)) for m in measure],
        t1=[_float(getattr(q, "t1", None)) for q in qubits], t2=[_float(getattr(q, "t2", None)) for q in qubits],
        absent_edges=reasons, absent_qubits=missing,
    )  # fmt: skip


class _NoProperties:
    """Stands for an operation that is offered without any stated error or duration."""

    error = None
    duration = None


def _properties(target: Target, operation: str, qubits: tuple[int, ...]) -> Any:
    """Properties of an operation on some qubits, or None where it is not offered there."""
    if operation not in target.operation_names:
        return None
    table = target[operation]
    if None in table:  # offered everywhere, as on ideal simulators
        return table[None] or _NoProperties()
    return (table[qubits] or _NoProperties()) if qubits in table else None


def _pairs(target: Target, n: int) -> dict[tuple[int, int], tuple[str, tuple[int, int], float | None, float | None]]:
    """For each pair the native gate, its direction, error and duration: the lowest reported error wins."""
    best: dict[tuple[int, int], tuple[tuple[float, int, int], tuple[str, tuple[int, int], float | None, float | None]]] = {}
    for gate in NATIVE_GATES:
        if gate not in target.operation_names:
            continue
        table = target[gate]
        everywhere = [(a, b) for a in range(n) for b in range(a + 1, n)] if None in table else list(table)
        for a, b in everywhere:
            found = _properties(target, gate, (a, b))
            error = found.error
            rank = (error if error is not None else 1.0, _PREFERENCE.index(gate), int(a > b))
            pair = (min(a, b), max(a, b))
            if pair not in best or rank < best[pair][0]:
                best[pair] = (rank, (gate, (a, b), error, found.duration))
    return {pair: entry for pair, (_, entry) in best.items()}


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)
