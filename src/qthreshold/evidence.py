"""Evidence: what a verdict is based on, under one interpretation.

A measured device is read in every way that its data allow (:func:`run_evidence`), a data sheet and a device's own calibration
likewise. The first reading is the default.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.frontier import Frontier
from qthreshold.identity import Interval, Record
from qthreshold.interpretation import Interpretation, readings
from qthreshold.metrics import DeviceMetrics
from qthreshold.numerics.intervals import normal_half_width, normal_quantiles
from qthreshold.numerics.rates import process_from_average

__all__ = ["Evidence", "RegisterEvidence", "data_sheet_evidence", "measured_evidence", "reported_evidence", "run_evidence", "sheet_readings"]

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Evidence(Record):
    """Of a whole device.

    Attributes:
        qubits: Best estimate of the connected working qubits.
        error: C-NOT error under the interpretation.
        draw_qubits, draw_error: Joint draws, ``(D,)``; NaN error where there is none.
        systematic_low, systematic_high: Range of the systematic bound about the error; equal to the error if none, from 0 for an upper estimate.
        draw_qubits_if: Qubits if everything that could not be fitted worked, ``(D,)``; a verdict must hold for these too.
        failed_edges: Pairs inside the register that were measured but not fitted.
        failed_shift: How much the error would rise if these were as bad as the criterion for a working pair allows.
        level: Confidence at which to decide.
        interpretation: The choices behind the numbers.
        records: Kinds and ids of the records that the numbers come from, such as ``metrics 3f...``.
    """

    schema: ClassVar[str] = "qthreshold/evidence/3"
    qubits: int
    error: Interval
    draw_qubits: npt.NDArray[np.int64]
    draw_error: Real
    draw_qubits_if: npt.NDArray[np.int64]
    systematic_low: float
    systematic_high: float
    failed_edges: int = 0
    failed_shift: float = 0.0
    level: float
    interpretation: Interpretation
    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RegisterEvidence(Record):
    """Of all connected sub-registers of a device; arrays as in :class:`.frontier.Frontier`, under the interpretation.

    Attributes:
        whole: The device as a whole, which is one of them.
        sizes: ``(K,)``.
        picked: Which size looks best is decided on these, ``(2, K)``.
        estimate, standard_error, dof: Error of the registers picked, from data that had no part in picking them, ``(2, K)``; at the upper end of
            the systematic range if that is included.
        doubt: Largest probability that something in them does not work, ``(2, K)``.
        cross: Both halves together, ``(K, 3)``: best, low, high.
        bound: No connected register of that size is better, by the estimates as they are, ``(K,)``.
        draw_bound: Proven lower bounds, ``(D, J)``, size k in column k; at the lower end of the systematic range if that is included.
    """

    schema: ClassVar[str] = "qthreshold/register-evidence/1"
    whole: Evidence
    sizes: npt.NDArray[np.int64]
    picked: Real
    estimate: Real
    standard_error: Real
    dof: Real
    doubt: Real
    cross: Real
    bound: Real
    draw_bound: Real
    interpretation: Interpretation

    @property
    def level(self) -> float:
        """Confidence at which to decide."""
        return self.whole.level

    @property
    def records(self) -> tuple[str, ...]:
        """Kinds and ids of the records that the numbers come from."""
        return self.whole.records


def run_evidence(metrics: DeviceMetrics, frontier: Frontier | None, default: Interpretation, level: float) -> list[Evidence | RegisterEvidence]:
    """Every reading of a measured device that its data allow, the default first; ``level`` is that of the decision."""
    registers = ("whole_device", "any_subregister") if frontier is not None and not frontier.reason else ("whole_device",)
    out: list[Evidence | RegisterEvidence] = []
    for i in readings(default, _ALLOWED | {"register": registers}):
        if i.register == "whole_device":
            out.append(measured_evidence(metrics, i, level))
        elif frontier is not None and i.aggregate == "mean":  # the best registers by their median are another search
            out.append(_register_evidence(frontier, measured_evidence(metrics, i.replace(register="whole_device"), level), i))
    return out


_ALLOWED = {"aggregate": ("mean", "median"), "infidelity": ("average_gate", "process"), "systematics": ("excluded", "included")}


def _scale(interpretation: Interpretation) -> float:
    return float(process_from_average(1.0)) if interpretation.infidelity == "process" else 1.0


def measured_evidence(metrics: DeviceMetrics, interpretation: Interpretation, level: float) -> Evidence:
    """Evidence from a measured device under an interpretation, which chooses the numbers; ``level`` is that of the decision."""
    scale = _scale(interpretation)
    value, draws = (metrics.median, metrics.draw_median) if interpretation.aggregate == "median" else (metrics.mean, metrics.draw_mean)
    shift = value.best - metrics.mean.best  # the systematic range is known for the mean
    low, high = (0.0, value.best) if metrics.estimate == "upper" else (metrics.systematic_low + shift, metrics.systematic_high + shift)
    error = Interval(low=scale * value.low, best=scale * value.best, high=scale * value.high, level=value.level)
    return Evidence(
        qubits=int(metrics.connected_working_qubits.best), error=error, draw_qubits=metrics.draw_qubits, draw_error=scale * draws,
        draw_qubits_if=metrics.draw_qubits_if, systematic_low=scale * low, systematic_high=scale * high,
        failed_edges=metrics.failed_edges, failed_shift=scale * metrics.failed_shift,
        level=level, interpretation=interpretation, records=(f"metrics {metrics.id}", f"fits {metrics.fits_id}"),
    )  # fmt: skip


def _register_evidence(frontier: Frontier, whole: Evidence, interpretation: Interpretation) -> RegisterEvidence:
    scale, worst = _scale(interpretation), interpretation.systematics == "included"
    records = (*whole.records, f"frontier {frontier.id}")
    return RegisterEvidence(
        whole=whole.replace(records=records), sizes=frontier.sizes, picked=scale * frontier.picked_half,
        estimate=scale * (frontier.systematic_high if worst else frontier.estimate), standard_error=scale * frontier.standard_error,
        dof=frontier.dof, doubt=frontier.doubt, cross=scale * frontier.cross, bound=scale * frontier.bound,
        draw_bound=scale * (frontier.draw_bound_low if worst else frontier.draw_bound), interpretation=interpretation,
    )  # fmt: skip


def data_sheet_evidence(qubits: int, error: float, low: float | None, high: float | None, level: float, interpretation: Interpretation) -> Evidence:
    """Evidence from stated numbers: ``error`` with an optional interval (taken at 95 %, normal on either side).

    Raises:
        ValueError: Qubits outside 0..1e9, an error outside 0..1, a level outside 0.5..1, or an interval that does not contain the error.
    """
    if not 0 <= qubits <= 10**9:
        raise ValueError(f"the number of qubits must lie between 0 and 1e9, got {qubits}")
    if not 0.5 <= level < 1:
        raise ValueError(f"the confidence must be at least 0.5 and below 1, got {level:g}")
    for name, value in (("C-NOT error", error), ("low", low), ("high", high)):
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"the {name} must lie between 0 and 1, got {value:g}")
    low, high = error if low is None else low, error if high is None else high
    if not low <= error <= high:
        raise ValueError(f"the interval must contain the error: low {low:g}, error {error:g}, high {high:g}")
    from_quantiles = normal_quantiles(2001)
    width = np.where(from_quantiles < 0, error - low, high - error) / normal_half_width(0.95)
    draws = error + width * from_quantiles if high > low else np.array([error])
    scale = _scale(interpretation)
    return Evidence(
        qubits=qubits, error=Interval(low=scale * low, best=scale * error, high=scale * high, level=0.95), draw_qubits=np.full(draws.size, qubits),
        draw_error=scale * draws, draw_qubits_if=np.full(draws.size, qubits), systematic_low=scale * error, systematic_high=scale * error,
        level=level, interpretation=interpretation,
    )  # fmt: skip


def sheet_readings(qubits: int, error: float, low: float | None, high: float | None, level: float, default: Interpretation) -> list[Evidence]:
    """Every reading of stated numbers: nobody says which infidelity they are; arguments as for :func:`data_sheet_evidence`.

    Raises:
        ValueError: As there.
    """
    allowed = {"infidelity": _ALLOWED["infidelity"]}
    return [data_sheet_evidence(qubits, error, low, high, level, i) for i in readings(default, allowed)]


def reported_evidence(
    qubits: int, error: Real, frontier: Frontier, default: Interpretation, level: float, records: tuple[str, ...]
) -> list[Evidence | RegisterEvidence]:  # fmt: skip
    """Every reading of a device's own calibration, taken as it is.

    Args:
        qubits: Connected qubits.
        error: Reported errors of the pairs between them, ``(M,)``, average gate infidelities.
        frontier: From the same numbers, see :func:`.frontier.reported_frontier`.
        default: The usual reading.
        level: Confidence to state.
        records: Where the numbers come from.
    """
    allowed = {k: v for k, v in _ALLOWED.items() if k != "systematics"} | {"register": ("whole_device", "any_subregister")}
    out: list[Evidence | RegisterEvidence] = []
    for i in readings(default, allowed):
        value = float(np.median(error) if i.aggregate == "median" else np.mean(error))
        whole = data_sheet_evidence(qubits, value, None, None, level, i.replace(register="whole_device")).replace(records=records)
        if i.register == "whole_device":
            out.append(whole)
        elif i.aggregate == "mean" and not frontier.reason:
            out.append(_register_evidence(frontier, whole, i))
    return out
