"""Fits: error rates of every qubit and pair, from the decays.

Where both arms of interleaved RB were measured, the C-NOT error is that of the interleaved block. Where only standard RB was,
it is an upper estimate: all error of a two-qubit Clifford charged to the 1.5 C-NOTs that it holds on average.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.decays import DecayTable
from qthreshold.identity import Record
from qthreshold.numerics import rates
from qthreshold.numerics.decay import REASONS, fit_decays, interleaved_error
from qthreshold.numerics.intervals import clopper_pearson

__all__ = ["NOT_MEASURED", "FittedErrors", "make_fits"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NOT_MEASURED = "not_measured"
"""Status of a qubit without any one-qubit RB: nothing failed, there is just no number."""

_REASONS = REASONS | {NOT_MEASURED: "no one-qubit RB in the data"}


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
        estimate: ``interleaved``, or ``upper`` where there is no interleaved arm.
        epc: Error per reference step (best, low, high), ``(M, 3)``: per Clifford in standard and plain interleaved RB; in padded
            runs the paddings are part of the step, and of its error.
        cnot_upper: Upper estimate of the C-NOT error (best, low, high), ``(M, 3)``: ``epc`` charged to 1.5 C-NOTs.
        cnot: C-NOT error (best, low, high), ``(M, 3)``: of the interleaved block, or equal to ``cnot_upper``, as ``estimate`` says.
        cnot_error, cnot_dof: Standard error and its degrees of freedom, ``(M,)``.
        systematic: Worst-case range of the protocol, ``(M, 2)``; NaN for an upper estimate.
        p_ref, p_int: Decay parameters (best, low, high), ``(M, 3)``; no ``p_int`` for an upper estimate.
        chi2_per_dof: Of the (joint) fit, ``(M,)``.
        curve: Amplitude A and asymptote B of the decays A p^m + B, ``(M, 2)``; one of each for both arms.
        curve_covariance: Of p_ref, p_int and A, ``(M, 3, 3)``; NaN in row and column of an arm that was not measured, and where B was
            fitted too, since its part is not kept.
        qubit_status, qubit_reason, edge_status, edge_reason: Status codes and reasons.
    """

    schema: ClassVar[str] = "qthreshold/fits/3"
    decays_id: str
    level: float
    qubits: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]
    readout: Real
    readout_flips: Real
    one_qubit: Real
    one_qubit_error: Real
    one_qubit_dof: Real
    estimate: str
    epc: Real
    cnot_upper: Real
    cnot: Real
    cnot_error: Real
    cnot_dof: Real
    systematic: Real
    p_ref: Real
    p_int: Real
    chi2_per_dof: Real
    curve: Real
    curve_covariance: Real
    qubit_status: tuple[str, ...]
    qubit_reason: tuple[str, ...]
    edge_status: tuple[str, ...]
    edge_reason: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _QubitErrors:
    """Columns of :class:`FittedErrors` that come from one-qubit RB."""

    one_qubit: Real
    one_qubit_error: Real
    one_qubit_dof: Real
    status: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _PairErrors:
    """Columns of :class:`FittedErrors` that come from two-qubit RB."""

    estimate: str
    cnot: Real
    cnot_error: Real
    cnot_dof: Real
    systematic: Real
    p_ref: Real
    p_int: Real
    chi2_per_dof: Real
    curve: Real
    curve_covariance: Real
    status: list[str]


