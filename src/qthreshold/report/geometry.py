"""Where the qubits and pairs of a device are drawn, in pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from qthreshold.numerics.layout import lay_out

__all__ = ["NUMBERED", "Placed", "pixels", "place", "spots"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NUMBERED = 160
"""Qubits up to which they have their numbers inside, if there is room."""

_EDGE, _LARGEST = 40.0, 64.0  # pixels of a median edge; of those of small devices
_SMALL, _WIDE, _HIGH = 420.0, 850.0, 900.0  # extents in pixels: up to which edges are stretched, and of the largest maps
_ROOM = 25.0  # pixels of an edge that numbers need
_RADIUS, _SMALL_RADIUS = 0.28, 0.22  # of a qubit, with a number in it and without, in edges
_STROKE, _CASING = 0.14, 0.045  # widths of a pair, and of both its rims
_APART = 27.0  # pixels between neighbours where edges are longer
_DENSE = 4  # pairs per qubit above which lines must be thin
_INK, _THIN = 0.3, 0.7  # share of the area that thin lines may cover, if that leaves them wider than so many pixels
_MARGIN = 12.0
_LONG = 1.5  # edges (distances between neighbours where there are many) from which on a pair may pass over other qubits
_BULGE = 0.2  # of a pair that would, as a share of its length
_CELLS = 20_000_000  # pairs times qubits for which that is checked
_COINCIDENT = 1e-6  # of the extent
_ROW = 30  # qubits that can lie on one straight line


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A drawing, in pixels.

    Attributes:
        x: Centres of the qubits, ``(n, 2)``.
        edges: ``(E, 2)``.
        control: Control point of each pair that is bent around other qubits, ``(E, 2)``; NaN for straight ones.
        radius: Of a qubit.
        stroke, casing: Width of a pair, and how much wider its rim is.
        width, height: Of all.
        dense: Whether there are so many pairs that they are thin and cross.
    """

    x: Real
    edges: Ints
    control: Real
    radius: float
    stroke: float
    casing: float
    width: float
    height: float
    dense: bool

    @property
    def middle(self) -> Real:
        """Middle of each pair, ``(E, 2)``."""
        chord = self.x[self.edges].mean(axis=1)
        return np.where(np.isnan(self.control), chord, (chord + self.control) / 2)

    def lines(self) -> list[str]:
        """Path data of each pair."""
        ends = self.x[self.edges]
        out = []
        for ((ax, ay), (bx, by)), (cx, cy) in zip(ends.round(1).tolist(), self.control.tolist(), strict=True):
            if cx == cx:  # not NaN
                out.append(f"M{pixels(ax)} {pixels(ay)}Q{pixels(cx)} {pixels(cy)} {pixels(bx)} {pixels(by)}")
            else:
                to = f"H{pixels(bx)}" if ay == by else f"V{pixels(by)}" if ax == bx else f"L{pixels(bx)} {pixels(by)}"
                out.append(f"M{pixels(ax)} {pixels(ay)}{to}")
        return out


def pixels(value: float) -> str:
    """A length for SVG, with one decimal at most.

    Example:
        >>> pixels(12.0), pixels(3.14159), pixels(-0.04)
        ('12', '3.1', '0')
    """
    out = f"{value:.1f}"
    return "0" if out == "-0.0" else out.removesuffix(".0")


