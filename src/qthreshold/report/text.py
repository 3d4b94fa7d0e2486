"""The terminal report: the answer first, then verdicts, device, worst pairs and cost. Renders at 80 columns, colour or not."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qthreshold.device import UNSTATED_GATE
from qthreshold.numerics.decay import REJECTED
from qthreshold.rulebook import short

__all__ = [
    "answer", "disagreement_lines", "frontier_table", "matrix_table", "measured_line", "number", "render", "reported_line", "span", "verdict_table",
    "what_if_table",
]  # fmt: skip

_WORDS = {
    "met": "met", "not_met": "not met", "undetermined": "undetermined", "not_verified": "not verified", "no_entry": "no entry",
    "not_in_force": "not in force",
}  # fmt: skip
_SILENT = (("not_verified", "No verdict, not verified"), ("not_in_force", "No verdict, not in force"), ("no_entry", "No verdict, no entry"))
_MEASURED = re.compile(r"(error) (\d[\d.e+-]*) (above the criterion)")
_MANY = 100  # pairs from which on the report says where most of them lie
_RUNS = 60  # of qubits that follow each other, in a list of the qubits of a register
_NAMED = 3  # how many qubits or pairs that share a reason are named
_STYLE = {"met": "bold red", "not_met": "green", "undetermined": "bold yellow"}


def number(value: float | None, digits: int = 3) -> str:
    """Compact scientific notation for error rates.

    Example:
        >>> number(0.00413), number(0.0), number(None), number(-2e-5)
        ('4.13e-3', '0', '-', '-2.00e-5')
    """
    if value is None or math.isnan(value):
        return "-"
    if abs(value) < 1e-11:  # nothing here is resolved that far
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def span(interval: dict[str, float | None], form: Any = number) -> str:
    """An interval in words: best, and low to high in brackets."""
    if interval["best"] is None:
        return "-"
    return f"{form(interval['best'])} ({form(interval['low'])} to {form(interval['high'])})"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def answer(summary: dict[str, Any]) -> str:
    """The sentence that answers the question."""
    default = {"estimate": summary["cnot_error"]["estimate"], "connected": summary["connected"]}
    head = _measured(summary["connected_working_qubits"], summary["cnot_error"]["mean"], default)
    by = " by this estimate" if _is_upper(summary) and summary["disagreements"] else ""
    failed = summary["cnot_error"]["failed_edges"]
    caveat = f" {failed} pair{'s' if failed > 1 else ''} could not be fitted and {'are' if failed > 1 else 'is'} not in it." if failed else ""
    return f"{summary['device']['name']}: {head}.{caveat} {_outcomes(summary['verdicts'], by)}"


def _measured(count: dict[str, float | None], mean: dict[str, float | None], default: dict[str, str]) -> str:
    """How many qubits, and what error."""
    n = int(count["best"] or 0)
    size = f"{n:,} connected working qubit{'s' if n != 1 else ''}{' (stated, not measured)' if default['connected'] == 'stated' else _spread(count)}"
    if mean["best"] is None:
        return f"{size}, no C-NOT error measured"
    kind = "upper estimate of the mean C-NOT error" if default["estimate"] == "upper" else "mean C-NOT error"
    return f"{size}, {kind} {number(mean['best'])} ({100 * (mean['level'] or 0):g} %: {number(mean['low'])} to {number(mean['high'])})"


def measured_line(count: dict[str, float | None], mean: dict[str, float | None], default: dict[str, str]) -> Text:
    """What was measured, in a sentence.

    Args:
        count: Connected working qubits, as an interval.
        mean: C-NOT error.
        default: The usual interpretation.
    """
    return Text(f"{_measured(count, mean, default)}.", style="bold")


def _spread(count: dict[str, float | None]) -> str:
    """The interval of a number of qubits, where it is not certain."""
    low, high, level = count["low"], count["high"], count["level"]
    if low == high or low is None or high is None or level is None:
        return ""
    return f" ({100 * level:g} %: {low:,.0f} to {high:,.0f})"


def _is_upper(summary: dict[str, Any]) -> bool:
    return bool(summary["cnot_error"]["estimate"] == "upper")


def _stated(summary: dict[str, Any]) -> str:
    return " (stated, not measured)" if summary["connected"] == "stated" else ""


def _outcomes(verdicts: Sequence[dict[str, Any]], by: str) -> str:
    met = [f"{v['entry']} ({v['jurisdiction']})" for v in verdicts if v["outcome"] == "met"]
    open_ = [f"{v['entry']} ({v['jurisdiction']})" for v in verdicts if v["outcome"] == "undetermined"]
    missed = [v["jurisdiction"] for v in verdicts if v["outcome"] == "not_met"]
    out = []
    if met:
        out.append(f"Met: {', '.join(met)}.")
    if open_:
        out.append(f"Cannot tell yet: {', '.join(open_)}.")
    silent = len(verdicts) - len(met) - len(open_) - len(missed)
    if missed and (met or open_):
        out.append(f"Not met{by}: {', '.join(missed)}.")
    elif missed:
        out.append(f"No entry is met{by}{f'; {silent} of {len(verdicts)} instruments give no verdict' if silent else ''}.")
    return " ".join(out) or "No instrument gives a verdict."


def _joined(names: Sequence[str]) -> str:
    """Names in a sentence.

    Example:
        >>> _joined(["France"]), _joined(["France", "Italy", "Japan"])
        ('France', 'France, Italy and Japan')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


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
            outcome = Text(_WORDS[v["outcome"]], style=_STYLE.get(v["outcome"], ""))
            table.add_row(v["jurisdiction"], entry, outcome, "-" if p is None else _percent(p))
        out.append(table)
    groups: dict[str, list[dict[str, Any]]] = {}
    for v in decided:
        groups.setdefault(_alike(v), []).append(v)
    for same in groups.values():
        also = f" The same bands: {_joined([v['jurisdiction'] for v in same[1:]])}." if len(same) > 1 else ""
        out.append(Text(f"{same[0]['jurisdiction']}: {same[0]['reason']}.{also}"))
    return Group(*out, *_without_verdict(verdicts))


