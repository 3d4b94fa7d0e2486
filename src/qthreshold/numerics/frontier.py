"""Connected sub-registers with the smallest mean error: the best that can be found for every size, and what none can undercut.

A register is a set of qubits that the pairs among them connect; its error is the arithmetic mean over all pairs inside it, wanted or
not. To find the best one of a size is NP-hard, but devices are small or narrow. For every component of the graph:

- Up to 16 qubits: all subsets. Trees: best subtrees of every size by dynamic programming over the branches.
- Narrow (heavy-hex devices, grids up to about ten wide): decide about qubit after qubit; all that matters of the decided ones is which
  members at the frontier are connected so far (dynamic programming over a path decomposition). Exact where cycles are few enough to be
  told apart, otherwise by prices, mostly with proof.
- Wide: best subtrees of the minimum spanning tree, growth from cheap pairs, and sweeps up and down the sizes; the bound is the larger of
  the forest bound below, one from the pairs around each qubit (dense graphs), and one from prices in narrow regions, on whose borders
  connection is taken for granted.

Forest bound. Order the pairs of a component totally, by error. Kruskal's algorithm accepts a pair unless cheaper ones already connect
its qubits; f_1 <= f_2 <= ... are the accepted pairs (the forest), x_1 <= x_2 <= ... the rejected ones. A connected register of k qubits
with m pairs has its own spanning tree by the same rule and order. The k - 1 pairs of that tree are independent in the graphic matroid,
so by the greedy algorithm for its truncation they weigh at least f_1 + ... + f_{k-1} [1, sections 1.8 and 7.3]. The m - k + 1 others are
each spanned by cheaper pairs of the register, hence by cheaper pairs of the graph: Kruskal rejects them there too, and they weigh at
least x_1 + ... + x_{m-k+1}. So the mean is at least

    min over m of (f_1 + ... + f_{k-1} + x_1 + ... + x_{m-k+1}) / m,

whatever the signs, where m runs over the numbers of pairs that k qubits of the component can have.

Prices. Let c be at most the cost of every connected set when a pair costs its error less p and a qubit -q. A register of k qubits with
m pairs has errors of at least p m + c + q k, so its mean is at least p + (c + q k) / m. This holds for all p and q (Lagrange multipliers).

References:
    [1] J. Oxley, Matroid Theory, 2nd ed. (Oxford, 2011).
    [2] W. Dinkelbach, Management Science 13, 492 (1967).
    [3] H. L. Bodlaender, Theor. Comput. Sci. 209, 1 (1998) (path and tree decompositions, and dynamic programming over them).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt
import rustworkx as rx
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree, shortest_path

__all__ = ["Subregisters", "best_subregisters", "register_edges", "subregister_bounds"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_Choice = npt.NDArray[np.unsignedinteger]
_Network: TypeAlias = "rx.PyGraph[None, None]"

_ENUMERATED = 16  # qubits up to which all subsets are looked at
_ROUNDING = 1e-12  # relative: what is closer is the same mean
_ROWS = 256  # registers weighed at a time
_DENSE = 8  # times the pairs at least the square of the qubits
_CELLS = 2_000_000  # of matrices over all draws at a time
# Programmes
_STARTS = 8  # lonely nodes that orders start from
_TRIED = 4  # orders of which the programme is written
_WIDEST = 12  # frontier
_STATES = 600_000  # over all steps
_ENTRIES = 32_000_000  # of tables: states times sizes, times numbers of cycles where these are told apart
_WORK = 120_000_000  # entries of all runs together
_RUNS = 20  # at most
_NEW = 15  # label of the part that a node joins, until parts are numbered again
_HELD = 14  # label of parts that hold an anchored node
# Prices
_PRICES = 60  # at most
_FEWEST_PRICES = 2  # fewer are not worth it
_MARKUP = (0.3, 1.0, 1.7)
_DRAW_WORK = 140_000_000  # candidates times draws times prices
_CHUNK = 1500  # draws times prices at a time: tables stay in the cache
_REGION_WIDTHS = (9, 6, 4)  # of the regions into which wide graphs are cut
# Search
_SEEDS = 20_000  # nodes times seeds, but 16 seeds at least
_SWEEPS = 60


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Subregisters:
    """For every size a connected register with a small mean error, and a lower bound for all of them.

    Attributes:
        sizes: Numbers of qubits, 2 to that of the largest component, shape ``(K,)``; empty if there is no pair.
        mean: Mean error of the best register found over its own pairs, shape ``(K,)``.
        bound: No connected register of that size has a smaller mean, shape ``(K,)``; equal to ``mean`` where that is proven optimal.
        members: The register found, shape ``(K, n_nodes)``.
    """

    sizes: Ints
    mean: Real
    bound: Real
    members: Bools


def register_edges(members: Bools, edges: Ints) -> Bools:
    """Pairs inside each register.

    Args:
        members: Registers, shape ``(K, n_nodes)``.
        edges: Pairs, shape ``(E, 2)``.

    Returns:
        Whether both qubits of a pair are members, shape ``(K, E)``.
    """
    return members[:, edges[:, 0]] & members[:, edges[:, 1]]


def best_subregisters(n_nodes: int, edges: Ints, error: Real) -> Subregisters:
    """The connected registers of smallest mean error, for every size at once; the same every time.

    Exact for components of up to 16 qubits and for heavy-hex devices, exact or nearly for grids up to about ten wide. For wide graphs, the best
    that a search finds and a bound.

    Args:
        n_nodes: Number of qubits.
        edges: Working pairs, shape ``(E, 2)``, each once and as a < b.
        error: Error of each pair, shape ``(E,)``; estimates near 0 may be negative.

    Returns:
        Registers, their means and lower bounds.

    Raises:
        ValueError: Shapes do not fit, an error is not finite, or a pair is not a < b, out of range or there twice.

    Example:
        >>> found = best_subregisters(4, np.array([[0, 1], [1, 2], [2, 3]]), np.array([0.3, 0.1, 0.2]))
        >>> found.mean.round(3).tolist(), found.members[1].tolist()
        ([0.1, 0.15, 0.2], [False, True, True, True])
    """
    edges = _checked(n_nodes, edges, error, (len(edges),))
    parts = [_best_of_component(part) for part in _components(n_nodes, edges, error)]
    most = max((part.graph.n for part in parts), default=1)
    mean, bound = np.full(most + 1, np.inf), np.full(most + 1, np.inf)
    members = np.zeros((most + 1, n_nodes), dtype=bool)
    for part in parts:
        size = np.arange(2, part.graph.n + 1)
        better = size[part.mean[2:] < mean[size]]
        members[better] = False
        members[better[:, None], part.graph.nodes] = part.members[better]
        mean[better] = part.mean[better]
        bound[size] = np.minimum(bound[size], part.bound[2:])
    return Subregisters(sizes=np.arange(2, most + 1), mean=mean[2:], bound=bound[2:], members=members[2:])


def subregister_bounds(n_nodes: int, edges: Ints, error: Real, alive: Bools | None = None) -> Real:
    """Lower bounds on the mean error of every connected register, for many draws of the errors at once.

    The forest bound; for dense graphs also one from the pairs around each qubit; and, where time allows, bounds from prices, which look at the
    draws together: they are chosen for the average.

    Args:
        n_nodes: Number of qubits.
        edges: Pairs, shape ``(E, 2)``, each once and as a < b.
        error: Errors of the pairs, shape ``(D, E)``.
        alive: Which pairs exist in each draw, shape ``(D, E)``; all if None. Errors of the others are not looked at.

    Returns:
        Lower bound for every size, shape ``(D, n_nodes + 1)``, size k in column k. Infinite where a draw has no connected register of that
        size, and for 0 and 1 qubits, which have no pair.

    Raises:
        ValueError: Shapes do not fit, an error is not finite, or a pair is not a < b, out of range or there twice.

    Example:
        >>> edges, draws = np.array([[0, 1], [1, 2], [0, 2]]), np.array([[0.3, 0.1, 0.2], [0.3, 0.3, 0.3]])
        >>> subregister_bounds(3, edges, draws)[:, 2:].round(3).tolist()
        [[0.1, 0.2], [0.3, 0.3]]
    """
    if np.ndim(error) != 2:
        raise ValueError(f"errors of draws have two axes, got shape {np.shape(error)}")
    alive = np.ones(error.shape, dtype=bool) if alive is None else np.asarray(alive, dtype=bool)
    if alive.shape != error.shape:
        raise ValueError(f"errors have shape {error.shape}, but alive has {alive.shape}")
    edges = _checked(n_nodes, edges, np.where(alive, error, 0.0), (len(error), len(edges)))
    kinds = (_forest_bounds, _star_bounds, _priced_bounds)
    return np.maximum.reduce([bound(n_nodes, edges, error, alive) for bound in kinds])


def _checked(n_nodes: int, edges: Ints, error: Real, shape: tuple[int, ...]) -> Ints:
    """The pairs, if they and their errors can be used."""
    edges = np.asarray(edges, dtype=np.int64)
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ValueError(f"pairs have shape (E, 2), got {edges.shape}")
    if np.shape(error) != shape:
        raise ValueError(f"errors have shape {np.shape(error)}, but {len(edges)} pairs need {shape}")
    if not np.isfinite(error).all():
        bad = np.unique(np.nonzero(~np.isfinite(error))[-1])
        raise ValueError(f"errors must be finite numbers, got {np.asarray(error)[..., bad[0]].ravel()[:3].tolist()} for pair {bad[0]}")
    if edges.size and (edges.min() < 0 or edges.max() >= n_nodes):
        raise ValueError(f"pairs name qubits {edges.min()} to {edges.max()}, but there are {n_nodes}")
    if (edges[:, 0] >= edges[:, 1]).any():
        raise ValueError(f"a pair is written as a < b, got {edges[edges[:, 0] >= edges[:, 1]][0].tolist()}")
    if len(np.unique(edges[:, 0] * n_nodes + edges[:, 1])) != len(edges):
        raise ValueError(f"{len(edges)} pairs, but only {len(np.unique(edges, axis=0))} different ones")
    return edges


# --- The forest bound -------------------------------------------------------------------------------------------------------------------


def _forest_bounds(n_nodes: int, edges: Ints, error: Real, alive: Bools) -> Real:
    """The forest bound of every draw; all draws are one graph, and every component of it is a row of the tables below."""
    draws = len(error)
    bounds = np.full((draws, n_nodes + 1), np.inf)
    draw, pair = np.nonzero(alive)
    if not draw.size:
        return bounds
    weight = error[draw, pair]
    order = np.lexsort((weight, draw))
    draw, pair, weight = draw[order], pair[order], weight[order]
    a, b = draw * n_nodes + edges[pair, 0], draw * n_nodes + edges[pair, 1]
    shape = (draws * n_nodes, draws * n_nodes)
    # Ranks instead of errors: they are never 0, which sparse graphs take for no pair, and they break ties by one total order.
    graph = coo_array((np.arange(1.0, draw.size + 1), (a, b)), shape=shape).tocsr()
    tree = np.zeros(draw.size, dtype=bool)
    tree[minimum_spanning_tree(graph).data.astype(np.int64) - 1] = True
    _, label = connected_components(graph, directed=False)
    nodes = np.bincount(label)
    of_pair = label[a]
    forest, rest = (_Table.of(of_pair[which], weight[which], nodes.size) for which in (tree, ~tree))
    size = forest.position + 1  # of the register that has that many pairs of the forest
    degree = np.bincount(np.concatenate([a, b]), minlength=label.size)
    least, most = _pair_range(label, degree, _two_sided(n_nodes, edges), forest.row, size)
    spare = rest.length[forest.row]
    value = _best_mean(forest.total, size - 1, rest, forest.row, np.minimum(least - (size - 1), spare), np.minimum(most - (size - 1), spare))
    of_row = np.zeros(nodes.size, dtype=np.int64)
    of_row[of_pair] = draw
    np.minimum.at(bounds, (of_row[forest.row], size), value)
    return bounds


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Table:
    """Errors sorted within rows of unequal length, one row after the other, with their running sums."""

    start: Ints  # of each row
    length: Ints
    row: Ints  # of each entry
    position: Ints  # within its row, from 1
    value: Real
    total: Real  # running sum within the row

    @classmethod
    def of(cls, row: npt.NDArray[np.signedinteger], value: Real, rows: int) -> Self:
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


def _best_mean(tree_sum: Real, tree_pairs: Ints, rest: _Table, row: Ints, least: Ints, most: Ints) -> Real:
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


def _pair_range(label: npt.NDArray[np.signedinteger], degree: Ints, two_sided: bool, row: Ints, size: Ints) -> tuple[Ints, Ints]:
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
    table = _Table.of(label, -degree.astype(np.float64), int(label.max()) + 1)
    running = np.append(0, -table.total.astype(np.int64))
    pairs = running[1 + table.start[row] + table.length[row] - 1] // 2

    def largest(count: Ints) -> Ints:
        return np.where(count > 0, running[np.where(count > 0, table.start[row] + count, 0)], 0)

    most = np.minimum(largest(size) // 2, size**2 // 4 if two_sided else size * (size - 1) // 2)
    return np.maximum(size - 1, pairs - largest(table.length[row] - size)), most


def _star_bounds(n_nodes: int, edges: Ints, error: Real, alive: Bools) -> Real:
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


def _two_sided(n_nodes: int, edges: Ints) -> bool:
    return bool(rx.is_bipartite(_as_graph(n_nodes, edges)))


def _as_graph(n_nodes: int, edges: Ints) -> _Network:
    graph = rx.PyGraph(multigraph=False)
    graph.add_nodes_from([None] * n_nodes)
    graph.extend_from_edge_list([(a, b) for a, b in edges.tolist()])
    return graph


# --- Components -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Graph:
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
        return len(self.nodes)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Part:
    """What is known of a component; size k in row k, rows 0 and 1 are empty."""

    graph: _Graph
    mean: Real
    bound: Real
    members: Bools


def _components(n_nodes: int, edges: Ints, error: Real) -> list[_Graph]:
    """Components with at least one pair."""
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n_nodes, n_nodes))
    count, label = connected_components(graph.tocsr(), directed=False) if n_nodes else (0, np.zeros(0, dtype=np.int64))
    found = []
    for part in range(count):
        nodes = np.flatnonzero(label == part)
        if nodes.size > 1:
            inside = label[edges[:, 0]] == part
            found.append(_graph(nodes, np.searchsorted(nodes, edges[inside]), error[inside]))
    return found


def _graph(nodes: Ints, edges: Ints, error: Real) -> _Graph:
    n = len(nodes)
    ends, others = np.concatenate([edges[:, 0], edges[:, 1]]), np.concatenate([edges[:, 1], edges[:, 0]])
    order = np.argsort(ends, kind="stable")
    degree = np.bincount(ends, minlength=n)
    column = np.arange(ends.size) - np.repeat(np.cumsum(degree) - degree, degree)
    near, pair = np.full((n, degree.max()), n), np.zeros((n, degree.max()), dtype=np.int64)
    near[ends[order], column] = others[order]
    pair[ends[order], column] = order % len(edges)
    error = np.asarray(error, dtype=np.float64)
    return _Graph(nodes=nodes, edges=edges, error=error, near=near, pair=pair, cost=np.where(near < n, error[pair], 0.0))


def _best_of_component(graph: _Graph) -> _Part:
    if graph.n <= _ENUMERATED:
        return _proven(graph, _enumerated(graph))
    if len(graph.edges) == graph.n - 1:  # a tree
        return _proven(graph, _subtrees(graph))
    steps = _best_program(graph)
    narrow = steps is not None and _entries(steps) <= _ENTRIES
    if steps is not None and _entries(steps) * (len(graph.edges) - graph.n + 2) <= _ENTRIES:
        return _proven(graph, _told_apart(graph, steps))
    members = _searched(graph)
    every = np.ones((1, len(graph.edges)), dtype=bool)
    bound = np.maximum(*(kind(graph.n, graph.edges, graph.error[None], every)[0] for kind in (_forest_bounds, _star_bounds)))
    if regions := next(_divisions(graph, steps), None):
        prices = _prices(graph, members, _PRICES, loose=len(regions) > 1)
        bound = np.maximum(bound, _bounds_at(graph, regions, graph.error[None], every, prices)[0])
    if steps is not None and narrow:
        members, bound = _priced(graph, steps, members, bound)
    mean = _means(graph, members)
    return _Part(graph=graph, mean=mean, bound=np.where(_met(bound, mean), mean, bound), members=members)


def _proven(graph: _Graph, members: Bools) -> _Part:
    mean = _means(graph, members)
    return _Part(graph=graph, mean=mean, bound=mean, members=members)


def _met(bound: Real, mean: Real) -> Bools:
    """Where a bound reaches the mean; sums taken in another order must not put it above."""
    met = np.ones(mean.shape, dtype=bool)
    met[2:] = bound[2:] >= mean[2:] - _ROUNDING * np.abs(mean[2:])
    return met


def _weighed(graph: _Graph, members: Bools) -> tuple[Real, Ints]:
    """Sum of the errors in each register, and number of its pairs."""
    weight, pairs = np.zeros(len(members)), np.zeros(len(members), dtype=np.int64)
    for first in range(0, len(members), _ROWS):
        inside = register_edges(members[first : first + _ROWS], graph.edges)
        weight[first : first + _ROWS] = np.where(inside, graph.error, 0.0).sum(axis=1)
        pairs[first : first + _ROWS] = inside.sum(axis=1)
    return weight, pairs


def _means(graph: _Graph, members: Bools) -> Real:
    """Mean error of each register, infinite for those without pairs."""
    weight, pairs = _weighed(graph, members)
    return np.where(pairs > 0, weight / np.maximum(pairs, 1), np.inf)


# --- Small components: all subsets ------------------------------------------------------------------------------------------------------


def _enumerated(graph: _Graph) -> Bools:
    """The best register of every size among all subsets, as bit patterns."""
    n = graph.n
    subset = np.arange(1 << n)
    weight, pairs, size = np.zeros(1 << n), np.zeros(1 << n, dtype=np.int64), np.zeros(1 << n, dtype=np.int64)
    masks = [sum(1 << int(u) for u in near[near < n]) for near in graph.near]
    for v in range(n):  # subsets whose highest node is v are those without it, once more
        low = slice(0, 1 << v)
        high = slice(1 << v, 2 << v)
        weight[high], pairs[high], size[high] = weight[low], pairs[low], size[low] + 1
        for u, cost in zip(graph.near[v].tolist(), graph.cost[v].tolist(), strict=True):
            if u < v:
                weight[high] += np.where(subset[low] >> u & 1, cost, 0.0)
                pairs[high] += subset[low] >> u & 1
    reached, before = subset & -subset, np.zeros_like(subset)
    while (reached != before).any():
        before = reached.copy()
        for v, mask in enumerate(masks):
            reached |= np.where(reached >> v & 1, mask, 0) & subset
    whole = (reached == subset) & (pairs > 0)
    mean = np.where(whole, weight / np.maximum(pairs, 1), np.inf)
    best = np.zeros(n + 1, dtype=np.int64)
    for k in range(2, n + 1):
        of_size = np.flatnonzero(size == k)
        best[k] = of_size[mean[of_size].argmin()]
    return (best[:, None] >> np.arange(n) & 1).astype(bool)


# --- Narrow components: dynamic programming along an elimination order --------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Step:
    """One node joins or stays out, and the nodes whose neighbours are all decided leave the frontier.

    A state says which nodes of the frontier are members and which of these are connected so far. Candidates are pairs of an old state
    and a decision, sorted by the new state that they lead to; the last new state stands for registers that are finished.
    """

    node: int
    pairs: Ints  # that connect the node with decided ones
    source: Ints  # old state of each candidate
    joins: Bools
    added: Bools  # which of the pairs each candidate adds, shape (candidates, pairs)
    cycles: Ints  # how many of these close a cycle
    start: Ints  # first candidate of each new state, and their number at the end

    @property
    def states(self) -> int:
        return self.start.size - 1


def _best_program(graph: _Graph, anchored: Bools | None = None) -> list[_Step] | None:
    """The programme with the fewest states among some orders; None if all are too wide."""
    anchored = np.zeros(graph.n, dtype=bool) if anchored is None else anchored
    narrow = [order for _, width, order in _orders(graph) if width <= _WIDEST]
    programs = [_program(graph, order, anchored) for order in narrow[:_TRIED]]
    return min((steps for steps in programs if steps is not None), key=_entries, default=None)


def _entries(steps: list[_Step]) -> int:
    return sum(step.states * (number + 2) for number, step in enumerate(steps))


def _told_apart(graph: _Graph, steps: list[_Step]) -> Bools:
    """The best register of every size, proven: the cheapest for every size and number of pairs."""
    n = graph.n
    solved = _solved(graph, steps, None)
    pairs = np.arange(n + 1)[:, None] - 1 + np.arange(solved.value.shape[1])
    mean = solved.value[2:] / pairs[2:]
    members = np.zeros((n + 1, n), dtype=bool)
    members[2:] = _traced(solved, np.arange(2, n + 1), mean.argmin(axis=1), n)
    return members


def _priced(graph: _Graph, steps: list[_Step], members: Bools, bound: Real) -> tuple[Bools, Real]:
    """Better registers and bounds. A register that costs g when every pair has a price p off has the mean p + g / pairs.

    Where the cheapest register at p = the mean in hand costs nothing, that mean is the smallest (Dinkelbach [2]); at other p it has a bound.
    The next price is the mean where the gap is widest.
    """
    n = graph.n
    size = np.arange(2, n + 1)
    degree = np.bincount(graph.edges.ravel(), minlength=n)
    label = np.zeros(n, dtype=np.int64)
    least, most = _pair_range(label, degree, _two_sided(n, graph.edges), label[1:], size)
    pairs = least[:, None] + np.arange((most - least).max() + 1)
    lowest = np.where(pairs <= most[:, None], bound[2:, None], np.inf)  # mean for each size and number of pairs
    for _ in range(min(_RUNS, max(2, _WORK // _entries(steps)))):
        mean, bound = _means(graph, members), np.append([np.inf, np.inf], lowest.min(axis=1))
        gap = np.where(_met(bound, mean)[2:], 0.0, mean[2:] - bound[2:])
        if not gap.any():
            break
        price = float(mean[2 + gap.argmax()])
        solved = _solved(graph, steps, price)
        lowest = np.maximum(lowest, price + solved.value[2:] / pairs)
        found = np.zeros_like(members)
        found[2:] = _traced(solved, size, np.zeros(n - 1, dtype=np.int64), n)
        members = _better(graph, members, found)
    return members, np.append([np.inf, np.inf], lowest.min(axis=1))


def _orders(graph: _Graph) -> list[tuple[float, int, list[int]]]:
    """Orders in which to decide about the nodes such that few decided ones have undecided neighbours.

    Returns:
        Effort, width and order, most promising first.
    """
    near = [row[row < graph.n].tolist() for row in graph.near]
    table = coo_array((np.ones(len(graph.edges)), (graph.edges[:, 0], graph.edges[:, 1])), shape=(graph.n, graph.n)).tocsr()
    far = [0]
    for _ in range(3):
        far.append(int(breadth_first_order(table, far[-1], directed=False, return_predecessors=False)[-1]))
    lonely = np.argsort([len(around) for around in near], kind="stable")[:_STARTS]
    starts = list(dict.fromkeys(far + lonely.tolist()))
    orders = [order for start in starts if (order := _greedy_order(near, start))]
    # Nodes by how much nearer they are to one end than to the other: the columns of a grid, between two corners.
    steps = shortest_path(table, directed=False, unweighted=True, indices=starts)
    orders += [np.lexsort((steps[i], steps[i] - steps[j])).tolist() for i in range(len(starts)) for j in range(i)]
    orders = orders or [list(range(graph.n))]
    return sorted((*_effort(near, order), order) for order in orders)


def _greedy_order(near: list[list[int]], start: int) -> list[int]:
    """Always the node that makes the frontier smallest, first those beside its oldest nodes; empty if it grows too wide."""
    undecided = [len(around) for around in near]
    age: dict[int, int] = {}
    reach = {start}
    width = 0
    while reach and width <= _WIDEST:
        rated = []
        for v in reach:
            decided = [u for u in near[v] if u in age]
            closes = sum(undecided[u] == 1 for u in decided)
            rated.append(((undecided[v] > 0) - closes, min((age[u] for u in decided), default=0), undecided[v], v))
        grows, _, _, v = min(rated)
        width += grows
        reach.remove(v)
        age[v] = len(age)
        for u in near[v]:
            undecided[u] -= 1
            if u not in age:
                reach.add(u)
    return list(age) if not reach else []


def _effort(near: list[list[int]], order: list[int]) -> tuple[float, int]:
    """About how many states an order has, and its widest frontier.

    Each lone node of the frontier counts 5, one beside another 3, as non-crossing partitions do (Catalan and Motzkin numbers).
    """
    undecided = [len(around) for around in near]
    front: set[int] = set()
    effort, links, width = 0.0, 0, 0
    for v in order:
        front.add(v)
        links += sum(u in front for u in near[v])
        for u in near[v]:
            undecided[u] -= 1
        for u in (v, *near[v]):
            if u in front and not undecided[u]:
                front.remove(u)
                links -= sum(other in front for other in near[u])
        width = max(width, len(front))
        effort += 5.0 ** min(len(front), 400) * 0.6 ** min(links, len(front))
    return effort, width


def _program(graph: _Graph, order: list[int], anchored: Bools) -> list[_Step] | None:
    """The steps of the dynamic programme; None if it has too many states.

    Parts that hold an anchored node count as connected to each other, and need not be the whole register.
    """
    undecided = [int((row < graph.n).sum()) for row in graph.near]
    front: list[int] = []
    labels = np.zeros((1, 0), dtype=np.int8)  # of each state: 0 out, otherwise the number of its connected part
    steps, states = [], 0
    for v in order:
        count = len(labels)
        cycles, pairs, added = np.zeros(2 * count, dtype=np.int64), [], []
        held = np.full(count, anchored[v])
        new = np.concatenate([np.tile(labels, (2, 1)), np.repeat(np.array([[0], [_NEW]], dtype=np.int8), count, axis=0)], axis=1)
        joined = new[count:]
        for u, pair in zip(graph.near[v].tolist(), graph.pair[v].tolist(), strict=True):
            if u == graph.n:
                continue
            undecided[u] -= 1
            if u in front:
                label = joined[:, front.index(u)].copy()
                pairs.append(pair)
                added.append(np.concatenate([np.zeros(count, dtype=bool), label > 0]))
                cycles[count:] += label == _NEW
                held |= label == _HELD
                joined[(joined == label[:, None]) & (label > 0)[:, None]] = _NEW
        joined[(joined == _NEW) & held[:, None]] = _HELD
        front.append(v)
        stay = [slot for slot, u in enumerate(front) if undecided[u]]
        alive, done = _closed(new, [slot for slot in range(len(front)) if slot not in stay], stay)
        new, front = _renumbered(new[:, stay]), [front[slot] for slot in stay]
        code = (new.astype(np.int64) << (4 * np.arange(len(stay)))).sum(axis=1)
        code[done] = np.iinfo(np.int64).max  # sorted to the end
        kept = np.flatnonzero(alive)
        kept = kept[np.argsort(code[kept], kind="stable")]
        first = np.flatnonzero(np.diff(code[kept], prepend=-1))
        labels = new[kept[first]]
        if done.any():
            labels = labels[:-1]
        else:
            first = np.append(first, kept.size)  # no candidate finishes
        steps.append(_Step(
            node=v, pairs=np.array(pairs, dtype=np.int64), source=kept % count, joins=kept >= count,
            added=np.array(added, dtype=bool).reshape(-1, 2 * count).T[kept], cycles=cycles[kept], start=np.append(first, kept.size),
        ))  # fmt: skip
        states += len(labels)
        if states > _STATES:
            return None
    return steps


def _closed(labels: npt.NDArray[np.int8], leaving: list[int], stay: list[int]) -> tuple[Bools, Bools]:
    """Which candidates are possible, and which of these are finished: a part that leaves the frontier must be the whole register."""
    alive, done = np.ones(len(labels), dtype=bool), np.zeros(len(labels), dtype=bool)
    others = (labels[:, stay] > 0).any(axis=1)
    first = np.zeros(len(labels), dtype=np.int8)
    for slot in leaving:
        label = labels[:, slot]
        ends = (label > 0) & (label != _HELD) & ~(labels[:, stay] == label[:, None]).any(axis=1)
        alive &= ~ends | (~others & ((first == 0) | (first == label)))
        first = np.where(ends, label, first)
        done |= ends
    return alive, done & alive


def _renumbered(labels: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Connected parts numbered by first appearance."""
    out, following = np.zeros_like(labels), np.ones(len(labels), dtype=np.int8)
    for slot in range(labels.shape[1]):
        label = labels[:, slot]
        fresh = (label > 0) & (label != _HELD) & (out[:, slot] == 0)
        np.copyto(out, following[:, None], where=(labels == label[:, None]) & fresh[:, None])
        out[label == _HELD, slot] = _HELD
        following += fresh
    return out


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Solved:
    """Smallest cost of a connected register by size and number of cycles, and how to get it.

    Attributes:
        value: Shape ``(n + 1, H)``; infinite where there is none.
        finish: Step at which the cheapest one is finished.
        choice: For each step, the winning candidate of each state, size and number of cycles, counted from the first of that state.
    """

    steps: list[_Step]
    value: Real
    finish: Ints
    choice: list[_Choice]


