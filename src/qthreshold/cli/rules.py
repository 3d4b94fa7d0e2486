"""``qthreshold rules``: the rulebook."""

import typer

from qthreshold.cli.common import Json, guarded, show, show_json

__all__ = ["app"]

app = typer.Typer(help="The rulebook: instruments, entries, bands, dates, citations.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(json: Json = False) -> None:
    """All instruments."""
    with guarded():
        from rich import box
        from rich.table import Table

        from qthreshold.rulebook import load_instruments

        found = load_instruments()
        if json:
            show_json([i.model_dump(mode="json", by_alias=True) for i in found])
            return
        table = Table("id", "jurisdiction", "entry", "in force", "standing", box=box.SIMPLE_HEAD, pad_edge=False)
        for i in found:
            table.add_row(i.id, i.jurisdiction, i.entry, f"{i.in_force}" + (f" to {i.until}" if i.until else ""), i.standing)
        show(table)


@app.command("show")
def show_(rule: str = typer.Argument(metavar="ID", help="For example us-ear."), json: Json = False) -> None:
    """One instrument: bands, terms, dates and citation."""
    with guarded():
        from rich import box
        from rich.table import Table

        from qthreshold.rulebook import load_instrument, short

        i = load_instrument(rule)
        if json:
            show_json(i.model_dump(mode="json", by_alias=True))
            return
        show(f"{i.id}: {i.title}, {i.entry} ({i.jurisdiction})")
        table = Table("entry", "qubits", "C-NOT error at most", box=box.SIMPLE_HEAD, pad_edge=False)
        for b in i.bands:
            qubits = f"{b.min_qubits} or more" if b.max_qubits is None else f"{b.min_qubits} to {b.max_qubits - 1}"
            table.add_row(b.entry, qubits, "no criterion" if b.max_error is None else short(b.max_error))
        show(table)
        read = f", text read as of {i.text_as_of}" if i.text_as_of else ""
        show(f"Counted: {i.counted_qubits}. Error: {i.error_term}. Excluded: {i.exclusions or '-'}.")
        show(f"In force from {i.in_force}{f' to {i.until}' if i.until else ''}; standing: {i.standing}{read}.")
        show(f"{i.citation}\n{i.url}")
        for note in i.notes:
            show(f"Note: {note}")
