"""Graph questions about coupling maps: layers of simultaneous targets, components, matchings."""

from typing import Any

import numpy as np
import numpy.typing as npt
import rustworkx as rx
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

__all__ = ["color_layers", "largest_components", "random_matchings", "sparse_table"]

Ints = npt.NDArray[np.int64]


def sparse_table(values: npt.NDArray[Any], rows: Ints, columns: Ints, size: int) -> csr_array:
    """A square sparse table ``(size, size)`` with indices that the graph functions of every scipy take: before 1.17 these have 32 bits.

    Args:
        values: ``(V,)``; those at the same place add.
        rows: ``(V,)``.
        columns: ``(V,)``.
        size: Number of nodes.
    """
    return coo_array((values, (rows.astype(np.int32), columns.astype(np.int32))), shape=(size, size)).tocsr()


def color_layers(targets: Ints, edges: Ints, n_qubits: int, spacing: int) -> Ints:
    """Sort targets into layers whose members can run at the same time.

    Two targets may share a layer when their graph distance on the coupling map is more than ``spacing``: 0 only forbids
    shared qubits (a plain edge colouring), 1 also forbids neighbouring targets.

    Args:
        targets: Qubit groups, shape ``(T, width)``: width 1 for qubits, 2 for pairs.
        edges: Coupling map, shape ``(E, 2)``.
        n_qubits: Number of qubits.
        spacing: Largest forbidden distance, at least 0.

    Returns:
        Layer number of each target, shape ``(T,)``, numbered from 0 by decreasing size.

    Raises:
        ValueError: ``spacing`` is negative.
    """
    if spacing < 0:
        raise ValueError(f"spacing must not be negative, got {spacing}")
    if len(targets) == 0:
        return np.zeros(0, dtype=np.int64)
    if spacing == 0 and targets.shape[1] == 2:
        color = _edge_coloring(targets, n_qubits)
    else:
        color = _greedy_coloring(_reach(targets, edges, n_qubits, spacing))
    sizes = np.bincount(color)
    rank = np.empty_like(sizes)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(sizes.size)
    return rank[color]


def _edge_coloring(targets: Ints, n_qubits: int) -> Ints:
    graph = rx.PyGraph()
    graph.add_nodes_from(range(n_qubits))
    graph.add_edges_from([(int(a), int(b), i) for i, (a, b) in enumerate(targets)])
    candidates = [rx.graph_misra_gries_edge_color(graph), rx.graph_greedy_edge_color(graph)]
    if rx.is_bipartite(graph):
        candidates.append(rx.graph_bipartite_edge_color(graph))
    best = min(candidates, key=lambda colors: max(colors.values()))
    return np.array([best[i] for i in range(len(targets))], dtype=np.int64)


def _reach(targets: Ints, edges: Ints, n_qubits: int, spacing: int) -> list[set[int]]:
    """For every target, the targets that it may not share a layer with."""
    around: list[set[int]] = [{q} for q in range(n_qubits)]
    neighbours: list[set[int]] = [set() for _ in range(n_qubits)]
    for a, b in edges.tolist():
        neighbours[a].add(b)
        neighbours[b].add(a)
    for _ in range(spacing):
        around = [near.union(*(neighbours[q] for q in near)) for near in around]
    holders: list[list[int]] = [[] for _ in range(n_qubits)]
    for i, qubits in enumerate(targets.tolist()):
        for q in qubits:
            holders[q].append(i)
    return [{j for q in qubits for near in around[q] for j in holders[near]} - {i} for i, qubits in enumerate(targets.tolist())]


def _greedy_coloring(conflicts: list[set[int]]) -> Ints:
    graph = rx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(len(conflicts)))
    graph.add_edges_from([(i, j, None) for i, near in enumerate(conflicts) for j in near if i < j])
    strategies = (rx.ColoringStrategy.Saturation, rx.ColoringStrategy.Degree, rx.ColoringStrategy.IndependentSet)
    best = min((rx.graph_greedy_color(graph, strategy=s) for s in strategies), key=lambda c: max(c.values()))
    return np.array([best[i] for i in range(len(conflicts))], dtype=np.int64)