def _solved(graph: _Graph, steps: list[_Step], price: float | None) -> _Solved:
    """Run the programme.

    Args:
        graph: The component.
        steps: Its programme.
        price: If given, every pair costs its error less this, and cycles are not told apart. If None, a pair costs its error and the cheapest
            register is found for every number of cycles.
    """
    n = graph.n
    depth = 1 + (len(graph.edges) - n + 1 if price is None else 0)
    value, finish = np.full((n + 1, depth), np.inf), np.zeros((n + 1, depth), dtype=np.int64)
    old = np.zeros((1, 1, 1))
    choice, closable = [], 0
    for number, step in enumerate(steps):
        if price is None:
            closable = min(closable + int(step.cycles.max(initial=0)), depth - 1)
        new = np.full((step.states, number + 2, closable + 1), np.inf)
        count = np.diff(step.start)
        chosen = np.zeros(new.shape, dtype=np.uint8 if count.max() <= 256 else np.uint32)
        cost = step.added @ (graph.error[step.pairs] - (price or 0.0))
        for place in range(int(count.max())):
            state = np.flatnonzero(count > place)
            _relax(new, chosen, old, step, state, step.start[state] + place, cost, place, price is None)
        last = new[-1]
        better = np.zeros(value.shape, dtype=bool)
        better[: number + 2, : closable + 1] = last < value[: number + 2, : closable + 1]
        value[: number + 2, : closable + 1] = np.minimum(value[: number + 2, : closable + 1], last)
        finish[better] = number
        choice.append(chosen)
        old = new[:-1]
    return _Solved(steps=steps, value=value, finish=finish, choice=choice)


