"""``qthreshold rules``: the rulebook."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qthreshold.cli.common import Json, RulesDir, guarded, show, show_json

if TYPE_CHECKING:
    from rich.table import Table

    from qthreshold.rulebook import Instrument
    from qthreshold.rulediff import Difference, RuleDiff
    from qthreshold.schema import Days

__all__ = ["app"]

app = typer.Typer(help="The rulebook: instruments, entries, bands, dates, citations.", no_args_is_help=True, rich_markup_mode=None)


def _table(*columns: str, whole: int = 0) -> "Table":
    """A table whose first columns are never wrapped."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, overflow="fold", no_wrap=i < whole)
    return table


def _document(i: "Instrument") -> dict[str, Any]:
    return {**i.model_dump(mode="json", by_alias=True), "sha256": i.sha256}


def _qubits(low: int, end: int | None) -> str:
    return f"{low} or more" if end is None else f"{low} to {end - 1}"


@app.command("list")
def list_(rules_dir: RulesDir = None, json: Json = False) -> None:
    """All instruments: in force since when, and whether the entry itself was read (text) or only secondary sources."""
    with guarded():
        from qthreshold.rulebook import load_instruments

        found = load_instruments(directory=rules_dir)
        if json:
            show_json([_document(i) for i in found])
            return
        table = _table("id", "jurisdiction", "entry", "in force", "standing", whole=3)
        for i in found:
            since = str(i.in_force).replace("/", "/\n")
            table.add_row(i.id, i.jurisdiction, i.entry, since, i.standing + (f", until {i.until}" if i.until else ""))
        show(table)
        show("No verdicts come from secondary sources. More: qthreshold rules show ID")


@app.command("show")
def show_(rule: str = typer.Argument(metavar="ID", help="For example us-ear."), rules_dir: RulesDir = None, json: Json = False) -> None:
    """One instrument: bands, terms, scope, dates, citation, notes and neighbouring entries."""
    with guarded():
        from qthreshold.rulebook import load_instrument, short

        i = load_instrument(rule, rules_dir)
        if json:
            show_json(_document(i))
            return
        show(f"{i.id}: {i.title} ({i.jurisdiction})")
        show(f"Entry for whole computers: {i.entry}.")
        if i.bands:
            table = _table("entry", "qubits", "C-NOT error at most")
            for b in i.bands:
                table.add_row(b.entry, _qubits(b.min_qubits, b.max_qubits), "no criterion" if b.max_error is None else short(b.max_error))
            show(table)
        else:
            show("No bands: no entry for quantum computers." if i.standing == "text" else f"Bands not verified: {_unread(i)}.")
        for name, words in _terms(i):
            show(f"{name}: {words}.")
        show(_dates(i))
        show(i.citation)
        if i.url:
            print(i.url)  # in one piece, however long
        for note in i.notes:
            show(f"Note: {note}")
        _show_neighbours(i)
        show(f"SHA-256 of the rule file: {i.sha256}")


def _unread(i: "Instrument") -> str:
    return "only secondary sources were read" if i.standing == "secondary" else "nothing was read"


def _terms(i: "Instrument") -> list[tuple[str, str]]:
    """What is stated, with its name."""
    unread = "not read" if i.standing != "text" else "nothing stated"
    found = [
        ("Reported", i.reported), ("Counted", i.counted_qubits), ("Capability", i.capability), ("Error", i.error_term), ("Excluded", i.exclusions),
        ("Destinations", i.destinations), ("Software and technology", i.technology), ("Licence exceptions", ", ".join(i.exceptions)),
    ]  # fmt: skip
    return [(n, w or unread) for n, w in found if w or (n in ("Counted", "Error", "Excluded") and (i.bands or i.standing != "text"))]


def _dates(i: "Instrument") -> str:
    """Dates and standing in one sentence."""

    def day(d: "Days") -> str:
        if d.exact:
            return str(d)
        return f"a day between {d.earliest} and {d.latest}" if "/" in str(d) else f"a day in {d}"

    published = f"Published {i.published}. " if i.published else ""
    secondary = " (secondary)" if i.in_force_standing == "secondary" else ""
    until = f" to {day(i.until)}" if i.until else ""
    amended = f" An amendment of {i.amended} was not read: from {i.amended.earliest} on, the bands are not verified." if i.amended else ""
    read = f", text read as of {i.text_as_of}" if i.text_as_of else ""
    return f"{published}In force from {day(i.in_force)}{secondary}{until}; standing: {i.standing}{read}.{amended}"


def _show_neighbours(i: "Instrument") -> None:
    """Entries for other equipment, whatever the computer can do."""
    from qthreshold.system import condition_words

    if not i.neighbours:
        return
    table = _table("neighbouring entry", "item", "applies where")
    for n in i.neighbours:
        number = n.entry + ("\n(number not verified)" if n.standing == "secondary" else "")
        table.add_row(number, n.title, "; ".join(condition_words(n.item, c) for c in n.conditions))
    show(table)


