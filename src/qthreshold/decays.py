"""Decays: survival counts per target, arm, length and sequence, and readout misassignments, from counts and plan."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.counts import Counts
from qthreshold.device import Device
from qthreshold.identity import Record
from qthreshold.plan import ONE_QUBIT, READOUT, TWO_QUBIT, Plan
from qthreshold.tallies import Tallies, tally

__all__ = ["DecayTable", "make_decays"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DecayTable(Record):
    """Survival counts. A cell without shots was not collected.

    Attributes:
        plan_id: The plan.
        qubits, edges: Targets, as in the plan, ``(Q,)`` and ``(M,)``.
        readout_wrong, readout_shots: Misread and all shots of each qubit after preparing 0 and 1, ``(Q, 2)``.
        one_qubit_lengths, two_qubit_lengths: Steps, ``(L,)``.
        one_qubit_survived, one_qubit_shots: ``(Q, L, K)``.
        two_qubit_survived, two_qubit_shots: Reference and interleaved arm, ``(2, M, L, K)``.
        one_qubit_expected, two_qubit_expected: The outcome that each sequence should give, as in the plan; 0 where nobody says.
    """

    schema: ClassVar[str] = "qthreshold/decays/2"
    plan_id: str
    qubits: Ints
    edges: Ints
    readout_wrong: Ints
    readout_shots: Ints
    one_qubit_lengths: Ints
    one_qubit_survived: Ints
    one_qubit_shots: Ints
    one_qubit_expected: npt.NDArray[np.uint8]
    two_qubit_lengths: Ints
    two_qubit_survived: Ints
    two_qubit_shots: Ints
    two_qubit_expected: npt.NDArray[np.uint8]

    def _check(self) -> None:
        for name in ("readout", "one_qubit", "two_qubit"):
            good, shots = getattr(self, "readout_wrong" if name == "readout" else f"{name}_survived"), getattr(self, f"{name}_shots")
            if good.shape != shots.shape:
                raise ValueError(f"{name}: counts {good.shape} and shots {shots.shape} differ")
            if (good < 0).any() or (good > shots).any():
                raise ValueError(f"{name}: counts must lie between 0 and shots")
        for name in ("one_qubit", "two_qubit"):
            shots, expected = getattr(self, f"{name}_shots"), getattr(self, f"{name}_expected")
            if expected.shape != shots.shape:
                raise ValueError(f"{name}: expected outcomes {expected.shape} and shots {shots.shape} differ")


def make_decays(plan: Plan, device: Device, counts: Counts | Tallies | Iterable[Counts | Tallies]) -> DecayTable:
    """Sort outcomes into decay curves.

    Args:
        plan: The plan that the counts belong to.
        device: Its device.
        counts: Outcomes, in one piece or in several, one of which is held at a time; circuits without any leave empty cells.

    Raises:
        ValueError: The counts belong to another plan, or the plan to another device.
    """
    if device.id != plan.device_id:
        raise ValueError(f"device {device.id[:12]} is not the one of plan {plan.id[:12]}, which is {plan.device_id[:12]}")
    samples = {e: int(plan.circuit_sample[plan.circuit_experiment == e].max(initial=-1)) + 1 for e in (ONE_QUBIT, TWO_QUBIT)}
    lengths = {ONE_QUBIT: plan.one_qubit_lengths, TWO_QUBIT: plan.two_qubit_lengths}
    shape = {
        READOUT: (len(plan.qubits), 2),
        ONE_QUBIT: (len(plan.qubits), len(lengths[ONE_QUBIT]), samples[ONE_QUBIT]),
        TWO_QUBIT: (2, len(plan.edges), len(lengths[TWO_QUBIT]), samples[TWO_QUBIT]),
    }
    good = {e: np.zeros(s, dtype=np.int64) for e, s in shape.items()}
    shots = {e: np.zeros(s, dtype=np.int64) for e, s in shape.items()}
    ends = {e: np.zeros(shape[e], dtype=np.uint8) for e in (ONE_QUBIT, TWO_QUBIT)}
    plan_id = plan.id
    for part in [counts] if isinstance(counts, (Counts, Tallies)) else counts:
        if part.plan_id != plan_id:
            raise ValueError(f"counts of plan {part.plan_id[:12]} do not belong to plan {plan_id[:12]}")
        tallies = tally(plan, device, part) if isinstance(part, Counts) else part
        kind = plan.circuit_experiment[plan.unit_circuit[tallies.units]]
        for experiment in np.unique(kind).tolist():
            mine = np.flatnonzero(kind == experiment)
            units, outcomes = tallies.units[mine], tallies.outcomes[mine]
            circuit, expected = plan.unit_circuit[units], plan.unit_expected[units]
            total, hit = outcomes.sum(axis=1), outcomes[np.arange(len(units)), expected]
            row = np.searchsorted(plan.edges if experiment == TWO_QUBIT else plan.qubits, plan.unit_target[units])
            if experiment == READOUT:
                cell: tuple[Any, ...] = (row, expected)
                hit = total - hit
            else:
                cell = (row, np.searchsorted(lengths[experiment], plan.circuit_length[circuit]), plan.circuit_sample[circuit])
                cell = (plan.circuit_arm[circuit], *cell) if experiment == TWO_QUBIT else cell
                ends[experiment][cell] = expected
            np.add.at(good[experiment], cell, hit)
            np.add.at(shots[experiment], cell, total)
    return DecayTable(
        plan_id=plan_id, qubits=plan.qubits, edges=plan.edges, readout_wrong=good[READOUT], readout_shots=shots[READOUT],
        one_qubit_lengths=lengths[ONE_QUBIT], one_qubit_survived=good[ONE_QUBIT], one_qubit_shots=shots[ONE_QUBIT],
        one_qubit_expected=ends[ONE_QUBIT],
        two_qubit_lengths=lengths[TWO_QUBIT], two_qubit_survived=good[TWO_QUBIT], two_qubit_shots=shots[TWO_QUBIT],
        two_qubit_expected=ends[TWO_QUBIT],
    )  # fmt: skip
