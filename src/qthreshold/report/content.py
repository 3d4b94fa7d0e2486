"""What a report page says, section by section, as plain texts and rows: the templates only arrange it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qthreshold.device import Device
from qthreshold.interpretation import CHOICES
from qthreshold.numerics.decay import REJECTED
from qthreshold.plan import ONE_QUBIT, READOUT, TWO_QUBIT, Plan, plan_cost
from qthreshold.report.words import (
    OUTCOMES,
    counted_pairs,
    integer,
    is_upper,
    joined,
    many,
    not_counted,
    number,
    pair_name,
    percent,
    plain,
    reasons,
    some,
    span,
    stated,
)
from qthreshold.result import RunRecords
from qthreshold.rulebook import Instrument, short
from qthreshold.verdict import ratio_words

__all__ = [
    "Fact", "best_parts", "distances", "interpretation_rows", "key_figures", "leading", "limit_sentence", "matrix_rows", "method", "pair_rows",
    "planned", "provenance", "qubit_rows", "rule_rows", "silent", "unmeasured", "verdict_rows", "without_paths", "worst_pair_rows",
]  # fmt: skip

_STANDING = {"text": "text read", "secondary": "secondary sources only", "none": "no entry known"}
_MEASURES = {"one_qubit_error": "one-qubit error", "readout_error": "readout error", "cnot_error": "C-NOT error"}
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of a list: what, and its value."""

    name: str
    value: str


def without_paths(text: str) -> str:
    """A backend spec with file paths cut down to file names: a page is passed on, and says nothing of the machine it was made on.

    Example:
        >>> without_paths("aer:/home/ann/lab/chip.toml"), without_paths("ibm:ibm_torino?instance=crn:v1:a/b"), without_paths("aer:heron-133")
        ('aer:chip.toml', 'ibm:ibm_torino', 'aer:heron-133')
    """
    text = re.sub(r"\?.*", "", text, flags=re.DOTALL).rstrip("/\\")  # account and instance
    kind, colon, rest = text.partition(":")
    if re.search(r"[/\\]", kind):
        kind, colon, rest = "", "", text
    return kind + colon + re.split(r"[/\\]", rest)[-1]


def key_figures(s: dict[str, Any]) -> list[Fact]:
    """The numbers of the first screen."""
    error = s["cnot_error"]
    mean, count = error["mean"], s["connected_working_qubits"]
    level = f"{100 * mean['level']:g} % interval"
    kind = "upper estimate of the mean C-NOT error" if is_upper(s) else "mean C-NOT error"
    median = f"; median {number(error['median']['best'])}" if error["median"]["best"] is not None else ""
    spread = f", {level} {integer(count['low'])} to {integer(count['high'])}" if count["low"] != count["high"] else ""
    return [
        Fact(integer(count["best"]), f"connected working qubits{_of_all(s)}{spread}{stated(s)}"),
        Fact(number(mean["best"]), f"{kind}, {level} {number(mean['low'])} to {number(mean['high'])}{median}" if mean["best"] is not None else kind),
    ]


def _of_all(s: dict[str, Any]) -> str:
    """Of how many; a number that the maker states is not one of those that were measured."""
    return "" if stated(s) else f" of {s['device']['n_qubits']:,}"


def leading(s: dict[str, Any]) -> dict[str, Any] | None:
    """The verdict that the first screen speaks of: the first that is met, else open, else not met; None where no instrument gives one."""
    decided = [v for v in s["verdicts"] if v["distance"] is not None]
    rank = {"met": 0, "undetermined": 1}
    return min(decided, key=lambda v: rank.get(v["outcome"], 2), default=None)


def distances(s: dict[str, Any]) -> list[Fact]:
    """How far the device is from the nearest edges of bands, in error and in qubits, by the leading verdict."""
    v = leading(s)
    return [] if v is None else [Fact(*_error_distance(v["distance"], s)), Fact(*_qubit_distance(v["distance"]))]


