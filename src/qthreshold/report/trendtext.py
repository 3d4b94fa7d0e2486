"""Drift in words and as a chart of letters, for terminals, logs and the texts of pages. Needs no plotting package."""

import datetime
import math

import numpy as np
import numpy.typing as npt

from qthreshold.drift import COUNTS, Drift, known_values
from qthreshold.identity import Interval
from qthreshold.measurements import METRICS
from qthreshold.report.words import many, number, shown_name
from qthreshold.series import LeftOut, Series

__all__ = [
    "alarm_words", "day", "drift_sentence", "left_out_words", "plain_value", "series_name", "state_words", "step_words", "trend_text", "trend_words",
    "value_words",
]  # fmt: skip

Real = npt.NDArray[np.float64]

_LABEL = 11  # letters of a value at the axis
_DIFFERENCES = 4  # that are named
_STEADY = 0.01  # a change of a count, over all of its runs, that is none


def trend_text(series: Series, drift: Drift, *, width: int = 76, height: int = 10) -> str:
    """What drift there is in a sentence, and a chart of the values.

    Args:
        series: The values.
        drift: What was found in them.
        width: Letters of a line.
        height: Lines of the chart, at least 3.
    """
    lines = [drift_sentence(drift)]
    values, errors = known_values(series)
    if not np.isfinite(values).any():
        return "\n".join([*lines, "There is no value to draw."])
    columns = max(width - _LABEL - 3, 10)
    column = _columns(series.taken_at, columns)
    used = int(column.max()) + 1
    low, high = (np.full(used, np.nan) for _ in range(2))
    best = np.full(used, np.nan)
    for c in np.unique(column[np.isfinite(values)]).tolist():  # runs that share a column are drawn as their mean
        here = (column == c) & np.isfinite(values)
        best[c], low[c], high[c] = values[here].mean(), series.low[here].min(), series.high[here].max()
    bottom, top = _span(best, low, high, errors)
    rows = [_row(i, height, (bottom, top), best, low, high) for i in range(height)]
    step = (top - bottom) / (height - 1)
    for i, row in enumerate(rows):
        label = plain_value(series.metric, top - i * step, digits=3) if i % 3 == 0 or i == height - 1 else ""
        lines.append(f"{label:>{_LABEL}} |{row}".rstrip())
    lines.append(f"{'':>{_LABEL}} +{'-' * used}")
    marks = _marks(series, drift, column)
    lines += [f"{'':>{_LABEL}}  {line}".rstrip() for line in marks]
    first, last = day(float(series.taken_at[0])), day(float(series.taken_at[-1]))
    gap = max(used - len(first) - len(last), 2)
    lines.append(f"{'':>{_LABEL}}  {first}{' ' * gap}{last}" if first != last else f"{'':>{_LABEL}}  {first}")
    lines.append(f"{'':>{_LABEL}}  {METRICS[series.metric]}; o estimate, : interval{_legend(''.join(marks))}")
    return "\n".join(lines)


def _columns(times: Real, columns: int) -> npt.NDArray[np.int64]:
    """Column of each run: side by side where there is room, by time where there are more runs than columns."""
    if len(times) <= columns // 2:
        return 2 * np.arange(len(times))
    if len(times) <= columns:
        return np.arange(len(times))
    share = (times - times[0]) / max(times[-1] - times[0], 1e-9)
    return np.minimum((share * columns).astype(np.int64), columns - 1)


def _span(best: Real, low: Real, high: Real, errors: Real) -> tuple[float, float]:
    """Ends of the axis: all estimates, and intervals as far as they are no longer than most."""
    reach = 3 * float(np.nanmedian(errors))
    bottom = min(float(np.nanmin(best)), max(float(np.nanmin(low)), float(np.nanmin(best)) - reach))
    top = max(float(np.nanmax(best)), min(float(np.nanmax(high)), float(np.nanmax(best)) + reach))
    if top - bottom < 1e-9 * max(abs(top), 1e-12):
        pad = 0.5 * abs(top) or 1.0
        return bottom - pad, top + pad
    return bottom, top


