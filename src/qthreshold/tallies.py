"""Tallies: how often each outcome was read on each target of each circuit, which is all that analysis asks of full-width counts.

Simulators whose targets never interact give tallies at once: the bit strings of thousands of qubits would only say again, at
length, that the targets are independent.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.counts import Counts, unpack_bits
from qthreshold.device import Device
from qthreshold.identity import Record
from qthreshold.plan import TWO_QUBIT, Plan

__all__ = ["Tallies", "tally"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tallies(Record):
    """Outcomes of units. Tallies of different circuits of a plan stand side by side; those of the same unit add.

    Attributes:
        plan_id: The plan whose units these are.
        units: Units of the plan, increasing, int64 ``(U,)``.
        outcomes: How often each outcome was read, int64 ``(U, 4)``; bit 0 of the outcome belongs to the first qubit of the native order, and
            a unit of one qubit has only the outcomes 0 and 1.
    """

    schema: ClassVar[str] = "qthreshold/tallies/1"
    plan_id: str
    units: Ints
    outcomes: Ints

    def _check(self) -> None:
        if self.outcomes.shape != (len(self.units), 4):
            raise ValueError(f"{len(self.units)} units need outcomes {(len(self.units), 4)}, got {self.outcomes.shape}")
        if (np.diff(self.units) <= 0).any():
            raise ValueError("units must increase")
        if (self.outcomes < 0).any():
            raise ValueError("outcomes must not be negative")


def tally(plan: Plan, device: Device, counts: Counts) -> Tallies:
    """Outcomes of every unit in full-width counts.

    Args:
        plan: The plan that the counts belong to.
        device: Its device.
        counts: Outcomes of some of its circuits.
    """
    circuits = np.unique(counts.circuit)
    first_row = np.searchsorted(counts.circuit, np.arange(plan.n_circuits + 1))
    units = np.flatnonzero(np.isin(plan.unit_circuit, circuits))
    first_unit = np.searchsorted(plan.unit_circuit[units], np.arange(plan.n_circuits + 1))
    outcomes = np.zeros((len(units), 4), dtype=np.int64)
    for c in circuits.tolist():
        rows, mine = slice(first_row[c], first_row[c + 1]), slice(first_unit[c], first_unit[c + 1])
        bits, count = unpack_bits(counts.bits[rows], device.n_qubits), counts.count[rows]
        target = plan.unit_target[units[mine]]
        if plan.circuit_experiment[c] == TWO_QUBIT:
            qubits = device.direction[target]
            seen = bits[:, qubits[:, 0]] + 2 * bits[:, qubits[:, 1]]
        else:
            seen = bits[:, target]
        for outcome in range(4 if plan.circuit_experiment[c] == TWO_QUBIT else 2):
            outcomes[mine, outcome] = count @ (seen == outcome)
    return Tallies(plan_id=plan.id, units=units, outcomes=outcomes)
