"""The figures of a report: which there are for a run, how each is drawn, and the sentence that says what it shows."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from qthreshold.errors import InputError
from qthreshold.report import drawing, figures
from qthreshold.report.content import leading
from qthreshold.report.points import Point, metrics_point
from qthreshold.report.words import joined, many, number, pair_name, plain, shown_name, some, span
from qthreshold.result import RunRecords
from qthreshold.rulebook import Instrument, short

__all__ = ["ALL_PAIRS", "Plate", "comparison_plates", "pair_rows", "run_plates"]

ALL_PAIRS = "all"
_SEQUENCES = 12  # decays up to which every sequence is drawn, beyond only the means
_COMPARED = 6  # comparisons of isolated with simultaneous runs on a page
_LABEL = 24  # letters of a name inside a figure
_RUN = re.compile(r"(, \d{4}-\d\d-\d\d( \d\d:\d\d)?|, [0-9a-f]{8}| \(\d+\))$")  # ends of labels of runs, see run_labels
_FEW = 10  # pairs below which nothing is said of how many intervals should hold the truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """A figure with its words.

    Attributes:
        name: For files and ids.
        group: Section of the page: ``bands``, ``decays``, ``distributions`` or ``drift``.
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
    stated = [Point(_label(p.label), p.qubits, p.error) for p in points]
    out = [_staircase(run, summary, [*(_point(label, r) for label, r in others), *stated])]
    rows = pair_rows(run, pairs)
    out += [_decay(run, summary, title, row, sequences=len(rows) <= _SEQUENCES) for title, row in rows]
    if np.isfinite(run.fits.cnot[:, 0]).any():
        out.append(_histogram(run, summary))
        if run.truth is not None:
            out.append(_truth(run))
    return out + _compared([(run.device.name, run), *others], with_first=True)


def comparison_plates(runs: Sequence[tuple[str, RunRecords]]) -> list[Plate]:
    """Figures of several runs side by side.

    Args:
        runs: Labels and records.
    """
    points = [_point(label, r) for label, r in runs]
    rules = list({i.id: i for _, r in runs for i in _deciding(r)}.values())
    best = min((p for p in points if not np.isnan(p.error.best)), key=lambda p: p.error.best, default=None)
    alt = f"{len(points)} runs" + (
        f"; the lowest mean C-NOT error is {number(best.error.best)}, of {best.label}." if best else "; none has an error."
    )
    medians = [f"{label}: {number(float(np.median(r.fits.cnot[_counted(r), 0])))}" for label, r in runs if _counted(r).any()]
    excluded = any(np.isfinite(r.fits.cnot[~_counted(r), 0]).any() for _, r in runs)
    uncounted = [label for label, r in runs if not len(r.metrics.member_edges) and _counted(r).any()]
    note = f" No pair of {joined(uncounted)} is counted; all that have an error are drawn." if uncounted else ""
    return [
        Plate(
            name="staircase", group="bands", title="Where the devices stand", alt=alt, size=(7.4, 4.6 + _named_below(len(points))),
            caption=f"{_on_the_stairs(rules)} Bars are intervals of count and mean error.",
            draw=lambda figure: figures.staircase(figure.subplots(), rules, points[0], others=points[1:]),
        ),
        Plate(
            name="distribution", group="distributions", title=f"C-NOT errors of {'the counted' if excluded else 'all'} pairs", size=(7.4, 3.8),
            caption=f"A line further left is a better device.{note}", alt=f"Median error of a pair: {some(medians, 6) or 'none known'}.",
            draw=lambda figure: figures.distribution(figure.subplots(), [(_label(label), r.fits.cnot[_counted(r), 0]) for label, r in runs]),
        ),
        *_compared(runs, with_first=False),
    ]  # fmt: skip


def _label(name: str) -> str:
    """A name short enough for a figure; what tells runs of one device apart stays."""
    tail = _RUN.search(name)
    head, end = (shown_name(name[: tail.start()]), tail[0]) if tail is not None else (shown_name(name), "")
    return f"{head if len(head) <= _LABEL else f'{head[: _LABEL - 1]}...'}{end}"


def _point(label: str, run: RunRecords) -> Point:
    kind = {"upper": " (upper estimate)"}.get(run.fits.estimate, "")
    return metrics_point(f"{_label(label)}{kind}", run.metrics)


def _deciding(run: RunRecords) -> list[Instrument]:
    """The instruments that give a verdict."""
    given = {v.instrument for v in run.verdicts.verdicts if v.position is not None}
    return [i for i in run.instruments if i.id in given]


