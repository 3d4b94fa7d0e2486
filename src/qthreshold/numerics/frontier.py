"""Connected sub-registers with the smallest mean error: the best that can be found for every size, and what none can undercut.

A register is a set of qubits that the pairs among them connect; its error is the arithmetic mean over all pairs inside it, wanted or
not. To find the best one of a size is NP-hard, but devices are small or narrow. For every component of the graph:

- Up to 16 qubits: all subsets. Trees: best subtrees of every size by dynamic programming over the branches.
- Narrow (heavy-hex devices, grids up to about ten wide): decide about qubit after qubit; all that matters of the decided ones is which
  members at the frontier are connected so far (dynamic programming over a path decomposition). Exact where cycles are few enough to be
  told apart, otherwise by prices, mostly with proof.
- Wide: best subtrees of the minimum spanning tree, growth from cheap pairs, and sweeps up and down the sizes (where only some
  sizes are asked for, in chains from one of these to the next); the bound is the larger of the forest bound below, one from the
  pairs around each qubit (dense graphs), and one from prices in narrow regions, on whose borders connection is taken for granted. Registers
  are searched for the sizes asked, bounds are made for every size.

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

Enumeration and search are in ``register_search.py`` and ``register_chain.py``, programmes in ``register_program.py``, bounds in
``register_bounds.py``, ``register_prices.py`` and ``register_costs.py``, what they share in ``register_graph.py``.

References:
    [1] J. Oxley, Matroid Theory, 2nd ed. (Oxford, 2011).
    [2] W. Dinkelbach, Management Science 13, 492 (1967).
    [3] H. L. Bodlaender, Theor. Comput. Sci. 209, 1 (1998) (path and tree decompositions, and dynamic programming over them).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qthreshold.numerics.register_bounds import forest_bounds, star_bounds
from qthreshold.numerics.register_chain import chained
from qthreshold.numerics.register_graph import Graph, components_of, means_of, reaches, register_edges
from qthreshold.numerics.register_prices import PRICES, bounds_at, divisions_of, priced_bounds, prices_for
from qthreshold.numerics.register_program import ENTRIES, best_program, entries_of, priced_registers, told_apart
from qthreshold.numerics.register_search import enumerated, searched, subtrees

__all__ = ["Subregisters", "best_subregisters", "register_edges", "subregister_bounds"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_ENUMERATED = 16  # qubits up to which all subsets are looked at


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Subregisters:
    """For some sizes a connected register with a small mean error, and for every size a lower bound for all of them.

    Attributes:
        sizes: Numbers of qubits, those asked for and that of the largest component, shape ``(K,)``; empty if there is no pair.
        mean: Mean error of the best register found over its own pairs, shape ``(K,)``.
        bound: No connected register of that size has a smaller mean, shape ``(K,)``; equal to ``mean`` where that is proven optimal.
        members: The register found, shape ``(K, n_nodes)``.
        floor: ``bound`` of every size up to the largest, asked for or not, size k in row k, shape ``(N + 1,)``; infinite for 0 and 1 qubits.
    """

    sizes: Ints
    mean: Real
    bound: Real
    members: Bools
    floor: Real


def best_subregisters(n_nodes: int, edges: Ints, error: Real, sizes: Ints | None = None) -> Subregisters:
    """The connected registers of smallest mean error, for many sizes at once; the same every time.

    Exact for components of up to 16 qubits and for heavy-hex devices, exact or nearly for grids up to about ten wide. For wide graphs, the best
    that a search finds and a bound.

    Args:
        n_nodes: Number of qubits.
        edges: Working pairs, shape ``(E, 2)``, each once and as a < b.
        error: Error of each pair, shape ``(E,)``; estimates near 0 may be negative.
        sizes: Numbers of qubits to find registers of; all by default. Time and memory for large graphs grow with how many they are.

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
    graphs = components_of(n_nodes, edges, error)
    most = max((graph.n for graph in graphs), default=1)
    sizes = np.arange(2, most + 1) if sizes is None else np.asarray(sizes, dtype=np.int64)
    sizes = np.union1d(sizes[(sizes >= 2) & (sizes <= most)], [most] if graphs else []).astype(np.int64)
    mean, members = np.full(sizes.size, np.inf), np.zeros((sizes.size, n_nodes), dtype=bool)
    floor = np.full(most + 1, np.inf)
    for graph in graphs:
        part = _best_of_component(graph, np.union1d(sizes[sizes <= graph.n], [graph.n]))
        row = np.searchsorted(sizes, part.sizes)
        asked = sizes[np.minimum(row, sizes.size - 1)] == part.sizes  # not the size of the component itself, if that was not
        better = np.flatnonzero(asked)[part.mean[asked] < mean[row[asked]]]
        members[row[better]] = False
        members[row[better][:, None], graph.nodes] = part.members[better]
        mean[row[better]] = part.mean[better]
        floor[2 : graph.n + 1] = np.minimum(floor[2 : graph.n + 1], part.floor[2:])
    return Subregisters(sizes=sizes, mean=mean, bound=floor[sizes], members=members, floor=floor)


