"""The figures of a report: which there are for a run, how each is drawn, and the sentence that says what it shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from qthreshold.errors import InputError
from qthreshold.numerics.decay import REASONS
from qthreshold.report import drawing, figures
from qthreshold.report.points import Point, metrics_point
from qthreshold.report.words import number, pair_name, plain, some, span
from qthreshold.result import RunRecords
from qthreshold.rulebook import short

__all__ = ["ALL_PAIRS", "Plate", "comparison_plates", "pair_rows", "run_plates"]

ALL_PAIRS = "all"
_SEQUENCES = 12  # decays up to which every sequence is drawn, beyond only the means


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """A figure with its words.

    Attributes:
        name: For files and ids.
        group: Section of the page: ``bands``, ``decays`` or ``distributions``.
        title: Heading.
        alt: What it shows, in a sentence: the finding, not the kind of picture.
        caption: How to read it.
        size: Inches.
        draw: Draws it on an empty figure.
    """

    name: str
    group: str
    title: str
    alt: str
    caption: str
    size: tuple[float, float]
    draw: Callable[[Figure], None]

    def svg(self, *, inline: bool) -> str:
        """As SVG, for the page or as a file."""
        return drawing.svg(self.draw, self.size, self.name, f"{self.title}. {self.alt}", inline=inline)

    def png(self) -> bytes:
        """As PNG."""
        return drawing.png(self.draw, self.size)


def run_plates(run: RunRecords, summary: dict[str, Any], *, pairs: str = "", others: Sequence[tuple[str, RunRecords]] = (),
               points: Sequence[Point] = ()) -> list[Plate]:  # fmt: skip
    """Figures of one run.

    Args:
        run: The run.
        summary: Its summary.
        pairs: Pairs whose decays are shown, such as ``3-4,7-8``; ``all``; empty for the worst, median and best.
        others: Labels and records of other runs, for the staircase and for what both have measured.
        points: Further devices of the staircase.

    Raises:
        InputError: A pair was not measured.
    """
    out = [_staircase(run, summary, [*(metrics_point(label, r.metrics) for label, r in others), *points])]
    rows = pair_rows(run, pairs)
    out += [_decay(run, summary, title, row, sequences=len(rows) <= _SEQUENCES) for title, row in rows]
    if np.isfinite(run.fits.cnot[:, 0]).any():
        out.append(_histogram(run, summary))
        if run.truth is not None:
            out.append(_truth(run))
    out += [plate for label, other in others if (plate := _contexts(run, label, other)) is not None]
    return out


def comparison_plates(runs: Sequence[tuple[str, RunRecords]]) -> list[Plate]:
    """Figures of several runs side by side.

    Args:
        runs: Labels and records.
    """
    points = [metrics_point(label, r.metrics) for label, r in runs]
    rules = list({i.id: i for _, r in runs for i in r.instruments}.values())
    known = [p for p in points if not np.isnan(p.error.best)]
    best = min(known, key=lambda p: p.error.best, default=None)
    alt = f"{len(points)} runs" + (
        f"; the lowest mean C-NOT error is {number(best.error.best)}, of {best.label}." if best else "; none has an error."
    )

    def stairs(figure: Figure) -> None:
        figures.staircase(figure.subplots(), rules, points[0], others=points[1:])

    def spread(figure: Figure) -> None:
        figures.distribution(figure.subplots(), [(label, r.fits.cnot[:, 0]) for label, r in runs])

    worst = [f"{label}: {number(float(np.nanmedian(r.fits.cnot[:, 0])))}" for label, r in runs if np.isfinite(r.fits.cnot[:, 0]).any()]
    out = [
        Plate(name="staircase", group="bands", title="Where the devices stand", alt=alt, size=(7.4, 4.6), draw=stairs,
              caption="On the staircase or below it an entry is met. Bars are intervals of count and mean error."),
        Plate(name="distribution", group="distributions", title="C-NOT errors of all pairs", size=(7.4, 3.8), draw=spread,
              alt=f"Median error of a pair: {some(worst, 6) or 'none known'}.", caption="A line further left is a better device."),
    ]  # fmt: skip
    for k, (label, r) in enumerate(runs):
        for other_label, other in runs[k + 1 :]:
            plate = _contexts(r, other_label, other, label)
            if plate is not None and len(out) < _SEQUENCES:
                out.append(plate)
    return out


def _staircase(run: RunRecords, summary: dict[str, Any], others: Sequence[Point]) -> Plate:
    device = metrics_point(run.device.name, run.metrics)
    first = next((v["reason"] for v in summary["verdicts"] if v["distance"] is not None), "no instrument gives a verdict")
    caption = "On the staircase or below it an entry is met."
    if run.frontier.reason:
        caption += f" Best connected parts are not shown: {run.frontier.reason}."
    else:
        caption += " The line left of the device is the best connected part of each size (a part of a machine may count as a machine)."

    def draw(figure: Figure) -> None:
        figures.staircase(
            figure.subplots(),
            run.instruments,
            device,
            metrics=run.metrics,
            frontier=run.frontier,
            truth=summary["cnot_error"]["true_mean"],
            others=others,
        )

    return Plate(
        name="staircase", group="bands", title="Limit of the C-NOT error against the number of qubits", alt=f"{device.label}: {first}.",
        caption=caption, size=(7.4, 4.7), draw=draw,
    )  # fmt: skip


def pair_rows(run: RunRecords, pairs: str) -> list[tuple[str, int]]:
    """Titles, and rows of the fits, of the pairs whose decays are shown.

    Raises:
        InputError: A pair was not measured.
    """
    names = [pair_name(e) for e in run.device.edges[run.fits.edges].tolist()]
    if pairs == ALL_PAIRS:
        return [(f"Pair {name}", row) for row, name in enumerate(names)]
    if pairs:
        row_of = {name: row for row, name in enumerate(names)}
        asked = ["-".join(sorted(p.strip().split("-"), key=lambda q: int(q) if q.isdecimal() else -1)) for p in pairs.split(",")]
        if unknown := [p for p in asked if p not in row_of]:
            measured = f"measured were {some(names, 6)}" if names else "no pair was measured"
            raise InputError(f"--pairs: no pair {unknown[0]!r} in this run; {measured}")
        return [(f"Pair {name}", row_of[name]) for name in dict.fromkeys(asked)]
    fitted = np.flatnonzero(np.isfinite(run.fits.cnot[:, 0]))
    order = fitted[np.argsort(run.fits.cnot[fitted, 0])].tolist()
    if not order:
        return [(f"Not fitted: pair {name}", row) for row, name in list(enumerate(names))[:3]]
    picked = {"Worst": order[-1], "Median": order[len(order) // 2], "Best": order[0]}
    titles: dict[int, list[str]] = {}
    for word, row in picked.items():
        titles.setdefault(row, []).append(word if not titles.get(row) else word.lower())
    return [(f"{' and '.join(words)}: pair {names[row]}", row) for row, words in titles.items()]


def _decay(run: RunRecords, summary: dict[str, Any], title: str, row: int, *, sequences: bool) -> Plate:
    edge = int(run.fits.edges[row])
    found, status = summary["edges"][edge], run.fits.edge_status[row]
    reason = run.fits.edge_reason[row] or REASONS.get(status, "")
    fit = "the fit is good" if status == "ok" else f"{plain(status)}: {reason}" if reason else plain(status)
    per_dof = f"; chi-square per degree of freedom {found['chi2_per_dof']:.2g}" if found["chi2_per_dof"] is not None else ""
    error = f"C-NOT error {span(found['cnot_error'])}" if found["cnot_error"]["best"] is not None else "no C-NOT error"

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        figures.decay(upper, run.decays, run.fits, row, sequences=sequences)
        figures.residuals(lower, run.decays, run.fits, row)
        upper.legend(handles=figures.arm_legend(), loc="lower left", handlelength=1.2)

    return Plate(
        name=f"decay-{pair_name(found['edge'])}", group="decays", title=title, alt=f"{error}; {fit}{per_dof}.", caption="", size=(3.5, 3.5), draw=draw
    )


def _histogram(run: RunRecords, summary: dict[str, Any]) -> Plate:
    n = summary["connected_working_qubits"]["best"] or 0
    bands = {b.min_qubits: b for i in run.instruments[::-1] for b in i.bands if b.max_error is not None}
    limits = [
        (f"{short(b.max_error or 0.0)}, {'limit at this size' if b.holds(int(n)) else f'from {first} qubits'}", b.max_error or 0.0)
        for first, b in sorted(bands.items()) if b.holds(int(n)) or first > n
    ][:2]  # fmt: skip
    errors, mean = run.fits.cnot[:, 0], run.metrics.mean.best
    seen = errors[np.isfinite(errors)]
    at = limits[0][1] if limits and limits[0][0].endswith("this size") else None
    under = int((seen <= at).sum()) if at is not None else 0
    below = f"; {f'{under:,}' if under else 'none'} of them at or below the limit {short(at)} at this size" if at is not None else ""
    return Plate(
        name="histogram", group="distributions", title="C-NOT errors of all pairs", size=(4.7, 3.6), caption="",
        alt=f"{seen.size:,} pairs from {number(float(seen.min()))} to {number(float(seen.max()))}, median {number(float(np.median(seen)))}{below}.",
        draw=lambda figure: figures.histogram(figure.subplots(), errors, mean, limits),
    )  # fmt: skip


def _truth(run: RunRecords) -> Plate:
    assert run.truth is not None  # asked before
    rows = np.flatnonzero(np.isfinite(run.fits.cnot[:, 0]))
    true, (_, low, high) = run.truth.cnot_error[run.fits.edges[rows]], run.fits.cnot[rows].T
    held, n, level = int(((low <= true) & (true <= high)).sum()), rows.size, run.fits.level
    spread = np.sqrt(n * level * (1 - level))
    alt = (
        f"{held:,} of {n:,} intervals hold the true error; {100 * level:g} % intervals should hold {n * level:,.0f}, give or take {2 * spread:,.0f}."
    )
    kind = " Estimates are upper estimates: they should lie above." if run.fits.estimate == "upper" else ""
    return Plate(
        name="truth", group="distributions", title="Estimated against true", alt=alt, size=(4.7, 3.6),
        caption=f"The truth is computed from the simulator's noise channel.{kind}",
        draw=lambda figure: figures.truth(figure.subplots(), run.truth, run.fits),  # type: ignore[arg-type]
    )  # fmt: skip


def _contexts(run: RunRecords, label: str, other: RunRecords, own: str = "") -> Plate | None:
    """Isolated against simultaneous, where two runs of one device have measured the same pairs in these two ways."""
    both = {run.plan.context: run, other.plan.context: other}
    if set(both) != {"isolated", "simultaneous"} or not np.array_equal(run.device.edges, other.device.edges):
        return None
    common, i, s = np.intersect1d(both["isolated"].fits.edges, both["simultaneous"].fits.edges, return_indices=True)
    isolated, simultaneous = both["isolated"].fits.cnot[i], both["simultaneous"].fits.cnot[s]
    seen = np.isfinite(isolated[:, 0]) & np.isfinite(simultaneous[:, 0])
    if not seen.any():
        return None
    ratio = float(simultaneous[seen, 0].mean() / isolated[seen, 0].mean())
    higher = int((simultaneous[seen, 1] > isolated[seen, 2]).sum())
    return Plate(
        name=f"contexts-{len(common)}", group="distributions", title=f"Isolated against simultaneous ({f'{own} and ' if own else 'with '}{label})",
        alt=f"Run at once, pairs have {ratio:.3g} times the mean error; {higher:,} of {int(seen.sum()):,} are higher beyond both intervals.",
        caption="Squares: the interval of the one misses the estimate of the other.", size=(4.7, 3.6),
        draw=partial(_draw_contexts, isolated, simultaneous),
    )  # fmt: skip


def _draw_contexts(isolated: Any, simultaneous: Any, figure: Figure) -> None:
    figures.contexts(figure.subplots(), isolated, simultaneous)
