"""A report in other forms: Markdown for a ticket, CSV for a spreadsheet, figures as SVG and PNG, a PDF. Makes bytes; others write them."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import jinja2

from qthreshold.drift import DeviceDrift
from qthreshold.errors import InputError
from qthreshold.report.chip import device_map
from qthreshold.report.page import NO_FIGURES, has_figures, page_values, render_page
from qthreshold.report.points import Point
from qthreshold.report.site import drift_lines, trend_plates
from qthreshold.report.summary import make_summary
from qthreshold.report.tables import pairs_csv, qubits_csv
from qthreshold.report.words import one_line, printable
from qthreshold.result import RunRecords

__all__ = ["FORM_NAMES", "check_forms", "markdown", "plain_text", "plates_of", "report_files"]

FORM_NAMES = ("html", "md", "json", "csv", "svg", "png", "pdf")
"""Accepted names of forms."""

_NEEDS_FIGURES = ("svg", "png", "pdf")
_NEEDS_TYPST = ("png", "pdf")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~&$])")


def check_forms(forms: Sequence[str], accepted: Sequence[str] = FORM_NAMES) -> None:
    """Refuse what does not exist or cannot be made here.

    Args:
        forms: Names.
        accepted: Those that there are.

    Raises:
        InputError: A form is unknown, or the package that makes it is not installed.
    """
    if not forms:
        raise InputError(f"--format names no form; accepted: {', '.join(accepted)}")
    for form in forms:
        if form not in accepted:
            raise InputError(f"--format: no form {form!r}; accepted: {', '.join(accepted)}")
        if form in _NEEDS_FIGURES and not has_figures():
            raise InputError(f"--format {form} needs matplotlib: pip install 'qthreshold[plots]'")
        if form in _NEEDS_TYPST and importlib.util.find_spec("typst") is None:
            raise InputError(f"--format {form} needs typst: pip install 'qthreshold[pdf]'")


def plates_of(
    run: RunRecords, s: dict[str, Any], *, pairs: str = "", others: Sequence[tuple[str, RunRecords]] = (), points: Sequence[Point] = (),
    drift: DeviceDrift | None = None,
) -> list[Any]:  # fmt: skip
    """Figures of a run, and of its device's drift; none where matplotlib is not installed. Arguments as of :func:`.plates.run_plates`.

    Raises:
        InputError: A pair was not measured; or figures were asked for that cannot be drawn.
    """
    if has_figures():
        from qthreshold.report.plates import run_plates

        trends = trend_plates(drift) if drift is not None else []
        return [*run_plates(run, s, pairs=pairs, others=others, points=points), *trends]
    if pairs or others or points:
        raise InputError(NO_FIGURES)
    return []


def report_files(
    run: RunRecords, forms: Sequence[str], *, pairs: str = "", others: Sequence[tuple[str, RunRecords]] = (), points: Sequence[Point] = (),
    drift: DeviceDrift | None = None,
) -> Iterator[tuple[str, bytes]]:  # fmt: skip
    """Files of a report, each as it is made.

    Args:
        run: The run.
        forms: Of :data:`FORM_NAMES`.
        pairs: Pairs whose decays are shown, such as ``3-4,7-8``, or ``all``; the worst, median and best by default.
        others: Labels and records of other runs, for the staircase, and for what both have measured.
        points: Further devices of the staircase.
        drift: What the history says of the device.

    Raises:
        InputError: See :func:`check_forms` and :func:`plates_of`.
    """
    check_forms(forms)
    s = make_summary(run)
    said = drift_lines(drift) if drift is not None else []
    plates = plates_of(run, s, pairs=pairs, others=others, points=points, drift=drift) if {"html", *_NEEDS_FIGURES} & set(forms) else []
    makers: dict[str, Callable[[], Iterator[tuple[str, bytes]]]] = {
        "html": lambda: iter([("report.html", render_page(run, s, plates, default_pairs=not pairs, drift=said).encode())]),
        "md": lambda: iter([("report.md", markdown("report.md", page_values(run, s) | {"drift": said}).encode())]),
        "json": lambda: iter([("summary.json", (json.dumps(s, indent=1, allow_nan=False) + "\n").encode())]),
        "csv": lambda: iter([("pairs.csv", pairs_csv(s).encode()), ("qubits.csv", qubits_csv(s).encode())]),
        "svg": lambda: _svgs(run, plates),
        "png": lambda: _pngs(run, plates),
        "pdf": lambda: iter([("report.pdf", _pdf(run, s, plates, said))]),
    }
    for form in dict.fromkeys(forms):
        yield from makers[form]()


def markdown(template: str, values: dict[str, Any]) -> str:
    """A Markdown text; whatever comes from records is text in it, and neither markup nor a mention.

    Args:
        template: Name of the template.
        values: What it shows.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qthreshold.report"), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        autoescape=False, finalize=plain_text,  # this is no HTML: finalize takes away what Markdown would read as markup
    )  # fmt: skip
    text = environment.get_template(template).render(**values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def plain_text(value: Any) -> Any:
    """A text in Markdown without anything that Markdown or a forge would read as more than text; other values as they are."""
    if not isinstance(value, str):
        return value
    text = _MARKDOWN.sub(r"\\\1", one_line(value))
    return re.sub(r"([@#:])(?=[\w/])|(?<=www)\.", lambda m: f"{m[0]}\u200b", text)  # no mention of people or tickets, no link, no emoji


def _svgs(run: RunRecords, plates: Sequence[Any]) -> Iterator[tuple[str, bytes]]:
    yield "figures/map.svg", device_map(run.device, run.fits, run.metrics, standalone=True).encode()
    for p in plates:
        yield f"figures/{p.name}.svg", p.svg(inline=False).encode()


def _pngs(run: RunRecords, plates: Sequence[Any]) -> Iterator[tuple[str, bytes]]:
    from qthreshold.report import typesetting

    chip = device_map(run.device, run.fits, run.metrics, standalone=True)
    yield "figures/map.png", typesetting.picture(chip)
    for p in plates:
        yield f"figures/{p.name}.png", p.png()


def _pdf(run: RunRecords, s: dict[str, Any], plates: Sequence[Any], drift: Sequence[str]) -> bytes:
    from qthreshold.report import typesetting

    pictures = {p.name: p.svg(inline=False) for p in plates} | {"map": device_map(run.device, run.fits, run.metrics, standalone=True)}
    listed = [{"name": p.name, "group": p.group, "title": p.title, "alt": p.alt, "caption": p.caption} for p in plates]
    values = page_values(run, s) | {"plates": listed, "drift": list(drift)}
    return typesetting.document(printable(json.dumps(values, default=_plain, ensure_ascii=False)), pictures)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