def _alike(v: dict[str, Any]) -> str:
    """Equal for instruments that say the same of a device, whatever they call their entries."""
    distance = {k: w for k, w in v["distance"].items() if k not in ("entry", "step_entry")}
    return repr((v["outcome"], v["probability_met"], sorted(distance.items())))


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
    names = [_joined(c) for c in columns.values()]
    table = _table("read with", *(names if len(names) > 1 else ["outcome"]))
    for k, row in enumerate(matrix):
        outcomes = [column[k] for column in columns]
        cells = [Text(_WORDS[o], style=_STYLE.get(o, "")) for o in outcomes]
        table.add_row(", ".join(f"{n} {_words(v)}" for n, v in row["changes"].items()) or "the usual choices", *cells)
    default = matrix[0]["interpretation"]
    usual = Text(f"Usual: {', '.join(f'{k} {_words(v)}' for k, v in default.items())}.")
    return Group(table, usual, *([Text(f"Outcome in: {names[0]}.")] if len(names) == 1 else []))


def _words(value: str) -> str:
    return value.replace("_", " ")


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
    lines = [Text(f"{k:,} qubits: {_ranges(frontier['registers'][str(k)])}") for k in shown if str(k) in frontier.get("registers", {})]
    return Group(table, *lines)


def _ranges(qubits: Sequence[int]) -> str:
    """Numbers, runs of three and more as ranges.

    Example:
        >>> _ranges([0, 1, 2, 3, 7, 9, 10])
        '0-3, 7, 9, 10'
        >>> _ranges(range(0, 1000, 3))[-28:]
        '177 and 274 more, see --json'
    """
    runs: list[list[int]] = []
    for q in qubits:
        if runs and q == runs[-1][-1] + 1:
            runs[-1].append(q)
        else:
            runs.append([q])
    shown = ", ".join(f"{r[0]}-{r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs[:_RUNS])
    more = sum(map(len, runs[_RUNS:]))
    return shown + (f" and {more:,} more, see --json" if more else "")


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
    out: list[RenderableType] = [Text(f"What it would take ({_joined([w['jurisdiction'] for w in same])}):", style="bold"), table]
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


def _percent(p: float) -> str:
    return "< 0.1 %" if 0 < p < 0.001 else "> 99.9 %" if 0.999 < p < 1 else f"{100 * p:.3g} %"


def _device_table(s: dict[str, Any]) -> Table:
    device, error, cost = s["device"], s["cnot_error"], s["cost"]
    level = f"{100 * error['mean']['level']:g} %"
    table = _table("device", device["name"])
    counted = [e for e in s["edges"] if e["cnot_error"]["best"] is not None]
    failed = [e for e in s["edges"] if e["status"] in REJECTED]
    gate = {"": "no two-qubit gate", UNSTATED_GATE: "native gate unstated"}.get(device["two_qubit_gate"], device["two_qubit_gate"])
    table.add_row("qubits and pairs", f"{device['n_qubits']:,} and {device['n_edges']:,} ({gate})")
    table.add_row("working qubits", span(s["working_qubits"], _count))
    connected = s["connected_working_qubits"]
    table.add_row("connected", _count(connected["best"]) + _stated(s) if _stated(s) else span(connected, _count))
    table.add_row("pairs measured", f"{len(counted):,}" + (f", {len(failed):,} could not be fitted" if failed else ""))
    table.add_row(f"C-NOT error, mean ({level})", span(error["mean"]))
    if error["true_mean"] is not None:
        alone = ", each pair alone" if error["interpretation"].get("context") == "simultaneous" else " (simulator)"
        table.add_row(f"  true mean{alone}", number(error["true_mean"]))
    if not _is_upper(s):
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
        table.add_row("missing circuits", f"{len(s['missing_circuits']):,}: {_some(s['missing_circuits'], 3)}")
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
    known = [e for e in s["edges"] if e["cnot_error"]["best"] is not None]
    if not known:
        return None
    truth = any(e["true_cnot_error"] is not None for e in known)
    table = _table("worst pairs", "C-NOT error, upper" if _is_upper(s) else "C-NOT error", *(("true",) if truth else ()), "status")
    for e in sorted(known, key=lambda e: -e["cnot_error"]["best"])[:rows]:
        row = [f"{e['edge'][0]}-{e['edge'][1]}", span(e["cnot_error"])]
        table.add_row(*row, *((number(e["true_cnot_error"]),) if truth else ()), e["status"])
    return table


def _footnotes(s: dict[str, Any]) -> list[Text]:
    """What the status codes of estimates mean, each once, and the pairs that have them."""
    odd: dict[tuple[str, str], list[str]] = {}
    for e in s["edges"]:
        if e["cnot_error"]["best"] is not None and e["reason"]:
            odd.setdefault((e["status"], e["reason"]), []).append(f"{e['edge'][0]}-{e['edge'][1]}")
    return [Text(f"{status} ({_some(pairs)}): {reason}.") for (status, reason), pairs in sorted(odd.items())]


def _some(names: list[str], shown: int = 4) -> str:
    """The first few of a list.

    Example:
        >>> _some(["0-1", "1-2"]), _some(["0-1", "1-2", "2-3"], shown=2)
        ('0-1, 1-2', '0-1, 1-2 and 1 more')
    """
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more:,} more" if more > 0 else "")


