"""Device from a Qiskit ``Target``, as real backends describe themselves.

What a target leaves out is kept apart: a pair of the coupling map that the target does not offer is absent; an error
that is not reported is unknown (and measured); an error of 0.5 or more is faulty. Each has its reason.
"""

from collections.abc import Iterable, Sequence
from inspect import isclass
from typing import Any, NamedTuple

import numpy as np
from qiskit.circuit import Instruction, Measure
from qiskit.transpiler import Target

from qthreshold.circuits.basis import spelling
from qthreshold.circuits.build import native_gate
from qthreshold.device import BASES, DIAGONAL_GATES, NATIVE_GATES, Device, build_device
from qthreshold.errors import InputError
from qthreshold.plan import TWO_QUBIT, Plan

__all__ = ["device_from_target", "obstacles"]

_PREFERENCE = ("cz", "cx", "ecr", "rzz", "rxx")  # between gates of equal reported error
_MOST_ALL_TO_ALL = 500  # qubits; simulators claim tens of thousands


def device_from_target(
    target: Target, name: str, source: str, coupling: Iterable[tuple[int, int]] | None = (), n_qubits: int | None = None
) -> Device:
    """Describe a device from its target.

    Circuits are written in the first of :data:`qthreshold.device.BASES` that is offered on most qubits; qubits without it are absent.

    Args:
        target: The target.
        name: Device name.
        source: Where the target comes from, such as ``fake:FakeTorino``.
        coupling: Pairs that the maker lists as coupled, from the backend's configuration; those that the target does not
            offer are kept as absent.
        n_qubits: Only qubits below this number are described. Needed where the target does not say how many there are, or
            couples absurdly many; by default all.

    Raises:
        InputError: The target states no number of qubits, couples too many, has fewer than ``n_qubits``, or lacks a usable set of
            one-qubit gates.

    References:
        Qiskit documentation, ``qiskit.transpiler.Target`` and ``InstructionProperties``.
    """
    n = _size(target, source, n_qubits)
    basis, offered = _basis(target, source, n)
    pairs = _pairs(target, n, DIAGONAL_GATES if basis == ("r",) else NATIVE_GATES)
    usual = next(iter(pairs.values())).gate if pairs else DIAGONAL_GATES[0]  # what an absent pair would have
    listed = {(min(p), max(p)) for p in coupling or () if max(p) < n}
    rows = [*pairs.values(), *(_Pair(usual, p, None, None) for p in sorted(listed - set(pairs)))]
    why = "listed as coupled, but the target offers no two-qubit gate that circuits can use"
    pulse = next(g.name for g in spelling(basis).letters if g.name not in ("rz", "p", "u1"))
    single = [_properties(target, pulse, (q,)) for q in range(n)]
    # a target without any measurement is taken to measure all the same: whoever made it left out what goes without saying
    measure = [_properties(target, "measure", (q,)) if "measure" in target.operation_names else _Unstated() for q in range(n)]
    missing = {q: f"the target offers no {'measurement' if good else '+'.join(basis)} on qubit {q}"
               for q, good in enumerate(offered) if not good or measure[q] is None}  # fmt: skip
    qubits = [*(target.qubit_properties or ()), *[None] * n][:n]
    return build_device(
        name=name, source=source, n_qubits=n,
        directed=np.array([r.direction for r in rows], dtype=np.int64).reshape(-1, 2), gate=[r.gate for r in rows],
        edge_error=_floats(rows, "error"), edge_duration=_floats(rows, "duration"),
        qubit_error=_floats(single, "error"), readout_error=_floats(measure, "error"),
        pulse_duration=_floats(single, "duration"), readout_duration=_floats(measure, "duration"),
        t1=_floats(qubits, "t1"), t2=_floats(qubits, "t2"),
        absent_edges=dict.fromkeys(range(len(pairs), len(rows)), why), absent_qubits=missing, basis=basis,
    )  # fmt: skip


def _size(target: Target, source: str, wanted: int | None) -> int:
    """Number of qubits to describe."""
    if wanted is not None and wanted < 1:
        raise InputError(f"{source}: at least one qubit is needed, got {wanted}")
    named = max((q for qubits in target.qargs or () if qubits for q in qubits), default=-1) + 1
    stated = target.num_qubits or named
    if stated and wanted and wanted > stated:
        raise InputError(f"{source} has {stated} qubits, {wanted} were asked for")
    n = wanted or stated
    if not n:
        raise InputError(f"{source} does not say how many qubits it has; say how many to use")
    if n > _MOST_ALL_TO_ALL and any(_everywhere(target, gate) for gate in NATIVE_GATES):
        raise InputError(f"{source} couples all of its {n} qubits with each other; say how many to use, at most {_MOST_ALL_TO_ALL}")
    return n


