"""Device metrics: working and connected qubits, and the C-NOT error over the pairs inside, with intervals and joint draws.

Criteria for a working qubit are the maker's specification, an input. A qubit works when its one-qubit error and readout
error meet the criteria and it has at least one working pair; a pair works when its C-NOT error does. Each is a
statistical statement: the estimates are drawn from their sampling distributions, and every draw is a whole device. A
criterion that was not measured does not count against a qubit; a fit that failed does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

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
_CELLS = 2_000_000  # draws times qubits and pairs at a time


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
    level = fits.level
    edges = np.searchsorted(fits.qubits, device.edges[fits.edges])  # as rows of fits.qubits: what was not measured takes no memory
    seen, reason = _look_at_draws(fits, criteria, edges, connected, rng), _qubit_reasons(device, fits, criteria)
    count, count_if, shares = seen.count, seen.count_if, seen.met / (_DRAWS - 1)
    rows = np.flatnonzero(seen.inside)
    members = fits.qubits[seen.member]
    missing, failed = _without_estimate(device, fits, members)
    best, low, high, error = mean_of_finite_set(fits.cnot[rows, 0], fits.cnot_error[rows], fits.cnot_dof[rows], rows.size + missing, level)
    draw_mean = seen.mean
    if rows.size and missing:
        measured = (fits.cnot_error[rows] ** 2).sum() / rows.size**2  # the rest of the variance is that of the pairs without estimate
        draw_mean = draw_mean + rng.standard_normal(_DRAWS) * np.sqrt(max(error**2 - measured, 0.0))
    for q in fits.qubits[shares[:, -1] == 0]:
        reason[q] = reason[q] or ("no working pair" if len(device.edges) else "no pair is known")
    median, draw_median = _shifted(seen.median, level)
    extremes = rows[np.argsort(fits.cnot[rows, 0])] if rows.size else rows
    return DeviceMetrics(
        fits_id=fits.id, estimate=fits.estimate, connected="measured" if connected is None else "stated",
        works=_at(fits.qubits, shares[:, -1], device.n_qubits),
        criteria_met=_at(fits.qubits, shares[:, :-1], device.n_qubits),
        qubit_reason=tuple(reason), members=members,
        member_edges=fits.edges[rows], unmeasured_edges=missing, failed_edges=failed,
        failed_shift=failed / (rows.size + failed) * (criteria.cnot_error - best) if failed and rows.size else 0.0,
        working_qubits=_count_interval(seen.working, level),
        connected_working_qubits=_count_interval(count, level),
        mean=Interval(low=low, best=best, high=high, level=level), median=median,
        best=_edge_interval(fits, extremes[:1]), worst=_edge_interval(fits, extremes[-1:]),
        systematic_low=float(fits.systematic[rows, 0].mean()) if rows.size else np.nan,
        systematic_high=float(fits.systematic[rows, 1].mean()) if rows.size else np.nan,
        draw_qubits=count[1:].astype(np.int64), draw_mean=draw_mean[1:], draw_median=draw_median,
        draw_qubits_if=np.maximum(count, count_if)[1:].astype(np.int64),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is kept of the draws; whole rows of devices are not.

    Attributes:
        member: Qubits of the counted component by the best estimate, ``(Q,)``.
        inside: Pairs that its mean runs over, ``(M,)``.
        met: How many draws meet each of :data:`CRITERIA`, and all of them, for each qubit, ``(Q, 4)``; the best estimate left out.
        working, count, count_if: Working qubits, those of them that count, and how many would if failed fits hid what works, ``(D,)``.
        mean, median: Over the pairs that count, ``(D,)``.
    """

    member: Bools
    inside: Bools
    met: npt.NDArray[np.int64]
    working: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    count_if: npt.NDArray[np.int64]
    mean: Real
    median: Real