def _status(item: dict[str, Any]) -> str:
    return item["status"] if not item["reason"] else f"{item['status']}: {item['reason']}"


def _troubles(s: dict[str, Any], rows: int) -> Table | None:
    """Pairs and qubits without an estimate or not counted, with the reason."""
    unknown = [e for e in s["edges"] if e["cnot_error"]["best"] is None and e["status"] != "not_measured"]
    pairs = [(f"pair {e['edge'][0]}-{e['edge'][1]}", _status(e)) for e in unknown]
    qubits = [(f"qubit {q['qubit']}", _status(q)) for q in s["qubits"] if q["works"] < 0.5]
    if not qubits + pairs:
        return None
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, why in qubits + pairs:
        groups.setdefault(_MEASURED.sub(r"\1 \3", why), []).append((name, why))
    ranked = sorted(groups.values(), key=len, reverse=True)
    table = _table("not counted", "why")
    for same in ranked[:rows]:
        table.add_row(_some([name for name, _ in same], _NAMED), _shared([why for _, why in same]))
    if len(ranked) > rows:
        table.add_row(f"and {sum(map(len, ranked[rows:])):,} more", "see summary.json")
    return table


def _shared(reasons: Sequence[str]) -> str:
    """One reason for all: where they differ in the error that was found, the least and the largest.

    Example:
        >>> _shared(["readout error 0.3 above the criterion 0.2", "readout error 0.25 above the criterion 0.2"])
        'readout error 0.25 to 0.3 above the criterion 0.2'
    """
    found = {m[2] for m in map(_MEASURED.search, reasons) if m}
    if len(found) < 2:
        return reasons[0]
    low, high = min(found, key=float), max(found, key=float)
    return _MEASURED.sub(rf"\1 {low} to {high} \3", reasons[0])


def disagreement_lines(disagreements: Sequence[dict[str, Any]], default: dict[str, str]) -> list[Text]:
    """One line for each other reading of the law that comes out differently.

    Args:
        disagreements: Verdicts, as in ``summary.json``.
        default: The usual interpretation.
    """
    doubt = "an upper estimate; the C-NOT error itself may be lower"
    worst = doubt if default["estimate"] == "upper" else "the worst case of the protocol reaches across a limit"
    why = {"systematics included": worst}
    groups: dict[tuple[str, str], list[str]] = {}
    for v in disagreements:
        changed = {k: w for k, w in v["interpretation"].items() if default.get(k) != w}
        change = ", ".join(f"{k} {_words(w)}" for k, w in changed.items())
        if changed.get("register") == "any_subregister":
            why[change] = v["reason"]
        groups.setdefault((change, _WORDS[v["outcome"]]), []).append(v["jurisdiction"])
    return [
        Text(f"Read with {c}: {o} ({_joined(where)}){f': {why[c]}' if c in why else ''}.", style="yellow") for (c, o), where in groups.items()
    ]  # fmt: skip


def render(summary: dict[str, Any], directory: str, *, worst: int = 5) -> RenderableType:
    """The whole report of a summary.

    Args:
        summary: As in ``summary.json``.
        directory: Where the run lies, for the last line.
        worst: How many of the worst pairs to list.
    """
    as_of = summary["verdicts"][0]["as_of"] if summary["verdicts"] else "-"
    tables = [verdict_table(summary["verdicts"]), _device_table(summary), _worst_pairs(summary, worst), _troubles(summary, 8)]
    end = f"Law as of {as_of}. Evidence, not legal advice. Everything is in {directory} (summary.json)."
    differently = disagreement_lines(summary["disagreements"], summary["cnot_error"]["interpretation"]) if summary["disagreements"] else []
    return Group(Text(answer(summary), style="bold"), *differently, *(t for t in tables if t is not None), *_footnotes(summary), Text(end))