def _basis(target: Target, source: str, n: int) -> tuple[tuple[str, ...], list[bool]]:
    """The first basis that is offered on most qubits, and on which."""
    have = set(target.operation_names)
    found = {basis: _offered(target, basis, n) for basis in BASES if set(basis) <= have}
    if not have.isdisjoint(NATIVE_GATES) and have.isdisjoint(DIAGONAL_GATES):
        found.pop(("r",), None)
    best = max(found, key=lambda basis: sum(found[basis]), default=None)
    if best is None or not any(found[best]):
        raise InputError(
            f"circuits cannot be written in the one-qubit gates of {source}, which has {', '.join(sorted(have)) or 'none'}; they need one of"
            f" {', '.join('+'.join(b) for b in BASES)} (r alone with {' or '.join(DIAGONAL_GATES)})"
        )
    return best, found[best]


def _offered(target: Target, basis: tuple[str, ...], n: int) -> list[bool]:
    """On which qubits all gates of a basis are offered, by every angle that circuits use."""
    if not all(_turns(target, gate) for gate in spelling(basis).letters):
        return [False] * n
    return [all(_properties(target, name, (q,)) is not None for name in basis) for q in range(n)]


def _turns(target: Target, gate: Instruction) -> bool:
    """Whether the target's gate of this name takes the gate's angles: its own are free, or the same."""
    offered = target.operation_from_name(gate.name)
    own = [] if isclass(offered) else offered.params
    return all(not isinstance(a, int | float) or np.isclose(a, float(b)) for a, b in zip(own, gate.params, strict=False))


class _Unstated(NamedTuple):
    """Stands for an operation that is offered without any stated error or duration."""

    error: None = None
    duration: None = None


class _Pair(NamedTuple):
    """The native gate of a pair, its direction, reported error and duration."""

    gate: str
    direction: tuple[int, int]
    error: float | None
    duration: float | None


def _everywhere(target: Target, operation: str) -> bool:
    """Whether an operation is offered on any qubits at all, as on ideal simulators."""
    return operation in target.operation_names and (not target[operation] or None in target[operation])


def _properties(target: Target, operation: str, qubits: tuple[int, ...]) -> Any:
    """Properties of an operation on some qubits, or None where it is not offered there."""
    if operation not in target.operation_names:
        return None
    table = target[operation]
    if _everywhere(target, operation):
        return (table or {}).get(None) or _Unstated()
    return (table[qubits] or _Unstated()) if qubits in table else None


def _pairs(target: Target, n: int, gates: Sequence[str]) -> dict[tuple[int, int], _Pair]:
    """The native gate of each pair, sorted: the lowest reported error wins."""
    best: dict[tuple[int, int], tuple[tuple[float, int, int], _Pair]] = {}
    for gate in gates:
        if gate not in target.operation_names or not _turns(target, native_gate(gate)):
            continue
        everywhere = [(a, b) for a in range(n) for b in range(a + 1, n)] if _everywhere(target, gate) else target[gate]
        for a, b in everywhere:
            if max(a, b) >= n:
                continue
            found = _properties(target, gate, (a, b))
            error = found.error
            rank = (error if error is not None else 1.0, _PREFERENCE.index(gate), int(a > b))
            pair = (min(a, b), max(a, b))
            if pair not in best or rank < best[pair][0]:
                best[pair] = (rank, _Pair(gate, (a, b), error, found.duration))
    return {pair: best[pair][1] for pair in sorted(best)}


def _floats(items: Iterable[Any], field: str) -> list[float]:
    """A field of each item, NaN where it is missing."""
    values = (getattr(item, field, None) for item in items)
    return [float("nan") if v is None else float(v) for v in values]


def obstacles(target: Target, plan: Plan, device: Device) -> list[str]:
    """Why a target, as it is now, cannot run a plan: one line for each qubit or pair that lacks something, sorted.

    Args:
        target: The target.
        plan: The plan.
        device: Its device, as it was planned: basis, native gate and direction of each pair.
    """
    pair = plan.circuit_experiment[plan.unit_circuit] == TWO_QUBIT
    edges = np.unique(plan.unit_target[pair])
    qubits = np.unique(np.concatenate([plan.unit_target[~pair], device.edges[edges].ravel()]))
    letters = {g.name: g for g in spelling(device.basis).letters}
    out = []
    for q in qubits.tolist():
        lacking = [name for name, gate in letters.items() if not _supports(target, gate, (q,))]
        if "measure" in target.operation_names and not _supports(target, Measure(), (q,)):
            lacking.append("measure")
        if lacking:
            out.append(f"qubit {q} offers no {', '.join(lacking)} now")
    for e in edges.tolist():
        a, b = device.direction[e].tolist()
        if not _supports(target, native_gate(device.gate[e]), (a, b)):
            out.append(f"pair {a}-{b} offers no {device.gate[e]} in this direction now")
    return out


def _supports(target: Target, gate: Instruction, qubits: tuple[int, ...]) -> bool:
    if _everywhere(target, gate.name) and not target.num_qubits:  # Qiskit says no where the number of qubits is not stated
        return _turns(target, gate)
    return bool(target.instruction_supported(gate.name, qubits, parameters=list(gate.params) or None))
