"""Drift: whether the numbers of a device change over its runs, since when, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.identity import Interval, Record
from qthreshold.measurements import BROKEN, LOWER_IS_WORSE, WORKS
from qthreshold.numerics.charts import cusum, self_starting_scores, threshold
from qthreshold.numerics.drift import Trend, change_points, linear_trend
from qthreshold.numerics.intervals import student_t
from qthreshold.series import LeftOut, Series

__all__ = ["COUNTS", "DAY", "Alarm", "Change", "DeviceDrift", "Drift", "charts_of", "find_drift", "known_values", "series_trend"]

Real = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DAY = 86_400.0
"""Seconds."""

COUNTS = ("working_qubits", "connected_working_qubits")
"""Metrics that count; with ``works`` they have no chart, since they do not scatter about a level: they hold or they break."""

_UNCHARTED = (*COUNTS, "works")
_SEEN = 3  # runs in which something must have worked before it can stop


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Change(Record):
    """A step of the level.

    Attributes:
        run_id, taken_at: First run of the new level.
        earliest, latest: Interval of that run, as times.
        before: Level before it.
        size: Height of the step.
        p_value: Chance of a step as clear as this in a series without one, at most.
    """

    schema: ClassVar[str] = "qthreshold/change/1"
    run_id: str
    taken_at: float
    earliest: float
    latest: float
    before: float
    size: Interval
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "run_id": self.run_id, "taken_at": self.taken_at, "earliest": self.earliest, "latest": self.latest, "before": self.before,
            "size": self.size.as_dict(), "p_value": self.p_value,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Alarm(Record):
    """The latest alarm of a series.

    Attributes:
        run_id, taken_at: The run that gave it.
        kind: ``rises``, ``falls`` or ``stopped working``.
        since: When it began, as the chart estimates: the run after the one at which the chart last stood at 0.
        runs: From there to the last one, those that gave a number.
        active: Whether it lasts: at the last run that gave a number, the chart is above its threshold, or what broke is still broken.
        worse: Whether that is to the worse.
    """

    schema: ClassVar[str] = "qthreshold/alarm/1"
    run_id: str
    taken_at: float
    kind: str
    since: float
    runs: int
    active: bool
    worse: bool

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "run_id": self.run_id, "taken_at": self.taken_at, "kind": self.kind, "since": self.since, "runs": self.runs, "active": self.active,
            "worse": self.worse,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Drift(Record):
    """What is known about the change of one number.

    Attributes:
        device, metric, target: As in :class:`.series.Series`.
        runs, measured: All runs, and those that gave a number.
        days: From the first run that gave a number to the last; NaN if none did.
        last_run_id, last_at: The last run, with or without a number; empty and NaN if there is none.
        last: Estimate of the last run that gave a number.
        hours_since_calibration: At the last run; NaN where it is not known.
        trend: Change a day of a straight line through all runs; NaN with fewer than 3 numbers.
        relative: The same as a share of the mean level.
        changes: Steps of the level, oldest first.
        alarm: None if there was none.
        rises, falls, threshold: Both charts at the last run, and where they alarm; NaN where there is no chart.
        state: ``no alarm``, ``alarm``, ``alarm is over``, ``can no longer be fitted``, ``too few runs`` or ``no data``.
    """

    schema: ClassVar[str] = "qthreshold/drift/1"
    device: str
    metric: str
    target: str
    runs: int
    measured: int
    days: float
    last_run_id: str
    last_at: float
    last: Interval
    hours_since_calibration: float
    trend: Interval
    relative: Interval
    changes: tuple[Change, ...]
    alarm: Alarm | None
    rises: float
    falls: float
    threshold: float
    state: str

    @property
    def too_short(self) -> bool:
        """Whether the runs span less than a day, so that a change a day would say more than was seen."""
        return self.days < 1

    @property
    def alarmed(self) -> bool:
        """Whether an alarm lasts."""
        return self.alarm is not None and self.alarm.active

    @property
    def worse(self) -> bool:
        """Whether an alarm lasts that is to the worse."""
        return self.alarm is not None and self.alarm.active and self.alarm.worse

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; times are seconds since 1970, what is not known is null."""
        numbers = {k: getattr(self, k) for k in ("days", "last_at", "hours_since_calibration", "rises", "falls", "threshold")}
        return {
            "schema": self.schema, "device": self.device, "metric": self.metric, "target": self.target, "runs": self.runs,
            "measured": self.measured, "last_run_id": self.last_run_id, "last": self.last.as_dict(), "trend_per_day": self.trend.as_dict(),
            "relative_trend_per_day": self.relative.as_dict(), "changes": [c.as_dict() for c in self.changes],
            "alarm": None if self.alarm is None else self.alarm.as_dict(), "state": self.state,
            **{k: float(v) if np.isfinite(v) else None for k, v in numbers.items()},
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDrift:
    """What the history says of a device.

    Attributes:
        device: Its name.
        series: Its numbers over its runs.
        drifts: What :func:`find_drift` found in them, in the same order.
    """

    device: str
    series: tuple[Series, ...]
    drifts: tuple[Drift, ...]

    def __post_init__(self) -> None:
        if len(self.series) != len(self.drifts):
            raise ValueError(f"{len(self.series)} series, but {len(self.drifts)} drifts")

    @property
    def last_at(self) -> float:
        """When its last run was made; NaN without any."""
        return max((d.last_at for d in self.drifts if d.last_at == d.last_at), default=float("nan"))

    @property
    def left_out(self) -> dict[LeftOut, list[str]]:
        """Runs that series lack because they were measured or counted otherwise, and the metrics of which they lack; the most runs first."""
        out: dict[LeftOut, list[str]] = {}
        for s in sorted(self.series, key=lambda s: -s.left_out.runs):
            if s.left_out.runs and s.metric not in out.setdefault(s.left_out, []):
                out[s.left_out].append(s.metric)
        return out

    @property
    def alarms(self) -> list[Drift]:
        """Those that last, the worse ones first, of the device before those of its parts."""
        return sorted((d for d in self.drifts if d.alarmed), key=lambda d: (not d.worse, bool(d.target)))


def find_drift(
    series: Sequence[Series], *, among: Mapping[str, int] | None = None, false_alarms: float = 0.05, window: int = 30, level: float = 0.95
) -> tuple[Drift, ...]:  # fmt: skip
    """Look for drift in numbers of one device.

    Error rates are charted both ways (:mod:`.numerics.charts`). Every chart gets an equal part of the stated chance (Sidak), so that the chance
    that *any* of them alarms within the window, on a device that does not drift, is as stated at most, up to the small excess that negative
    dependence could bring. The chance that any series is said to step is bounded in the same way. What counts, or works or not, has no chart
    and none of the chance: it alarms as soon as it has surely stopped. Runs without data never alarm and count for nothing.

    Args:
        series: Of one device.
        among: How many series of each metric the device has, where these are a part of them: they share the chance, so that what alarms
            does not depend on what else is looked at. These alone if left out.
        false_alarms: Chance of any alarm of the device within the window.
        window: In runs.
        level: Confidence level of trends and sizes of steps.

    Returns:
        One for each series, in their order.

    Raises:
        ValueError: The series are of several devices, or a chance is none.

    References:
        Z. Sidak, Journal of the American Statistical Association 62, 626 (1967).
    """
    if len({s.device for s in series}) > 1:
        raise ValueError(f"series of one device are needed, got those of {sorted({s.device for s in series})}")
    if not (0 < false_alarms < 1 and 0 < level < 1):
        raise ValueError(f"a chance of false alarms and a level between 0 and 1 are needed, got {false_alarms} and {level}")
    charted = [i for i, s in enumerate(series) if _has_chart(s)]
    having = {} if among is None else among
    h = threshold(1 - (1 - false_alarms) ** (1 / max(2 * charts_of(having), 2 * len(charted), 1)), window)
    charts = dict(zip(charted, _charts([series[i] for i in charted], h), strict=True))
    false_step = 1 - (1 - false_alarms) ** (1 / max(sum(having.values()), len(series), 1))
    return tuple(_drift(s, charts.get(i), h, level, false_step) for i, s in enumerate(series))


def charts_of(having: Mapping[str, int]) -> int:
    """How many series are charted, and so share the chance of a false alarm.

    Args:
        having: How many series there are of each metric.

    Example:
        >>> charts_of({"cnot_error": 7, "cnot_error.mean": 1, "works": 8})
        8
    """
    return sum(number for metric, number in having.items() if metric not in _UNCHARTED)


def known_values(series: Series) -> tuple[Real, Real]:
    """Estimates and their standard errors, ``(K,)`` each; NaN where the run gave no number that counts."""
    counts = np.array([s == "ok" for s in series.status], dtype=bool) & np.isfinite(series.best)
    errors = (series.high - series.low) / (2 * student_t(np.clip(series.dof, 1, 1e9), series.level))
    return np.where(counts, series.best, np.nan), np.where(counts, errors, np.nan)


def series_trend(series: Series, level: float) -> Trend:
    """The straight line of a series, its times in days since its first run."""
    values, errors = known_values(series)
    days = (series.taken_at - series.taken_at[0]) / DAY if len(series.taken_at) else series.taken_at
    return linear_trend(days, values, errors, series.dof, level)


def _has_chart(series: Series) -> bool:
    return series.metric not in _UNCHARTED


def _charts(series: Sequence[Series], h: float) -> list[tuple[Real, Real]]:
    """Both charts of each series, as long as it is."""
    longest = max((len(s.run_ids) for s in series), default=0)
    values, errors, dof = (np.full((len(series), longest), np.nan) for _ in range(3))
    for i, s in enumerate(series):
        k = len(s.run_ids)
        (values[i, :k], errors[i, :k]), dof[i, :k] = known_values(s), s.dof
    up, down = cusum(self_starting_scores(values, errors, dof), h)
    return [(up[i, : len(s.run_ids)], down[i, : len(s.run_ids)]) for i, s in enumerate(series)]


def _drift(s: Series, charts: tuple[Real, Real] | None, h: float, level: float, false_step: float) -> Drift:
    values, errors = known_values(s)
    seen = np.flatnonzero(np.isfinite(values))
    trend = series_trend(s, level)
    changes: tuple[Change, ...] = ()
    if s.metric == "works":  # a probability that is 0 or 1 has neither
        trend = Trend(*[np.nan] * 8)
    elif seen.size:
        changes = _changes(s, values, errors, level, false_step)
    alarm = _stopped(s, seen) if charts is None else _latest(s, charts, seen, h)
    last = int(seen[-1]) if seen.size else -1
    nothing = Interval(low=np.nan, best=np.nan, high=np.nan, level=s.level)
    return Drift(
        device=s.device, metric=s.metric, target=s.target, runs=len(s.run_ids), measured=seen.size,
        days=float(s.taken_at[seen[-1]] - s.taken_at[seen[0]]) / DAY if seen.size else np.nan,
        last_run_id=s.run_ids[-1] if s.run_ids else "", last_at=float(s.taken_at[-1]) if s.run_ids else np.nan,
        last=Interval(low=float(s.low[last]), best=float(s.best[last]), high=float(s.high[last]), level=s.level) if seen.size else nothing,
        hours_since_calibration=float(s.taken_at[-1] - s.calibrated_at[-1]) / 3600 if s.run_ids else np.nan,
        trend=Interval(low=trend.low, best=trend.slope, high=trend.high, level=level), relative=_relative(trend, level),
        changes=changes, alarm=alarm,
        rises=float(charts[0][-1]) if charts is not None and s.run_ids else np.nan,
        falls=float(charts[1][-1]) if charts is not None and s.run_ids else np.nan,
        threshold=h if charts is not None else np.nan, state=_state(s, seen, alarm),
    )  # fmt: skip


def _relative(trend: Trend, level: float) -> Interval:
    """A trend as a share of the mean level; the level's own error is small beside the slope's."""
    if not trend.value > 0:
        return Interval(low=np.nan, best=np.nan, high=np.nan, level=level)
    return Interval(low=trend.low / trend.value, best=trend.slope / trend.value, high=trend.high / trend.value, level=level)


def _changes(s: Series, values: Real, errors: Real, level: float, chance: float) -> tuple[Change, ...]:
    found = change_points(values, errors, chance, dof=s.dof, level=level)
    return tuple(
        Change(
            run_id=s.run_ids[i], taken_at=float(s.taken_at[i]), earliest=float(s.taken_at[found.first[j]]),
            latest=float(s.taken_at[found.last[j]]), before=float(found.before[j]),
            size=Interval(low=float(found.low[j]), best=float(found.size[j]), high=float(found.high[j]), level=level),
            p_value=float(found.p_value[j]),
        )
        for j, i in enumerate(found.index.tolist())
    )  # fmt: skip


def _latest(s: Series, charts: tuple[Real, Real], seen: npt.NDArray[np.int64], h: float) -> Alarm | None:
    """The latest alarm of the two charts."""
    alarms = []
    for kind, chart in zip(("rises", "falls"), charts, strict=True):
        over = np.flatnonzero(chart >= h)
        if not over.size:
            continue
        before = np.flatnonzero(chart[: over[-1]] == 0)  # the last time it stood at 0 ended whatever had been before
        start = int(before[-1]) + 1 if before.size else 0
        start = int(seen[seen >= start][0])
        at = int(over[over >= start][0])
        worse = (kind == "falls") == (s.metric in LOWER_IS_WORSE)
        alarms.append(_alarm(s, at, kind, start, seen, active=bool(chart[-1] >= h), worse=worse))
    return max(alarms, key=lambda a: (a.active, a.taken_at), default=None)


def _alarm(s: Series, at: int, kind: str, start: int, seen: npt.NDArray[np.int64], *, active: bool, worse: bool) -> Alarm:
    return Alarm(
        run_id=s.run_ids[at], taken_at=float(s.taken_at[at]), kind=kind, since=float(s.taken_at[start]), runs=int((seen >= start).sum()),
        active=active, worse=worse,
    )  # fmt: skip


def _stopped(s: Series, seen: npt.NDArray[np.int64]) -> Alarm | None:
    """Whether what worked before does not work now.

    A qubit must have worked for sure in 3 earlier runs and in half of them; a count must now surely be below what it surely was in half of the
    earlier runs, of which there are 3 at least.
    """
    if s.metric == "works":
        gone, worked = s.best[seen] <= BROKEN, s.best[seen] >= WORKS
    else:
        usual = float(np.median(s.low[seen[:-1]])) if seen.size > _SEEN else -np.inf
        gone, worked = s.high[seen] < usual, s.low[seen] >= usual
    if not gone.any() or not gone[-1]:
        return None
    start = int(np.flatnonzero(~gone)[-1]) + 1 if not gone.all() else 0
    if worked[:start].sum() < _SEEN or worked[:start].mean() < 0.5:
        return None
    return _alarm(s, int(seen[start]), "stopped working", int(seen[start]), seen, active=True, worse=True)


def _state(s: Series, seen: npt.NDArray[np.int64], alarm: Alarm | None) -> str:
    told = [k for k, status in enumerate(s.status) if status != "no_data"]
    if seen.size and told and told[-1] > seen[-1]:
        return "can no longer be fitted"
    if alarm is not None:
        return "alarm" if alarm.active else "alarm is over"
    return "no data" if not seen.size else "too few runs" if seen.size < _SEEN else "no alarm"
