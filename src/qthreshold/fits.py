"""Fits: error rates of every qubit and pair, from the decays."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.decays import DecayTable
from qthreshold.identity import Record
from qthreshold.numerics.decay import REASONS, fit_decays, interleaved_error
from qthreshold.numerics.intervals import clopper_pearson

__all__ = ["FittedErrors", "make_fits"]

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FittedErrors(Record):
    """Estimates with intervals at ``level``; average gate infidelities. NaN with a status and a reason where a fit failed.

    Attributes:
        decays_id: The decays.
        level: Confidence level of all intervals.
        qubits, edges: Targets, ``(Q,)`` and ``(M,)``.
        readout: Mean misassignment (best, low, high), ``(Q, 3)``.
        readout_flips: P(1|0) and P(0|1), ``(Q, 2)``.
        one_qubit: Error per one-qubit Clifford (best, low, high), ``(Q, 3)``.
        one_qubit_error, one_qubit_dof: Standard error and its degrees of freedom, ``(Q,)``.
        cnot: Error of the interleaved block (best, low, high), ``(M, 3)``.
        cnot_error, cnot_dof: Standard error and its degrees of freedom, ``(M,)``.
        systematic: Worst-case range of the protocol, ``(M, 2)``.
        p_ref, p_int: Decay parameters (best, low, high), ``(M, 3)``.
        chi2_per_dof: Of the joint fit, ``(M,)``.
        qubit_status, qubit_reason, edge_status, edge_reason: Status codes and reasons.
    """

    schema: ClassVar[str] = "qthreshold/fits/1"
    decays_id: str
    level: float
    qubits: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]
    readout: Real
    readout_flips: Real
    one_qubit: Real
    one_qubit_error: Real
    one_qubit_dof: Real
    cnot: Real
    cnot_error: Real
    cnot_dof: Real
    systematic: Real
    p_ref: Real
    p_int: Real
    chi2_per_dof: Real
    qubit_status: tuple[str, ...]
    qubit_reason: tuple[str, ...]
    edge_status: tuple[str, ...]
    edge_reason: tuple[str, ...]


def make_fits(decays: DecayTable, level: float) -> FittedErrors:
    """Fit all decays.

    Args:
        decays: Survival counts.
        level: Confidence level of the intervals, between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"confidence level must lie between 0 and 1, got {level}")
    one = fit_decays(decays.one_qubit_lengths, decays.one_qubit_survived, decays.one_qubit_shots, asymptote=0.5, level=level)
    reference, interleaved = decays.two_qubit_survived
    two = interleaved_error(decays.two_qubit_lengths, reference, interleaved, decays.two_qubit_shots, dim=4, level=level)
    with np.errstate(divide="ignore", invalid="ignore"):
        flips = decays.readout_wrong / decays.readout_shots
    readout = np.stack(clopper_pearson(decays.readout_wrong.sum(axis=1), decays.readout_shots.sum(axis=1), level), axis=1)
    return FittedErrors(
        decays_id=decays.id, level=level, qubits=decays.qubits, edges=decays.edges, readout=readout, readout_flips=flips,
        one_qubit=(1 - np.stack([one.p, one.p_high, one.p_low], axis=1)) / 2,
        one_qubit_error=one.p_error / 2, one_qubit_dof=one.p_dof,
        cnot=np.stack([two.error, two.low, two.high], axis=1), cnot_error=two.standard_error, cnot_dof=two.dof_error,
        systematic=np.stack([two.systematic_low, two.systematic_high], axis=1),
        p_ref=np.stack([two.p_ref, two.p_ref_low, two.p_ref_high], axis=1),
        p_int=np.stack([two.p_int, two.p_int_low, two.p_int_high], axis=1),
        chi2_per_dof=np.where(two.dof > 0, two.chi2 / np.maximum(two.dof, 1), np.nan),
        qubit_status=tuple(one.status.tolist()), qubit_reason=tuple(REASONS[s] for s in one.status.tolist()),
        edge_status=tuple(two.status.tolist()), edge_reason=tuple(REASONS[s] for s in two.status.tolist()),
    )  # fmt: skip
