"""Several runs side by side: one page, the same as Markdown, CSV and JSON."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from qthreshold.interpretation import CHOICES
from qthreshold.report.content import limit_sentence, without_paths
from qthreshold.report.export import check_forms, markdown
from qthreshold.report.page import NO_FIGURES, drawn, has_figures, render_template
from qthreshold.report.summary import make_summary
from qthreshold.report.tables import to_csv
from qthreshold.report.words import (
    OUTCOMES,
    answer,
    disagreements,
    integer,
    is_upper,
    joined,
    number,
    plain,
    shown_name,
    span,
    stated,
)
from qthreshold.result import RunRecords
from qthreshold.verdict import NOTICE

__all__ = ["RUNS_FORMS", "run_labels", "runs_dict", "runs_files"]

RUNS_FORMS = ("html", "md", "json", "csv", "svg", "png")
"""Forms of a page of several runs."""


def run_labels(runs: Sequence[RunRecords]) -> list[str]:
    """A name for each run: the device; its day, time or id too, as far as it takes to tell the runs of a device apart, and for all of them alike."""
    names, days = [shown_name(r.device.name) for r in runs], [r.header["created_at"] for r in runs]
    choices = [
        [f"{n}, {d[:10]}" for n, d in zip(names, days, strict=True)],
        [f"{n}, {d[:16].replace('T', ' ')}" for n, d in zip(names, days, strict=True)],
        [f"{n}, {r.header['run_id'][:8]}" for n, r in zip(names, runs, strict=True)],
        [f"{n} ({k})" for k, n in enumerate(names, start=1)],
    ]
    out, taken = list(names), Counter(names)
    for name in (n for n in taken if taken[n] > 1):
        rows = [k for k, n in enumerate(names) if n == name]
        kind = next((c for c in choices if len({c[k] for k in rows}) == len(rows)), choices[-1])
        for k in rows:
            out[k] = kind[k]
    return out if len(set(out)) == len(out) else choices[-1]  # a device may be called what another's run is labelled


def runs_dict(runs: Sequence[RunRecords]) -> dict[str, Any]:
    """The JSON form (schema ``qthreshold/runs/1``): what ``summary.json`` says of each run as a whole."""
    kept = ("run_id", "created_at", "backend", "recipe", "seed", "device", "working_qubits", "connected_working_qubits", "connected", "cnot_error",
            "verdicts", "disagreements")  # fmt: skip
    out = []
    for label, run in zip(run_labels(runs), runs, strict=True):
        s = make_summary(run)
        device = s["device"] | {"source": without_paths(s["device"]["source"])}
        out.append({"label": label, **{k: s[k] for k in kept}, "backend": without_paths(s["backend"]), "device": device})
    return {"schema": "qthreshold/runs/1", "runs": out}


def runs_files(runs: Sequence[RunRecords], forms: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Files of the page, each as it is made.

    Args:
        runs: At least two.
        forms: Of :data:`RUNS_FORMS`.

    Raises:
        InputError: A form cannot be made.
    """
    check_forms(forms, RUNS_FORMS)
    labels = run_labels(runs)
    values = _values(runs, labels)
    plates: list[Any] = []
    if has_figures():
        from qthreshold.report.plates import comparison_plates

        plates = comparison_plates(list(zip(labels, runs, strict=True)))
    for form in dict.fromkeys(forms):
        if form == "html":
            yield "report.html", render_template("runs.html", **values, plates=drawn(plates), no_figures=NO_FIGURES).encode()
        elif form == "md":
            yield "report.md", markdown("runs.md", values).encode()
        elif form == "json":
            yield "runs.json", (json.dumps(runs_dict(runs), indent=1, allow_nan=False) + "\n").encode()
        elif form == "csv":
            yield "runs.csv", _csv(runs, labels).encode()
        else:
            for p in plates:
                yield f"figures/{p.name}.{form}", p.svg(inline=False).encode() if form == "svg" else p.png()


