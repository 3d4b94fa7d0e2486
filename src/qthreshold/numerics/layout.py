"""Drawing positions for coupling graphs that come without coordinates."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.sparse import diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from qthreshold.numerics.graphs import sparse_table
from qthreshold.numerics.stress import stress_layout

__all__ = ["lay_out"]

Ints = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]

_GAP = 1.5  # between components, in edges
_LANDSCAPE = 1.6  # width over height that packing, rows of isolated nodes and snakes aim at
_LINE = 12  # nodes of a path from which on it winds
_DENSE = 0.5  # share of all possible edges above which a graph is drawn on a circle, if it is not small and flat
_APART = 0.3  # least distance between two nodes, in edges, wherever the number of nodes leaves room for it
_EVEN = 0.25  # spread of the lengths of edges up to which there may be a lattice
_TAILS = 400  # ends that are straightened, at most
_ANGLES = 12  # rotations within a right angle that a lattice is looked for at
_ROUNDINGS = 12  # of edges to the axes, at most
_ALIGNED = 0.35  # mean of exp(4i angle) or exp(6i angle) over the edges from which on they follow two or three directions
_ROOM = 1.5  # times the area that a drawing on the lattice may take, compared with one that is only turned
_CLEAR, _BEND = (0.95, 0.85), 0.4  # cosines of the angle between a tail and an axis: up to which it belongs there (two tries), and may
_AXES = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
_PUSHES = 100  # of nodes that are too close


def lay_out(n: int, edges: npt.ArrayLike) -> Real:
    """Positions for drawing a graph, always the same for the same graph.

    A graph that fits on a square lattice with every edge between neighbouring places (a grid, a heavy-hexagonal lattice, a ladder) is drawn
    like that. Paths wind, rings, stars and dense graphs are round, any other graph is drawn by stress majorization and turned so that its
    edges follow the axes or its long side lies flat. Components lie beside one another, nodes without edges in rows below.

    Args:
        n: Number of nodes.
        edges: Pairs of nodes, int ``(E, 2)``, in any order and direction; repeated ones count once.

    Returns:
        Columns x (to the right) and y (downward), float64 ``(n, 2)``, both from 0 on. The median edge is 1 long. No two nodes are closer than
        ``min(0.3, 3 / n)``, those of a sparse graph rarely closer than 0.3.

    Raises:
        ValueError: ``n`` is negative, or an edge does not join two different nodes below ``n``.

    References:
        :func:`qthreshold.numerics.stress.stress_layout`.

    Example:
        >>> lay_out(4, [[0, 1], [1, 2], [2, 3]]).tolist()
        [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]
    """
    if n < 0:
        raise ValueError(f"the number of nodes must not be negative, got {n}")
    pairs = np.sort(np.asarray(edges, dtype=np.int64).reshape(-1, 2), axis=1)
    wrong = (pairs[:, 0] < 0) | (pairs[:, 1] >= n) | (pairs[:, 0] == pairs[:, 1])
    if wrong.any():
        raise ValueError(f"edge {pairs[wrong][0].tolist()} must join two different nodes of 0..{n - 1}")
    pairs = np.unique(pairs, axis=0)
    out = np.zeros((n, 2))
    part = connected_components(sparse_table(np.ones(len(pairs)), pairs[:, 0], pairs[:, 1], n), directed=False)[1].astype(np.int64)
    size = np.bincount(part, minlength=1)
    groups = [np.flatnonzero(part == p) for p in np.flatnonzero(size > 1)]
    groups.sort(key=lambda nodes: (-len(nodes), int(nodes[0])))
    place = np.zeros(n, dtype=np.int64)
    for nodes in groups:
        place[nodes] = np.arange(len(nodes))
        inside = place[pairs[part[pairs[:, 0]] == part[nodes[0]]]]
        out[nodes] = _component(len(nodes), inside)
    width, height = _pack(out, groups)
    alone = np.flatnonzero(size[part] == 1)
    columns = max(int(width) + 1, int(np.ceil(np.sqrt(_LANDSCAPE * len(alone)))))
    row, column = np.divmod(np.arange(len(alone)), columns)
    out[alone] = np.stack([column, row + (height + _GAP if groups else 0.0)], axis=1)
    return out


def _component(n: int, edges: Ints) -> Real:
    """A connected graph of at least two nodes; its corner at the origin."""
    degree = np.bincount(edges.ravel(), minlength=n)
    if degree.max() <= 2:
        x = _path(n, edges, degree) if len(edges) == n - 1 else _circle(_walk(n, edges, 0))
    elif len(edges) == n - 1 and degree.max() == n - 1:
        x = _star(n, int(degree.argmax()))
    elif len(edges) > max(_DENSE * n * (n - 1) / 2, 2 * n - 3):
        x = _circle(np.arange(n))
    else:
        x = _drawn(n, edges)
    x = x / np.median(np.hypot(*(x[edges[:, 0]] - x[edges[:, 1]]).T))
    return np.asarray(x - x.min(axis=0))


def _walk(n: int, edges: Ints, start: int) -> Ints:
    """Nodes of a path from one end, or of a ring, one after the other."""
    near = _neighbours(n, edges)
    order, last = [start], -1
    while len(order) < n:
        here = order[-1]
        ahead = min(x for x in near[here] if x != last)
        last = here
        order.append(ahead)
    return np.array(order, dtype=np.int64)


def _path(n: int, edges: Ints, degree: Ints) -> Real:
    """A straight line; a long one in rows that alternate in direction, two edges apart."""
    order = _walk(n, edges, int(np.flatnonzero(degree == 1)[0]))
    row = n
    if n > _LINE:
        about = np.sqrt(2 * _LANDSCAPE * n)
        row = min(range(int(0.8 * about), int(1.25 * about) + 1), key=lambda r: (-1 - n) % (r + 1))  # the last row is full, or almost
    turn, step = np.divmod(np.arange(n), row + 1)  # a row and the node that leads to the next
    along = np.where(step == row, row - 1, step)
    x = np.empty((n, 2))
    x[order] = np.stack([np.where(turn % 2 == 0, along, row - 1 - along), 2 * turn + (step == row)], axis=1)
    return x


def _circle(order: Ints) -> Real:
    """Around a circle, clockwise, the first two at the top."""
    n = len(order)
    angle = 2 * np.pi * (np.arange(n) - 0.5) / n
    x = np.empty((n, 2))
    x[order] = np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    return x


def _star(n: int, hub: int) -> Real:
    x = np.zeros((n, 2))
    x[np.arange(n) != hub] = _circle(np.arange(n - 1))
    return x


def _drawn(n: int, edges: Ints) -> Real:
    """Any connected graph: on the square lattice if it fits there, by least stress if not."""
    x = stress_layout(n, edges)
    x /= np.median(np.hypot(*(x[edges[:, 0]] - x[edges[:, 1]]).T))
    best = _on_lattice(x, edges)
    return _oriented(_separated(_turned(x, edges), edges) if best is None else best)


def _on_lattice(x: Real, edges: Ints) -> Real | None:
    """The same drawing with all edges one long and along the axes, the most compact of those found; None where there is none or it is askew."""
    length = np.hypot(*(x[edges[:, 0]] - x[edges[:, 1]]).T)
    if np.bincount(edges.ravel()).max() > 4 or length.std() > _EVEN * length.mean():
        return None
    chains = _chains(len(x), edges)
    single = np.bincount(edges.ravel()) == 1
    tails = [c for c in chains if single[c[-1]]]
    tails = tails if len(tails) <= _TAILS else []
    heavy = [c[k - 1 : k + 2] for c in chains if len(c) % 2 or single[c[-1]] for k in range(1, len(c) - 1, 2)]
    found = [g for straight in (heavy, []) for g in _snapped(x, edges, np.array(straight, dtype=np.int64).reshape(-1, 3), tails)]
    best = min(found, key=_area, default=None)
    if best is None:
        return None
    affine = np.linalg.lstsq(x - x.mean(axis=0), best - best.mean(axis=0))[0]  # a lattice drawn askew takes more room than it must
    return best if _area(best) <= _ROOM * abs(float(np.linalg.det(affine))) * _area(_turned(x, edges)) else None


def _snapped(x: Real, edges: Ints, straight: Ints, tails: list[list[int]]) -> list[Real]:
    """Drawings on the lattice, from several rotations of ``x``.

    Each edge is turned to the nearer axis and the positions follow by least squares, until all edges fit exactly or none turns any more.

    Args:
        x: Positions ``(n, 2)``.
        edges: ``(E, 2)``.
        straight: Rows (node, middle, node), ``(S, 3)``: no edge bends at the middle, which counts with the two as one edge. In a heavy lattice
            that is every second node of a chain.
        tails: Chains that end nowhere.
    """
    n = len(x)
    inner = np.isin(np.arange(n), straight[:, 1])
    place = np.cumsum(~inner) - 1
    single = edges[~inner[edges].any(axis=1)]
    ends = place[np.concatenate([straight[:, [0, 2]], single])]
    length = np.repeat([2.0, 1.0], [len(straight), len(single)])
    solve, rows, found = _positions_from_steps(n - len(straight), ends), np.arange(len(ends)), []
    for angle in np.arange(_ANGLES) * (np.pi / 2 / _ANGLES):
        at, last = _rotated(x[~inner], angle), np.zeros((len(ends), 2))
        for _ in range(_ROUNDINGS):
            drawn = at[ends[:, 1]] - at[ends[:, 0]]
            step = np.zeros_like(drawn)
            axis = np.abs(drawn).argmax(axis=1)
            step[rows, axis] = np.where(drawn[rows, axis] < 0, -length, length)
            if np.array_equal(step, last):
                break
            at, last = solve(step), step
            grid = np.round(at)
            if (grid[ends[:, 1]] - grid[ends[:, 0]] == step).all():
                whole = np.empty((n, 2))
                whole[~inner] = grid
                whole[straight[:, 1]] = (whole[straight[:, 0]] + whole[straight[:, 2]]) / 2
                ways = (_lay_tails(whole, tails, _rotated(x, angle), clear) for clear in (_CLEAR if tails else _CLEAR[:1]))
                found += [way for way in ways if way is not None and len(np.unique(way, axis=0)) == n]
                break
    return found


def _lay_tails(x: Real, tails: list[list[int]], drawn: Real, clear: float) -> Real | None:
    """Stretch each tail along an axis, the one that it was drawn along or, if that is unclear, where all takes least room.

    Args:
        x: Positions on the lattice, ``(n, 2)``.
        tails: Chains that end nowhere, from the node that they hang on.
        drawn: Positions before, ``(n, 2)``.
        clear: Cosine of the angle between a tail and an axis from which on it belongs there.

    Returns:
        The changed positions; None if there is no room.
    """
    x = x.copy()
    ends = {q for tail in tails for q in tail[1:]}
    body = x[[q for q in range(len(x)) if q not in ends]]
    taken, low, high = set(map(tuple, body.tolist())), body.min(axis=0), body.max(axis=0)
    if len(taken) < len(body):
        return None
    along = []
    for tail in tails:
        was = drawn[tail[-1]] - drawn[tail[0]]
        along.append(_AXES @ was / max(float(np.hypot(*was)), 1e-9))
    for i in sorted(range(len(tails)), key=lambda i: bool(along[i].max() < clear)):
        tail, options = tails[i], []
        for k, step in enumerate(_AXES):
            line = x[tail[0]] + np.arange(1, len(tail))[:, None] * step
            if taken.isdisjoint(map(tuple, line.tolist())):
                grown = float(np.prod(np.maximum(high, line[-1]) - np.minimum(low, line[-1]) + 1))
                bent = tuple(x[tail[0]] - step) not in taken
                options.append((along[i][k] < clear, along[i][k] < _BEND, grown, bent, k, line))
        if not options:
            return None
        line = min(options)[-1]
        x[tail[1:]] = line
        taken.update(map(tuple, line.tolist()))
        low, high = np.minimum(low, line.min(axis=0)), np.maximum(high, line.max(axis=0))
    return x


def _chains(n: int, edges: Ints) -> list[list[int]]:
    """Runs of nodes with two neighbours, from a branching node to the next or to the end of a tail, each once."""
    near, out = _neighbours(n, edges), []
    for start in range(n):
        for first in near[start] if len(near[start]) > 2 else ():
            chain = [start, first]
            while len(near[chain[-1]]) == 2 and chain[-1] != start:
                a, b = near[chain[-1]]
                chain.append(b if a == chain[-2] else a)
            if len(near[chain[-1]]) == 1 or (start, first) <= (chain[-1], chain[-2]):
                out.append(chain)
    return out


def _neighbours(n: int, edges: Ints) -> list[list[int]]:
    near: list[list[int]] = [[] for _ in range(n)]
    for a, b in edges.tolist():
        near[a].append(b)
        near[b].append(a)
    return near


def _positions_from_steps(n: int, edges: Ints) -> Callable[[Real], Real]:
    """What turns wanted differences ``x_b - x_a`` of all edges into the positions that fit them best, node 0 at the origin."""
    a, b = edges.T
    links = sparse_table(np.ones(len(edges)), a, b, n)
    laplacian = (diags_array(np.bincount(edges.ravel(), minlength=n).astype(float)) - links - links.T).tocsc()
    factors = splu(laplacian[1:, 1:], permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})

    def solve(step: Real) -> Real:
        out = np.zeros((n, 2))
        for axis in range(2):
            net = np.bincount(b, step[:, axis], n) - np.bincount(a, step[:, axis], n)
            out[1:, axis] = factors.solve(net[1:])
        return out

    return solve


def _rotated(x: Real, angle: float) -> Real:
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(x @ np.array([[c, s], [-s, c]]))


def _turned(x: Real, edges: Ints) -> Real:
    """Turned so that edges follow the axes if most have one of two or of three directions; of what is left, to the smallest rectangle."""
    step = x[edges[:, 1]] - x[edges[:, 0]]
    direction = (step[:, 0] + 1j * step[:, 1]) / np.maximum(np.hypot(*step.T), 1e-9)
    four, six = (complex((direction**fold).mean()) for fold in (4, 6))
    if abs(four) > _ALIGNED:
        angles = np.array([-np.angle(four) / 4])
    elif abs(six) > _ALIGNED:
        angles = np.pi / 6 * np.arange(3) - np.angle(six) / 6
    else:
        angles = np.pi / 180 * np.arange(90)
    return min((_rotated(x, a) for a in angles), key=lambda y: round(_area(y), 6))


def _area(x: Real) -> float:
    """Of the rectangle around the nodes, with half an edge of margin."""
    return float(np.prod(np.ptp(x, axis=0) + 1))


def _oriented(x: Real) -> Real:
    """Landscape, or if about square with numbers rising by rows; low numbers at the top and on the left."""
    x = x - x.mean(axis=0)
    width, height = np.ptp(x, axis=0)
    rank = np.arange(len(x)) - (len(x) - 1) / 2
    trend = rank @ x
    if height > 1.1 * width or (width <= 1.1 * height and abs(trend[0]) > 1.1 * abs(trend[1])):
        x, trend = x[:, ::-1], trend[::-1]
    return x * np.where(np.round(trend, 6) < 0, -1.0, 1.0)


def _separated(x: Real, edges: Ints) -> Real:
    """Push apart nodes that are too close; where that does not help, a circle."""
    n = len(x)
    want = min(1.5 * _APART, float(np.sqrt(np.prod(np.ptp(x, axis=0) + 0.5) / n)) / 2)
    for _ in range(_PUSHES):
        close = cKDTree(x).query_pairs(want, output_type="ndarray")
        if not len(close):
            break
        close = close[np.lexsort(close.T)]
        apart = x[close[:, 1]] - x[close[:, 0]]
        length = np.hypot(*apart.T)
        same = length < 1e-9
        angle = 2.4 * np.arange(same.sum())
        apart[same] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        push = 0.55 * ((want - length) / np.where(same, 1.0, length))[:, None] * apart
        for axis in range(2):
            x[:, axis] += np.bincount(close[:, 1], push[:, axis], n) - np.bincount(close[:, 0], push[:, axis], n)
    nearest = cKDTree(x).query(x, 2)[0][:, 1].min()
    median = np.median(np.hypot(*(x[edges[:, 0]] - x[edges[:, 1]]).T))
    return x if nearest >= min(_APART, 3 / n) * median else _circle(np.arange(n))


def _pack(x: Real, groups: list[Ints]) -> Real:
    """Move components, largest first, beside and below one another; the width and height that they take."""
    sizes = np.array([np.ptp(x[nodes], axis=0) for nodes in groups]).reshape(-1, 2)
    row = max(float(np.sqrt(_LANDSCAPE * np.prod(sizes + _GAP, axis=1).sum())), float(sizes[:, 0].max(initial=0.0)))
    corner, tallest, extent = np.zeros(2), 0.0, np.zeros(2)
    for nodes, size in zip(groups, sizes, strict=True):
        if corner[0] > 0 and corner[0] + size[0] > row:
            corner, tallest = np.array([0.0, corner[1] + tallest + _GAP]), 0.0
        x[nodes] += corner
        extent = np.maximum(extent, corner + size)
        corner = corner + np.array([size[0] + _GAP, 0.0])
        tallest = max(tallest, float(size[1]))
    return extent
