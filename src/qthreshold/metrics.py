"""Device metrics: working and connected qubits, and the C-NOT error over the pairs inside, with intervals and joint draws.

Criteria for a working qubit are the maker's specification, an input. A qubit works when its one-qubit error and readout
error meet the criteria and it has at least one working pair; a pair works when its C-NOT error does. Each is a
statistical statement: the estimates are drawn from their sampling distributions, and every draw is a whole device. A
criterion that was not measured does not count against a qubit; a fit that failed does.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.device import Device
from qthreshold.fits import NOT_MEASURED, FittedErrors
from qthreshold.identity import Interval, Record
from qthreshold.numerics.decay import REJECTED
from qthreshold.numerics.graphs import largest_components
from qthreshold.numerics.intervals import mean_of_finite_set, normal_half_width, quantile_interval, satterthwaite
from qthreshold.recipe import Criteria

__all__ = ["CRITERIA", "DeviceDraws", "DeviceMetrics", "draw_device", "make_metrics"]

Real = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CRITERIA = ("one_qubit_error", "readout_error", "cnot_error")
"""Criteria of a working qubit, in the order of ``DeviceMetrics.criteria_met``; the last is that of its best pair."""

_DRAWS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDraws:
    """Joint draws of what every measured qubit and pair may be; row 0 is the best estimate itself.

    Attributes:
        pair: C-NOT error of each measured pair, ``(D, M)``; NaN where the fit failed.
        pair_up: Whether the pair meets the criterion, ``(D, M)``; False where the fit failed.
        one_qubit_up, readout_up: Whether each measured qubit meets the criterion, ``(D, Q)``; True where nothing was measured for it.
        pair_failed, qubit_failed: What was measured but could not be fitted, ``(M,)`` and ``(Q,)``.
    """

    pair: Real
    pair_up: Bools
    one_qubit_up: Bools
    readout_up: Bools
    pair_failed: Bools
    qubit_failed: Bools

    @property
    def up(self) -> Bools:
        """Whether each measured qubit meets its own criteria, ``(D, Q)``."""
        return self.one_qubit_up & self.readout_up


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeviceMetrics(Record):
    """What the device is, as far as the law asks.

    Attributes:
        fits_id: The fits.
        estimate: What the C-NOT errors are: ``interleaved``, or ``upper`` estimates.
        connected: How the number of connected working qubits is known: ``measured``, or ``stated`` by the maker.
        works: Probability that each qubit works, ``(n,)``.
        criteria_met: Probability that each qubit meets each of :data:`CRITERIA`, ``(n, 3)``; 1 for a criterion that was not measured.
        qubit_reason: Why a qubit is not counted, empty where it is.
        members: Qubits of the counted component (best estimate), ``(n_connected,)``; where the number is stated, all measured ones.
        member_edges: Rows of ``device.edges`` that the mean runs over.
        unmeasured_edges: How many pairs inside the component have no estimate; they widen the mean's interval.
        failed_edges: How many of them were measured, but not fitted. Unlike pairs left out by drawing lots they may all be bad.
        failed_shift: How much the mean would rise if the failed pairs were as bad as the criterion allows; 0 if there are none.
        working_qubits, connected_working_qubits: Counts.
        mean, median: C-NOT error over the pairs of the component.
        best, worst: The extreme pairs; their own intervals, without correction for having been picked.
        systematic_low, systematic_high: Mean of the worst-case ranges of the protocol; NaN for upper estimates.
        draw_qubits, draw_mean, draw_median: Joint draws of (connected working qubits, mean, median), ``(D,)``.
        draw_qubits_if: How many qubits would be connected and working if every failed fit hid a qubit or pair that works, ``(D,)``.
    """

    schema: ClassVar[str] = "qthreshold/metrics/3"
    fits_id: str
    estimate: str
    connected: str
    works: Real
    criteria_met: Real
    qubit_reason: tuple[str, ...]
    members: npt.NDArray[np.int64]
    member_edges: npt.NDArray[np.int64]
    unmeasured_edges: int
    failed_edges: int
    failed_shift: float
    working_qubits: Interval
    connected_working_qubits: Interval
    mean: Interval
    median: Interval
    best: Interval
    worst: Interval
    systematic_low: float
    systematic_high: float
    draw_qubits: npt.NDArray[np.int64]
    draw_mean: Real
    draw_median: Real
    draw_qubits_if: npt.NDArray[np.int64]


def make_metrics(
    device: Device, fits: FittedErrors, criteria: Criteria, rng: np.random.Generator, *, connected: int | None = None
) -> DeviceMetrics:  # fmt: skip
    """Count what works and average what is connected.

    Args:
        device: The device.
        fits: Error rates of its measured qubits and pairs.
        criteria: What counts as working.
        rng: Source of randomness for the draws.
        connected: Number of connected working qubits as the maker states it, for machines of which only some pairs were
            measured; the mean then runs over all fitted pairs. By default it is counted.
    """
    n, level = len(fits.qubits), fits.level
    edges = np.searchsorted(fits.qubits, device.edges[fits.edges])  # as rows of fits.qubits: what was not measured takes no memory
    draws, reason = draw_device(fits, criteria, rng), _qubit_reasons(device, fits, criteria)
    pair, pair_up, up = draws.pair, draws.pair_up, draws.up
    alive = pair_up & up[:, edges[:, 0]] & up[:, edges[:, 1]]
    paired = _touched(alive, edges, n)
    works = up & paired
    if connected is None:
        member = largest_components(n, edges, works, alive) if n else works
        count = member.sum(axis=1)
        count_if = _count_if_all_work(draws, edges) if n else count
    else:
        member, alive = np.ones_like(works), np.broadcast_to(np.isfinite(fits.cnot[:, 0]), alive.shape)
        count = count_if = np.full(_DRAWS, connected)
    inside = alive & member[:, edges[:, 0]] & member[:, edges[:, 1]]
    rows = np.flatnonzero(inside[0])
    members = fits.qubits[member[0]]
    missing, failed = _without_estimate(device, fits, members)
    best, low, high, error = mean_of_finite_set(fits.cnot[rows, 0], fits.cnot_error[rows], fits.cnot_dof[rows], rows.size + missing, level)
    with np.errstate(invalid="ignore", divide="ignore"):
        draw_mean = np.where(inside, pair, 0.0).sum(axis=1) / inside.sum(axis=1)
    if rows.size and missing:
        measured = (fits.cnot_error[rows] ** 2).sum() / rows.size**2  # the rest of the variance is that of the pairs without estimate
        draw_mean = draw_mean + rng.standard_normal(_DRAWS) * np.sqrt(max(error**2 - measured, 0.0))
    draw_median = _row_median(np.where(inside, pair, np.nan))
    for q in fits.qubits[~works[1:].any(axis=0)]:
        reason[q] = reason[q] or ("no working pair" if len(device.edges) else "no pair is known")
    median, draw_median = _shifted(draw_median, level)
    extremes = rows[np.argsort(fits.cnot[rows, 0])] if rows.size else rows
    return DeviceMetrics(
        fits_id=fits.id, estimate=fits.estimate, connected="measured" if connected is None else "stated",
        works=_at(fits.qubits, works[1:].mean(axis=0), device.n_qubits),
        criteria_met=_at(fits.qubits, _shares(draws.one_qubit_up, draws.readout_up, paired), device.n_qubits),
        qubit_reason=tuple(reason), members=members,
        member_edges=fits.edges[rows], unmeasured_edges=missing, failed_edges=failed,
        failed_shift=failed / (rows.size + failed) * (criteria.cnot_error - best) if failed and rows.size else 0.0,
        working_qubits=_count_interval(works.sum(axis=1), level),
        connected_working_qubits=_count_interval(count, level),
        mean=Interval(low=low, best=best, high=high, level=level), median=median,
        best=_edge_interval(fits, extremes[:1]), worst=_edge_interval(fits, extremes[-1:]),
        systematic_low=float(fits.systematic[rows, 0].mean()) if rows.size else np.nan,
        systematic_high=float(fits.systematic[rows, 1].mean()) if rows.size else np.nan,
        draw_qubits=count[1:].astype(np.int64), draw_mean=draw_mean[1:], draw_median=draw_median,
        draw_qubits_if=np.maximum(count, count_if)[1:].astype(np.int64),
    )  # fmt: skip


def draw_device(fits: FittedErrors, criteria: Criteria, rng: np.random.Generator, draws: int = _DRAWS) -> DeviceDraws:
    """What every measured qubit and pair may be, given its estimate and standard error.

    Args:
        fits: The estimates.
        criteria: What counts as working.
        rng: Source of randomness.
        draws: Rows, the best estimate among them.
    """
    one = _draw(fits.one_qubit[:, 0], fits.one_qubit_error, fits.one_qubit_dof, rng, draws)
    spread = (fits.readout[:, 2] - fits.readout[:, 1]) / (2 * normal_half_width(fits.level))
    read = fits.readout[:, 0] + spread * rng.standard_normal((draws, len(fits.qubits)))
    read[0] = fits.readout[:, 0]
    unknown_one = np.array([s == NOT_MEASURED for s in fits.qubit_status], dtype=bool)
    unknown_read = np.isnan(fits.readout[:, 0])  # a share of counts cannot fail to be estimated, only lack counts
    # One chi-square for a whole draw, with the freedom of the mean: then the draws of the mean agree with its interval. One
    # for each pair would widen them by the variance dof / (dof - 2) of Student's t, however many pairs there are.
    known = np.isfinite(fits.cnot_error)
    pair = _draw(fits.cnot[:, 0], fits.cnot_error, satterthwaite(fits.cnot_error[known] ** 2, fits.cnot_dof[known]), rng, draws)
    return DeviceDraws(
        pair=pair, pair_up=pair <= criteria.cnot_error, one_qubit_up=unknown_one | (one <= criteria.one_qubit_error),
        readout_up=unknown_read | (read <= criteria.readout_error),
        pair_failed=np.isin(fits.edge_status, REJECTED), qubit_failed=np.isin(fits.qubit_status, REJECTED),
    )  # fmt: skip


def _draw(best: Real, error: Real, dof: Real, rng: np.random.Generator, draws: int) -> Real:
    """Draws of estimates, shape ``(D, ...)``: Student t around each, with its standard error; the estimate itself first."""
    shape = (draws, *best.shape)
    normal = rng.standard_normal(shape)
    finite = np.where(np.isfinite(dof) & (dof < 1e6), dof, 1e6)
    out = best + error * normal / np.sqrt(rng.chisquare(finite, shape if np.ndim(dof) else (draws, 1)) / finite)
    out[0] = best
    return out


def _qubit_reasons(device: Device, fits: FittedErrors, criteria: Criteria) -> list[str]:
    """Why each qubit does not meet its own criteria; empty where it does."""
    reason = [r if s in ("absent", "faulty") else "" for s, r in zip(device.qubit_status, device.qubit_reason, strict=True)]
    for i, q in enumerate(fits.qubits.tolist()):
        one, read = fits.one_qubit[i, 0], fits.readout[i, 0]
        if np.isnan(one) and fits.qubit_status[i] != NOT_MEASURED:
            reason[q] = f"one-qubit RB failed: {fits.qubit_reason[i]}"
        elif one > criteria.one_qubit_error:
            reason[q] = f"one-qubit error {one:.2g} above the criterion {criteria.one_qubit_error:g}"
        elif read > criteria.readout_error:
            reason[q] = f"readout error {read:.2g} above the criterion {criteria.readout_error:g}"
    return reason


def _count_if_all_work(draws: DeviceDraws, edges: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Connected working qubits of each draw, ``(D,)``, if whatever could not be fitted worked."""
    up, pair_up = draws.up | draws.qubit_failed, draws.pair_up | draws.pair_failed
    alive = pair_up & up[:, edges[:, 0]] & up[:, edges[:, 1]]
    return np.asarray(largest_components(up.shape[1], edges, up & _touched(alive, edges, up.shape[1]), alive).sum(axis=1))


