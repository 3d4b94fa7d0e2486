"""Device: what can be run where. Qubits, coupled pairs, native gates, reported errors, and why something is excluded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.identity import Record

__all__ = ["BASES", "DIAGONAL_GATES", "NATIVE_GATES", "ONE_QUBIT_BASIS", "STATUSES", "UNSTATED_GATE", "Device", "build_device", "state_of"]

NATIVE_GATES = ("cx", "cz", "ecr", "rzz", "rxx")
"""Two-qubit gates that circuits can be written in; all are equivalent to C-NOT up to one-qubit gates (rzz and rxx by a quarter turn)."""

DIAGONAL_GATES = ("cz", "rzz")
"""Native gates that commute with z rotations of both qubits."""

UNSTATED_GATE = "unstated"
"""In place of a native gate where the device is known from data alone; no circuits can be written for such pairs."""

ONE_QUBIT_BASIS = ("rz", "sx", "x")
"""One-qubit gates that circuits are written in by default; rz is virtual."""

BASES = (
    *((z, *pulses) for z in ("rz", "p", "u1") for pulses in (("sx", "x"), ("sx",), ("rx",), ("r",))),
    ("u1", "u2", "u3"), ("r",), ("u",), ("u3",),
)  # fmt: skip
"""Sets of one-qubit gates that circuits can be written in, the first choice first. With r alone (a pulse about any axis in the plane)
z rotations are frames that go into the axes of later pulses, which only :data:`DIAGONAL_GATES` allow."""

STATUSES = ("ok", "unknown_error", "absent", "faulty")
"""ok; no error reported (still measured); not offered by the device; reported error of 0.5 or more."""

_FAULTY = 0.5


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Device(Record):
    """A device as its provider describes it.

    Attributes:
        name: Name of the device or profile.
        source: Where the description comes from, e.g. ``profile heron-133``.
        n_qubits: Number of qubits, working or not.
        edges: Coupled pairs, int64 ``(E, 2)``, a < b, sorted; includes excluded pairs.
        direction: The native order of each pair (first, second qubit of the native gate), int64 ``(E, 2)``.
        gate: Native two-qubit gate of each pair, one of :data:`NATIVE_GATES` or :data:`UNSTATED_GATE`, ``(E,)``.
        edge_error: Reported average gate infidelity of the native gate, ``(E,)``, NaN if not reported.
        edge_duration: Seconds, ``(E,)``, NaN if not reported.
        edge_status: One of :data:`STATUSES` for each pair.
        edge_reason: One line for each pair, empty when ok.
        qubit_error: Reported error of one sx pulse (of the gate that stands for it in the basis), ``(n,)``.
        readout_error: Reported mean misassignment probability, ``(n,)``.
        pulse_duration: Seconds of that pulse, ``(n,)``.
        readout_duration: Seconds, ``(n,)``.
        t1, t2: Seconds, ``(n,)``, NaN if not reported.
        qubit_status, qubit_reason: As for pairs.
        repetition_delay: Seconds from the end of one execution to the start of the next.
        job_overhead: Seconds that each job costs beside its executions.
        coordinates: Drawing positions (column, row), ``(n, 2)``, NaN if unknown.
        basis: One-qubit gates that circuits are written in, one of :data:`BASES`.
    """

    schema: ClassVar[str] = "qthreshold/device/1"
    name: str
    source: str
    n_qubits: int
    edges: npt.NDArray[np.int64]
    direction: npt.NDArray[np.int64]
    gate: tuple[str, ...]
    edge_error: npt.NDArray[np.float64]
    edge_duration: npt.NDArray[np.float64]
    edge_status: tuple[str, ...]
    edge_reason: tuple[str, ...]
    qubit_error: npt.NDArray[np.float64]
    readout_error: npt.NDArray[np.float64]
    pulse_duration: npt.NDArray[np.float64]
    readout_duration: npt.NDArray[np.float64]
    t1: npt.NDArray[np.float64]
    t2: npt.NDArray[np.float64]
    qubit_status: tuple[str, ...]
    qubit_reason: tuple[str, ...]
    repetition_delay: float
    job_overhead: float
    coordinates: npt.NDArray[np.float64]
    basis: tuple[str, ...] = ONE_QUBIT_BASIS

    def _check(self) -> None:
        n, e = self.n_qubits, len(self.edges)
        if n < 1:
            raise ValueError(f"a device needs at least one qubit, got {n}")
        if self.edges.shape != (e, 2) or self.direction.shape != (e, 2):
            raise ValueError(f"edges {self.edges.shape} and direction {self.direction.shape} must both be (E, 2)")
        if e and (self.edges.min() < 0 or self.edges.max() >= n or (self.edges[:, 0] >= self.edges[:, 1]).any()):
            raise ValueError(f"edges must be pairs a < b of qubits 0..{n - 1}")
        if e and (np.diff(self.edges[:, 0] * n + self.edges[:, 1]) <= 0).any():
            raise ValueError("edges must be sorted and each appear once")
        if (np.sort(self.direction, axis=1) != self.edges).any():
            raise ValueError("direction must name the same two qubits as edges")
        for name, length in (("gate", e), ("edge_status", e), ("edge_reason", e), ("qubit_status", n), ("qubit_reason", n)):
            if len(getattr(self, name)) != length:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {length}")
        for name, length in (("edge_error", e), ("edge_duration", e), ("qubit_error", n), ("readout_error", n), ("pulse_duration", n),
                             ("readout_duration", n), ("t1", n), ("t2", n)):  # fmt: skip
            if getattr(self, name).shape != (length,):
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, expected ({length},)")
        unknown = set(self.gate) - {*NATIVE_GATES, UNSTATED_GATE}
        if unknown:
            raise ValueError(f"unknown native gate {sorted(unknown)}; accepted: {', '.join(NATIVE_GATES)}")
        if tuple(self.basis) not in BASES:
            raise ValueError(f"unknown basis {tuple(self.basis)}; accepted: {', '.join('+'.join(b) for b in BASES)}")
        turned = set(self.gate) - {*DIAGONAL_GATES, UNSTATED_GATE}
        if tuple(self.basis) == ("r",) and turned:
            raise ValueError(
                f"basis ('r',) has no z rotation, which {', '.join(sorted(turned))} would need; it goes with {' and '.join(DIAGONAL_GATES)} only"
            )

    @property
    def usable_qubits(self) -> npt.NDArray[np.int64]:
        """Qubits that can be measured."""
        return np.array([q for q, s in enumerate(self.qubit_status) if s in ("ok", "unknown_error")], dtype=np.int64)

    @property
    def usable_edges(self) -> npt.NDArray[np.int64]:
        """Indices of the pairs that can be measured: neither the pair nor one of its qubits is absent or faulty."""
        up = np.zeros(self.n_qubits, dtype=bool)
        up[self.usable_qubits] = True
        good = np.array([s in ("ok", "unknown_error") for s in self.edge_status], dtype=bool)
        return np.flatnonzero(good & up[self.edges].all(axis=1)) if len(self.edges) else np.zeros(0, dtype=np.int64)

    @property
    def two_qubit_gate(self) -> str:
        """Native gates in use, joined by ``+`` where pairs differ."""
        return "+".join(sorted(set(self.gate)))


def state_of(error: float | None, what: str) -> tuple[str, str]:
    """Status and reason that follow from a reported error (None and NaN: not reported)."""
    if error is None or np.isnan(error):
        return "unknown_error", f"no error reported for {what}"
    if error >= _FAULTY:
        return "faulty", f"reported error of {what} is {error:.3g}, 0.5 or more means out of order"
    return "ok", ""


def build_device(
    *,
    name: str,
    source: str,
    n_qubits: int,
    directed: npt.ArrayLike,
    gate: Sequence[str],
    edge_error: npt.ArrayLike,
    edge_duration: npt.ArrayLike,
    qubit_error: npt.ArrayLike,
    readout_error: npt.ArrayLike,
    pulse_duration: npt.ArrayLike,
    readout_duration: npt.ArrayLike,
    t1: npt.ArrayLike,
    t2: npt.ArrayLike,
    repetition_delay: float = 250e-6,
    job_overhead: float = 2.0,
    absent_edges: dict[int, str] | None = None,
    absent_qubits: dict[int, str] | None = None,
    coordinates: npt.ArrayLike | None = None,
    basis: Sequence[str] = ONE_QUBIT_BASIS,
) -> Device:
    """Build a :class:`Device` from pairs in native order, once each, in any sequence; sorts them and derives statuses.

    Args:
        name: Device name.
        source: Where the description comes from.
        n_qubits: Number of qubits.
        directed: Pairs in native order, ``(E, 2)``.
        gate: Native gate of each pair.
        edge_error: Reported infidelity of each pair's native gate; NaN if unknown.
        edge_duration: Seconds.
        qubit_error: Reported sx error of each qubit.
        readout_error: Reported mean misassignment of each qubit.
        pulse_duration: Seconds.
        readout_duration: Seconds.
        t1: Seconds.
        t2: Seconds.
        repetition_delay: Seconds between executions (250 us is what IBM machines use by default).
        job_overhead: Seconds per job (about 2 s on IBM machines).
        absent_edges: Row of ``directed`` -> reason, for pairs that the device does not offer.
        absent_qubits: Qubit -> reason.
        coordinates: Drawing positions ``(n, 2)``.
        basis: One-qubit gates that circuits are written in, one of :data:`BASES`.

    Raises:
        ValueError: Shapes or values do not fit (a pair given twice, a qubit out of range, an unknown gate or basis).
    """
    native = np.asarray(directed, dtype=np.int64).reshape(-1, 2)
    edges = np.sort(native, axis=1)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    errors = np.asarray(edge_error, dtype=float)
    absent_edges, absent_qubits = absent_edges or {}, absent_qubits or {}
    e_states = [("absent", absent_edges[i]) if i in absent_edges else state_of(errors[i], f"pair {a}-{b}") for i, (a, b) in enumerate(edges.tolist())]
    sx = np.asarray(qubit_error, dtype=float)
    q_states = [("absent", absent_qubits[q]) if q in absent_qubits else state_of(sx[q], f"qubit {q}") for q in range(n_qubits)]
    return Device(
        name=name, source=source, n_qubits=n_qubits, edges=edges[order], direction=native[order],
        gate=tuple(gate[i] for i in order), edge_error=errors[order],
        edge_duration=np.asarray(edge_duration, dtype=float)[order],
        edge_status=tuple(e_states[i][0] for i in order), edge_reason=tuple(e_states[i][1] for i in order),
        qubit_error=sx, readout_error=np.asarray(readout_error, dtype=float),
        pulse_duration=np.asarray(pulse_duration, dtype=float), readout_duration=np.asarray(readout_duration, dtype=float),
        t1=np.asarray(t1, dtype=float), t2=np.asarray(t2, dtype=float),
        qubit_status=tuple(s for s, _ in q_states), qubit_reason=tuple(r for _, r in q_states),
        repetition_delay=repetition_delay, job_overhead=job_overhead,
        coordinates=np.full((n_qubits, 2), np.nan) if coordinates is None else np.asarray(coordinates, dtype=float),
        basis=tuple(basis),
    )  # fmt: skip
