"""The terminal report: the answer first, then verdicts, device, worst pairs and cost. Renders at 80 columns, colour or not."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qthreshold.device import UNSTATED_GATE
from qthreshold.numerics.decay import REJECTED
from qthreshold.report.words import (
    OUTCOMES,
    answer,
    counted_pairs,
    disagreements,
    footnotes,
    integer,
    is_upper,
    joined,
    measured,
    not_counted,
    number,
    pair_name,
    percent,
    plain,
    ranges,
    reasons,
    some,
    span,
    stated,
)
from qthreshold.rulebook import short

__all__ = ["disagreement_lines", "frontier_table", "matrix_table", "measured_line", "render", "reported_line", "verdict_table", "what_if_table"]

_SILENT = (("not_verified", "No verdict, not verified"), ("not_in_force", "No verdict, not in force"), ("no_entry", "No verdict, no entry"))
_MANY = 100  # pairs from which on the report says where most of them lie
_NAMED = 3  # how many qubits or pairs that share a reason are named
_STYLE = {"met": "bold red", "not_met": "green", "undetermined": "bold yellow"}


def measured_line(count: dict[str, float | None], mean: dict[str, float | None], default: dict[str, str]) -> Text:
    """What was measured, in a sentence.

    Args:
        count: Connected working qubits, as an interval.
        mean: C-NOT error.
        default: The usual interpretation.
    """
    return Text(f"{measured(count, mean, default)}.", style="bold")


def _table(*columns: str, right: Iterable[int] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i in set(right) else "left", overflow="fold")
    return table


def verdict_table(verdicts: Sequence[dict[str, Any]]) -> RenderableType:
    """Instruments that give a verdict, one row each, why below; then those that give none, and why."""
    decided = [v for v in verdicts if v["distance"] is not None]
    out: list[RenderableType] = []
    if decided:
        table = _table("law", "entry", "outcome", "P(met)", right=[3])
        for v in decided:
            p = v["probability_met"]
            entry = v["entry"] or v["distance"]["entry"] or "-"
            outcome = Text(OUTCOMES[v["outcome"]], style=_STYLE.get(v["outcome"], ""))
            table.add_row(v["jurisdiction"], entry, outcome, "-" if p is None else percent(p))
        out.append(table)
    return Group(*out, *(Text(line) for line in reasons(verdicts)), *_without_verdict(verdicts))


def _without_verdict(verdicts: Sequence[dict[str, Any]]) -> list[Text]:
    """One line for each kind of instrument that gives no verdict; the whole reason where there is only one of a kind."""
    out = []
    laws = [v["jurisdiction"] for v in verdicts]
    for outcome, words in _SILENT:
        found = [v for v in verdicts if v["outcome"] == outcome]
        if len(found) == 1:
            out.append(Text(f"{found[0]['jurisdiction']} ({found[0]['instrument']}): {found[0]['reason']}."))
        elif found:
            names = [v["jurisdiction"] if laws.count(v["jurisdiction"]) == 1 else f"{v['jurisdiction']} ({v['instrument']})" for v in found]
            out.append(Text(f"{words}: {', '.join(names)}; see 'qthreshold rules show ID'."))
    return out


def reported_line(device: dict[str, Any]) -> Text:
    """What a device says of itself, in a sentence."""
    error, silent = device["two_qubit_error"], device["pairs_without_error"]
    text = (
        f"{device['name']} ({device['source']}) reports (no circuits were run, nothing was measured):"
        f" {device['connected_working_qubits']} connected working qubits of {device['n_qubits']},"
        f" two-qubit gate error of {device['pairs']} pairs mean {number(error['mean'])}, median {number(error['median'])}."
    )
    return Text(text + (f" {silent} pairs report no error and are left out." if silent else ""), style="bold")


def matrix_table(matrix: Sequence[dict[str, Any]], jurisdictions: dict[str, str]) -> RenderableType:
    """Readings in rows, instruments in columns; instruments that agree in every reading share a column.

    Args:
        matrix: As in ``summary.json``.
        jurisdictions: Name of each instrument's jurisdiction.
    """
    if not matrix:
        return Text("No instrument gives a verdict, under any reading.")
    columns: dict[tuple[str, ...], list[str]] = {}
    for rule in matrix[0]["outcomes"]:
        columns.setdefault(tuple(row["outcomes"][rule]["outcome"] for row in matrix), []).append(jurisdictions[rule])
    names = [joined(c) for c in columns.values()]
    table = _table("read with", *(names if len(names) > 1 else ["outcome"]))
    for k, row in enumerate(matrix):
        outcomes = [column[k] for column in columns]
        cells = [Text(OUTCOMES[o], style=_STYLE.get(o, "")) for o in outcomes]
        table.add_row(", ".join(f"{n} {plain(v)}" for n, v in row["changes"].items()) or "the usual choices", *cells)
    default = matrix[0]["interpretation"]
    usual = Text(f"Usual: {', '.join(f'{k} {plain(v)}' for k, v in default.items())}.")
    return Group(table, usual, *([Text(f"Outcome in: {names[0]}.")] if len(names) == 1 else []))


def frontier_table(frontier: dict[str, Any], sizes: Iterable[int]) -> RenderableType:
    """The best connected parts of some sizes: estimate, and what is proven of all.

    Args:
        frontier: As in ``summary.json``, with ``registers`` (qubits of a size) where they are to be named.
        sizes: Sizes to show, as far as there are any.
    """
    if frontier["reason"]:
        return Text(f"Best connected parts: not known; {frontier['reason']}.")
    row = {k: i for i, k in enumerate(frontier["sizes"])}
    shown = sorted({k for k in (*sizes, frontier["sizes"][-1]) if k in row})
    error = frontier["cnot_error"]
    table = _table("best part", "C-NOT error", "as picked", "proven bound", "gap", right=[0, 2, 3, 4])
    for k in shown:
        i = row[k]
        best, bound = frontier["picked"][i], frontier["bound"][i]
        interval = {name: error[name][i] for name in ("low", "best", "high")}
        gap = "0" if best - bound <= 1e-9 * abs(best) else f"{100 * (best - bound) / bound:.2g} %" if bound > 0 else "-"
        estimate = number(interval["best"]) if interval["low"] == interval["high"] else span(interval)
        table.add_row(f"{k:,} qubits", estimate, number(best), number(bound), gap)
    lines = [Text(f"{k:,} qubits: {ranges(frontier['registers'][str(k)])}") for k in shown if str(k) in frontier.get("registers", {})]
    return Group(table, *lines)


def what_if_table(what_ifs: Sequence[dict[str, Any]]) -> RenderableType:
    """What each band would take; instruments with the same bands share a table."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for w in what_ifs:
        groups.setdefault(repr([{k: v for k, v in b.items() if k != "entry"} for b in w["bands"]]), []).append(w)
    return Group(*(part for same in groups.values() for part in _what_if(same)))


