"""``report.html``: one file that holds everything, fetches nothing, and runs no script but its own.

Every text that comes from records, and so perhaps from a stranger, is escaped by the templates; a Content-Security-Policy names the hash of the
one script, so that a text that got through all the same could not run.
"""

import base64
import hashlib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from qthreshold.device import Device
from qthreshold.plan import Plan
from qthreshold.report import content
from qthreshold.report.chip import device_map, map_alt
from qthreshold.report.tables import pairs_csv, qubits_csv
from qthreshold.report.words import OUTCOMES, answer, disagreements, footnotes, printable, reasons, shown_name
from qthreshold.result import RunRecords
from qthreshold.verdict import NOTICE

if TYPE_CHECKING:
    from qthreshold.report.plates import Plate

__all__ = ["NO_FIGURES", "drawn", "has_figures", "page_values", "render_fragment", "render_page", "render_pending", "render_template"]

NO_FIGURES = "Figures are left out: matplotlib is not installed (pip install 'qthreshold[plots]', then report again)."

_PAIR_COLUMNS = ("Pair", "C-NOT error", "Interval", "Worst case of protocol", "True error", "Chi-square / dof", "Status")
_QUBIT_COLUMNS = ("Qubit", "Works", "Readout error", "Interval", "One-qubit error", "Interval", "Status")


def has_figures() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def page_values(run: RunRecords, s: dict[str, Any]) -> dict[str, Any]:
    """What a page of one run says, as texts and rows that JSON can hold.

    Args:
        run: The run.
        s: Its summary.
    """
    empty = _empty_columns(s)
    columns, rows = content.matrix_rows(s)
    fitted = any(e["cnot_error"]["best"] is not None for e in s["edges"])
    return {
        "title": f"{shown_name(s['device']['name'])}: export-control thresholds", "device": shown_name(s["device"]["name"]),
        "run_id": s["run_id"], "day": s["created_at"][:10], "as_of": s["verdicts"][0]["as_of"] if s["verdicts"] else "-",
        "answer": answer(s), "limit": content.limit_sentence(s),
        "disagreements": disagreements(s["disagreements"], s["cnot_error"]["interpretation"]) if s["disagreements"] else [],
        "key_figures": content.key_figures(s), "distances": content.distances(s), "verdicts": content.verdict_rows(s, run.instruments),
        "reasons": reasons(s["verdicts"]), "silent": content.silent(s), "matrix_columns": columns, "matrix_rows": rows, "words": OUTCOMES,
        "best_parts": content.best_parts(s, run.instruments), "frontier_reason": s["frontier"]["reason"],
        "map_alt": map_alt(run.device, run.fits, run.metrics),
        "pair_columns": _kept(_PAIR_COLUMNS, empty), "pair_rows": [_kept(r, empty) for r in content.pair_rows(s)],
        "worst_pairs": [_kept(r, empty) for r in content.worst_pair_rows(s)],
        "qubit_columns": _QUBIT_COLUMNS, "qubit_rows": content.qubit_rows(s), "level": f"{100 * run.fits.level:g} %",
        "no_decays": "No pair was measured.", "no_distributions": "" if fitted else "No pair has a C-NOT error.",
        "interpretation": content.interpretation_rows(s), "method": content.method(run, s), "unmeasured": content.unmeasured(s),
        "footnotes": footnotes(s), "drift": [],
        "provenance": content.provenance(run, s), "rules": content.rule_rows(s, run.instruments), "notice": NOTICE,
    }  # fmt: skip


def render_page(
    run: RunRecords, s: dict[str, Any], plates: Sequence["Plate"], *, default_pairs: bool = True, drift: Sequence[str] = ()
) -> str:  # fmt: skip
    """The page of one run.

    Args:
        run: The run.
        s: Its summary.
        plates: Its figures; none where matplotlib is not installed.
        default_pairs: Whether the decays are of the pairs that are shown when none are named.
        drift: What the history says of the device, in sentences, the answer first; none where it was not asked.
    """
    values = page_values(run, s) | {"drift": list(drift)}
    missing = {} if has_figures() else {"no_decays": NO_FIGURES, "no_distributions": NO_FIGURES}
    return render_template(
        "run.html", **values | missing, plates=drawn(plates), no_figures=NO_FIGURES, default_pairs=default_pairs,
        map=Markup(device_map(run.device, run.fits, run.metrics)), pairs_csv=_base64(pairs_csv(s)), qubits_csv=_base64(qubits_csv(s)),
    )  # fmt: skip


def render_fragment(run: RunRecords, s: dict[str, Any], plates: Sequence["Plate"]) -> str:
    """The first screen for a notebook: no script, and styles that touch nothing else."""
    chip = Markup(device_map(run.device, run.fits, run.metrics))
    return _environment().get_template("fragment.html").render(**page_values(run, s), plates=drawn(plates), map=chip)


def render_pending(device: Device, plan: Plan, header: Mapping[str, Any], state: str) -> str:
    """The page of a run that has no estimates yet: it says so.

    Args:
        device: The device.
        plan: The plan.
        header: The run's header.
        state: How far the run has come, in a sentence.
    """
    return render_template(
        "pending.html", title=f"{shown_name(device.name)}: not measured yet", device=shown_name(device.name),
        run_id=header["run_id"], day=header["created_at"][:10],
        state=state, plan=content.planned(plan, device), notice=NOTICE,
    )  # fmt: skip


def render_template(name: str, **values: Any) -> str:
    """A page by a template that extends ``base.html``, with its style and script.

    Args:
        name: Template.
        values: What it shows.
    """
    environment = _environment()
    assert environment.loader is not None  # made so
    css, script = (environment.loader.get_source(environment, file)[0] for file in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(name).render(css=Markup(css), script=Markup(script), script_hash=Markup(digest), **values)


def _environment() -> jinja2.Environment:
    """Templates escape what they are given, and refuse names that they are not given."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qthreshold.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters["unbroken"] = _unbroken
    return environment


def _unbroken(text: str) -> Markup:
    """A sentence whose numbers are not broken at their minus signs."""
    return Markup(re.sub(r"\d[\d.]*e-\d+", r'<span class="n">\g<0></span>', str(escape(printable(text)))))


def _empty_columns(s: dict[str, Any]) -> set[int]:
    """Columns of the table of pairs that hold nothing for this run: the worst case of the protocol, true errors."""
    empty = {3: all(e["systematic"][0] is None for e in s["edges"]), 4: all(e["true_cnot_error"] is None for e in s["edges"])}
    return {k for k, nothing in empty.items() if nothing}


def _kept(row: Sequence[str], empty: set[int]) -> list[str]:
    return [v for k, v in enumerate(row) if k not in empty]


def drawn(plates: Sequence["Plate"]) -> SimpleNamespace:
    """Figures as the templates take them, by section."""
    out = SimpleNamespace(bands=[], decays=[], distributions=[], drift=[])
    for p in plates:
        small, svg = p.size[0] < 5, Markup(p.svg(inline=True))
        getattr(out, p.group).append(SimpleNamespace(name=p.name, title=p.title, alt=p.alt, caption=p.caption, small=small, svg=svg))
    return out


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
