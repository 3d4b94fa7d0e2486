"""Graphs of coupled qubits as tables, and registers in them: their pairs, their mean error, how few and how many pairs they can have."""

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt
import rustworkx as rx
from scipy.sparse.csgraph import connected_components

from qthreshold.numerics.graphs import sparse_table

__all__ = [
    "ROUNDING",
    "Graph",
    "Table",
    "as_network",
    "better_of",
    "components_of",
    "graph_of",
    "is_two_sided",
    "lies_below",
    "means_of",
    "pair_range",
    "reaches",
    "register_edges",
    "weights_of",
]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_Network: TypeAlias = "rx.PyGraph[None, None]"

ROUNDING = 1e-12  # relative: what is closer is the same mean
_ROWS = 256  # registers weighed at a time


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Graph:
    """A connected graph with its nodes numbered from 0, and their neighbours as a table.

    Attributes:
        nodes: Number of each node in the whole, shape ``(n,)``.
        edges: Shape ``(E, 2)``.
        error: Shape ``(E,)``.
        near: Neighbours, shape ``(n, degree)``, filled up with n.
        pair: The pairs with them, filled up with 0.
        cost: Errors of these, filled up with 0.
    """

    nodes: Ints
    edges: Ints
    error: Real
    near: Ints
    pair: Ints
    cost: Real

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.nodes)


def components_of(n_nodes: int, edges: Ints, error: Real) -> list[Graph]:
    """Components with at least one pair."""
    graph = sparse_table(np.ones(len(edges)), edges[:, 0], edges[:, 1], n_nodes)
    count, label = connected_components(graph, directed=False) if n_nodes else (0, np.zeros(0, dtype=np.int64))
    found = []
    for part in range(count):
        nodes = np.flatnonzero(label == part)
        if nodes.size > 1:
            inside = label[edges[:, 0]] == part
            found.append(graph_of(nodes, np.searchsorted(nodes, edges[inside]), error[inside]))
    return found


def graph_of(nodes: Ints, edges: Ints, error: Real) -> Graph:
    """The graph of some nodes, numbered from 0 by their pairs ``(E, 2)``; ``nodes`` are their numbers in the whole."""
    n = len(nodes)
    ends, others = np.concatenate([edges[:, 0], edges[:, 1]]), np.concatenate([edges[:, 1], edges[:, 0]])
    order = np.argsort(ends, kind="stable")
    degree = np.bincount(ends, minlength=n)
    column = np.arange(ends.size) - np.repeat(np.cumsum(degree) - degree, degree)
    near, pair = np.full((n, degree.max()), n), np.zeros((n, degree.max()), dtype=np.int64)
    near[ends[order], column] = others[order]
    pair[ends[order], column] = order % len(edges)
    error = np.asarray(error, dtype=np.float64)
    return Graph(nodes=nodes, edges=edges, error=error, near=near, pair=pair, cost=np.where(near < n, error[pair], 0.0))


def register_edges(members: Bools, edges: Ints) -> Bools:
    """Pairs inside each register.

    Args:
        members: Registers, shape ``(K, n_nodes)``.
        edges: Pairs, shape ``(E, 2)``.

    Returns:
        Whether both qubits of a pair are members, shape ``(K, E)``.
    """
    return members[:, edges[:, 0]] & members[:, edges[:, 1]]


def weights_of(graph: Graph, members: Bools) -> tuple[Real, Ints]:
    """Sum of the errors in each register, and number of its pairs."""
    weight, pairs = np.zeros(len(members)), np.zeros(len(members), dtype=np.int64)
    for first in range(0, len(members), _ROWS):
        inside = register_edges(members[first : first + _ROWS], graph.edges)
        weight[first : first + _ROWS] = np.where(inside, graph.error, 0.0).sum(axis=1)
        pairs[first : first + _ROWS] = inside.sum(axis=1)
    return weight, pairs


def means_of(graph: Graph, members: Bools) -> Real:
    """Mean error of each register, infinite for those without pairs."""
    weight, pairs = weights_of(graph, members)
    return np.where(pairs > 0, weight / np.maximum(pairs, 1), np.inf)


