"""Lower bounds on the mean error of every connected register, for many draws at once: the forest bound, and stars for dense graphs.

The proof of the forest bound is in :mod:`.frontier`.
"""

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from qthreshold.numerics.graphs import sparse_table
from qthreshold.numerics.register_graph import Table, is_two_sided, pair_range

__all__ = ["forest_bounds", "star_bounds"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_DENSE = 8  # times the pairs at least the square of the qubits
_PAIRS = 500_000  # of all draws at a time: what is needed for each takes some 200 bytes
_CELLS = 2_000_000  # of matrices over all draws at a time


def forest_bounds(n_nodes: int, edges: Ints, error: Real, alive: Bools) -> Real:
    """The forest bound of every draw, shape ``(D, n_nodes + 1)``."""
    two_sided = is_two_sided(n_nodes, edges)
    chunk = max(1, _PAIRS // max(len(edges), 1))
    parts = [_forest_bounds(n_nodes, edges, error[f : f + chunk], alive[f : f + chunk], two_sided) for f in range(0, len(error), chunk)]
    return np.concatenate(parts) if parts else np.zeros((0, n_nodes + 1))


def _forest_bounds(n_nodes: int, edges: Ints, error: Real, alive: Bools, two_sided: bool) -> Real:
    """All draws are one graph, and every component of it is a row of the tables below."""
    draws = len(error)
    bounds = np.full((draws, n_nodes + 1), np.inf)
    draw, pair = np.nonzero(alive)
    if not draw.size:
        return bounds
    weight = error[draw, pair]
    order = np.lexsort((weight, draw))
    draw, pair, weight = draw[order], pair[order], weight[order]
    a, b = draw * n_nodes + edges[pair, 0], draw * n_nodes + edges[pair, 1]
    # Ranks instead of errors: they are never 0, which sparse graphs take for no pair, and they break ties by one total order.
    graph = sparse_table(np.arange(1.0, draw.size + 1), a, b, draws * n_nodes)
    tree = np.zeros(draw.size, dtype=bool)
    tree[minimum_spanning_tree(graph).data.astype(np.int64) - 1] = True
    _, label = connected_components(graph, directed=False)
    nodes = np.bincount(label)
    of_pair = label[a]
    forest, rest = (Table.of(of_pair[which], weight[which], nodes.size) for which in (tree, ~tree))
    size = forest.position + 1  # of the register that has that many pairs of the forest
    degree = np.bincount(np.concatenate([a, b]), minlength=label.size)
    least, most = pair_range(label, degree, two_sided, forest.row, size)
    spare = rest.length[forest.row]
    value = _best_mean(forest.total, size - 1, rest, forest.row, np.minimum(least - (size - 1), spare), np.minimum(most - (size - 1), spare))
    of_row = np.zeros(nodes.size, dtype=np.int64)
    of_row[of_pair] = draw
    np.minimum.at(bounds, (of_row[forest.row], size), value)
    return bounds


def _best_mean(tree_sum: Real, tree_pairs: Ints, rest: Table, row: Ints, least: Ints, most: Ints) -> Real:
    """Smallest mean of all given tree pairs and the h cheapest others of the row, over h from ``least`` to ``most``.

    The mean falls with h as long as the next pair is below it, and once it does not, never again: the place is found by bisection.
    """
    values = np.append(rest.value, np.inf)
    totals = np.append(rest.total, 0.0)

    def mean(h: Ints) -> Real:
        extra = np.where(h > 0, totals[rest.start[row] + np.maximum(h, 1) - 1], 0.0)
        return (tree_sum + extra) / (tree_pairs + h)

    low, high = least, most
    while (open_ := low < high).any():
        middle = (low + high) // 2
        falls = values[np.where(open_, rest.start[row] + middle, rest.value.size)] < mean(middle)
        low = np.where(open_ & falls, middle + 1, low)
        high = np.where(open_ & ~falls, middle, high)
    return mean(low)


def star_bounds(n_nodes: int, edges: Ints, error: Real, alive: Bools) -> Real:
    """Bounds of every draw from the pairs around each qubit, for dense graphs.

    In a register of k qubits, one that has no pair with s others has at least d = max(1, k - 1 - s) pairs, which weigh no less than its
    d cheapest. With the errors counted from the smallest, so that none is negative, half of the sum over the k cheapest qubits is a
    bound for all pairs of the register.

    Returns:
        Shape ``(D, n_nodes + 1)``; minus infinity for sparse graphs, where it is of no use.
    """
    bounds = np.full((len(error), n_nodes + 1), -np.inf)
    nodes = np.unique(edges)
    n = nodes.size
    if n == 0 or _DENSE * len(edges) < n**2:
        return bounds
    a, b = np.searchsorted(nodes, edges).T
    chunk = max(1, _CELLS // n**2)
    for first in range(0, len(error), chunk):
        here = slice(first, first + chunk)
        draws = len(error[here])
        least = np.where(alive[here], error[here], np.inf).min(axis=1, initial=np.inf)
        least = np.where(np.isfinite(least), least, 0.0)
        around = np.full((draws, n, n), np.inf)
        around[:, a, b] = around[:, b, a] = np.where(alive[here], error[here] - least[:, None], np.inf)
        around = np.cumsum(np.sort(around, axis=2), axis=2)
        degree = np.isfinite(around).sum(axis=2)
        largest = np.cumsum(-np.sort(-degree, axis=1), axis=1)
        for k in range(2, n + 1):
            pairs = np.maximum(k - n + degree, 1)
            cheapest = np.sort(np.take_along_axis(around, pairs[:, :, None] - 1, axis=2)[:, :, 0], axis=1)[:, :k].sum(axis=1) / 2
            most = np.minimum(largest[:, k - 1] // 2, k * (k - 1) // 2)
            bounds[here, k] = least + cheapest / np.maximum(most, 1)
    return bounds
