"""What a summary says, in words: numbers, intervals, and the sentences that every form of the report shares."""

import math
import re
from collections.abc import Sequence
from typing import Any

from qthreshold.numerics.decay import REJECTED

__all__ = [
    "OUTCOMES", "answer", "counted_pairs", "disagreements", "footnotes", "integer", "is_upper", "joined", "many", "measured", "not_counted", "number",
    "one_line", "pair_name", "percent", "plain", "printable", "ranges", "reasons", "shown_name", "some", "span", "stated",
]  # fmt: skip

OUTCOMES = {
    "met": "met", "not_met": "not met", "undetermined": "undetermined", "not_verified": "not verified", "no_entry": "no entry",
    "not_in_force": "not in force",
}  # fmt: skip
"""Outcomes of verdicts, in words."""

_ABOVE = re.compile(r"(error) (\d[\d.e+-]*) (above the criterion)")
_NAME = 60  # letters of a name that are shown
_UNPRINTABLE = re.compile("[^\\t\\n\\r\\x20-\\x7e\\xa0-\\u200a\\u2010-\\u2027\\u202f-\\u2065\\u206a-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_RUNS = 60  # of qubits that follow each other, in a list of the qubits of a register


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


def integer(value: float | None) -> str:
    """A number of things, with commas; ``-`` where it is not known."""
    return "-" if value is None else f"{value:,.0f}"


def answer(summary: dict[str, Any]) -> str:
    """The sentence that answers the question."""
    default = {"estimate": summary["cnot_error"]["estimate"], "connected": summary["connected"]}
    head = measured(summary["connected_working_qubits"], summary["cnot_error"]["mean"], default)
    by = " by this estimate" if is_upper(summary) and summary["disagreements"] else ""
    return " ".join([f"{shown_name(summary['device']['name'])}: {head}.", *_caveats(summary), _outcomes(summary["verdicts"], by)])


def shown_name(name: str) -> str:
    r"""A name as a part of a sentence: what turns the direction of text or cannot be printed is left out, and no name takes more than a line.

    Example:
        >>> shown_name("chip\u202e 1"), shown_name("x" * 500) == "x" * 59 + "..."
        ('chip 1', True)
    """
    text = one_line(name) or "unnamed"
    return text if len(text) <= _NAME else f"{text[: _NAME - 1]}..."


def printable(text: str) -> str:
    """A text without what cannot be printed, and without marks that turn the direction of what follows."""
    return _UNPRINTABLE.sub("", text)


def one_line(text: str) -> str:
    """A text without what cannot be printed, on one line."""
    return " ".join(printable(text).split())


def many(count: int, what: str) -> str:
    """A number and its noun: ``1 pair``, ``1,200 pairs``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _caveats(summary: dict[str, Any]) -> list[str]:
    """What the count and the mean lack."""
    out = []
    failed = summary["cnot_error"]["failed_edges"] or sum(e["status"] in REJECTED and e["status"] != "no_data" for e in summary["edges"])
    if failed:
        out.append(f"{many(failed, 'pair')} could not be fitted and {'is' if failed == 1 else 'are'} not in it.")
    if missing := len(summary.get("missing_circuits", ())):
        out.append(f"{many(missing, 'planned circuit')} {'has' if missing == 1 else 'have'} no counts, so more may work than was counted.")
    return out


def measured(count: dict[str, float | None], mean: dict[str, float | None], default: dict[str, str]) -> str:
    """How many qubits, and what error."""
    n = int(count["best"] or 0)
    size = f"{n:,} connected working qubit{'s' if n != 1 else ''}{' (stated, not measured)' if default['connected'] == 'stated' else _spread(count)}"
    if mean["best"] is None:
        return f"{size}, no C-NOT error measured"
    kind = "upper estimate of the mean C-NOT error" if default["estimate"] == "upper" else "mean C-NOT error"
    return f"{size}, {kind} {number(mean['best'])} ({100 * (mean['level'] or 0):g} %: {number(mean['low'])} to {number(mean['high'])})"


def _spread(count: dict[str, float | None]) -> str:
    """The interval of a number of qubits, where it is not certain."""
    low, high, level = count["low"], count["high"], count["level"]
    if low == high or low is None or high is None or level is None:
        return ""
    return f" ({100 * level:g} %: {low:,.0f} to {high:,.0f})"


def is_upper(summary: dict[str, Any]) -> bool:
    """Whether the C-NOT errors are upper estimates."""
    return bool(summary["cnot_error"]["estimate"] == "upper")


def stated(summary: dict[str, Any]) -> str:
    """What is to be said behind a number of connected qubits that was not counted."""
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


def joined(names: Sequence[str]) -> str:
    """Names in a sentence.

    Example:
        >>> joined(["France"]), joined(["France", "Italy", "Japan"])
        ('France', 'France, Italy and Japan')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _alike(v: dict[str, Any]) -> str:
    """Equal for instruments that say the same of a device, whatever they call their entries."""
    distance = {k: w for k, w in v["distance"].items() if k not in ("entry", "step_entry")}
    return repr((v["outcome"], v["probability_met"], sorted(distance.items())))


def reasons(verdicts: Sequence[dict[str, Any]]) -> list[str]:
    """Why the instruments that give a verdict give it; those that say the same share a sentence."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for v in verdicts:
        if v["distance"] is not None:
            groups.setdefault(_alike(v), []).append(v)
    out = []
    for first, *rest in groups.values():
        also = f" The same bands: {joined([v['jurisdiction'] for v in rest])}." if rest else ""
        out.append(f"{first['jurisdiction']}: {first['reason']}.{also}")
    return out


def plain(value: str) -> str:
    """A code as words."""
    return value.replace("_", " ")


def ranges(qubits: Sequence[int]) -> str:
    """Numbers, runs of three and more as ranges.

    Example:
        >>> ranges([0, 1, 2, 3, 7, 9, 10])
        '0-3, 7, 9, 10'
        >>> ranges(range(0, 1000, 3))[-28:]
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


def percent(p: float, *, drawn: bool = False) -> str:
    """A probability; never rounded to certainty, nor is one that is a share of draws ever certain."""
    if drawn and p in (0, 1):
        return "> 99.9 %" if p else "< 0.1 %"
    return "< 0.1 %" if 0 < p < 0.001 else "> 99.9 %" if 0.999 < p < 1 else f"{100 * p:.3g} %"


def some(names: list[str], shown: int = 4) -> str:
    """The first few of a list.

    Example:
        >>> some(["0-1", "1-2"]), some(["0-1", "1-2", "2-3"], shown=2)
        ('0-1, 1-2', '0-1, 1-2 and 1 more')
    """
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more:,} more" if more > 0 else "")