def _what_if(same: Sequence[dict[str, Any]]) -> list[RenderableType]:
    first = same[0]
    table = _table("band", "qubits", "C-NOT error at most", "it would take", right=[2])
    for b in first["bands"]:
        qubits = f"{b['min_qubits']} and more" if b["max_qubits"] is None else f"{b['min_qubits']} to {b['max_qubits'] - 1}"
        table.add_row(b["entry"], qubits, "no criterion" if b["max_error"] is None else short(b["max_error"]), _effort(b))
    n, error = first["qubits"], first["cnot_error"]
    out: list[RenderableType] = [Text(f"What it would take ({joined([w['jurisdiction'] for w in same])}):", style="bold"), table]
    limit = first["limit_at_this_count"]
    if limit is not None:
        out.append(Text(f"At {n} qubits a band is met with an error of {short(limit)} or less."))
    if error is not None:
        caught = [f"{a} and more" if b is None else f"{a} to {b}" for a, b in first["counts_caught"]]
        out.append(Text(f"An error of {number(error)} meets a band with {' or '.join(caught)} qubits." if caught else "No count meets a band."))
    if first["times_shots"] is not None:
        total = f" ({first['executions']:,} executions)" if first["executions"] is not None else ""
        out.append(Text(f"About {first['times_shots']:,} times the shots would settle the verdict{total}, if the estimate is right."))
    if first["open_because"]:
        out.append(Text(f"Open: {first['open_because']}."))
    return out


def _effort(band: dict[str, Any]) -> str:
    """What one band would take, in words."""
    if band["met"]:
        return "met"
    more, factor = band["more_qubits"], band["error_factor"]
    parts = [f"{abs(more)} {'more' if more > 0 else 'fewer'} qubit{'s' if abs(more) > 1 else ''}"] if more else []
    if factor is not None:
        parts.append(f"an error {1 / factor:.3g} times smaller" if factor > 0 else "no error at all")
    return " and ".join(parts) or "met if the error is known"