def _relax(
    new: Real, chosen: _Choice, old: Real, step: _Step, state: Ints, candidate: Ints, cost: Real, place: int, cyclic: bool
) -> None:  # fmt: skip
    """Let one candidate of each given state compete."""
    shift = np.where(step.joins[candidate], 1 + (step.cycles[candidate] if cyclic else 0), 0)
    for by in np.unique(shift).tolist():
        which = shift == by
        target, source, extra = state[which], step.source[candidate[which]], cost[candidate[which]]
        size, cycles = (1, by - 1) if by else (0, 0)
        depth = min(old.shape[2], new.shape[2] - cycles)
        view = (slice(size, size + old.shape[1]), slice(cycles, cycles + depth))
        offered = old[source, :, :depth] + extra[:, None, None]
        present = new[(target, *view)]
        better = offered < present
        new[(target, *view)] = np.where(better, offered, present)
        if place:
            chosen[(target, *view)] = np.where(better, place, chosen[(target, *view)])


def _traced(solved: _Solved, size: Ints, cycles: Ints, n: int) -> Bools:
    """Members of the cheapest registers of given sizes and numbers of cycles, shape ``(T, n)``."""
    members = np.zeros((size.size, n), dtype=bool)
    size, cycles = size.copy(), cycles.copy()
    finish = solved.finish[size, cycles]
    state = np.full(size.size, -1)
    for number in range(len(solved.steps) - 1, -1, -1):
        step, chosen = solved.steps[number], solved.choice[number]
        state[finish == number] = step.states - 1
        on = np.flatnonzero(finish >= number)
        candidate = step.start[state[on]] + chosen[state[on], size[on], cycles[on]]
        joins = step.joins[candidate]
        members[on, step.node] = joins
        size[on] -= joins
        if chosen.shape[2] > 1:
            cycles[on] -= joins * step.cycles[candidate]
        state[on] = step.source[candidate]
    return members