def better_of(graph: Graph, one: Bools, other: Bools) -> Bools:
    """For every size the register with the smaller mean."""
    return np.where((means_of(graph, other) < means_of(graph, one))[:, None], other, one)


def reaches(bound: Real, mean: Real) -> Bools:
    """Where a bound reaches the mean; sums taken in another order must not put it above."""
    with np.errstate(invalid="ignore"):
        return np.asarray((bound >= mean - ROUNDING * np.abs(mean)) | np.isinf(mean))


def lies_below(value: Real | float, to_beat: float) -> Bools:
    """Smaller by more than rounding."""
    return np.asarray(value < to_beat - ROUNDING * abs(to_beat)) if np.isfinite(to_beat) else np.asarray(np.isfinite(value))


def as_network(n_nodes: int, edges: Ints) -> _Network:
    """The same for rustworkx."""
    graph = rx.PyGraph(multigraph=False)
    graph.add_nodes_from([None] * n_nodes)
    graph.extend_from_edge_list([(a, b) for a, b in edges.tolist()])
    return graph


def is_two_sided(n_nodes: int, edges: Ints) -> bool:
    """Whether a graph is bipartite."""
    return bool(rx.is_bipartite(as_network(n_nodes, edges)))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Table:
    """Errors sorted within rows of unequal length, one row after the other, with their running sums."""

    start: Ints  # of each row
    length: Ints
    row: Ints  # of each entry
    position: Ints  # within its row, from 1
    value: Real
    total: Real  # running sum within the row

    @classmethod
    def of(cls, row: npt.NDArray[np.signedinteger], value: Real, rows: int) -> Self:
        """Sort values into rows."""
        order = np.lexsort((value, row))
        row, value = row[order].astype(np.int64), value[order]
        length = np.bincount(row, minlength=rows)
        start = np.cumsum(length) - length
        position = np.arange(row.size) - start[row] + 1
        return cls(start=start, length=length, row=row, position=position, value=value, total=_running_sums(value, start, length))


def _running_sums(value: Real, start: Ints, length: Ints) -> Real:
    """Sums within rows. Rows are taken by themselves: differences of one long running sum would lose digits."""
    total = np.cumsum(value)
    long = np.flatnonzero(length > 1)
    if long.size * 20 < value.size:
        for s, n in zip(start[long].tolist(), length[long].tolist(), strict=True):
            total[s : s + n] = np.cumsum(value[s : s + n])
        single = np.flatnonzero(length == 1)
        total[start[single]] = value[start[single]]
        return total
    # Many short rows: step through positions, all rows at once.
    total = value.copy()
    for step in range(1, int(length.max(initial=0))):
        long = long[length[long] > step]
        total[start[long] + step] += total[start[long] + step - 1]
    return total


def pair_range(label: npt.NDArray[np.signedinteger], degree: Ints, two_sided: bool, row: Ints, size: Ints) -> tuple[Ints, Ints]:
    """How few and how many pairs ``size`` connected qubits of a component can have.

    At most half the sum of the largest degrees, and what a complete (bipartite) graph has. At least a tree, and what is left when
    the qubits of largest degree are taken away.

    Args:
        label: Component of each node.
        degree: Of each node.
        two_sided: The graph is bipartite.
        row: Component of each asked size.
        size: The asked sizes, at least 2.
    """
    table = Table.of(label, -degree.astype(np.float64), int(label.max()) + 1)
    running = np.append(0, -table.total.astype(np.int64))
    pairs = running[1 + table.start[row] + table.length[row] - 1] // 2

    def largest(count: Ints) -> Ints:
        return np.where(count > 0, running[np.where(count > 0, table.start[row] + count, 0)], 0)

    most = np.minimum(largest(size) // 2, size**2 // 4 if two_sided else size * (size - 1) // 2)
    return np.maximum(size - 1, pairs - largest(table.length[row] - size)), most
