"""Joining the outcomes of single targets to the full-width counts of a ticket, as Aer gives them; and the streams of all simulators."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from qthreshold.backends.base import Progress
from qthreshold.counts import Counts, pack_outcomes
from qthreshold.device import Device
from qthreshold.plan import TWO_QUBIT, Plan, seed_rng
from qthreshold.ticket import Ticket

__all__ = ["join_outcomes", "outcome_rng", "rows_by_target", "target_rng"]

Ints = npt.NDArray[np.int64]


def outcome_rng(seed: int, experiment: int, target: int, ticket: int, purpose: int = 0) -> np.random.Generator:
    """The generator of a target's outcomes in a ticket, from plain numbers, as workers have them; of a cluster, by its first target."""
    return seed_rng(seed, 2, experiment, target, ticket, purpose)


def target_rng(plan: Plan, ticket: Ticket, target: int, purpose: int) -> np.random.Generator:
    """Independent streams through SeedSequence: Aer's own streams for consecutive seeds overlap (Qiskit/qiskit-aer#1916)."""
    return outcome_rng(plan.seed, int(plan.circuit_experiment[ticket.circuits[0]]), target, ticket.number, purpose)


def rows_by_target(plan: Plan, units: Ints) -> Iterator[tuple[int, Ints]]:
    """Every target of some units, increasing, and which of the units are its own, in their order."""
    target = plan.unit_target[units]
    order = np.argsort(target, kind="stable")
    different, start = np.unique(target[order], return_index=True)
    yield from zip(different.tolist(), np.split(order, start[1:]), strict=True)


def join_outcomes(plan: Plan, ticket: Ticket, device: Device, results: Iterable[tuple[Ints, Ints, Ints]], progress: Progress) -> Counts:
    """Counts of a ticket from the outcomes of its clusters, whose shots come in random order: clusters never interact, so they are independent.

    Args:
        plan: The plan.
        ticket: Its ticket.
        device: Its device.
        results: Targets of a cluster ``(P,)``, their units ``(P, J)``, and how often each outcome was read in each circuit, ``(J, 2**width)``;
            the lowest bit of an outcome belongs to the first qubit of the first target, in native order.
        progress: Told the number of units done.
    """
    shots = plan.circuit_shots[ticket.circuits]
    bits = np.zeros((len(ticket.circuits), int(shots.max()), device.n_qubits), dtype=np.uint8)
    two = plan.circuit_experiment[ticket.circuits[0]] == TWO_QUBIT
    row_of = {c: i for i, c in enumerate(ticket.circuits.tolist())}
    for targets, units, outcomes in results:
        rng = target_rng(plan, ticket, int(targets[0]), 1)
        qubits = device.direction[targets].ravel() if two else targets
        for unit, row in zip(units[0], outcomes, strict=True):
            drawn = rng.permutation(np.repeat(np.arange(len(row), dtype=np.uint8 if len(row) <= 256 else np.int64), row))
            for k, q in enumerate(qubits.tolist()):
                bits[row_of[int(plan.unit_circuit[unit])], : len(drawn), q] = drawn >> k & 1
        progress(units.size)
    circuit = np.repeat(ticket.circuits, shots)
    filled = np.arange(bits.shape[1]) < shots[:, None]
    return pack_outcomes(plan.id, device.n_qubits, circuit, bits[filled])