def limit_sentence(s: dict[str, Any]) -> str:
    """What the limit at this size is, and how the error compares; whose, where instruments differ."""
    v = leading(s)
    if v is None:
        return ""
    d, whose = v["distance"], f" ({v['jurisdiction']})" if len(reasons(s["verdicts"])) > 1 else ""
    if d["entry"] is None:
        if _count_is_open(s):
            return ""
        below = d["step"] is not None and d["step"] > 0
        return f"The device is {'smaller than the smallest' if below else 'larger than the largest'} band{whose}."
    if d["max_error"] is None:
        return f"At this size there is no error limit ({d['entry']}){whose}."
    limit = f"The limit at this size is {short(d['max_error'])}{whose}"
    if d["error_ratio"] is None:
        return f"{limit}."
    what = "the upper estimate" if is_upper(s) else "the error"
    return f"{limit}; {what} is {ratio_words(d['error_ratio'], 1.0)}."


def _count_is_open(s: dict[str, Any]) -> bool:
    """Whether more qubits may work than were counted: counts are missing, or what could not be fitted may hide some."""
    return bool(s["missing_circuits"]) or any(e["status"] in REJECTED for e in s["edges"])


def _error_distance(d: dict[str, Any], s: dict[str, Any]) -> tuple[str, str]:
    if d["entry"] is None:
        begins = d["step"] is not None and d["step"] > 0
        by = "by this count, " if _count_is_open(s) else ""
        return ("no limit", f"{by}below {d['qubits'] + d['step']:,} qubits no band applies" if begins else f"{by}beyond the largest band")
    if d["max_error"] is None:
        return ("no limit", f"{d['entry']} has no error limit")
    if d["error_ratio"] is None:
        return ("not known", f"limit {short(d['max_error'])} ({d['entry']}), but no C-NOT error")
    away = "above the limit" if d["error_ratio"] > 1 else "below the limit"
    gap = abs(s["cnot_error"]["mean"]["best"] - d["max_error"])
    return (f"{d['error_ratio']:.3g} ×", f"the limit of {short(d['max_error'])} at this size ({d['entry']}): {number(gap)} {away}")


def _qubit_distance(d: dict[str, Any]) -> tuple[str, str]:
    if d["step"] is None:
        return ("-", "more qubits change nothing")
    there = "no band applies" if d["step_entry"] is None else d["step_entry"]
    limit = "" if d["step_entry"] is None else ", no error limit" if d["step_max_error"] is None else f", limit {short(d['step_max_error'])}"
    way = "more" if d["step"] > 0 else "fewer"
    return (f"{abs(d['step']):,} {way}", f"qubit{'s' if abs(d['step']) > 1 else ''} to the next band edge: {there}{limit}")


def verdict_rows(s: dict[str, Any], instruments: Sequence[Instrument]) -> list[dict[str, Any]]:
    """One row an instrument, those with a verdict first, as they are listed."""
    rule = {i.id: i for i in instruments}
    out = []
    for v in s["verdicts"]:
        i = rule.get(v["instrument"])
        entry = v["entry"] or (v["distance"] or {}).get("entry") or (i.entry if i is not None else "")
        out.append({
            "jurisdiction": v["jurisdiction"], "entry": entry or "-", "outcome": v["outcome"], "words": OUTCOMES[v["outcome"]],
            "decided": v["distance"] is not None,
            "probability": "-" if v["probability_met"] is None else percent(v["probability_met"], drawn=True),
            "standing": _standing(i), "in_force": _in_force(i),
        })  # fmt: skip
    return sorted(out, key=lambda r: not r["decided"])


def silent(s: dict[str, Any]) -> list[str]:
    """Why the other instruments give none."""
    return [f"{v['jurisdiction']} ({v['instrument']}), {OUTCOMES[v['outcome']]}: {v['reason']}." for v in s["verdicts"] if v["distance"] is None]