def _touched(alive: Bools, edges: npt.NDArray[np.int64], n: int) -> Bools:
    """Qubits with at least one living pair, ``(D, n)``."""
    out = np.zeros((len(alive), n), dtype=bool)
    draw, edge = np.nonzero(alive)
    for side in (0, 1):
        out[draw, edges[edge, side]] = True
    return out


def _shares(*held: Bools) -> Real:
    """How often each criterion is met by each qubit, ``(Q, 3)``, the best estimate left out."""
    return np.stack([h[1:].mean(axis=0) for h in held], axis=1)


def _at(rows: npt.NDArray[np.int64], values: Real, size: int) -> Real:
    """Values at their rows, 0 elsewhere."""
    out = np.zeros((size, *values.shape[1:]))
    out[rows] = values
    return out


def _without_estimate(device: Device, fits: FittedErrors, members: npt.NDArray[np.int64]) -> tuple[int, int]:
    """Usable pairs inside the component that have no estimate: all of them, and those that were measured."""
    usable = device.usable_edges
    inside = usable[np.isin(device.edges[usable], members).all(axis=1)]
    unknown = np.setdiff1d(inside, fits.edges[np.isfinite(fits.cnot[:, 0])])
    return unknown.size, np.intersect1d(unknown, fits.edges).size