def _named_below(points: int) -> float:
    """Inches that the names of points take where they stand below a staircase."""
    return figures.LEGEND_LINE * math.ceil(points / 2) if points > figures.NAMED else 0.0


def _counted(run: RunRecords) -> npt.NDArray[np.bool_]:
    """Which rows of the fits are pairs that the mean runs over; where there is none, those with an estimate."""
    known = np.isfinite(run.fits.cnot[:, 0])
    counted = known & np.isin(run.fits.edges, run.metrics.member_edges)
    return counted if counted.any() else known


def _on_the_stairs(rules: Sequence[Instrument]) -> str:
    return "On the staircase or below it an entry is met." if rules else "No instrument gives a verdict, so no limit is drawn."


def _staircase(run: RunRecords, summary: dict[str, Any], others: Sequence[Point]) -> Plate:
    device, rules = _point(run.device.name, run), _deciding(run)
    first = leading(summary)
    reason = "no instrument gives a verdict" if first is None else first["reason"]
    caption = _on_the_stairs(rules)
    if run.frontier.reason:
        caption += f" Best connected parts are not shown: {run.frontier.reason}."
    else:
        caption += " The line left of the device is the best connected part of each size (a part of a machine may count as a machine)."

    def draw(figure: Figure) -> None:
        figures.staircase(
            figure.subplots(), rules, device, metrics=run.metrics, frontier=run.frontier, truth=summary["cnot_error"]["true_mean"],
            truth_label=f"true mean{_alone(run)}", others=others,
        )  # fmt: skip

    return Plate(
        name="staircase", group="bands", title="Limit of the C-NOT error against the number of qubits",
        alt=f"{shown_name(run.device.name)}: {reason}.",
        caption=caption, size=(7.4, 4.7 + _named_below(1 + len(others))), draw=draw,
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
    fitted = np.flatnonzero(_counted(run))
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
    reason = run.fits.edge_reason[row]
    fit = "no fault found in the fit" if status == "ok" else f"{plain(status)}: {reason}" if reason else plain(status)
    fit += "; no band, since the end of the decay was fitted too" if status == "asymptote_shifted" else ""
    per_dof = f"; chi-square per degree of freedom {found['chi2_per_dof']:.2g}" if found["chi2_per_dof"] is not None else ""
    error = f"C-NOT error {span(found['cnot_error'])}" if found["cnot_error"]["best"] is not None else "no C-NOT error"
    error += "; not counted" if found["cnot_error"]["best"] is not None and not found["counted"] else ""

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        figures.decay(upper, run.decays, run.fits, row, sequences=sequences)
        figures.residuals(lower, run.decays, run.fits, row)
        upper.legend(handles=figures.arm_legend(), loc="lower left", handlelength=1.2)

    return Plate(
        name=f"decay-{pair_name(found['edge'])}", group="decays", title=title, alt=f"{error}; {fit}{per_dof}.", caption="", size=(3.5, 3.5), draw=draw
    )


def _histogram(run: RunRecords, summary: dict[str, Any]) -> Plate:
    first, n = leading(summary), int(summary["connected_working_qubits"]["best"] or 0)
    bands = next((i.bands for i in run.instruments if first is not None and i.id == first["instrument"]), ())
    limits = [
        (f"{short(b.max_error)}, {'limit at this size' if b.holds(n) else f'from {b.min_qubits} qubits'}", b.max_error)
        for b in bands if b.max_error is not None and (b.holds(n) or b.min_qubits > n)
    ][:2]  # fmt: skip
    counted = _counted(run)
    errors, mean, none = run.fits.cnot[:, 0], run.metrics.mean.best, len(run.metrics.member_edges) == 0
    seen, rest = errors[counted], errors[np.isfinite(errors) & ~counted]
    middle = float(np.median(seen))
    at = limits[0][1] if limits and limits[0][0].endswith("this size") else None
    under = int((seen <= at).sum()) if at is not None else 0
    whose = f" ({first['jurisdiction']})" if first is not None else ""
    some_of_them = f"{under:,}" if under else "none"
    below = f"; {some_of_them} of them at or below the limit {short(at)} at this size{whose}" if at is not None else ""
    out = f"; {many(rest.size, 'pair')} from {_between(rest)} not counted" if rest.size else ""
    floor = int((errors <= figures.FLOOR).sum())
    caption = f"{many(floor, 'estimate')} of {short(figures.FLOOR)} or less stand at the left end." if floor else ""
    return Plate(
        name="histogram", group="distributions", title="C-NOT errors of all pairs", size=(4.7, 3.6), caption=caption,
        alt=f"{many(seen.size, 'counted pair' if rest.size else 'pair')}{', none of them counted,' if none else ''} from {_between(seen)}, "
        f"median {number(middle)}{below}{out}.",
        draw=lambda figure: figures.histogram(figure.subplots(), seen, mean, limits, rest=rest),
    )  # fmt: skip


def _between(errors: npt.NDArray[np.float64]) -> str:
    return f"{number(float(errors.min()))} to {number(float(errors.max()))}"


def _truth(run: RunRecords) -> Plate:
    assert run.truth is not None  # asked before
    rows = np.flatnonzero(np.isfinite(run.fits.cnot[:, 0]))
    true, (_, low, high) = run.truth.cnot_error[run.fits.edges[rows]], run.fits.cnot[rows].T
    n, level = rows.size, run.fits.level
    if run.fits.estimate == "upper":
        alt = f"{int((run.fits.cnot[rows, 0] >= true).sum()):,} of {many(n, 'upper estimate')} lie at or above the true error, as they should."
    else:
        held = int(((low <= true) & (true <= high)).sum())
        spread = 2 * np.sqrt(n * level * (1 - level))
        alt = f"{held:,} of {many(n, 'interval')} {'holds' if n == 1 else 'hold'} the true error"
        alt += f"; {100 * level:g} % intervals should hold {n * level:,.0f}, give or take {spread:,.0f}." if n >= _FEW and not _alone(run) else "."
    caption = "The truth is computed from the simulator's noise channel"
    caption += "; it is that of each pair alone, without what pairs do to each other when run at once." if _alone(run) else "."
    return Plate(
        name="truth", group="distributions", title="Estimated against true", alt=alt, size=(4.7, 3.6),
        caption=caption,
        draw=lambda figure: figures.truth(figure.subplots(), run.truth, run.fits),  # type: ignore[arg-type]
    )  # fmt: skip


def _alone(run: RunRecords) -> str:
    """What is to be said behind a true error where pairs were run at once."""
    return ", each pair alone" if run.plan.context == "simultaneous" else ""


def _compared(runs: Sequence[tuple[str, RunRecords]], *, with_first: bool) -> list[Plate]:
    """Isolated against simultaneous, for runs of one device that measured the same pairs in these two ways.

    Args:
        runs: Labels and records.
        with_first: Only the first with each of the others, not all with each other.
    """
    couples = [(a, b) for k, a in enumerate(runs[: 1 if with_first else None]) for b in runs[k + 1 :] if _comparable(a[1], b[1])]
    return [plate for number, (a, b) in enumerate(couples, start=1) if (plate := _contexts(a, b, number)) is not None][:_COMPARED]


def _comparable(one: RunRecords, other: RunRecords) -> bool:
    alike = one.device.name == other.device.name and one.plan.block == other.plan.block and one.fits.estimate == other.fits.estimate
    contexts = {one.plan.context, other.plan.context} == {"isolated", "simultaneous"}
    return alike and contexts and np.array_equal(one.device.edges, other.device.edges)


def _contexts(one: tuple[str, RunRecords], other: tuple[str, RunRecords], order: int) -> Plate | None:
    both = {r.plan.context: r for _, r in (one, other)}
    _, i, s = np.intersect1d(both["isolated"].fits.edges, both["simultaneous"].fits.edges, return_indices=True)
    isolated, simultaneous = both["isolated"].fits.cnot[i], both["simultaneous"].fits.cnot[s]
    seen = np.isfinite(isolated[:, 0]) & np.isfinite(simultaneous[:, 0])
    if not seen.any():
        return None
    ratio = float(simultaneous[seen, 0].mean() / isolated[seen, 0].mean())
    higher = int((simultaneous[seen, 1] > isolated[seen, 2]).sum())
    return Plate(
        name=f"contexts-{order}", group="distributions", title=f"Isolated against simultaneous ({shown_name(one[0])} and {shown_name(other[0])})",
        alt=f"Run at once, pairs have {ratio:.3g} times the mean error; {higher:,} of {many(int(seen.sum()), 'pair')} higher beyond both intervals.",
        caption="Squares: the interval of the one misses the estimate of the other.", size=(4.7, 3.6),
        draw=partial(_draw_contexts, isolated, simultaneous),
    )  # fmt: skip


def _draw_contexts(isolated: Any, simultaneous: Any, figure: Figure) -> None:
    figures.contexts(figure.subplots(), isolated, simultaneous)