def _standing(i: Instrument | None) -> str:
    if i is None:
        return "-"
    return _STANDING[i.standing] + (f" ({i.text_as_of})" if i.text_as_of is not None else "")


def _in_force(i: Instrument | None) -> str:
    return "-" if i is None else f"{i.in_force}" + (f" to {i.until}" if i.until is not None else "")


def matrix_rows(s: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Every reading that the data allow: names of columns (instruments that always agree share one), and rows of outcomes."""
    matrix = s["matrix"]
    if not matrix:
        return [], []
    law = {v["instrument"]: v["jurisdiction"] for v in s["verdicts"]}
    columns: dict[tuple[str, ...], list[str]] = {}
    for rule in matrix[0]["outcomes"]:
        columns.setdefault(tuple(row["outcomes"][rule]["outcome"] for row in matrix), []).append(law[rule])
    rows = [", ".join(f"{n} {plain(v)}" for n, v in row["changes"].items()) or "the usual choices" for row in matrix]
    return [joined(c) for c in columns.values()], [(name, [column[k] for column in columns]) for k, name in enumerate(rows)]


def best_parts(s: dict[str, Any], instruments: Sequence[Instrument]) -> list[list[str]]:
    """Best connected parts of the sizes at which bands begin: size, estimate, as picked, bound."""
    f = s["frontier"]
    row = {k: i for i, k in enumerate(f["sizes"])}
    begins = {b.min_qubits for i in instruments for b in i.bands}
    sizes = sorted({k for k in (*begins, *f["sizes"][-1:]) if k in row})
    of = f["cnot_error"]
    return [
        [f"{k:,}", span({e: of[e][row[k]] for e in ("low", "best", "high")}), number(f["picked"][row[k]]), number(f["bound"][row[k]])] for k in sizes
    ]


def pair_rows(s: dict[str, Any]) -> list[list[str]]:
    """Pairs as texts: name, error, interval, worst case of the protocol, true error, chi-square, status and reason."""
    return [_pair_row(e) for e in s["edges"]]


def worst_pair_rows(s: dict[str, Any], rows: int = 20) -> list[list[str]]:
    """The counted pairs with the largest errors, the worst first."""
    return [_pair_row(e) for e in sorted(counted_pairs(s), key=lambda e: -float(e["cnot_error"]["best"]))[:rows]]


def _pair_row(e: dict[str, Any]) -> list[str]:
    error, chi2 = e["cnot_error"], e["chi2_per_dof"]
    status = e["status"] if e["counted"] or error["best"] is None else f"{e['status']}, not counted"
    return [
        pair_name(e["edge"]), number(error["best"]), _range(error["low"], error["high"]), _range(*e["systematic"]), number(e["true_cnot_error"]),
        "-" if chi2 is None else f"{chi2:.2f}", _why(status, e["reason"]),
    ]  # fmt: skip


def qubit_rows(s: dict[str, Any]) -> list[list[str]]:
    """Qubits as texts: number, whether it works, readout error and interval, one-qubit error and interval, status and reason."""
    out = []
    for q in s["qubits"]:
        read, one = q["readout_error"], q["one_qubit_error"]
        out.append([
            str(q["qubit"]), percent(q["works"]), number(read["best"]), _range(read["low"], read["high"]), number(one["best"]),
            _range(one["low"], one["high"]), _why(q["status"], q["reason"]),
        ])  # fmt: skip
    return out


def _range(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{number(low)} to {number(high)}"


def _why(status: str, reason: str | None) -> str:
    return plain(status) if not reason else f"{plain(status)}: {reason}"


def method(run: RunRecords, s: dict[str, Any]) -> list[Fact]:
    """How it was measured."""
    plan, recipe = run.plan, run.plan.parsed_recipe()
    facts = [
        Fact("Recipe", f"{recipe.name}{f': {recipe.description}' if recipe.description else ''}"),
        Fact("Protocol", _protocol(run)),
        Fact("Lengths, two-qubit", _lengths(plan.two_qubit_lengths)),
        Fact("Lengths, one-qubit", _lengths(plan.one_qubit_lengths)),
        Fact("Random sequences at each length", _sequences(run)),
        Fact("Shots of each circuit", _per_experiment(run, lambda rows: _spread(plan.circuit_shots[rows]))),
        Fact("Layers of pairs run together", _layers(plan)),
        Fact("Pairs measured", f"{len(plan.edges):,} of {plan.n_edges_usable:,} usable ones, {s['device']['n_edges']:,} in all"),
        Fact(
            "Criteria for a working qubit (the maker's to state)", ", ".join(f"{_MEASURES[k]} at most {short(v)}" for k, v in s["criteria"].items())
        ),
        Fact("Circuits and executions", _circuits(s)),
    ]
    low, high = s["cnot_error"]["systematic"]
    if low is not None:
        facts.append(Fact("Worst case of the protocol", f"{number(low)} to {number(high)} about the mean (Magesan et al., arXiv:1203.4550)"))
    return [f for f in facts if f.value]


def planned(plan: Plan, device: Device) -> list[Fact]:
    """What a run will measure."""
    cost = plan_cost(plan, device)
    return [
        Fact("Recipe", plan.parsed_recipe().name),
        Fact("Qubits and pairs", f"{len(plan.qubits):,} of {device.n_qubits:,} qubits, {len(plan.edges):,} of {len(device.edges):,} pairs"),
        Fact(
            "Circuits and executions",
            f"{cost.circuits:,} circuits, {cost.executions:,} executions, about {cost.estimated_seconds:,.0f} s on hardware",
        ),
        Fact("Seed", str(plan.seed)),
    ]


def _protocol(run: RunRecords) -> str:
    elsewhere = "" if len(run.plan.circuit_shots) else " (survival counts measured elsewhere)"
    recipe = run.plan.parsed_recipe()
    if run.fits.estimate == "upper":
        return f"standard randomized benchmarking{elsewhere}; all error of a two-qubit Clifford charged to its 1.5 C-NOTs: an upper estimate"
    if elsewhere:
        return f"interleaved randomized benchmarking{elsewhere}"
    block = "native gate" if recipe.two_qubit.gate == "native" else "compiled C-NOT"
    padded = "with random Pauli padding in both arms" if recipe.two_qubit.protocol == "padded" else "without padding"
    return f"interleaved randomized benchmarking {padded}; interleaved block: {block} ({run.device.two_qubit_gate})"


def _layers(plan: Plan) -> str:
    layers = len(np.unique(plan.circuit_layer[plan.circuit_experiment == TWO_QUBIT]))
    return f"{layers:,} ({plan.context})" if layers else ""


def _circuits(s: dict[str, Any]) -> str:
    return f"{s['cost']['circuits']:,} circuits, {s['cost']['executions']:,} executions" if s["cost"]["circuits"] else ""


def _lengths(lengths: Any) -> str:
    return f"{', '.join(f'{m:,}' for m in lengths.tolist())} Cliffords" if len(lengths) else ""


def _sequences(run: RunRecords) -> str:
    d = run.decays
    parts = []
    for name, shots in (("two-qubit", d.two_qubit_shots), ("one-qubit", d.one_qubit_shots)):
        held = (shots > 0).sum(axis=-1)
        held = held.reshape(-1, held.shape[-1]).max(axis=0) if held.size else held
        if held.size and held.any():
            parts.append(f"{name} {_spread(held)}")
    return ", ".join(parts)


def _per_experiment(run: RunRecords, value: Any) -> str:
    kind = run.plan.circuit_experiment
    names = {READOUT: "readout", ONE_QUBIT: "one-qubit", TWO_QUBIT: "two-qubit"}
    return ", ".join(f"{name} {value(kind == k)}" for k, name in names.items() if (kind == k).any())


def _spread(values: Any) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def interpretation_rows(s: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Each question that the law leaves open, what was taken, and what that means."""
    chosen: Mapping[str, str] = s["cnot_error"]["interpretation"]
    out = []
    for c in CHOICES:
        meaning = next((r.meaning for r in c.readings if r.value == chosen.get(c.name)), None)
        if meaning is not None:
            out.append((c.question, plain(chosen[c.name]), meaning))
    return out


def provenance(run: RunRecords, s: dict[str, Any]) -> list[Fact]:
    """Where the numbers come from, so that somebody else can follow them."""
    charged, estimated = s["cost"]["actual_qpu_seconds"], s["cost"]["estimated_qpu_seconds"]
    spent = f"{charged:,.1f} s charged, {estimated:,.1f} s estimated" if charged is not None else f"about {estimated:,.0f} s on hardware"
    calibrations = [(c["at"] or "time not stated") + (f" (id {c['id']})" if c["id"] else "") for c in run.calibrations]
    facts = [
        Fact("Run", f"{s['run_id']}, started {s['created_at']}"),
        Fact("Device", f"{s['device']['name']} ({without_paths(s['device']['source'])})"),
        Fact("Backend", without_paths(s["backend"])),
        Fact("Calibration stated by the provider", some(calibrations, _NAMED) or "not stated"),
        Fact("Jobs", ", ".join(run.job_ids) or "none: simulated here, or measured elsewhere"),
        Fact("Device time", spent if s["cost"]["circuits"] else "not known"),
        Fact("Seed", str(s["seed"])),
        Fact("Software", ", ".join(f"{k} {v}" for k, v in s["software"].items())),
        Fact("Confidence level", f"{100 * run.fits.level:g} %"),
    ]
    records = [("device", run.device), ("plan", run.plan), ("decays", run.decays), ("fits", run.fits), ("metrics", run.metrics),
               ("frontier", run.frontier), ("verdicts", run.verdicts)]  # fmt: skip
    return [*facts, *(Fact(f"Record {name}", record.id) for name, record in records)]


def rule_rows(s: dict[str, Any], instruments: Sequence[Instrument]) -> list[dict[str, Any]]:
    """Rule files: id, title, citation and official page, and the hash of the file that the verdict was made by."""
    rule = {i.id: i for i in instruments}
    out = []
    for v in s["verdicts"]:
        i, sha = rule.get(v["instrument"]), v["rule_sha256"]
        out.append({
            "id": v["instrument"], "title": i.title if i else "no longer on file", "citation": i.citation if i else "",
            "sha256": sha or "made in code", "changed": bool(i and sha and i.sha256 != sha),
            "url": i.url if i and i.url.startswith("https://") else "",
        })  # fmt: skip
    return out


def unmeasured(s: dict[str, Any]) -> list[str]:
    """What was not measured, or not counted, one sentence each."""
    out = []
    pairs = [pair_name(e["edge"]) for e in s["edges"] if e["status"] == "not_measured"]
    if pairs:
        out.append(f"{many(len(pairs), 'pair')} {'was' if len(pairs) == 1 else 'were'} not measured ({some(pairs, _NAMED)}).")
    for name, qubits in s["not_measured"].items():
        if qubits:
            out.append(f"The {_MEASURES[name]} of {many(len(qubits), 'qubit')} was not measured; it is not held against them.")
    if s["missing_circuits"]:
        out.append(f"Without counts: {many(len(s['missing_circuits']), 'planned circuit')} ({some(s['missing_circuits'], 3)}).")
    out += [f"Not counted: {some(names, _NAMED)} ({why})." for names, why in not_counted(s)]
    if not len(s["edges"]):
        out.append("No coupled pair is known.")
    elif s["cnot_error"]["mean"]["best"] is None:
        out.append("No pair has a C-NOT error, so no verdict can rest on one.")
    if all(e["true_cnot_error"] is None for e in s["edges"]):
        out.append("True errors are not known (they are for simulators only).")
    return [*out, "Leakage, crosstalk beyond the context stated, and drift beyond the run are not measured."]