def _look_at_draws(
    fits: FittedErrors, criteria: Criteria, edges: npt.NDArray[np.int64], connected: int | None, rng: np.random.Generator
) -> _Seen:  # fmt: skip
    """Go through the draws, as many at a time as memory allows; how many that are changes nothing."""
    n = len(fits.qubits)
    met = np.zeros((n, len(CRITERIA) + 1), dtype=np.int64)
    columns: list[tuple[npt.NDArray[Any], ...]] = []
    first: tuple[Bools, Bools] | None = None
    for draws in _drawn(fits, criteria, rng, _DRAWS, max(1, _CELLS // (2 * n + len(edges) + 1))):
        up = draws.up
        alive = draws.pair_up & up[:, edges[:, 0]] & up[:, edges[:, 1]]
        paired = _touched(alive, edges, n)
        works = up & paired
        if connected is None:
            member = largest_components(n, edges, works, alive)
            count = member.sum(axis=1)
            count_if = _count_if_all_work(draws, edges) if draws.pair_failed.any() or draws.qubit_failed.any() else count
        else:
            member, alive = np.ones_like(works), np.broadcast_to(np.isfinite(fits.cnot[:, 0]), alive.shape)
            count = count_if = np.full(len(works), connected)
        inside = alive & member[:, edges[:, 0]] & member[:, edges[:, 1]]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(inside, draws.pair, 0.0).sum(axis=1) / inside.sum(axis=1)
        columns.append((works.sum(axis=1), count, count_if, mean, _row_median(np.where(inside, draws.pair, np.nan))))
        best = first is None
        first = (member[0].copy(), inside[0].copy()) if first is None else first
        met += np.stack([held[int(best) :].sum(axis=0) for held in (draws.one_qubit_up, draws.readout_up, paired, works)], axis=1)
    assert first is not None  # there are draws
    working, count, count_if, mean, median = (np.concatenate(c) for c in zip(*columns, strict=True))
    return _Seen(member=first[0], inside=first[1], met=met, working=working, count=count, count_if=count_if, mean=mean, median=median)


def draw_device(fits: FittedErrors, criteria: Criteria, rng: np.random.Generator, draws: int = _DRAWS) -> DeviceDraws:
    """What every measured qubit and pair may be, given its estimate and standard error.

    Args:
        fits: The estimates.
        criteria: What counts as working.
        rng: Source of randomness.
        draws: Rows, the best estimate among them.
    """
    return next(_drawn(fits, criteria, rng, draws, draws))


def _drawn(fits: FittedErrors, criteria: Criteria, rng: np.random.Generator, draws: int, chunk: int) -> Iterator[DeviceDraws]:
    """The same, some rows at a time. Every quantity has a source of its own, so the rows are the same for any ``chunk``."""
    one_qubit, readout, pairs = (np.random.default_rng(seed).spawn(2) for seed in rng.integers(2**63, size=3).tolist())
    spread = (fits.readout[:, 2] - fits.readout[:, 1]) / (2 * normal_half_width(fits.level))
    unknown_one = np.array([s == NOT_MEASURED for s in fits.qubit_status], dtype=bool)
    unknown_read = np.isnan(fits.readout[:, 0])  # a share of counts cannot fail to be estimated, only lack counts
    # One chi-square for a whole draw, with the freedom of the mean: then the draws of the mean agree with its interval. One
    # for each pair would widen them by the variance dof / (dof - 2) of Student's t, however many pairs there are.
    known = np.isfinite(fits.cnot_error)
    dof = satterthwaite(fits.cnot_error[known] ** 2, fits.cnot_dof[known])
    pair_failed, qubit_failed = np.isin(fits.edge_status, REJECTED), np.isin(fits.qubit_status, REJECTED)
    for first in range(0, draws, chunk):
        rows, best = min(chunk, draws - first), first == 0
        one = _draw(fits.one_qubit[:, 0], fits.one_qubit_error, fits.one_qubit_dof, one_qubit, rows, best)
        read = fits.readout[:, 0] + spread * readout[0].standard_normal((rows, len(fits.qubits)))
        if best:
            read[0] = fits.readout[:, 0]
        pair = _draw(fits.cnot[:, 0], fits.cnot_error, dof, pairs, rows, best)
        yield DeviceDraws(
            pair=pair, pair_up=pair <= criteria.cnot_error, one_qubit_up=unknown_one | (one <= criteria.one_qubit_error),
            readout_up=unknown_read | (read <= criteria.readout_error), pair_failed=pair_failed, qubit_failed=qubit_failed,
        )  # fmt: skip


def _draw(best: Real, error: Real, dof: Real, sources: list[np.random.Generator], rows: int, first: bool) -> Real:
    """Draws of estimates, shape ``(D, ...)``: Student t around each, with its standard error; the estimate itself ``first``."""
    shape = (rows, *best.shape)
    finite = np.where(np.isfinite(dof) & (dof < 1e6), dof, 1e6)
    normal, chi = sources
    out = normal.standard_normal(shape)
    out /= np.sqrt(chi.chisquare(finite, shape if np.ndim(dof) else (rows, 1)) / finite)
    out *= error
    out += best
    if first:
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
    ends, pair = edges.T.ravel(), np.tile(np.arange(len(edges)), 2)
    order = np.argsort(ends, kind="stable")
    ends, pair = ends[order], pair[order]
    place = np.arange(ends.size) - np.searchsorted(ends, ends)  # among the pairs of its qubit
    for slot in range(int(place.max(initial=-1)) + 1):
        here = place == slot
        out[:, ends[here]] |= alive[:, pair[here]]
    return out


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
    if values.shape[1] == 0:
        return np.full(len(values), np.nan)
    count = (~np.isnan(values)).sum(axis=1)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[1] - 1)
    ordered = np.partition(values, np.unique([low, high]), axis=1)  # NaNs go last
    row = np.arange(len(values))
    middle = (ordered[row, low] + ordered[row, high]) / 2
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