def _row(i: int, height: int, span: tuple[float, float], best: Real, low: Real, high: Real) -> str:
    """A line of the chart."""

    def place(v: Real) -> Real:
        return np.asarray((span[1] - v) / (span[1] - span[0]) * (height - 1))

    with np.errstate(invalid="ignore"):
        estimate = np.rint(place(best)) == i
        inside = (np.rint(place(high)) <= i) & (i <= np.rint(place(low)))
    return "".join("o" if e else ":" if b else " " for e, b in zip(estimate, inside, strict=True))


def _marks(series: Series, drift: Drift, column: npt.NDArray[np.int64]) -> list[str]:
    """Lines below the axis, each kind on its own, since they may be of one run: calibrations, steps and the alarm."""
    new = np.flatnonzero(np.isfinite(series.calibrated_at) & (np.diff(series.calibrated_at, prepend=np.nan) != 0))
    kinds = {
        "c": (new[1:] if new.size and new[0] == 0 else new).tolist(),
        "s": [series.run_ids.index(change.run_id) for change in drift.changes],
        "!": [series.run_ids.index(drift.alarm.run_id)] if drift.alarm is not None else [],
    }
    lines = []
    for letter, of in kinds.items():
        here = {int(column[k]) for k in of}
        lines += ["".join(letter if c in here else " " for c in range(max(here) + 1))] if here else []
    return lines


def _legend(marks: str) -> str:
    meant = (("c", "newly calibrated"), ("s", "step"), ("!", "alarm"))
    return "".join(f", {letter} {words}" for letter, words in meant if letter in marks)


def drift_sentence(drift: Drift) -> str:
    """Drift in a sentence that answers first.

    Args:
        drift: Of one number.
    """
    stopped = drift.alarm is not None and drift.alarm.kind == "stopped working"
    parts = [alarm_words(drift)] if stopped else [trend_words(drift), alarm_words(drift)]  # a line through what broke says nothing
    last = drift.changes[-1] if drift.changes else None
    if last is not None:
        parts.append(f"{'last step' if len(drift.changes) > 1 else 'step'} {step_words(drift.metric, last.size)} on {day(last.taken_at)}")
    if drift.measured:
        value = value_words(drift.metric, drift.last)
        parts.append(f"works now with probability {value}" if drift.metric == "works" else f"now {value}")
    return f"{series_name(drift)}: {', '.join(p for p in parts if p)}."


def series_name(drift: Drift | Series) -> str:
    """What a series is of: ``C-NOT error of pair 3-4``."""
    kind = "pair" if drift.metric == "cnot_error" else "qubit"
    if not drift.target:
        return _capital(METRICS[drift.metric])
    name = {"cnot_error": "C-NOT error of ", "readout_error": "readout error of ", "one_qubit_error": "one-qubit error of "}.get(drift.metric, "")
    return _capital(f"{name}{kind} {shown_name(drift.target)}")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def trend_words(drift: Drift) -> str:
    """The trend: ``rises by 2.1 % a day (95 %: 1.5 to 2.7 %)``; empty where there is none to speak of."""
    relative = drift.metric not in COUNTS and not math.isnan(drift.relative.best)
    t = drift.relative if relative else drift.trend
    if math.isnan(t.best):
        return "too few runs for a trend" if drift.measured < 3 and drift.metric != "works" and drift.measured else ""
    if drift.too_short:
        return f"too short a time for a trend ({_hours(24 * drift.days)})"
    if drift.metric in COUNTS and max(abs(t.low), abs(t.high)) * drift.days < _STEADY:
        return "steady"
    form = _percent if relative else _small
    unit = " %" if relative else ""
    span = f"({100 * t.level:g} %: {form(t.low)} to {form(t.high)}{unit})"
    if t.low <= 0 <= t.high:
        return f"no clear trend {span.replace(')', ' a day)')}"
    low, high = sorted((abs(t.low), abs(t.high)))
    return f"{'rises' if t.best > 0 else 'falls'} by {form(abs(t.best))}{unit} a day ({100 * t.level:g} %: {form(low)} to {form(high)}{unit})"