@app.command("diff")
def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="For example us-ear.")],
    second: Annotated[str, typer.Argument(metavar="B", help="For example eu-dual-use.")],
    rules_dir: RulesDir = None,
    json: Json = False,
) -> None:
    """Where two instruments differ, and what they have in common."""
    with guarded():
        from qthreshold.rulebook import load_instrument
        from qthreshold.rulediff import compare_rules

        a, b = load_instrument(first, rules_dir), load_instrument(second, rules_dir)
        found = compare_rules(a, b)
        if json:
            show_json(found.as_dict())
            return
        _show_bands(found, a, b)
        if found.differences:
            table = _table("", a.id, b.id)
            for d in found.differences:
                table.add_row(_name(d.field), *(w or _blank(d, i) for w, i in ((d.first, a), (d.second, b))))
            show(table)
        _show_different_neighbours(found, a, b)
        show(f"Alike: {', '.join(_name(f) for f in found.agree)}." if found.agree else "Nothing else is stated alike.")


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _name(field: str) -> str:
    return {"in_force_standing": "source of in force", "text_as_of": "text as of"}.get(field, field.replace("_", " "))


def _blank(difference: "Difference", i: "Instrument") -> str:
    """What stands for a field that an instrument's file leaves out."""
    return "not read" if i.standing != "text" and difference.group in ("terms", "scope") else "-"


def _show_bands(found: "RuleDiff", a: "Instrument", b: "Instrument") -> None:
    from qthreshold.rulebook import short
    from qthreshold.rulediff import bands_in_words

    if found.unread:
        for i in (a, b):
            unread = f"not verified, {_unread(i)}{f'; reported: {i.reported}' if i.reported else ''}"
            show(f"Bands of {i.id}: {unread if i.id in found.unread else bands_in_words(i.bands) or 'none'}.")
    elif found.bands is None:
        table = _table("qubits", f"{a.id}: error at most", f"{b.id}: error at most")
        for row in found.band_rows:
            table.add_row(_qubits(row.min_qubits, row.max_qubits), *(short(x) if isinstance(x, float) else x for x in (row.first, row.second)))
        show("Bands differ:")
        show(table)
    elif a.bands:
        show(f"Bands: the same {_NUMBERS[len(a.bands)] if len(a.bands) < len(_NUMBERS) else len(a.bands)} ({found.bands}).")
    else:
        show("Bands: neither has any.")


def _show_different_neighbours(found: "RuleDiff", a: "Instrument", b: "Instrument") -> None:
    counts = [f"{len(i.neighbours) or 'none'} stated for {i.id}" for i in (a, b)]
    if not (a.neighbours and b.neighbours):
        if a.neighbours or b.neighbours:
            show(f"Neighbouring entries: {', '.join(counts)}.")
        return
    show(f"Neighbouring entries: {found.neighbours_same or 'none'} with the same conditions.")
    for rule, entries in ((found.first, found.neighbours_first), (found.second, found.neighbours_second)):
        if entries:
            show(f"Neighbouring entries with conditions that only {rule} has: {'; '.join(entries)}.")


@app.command("validate")
def validate(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A rule file; left out: all shipped ones and those of --rules-dir.")] = None,
    rules_dir: RulesDir = None,
    json: Json = False,
) -> None:
    """Check rule files; the first fault is named with file, line and field."""
    with guarded():
        from qthreshold.rulebook import load_instruments, load_rule_file, rule_ids

        found = [load_rule_file(file)] if file is not None else load_instruments(directory=rules_dir)
        if json:
            show_json(
                [{"id": i.id, "standing": i.standing, "bands": len(i.bands), "neighbours": len(i.neighbours), "sha256": i.sha256} for i in found]
            )
            return
        for i in found:
            parts = [_plural(len(i.bands), "band"), *([f"{_plural(len(i.neighbours), 'neighbouring entry')}"] if i.neighbours else [])]
            content = f"{', '.join(parts)}, standing {i.standing}, in force {i.in_force}"
            show(f"{file} is valid: {i.id}, {content}." if file is not None else f"{i.id}: valid, {content}.")
        if file is not None and not _is_shipped(file) and found[0].id in rule_ids():
            show(f"A shipped rule has the id {found[0].id} too, so --rules-dir refuses this file; give it another one.")


def _is_shipped(file: Path) -> bool:
    from qthreshold.datafiles import shipped

    return file.resolve().parent == shipped("rules").resolve()


def _plural(count: int, word: str) -> str:
    return f"{count or 'no'} {word if count == 1 else f'{word[:-1]}ies' if word.endswith('y') else f'{word}s'}"


@app.command("schema")
def schema(system: Annotated[bool, typer.Option("--system", help="Of a system sheet, not of a rule file.")] = False) -> None:
    """Print the JSON Schema of a rule file, for editors and other programs."""
    with guarded():
        from qthreshold.rulebook import Instrument
        from qthreshold.system import SystemSheet

        model = SystemSheet if system else Instrument
        show_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(by_alias=True)})