def place(coordinates: Real, edges: Ints, drawn: int) -> Placed:
    """Scale a device to a picture.

    Args:
        coordinates: Positions in any unit, y downward, ``(n, 2)``, NaN where unknown. If most are unknown, if two are the same or many lie on
            one line, qubits are laid out from the pairs alone.
        edges: ``(E, 2)``.
        drawn: How many of the pairs are drawn at their full width.
    """
    n, dense = len(coordinates), len(edges) > _DENSE * len(coordinates)
    x = _positions(coordinates, edges)
    near = float(np.median(_nearest(x)))
    x /= near if dense or not len(edges) else float(np.median(_lengths(x, edges)))
    control = _bends(x, edges, _sizes(x, dense)[1])
    corners = np.concatenate([x, _middle(x, edges, control)])
    unit, radius = _sizes(corners, dense)
    room = unit * float(np.quantile(_nearest(x), 0.05))
    if dense:
        share = float(np.prod(np.maximum(np.ptp(corners, axis=0), 1.0))) * unit / (float(_lengths(x, edges).mean()) * max(drawn, 1))
        stroke = min(max(_INK * share, _THIN), 0.2 * room)
        casing = _CASING * _EDGE / 2 if stroke > 2 * _THIN else 0.0  # rims of many thin lines would hide them
    else:
        radius *= 1.0 if n <= NUMBERED and unit >= _ROOM else _SMALL_RADIUS / _RADIUS
        stroke, casing = _STROKE * min(unit, 1.2 * _EDGE), max(_CASING * min(unit, 1.2 * _EDGE), 0.3)
    radius = max(min(radius * unit, 0.42 * room), 0.8)
    rim = radius + _MARGIN
    width, height = (np.ptp(corners, axis=0) * unit + 2 * rim).tolist()
    low = corners.min(axis=0)
    return Placed(
        x=(x - low) * unit + rim, edges=edges, control=(control - low) * unit + rim, radius=radius, stroke=stroke, casing=casing,
        width=width, height=height, dense=dense,
    )  # fmt: skip


def _sizes(corners: Real, dense: bool) -> tuple[float, float]:
    """Pixels of an edge, and the radius of a qubit in edges, for a drawing that reaches so far."""
    extent = np.maximum(np.ptp(corners, axis=0), 1e-9)
    unit = max(_APART if dense else _EDGE, min(_SMALL / extent.max(), np.inf if dense else _LARGEST))
    unit = min(unit, _WIDE / extent[0], _HIGH / extent[1])
    return float(unit), float(min(_RADIUS * (1.3 if dense else 1.0), _RADIUS * 1.2 * _EDGE / unit))


def _nearest(x: Real) -> Real:
    """Distance of each qubit to the next, ``(n,)``; 1 for a single one."""
    return np.asarray(cKDTree(x).query(x, 2)[0][:, 1]) if len(x) > 1 else np.ones(1)


def _positions(coordinates: Real, edges: Ints) -> Real:
    """Coordinates where they are known; the other qubits in rows below; all anew if these are too many or two coincide."""
    n = len(coordinates)
    known = (np.abs(coordinates) < 1e100).all(axis=1)  # not NaN, and far from overflow
    count = int(known.sum())
    if 2 * count < n:
        return lay_out(n, edges)
    given = coordinates[known] - coordinates[known].min(axis=0)
    given = given / (float(given.max()) or 1.0)
    if _nearest(given).min() < _COINCIDENT or (count > _ROW and np.ptp(given, axis=0).min() < _COINCIDENT):
        return lay_out(n, edges)
    x = np.empty((n, 2))
    x[known] = given
    step = float(np.median(_nearest(given)))
    row, column = np.divmod(np.arange(n - count), max(1, int(given[:, 0].max() / step) + 1))
    x[~known] = np.stack([column, row + 1.5], axis=1) * step + [0.0, given[:, 1].max()]
    return x


def _lengths(x: Real, edges: Ints) -> Real:
    return np.asarray(np.hypot(*(x[edges[:, 0]] - x[edges[:, 1]]).T))


def _middle(x: Real, edges: Ints, control: Real) -> Real:
    chord = x[edges].mean(axis=1)
    return np.where(np.isnan(control), chord, (chord + control) / 2)