def _device_table(s: dict[str, Any]) -> Table:
    device, error, cost = s["device"], s["cnot_error"], s["cost"]
    level = f"{100 * error['mean']['level']:g} %"
    table = _table("device", device["name"])
    counted = [e for e in s["edges"] if e["cnot_error"]["best"] is not None]
    failed = [e for e in s["edges"] if e["status"] in REJECTED]
    gate = {"": "no two-qubit gate", UNSTATED_GATE: "native gate unstated"}.get(device["two_qubit_gate"], device["two_qubit_gate"])
    table.add_row("qubits and pairs", f"{device['n_qubits']:,} and {device['n_edges']:,} ({gate})")
    table.add_row("working qubits", span(s["working_qubits"], integer))
    connected = s["connected_working_qubits"]
    table.add_row("connected", integer(connected["best"]) + stated(s) if stated(s) else span(connected, integer))
    table.add_row("pairs measured", f"{len(counted):,}" + (f", {len(failed):,} could not be fitted" if failed else ""))
    table.add_row(f"C-NOT error, mean ({level})", span(error["mean"]))
    if error["true_mean"] is not None:
        alone = ", each pair alone" if error["interpretation"].get("context") == "simultaneous" else " (simulator)"
        table.add_row(f"  true mean{alone}", number(error["true_mean"]))
    if not is_upper(s):
        table.add_row("  worst case of protocol", f"{number(error['systematic'][0])} to {number(error['systematic'][1])}")
    elif error["mean"]["best"] is not None:
        table.add_row("  upper estimate", "all error of a two-qubit Clifford charged to its 1.5 C-NOTs")
    table.add_row("  median", span(error["median"]))
    if len(counted) >= _MANY:
        values = sorted(e["cnot_error"]["best"] for e in counted)
        cut = len(values) // 20
        table.add_row("  nine in ten pairs", f"{number(values[cut])} to {number(values[-1 - cut])}")
    table.add_row("  best pair (picked)", span(error["best"]))
    table.add_row("  worst pair (picked)", span(error["worst"]))
    for key, label in (("one_qubit_error", "one-qubit error, median"), ("readout_error", "readout error, median")):
        values = sorted(q[key]["best"] for q in s["qubits"] if q[key]["best"] is not None)
        table.add_row(label, number(values[len(values) // 2]) if values else "-")
    if unchecked := _unchecked(s):
        table.add_row("not measured", unchecked)
    qpu = cost["estimated_qpu_seconds"]
    if cost["circuits"]:
        actual = cost["actual_qpu_seconds"]
        spent = f"about {qpu:,.0f} s on hardware" if actual is None else f"{actual:,.1f} s of device time charged, {qpu:,.1f} s estimated"
        table.add_row("cost", f"{cost['circuits']:,} circuits, {cost['executions']:,} executions, {spent}")
    if s.get("missing_circuits"):
        table.add_row("missing circuits", f"{len(s['missing_circuits']):,}: {some(s['missing_circuits'], 3)}")
    table.add_row("wall time of the stages", f"{sum(cost['wall_seconds'].values()):.1f} s")
    return table


def _unchecked(s: dict[str, Any]) -> str:
    """Criteria of a working qubit that could not be checked, because nothing was measured for them."""
    measured = [q for q in s["qubits"] if q["status"] not in ("absent", "faulty")]
    words = {"readout_error": "readout error", "one_qubit_error": "one-qubit error"}
    lacking = {words[name]: qubits for name, qubits in s["not_measured"].items() if qubits}
    parts = [what if len(qubits) == len(measured) else f"{what} of {len(qubits):,} qubits" for what, qubits in lacking.items()]
    return f"{' and '.join(parts)}; not held against any qubit" if parts else ""


def _worst_pairs(s: dict[str, Any], rows: int) -> Table | None:
    known = counted_pairs(s)
    if not known:
        return None
    truth = any(e["true_cnot_error"] is not None for e in known)
    table = _table("worst pairs", "C-NOT error, upper" if is_upper(s) else "C-NOT error", *(("true",) if truth else ()), "status")
    for e in sorted(known, key=lambda e: -e["cnot_error"]["best"])[:rows]:
        row = [pair_name(e["edge"]), span(e["cnot_error"])]
        table.add_row(*row, *((number(e["true_cnot_error"]),) if truth else ()), e["status"])
    return table


def _troubles(s: dict[str, Any], rows: int) -> Table | None:
    """Pairs and qubits without an estimate or not counted, with the reason."""
    ranked = not_counted(s)
    if not ranked:
        return None
    table = _table("not counted", "why")
    for names, why in ranked[:rows]:
        table.add_row(some(names, _NAMED), why)
    if len(ranked) > rows:
        table.add_row(f"and {sum(len(names) for names, _ in ranked[rows:]):,} more", "see summary.json")
    return table


def disagreement_lines(found: Sequence[dict[str, Any]], default: dict[str, str]) -> list[Text]:
    """One line for each other reading of the law that comes out differently.

    Args:
        found: Verdicts, as in ``summary.json``.
        default: The usual interpretation.
    """
    return [Text(line, style="yellow") for line in disagreements(found, default)]


def render(summary: dict[str, Any], directory: str, *, worst: int = 5) -> RenderableType:
    """The whole report of a summary.

    Args:
        summary: As in ``summary.json``.
        directory: Where the run lies, for the last line.
        worst: How many of the worst pairs to list.
    """
    as_of = summary["verdicts"][0]["as_of"] if summary["verdicts"] else "-"
    tables = [verdict_table(summary["verdicts"]), _device_table(summary), _worst_pairs(summary, worst), _troubles(summary, 8)]
    end = f"Law as of {as_of}. Evidence, not legal advice. Everything is in {directory} (report.html, summary.json)."
    differently = disagreement_lines(summary["disagreements"], summary["cnot_error"]["interpretation"]) if summary["disagreements"] else []
    notes = [Text(line) for line in footnotes(summary)]
    return Group(Text(answer(summary), style="bold"), *differently, *(t for t in tables if t is not None), *notes, Text(end))
