"""Comparing two instruments: bands, terms, scope, dates."""

import itertools
from dataclasses import dataclass
from typing import Any, Literal

from qthreshold.rulebook import Band, Instrument, Neighbour, short

__all__ = ["BandRow", "Difference", "RuleDiff", "bands_in_words", "compare_rules", "neighbour_words"]

GROUPS: dict[str, tuple[str, ...]] = {
    "instrument": ("jurisdiction", "entry"),
    "terms": ("counted_qubits", "capability", "error_term", "exclusions"),
    "scope": ("technology", "destinations", "exceptions"),
    "dates": ("published", "in_force", "in_force_standing", "until", "amended", "text_as_of"),
    "standing": ("standing", "reported"),
}
"""Fields that are compared, in the order in which they are shown."""

Limit = float | Literal["no band", "no criterion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field in which two instruments differ; None where one of them states nothing."""

    group: str
    field: str
    first: str | None
    second: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRow:
    """Numbers of qubits at which the limits differ; ``max_qubits`` is the first number beyond, None for no end."""

    min_qubits: int
    max_qubits: int | None
    first: Limit
    second: Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDiff:
    """What two instruments have in common and where they differ.

    Attributes:
        first, second: Their ids.
        unread: Those of the two whose bands were not read; what these are is not known, so they cannot be compared.
        bands: The bands in words where they are the same; None where they differ or were not read.
        band_rows: Where they differ.
        differences: Fields that differ.
        agree: Names of the fields that both state alike.
        neighbours_first, neighbours_second: Neighbouring entries whose item and conditions the other one does not have.
        neighbours_same: How many entries both have, under whatever number.
    """

    first: str
    second: str
    unread: tuple[str, ...]
    bands: str | None
    band_rows: tuple[BandRow, ...]
    differences: tuple[Difference, ...]
    agree: tuple[str, ...]
    neighbours_first: tuple[str, ...]
    neighbours_second: tuple[str, ...]
    neighbours_same: int

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "first": self.first, "second": self.second,
            "bands": {
                "same": None if self.unread else self.bands is not None, "not_verified": list(self.unread), "words": self.bands,
                "rows": [{"min_qubits": r.min_qubits, "max_qubits": r.max_qubits, "first": r.first, "second": r.second} for r in self.band_rows],
            },
            "differences": [{"group": d.group, "field": d.field, "first": d.first, "second": d.second} for d in self.differences],
            "agree": list(self.agree),
            "neighbours": {"same": self.neighbours_same, "first": list(self.neighbours_first), "second": list(self.neighbours_second)},
        }  # fmt: skip


def compare_rules(first: Instrument, second: Instrument) -> RuleDiff:
    """Compare two instruments.

    Example:
        >>> from qthreshold.rulebook import load_instrument
        >>> compare_rules(load_instrument("us-ear"), load_instrument("ca-ecl")).band_rows
        ()
    """
    unread = tuple(dict.fromkeys(i.id for i in (first, second) if i.standing != "text"))
    rows = () if unread else _band_rows(first.bands, second.bands)
    differences, agree = [], []
    for group, fields in GROUPS.items():
        for name in fields:
            a, b = _words(getattr(first, name)), _words(getattr(second, name))
            if a != b:
                differences.append(Difference(group=group, field=name, first=a, second=b))
            elif a is not None and group != "instrument":
                agree.append(name)
    ours, theirs = ({_asks(n): n for n in i.neighbours} for i in (first, second))
    return RuleDiff(
        first=first.id, second=second.id, unread=unread, band_rows=rows,
        bands=None if rows or unread else bands_in_words(first.bands), differences=tuple(differences),
        agree=tuple(agree), neighbours_first=tuple(neighbour_words(n) for k, n in ours.items() if k not in theirs),
        neighbours_second=tuple(neighbour_words(n) for k, n in theirs.items() if k not in ours), neighbours_same=len(ours.keys() & theirs.keys()),
    )  # fmt: skip


def _words(value: Any) -> str | None:
    """A field as text; None where nothing is stated."""
    if isinstance(value, tuple):
        value = "; ".join(value)
    return None if value in (None, "") else str(value)


def _asks(neighbour: Neighbour) -> tuple[Any, ...]:
    return neighbour.item, frozenset(c.model_dump_json() for c in neighbour.conditions)


def neighbour_words(neighbour: Neighbour) -> str:
    """A neighbouring entry in words: number, item, and whether the number was verified."""
    return f"{neighbour.entry} {neighbour.title}{' (number not verified)' if neighbour.standing == 'secondary' else ''}"


def _limit(bands: tuple[Band, ...], qubits: int) -> Limit:
    band = next((b for b in bands if b.holds(qubits)), None)
    if band is None:
        return "no band"
    return "no criterion" if band.max_error is None else band.max_error


def _band_rows(first: tuple[Band, ...], second: tuple[Band, ...]) -> tuple[BandRow, ...]:
    """Ranges of qubits, as wide as possible, at which the limits differ."""
    edges = sorted({e for b in (*first, *second) for e in (b.min_qubits, b.max_qubits) if e is not None})
    rows: list[BandRow] = []
    for low, high in itertools.pairwise([*edges, None]):
        assert low is not None
        a, b = _limit(first, low), _limit(second, low)
        if a == b:
            continue
        if rows and (rows[-1].max_qubits, rows[-1].first, rows[-1].second) == (low, a, b):
            low = rows.pop().min_qubits
        rows.append(BandRow(min_qubits=low, max_qubits=high, first=a, second=b))
    return tuple(rows)


def bands_in_words(bands: tuple[Band, ...]) -> str:
    """Numbers of qubits and limits in one line.

    Example:
        >>> bands_in_words((Band(entry="1", min_qubits=34, max_qubits=100, max_error=1e-4), Band(entry="2", min_qubits=100)))
        '34-99: 1e-4, 100 and more: no criterion'
    """
    return ", ".join(
        f"{f'{b.min_qubits} and more' if b.max_qubits is None else f'{b.min_qubits}-{b.max_qubits - 1}'}: "
        f"{'no criterion' if b.max_error is None else short(b.max_error)}"
        for b in bands
    )
