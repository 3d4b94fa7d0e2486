"""Drawing positions of a connected graph whose distances on paper follow those on the graph: sparse stress majorization."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from qthreshold.numerics.graphs import sparse_table

__all__ = ["stress_layout"]

Ints = npt.NDArray[np.int64]
Real = npt.NDArray[np.float64]

_PIVOTS = 150  # nodes that distances are measured from; up to this many nodes it is the full stress
_ROUNDS = 80  # of majorization, at most
_STEPS = 12  # of conjugate gradients in each
_STILL = 1e-3  # largest movement of a node, in edges, that ends it
_TINY = 1e-9
_GOLDEN, _PLASTIC = 0.6180339887498949, 0.7548776662466927  # multiples of these fill the unit interval evenly


def stress_layout(n: int, edges: Ints) -> Real:
    """Positions that minimise the stress: squared differences of drawn and graph distances, relative to the latter.

    Pivot multidimensional scaling finds the overall shape, majorization refines it. Each node is compared with its neighbours and with
    a few pivots that stand for the nodes near them, so time and memory grow with n and not with its square.

    Args:
        n: Number of nodes, at least 2.
        edges: Distinct pairs of a connected graph, int64 ``(E, 2)``.

    Returns:
        Positions ``(n, 2)``; edges are about 1 long. The same for the same input; no rotation is preferred.

    References:
        U. Brandes and C. Pich, Eigensolver methods for progressive multidimensional scaling of large data, Graph Drawing 2006, LNCS 4372,
        section 3 (pivot MDS). E. R. Gansner, Y. Koren and S. North, Graph drawing by stress majorization, Graph Drawing 2004, LNCS 3383,
        equations (5) to (8). M. Ortmann, M. Klimenta and U. Brandes, A sparse stress model, J. Graph Algorithms Appl. 21, 791 (2017),
        equation (4) (weights of pivots).

    Example:
        >>> drawn = stress_layout(4, np.array([[0, 1], [1, 2], [2, 3]]))
        >>> float(np.hypot(*(drawn[0] - drawn[3])).round(1))
        3.0
    """
    table = sparse_table(np.ones(2 * len(edges)), np.concatenate([edges[:, 0], edges[:, 1]]), np.concatenate([edges[:, 1], edges[:, 0]]), n)
    pivots, distance = _pivots(table, min(n, _PIVOTS))
    model = _Stress(table, edges, pivots, distance)
    x = _pivot_mds(distance)
    k = np.arange(1, n + 1)
    x = model.scaled(x) + 0.1 * (np.stack([k * _GOLDEN % 1, k * _PLASTIC % 1], axis=1) - 0.5)  # nothing lies on top of anything, nor all on a line
    for _ in range(_ROUNDS):
        moved = model.step(x)
        still = np.abs(moved - x).max() < _STILL
        x = moved
        if still:
            break
    return x


def _pivots(table: csr_array, count: int) -> tuple[Ints, Real]:
    """Nodes far from each other, and the distances from them, ``(n, count)``."""
    n = table.shape[0]
    if count == n:
        return np.arange(n), np.asarray(dijkstra(table, directed=False, unweighted=True))
    pivots = np.zeros(count, dtype=np.int64)
    distance = np.empty((n, count))
    nearest = np.asarray(dijkstra(table, directed=False, unweighted=True, indices=0))  # the first pivot is what is farthest from node 0
    for i in range(count):
        pivots[i] = nearest.argmax()
        distance[:, i] = dijkstra(table, directed=False, unweighted=True, indices=pivots[i])
        nearest = np.minimum(nearest, distance[:, i]) if i else distance[:, i]
    return pivots, distance


def _pivot_mds(distance: Real) -> Real:
    """Projection onto the two main axes of the doubly centred squared distances, ``(n, 2)``."""
    square = distance**2
    centred = -0.5 * (square - square.mean(axis=0) - square.mean(axis=1)[:, None] + square.mean())
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, : -min(3, vectors.shape[1] + 1) : -1]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1.0, 1.0)
    return np.asarray(centred @ axes)


class _Stress:
    """The sum of ``w (|x_i - x_j| - d)^2`` over neighbours (w = d = 1) and over nodes with pivots.

    Args:
        table: Adjacency, symmetric, ``(n, n)``.
        edges: Its pairs, ``(E, 2)``.
        pivots: ``(k,)``.
        distance: Graph distances, ``(n, k)``.
    """

    def __init__(self, table: csr_array, edges: Ints, pivots: Ints, distance: Real) -> None:
        self.table, self.edges, self.pivots, self.distance = table, edges, pivots, distance
        region = distance.argmin(axis=1)
        near = distance[np.arange(len(distance)), region]
        order = np.lexsort((near, region))
        bound = np.searchsorted(region[order], np.arange(len(pivots) + 1))
        stands_for = np.empty_like(distance)  # how many nodes around a pivot are at most half as far from it as the node
        for p in range(len(pivots)):
            stands_for[:, p] = np.searchsorted(near[order[bound[p] : bound[p + 1]]], distance[:, p] / 2, side="right")
        with np.errstate(divide="ignore"):
            self.weight = np.where(distance > 0, stands_for / distance**2, 0.0)
        self.total = np.asarray(table.sum(axis=1)).ravel() + self.weight.sum(axis=1)
        np.add.at(self.total, pivots, self.weight.sum(axis=0))

    def _lengths(self, x: Real) -> tuple[Real, Real]:
        """Drawn distances: of neighbours ``(E,)`` and to pivots ``(n, k)``."""
        at = x[self.pivots]
        short = np.hypot(*(x[self.edges[:, 0]] - x[self.edges[:, 1]]).T)
        return short, np.hypot(x[:, 0, None] - at[:, 0], x[:, 1, None] - at[:, 1])

    def scaled(self, x: Real) -> Real:
        """The same shape in the size of least stress."""
        short, far = self._lengths(x)
        square = (short**2).sum() + (self.weight * far**2).sum()
        return x * ((short.sum() + (self.weight * self.distance * far).sum()) / square) if square > 0 else x

    def _laplacian(self, x: Real) -> Real:
        out = self.total[:, None] * x - self.table @ x - self.weight @ x[self.pivots]
        out[self.pivots] -= self.weight.T @ x
        return np.asarray(out)

    def _target(self, x: Real) -> Real:
        """Right-hand side of the majorizer: every term pulls or pushes along its present direction."""
        short, far = self._lengths(x)
        pull = self.weight * self.distance / np.maximum(far, _TINY)
        out = pull.sum(axis=1)[:, None] * x - pull @ x[self.pivots]
        out[self.pivots] += pull.sum(axis=0)[:, None] * x[self.pivots] - pull.T @ x
        a, b = self.edges.T
        force = (x[a] - x[b]) / np.maximum(short, _TINY)[:, None]
        for axis in range(2):
            out[:, axis] += np.bincount(a, force[:, axis], len(x)) - np.bincount(b, force[:, axis], len(x))
        return np.asarray(out)

    def step(self, x: Real) -> Real:
        """Towards the minimum of the majorizer at ``x``, by preconditioned conjugate gradients: never uphill."""
        residual = self._target(x) - self._laplacian(x)
        x, scale = x.copy(), self.total[:, None]
        ahead = residual / scale
        size = (residual * ahead).sum(axis=0)
        start = size.copy()
        for _ in range(_STEPS):
            bent = self._laplacian(ahead)
            curve = (ahead * bent).sum(axis=0)
            length = np.where(curve > 0, size / np.where(curve > 0, curve, 1.0), 0.0)
            x += length * ahead
            residual -= length * bent
            next_size = (residual * residual / scale).sum(axis=0)
            if (next_size <= 1e-6 * start).all():
                break
            ahead = residual / scale + np.where(size > 0, next_size / np.where(size > 0, size, 1.0), 0.0) * ahead
            size = next_size
        return x - x.mean(axis=0)
