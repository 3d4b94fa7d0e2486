"""Registers with a small mean error: all subsets of small components, best subtrees, growth from cheap pairs, sweeps over all sizes."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import rustworkx as rx
from scipy.sparse.csgraph import minimum_spanning_tree

from qthreshold.numerics.graphs import sparse_table
from qthreshold.numerics.register_graph import Graph, as_network, better_of, lies_below, means_of, weights_of

__all__ = ["articulation", "enumerated", "searched", "subtrees"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_Network: TypeAlias = "rx.PyGraph[None, None]"

_SEEDS = 20_000  # nodes times seeds, but 16 seeds at least
_SWEEPS = 60


def enumerated(graph: Graph) -> Bools:
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


def searched(graph: Graph) -> Bools:
    """Good registers of every size, shape ``(n + 1, n)``."""
    seeds = np.zeros((min(len(graph.edges), max(16, _SEEDS // graph.n)), graph.n), dtype=bool)
    cheap = graph.edges[np.argsort(graph.error, kind="stable")[: len(seeds)]]
    seeds[np.arange(len(seeds))[:, None], cheap] = True
    best = np.zeros((graph.n + 1, graph.n), dtype=bool)
    best = better_of(graph, best, subtrees(graph))
    best = better_of(graph, best, _grown(graph, seeds))
    return _swept(graph, best)


def _grown(graph: Graph, seeds: Bools) -> Bools:
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
    weight, pairs = weights_of(graph, seeds)
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


def subtrees(graph: Graph, sizes: Ints | None = None) -> Bools:
    """The cheapest connected subtree of the minimum spanning tree, for every size: dynamic programming over its branches.

    Args:
        graph: The component.
        sizes: Which, increasing; 0 to n if None.

    Returns:
        Shape ``(K, n)``.
    """
    n = graph.n
    sizes = np.arange(n + 1) if sizes is None else sizes
    most = int(sizes.max(initial=1))
    parent, cost, order = _rooted_tree(graph)
    cheapest: list[Real] = [np.array([np.inf, 0.0]) for _ in range(n)]  # of j qubits with this node on top; none, one
    taken: list[npt.NDArray[np.int32]] = [np.zeros(0, dtype=np.int32)] * n  # how many of j qubits of the parent's branch are in this child's
    for v in order[:0:-1].tolist():
        upper, lower = cheapest[parent[v]], cheapest[v] + cost[v]
        lower[0] = 0.0
        joined, choice = _merged(upper, lower, most)
        cheapest[parent[v]], taken[v] = joined, choice
    # Where the best subtree of every size has its top.
    top, least = np.zeros(most + 1, dtype=np.int64), np.full(most + 1, np.inf)
    for v in range(n):
        better = np.flatnonzero(cheapest[v] < least[: cheapest[v].size])
        top[better], least[better] = v, cheapest[v][better]
    share = np.zeros((n, sizes.size), dtype=np.int32)  # of the qubits of a register in the branch of a node
    share[top[sizes], np.arange(sizes.size)] = sizes
    # A child was merged after all later ones in the order, so it is taken out before them.
    for v in order[1:].tolist():
        part = taken[v][share[parent[v]]]
        share[v] += part
        share[parent[v]] -= part
    return (share > 0).T


def _merged(upper: Real, lower: Real, most: int) -> tuple[Real, npt.NDArray[np.int32]]:
    """Cheapest split of up to ``most`` qubits between a branch and one more child: (min, +) convolution and where its minimum is."""
    length = min(upper.size + lower.size - 1, most + 1)
    joined, choice = np.full(length, np.inf), np.zeros(length, dtype=np.int32)
    swap = lower.size > upper.size
    few, many = (upper, lower) if swap else (lower, upper)
    for j, start in enumerate(few[:length].tolist()):
        part, where = joined[j : j + many.size], choice[j : j + many.size]
        new = many[: part.size] + start
        better = new < part
        part[better] = new[better]
        where[better] = np.flatnonzero(better) if swap else j
    return joined, choice


def _rooted_tree(graph: Graph) -> tuple[Ints, Real, Ints]:
    """Minimum spanning tree from node 0: parent and error of the pair with it for each node, and the nodes with parents first."""
    ranked = np.empty(len(graph.edges))
    by_error = np.argsort(graph.error, kind="stable")
    ranked[by_error] = np.arange(1, len(graph.edges) + 1)
    table = sparse_table(ranked, graph.edges[:, 0], graph.edges[:, 1], graph.n)
    tree = minimum_spanning_tree(table).tocoo()
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


def _swept(graph: Graph, best: Bools) -> Bools:
    """Sweeps up and down the sizes: a register and one more qubit competes with the next larger one, less one with the next smaller.

    Up and down again is a swap, tried for all sizes at once.
    """
    best = np.concatenate([best, np.zeros((graph.n + 1, 1), dtype=bool)], axis=1)
    mean = means_of(graph, best[:, : graph.n])
    whole = as_network(graph.n, graph.edges)
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


def _improve(graph: Graph, best: Bools, mean: Real, changed: list[set[int]], k: int, flip: tuple[int, float] | None) -> None:
    if flip is None:
        return
    node, value = flip
    target = k - 1 if best[k, node] else k + 1
    best[target] = best[k]
    best[target, node] = not best[k, node]
    mean[target] = value
    for sets in changed:
        sets.add(target)


def _sums(graph: Graph, member: Bools) -> tuple[Ints, Real, int, float]:
    """For each node the number and errors of its pairs with members; and those inside the register."""
    here = member[graph.near]
    links, cost = here.sum(axis=1), (graph.cost * here).sum(axis=1)
    inside = member[: graph.n]
    return links, cost, int(links[inside].sum()) // 2, float(cost[inside].sum()) / 2


def _one_more(graph: Graph, member: Bools, to_beat: float) -> tuple[int, float] | None:
    links, cost, pairs, weight = _sums(graph, member)
    outside = np.flatnonzero(~member[: graph.n] & (links > 0))
    new = (weight + cost[outside]) / (pairs + links[outside])
    least = int(new.argmin())
    return (int(outside[least]), float(new[least])) if lies_below(new[least], to_beat) else None


def _one_less(graph: Graph, whole: _Network, member: Bools, to_beat: float) -> tuple[int, float] | None:
    links, cost, pairs, weight = _sums(graph, member)
    inside = np.flatnonzero(member[: graph.n] & (links < pairs))
    new = (weight - cost[inside]) / (pairs - links[inside])
    good = np.flatnonzero(lies_below(new, to_beat))
    cut: set[int] | None = None
    for i in good[np.argsort(new[good], kind="stable")].tolist():
        node = int(inside[i])
        if links[node] > 1:
            cut = articulation(whole, member) if cut is None else cut
            if node in cut:
                continue
        return node, float(new[i])
    return None


def articulation(whole: _Network, member: Bools) -> set[int]:
    """Members without which the register falls apart."""
    nodes = np.flatnonzero(member).tolist()
    return {nodes[i] for i in rx.articulation_points(whole.subgraph(nodes))}
