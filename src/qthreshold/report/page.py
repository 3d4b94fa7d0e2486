"""``report.html``: one file that holds everything, fetches nothing, and runs no script but its own.

Every text that comes from records, and so perhaps from a stranger, is escaped by the templates; a Content-Security-Policy names the hash of the
one script, so that a text that got through all the same could not run.
"""

import base64
import hashlib
import importlib.util
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import jinja2
from markupsafe import Markup

from qthreshold.report import content
from qthreshold.report.chip import device_map, map_alt
from qthreshold.report.points import Point
from qthreshold.report.summary import make_summary
from qthreshold.report.tables import pairs_csv, qubits_csv
from qthreshold.report.words import OUTCOMES, answer, disagreements, footnotes
from qthreshold.result import RunRecords
from qthreshold.verdict import NOTICE

__all__ = ["NO_FIGURES", "drawn", "has_figures", "render_page", "templates"]

NO_FIGURES = "Figures are left out: matplotlib is not installed (pip install 'qthreshold[plots]', then report again)."

_PAIR_COLUMNS = ("Pair", "C-NOT error", "Interval", "Worst case of protocol", "True error", "Chi-square / dof", "Status")
_QUBIT_COLUMNS = ("Qubit", "Works", "Readout error", "Interval", "One-qubit error", "Interval", "Status")


def has_figures() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def templates() -> jinja2.Environment:
    """The templates of the package; they escape what they are given and refuse names that they are not given."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("qthreshold.report"), autoescape=jinja2.select_autoescape(["html"], default=False), trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip


def render_page(run: RunRecords, *, pairs: str = "", others: Sequence[tuple[str, RunRecords]] = (), points: Sequence[Point] = ()) -> str:
    """The page of one run.

    Args:
        run: The run.
        pairs: Pairs whose decays are shown, such as ``3-4,7-8``, or ``all``; the worst, median and best by default.
        others: Labels and records of other runs, for the staircase, and for what both have measured.
        points: Further devices of the staircase.

    Raises:
        InputError: A pair was not measured.
    """
    s = make_summary(run)
    plates: list[Any] = []
    if has_figures():
        from qthreshold.report.plates import run_plates

        plates = run_plates(run, s, pairs=pairs, others=others, points=points)
    without = "" if plates else NO_FIGURES
    fitted = any(e["cnot_error"]["best"] is not None for e in s["edges"])
    columns, rows = content.matrix_rows(s)
    as_of = s["verdicts"][0]["as_of"] if s["verdicts"] else "-"
    empty = _empty_columns(s)
    return _render(
        "run.html", title=f"{s['device']['name']}: export-control thresholds", device=s["device"]["name"], run_id=s["run_id"], day=s["created_at"][:10],
        as_of=as_of, answer=answer(s), limit=content.limit_sentence(s), key_figures=content.key_figures(s), distances=content.distances(s),
        disagreements=disagreements(s["disagreements"], s["cnot_error"]["interpretation"]) if s["disagreements"] else [],
        verdicts=content.verdict_rows(s, run.instruments), matrix_columns=columns, matrix_rows=rows, words=OUTCOMES,
        best_parts=content.best_parts(s), frontier_reason=s["frontier"]["reason"], plates=drawn(plates), no_figures=without,
        map=Markup(device_map(run.device, run.fits, run.metrics)), map_alt=map_alt(run.device, run.fits, run.metrics),
        pair_columns=_kept(_PAIR_COLUMNS, empty), pair_rows=[_kept(r, empty) for r in content.pair_rows(s)], pairs_csv=_base64(pairs_csv(s)),
        qubit_columns=_QUBIT_COLUMNS, qubit_rows=content.qubit_rows(s), qubits_csv=_base64(qubits_csv(s)),
        level=f"{100 * run.fits.level:g} %", default_pairs=not pairs,
        no_decays=without or "No pair was measured.", no_distributions=without or ("" if fitted else "No pair has a C-NOT error."),
        interpretation=content.interpretation_rows(s), method=content.method(run, s), unmeasured=content.unmeasured(s), footnotes=footnotes(s),
        provenance=content.provenance(run, s), rules=content.rule_rows(s, run.instruments), notice=NOTICE,
    )  # fmt: skip


def _empty_columns(s: dict[str, Any]) -> set[int]:
    """Columns of the table of pairs that hold nothing for this run: the worst case of the protocol, true errors."""
    empty = {3: all(e["systematic"][0] is None for e in s["edges"]), 4: all(e["true_cnot_error"] is None for e in s["edges"])}
    return {k for k, nothing in empty.items() if nothing}


def _kept(row: Sequence[str], empty: set[int]) -> list[str]:
    return [v for k, v in enumerate(row) if k not in empty]


def _render(name: str, **values: Any) -> str:
    environment = templates()
    source = environment.loader
    assert source is not None  # made above
    css, script = (source.get_source(environment, file)[0] for file in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(name).render(css=Markup(css), script=Markup(script), script_hash=Markup(digest), **values)


def drawn(plates: Sequence[Any]) -> SimpleNamespace:
    """Figures as the templates take them, by section."""
    out = SimpleNamespace(bands=[], decays=[], distributions=[])
    for p in plates:
        small = p.group == "decays" or p.size[0] < 5
        getattr(out, p.group).append(
            SimpleNamespace(name=p.name, title=p.title, alt=p.alt, caption=p.caption, small=small, svg=Markup(p.svg(inline=True)))
        )
    return out


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