def _values(runs: Sequence[RunRecords], labels: list[str]) -> dict[str, Any]:
    summaries = [make_summary(r) for r in runs]

    def row(name: str, cell: Any) -> tuple[str, list[str]]:
        return name, [cell(s) for s in summaries]

    rows = [
        row("Device", lambda s: s["device"]["name"]), row("Run", lambda s: s["run_id"]), row("Started", lambda s: s["created_at"]),
        row("Backend", lambda s: without_paths(s["backend"])), row("Recipe", lambda s: s["recipe"]),
        row("Law as of", lambda s: s["verdicts"][0]["as_of"] if s["verdicts"] else "-"),
        row("Connected working qubits", _count),
        row("C-NOT errors are", lambda s: "upper estimates" if is_upper(s) else "estimates"),
        row("Level of intervals", lambda s: f"{100 * s['cnot_error']['mean']['level']:g} %"),
        row("C-NOT error, mean", lambda s: span(s["cnot_error"]["mean"])), row("C-NOT error, median", lambda s: span(s["cnot_error"]["median"])),
        row("Best pair (picked)", lambda s: span(s["cnot_error"]["best"])), row("Worst pair (picked)", lambda s: span(s["cnot_error"]["worst"])),
        row("True mean (simulator)", lambda s: number(s["cnot_error"]["true_mean"])),
        row("Pairs measured", lambda s: integer(sum(e["cnot_error"]["best"] is not None for e in s["edges"]))),
        row("Pairs without a fit", lambda s: integer(s["cnot_error"]["failed_edges"])),
    ]  # fmt: skip
    rules = dict.fromkeys(v["instrument"] for s in summaries for v in s["verdicts"])
    by_rule = [{v["instrument"]: v for v in s["verdicts"]} for s in summaries]
    law = {v["instrument"]: v["jurisdiction"] for s in summaries for v in s["verdicts"]}
    decided = [r for r in rules if any(r in found and found[r]["distance"] is not None for found in by_rule)]
    verdicts = [(f"{law[r]} ({r})", [_outcome(found.get(r)) for found in by_rule]) for r in decided]
    return {
        "title": f"{len(runs)} runs side by side: export-control thresholds", "labels": labels, "rows": rows, "verdict_rows": verdicts,
        "silent": _silent([r for r in rules if r not in decided], law, by_rule),
        "answers": [_answer(label, s) for label, s in zip(labels, summaries, strict=True)],
        "disagreements": [
            f"{label}: {line}" for label, s in zip(labels, summaries, strict=True) if s["disagreements"]
            for line in disagreements(s["disagreements"], s["cnot_error"]["interpretation"])
        ],
        "differences": _differences(summaries), "notice": NOTICE,
    }  # fmt: skip


def _silent(rules: Sequence[str], law: dict[str, str], by_rule: Sequence[dict[str, dict[str, Any]]]) -> list[str]:
    """Why instruments give no verdict for any run, in short; those with the same reason share a sentence."""
    groups: dict[str, list[str]] = {}
    for rule in rules:
        short_reasons = dict.fromkeys(re.split(r"; | \(|, so no verdict", found[rule]["reason"])[0] for found in by_rule if rule in found)
        groups.setdefault("; ".join(short_reasons), []).append(f"{law[rule]} ({rule})")
    return [f"{joined(names)}: {why}." for why, names in groups.items()]


def _answer(label: str, s: dict[str, Any]) -> str:
    """The answer of a run under its label."""
    return f"{label}: {answer(s).removeprefix(shown_name(s['device']['name']) + ': ')} {limit_sentence(s)}".strip()


def _csv(runs: Sequence[RunRecords], labels: Sequence[str]) -> str:
    """One line a run; intervals in three columns, verdicts in one each."""
    rows, rules = [], dict.fromkeys(v.instrument for r in runs for v in r.verdicts.verdicts)
    head = ["label", "run_id", "created_at", "device", "connected_working_qubits", "qubits_low", "qubits_high", "estimate", "level"]
    for name in ("mean", "median", "best", "worst"):
        head += [name, f"{name}_low", f"{name}_high"]
    for label, run in zip(labels, runs, strict=True):
        s = make_summary(run)
        count, error = s["connected_working_qubits"], s["cnot_error"]
        row = [label, s["run_id"], s["created_at"], s["device"]["name"], *(count[e] for e in ("best", "low", "high")), error["estimate"]]
        row += [error["mean"]["level"], *(error[name][e] for name in ("mean", "median", "best", "worst") for e in ("best", "low", "high"))]
        found = {v["instrument"]: v["outcome"] for v in s["verdicts"]}
        rows.append([*row, error["true_mean"], *(found.get(rule) for rule in rules)])
    return to_csv([*head, "true_mean", *rules], rows)


def _count(s: dict[str, Any]) -> str:
    count = s["connected_working_qubits"]
    return (integer(count["best"]) if count["low"] == count["high"] else span(count, integer)) + stated(s)


def _outcome(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return "not judged"
    return OUTCOMES[verdict["outcome"]] + (f" ({verdict['entry']})" if verdict["entry"] else "")


def _differences(summaries: Sequence[dict[str, Any]]) -> list[str]:
    """In what the runs cannot be compared without care: fields of their interpretations, criteria, days of the law."""
    out = []
    for c in CHOICES:
        found = dict.fromkeys(s["cnot_error"]["interpretation"].get(c.name, "not judged") for s in summaries)
        if len(found) > 1:
            out.append(f"{c.name}: {joined([plain(v) for v in found])}.")
    levels = dict.fromkeys(f"{100 * s['cnot_error']['mean']['level']:g} %" for s in summaries)
    if len(levels) > 1:
        out.append(f"level of the intervals: {joined(list(levels))}.")
    if len({json.dumps(s["criteria"]) for s in summaries}) > 1:
        out.append("criteria for a working qubit: not the same.")
    days = dict.fromkeys(s["verdicts"][0]["as_of"] for s in summaries if s["verdicts"])
    if len(days) > 1:
        out.append(f"law as of: {joined(list(days))}.")
    return out