def random_matchings(n_qubits: int, rounds: int, rng: np.random.Generator) -> Ints:
    """Disjoint perfect matchings of a complete graph, drawn at random (circle method on shuffled qubits).

    Two or more rounds connect all qubits.

    Args:
        n_qubits: Number of qubits; with an odd number one qubit rests in each round.
        rounds: Number of matchings, at most ``n_qubits - 1`` (or ``n_qubits`` if odd).
        rng: Source of randomness.

    Returns:
        Rows ``(round, a, b)`` with a < b, shape ``(rounds * (n_qubits // 2), 3)``.
    """
    size = n_qubits + n_qubits % 2
    rounds = min(rounds, size - 1)
    label = rng.permutation(size)
    rows = []
    turns = (rng.integers(size - 1) + np.arange(2)) % (size - 1)  # the union of consecutive turns is one cycle: everything is connected
    rest = rng.permutation(np.setdiff1d(np.arange(size - 1), turns))
    for r, turn in enumerate(np.concatenate([turns, rest])[:rounds].tolist()):
        ring = [size - 1] + [(turn + k) % (size - 1) for k in range(size - 1)]
        pairs = [(ring[0], ring[1])] + [(ring[1 + k], ring[-k]) for k in range(1, size // 2)]
        rows += [(r, *sorted((int(label[a]), int(label[b])))) for a, b in pairs]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[table[:, 2] < n_qubits]


def largest_components(n_nodes: int, edges: Ints, node_up: npt.NDArray[np.bool_], edge_up: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Members of the largest connected component, for many graphs at once.

    Args:
        n_nodes: Number of nodes of every graph.
        edges: Shared edge list, shape ``(E, 2)``.
        node_up: Which nodes exist, shape ``(D, n_nodes)``.
        edge_up: Which edges exist, shape ``(D, E)``; an edge also needs both its nodes.

    Returns:
        Membership, shape ``(D, n_nodes)``. Of components of equal size the one with the lowest node wins.
    """
    if n_nodes == 0:
        return np.zeros(node_up.shape, dtype=bool)
    alive = edge_up & node_up[:, edges[:, 0]] & node_up[:, edges[:, 1]]
    # Draws of one device share most of their edges: what is always connected is one node, and draws differ in the few edges between these.
    always = alive.all(axis=0)
    part = _parts(edges[always], n_nodes)
    ends = part[edges]
    open_ = np.flatnonzero(alive.any(axis=0) & (ends[:, 0] != ends[:, 1]))
    draws, parts = len(node_up), int(part.max()) + 1
    draw, edge = np.nonzero(alive[:, open_])
    label = _parts(ends[open_][edge] + draw[:, None] * parts, draws * parts).reshape(draws, parts)
    size = np.bincount(part, minlength=parts)  # the nodes of one with edges are always up
    per_part = np.where((size > 1) | node_up[:, np.unique(part, return_index=True)[1]], size, 0)
    per_label = np.bincount(label.ravel(), weights=per_part.ravel(), minlength=int(label.max(initial=0)) + 1)
    of_part = np.where(per_part > 0, per_label[label], 0)
    winner = np.take_along_axis(label, of_part.argmax(axis=1)[:, None], axis=1)
    return (label == winner)[:, part] & node_up


def _parts(edges: Ints, size: int) -> Ints:
    """Component of each node, ``(size,)``, numbered in the order of their lowest nodes."""
    table = sparse_table(np.ones(len(edges), dtype=np.int8), edges[:, 0], edges[:, 1], size)
    label = connected_components(table, directed=False)[1].astype(np.int64)
    _, first, part = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty_like(first)
    rank[np.argsort(first)] = np.arange(first.size)
    return np.asarray(rank[part])
