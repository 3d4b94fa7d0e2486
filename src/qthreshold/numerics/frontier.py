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

Enumeration and search are in ``register_search.py``, programmes in ``register_program.py``, bounds in ``register_bounds.py`` and
``register_prices.py``, what they share in ``register_graph.py``.

References:
    [1] J. Oxley, Matroid Theory, 2nd ed. (Oxford, 2011).
    [2] W. Dinkelbach, Management Science 13, 492 (1967).
    [3] H. L. Bodlaender, Theor. Comput. Sci. 209, 1 (1998) (path and tree decompositions, and dynamic programming over them).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qthreshold.numerics.register_bounds import forest_bounds, star_bounds
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
    parts = [_best_of_component(part) for part in components_of(n_nodes, edges, error)]
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
    kinds = (forest_bounds, star_bounds, priced_bounds)
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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Part:
    """What is known of a component; size k in row k, rows 0 and 1 are empty."""

    graph: Graph
    mean: Real
    bound: Real
    members: Bools


def _best_of_component(graph: Graph) -> _Part:
    if graph.n <= _ENUMERATED:
        return _proven(graph, enumerated(graph))
    if len(graph.edges) == graph.n - 1:  # a tree
        return _proven(graph, subtrees(graph))
    steps = best_program(graph)
    narrow = steps is not None and entries_of(steps) <= ENTRIES
    if steps is not None and entries_of(steps) * (len(graph.edges) - graph.n + 2) <= ENTRIES:
        return _proven(graph, told_apart(graph, steps))
    members = searched(graph)
    every = np.ones((1, len(graph.edges)), dtype=bool)
    bound = np.maximum(*(kind(graph.n, graph.edges, graph.error[None], every)[0] for kind in (forest_bounds, star_bounds)))
    if regions := next(divisions_of(graph), None):
        prices = prices_for(graph, members, PRICES, loose=len(regions) > 1)
        bound = np.maximum(bound, bounds_at(graph, regions, graph.error[None], every, prices)[0])
    if steps is not None and narrow:
        members, bound = priced_registers(graph, steps, members, bound)
    mean = means_of(graph, members)
    return _Part(graph=graph, mean=mean, bound=np.where(reaches(bound, mean), mean, bound), members=members)


def _proven(graph: Graph, members: Bools) -> _Part:
    mean = means_of(graph, members)
    return _Part(graph=graph, mean=mean, bound=mean, members=members)