def subregister_bounds(n_nodes: int, edges: Ints, error: Real, alive: Bools | None = None, known: Bools | None = None) -> Real:
    """Lower bounds on the mean error of every connected register, for many draws of the errors at once.

    The forest bound; for dense graphs also one from the pairs around each qubit; and, where time allows, bounds from prices, which look at the
    draws together: they are chosen for the average.

    Args:
        n_nodes: Number of qubits.
        edges: Pairs, shape ``(E, 2)``, each once and as a < b.
        error: Errors of the pairs, shape ``(D, E)``.
        alive: Which pairs exist in each draw, shape ``(D, E)``; all if None. Errors of the others are not looked at.
        known: Registers that are good by the average of the draws, shape ``(K, n_nodes)``, such as those of :func:`best_subregisters`; they
            choose the prices, which saves a search, but the bounds hold whatever they are.

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
    bounds = forest_bounds(n_nodes, edges, error, alive)
    for kind in (star_bounds(n_nodes, edges, error, alive), priced_bounds(n_nodes, edges, error, alive, known)):
        np.maximum(bounds, kind, out=bounds)
    return bounds


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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Part:
    """What is known of a component: registers of some sizes, and lower bounds of all, size k in row k."""

    sizes: Ints
    mean: Real
    members: Bools
    floor: Real


def _best_of_component(graph: Graph, sizes: Ints) -> _Part:
    if graph.n <= _ENUMERATED:
        return _proven(graph, sizes, enumerated(graph))
    every = sizes.size == graph.n - 1
    tree = len(graph.edges) == graph.n - 1
    if tree and every:
        return _proven(graph, sizes, subtrees(graph))
    steps = best_program(graph)
    narrow = steps is not None and entries_of(steps) <= ENTRIES
    if steps is not None and entries_of(steps) * (len(graph.edges) - graph.n + 2) <= ENTRIES:
        return _proven(graph, sizes, told_apart(graph, steps))
    if tree:
        members = subtrees(graph, sizes)
    elif every:
        members = searched(graph)[2:]
    else:
        members = chained(graph, sizes)
    alive = np.ones((1, len(graph.edges)), dtype=bool)
    floor = forest_bounds(graph.n, graph.edges, graph.error[None], alive)[0]
    floor = np.maximum(floor, star_bounds(graph.n, graph.edges, graph.error[None], alive)[0])
    if regions := next(divisions_of(graph), None):
        prices = prices_for(graph, members, PRICES, loose=len(regions) > 1)
        floor = np.maximum(floor, bounds_at(graph, regions, graph.error[None], alive, prices)[0])
    if steps is not None and narrow and every:
        nothing = np.zeros((2, graph.n), dtype=bool)
        members, floor = priced_registers(graph, steps, np.concatenate([nothing, members]), floor)
        members = members[2:]
    mean = means_of(graph, members)
    floor[sizes] = np.where(tree | reaches(floor[sizes], mean), mean, floor[sizes])
    return _Part(sizes=sizes, mean=mean, members=members, floor=floor)


def _proven(graph: Graph, sizes: Ints, members: Bools) -> _Part:
    """From the best registers of all sizes."""
    mean = means_of(graph, members)
    return _Part(sizes=sizes, mean=mean[sizes], members=members[sizes], floor=mean)
