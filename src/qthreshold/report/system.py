"""The terminal report on a lab's other equipment. Renders at 80 columns, colour or not."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from qthreshold.system import NeighbourVerdict

__all__ = ["system_table"]

_WORDS = {"met": "met", "not_met": "not met", "not_stated": "not stated"}
_STYLE = {"met": "bold red", "not_met": "green", "not_stated": "bold yellow"}


def system_table(rows: Sequence["NeighbourVerdict"]) -> RenderableType:
    """Each item against each entry, a column for each law; then why, what the sheet leaves out, and laws that give no verdict.

    Laws with the same entries share a column, results that are the same share a row.

    Args:
        rows: Of one sheet and one day.
    """
    out: list[RenderableType] = [Text(f"Other equipment: {rows[0].sheet}", style="bold")] if rows else []
    named = [row for row in rows if row.name]
    laws = _laws(named)
    groups: dict[tuple[str, ...], list[NeighbourVerdict]] = {}
    for row in named:
        groups.setdefault((row.item, row.name, row.title, row.outcome, row.reason), []).append(row)
    if groups:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=False)
        for column in ("item", "outcome", *(name for name, _ in laws)):
            table.add_column(column, overflow="fold", no_wrap=column == "outcome")
        ranked = sorted(groups.values(), key=lambda same: _place(named, same[0]))
        for same in ranked:
            cells = [", ".join(dict.fromkeys(_number(row) for row in same if row.instrument in ids)) or "-" for _, ids in laws]
            table.add_row(same[0].name, Text(_WORDS[same[0].outcome], style=_STYLE[same[0].outcome]), *cells)
        out += [table, *(Text(f"{same[0].name} ({same[0].title}): {same[0].reason}.") for same in ranked)]
    return Group(*out, *_unlisted(rows), *_silent(rows))


def _laws(rows: Sequence["NeighbourVerdict"]) -> list[tuple[str, list[str]]]:
    """Columns: names of jurisdictions whose laws have the same entries, and the ids of these laws."""
    entries: dict[str, dict[tuple[str, ...], None]] = {}
    whose = {row.instrument: row.jurisdiction for row in rows}
    for row in rows:
        entries.setdefault(row.instrument, {})[row.item, row.title, _number(row)] = None
    columns: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for instrument, asked in entries.items():
        columns.setdefault(tuple(asked), []).append(instrument)
    return [(", ".join(dict.fromkeys(whose[i] for i in ids)), ids) for ids in columns.values()]


def _number(row: "NeighbourVerdict") -> str:
    return f"{row.entry} (number not verified)" if row.entry_standing == "secondary" else row.entry


def _place(rows: Sequence["NeighbourVerdict"], row: "NeighbourVerdict") -> tuple[int, int]:
    """Items in the order of the sheet, entries in that of the law."""
    items = list(dict.fromkeys((r.item, r.name) for r in rows))
    titles = list(dict.fromkeys(r.title for r in rows))
    return items.index((row.item, row.name)), titles.index(row.title)


def _entries(same: Iterable["NeighbourVerdict"]) -> str:
    """Entries and whose they are: ``3A904.a (United States), 3A504 (European Union, United Kingdom)``."""
    where: dict[tuple[str, str], list[str]] = {}
    for row in same:
        where.setdefault((row.entry, row.entry_standing), []).append(row.jurisdiction)
    return ", ".join(
        f"{entry} ({'number not verified; ' if standing == 'secondary' else ''}{', '.join(dict.fromkeys(names))})"
        for (entry, standing), names in where.items()
    )


def _unlisted(rows: Sequence["NeighbourVerdict"]) -> list[Text]:
    """Entries for which the sheet lists nothing."""
    kinds: dict[str, list[NeighbourVerdict]] = {}
    for row in rows:
        if not row.name and row.outcome == "not_stated":
            kinds.setdefault(row.reason, []).append(row)
    return [Text(f"{reason[0].upper()}{reason[1:]}: {_entries(same)}.") for reason, same in kinds.items()]


def _silent(rows: Sequence["NeighbourVerdict"]) -> list[Text]:
    """Instruments that give no verdict on that day, and why."""
    why: dict[str, list[str]] = {}
    for row in rows:
        if row.outcome in ("not_in_force", "not_verified"):
            why.setdefault(row.reason, []).append(row.jurisdiction)
    return [Text(f"{', '.join(dict.fromkeys(names))}: {reason}.") for reason, names in why.items()]
