"""The terminal report: the answer first, then verdicts, device, worst pairs and cost. Renders at 80 columns, colour or not."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from qthreshold.device import UNSTATED_GATE
from qthreshold.numerics.decay import REJECTED

__all__ = ["answer", "number", "render", "span", "verdict_table"]

_WORDS = {
    "met": "met", "not_met": "not met", "undetermined": "undetermined", "not_verified": "not verified", "no_entry": "no entry",
    "not_in_force": "not in force",
}  # fmt: skip
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
    return "-" if value is None else f"{value:.0f}"


def answer(summary: dict[str, Any]) -> str:
    """The sentence that answers the question."""
    n = int(summary["connected_working_qubits"]["best"] or 0)
    mean = summary["cnot_error"]["mean"]
    level = f"{100 * mean['level']:g} %"
    size = f"{n} connected working qubit{'s' if n != 1 else ''}{_stated(summary)}"
    kind = "upper estimate of the mean C-NOT error" if _is_upper(summary) else "mean C-NOT error"
    error = f"{kind} {number(mean['best'])} ({level}: {number(mean['low'])} to {number(mean['high'])})"
    if mean["best"] is None:
        error = "no C-NOT error measured"
    by = " by this estimate" if _is_upper(summary) and summary["disagreements"] else ""
    failed = summary["cnot_error"]["failed_edges"]
    caveat = f" {failed} pair{'s' if failed > 1 else ''} could not be fitted and {'are' if failed > 1 else 'is'} not in it." if failed else ""
    return f"{summary['device']['name']}: {size}, {error}.{caveat} {_outcomes(summary['verdicts'], by)}"


def _is_upper(summary: dict[str, Any]) -> bool:
    return bool(summary["cnot_error"]["estimate"] == "upper")


def _stated(summary: dict[str, Any]) -> str:
    return " (stated, not measured)" if summary["connected"] == "stated" else ""


def _outcomes(verdicts: Sequence[dict[str, Any]], by: str) -> str:
    met = [f"{v['entry']} ({v['jurisdiction']})" for v in verdicts if v["outcome"] == "met"]
    open_ = [f"{v['entry']} ({v['jurisdiction']})" for v in verdicts if v["outcome"] == "undetermined"]
    missed = [v for v in verdicts if v["outcome"] == "not_met"]
    out = []
    if met:
        out.append(f"Met: {', '.join(met)}.")
    if open_:
        out.append(f"Cannot tell yet: {', '.join(open_)}.")
    if missed:
        out.append(f"No entry is met{by}." if len(missed) == len(verdicts) else f"Not met{by}: {', '.join(v['jurisdiction'] for v in missed)}.")
    return " ".join(out) or "No instrument gives a verdict."


def _table(*columns: str, right: Iterable[int] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="right" if i in set(right) else "left", overflow="fold")
    return table


def verdict_table(verdicts: Sequence[dict[str, Any]]) -> Table:
    """One row per instrument: outcome, probability, and why."""
    table = _table("law", "outcome", "P(met)", "why", right=[2])
    for v in verdicts:
        p = v["probability_met"]
        outcome = Text(_WORDS[v["outcome"]], style=_STYLE.get(v["outcome"], ""))
        table.add_row(v["jurisdiction"], outcome, "-" if p is None else _percent(p), v["reason"])
    return table


def _percent(p: float) -> str:
    return "< 0.1 %" if 0 < p < 0.001 else "> 99.9 %" if 0.999 < p < 1 else f"{100 * p:.3g} %"


def _device_table(s: dict[str, Any]) -> Table:
    device, error, cost = s["device"], s["cnot_error"], s["cost"]
    level = f"{100 * error['mean']['level']:g} %"
    table = _table("device", device["name"])
    counted = [e for e in s["edges"] if e["cnot_error"]["best"] is not None]
    failed = [e for e in s["edges"] if e["status"] in REJECTED]
    gate = {"": "no two-qubit gate", UNSTATED_GATE: "native gate unstated"}.get(device["two_qubit_gate"], device["two_qubit_gate"])
    table.add_row("qubits, pairs", f"{device['n_qubits']}, {device['n_edges']} ({gate})")
    table.add_row("working qubits", span(s["working_qubits"], _count))
    connected = s["connected_working_qubits"]
    table.add_row("connected", _count(connected["best"]) + _stated(s) if _stated(s) else span(connected, _count))
    table.add_row("pairs measured", f"{len(counted)}" + (f", {len(failed)} could not be fitted" if failed else ""))
    table.add_row(f"C-NOT error, mean ({level})", span(error["mean"]))
    if error["true_mean"] is not None:
        table.add_row("  true mean (simulator)", number(error["true_mean"]))
    if not _is_upper(s):
        table.add_row("  worst case of protocol", f"{number(error['systematic'][0])} to {number(error['systematic'][1])}")
    elif error["mean"]["best"] is not None:
        table.add_row("  upper estimate", "all error of a two-qubit Clifford charged to its 1.5 C-NOTs")
    table.add_row("  median", span(error["median"]))
    table.add_row("  best pair (picked)", span(error["best"]))
    table.add_row("  worst pair (picked)", span(error["worst"]))
    for key, label in (("one_qubit_error", "one-qubit error, median"), ("readout_error", "readout error, median")):
        values = sorted(q[key]["best"] for q in s["qubits"] if q[key]["best"] is not None)
        table.add_row(label, number(values[len(values) // 2]) if values else "-")
    if unchecked := _unchecked(s):
        table.add_row("not measured", unchecked)
    qpu = cost["estimated_qpu_seconds"]
    if cost["circuits"]:
        table.add_row("cost", f"{cost['circuits']:,} circuits, {cost['executions']:,} executions, about {qpu:,.0f} s on hardware")
    table.add_row("wall time of the stages", f"{sum(cost['wall_seconds'].values()):.1f} s")
    return table


def _unchecked(s: dict[str, Any]) -> str:
    """Criteria of a working qubit that could not be checked, because nothing was measured for them."""
    measured = [q for q in s["qubits"] if q["status"] not in ("absent", "faulty")]
    words = {"readout_error": "readout error", "one_qubit_error": "one-qubit error"}
    lacking = {words[name]: qubits for name, qubits in s["not_measured"].items() if qubits}
    parts = [what if len(qubits) == len(measured) else f"{what} of {len(qubits)} qubits" for what, qubits in lacking.items()]
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
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def _status(item: dict[str, Any]) -> str:
    return item["status"] if not item["reason"] else f"{item['status']}: {item['reason']}"


def _troubles(s: dict[str, Any], rows: int) -> Table | None:
    """Pairs and qubits without an estimate or not counted, with the reason."""
    unknown = [e for e in s["edges"] if e["cnot_error"]["best"] is None and e["status"] != "not_measured"]
    pairs = [(f"pair {e['edge'][0]}-{e['edge'][1]}", _status(e)) for e in unknown]
    qubits = [(f"qubit {q['qubit']}", _status(q)) for q in s["qubits"] if q["works"] < 0.5]
    if not qubits + pairs:
        return None
    groups: dict[str, list[str]] = {}
    for name, why in qubits + pairs:
        groups.setdefault(why, []).append(name)
    table = _table("not counted", "why")
    for why, names in list(groups.items())[:rows]:
        table.add_row(_some(names, _NAMED), why)
    if len(groups) > rows:
        table.add_row(f"and {sum(map(len, list(groups.values())[rows:]))} more", "see summary.json")
    return table


def _disagreements(s: dict[str, Any]) -> list[Text]:
    """One line for each other reading of the law that comes out differently."""
    default = s["cnot_error"]["interpretation"]
    groups: dict[tuple[str, str], list[str]] = {}
    for v in s["disagreements"]:
        change = ", ".join(f"{k} {w.replace('_', ' ')}" for k, w in v["interpretation"].items() if default.get(k) != w)
        groups.setdefault((change, _WORDS[v["outcome"]]), []).append(v["jurisdiction"])
    doubt = "an upper estimate; the C-NOT error itself may be lower" if _is_upper(s) else "the worst case of the protocol reaches across a limit"
    why = {"systematics included": f": {doubt}"}
    return [Text(f"Read with {c}: {o} ({', '.join(where)}){why.get(c, '')}.", style="yellow") for (c, o), where in groups.items()]


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
    return Group(
        Text(answer(summary), style="bold"), *_disagreements(summary), *(t for t in tables if t is not None), *_footnotes(summary), Text(end)
    )