def _row_median(values: Real) -> Real:
    """Median of each row without its NaNs; NaN for an empty row."""
    ordered = np.sort(values, axis=1)  # NaNs go last
    count = (~np.isnan(values)).sum(axis=1)
    if values.shape[1] == 0:
        return np.full(len(values), np.nan)
    row = np.arange(len(values))
    middle = (ordered[row, np.maximum(count - 1, 0) // 2] + ordered[row, np.minimum(count // 2, values.shape[1] - 1)]) / 2
    return np.where(count > 0, middle, np.nan)


def _shifted(draws: Real, level: float) -> tuple[Interval, Real]:
    """Interval and draws of a statistic whose draws add noise to estimates that are noisy already: centred on the estimate."""
    best = float(draws[0])
    middle, low, high = quantile_interval(draws[1:], level)
    if np.isnan(best) or np.isnan(middle):
        return Interval(low=np.nan, best=np.nan, high=np.nan, level=level), draws[1:]
    shift = best - middle
    return Interval(low=low + shift, best=best, high=high + shift, level=level), draws[1:] + shift


def _count_interval(counts: npt.NDArray[np.int64], level: float) -> Interval:
    _, low, high = quantile_interval(counts[1:].astype(float), level)
    best = float(counts[0])
    return Interval(low=min(np.floor(low), best), best=best, high=max(np.ceil(high), best), level=level)


def _edge_interval(fits: FittedErrors, row: npt.NDArray[np.int64]) -> Interval:
    best, low, high = fits.cnot[row[0]].tolist() if row.size else (np.nan,) * 3
    return Interval(low=low, best=best, high=high, level=fits.level)
