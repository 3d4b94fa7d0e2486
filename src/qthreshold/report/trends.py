"""Figures of a number over its runs: values, trend, steps, calibrations and the alarm, drawn on axes that are given."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, MaxNLocator

from qthreshold.drift import COUNTS, DAY, Drift, known_values, series_trend
from qthreshold.report.drawing import COLOURS
from qthreshold.report.trendtext import day
from qthreshold.rulebook import short
from qthreshold.series import Series

__all__ = ["SIZE", "trend"]

Real = npt.NDArray[np.float64]

SIZE = (7.4, 3.4)
"""Inches of a figure with one trend."""

_INK, _MUTED, _ACCENT, _SECOND, _ZONE, _SOFT = (COLOURS[c] for c in ("ink", "muted", "accent", "second", "zone", "soft"))
_LABELS = {
    "cnot_error": "C-NOT error", "readout_error": "readout error", "one_qubit_error": "error per Clifford", "working_qubits": "working qubits",
    "connected_working_qubits": "connected qubits", "works": "probability that it works",
}  # fmt: skip
_ROW = 6  # entries of the legend that stand in one row
_WHEN = "interval of the step"
_MANY = 120  # runs from which on points are small


def trend(axes: Axes, series: Series, drift: Drift, *, label: str = "") -> None:
    """Values with their intervals over time, and what was found in them.

    Args:
        axes: To draw on.
        series: The values.
        drift: What was found in them.
        label: Of the vertical axis; the kind of metric if left out.
    """
    values, errors = known_values(series)
    at = series.taken_at.astype("datetime64[s]")
    seen = np.isfinite(values)
    axes.set_ylabel(label or _LABELS[series.metric.split(".")[0]])
    if not seen.any():
        axes.text(0.5, 0.5, "no run gave a number", transform=axes.transAxes, ha="center", color=_MUTED)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    room = max(float(np.ptp(series.taken_at)) * 0.03, 0.3 * DAY)
    ends = np.array([series.taken_at[0] - room, series.taken_at[-1] + room])
    axes.set_xlim(*ends.astype("datetime64[s]"))
    _alarm(axes, drift, ends[1])
    _line(axes, series, drift)
    _steps(axes, series, drift)
    few = len(values) < _MANY
    bars = [(values - series.low)[seen].tolist(), (series.high - values)[seen].tolist()]
    axes.errorbar(
        at[seen], values[seen], yerr=bars, fmt="o", ms=4 if few else 2, color=_INK, ecolor=_MUTED, elinewidth=0.9 if few else 0.4, zorder=4,
        label=f"estimate, {100 * series.level:g} % interval",
    )  # fmt: skip
    _limits(axes, series, values, errors)
    _calibrations(axes, series)
    if (~seen).any():
        axes.plot(at[~seen], np.full((~seen).sum(), 0.02), "x", ms=4, color=_MUTED, transform=axes.get_xaxis_transform(), label="no number")
    locator = AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    plain = series.metric in (*COUNTS, "works")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=series.metric in COUNTS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.3g}" if plain else short(float(f"{v:.3g}")) if v else "0"))
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    """A legend above the axes, which leave it as much as it takes: one row, or two where one would be too long."""
    labels = axes.get_legend_handles_labels()[1]
    two = len(labels) > _ROW or _WHEN in labels
    share = 0.83 if two else 0.9
    box = axes.get_position()
    axes.set_position((box.x0 + 0.02, box.y0 - 0.02, box.width - 0.02, box.height * share))  # at the left, room for 1.95e-2 beside the label
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 1.026 / share), ncols=4 if two else _ROW, handlelength=1.2, handletextpad=0.5,
                borderaxespad=0.0, columnspacing=1.1)  # fmt: skip


def _limits(axes: Axes, series: Series, values: Real, errors: Real) -> None:
    """All estimates, and intervals as far as they are no longer than most."""
    reach = 4 * float(np.nanmedian(errors))
    low = max(float(np.nanmin(np.where(np.isfinite(values), series.low, np.nan))), float(np.nanmin(values)) - reach)
    high = min(float(np.nanmax(np.where(np.isfinite(values), series.high, np.nan))), float(np.nanmax(values)) + reach)
    pad = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set_ylim(low - pad, high + 1.5 * pad)


def _line(axes: Axes, series: Series, drift: Drift) -> None:
    """The trend and its band."""
    fit = series_trend(series, drift.trend.level)
    if series.metric in COUNTS or drift.too_short or np.isnan(drift.trend.best) or np.isnan(fit.slope):
        return
    measured = series.taken_at[np.isfinite(known_values(series)[0])]
    days = np.linspace(measured[0] - series.taken_at[0], measured[-1] - series.taken_at[0], 60) / DAY
    line, low, high = fit.band(days)
    x = (series.taken_at[0] + DAY * days).astype("datetime64[s]")
    axes.fill_between(x, low, high, color=_SOFT, alpha=0.55, lw=0, zorder=1)
    axes.plot(x, line, color=_ACCENT, lw=1.5, zorder=2, label="trend")


def _steps(axes: Axes, series: Series, drift: Drift) -> None:
    """Steps: a line at each, its interval as a bar at the foot, and the level on either side."""
    edges = [float(series.taken_at[0]), *(c.taken_at for c in drift.changes), float(series.taken_at[-1])]
    unnamed = True
    for i, c in enumerate(drift.changes):
        when = np.array([c.earliest, c.taken_at, c.latest]).astype("datetime64[s]")
        axes.axvline(when[1], color=_SECOND, lw=1.2, ls=(0, (4, 2)), zorder=3, label="step" if not i else None)
        if c.latest > c.earliest:
            axes.plot(
                when[[0, 2]], [0.02, 0.02], color=_SECOND, lw=4, solid_capstyle="butt", transform=axes.get_xaxis_transform(), zorder=3,
                label=_WHEN if unnamed else None,
            )  # fmt: skip
            unnamed = False
        for level, start, end in ((c.before, edges[i], edges[i + 1]), (c.before + c.size.best, edges[i + 1], edges[i + 2])):
            axes.plot(np.array([start, end]).astype("datetime64[s]"), [level, level], color=_SECOND, lw=1.1, zorder=2.5)


def _calibrations(axes: Axes, series: Series) -> None:
    """Calibrations as marks at the upper edge."""
    known = np.unique(series.calibrated_at[np.isfinite(series.calibrated_at)])
    known = known[known >= series.taken_at[0] - DAY]
    if known.size:
        axes.plot(
            known.astype("datetime64[s]"), np.full(known.size, 0.985), ls="none", marker="v", ms=4.5 if known.size < 60 else 2, color=_MUTED,
            transform=axes.get_xaxis_transform(), label="calibrated",
        )  # fmt: skip


def _alarm(axes: Axes, drift: Drift, end: float) -> None:
    """The time since a drift began, and the run that gave the alarm."""
    a = drift.alarm
    if a is None:
        return
    since, at, last = np.array([a.since, a.taken_at, end if a.active else a.taken_at]).astype("datetime64[s]")
    axes.axvspan(since, last, color=_ZONE, lw=0, zorder=0.4)
    axes.axvline(at, color=_SECOND, lw=2, zorder=2.8, label=f"alarm {day(a.taken_at)}: {a.kind}")
