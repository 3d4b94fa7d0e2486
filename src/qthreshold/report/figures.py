"""The figures of a report: functions of records that draw on axes they are given. Nothing is fitted here; what is drawn was estimated before."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from qthreshold.backends.noise import Truth
from qthreshold.decays import DecayTable
from qthreshold.fits import FittedErrors
from qthreshold.frontier import Frontier
from qthreshold.identity import Interval
from qthreshold.metrics import DeviceMetrics
from qthreshold.numerics.intervals import normal_half_width
from qthreshold.report.drawing import COLOURS
from qthreshold.report.labels import Label, place_labels
from qthreshold.report.points import Point
from qthreshold.report.words import joined, number
from qthreshold.rulebook import Band, Instrument, short

__all__ = ["FLOOR", "LEGEND_LINE", "NAMED", "arm_legend", "contexts", "decay", "distribution", "histogram", "residuals", "staircase", "truth"]

Real = npt.NDArray[np.float64]

_INK, _MUTED, _LINE, _ACCENT, _SECOND, _ZONE, _SOFT = (COLOURS[c] for c in ("ink", "muted", "line", "accent", "second", "zone", "soft"))
_CLOUD = 300  # draws of the device that are shown
_DOTS = 400  # pairs that are shown one by one
_MARKS = "os^Dv<>P"
FLOOR = 1e-6
"""What an estimate that is not above it is drawn at, where an axis is logarithmic."""
NAMED = 12
"""Points of the staircase up to which names stand beside them; of more they stand in the legend."""
LEGEND_LINE = 0.19
"""Inches that a line of the legend takes."""


@dataclass(frozen=True, slots=True)
class _Stairs:
    """Bands that some instruments share."""

    bands: tuple[Band, ...]
    names: list[str]


def staircase(
    axes: Axes, instruments: Sequence[Instrument], device: Point, *, metrics: DeviceMetrics | None = None, frontier: Frontier | None = None,
    truth: float | None = None, truth_label: str = "true mean", others: Sequence[Point] = (),
) -> None:  # fmt: skip
    """Limit of the C-NOT error against the number of qubits, and where devices lie.

    Args:
        axes: To draw on.
        instruments: Those with bands are drawn; equal bands once.
        device: The device.
        metrics: Its metrics, for the cloud of joint draws.
        frontier: Its best connected parts.
        truth: True mean C-NOT error, where the backend knows it.
        truth_label: What that is.
        others: Further devices, or other runs.
    """
    stairs = _stairs(instruments)
    points = [device, *others]
    last = max((b.min_qubits for s in stairs for b in s.bands), default=100)
    right = 1.6 * max(last, *(p.qubits.high for p in points))
    left = min(10.0, *(0.7 * max(p.qubits.low, 1.0) for p in points))
    known = [max(p.error.low, FLOOR) for p in points if not math.isnan(p.error.best)]
    top = 2.5 * max([1e-2, *(p.error.high for p in points if not math.isnan(p.error.best))])
    bottom = 0.4 * min([1e-4, *known])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    for k, s in enumerate(stairs):
        _draw_stairs(axes, s, k, (bottom, top), right, alone=len(stairs) == 1)
    if metrics is not None:
        _cloud(axes, metrics)
    if frontier is not None and frontier.sizes.size:
        _parts(axes, frontier)
    marks = [_place(axes, p, k, bottom) for k, p in enumerate(points)]
    if truth is not None:
        axes.plot(device.qubits.best, truth, marker="D", ms=6, mfc="none", mec=_INK, ls="none", zorder=7, label=f"{truth_label} {number(truth)}")
    axes.set_xlabel("qubits")
    axes.set_ylabel("C-NOT error")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    _log_errors(axes.yaxis)
    whole = axes.get_position()
    _legend_below(axes, whole)
    if len(points) > NAMED or not place_labels(axes, [label for _, label in marks]):
        for mark, label in marks:
            mark.set_label(label.text)
        _legend_below(axes, whole)


def _legend_below(axes: Axes, whole: Bbox) -> None:
    """A legend below the axes, which leave it as much as it takes of the place that they had."""
    entries, figure = len(axes.get_legend_handles_labels()[0]), axes.get_figure(root=True)
    if not entries:
        return
    assert figure is not None  # axes are drawn on figures
    high = float(figure.get_figheight())
    lift = (0.1 + LEGEND_LINE * math.ceil(entries / 2)) / high
    axes.set_position((whole.x0, whole.y0 + lift, whole.width, whole.height - lift))
    below = max(0.14, 0.47 / (high * (whole.height - lift)))  # of the height of the axes: past their numbers and name
    axes.legend(loc="upper left", bbox_to_anchor=(-0.01, -below), ncols=2, handlelength=1.4, borderaxespad=0.0, columnspacing=1.5)


def _stairs(instruments: Sequence[Instrument]) -> list[_Stairs]:
    found: dict[tuple[Any, ...], _Stairs] = {}
    for i in instruments:
        if i.bands:
            key = tuple((b.min_qubits, b.max_qubits, b.max_error) for b in i.bands)
            found.setdefault(key, _Stairs(i.bands, [])).names.append(i.jurisdiction)
    return list(found.values())


def _draw_stairs(axes: Axes, stairs: _Stairs, k: int, span: tuple[float, float], right: float, *, alone: bool) -> None:
    """The staircase: on it and below it an entry is met."""
    bottom, top = span
    x: list[float] = [stairs.bands[0].min_qubits]
    y: list[float] = [bottom]
    for b in stairs.bands:
        limit = top if b.max_error is None else b.max_error
        x += [b.min_qubits, right if b.max_qubits is None else b.max_qubits]
        y += [limit, limit]
    if stairs.bands[-1].max_qubits is not None:
        x, y = [*x, x[-1]], [*y, bottom]
    names = joined(stairs.names) if len(stairs.names) < 3 else f"{stairs.names[0]} and {len(stairs.names) - 1} more"
    axes.fill_between(x, bottom, y, color=_ZONE, lw=0, zorder=0.5, label=f"an entry is met ({names})" if alone else None)
    axes.plot(x, y, color=_SECOND, lw=1.8, ls=("-", "--", ":", "-.")[k % 4], zorder=3, label=None if alone else f"limit ({names})")
    for b in stairs.bands if k == 0 else ():
        end = right if b.max_qubits is None else b.max_qubits
        middle = math.sqrt(b.min_qubits * end)
        if b.max_error is None:
            axes.text(middle, math.sqrt(top * bottom), f"{b.entry}: no error limit", color=_SECOND, ha="center", va="center", rotation=90, fontsize=8)
        elif math.log(end / b.min_qubits) > 0.3:
            axes.annotate(
                short(b.max_error), (middle, b.max_error), (0, -3), textcoords="offset points", ha="center", va="top", color=_SECOND, fontsize=7.5
            )


def _cloud(axes: Axes, metrics: DeviceMetrics) -> None:
    """Joint draws of count and mean, spread a little sideways where the count is the same for all."""
    seen = np.flatnonzero(np.isfinite(metrics.draw_mean))
    seen = seen[:: max(1, len(seen) // _CLOUD)]
    if not seen.size:
        return
    sideways = 1 + 0.012 * np.sin(2.399963 * np.arange(seen.size))  # the golden angle: even, and the same every time
    axes.plot(
        metrics.draw_qubits[seen] * sideways, np.maximum(metrics.draw_mean[seen], FLOOR), ls="none", marker="o", ms=2.2, mfc=_SOFT, mec="none",
        zorder=4, label="joint draws of count and mean",
    )  # fmt: skip


def _parts(axes: Axes, frontier: Frontier) -> None:
    """Best connected parts of every size and the proven bound."""
    axes.fill_between(frontier.sizes, np.maximum(frontier.cross[:, 1], FLOOR), frontier.cross[:, 2], color=_ACCENT, alpha=0.18, lw=0, zorder=3.5)
    axes.plot(frontier.sizes, np.maximum(frontier.cross[:, 0], FLOOR), color=_ACCENT, lw=1.3, zorder=3.6, label="best connected part of each size")
    axes.plot(
        frontier.sizes, np.maximum(frontier.bound, FLOOR), color=_MUTED, lw=1.1, ls=(0, (1, 1.2)), zorder=3.6,
        label="proven: no part lies below, by the estimates",
    )  # fmt: skip


def _place(axes: Axes, point: Point, k: int, bottom: float) -> tuple[Any, Label]:
    """One device with its intervals in both directions; on the lower edge, marked so, where no error is known, and on the left one without qubits.

    Returns:
        What was drawn, and the name to be written beside it.
    """
    colour, mark = (_INK if k == 0 else (_MUTED, _ACCENT, _SECOND)[k // len(_MARKS) % 3]), _MARKS[k % len(_MARKS)]
    left = axes.get_xlim()[0]
    x, y = _clipped(point.qubits, 1.05 * left), point.error
    if math.isnan(y.best):
        (line,) = axes.plot(x.best, 1.15 * bottom, marker="|", ms=14, color=colour, ls="none", zorder=8)
        text = f"{point.label}: {'no qubit counted' if point.qubits.best < 1 else 'no error known'}"
        return line, Label(text, x.best, 1.15 * bottom, colour, False)
    best, low, high = (max(v, FLOOR) for v in (y.best, y.low, y.high))
    bars = axes.errorbar(
        x.best, best, xerr=[[x.best - x.low], [x.high - x.best]], yerr=[[best - low], [high - best]], fmt=mark,
        ms=6.5 if k == 0 else 5, color=colour, mfc=colour if k == 0 else "none", capsize=3, elinewidth=1.4, zorder=8,
    )  # fmt: skip
    return bars, Label(point.label, x.best, best, colour, k == 0)


def _clipped(count: Interval, least: float) -> Interval:
    """A count on a logarithmic axis, where 0 has no place."""
    return Interval(low=max(count.low, least), best=max(count.best, least), high=max(count.high, least), level=count.level)


def decay(axes: Axes, decays: DecayTable, fits: FittedErrors, row: int, *, sequences: bool = True) -> None:
    """Survival probabilities of a pair: every sequence, their means, fit and its band at the level of the fits.

    Args:
        axes: To draw on.
        decays: The counts.
        fits: The fits.
        row: Row of ``fits.edges``.
        sequences: Show every sequence, not only the means.
    """
    m = decays.two_qubit_lengths
    fine = np.linspace(m.min(), m.max(), 80)
    for arm, (colour, mark) in enumerate(((_ACCENT, "o"), (_SECOND, "s"))):
        shots, survived = decays.two_qubit_shots[arm, row], decays.two_qubit_survived[arm, row]
        if not shots.any():
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(shots > 0, survived / shots, np.nan)
        if sequences:
            axes.plot(m, share, ls="none", marker=mark, ms=2.6, mfc="none", mec=colour, mew=0.5, alpha=0.5, zorder=2)
        axes.plot(m, _means(share), ls="none", marker=mark, ms=4.2, color=colour, zorder=4, label=_ARMS[arm])
        curve, half = _curve(fits, row, arm, fine)
        if np.isfinite(curve).all():
            axes.plot(fine, curve, color=colour, lw=1.3, zorder=3)
            axes.fill_between(fine, curve - half, curve + half, color=colour, alpha=0.2, lw=0, zorder=1)
    axes.set_ylim(0.15, 1.03)
    axes.set_ylabel("survival probability")


_ARMS = ("reference", "interleaved C-NOT")


def residuals(axes: Axes, decays: DecayTable, fits: FittedErrors, row: int) -> None:
    """Means of a pair less the fit, with the standard error of each mean from the scatter between sequences."""
    m = decays.two_qubit_lengths
    axes.axhline(0, color=_MUTED, lw=0.8)
    reach = 0.0
    for arm, (colour, mark) in enumerate(((_ACCENT, "o"), (_SECOND, "s"))):
        shots, survived = decays.two_qubit_shots[arm, row], decays.two_qubit_survived[arm, row]
        curve, _ = _curve(fits, row, arm, m)
        if not shots.any() or not np.isfinite(curve).all():
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(shots > 0, survived / shots, np.nan)
            held = np.isfinite(share).sum(axis=1)
            error = np.array([np.nanstd(s, ddof=1) if n > 1 else np.nan for s, n in zip(share, held, strict=True)]) / np.sqrt(held)
        off = 100 * (_means(share) - curve)
        axes.errorbar(m + 0.004 * (2 * arm - 1) * np.ptp(m), off, yerr=100 * error, fmt=mark, ms=3, color=colour, elinewidth=0.9, zorder=3)
        reach = max(reach, float(np.nanmax(np.abs(off) + np.nan_to_num(100 * error), initial=0.0)))
    axes.set_ylim(*(np.array([-1.15, 1.15]) * (reach or 1.0)))
    axes.set_xlabel("Cliffords")
    axes.set_ylabel("off by / %")


def _means(share: Real) -> Real:
    """Mean over the sequences of each length; NaN where there is none."""
    held = np.isfinite(share).any(axis=1)
    out = np.full(len(share), np.nan)
    out[held] = np.nanmean(share[held], axis=1)
    return out


def _curve(fits: FittedErrors, row: int, arm: int, m: npt.NDArray[Any]) -> tuple[Real, Real]:
    """A p^m + B of an arm at some lengths, and half the width of its band by the delta rule."""
    p = (fits.p_ref, fits.p_int)[arm][row, 0]
    a, b = fits.curve[row]
    slope = np.stack([a * m * p ** (m - 1.0), p**m])
    covariance = fits.curve_covariance[row][np.ix_([arm, 2], [arm, 2])]
    with np.errstate(invalid="ignore"):
        half = normal_half_width(fits.level) * np.sqrt((slope * (covariance @ slope)).sum(axis=0))
    return a * p**m + b, half


def histogram(axes: Axes, errors: Real, mean: float, limits: Sequence[tuple[str, float]], *, rest: Real | None = None) -> None:
    """C-NOT errors of all pairs on a logarithmic axis, with the mean and the limits of the law.

    Args:
        axes: To draw on.
        errors: Of the counted pairs, ``(M,)``; NaN where there is none.
        mean: Mean over them.
        limits: Names and values.
        rest: Of pairs that are not counted.
    """
    counted, out = (np.maximum(e[np.isfinite(e)], FLOOR) for e in (errors, np.zeros(0) if rest is None else rest))
    seen = np.concatenate([counted, out])
    marks = [v for _, v in limits]
    if seen.size:
        low, high = min([seen.min(), *marks]) * 0.8, max([seen.max(), *marks]) * 1.25
        bins = np.geomspace(low, high, int(np.clip(3 * math.sqrt(seen.size), 12, 48)))
        counts, *_ = axes.hist(counted, bins=bins.tolist(), color=_SOFT, edgecolor=_ACCENT, linewidth=0.7)
        if out.size:
            more, *_ = axes.hist(out, bins=bins.tolist(), bottom=counts, facecolor="none", edgecolor=_MUTED, linewidth=0.9, ls=(0, (2, 1.5)))
            axes.legend(handles=[Patch(fc="none", ec=_MUTED, lw=0.9, ls=(0, (2, 1.5)), label="not counted")], loc="upper left",
                        bbox_to_anchor=(0.0, 0.77), borderpad=0.0, handlelength=1.4)  # fmt: skip
            counts = np.add(counts, more)
        axes.set_ylim(0, (1.5 if out.size else 1.4) * float(np.max(counts)))  # names of limits stand above the bars
    axes.set_xscale("log")
    for _, value in limits:
        axes.axvline(value, color=_SECOND, lw=1.5)
    if not math.isnan(mean):
        axes.axvline(max(mean, FLOOR), color=_INK, lw=1.3, ls="--")
    for k, (name, value) in enumerate(limits):
        _beside_line(axes, name, value, 0.98 - 0.08 * k, _SECOND)
    if not math.isnan(mean):
        _beside_line(axes, f"mean {number(mean)}", max(mean, FLOOR), 0.82, _INK)
    axes.set_xlabel("C-NOT error")
    axes.set_ylabel("pairs")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _log_errors(axes.xaxis)


def _beside_line(axes: Axes, name: str, x: float, height: float, colour: str) -> None:
    """A name to the right of an upright line; to the left where it would leave the axes."""
    axes.get_xlim()  # until asked for, limits are not those of what was drawn
    for side, way in (("left", 1), ("right", -1)):
        text = axes.annotate(
            name, (x, height), (3 * way, 0), xycoords=axes.get_xaxis_transform(), textcoords="offset points", va="top", ha=side, color=colour,
            fontsize=8,
        )  # fmt: skip
        box, frame = text.get_window_extent(), axes.get_window_extent()
        if way < 0 or box.x1 <= frame.x1 or box.x0 - box.width < frame.x0:
            return
        text.remove()


def truth(axes: Axes, true: Truth, fits: FittedErrors) -> None:
    """Estimated C-NOT error of each pair against the true one; of many pairs an even sample from the best to the worst.

    Args:
        axes: To draw on.
        true: True errors.
        fits: Estimates.
    """
    rows = np.flatnonzero(np.isfinite(fits.cnot[:, 0]))
    rows = _sampled(rows[np.argsort(true.cnot_error[fits.edges[rows]])])
    _against(axes, true.cnot_error[fits.edges[rows]], fits.cnot[rows])
    axes.set_xlabel("true C-NOT error (from the noise channel)")
    axes.set_ylabel("estimate and interval")


def contexts(axes: Axes, isolated: Real, simultaneous: Real) -> None:
    """C-NOT errors of the same pairs, one by one and all at once.

    Args:
        axes: To draw on.
        isolated: Best, low, high of pairs run one by one, ``(M, 3)``; pairs without an estimate in either are left out.
        simultaneous: The same of all at once.
    """
    rows = np.flatnonzero(np.isfinite(isolated[:, 0]) & np.isfinite(simultaneous[:, 0]))
    rows = _sampled(rows[np.argsort(isolated[rows, 0])])
    _against(axes, isolated[rows, 0], simultaneous[rows])
    axes.set_xlabel("C-NOT error, isolated")
    axes.set_ylabel("simultaneous")


def distribution(axes: Axes, errors: Sequence[tuple[str, Real]]) -> None:
    """Share of pairs whose C-NOT error is at most x, one line for each run.

    Args:
        axes: To draw on.
        errors: Labels, and errors ``(M,)``; NaN where there is none.
    """
    for k, (label, values) in enumerate(errors):
        seen = np.sort(np.maximum(values[np.isfinite(values)], FLOOR))
        if seen.size:
            colour, style = ((_ACCENT, "-"), (_SECOND, "-"), (_INK, "-"), (_ACCENT, "--"), (_SECOND, "--"), (_INK, "--"), (_MUTED, ":"))[k % 7]
            axes.step(seen, np.arange(1, seen.size + 1) / seen.size, where="post", color=colour, ls=style, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("C-NOT error")
    axes.set_ylabel("share of pairs at most there")
    axes.set_ylim(0, 1.02)
    _log_errors(axes.xaxis)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")


def _sampled(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """At most :data:`_DOTS` of them, evenly spread, both ends among them."""
    return rows if rows.size <= _DOTS else rows[np.linspace(0, rows.size - 1, _DOTS).round().astype(int)]


def _against(axes: Axes, x: Real, y: Real) -> None:
    """Points with intervals about the diagonal; those whose interval misses it are drawn as squares."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    if not x.size:
        axes.text(0.5, 0.5, "no pair to show", transform=axes.transAxes, ha="center", color=_MUTED)
        return
    x, y = np.maximum(x, FLOOR), np.maximum(y, FLOOR)
    hit = (y[:, 1] <= x) & (x <= y[:, 2])
    for which, colour, mark in ((hit, _ACCENT, "o"), (~hit, _SECOND, "s")):
        if which.any():
            best, low, high = y[which].T
            bars = [(best - low).tolist(), (high - best).tolist()]  # lists: numpy 2.1 warns where matplotlib 3.10 looks at one pair's array
            axes.errorbar(x[which], best, yerr=bars, fmt=mark, ms=2.8, color=colour, elinewidth=0.7, lw=0, zorder=3)
    points = np.concatenate([x, y[:, 0]])  # an interval that reaches 0 leaves the figure rather than stretching it
    low = min(points.min(), max(y[:, 1].min(), points.min() / 3))
    ends = [0.85 * low, 1.18 * max(x.max(), y[:, 2].max())]
    axes.plot(ends, ends, color=_MUTED, lw=1, zorder=2)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    _log_errors(axes.xaxis)
    _log_errors(axes.yaxis)


def _log_errors(axis: Any) -> None:
    """Few ticks of a logarithmic axis of error rates, written as 3e-3."""
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if low > 0 else 9
    subs = (1.0,) if decades > 3.5 else (1.0, 3.0) if decades > 1.6 else (1.0, 2.0, 5.0) if decades > 0.8 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: short(float(f"{v:.3g}"))))
    axis.set_minor_formatter(NullFormatter())


def arm_legend() -> list[Line2D]:
    """Handles that name the two arms of :func:`decay`, for one legend over many panels."""
    return [Line2D([], [], color=c, marker=m, ls="-", label=n) for c, m, n in zip((_ACCENT, _SECOND), "os", _ARMS, strict=True)]
