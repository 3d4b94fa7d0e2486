"""Ticket: the circuits of a plan that are handed over together."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.identity import Arrays, Record
from qthreshold.limits import Limits
from qthreshold.plan import Plan

__all__ = ["Load", "Ticket", "layer_tickets", "provider_tickets"]

Ints = npt.NDArray[np.int64]


def _upgrade_1(header: Mapping[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    """Version 1 named a range of circuits; its job ids were always empty."""
    kept = {k: v for k, v in header.items() if k not in ("first", "last", "job_ids")}
    return kept, {"circuits": np.arange(header["first"], header["last"], dtype=np.int64)}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Ticket(Record):
    """Circuits of a plan that are handed over together: a layer for a simulator, a job for a provider.

    Attributes:
        plan_id: The plan.
        backend: Backend spec that the circuits are for.
        number: Position among the run's tickets.
        circuits: Circuits of the plan, increasing, int64 ``(T,)``.
    """

    schema: ClassVar[str] = "qthreshold/ticket/2"
    upgrades: ClassVar = {"qthreshold/ticket/1": _upgrade_1}
    plan_id: str
    backend: str
    number: int
    circuits: Ints

    def _check(self) -> None:
        if self.circuits.ndim != 1 or not self.circuits.size or (np.diff(self.circuits) <= 0).any():
            raise ValueError(f"a ticket needs circuits in increasing order, got {self.circuits.tolist()[:8]}")

    def units(self, plan: Plan) -> Ints:
        """The plan's units in these circuits, int64 ``(U,)``."""
        return np.flatnonzero(np.isin(plan.unit_circuit, self.circuits))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What each circuit of a plan asks of a control system.

    Attributes:
        instructions: Gates and measurements, ``(C,)``.
        two_qubit_gates: ``(C,)``.
        control: Control instructions on each qubit, ``(C, n)``, a gate weighted as the provider counts it.
        seconds: Device time of all executions of each circuit, ``(C,)``.
    """

    instructions: Ints
    two_qubit_gates: Ints
    control: Ints
    seconds: npt.NDArray[np.float64]


def layer_tickets(plan: Plan, backend: str) -> list[Ticket]:
    """One ticket per layer of each experiment, in execution order: what a simulator works through."""
    return [
        Ticket(plan_id=plan.id, backend=backend, number=i, circuits=np.arange(first, last, dtype=np.int64))
        for i, (first, last) in enumerate(pairwise(plan.layer_starts))
    ]


def provider_tickets(plan: Plan, backend: str, load: Load, limits: Limits) -> list[Ticket]:
    """As few jobs as the provider's limits allow, each with one number of shots; arms of a sequence stay neighbours.

    Args:
        plan: The plan.
        backend: Backend spec.
        load: What each circuit asks for.
        limits: The provider's.

    Raises:
        ValueError: A single circuit exceeds a limit; the message names it.
    """
    groups: list[Ints] = []
    for shots in dict.fromkeys(plan.circuit_shots.tolist()):  # in execution order
        groups += _split(np.flatnonzero(plan.circuit_shots == shots), shots, load, limits)
    return [Ticket(plan_id=plan.id, backend=backend, number=i, circuits=g) for i, g in enumerate(groups)]


def _split(circuits: Ints, shots: int, load: Load, limits: Limits) -> list[Ints]:
    """Fill jobs one after the other, none over a limit."""
    sizes = {
        "circuits": np.ones_like(circuits), "executions": np.full_like(circuits, shots),
        "payload_bytes": np.ceil(load.instructions[circuits] * limits.bytes_per_instruction).astype(np.int64) + limits.bytes_per_circuit,
        "two_qubit_gates": load.two_qubit_gates[circuits], "seconds": load.seconds[circuits],
    }  # fmt: skip
    most = {name: getattr(limits, name) for name in (*sizes, "instructions_per_qubit") if name != "seconds"}
    most["seconds"] = None if limits.longest_job is None else limits.longest_job - limits.job_overhead
    control = np.cumsum(load.control[circuits], axis=0)
    out: list[Ints] = []
    start = 0
    while start < len(circuits):
        before = control[start - 1] if start else np.zeros_like(control[0])
        filled = {name: np.cumsum(size[start:]) for name, size in sizes.items()}
        filled["instructions_per_qubit"] = (control[start:] - before).max(axis=1, initial=0)
        room = [int(np.searchsorted(filled[n], m, side="right")) for n, m in most.items() if m is not None]
        fits = min(room, default=len(circuits) - start)
        if not fits:
            raise ValueError(_too_large(int(circuits[start]), {n: f[0] for n, f in filled.items()}, most, limits.provider))
        out.append(circuits[start : start + fits])
        start += fits
    return out


def _too_large(circuit: int, sizes: Mapping[str, float], most: Mapping[str, float | None], provider: str) -> str:
    over = [f"{sizes[n]:,.10g} {n.replace('_', ' ')} (limit {m:,.10g})" for n, m in most.items() if m is not None and sizes[n] > m]
    return f"circuit {circuit} alone needs {' and '.join(over)} of {provider}; take shorter lengths, fewer shots or a larger spacing in the recipe"