# --- Draws, and graphs that are wide: two prices and a cut into regions -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Prices:
    """For some sizes, the best register known of that size; and prices that make it about the cheapest of all sizes.

    Attributes:
        price: Of pairs, shape ``(J,)``.
        reward: Of qubits, shape ``(J,)``.
        members: Shape ``(J, n)``.
    """

    price: Real
    reward: Real
    members: Bools


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Region:
    """A connected piece of a component with its programme, anchored where pairs are cut."""

    nodes: Ints
    pairs: Ints
    steps: list[_Step]


def _priced_bounds(n_nodes: int, edges: Ints, error: Real, alive: Bools) -> Real:
    """Bounds of every draw from prices on pairs and qubits.

    Let every pair cost its error less p, every qubit -q, and let c be at most the cost of the cheapest connected set of qubits, of any
    size. A register of k qubits with m pairs then has a mean of at least p + (c + q k) / m. Any p and q will do; good ones are taken from
    the registers that a search finds for the average over the draws. Pairs that a draw lacks cost nothing and still connect there,
    which only allows more; pairs that no draw has are left out.

    Returns:
        Shape ``(D, n_nodes + 1)``; minus infinity where nothing is known.
    """
    draws = len(error)
    used = np.flatnonzero(alive.any(axis=0))
    mean = np.where(alive, error, 0.0)[:, used].sum(axis=0) / alive[:, used].sum(axis=0)
    parts = _components(n_nodes, edges[used], mean)
    best = np.full((draws, n_nodes + 1), np.inf if parts else -np.inf)
    for graph in parts:
        inside = used[np.isin(edges[used, 0], graph.nodes)]
        bound = np.full((draws, graph.n + 1), -np.inf)
        for regions in _divisions(graph, _best_program(graph), draws):
            tried = min(_PRICES, _DRAW_WORK // (draws * sum(step.source.size for region in regions for step in region.steps)))
            if tried >= _FEWEST_PRICES:
                prices = _prices(graph, _searched(graph), tried, loose=len(regions) > 1 or not alive[:, inside].all())
                bound = np.maximum(bound, _bounds_at(graph, regions, error[:, inside], alive[:, inside], prices))
                break
        best[:, : graph.n + 1] = np.minimum(best[:, : graph.n + 1], bound)
    return best


def _divisions(graph: _Graph, steps: list[_Step] | None, draws: int = 1) -> Iterator[list[_Region]]:
    """The whole component if it has a programme; ever narrower pieces of it, without those that are too wide for so many draws."""
    if steps is not None:
        yield [_Region(nodes=np.arange(graph.n), pairs=np.arange(len(graph.edges)), steps=steps)]
    _, width, order = _orders(graph)[0]
    for target in _REGION_WIDTHS:
        count = round(graph.n / (target * width))
        guess = draws * _FEWEST_PRICES * graph.n * 3**target // 30  # candidates
        if count > 1 and guess < _DRAW_WORK and (regions := _cut(graph, np.array_split(np.array(order), count))):
            yield regions


def _cut(graph: _Graph, pieces: list[Ints]) -> list[_Region]:
    """Regions of the pieces; none if one is too wide."""
    piece_of = np.zeros(graph.n, dtype=np.int64)
    for number, piece in enumerate(pieces):
        piece_of[piece] = number
    whole = piece_of[graph.edges[:, 0]] == piece_of[graph.edges[:, 1]]
    held = np.zeros(graph.n, dtype=bool)
    held[graph.edges[~whole]] = True
    kept = np.flatnonzero(whole)
    table = coo_array((np.ones(kept.size), (graph.edges[kept, 0], graph.edges[kept, 1])), shape=(graph.n, graph.n))
    count, label = connected_components(table.tocsr(), directed=False)
    regions = []
    for part in range(count):
        nodes = np.flatnonzero(label == part)
        pairs = kept[label[graph.edges[kept, 0]] == part]
        local = _graph(nodes, np.searchsorted(nodes, graph.edges[pairs]), graph.error[pairs])
        steps = _best_program(local, held[nodes])
        if steps is None:
            return []
        regions.append(_Region(nodes=nodes, pairs=pairs, steps=steps))
    return regions


def _prices(graph: _Graph, members: Bools, count: int, loose: bool) -> _Prices:
    """About ``count`` prices from the best registers known of every size.

    At a price for pairs all registers known have costs; the reward for qubits is the slope of their convex hull at the size in question.
    The price is the mean of the register of that size, and more where unconnected sets compete (``loose``: pairs are cut or missing):
    these have fewer pairs than a connected register needs, and the more a pair is worth, the dearer that is.
    """
    weight, pairs = _weighed(graph, members[2:])
    size = np.arange(2, graph.n + 1)
    marks = np.array(_MARKUP if loose and count >= 30 else [1.0] if loose else [0.0])
    place = (np.arange(count // marks.size) + 0.5) / (count // marks.size)
    at = np.unique((2 + (graph.n - 2) * place**1.5).astype(np.int64))  # small registers differ more from size to size
    at, mark = (grid.ravel() for grid in np.meshgrid(at, marks))
    price = (weight / pairs)[at - 2]
    price = price + np.abs(price) * 0.5 * mark * (1 - at / graph.n) ** 1.5
    reward = [_slope(size, weight - p * pairs, k) for p, k in zip(price.tolist(), at.tolist(), strict=True)]
    return _Prices(price=price, reward=np.array(reward), members=members[at])


def _slope(x: Ints, y: Real, at: int) -> float:
    """Of the lower convex hull of points with increasing x."""
    hull: list[tuple[float, float]] = []
    for point in zip(x.tolist(), y.tolist(), strict=True):
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (point[0] - hull[-2][0]) >= (point[1] - hull[-2][1]) * (hull[-1][0] - hull[-2][0]):
            hull.pop()
        hull.append(point)
    if len(hull) == 1:
        return 0.0
    following = min(max(sum(corner[0] < at for corner in hull), 1), len(hull) - 1)
    (a, low), (b, high) = hull[following - 1 : following + 1]
    return (high - low) / (b - a)


def _bounds_at(graph: _Graph, regions: list[_Region], error: Real, alive: Bools, prices: _Prices) -> Real:
    """Bounds of a component from given prices, shape ``(D, n + 1)``."""
    n, draws, count = graph.n, len(error), prices.price.size
    size = np.arange(2, n + 1)
    label = np.zeros(n, dtype=np.int64)
    degree = np.bincount(graph.edges.ravel(), minlength=n)
    least, most = _pair_range(label, degree, _two_sided(n, graph.edges), label[1:], size)
    least = np.maximum(least - (~alive).sum(axis=1)[:, None], size - 1)
    bounds = np.full((draws, n + 1), -np.inf)
    bounds[:, :2] = np.inf
    chunk = max(1, min(_CHUNK, 5_000_000 // len(graph.edges)) // count)
    for first in range(0, draws, chunk):
        here = slice(first, first + chunk)
        cost = np.where(alive[here].T[:, :, None], error[here].T[:, :, None] - prices.price, 0.0)
        cheapest = _cheapest_cut(graph, regions, cost, prices)
        for j, (p, q) in enumerate(zip(prices.price.tolist(), prices.reward.tolist(), strict=True)):
            rest = cheapest[:, j, None] + q * size
            bounds[here, 2:] = np.maximum(bounds[here, 2:], p + rest / np.where(rest < 0, least[here], most))
    return bounds


def _cheapest_cut(graph: _Graph, regions: list[_Region], cost: Real, prices: _Prices) -> Real:
    """At most the cost of the cheapest connected set, when the cost c of each cut pair ab is shared between its qubits.

    With y = 1 for members, c y_a y_b is at least c (s y_a + (1 - s) y_b) if c < 0, and at least t c (y_a + y_b - 1) if c > 0, for s and
    t from 0 to 1. Both are chosen such that nothing is lost for the register known. A set that spans regions is in each of them a union of parts with
    anchored nodes; one that does not is connected in one of them.

    Args:
        graph: The component.
        regions: Its regions.
        cost: Of the pairs, shape ``(E, D, J)``.
        prices: At which, for the rewards and registers.

    Returns:
        Shape ``(D, J)``.
    """
    shape = cost.shape[1:]
    node = np.broadcast_to(-prices.reward, (graph.n, *shape)).reshape(graph.n, -1).copy()
    cut = np.setdiff1d(np.arange(len(graph.edges)), np.concatenate([region.pairs for region in regions]))
    paid = np.zeros(node.shape[1])
    if cut.size:
        a, b = graph.edges[cut].T
        first, second = prices.members[:, a].T, prices.members[:, b].T
        part = 0.5 * (1 + (second & ~first) - (first & ~second).astype(np.float64))[:, None]  # the qubit that is not a member pays
        gain, loss = np.minimum(cost[cut], 0.0), np.maximum(cost[cut], 0.0) * (first & second)[:, None]
        for ends, share in ((a, part), (b, 1 - part)):
            table = coo_array((np.ones(cut.size), (ends, np.arange(cut.size))), shape=(graph.n, cut.size)).tocsr()
            node += table @ (gain * share + loss).reshape(cut.size, -1)
        paid = loss.sum(axis=0).ravel()
    least, spanning = np.full(node.shape[1], np.inf), np.zeros(node.shape[1])
    for region in regions:
        alone, anchored = _cheapest(region.steps, cost[region.pairs].reshape(len(region.pairs), node.shape[1]), node[region.nodes])
        least, spanning = np.minimum(least, alone), spanning + anchored
    if len(regions) > 1:
        least = np.minimum(least, spanning)
    return (least - paid).reshape(shape)


def _cheapest(steps: list[_Step], cost: Real, node: Real) -> tuple[Real, Real]:
    """Cost of the cheapest connected set of at least one qubit, and of the cheapest union of anchored parts, which may be empty.

    Args:
        steps: Programme of the region.
        cost: Of its pairs, shape ``(E, B)``.
        node: Of its qubits, shape ``(n, B)``.
    """
    least = np.full(node.shape[1], np.inf)
    old = np.zeros((1, node.shape[1]))
    for step in steps:
        code = step.joins.astype(np.int64) + step.added @ (2 << np.arange(step.pairs.size))
        different, pattern = np.unique(code, return_inverse=True)  # candidates that add the same pairs pay the same
        bits = different[:, None] >> np.arange(1 + step.pairs.size) & 1
        extra = bits[:, 1:] @ cost[step.pairs] + bits[:, :1] * node[step.node]
        offered = old[step.source]
        offered += extra[pattern]
        last = step.start[-2]
        if last < len(offered):
            np.minimum(least, offered[last:].min(axis=0), out=least)
        old = np.minimum.reduceat(offered[:last], step.start[:-2], axis=0)
    return least, old[0]


# --- Large components: search -----------------------------------------------------------------------------------------------------------


def _searched(graph: _Graph) -> Bools:
    """Good registers of every size, shape ``(n + 1, n)``."""
    seeds = np.zeros((min(len(graph.edges), max(16, _SEEDS // graph.n)), graph.n), dtype=bool)
    cheap = graph.edges[np.argsort(graph.error, kind="stable")[: len(seeds)]]
    seeds[np.arange(len(seeds))[:, None], cheap] = True
    best = np.zeros((graph.n + 1, graph.n), dtype=bool)
    best = _better(graph, best, _subtrees(graph))
    best = _better(graph, best, _grown(graph, seeds))
    return _swept(graph, best)


def _better(graph: _Graph, one: Bools, other: Bools) -> Bools:
    return np.where((_means(graph, other) < _means(graph, one))[:, None], other, one)


def _grown(graph: _Graph, seeds: Bools) -> Bools:
    """Grow every seed qubit by qubit, always by the one that gives the smallest mean; of every size the best register met.

    Args:
        graph: The component, n qubits.
        seeds: Connected registers to start from, shape ``(P, n)``.

    Returns:
        Shape ``(n + 1, n)``, row k with k qubits; empty rows for sizes that no seed came by.
    """
    n, count = graph.n, len(seeds)
    rank = np.where(seeds, 0, n + 1)
    padded = np.concatenate([seeds, np.zeros((count, 1), dtype=bool)], axis=1)
    links, cost = np.zeros((count, n + 1), dtype=np.int64), np.zeros((count, n + 1))
    for slot in range(graph.near.shape[1]):
        here = padded[:, graph.near[:, slot]]
        links[:, :n] += here
        cost[:, :n] += here * graph.cost[:, slot]
    weight, pairs = _weighed(graph, seeds)
    size = seeds.sum(axis=1)
    cost[padded] = np.inf
    mean, winner, rows = np.full(n + 1, np.inf), np.zeros(n + 1, dtype=np.int64), np.arange(count)
    for turn in range(n + 1):
        current = np.where(pairs > 0, weight / np.maximum(pairs, 1), np.inf)
        for p in rows[current < mean[size]].tolist():
            if current[p] < mean[size[p]]:
                mean[size[p]], winner[size[p]] = current[p], p
        if (size == n).all():
            break
        with np.errstate(invalid="ignore"):
            new = np.where(links[:, :n] > 0, (weight[:, None] + cost[:, :n]) / (pairs[:, None] + links[:, :n]), np.inf)
        added = new.argmin(axis=1)
        grows = size < n
        p, v = rows[grows], added[grows]
        weight[p] += cost[p, v]
        pairs[p] += links[p, v]
        size[p] += 1
        rank[p, v] = turn + 1
        cost[p, v] = np.inf
        links[p[:, None], graph.near[v]] += 1
        cost[p[:, None], graph.near[v]] += graph.cost[v]
    start = seeds.sum(axis=1)
    known = np.isfinite(mean)
    return (rank[winner] <= (np.arange(n + 1) - start[winner])[:, None]) & known[:, None]


def _subtrees(graph: _Graph) -> Bools:
    """The cheapest connected subtree of the minimum spanning tree, for every size: dynamic programming over its branches.

    Returns:
        Shape ``(n + 1, n)``, row k with k qubits.
    """
    n = graph.n
    parent, cost, order = _rooted_tree(graph)
    cheapest: list[Real] = [np.array([np.inf, 0.0]) for _ in range(n)]  # of j qubits with this node on top; none, one
    taken: list[Ints] = [np.zeros(0, dtype=np.int64)] * n  # how many of j qubits of the parent's branch, so far, are in this child's
    for v in order[:0:-1].tolist():
        upper, lower = cheapest[parent[v]], cheapest[v] + cost[v]
        lower[0] = 0.0
        joined, choice = _merged(upper, lower)
        cheapest[parent[v]], taken[v] = joined, choice
    # Where the best subtree of every size has its top.
    top, least = np.zeros(n + 1, dtype=np.int64), np.full(n + 1, np.inf)
    for v in range(n):
        better = np.flatnonzero(cheapest[v] < least[: cheapest[v].size])
        top[better], least[better] = v, cheapest[v][better]
    share = np.zeros((n, n + 1), dtype=np.int64)  # of the qubits of a register in the branch of a node
    share[top[1:], np.arange(1, n + 1)] = np.arange(1, n + 1)
    # A child was merged after all later ones in the order, so it is taken out before them.
    for v in order[1:].tolist():
        part = taken[v][share[parent[v]]]
        share[v] += part
        share[parent[v]] -= part
    return (share > 0).T


def _merged(upper: Real, lower: Real) -> tuple[Real, Ints]:
    """Cheapest split of j qubits between a branch and one more child: (min, +) convolution and where its minimum is."""
    joined, choice = np.full(upper.size + lower.size - 1, np.inf), np.zeros(upper.size + lower.size - 1, dtype=np.int64)
    swap = lower.size > upper.size
    few, many = (upper, lower) if swap else (lower, upper)
    for j, start in enumerate(few.tolist()):
        part, where = joined[j : j + many.size], choice[j : j + many.size]
        new = many + start
        better = new < part
        part[better] = new[better]
        where[better] = np.flatnonzero(better) if swap else j
    return joined, choice


def _rooted_tree(graph: _Graph) -> tuple[Ints, Real, Ints]:
    """Minimum spanning tree from node 0: parent and error of the pair with it for each node, and the nodes with parents first."""
    ranked = np.empty(len(graph.edges))
    by_error = np.argsort(graph.error, kind="stable")
    ranked[by_error] = np.arange(1, len(graph.edges) + 1)
    table = coo_array((ranked, (graph.edges[:, 0], graph.edges[:, 1])), shape=(graph.n, graph.n))
    tree = minimum_spanning_tree(table.tocsr()).tocoo()
    rank = {}
    near: list[list[int]] = [[] for _ in range(graph.n)]
    for a, b, r in zip(tree.row.tolist(), tree.col.tolist(), tree.data.tolist(), strict=True):
        near[a].append(b)
        near[b].append(a)
        rank[a, b] = rank[b, a] = int(r) - 1
    parent, cost, order = np.zeros(graph.n, dtype=np.int64), np.zeros(graph.n), [0]
    for v in order:
        for u in near[v]:
            if u != parent[v] or v == 0:
                parent[u], cost[u] = v, graph.error[by_error[rank[u, v]]]
                order.append(u)
    return parent, cost, np.array(order)


def _swept(graph: _Graph, best: Bools) -> Bools:
    """Sweeps up and down the sizes: a register and one more qubit competes with the next larger one, less one with the next smaller.

    Up and down again is a swap, tried for all sizes at once.
    """
    best = np.concatenate([best, np.zeros((graph.n + 1, 1), dtype=bool)], axis=1)
    mean = _means(graph, best[:, : graph.n])
    whole = _as_graph(graph.n, graph.edges)
    changed = [set(range(2, graph.n + 1)), set(range(2, graph.n + 1))]  # since they last went up; down
    for _ in range(_SWEEPS):
        for k in range(2, graph.n):
            if k in changed[0]:
                changed[0].discard(k)
                _improve(graph, best, mean, changed, k, _one_more(graph, best[k], mean[k + 1]))
        for k in range(graph.n, 2, -1):
            if k in changed[1]:
                changed[1].discard(k)
                _improve(graph, best, mean, changed, k, _one_less(graph, whole, best[k], mean[k - 1]))
        if not changed[0] and not changed[1]:
            break
    return best[:, : graph.n]


def _improve(graph: _Graph, best: Bools, mean: Real, changed: list[set[int]], k: int, flip: tuple[int, float] | None) -> None:
    if flip is None:
        return
    node, value = flip
    target = k - 1 if best[k, node] else k + 1
    best[target] = best[k]
    best[target, node] = not best[k, node]
    mean[target] = value
    for sets in changed:
        sets.add(target)


def _sums(graph: _Graph, member: Bools) -> tuple[Ints, Real, int, float]:
    """For each node the number and errors of its pairs with members; and those inside the register."""
    here = member[graph.near]
    links, cost = here.sum(axis=1), (graph.cost * here).sum(axis=1)
    inside = member[: graph.n]
    return links, cost, int(links[inside].sum()) // 2, float(cost[inside].sum()) / 2


def _one_more(graph: _Graph, member: Bools, to_beat: float) -> tuple[int, float] | None:
    links, cost, pairs, weight = _sums(graph, member)
    outside = np.flatnonzero(~member[: graph.n] & (links > 0))
    new = (weight + cost[outside]) / (pairs + links[outside])
    least = int(new.argmin())
    return (int(outside[least]), float(new[least])) if _below(new[least], to_beat) else None


def _one_less(graph: _Graph, whole: _Network, member: Bools, to_beat: float) -> tuple[int, float] | None:
    links, cost, pairs, weight = _sums(graph, member)
    inside = np.flatnonzero(member[: graph.n] & (links < pairs))
    new = (weight - cost[inside]) / (pairs - links[inside])
    good = np.flatnonzero(_below(new, to_beat))
    cut: set[int] | None = None
    for i in good[np.argsort(new[good], kind="stable")].tolist():
        node = int(inside[i])
        if links[node] > 1:
            cut = _articulation(whole, member) if cut is None else cut
            if node in cut:
                continue
        return node, float(new[i])
    return None


def _below(value: Real | float, to_beat: float) -> Bools:
    """Smaller by more than rounding."""
    return np.asarray(value < to_beat - _ROUNDING * abs(to_beat)) if np.isfinite(to_beat) else np.asarray(np.isfinite(value))


def _articulation(whole: _Network, member: Bools) -> set[int]:
    """Members without which the register falls apart."""
    nodes = np.flatnonzero(member).tolist()
    return {nodes[i] for i in rx.articulation_points(whole.subgraph(nodes))}
