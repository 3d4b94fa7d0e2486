"""Which qubits of a simulated device are coupled: the table ``[topology]`` of a profile."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pydantic
from pydantic import Field

from qthreshold.schema import FieldError, Schema

__all__ = ["Topology", "layout", "module_links"]

Ints = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]
Layout = tuple[int, Ints, Real]

_MOST_QUBITS, _MOST_PAIRS = 20_000, 500_000  # channels of half a million pairs fill a gigabyte
_GAP = 2.0  # between modules, in the drawing

Size = Annotated[int, Field(ge=1, le=_MOST_QUBITS)]
QubitPair = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]

_NEEDED = {
    "heavy-hex": ("rows", "columns"), "grid": ("rows", "columns"), "line": ("qubits",), "ring": ("qubits",), "all-to-all": ("qubits",),
    "pairs": ("qubits", "pairs"), "modular": ("modules", "module", "links"),
}  # fmt: skip


class Topology(Schema):
    """Which qubits are coupled."""

    kind: Literal["heavy-hex", "grid", "line", "ring", "all-to-all", "pairs", "modular"]
    rows: Size | None = None
    columns: Size | None = None
    qubits: Size | None = None
    last_bridges: bool = Field(default=False, description="heavy-hex: a row of bridge qubits below the last row")
    trim_corners: bool = Field(default=False, description="heavy-hex: first row without its last qubit, last row without its first")
    pairs: list[QubitPair] | None = None
    modules: Annotated[int, Field(ge=2, le=_MOST_QUBITS)] | None = Field(default=None, description="modular: how many, side by side")
    module: "Topology | None" = Field(default=None, description="modular: what each of them is; any other kind")
    links: Annotated[int, Field(ge=1)] | Annotated[list[QubitPair], Field(min_length=1)] | None = Field(
        default=None, description="modular: how many pairs join a module to the next one, or which: [qubit of a module, qubit of the next]"
    )

    @pydantic.model_validator(mode="after")
    def _sizes(self) -> "Topology":
        for name in _NEEDED[self.kind]:
            if getattr(self, name) is None:
                raise ValueError(f"topology {self.kind!r} needs {name}")
        if self.kind == "ring" and (self.qubits or 0) < 3:
            raise ValueError("a ring needs at least 3 qubits")
        for a, b in self.pairs or []:
            if a == b or max(a, b) >= (self.qubits or 0):
                raise ValueError(f"pair [{a}, {b}] must name two different qubits below {self.qubits}")
        strange = sorted(self.model_fields_set & {"modules", "module", "links"})
        if self.kind == "modular":
            self._modules()
        elif strange:
            raise FieldError((strange[0],), f"belongs to topology 'modular', this one is {self.kind!r}")
        n = self.count
        pairs = n * (n - 1) // 2 if self.kind == "all-to-all" else 0
        if n < 1:
            raise ValueError("no qubit is left without the corners; accepted: more rows or columns, or trim_corners = false")
        if n > _MOST_QUBITS or pairs > _MOST_PAIRS:
            raise ValueError(f"{n:,} qubits{f' and {pairs:,} pairs' if pairs else ''}; accepted: at most {_MOST_QUBITS:,} and {_MOST_PAIRS:,}")
        return self

    @property
    def count(self) -> int:
        """Number of qubits, without building anything large."""
        if self.module is not None:
            return (self.modules or 1) * self.module.count
        if self.kind == "grid":
            return (self.rows or 1) * (self.columns or 1)
        return _heavy_hex_count(self) if self.kind == "heavy-hex" else self.qubits or 1

    def _modules(self) -> None:
        """Faults of a modular topology, each at the field that must change."""
        inner = self.module
        assert inner is not None
        if inner.kind == "modular":
            raise FieldError(("module", "kind"), "a module is of any kind but modular")
        outside = sorted(self.model_fields_set - {"kind", "modules", "module", "links"})
        if outside:
            raise FieldError((outside[0],), "says what a module is, so it goes to the table [topology.module]")
        if isinstance(self.links, int):
            places = len(_facing(layout(inner)[2]))
            if self.links > places:
                raise FieldError(("links",), f"modules of this kind face each other in {places} places; accepted: 1 to {places}, or a list of pairs")
        else:
            for i, (a, b) in enumerate(self.links or []):
                if max(a, b) >= inner.count:
                    raise FieldError(("links", i), f"[{a}, {b}] must name a qubit of a module and one of the next, both below {inner.count}")


def layout(t: Topology) -> Layout:
    """Number of qubits, coupled pairs ``(E, 2)`` sorted, and drawing positions ``(n, 2)`` of a topology."""
    n, pairs, position = _LAYOUTS[t.kind](t)
    return n, np.unique(np.sort(pairs.astype(np.int64).reshape(-1, 2), axis=1), axis=0), position


def module_links(t: Topology, edges: Ints) -> Ints:
    """Rows of ``edges`` ``(E, 2)`` that join two modules; none where there are no modules."""
    if t.module is None:
        return np.zeros(0, dtype=np.int64)
    module = edges // t.module.count
    return np.flatnonzero(module[:, 0] != module[:, 1])


def _grid(t: Topology) -> Layout:
    rows, columns = t.rows or 1, t.columns or 1
    at = np.arange(rows * columns).reshape(rows, columns)
    pairs = np.concatenate([np.stack([at[:, :-1].ravel(), at[:, 1:].ravel()], 1), np.stack([at[:-1].ravel(), at[1:].ravel()], 1)])
    return at.size, pairs, np.stack([at.ravel() % columns, at.ravel() // columns], 1).astype(float)


def _line(t: Topology) -> Layout:
    a = np.arange(t.qubits or 1)
    return a.size, np.stack([a[:-1], a[1:]], 1), np.stack([a, 0 * a], 1).astype(float)


def _circle(t: Topology) -> Layout:
    """Topologies without a shape of their own."""
    n = t.qubits or 1
    a = np.arange(n)
    turn = 2 * np.pi * a / n
    position = n / (2 * np.pi) * np.stack([np.cos(turn), np.sin(turn)], 1)
    if t.kind == "all-to-all":
        return n, np.stack(np.triu_indices(n, 1), 1), position
    return n, np.stack([a, (a + 1) % n], 1) if t.kind == "ring" else np.array(t.pairs or [], dtype=np.int64), position


def _heavy_hex(t: Topology) -> Layout:
    """Rows of qubits joined by bridge qubits every fourth column, alternately from column 0 and column 2."""
    rows, columns = t.rows or 1, t.columns or 1
    index: dict[tuple[int, int], int] = {}
    for y in range(rows):
        for x in range(columns):
            if t.trim_corners and ((y == 0 and x == columns - 1) or (y == rows - 1 and x == 0)):
                continue
            index[x, 2 * y] = len(index)
        if y < rows - 1 or t.last_bridges:
            for x in range(2 * (y % 2), columns, 4):
                index[x, 2 * y + 1] = len(index)
    pairs = [(i, index[p]) for (x, y), i in index.items() for p in ((x + 1, y), (x, y + 1)) if p in index and not (p[1] == y and y % 2)]
    return len(index), np.array(pairs, dtype=np.int64), np.array(list(index), dtype=float)


def _heavy_hex_count(t: Topology) -> int:
    rows, columns = t.rows or 1, t.columns or 1
    bridged = rows - 1 + t.last_bridges
    bridges = (bridged + 1) // 2 * len(range(0, columns, 4)) + bridged // 2 * len(range(2, columns, 4))
    corners = len({(0, columns - 1), (rows - 1, 0)}) if t.trim_corners else 0
    return rows * columns + bridges - corners


def _modular(t: Topology) -> Layout:
    """Modules in a row, each joined to the next; the qubits of the first come first."""
    assert t.module is not None
    n, inside, position = layout(t.module)
    modules = t.modules or 1
    first = n * np.arange(modules)
    links = np.array(t.links, dtype=np.int64) if isinstance(t.links, list) else _spread_out(_facing(position), t.links or 1)
    pairs = (inside + first[:, None, None]).reshape(-1, 2)
    across = (links + np.array([0, n]) + first[:-1, None, None]).reshape(-1, 2)
    step = np.array([np.ptp(position[:, 0]) + _GAP, 0.0])
    return n * modules, np.concatenate([pairs, across]), (position + np.arange(modules)[:, None, None] * step).reshape(-1, 2)


def _facing(position: Real) -> Ints:
    """Qubits at the right edge of a module with those at the left edge of the next at the same height, from top to bottom, ``(F, 2)``."""
    x, y = np.round(position, 9).T
    left = {float(y[q]): int(q) for q in np.flatnonzero(x == x.min())}
    right = {float(y[q]): int(q) for q in np.flatnonzero(x == x.max())}
    return np.array([(right[h], left[h]) for h in sorted(left.keys() & right.keys())], dtype=np.int64).reshape(-1, 2)


def _spread_out(places: Ints, count: int) -> Ints:
    """So many of the places, evenly spaced."""
    return places[(2 * np.arange(count) + 1) * len(places) // (2 * count)]


_LAYOUTS: dict[str, Callable[[Topology], Layout]] = {
    "heavy-hex": _heavy_hex, "grid": _grid, "line": _line, "ring": _circle, "all-to-all": _circle, "pairs": _circle, "modular": _modular,
}  # fmt: skip