def _status(item: dict[str, Any]) -> str:
    return plain(item["status"]) if not item["reason"] else f"{plain(item['status'])}: {item['reason']}"


def _shared(reasons: Sequence[str]) -> str:
    """One reason for all: where they differ in the error that was found, the least and the largest.

    Example:
        >>> _shared(["readout error 0.3 above the criterion 0.2", "readout error 0.25 above the criterion 0.2"])
        'readout error 0.25 to 0.3 above the criterion 0.2'
    """
    found = {m[2] for m in map(_ABOVE.search, reasons) if m}
    if len(found) < 2:
        return reasons[0]
    low, high = min(found, key=float), max(found, key=float)
    return _ABOVE.sub(rf"\1 {low} to {high} \3", reasons[0])


def pair_name(edge: Sequence[int]) -> str:
    """Such as ``3-4``."""
    return f"{edge[0]}-{edge[1]}"


def counted_pairs(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The pairs that the mean runs over; where there is none, all with an estimate."""
    known = [e for e in summary["edges"] if e["cnot_error"]["best"] is not None]
    return [e for e in known if e["counted"]] or known


def footnotes(summary: dict[str, Any]) -> list[str]:
    """What the status codes of estimates mean, each once, and the pairs that have them."""
    odd: dict[tuple[str, str], list[str]] = {}
    for e in summary["edges"]:
        if e["cnot_error"]["best"] is not None and e["reason"]:
            odd.setdefault((e["status"], e["reason"]), []).append(pair_name(e["edge"]))
    return [f"{plain(status).capitalize()} ({some(pairs)}): {reason}." for (status, reason), pairs in sorted(odd.items())]


def not_counted(summary: dict[str, Any]) -> list[tuple[list[str], str]]:
    """Qubits and pairs without an estimate or not counted: those that share a reason, and the reason; the largest group first."""
    unknown = [e for e in summary["edges"] if e["cnot_error"]["best"] is None and e["status"] != "not_measured"]
    pairs = [(f"pair {pair_name(e['edge'])}", _status(e)) for e in unknown]
    qubits = [(f"qubit {q['qubit']}", _status(q)) for q in summary["qubits"] if q["works"] < 0.5]
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, why in qubits + pairs:
        groups.setdefault(_ABOVE.sub(r"\1 \3", why), []).append((name, why))
    ranked = sorted(groups.values(), key=len, reverse=True)
    return [([name for name, _ in same], _shared([why for _, why in same])) for same in ranked]


def disagreements(found: Sequence[dict[str, Any]], default: dict[str, str]) -> list[str]:
    """One sentence for each other reading of the law that comes out differently.

    Args:
        found: Verdicts, as in ``summary.json``.
        default: The usual interpretation.
    """
    doubt = "an upper estimate; the C-NOT error itself may be lower"
    worst = doubt if default["estimate"] == "upper" else "the worst case of the protocol reaches across a limit"
    why = {"systematics included": worst}
    groups: dict[tuple[str, str], list[str]] = {}
    for v in found:
        changed = {k: w for k, w in v["interpretation"].items() if default.get(k) != w}
        change = ", ".join(f"{k} {plain(w)}" for k, w in changed.items())
        if changed.get("register") == "any_subregister":
            why[change] = v["reason"]
        groups.setdefault((change, OUTCOMES[v["outcome"]]), []).append(v["jurisdiction"])
    return [f"Read with {c}: {o} ({joined(where)}){f': {why[c]}' if c in why else ''}." for (c, o), where in groups.items()]