def _hours(hours: float) -> str:
    """A time of less than a day."""
    return many(round(hours), "hour") if hours >= 1 else many(max(round(60 * hours), 1), "minute")


def _small(change: float) -> str:
    """Change of a count."""
    return f"{change:.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.{1 if 0.00095 < abs(share) < 0.0995 else 0 if abs(share) >= 0.0995 or not share else 2}f}"


def alarm_words(drift: Drift) -> str:
    """The alarm, or what else there is to say of the state."""
    alarm = drift.alarm
    if alarm is None:
        return drift.state if drift.state != "too few runs" else ""
    if alarm.kind == "stopped working":
        told = f"{'fewer for sure since' if drift.metric in COUNTS else 'stopped working on'} {day(alarm.taken_at)}"
    else:
        way = "" if alarm.worse else " to the better"
        began = f", begun about {day(alarm.since)}" if day(alarm.since) != day(alarm.taken_at) else ""
        told = f"alarm since {day(alarm.taken_at)} ({alarm.kind}{way}{began})" if alarm.active else f"alarm of {day(alarm.taken_at)} is over"
    return told if drift.state in ("alarm", "alarm is over") else f"{told}, {drift.state}"


def state_words(drift: Drift) -> str:
    """The state in a few words: ``rises since 2026-11-17``, ``no alarm``."""
    if drift.alarm is None or not drift.alarm.active:
        return drift.state
    stopped = drift.alarm.kind == "stopped working"
    return alarm_words(drift) if stopped else f"{drift.alarm.kind}, alarm since {day(drift.alarm.taken_at)}"


def left_out_words(left_out: LeftOut, where: str = "") -> str:
    """Which runs are not looked at, and why; empty where all are.

    Args:
        left_out: What a series lacks.
        where: What lacks them, such as ``of the device as a whole``; empty where that is clear.

    Example:
        >>> left_out_words(LeftOut(runs=30, differences=(("criterion cnot_error", "0.1", "0.05"),)))
        '30 earlier runs are left out: they were measured or counted otherwise (criterion cnot_error: 0.1 there, 0.05 here).'
    """
    if not left_out.runs:
        return ""
    said = [f"{shown_name(name)}: {shown_name(there)} there, {shown_name(here)} here" for name, there, here in left_out.differences[:_DIFFERENCES]]
    more = [f"and {len(left_out.differences) - _DIFFERENCES} more"] if len(left_out.differences) > _DIFFERENCES else []
    one = left_out.runs == 1
    head = f"{many(left_out.runs, 'earlier run')} {'is' if one else 'are'} left out{f' {where}' if where else ''}"
    return f"{head}: {'it was' if one else 'they were'} measured or counted otherwise ({'; '.join([*said, *more])})."


def step_words(metric: str, size: Interval) -> str:
    """Height of a step: ``up by 1.2e-3 (1.0e-3 to 1.4e-3)``."""
    low, high = sorted((abs(size.low), abs(size.high))) if size.low * size.high > 0 else (0.0, max(abs(size.low), abs(size.high)))
    by = f"{'up' if size.best > 0 else 'down'} by {plain_value(metric, abs(size.best))}"
    ends = plain_value(metric, low), plain_value(metric, high)
    return by if ends[0] == ends[1] else f"{by} ({ends[0]} to {ends[1]})"


def value_words(metric: str, value: Interval) -> str:
    """A value with its interval."""
    best = plain_value(metric, value.best)
    return (
        best
        if math.isnan(value.best) or value.low == value.high
        else f"{best} ({plain_value(metric, value.low)} to {plain_value(metric, value.high)})"
    )


def plain_value(metric: str, value: float, digits: int = 3) -> str:
    """A value as it is written: counts and probabilities as plain numbers, errors as 4.1e-3."""
    if not math.isfinite(value):
        return "-"
    if metric in COUNTS and value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}" if metric in (*COUNTS, "works") else number(value, digits)


def day(time: float) -> str:
    """Day of a time, UTC.

    Example:
        >>> day(1795737600.0)
        '2026-11-27'
    """
    return "-" if math.isnan(time) else datetime.datetime.fromtimestamp(time, datetime.UTC).date().isoformat()