def make_fits(decays: DecayTable, level: float) -> FittedErrors:
    """Fit all decays.

    Args:
        decays: Survival counts; without any of an interleaved arm, the C-NOT errors are upper estimates.
        level: Confidence level of the intervals, between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"confidence level must lie between 0 and 1, got {level}")
    one = _qubit_errors(decays, level)
    two = _upper(decays, level) if _lacks_interleaved(decays) else _interleaved(decays, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        flips = decays.readout_wrong / decays.readout_shots
    readout = np.stack(clopper_pearson(decays.readout_wrong.sum(axis=1), decays.readout_shots.sum(axis=1), level), axis=1)
    return FittedErrors(
        decays_id=decays.id, level=level, qubits=decays.qubits, edges=decays.edges, readout=readout, readout_flips=flips,
        one_qubit=one.one_qubit, one_qubit_error=one.one_qubit_error, one_qubit_dof=one.one_qubit_dof,
        estimate=two.estimate, epc=rates.error_per_clifford(_mirrored(two.p_ref)), cnot_upper=rates.upper_cnot_error(_mirrored(two.p_ref)),
        cnot=two.cnot, cnot_error=two.cnot_error, cnot_dof=two.cnot_dof, systematic=two.systematic, p_ref=two.p_ref, p_int=two.p_int,
        chi2_per_dof=two.chi2_per_dof, curve=two.curve, curve_covariance=two.curve_covariance,
        qubit_status=tuple(one.status), qubit_reason=tuple(_REASONS[s] for s in one.status),
        edge_status=tuple(two.status), edge_reason=tuple(_REASONS[s] for s in two.status),
    )  # fmt: skip


def _qubit_errors(decays: DecayTable, level: float) -> _QubitErrors:
    """Fit the qubits that have one-qubit RB; the others are not measured, which is no failure."""
    n = len(decays.qubits)
    rows = np.flatnonzero(decays.one_qubit_shots.any(axis=(1, 2)))
    error, standard, dof = np.full((n, 3), np.nan), np.full(n, np.nan), np.full(n, np.nan)
    status = np.full(n, NOT_MEASURED, dtype=object)
    if rows.size:
        fit = fit_decays(
            decays.one_qubit_lengths, decays.one_qubit_survived[rows], decays.one_qubit_shots[rows], asymptote=0.5, level=level,
            outcome=decays.one_qubit_expected[rows],
        )  # fmt: skip
        error[rows] = rates.error_per_clifford(np.stack([fit.p, fit.p_high, fit.p_low], axis=1), dim=2)
        standard[rows], dof[rows], status[rows] = fit.p_error / 2, fit.p_dof, fit.status
    return _QubitErrors(one_qubit=error, one_qubit_error=standard, one_qubit_dof=dof, status=status.tolist())


def _lacks_interleaved(decays: DecayTable) -> bool:
    """Whether there is standard RB only, or no two-qubit RB at all; a plan without pairs still states its lengths."""
    reference, interleaved = decays.two_qubit_shots
    return not interleaved.any() and (reference.any() or not decays.two_qubit_lengths.size)


def _interleaved(decays: DecayTable, level: float) -> _PairErrors:
    reference, interleaved = decays.two_qubit_survived
    two = interleaved_error(
        decays.two_qubit_lengths, reference, interleaved, decays.two_qubit_shots, dim=4, level=level, outcome=decays.two_qubit_expected
    )  # fmt: skip
    return _PairErrors(
        estimate="interleaved", cnot=np.stack([two.error, two.low, two.high], axis=1), cnot_error=two.standard_error, cnot_dof=two.dof_error,
        systematic=np.stack([two.systematic_low, two.systematic_high], axis=1),
        p_ref=np.stack([two.p_ref, two.p_ref_low, two.p_ref_high], axis=1),
        p_int=np.stack([two.p_int, two.p_int_low, two.p_int_high], axis=1),
        chi2_per_dof=_per_dof(two.chi2, two.dof), curve=np.stack([two.a, two.b], axis=1),
        curve_covariance=_with_fixed_asymptote(two.covariance, two.status),
        status=two.status.tolist(),
    )  # fmt: skip


def _upper(decays: DecayTable, level: float) -> _PairErrors:
    m = len(decays.edges)
    nothing, nobody = np.full((m, 3), np.nan), np.full(m, np.nan)
    if not m:
        return _PairErrors(
            estimate="upper", cnot=nothing, cnot_error=nobody, cnot_dof=nobody, systematic=nothing[:, :2], p_ref=nothing, p_int=nothing,
            chi2_per_dof=nobody, curve=nothing[:, :2], curve_covariance=np.full((0, 3, 3), np.nan), status=[],
        )  # fmt: skip
    fit = fit_decays(
        decays.two_qubit_lengths, decays.two_qubit_survived[0], decays.two_qubit_shots[0], asymptote=0.25, level=level,
        outcome=decays.two_qubit_expected[0],
    )  # fmt: skip
    p_ref = np.stack([fit.p, fit.p_low, fit.p_high], axis=1)
    share = 1 / rates.CNOTS_PER_CLIFFORD
    covariance = np.full((m, 3, 3), np.nan)
    covariance[:, ::2, ::2] = _with_fixed_asymptote(fit.covariance, fit.status)
    slope = 0.75 * share * fit.p ** (share - 1)  # of upper_cnot_error, by the delta rule
    return _PairErrors(
        estimate="upper", cnot=rates.upper_cnot_error(_mirrored(p_ref)), cnot_error=slope * fit.p_error, cnot_dof=fit.p_dof,
        systematic=nothing[:, :2], p_ref=p_ref, p_int=nothing, chi2_per_dof=_per_dof(fit.chi2, fit.dof),
        curve=np.stack([fit.a, fit.b], axis=1), curve_covariance=covariance, status=fit.status.tolist(),
    )  # fmt: skip


def _mirrored(p: Real) -> Real:
    """(best, low, high) of a decay parameter in the order of an error, which falls as p rises."""
    return p[:, [0, 2, 1]]


def _with_fixed_asymptote(covariance: Real, status: npt.NDArray[np.str_]) -> Real:
    return np.where((status == "asymptote_shifted")[:, None, None], np.nan, covariance)


def _per_dof(chi2: Real, dof: Ints) -> Real:
    return np.where(dof > 0, chi2 / np.maximum(dof, 1), np.nan)