def _bends(x: Real, edges: Ints, radius: float) -> Real:
    """Control points of the pairs that would pass over another qubit, to the clearer side; NaN for the others, ``(E, 2)``."""
    out = np.full((len(edges), 2), np.nan)
    a, b = x[edges[:, 0]], x[edges[:, 1]]
    length = _lengths(x, edges)
    long = np.flatnonzero(length > _LONG)
    if long.size * len(x) > _CELLS:
        return out
    for start in range(0, len(long), 256):
        rows = long[start : start + 256]
        along = (b[rows] - a[rows]) / length[rows, None]
        rest = x[None] - a[rows, None]
        t = (rest * along[:, None]).sum(axis=2)
        off = np.abs(rest[:, :, 0] * along[:, None, 1] - rest[:, :, 1] * along[:, None, 0])
        over = ((off < 1.1 * radius) & (t > radius) & (t < length[rows, None] - radius)).any(axis=1)
        rows, along = rows[over], along[over]
        side = np.stack([along[:, 1], -along[:, 0]], axis=1)
        side *= np.where(side[:, 1] + 1e-3 * side[:, 0] > 0, -1.0, 1.0)[:, None]  # upward, else to the left
        bent = _BULGE * length[rows, None] * side
        chord = (a[rows] + b[rows]) / 2
        clear = [np.hypot(*(x[None] - (chord + way * bent / 2)[:, None]).transpose(2, 0, 1)).min(axis=1) for way in (1, -1)]
        out[rows] = chord + np.where(clear[1] > clear[0] + 1e-6, -1.0, 1.0)[:, None] * bent
    return out


def spots(at: Placed, wanted: Ints, size: tuple[float, float]) -> tuple[Real, int]:
    """Places for labels beside the middle of some pairs, each where it covers least.

    Args:
        at: The drawing.
        wanted: Rows of its edges, ``(W,)``.
        size: Width and height of a label.

    Returns:
        Centres, ``(W, 2)``; how many qubits and lines they cover.
    """
    half = np.array(size) / 2
    ends = at.x[at.edges]
    t, control = np.linspace(0.1, 0.9, 9)[:, None, None], 2 * at.middle - ends.mean(axis=1)
    on_pairs = ((1 - t) ** 2 * ends[:, 0] + 2 * t * (1 - t) * control + t**2 * ends[:, 1]).reshape(-1, 2)
    taken: list[Real] = []
    covered = 0
    for i in wanted.tolist():
        options = _around(ends[i], at, half) + at.middle[i]
        cost = 0.02 * np.arange(len(options))
        for k, spot in enumerate(options):
            gap = np.maximum(np.abs(at.x - spot) - half, 0)
            cost[k] += 4.0 * (np.hypot(*gap.T) < at.radius + 1).sum()
            cost[k] += (np.abs(on_pairs - spot) < half + at.stroke / 2 - 1).all(axis=1).sum()
            cost[k] += 20.0 * sum(bool((np.abs(spot - other) < 2 * half + 2).all()) for other in taken)
            cost[k] += 50.0 * bool((spot < half).any() or (spot > np.array([at.width, at.height]) - half).any())
        taken.append(options[int(cost.argmin())])
        covered += int(cost.min())  # without the order of the options
    return np.array(taken).reshape(-1, 2), covered


def _around(ends: Real, at: Placed, half: Real) -> Real:
    """Places for a label around the middle of a pair, those straight beside it first, ``(K, 2)``."""
    along = (ends[1] - ends[0]) / max(float(np.hypot(*(ends[1] - ends[0]))), 1e-9)
    across = np.array([along[1], -along[0]]) * (1.0 if along[0] > 0 or (along[0] == 0 and along[1] > 0) else -1.0)  # above, or to the right
    turned = [np.cos(a) * side * across + np.sin(a) * along for a in (0.0, 0.5, -0.5, 1.0, -1.0) for side in (1.0, -1.0)]
    far = [at.stroke / 2 + 4, at.radius + 5, 2 * at.radius + 9]
    reach = [float(np.abs(t) @ half) for t in turned]  # of the label, from its centre towards the pair
    return np.array([t * (r + f) for f in far for t, r in zip(turned, reach, strict=True)])
