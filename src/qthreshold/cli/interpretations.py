"""``qthreshold interpretations``: the choices that the law leaves open."""

from typing import Annotated

import typer

from qthreshold.cli.common import Json, guarded, show, show_json

__all__ = ["app"]

app = typer.Typer(help="The choices that the law leaves open, and what each does to a verdict.", no_args_is_help=True, rich_markup_mode=None)


@app.command("show")
def show_(
    choice: Annotated[str | None, typer.Argument(metavar="CHOICE", help="For example register; all by default.")] = None, json: Json = False
) -> None:  # fmt: skip
    """Each choice: what is not said, the readings, and their consequences.

    \b
    Examples:
      qthreshold interpretations show
      qthreshold interpretations show register
    """  # noqa: D301
    with guarded():
        import dataclasses

        from rich import box
        from rich.table import Table
        from rich.text import Text

        from qthreshold.errors import InputError
        from qthreshold.interpretation import CHOICES
        from qthreshold.suggest import near_matches

        found = [c for c in CHOICES if choice in (None, c.name)]
        if not found:
            raise InputError(f"unknown choice {choice!r}: {near_matches(str(choice), [c.name for c in CHOICES])}")
        if json:
            show_json([dataclasses.asdict(c) for c in found])
            return
        for c in found:
            by = "every verdict is computed for each" if c.decided_by == "judge" else "decided by how it was measured"
            show(Text(f"{c.name}: {c.question} ({by})", style="bold"))
            table = Table("reading", "meaning", "consequence", box=box.SIMPLE_HEAD, pad_edge=False)
            for k, r in enumerate(c.readings):
                table.add_row(r.value + (" (usual)" if k == 0 else ""), r.meaning, r.consequence)
            show(table)
        show("The usual reading is a default of this tool, not of any law. Evidence, not legal advice.")
