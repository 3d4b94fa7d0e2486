"""Lower bounds by prices (Lagrange multipliers) for many draws at once, in narrow graphs and in wide ones cut into narrow regions.

The proof is in :mod:`.frontier`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from qthreshold.numerics.graphs import sparse_table
from qthreshold.numerics.register_bounds import forest_bounds
from qthreshold.numerics.register_chain import chained
from qthreshold.numerics.register_costs import Move, cheapest, moves_of
from qthreshold.numerics.register_graph import Graph, components_of, graph_of, is_two_sided, pair_range, weights_of
from qthreshold.numerics.register_program import best_program, order_of, without_errors
from qthreshold.numerics.register_search import searched

__all__ = ["PRICES", "bounds_at", "cut_regions", "divisions_of", "priced_bounds", "prices_for"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PRICES = 60  # at most
_FEWEST_PRICES = (2, 6)  # fewer are not worth it: for a whole component, for pieces, where narrower ones with more prices do better
_PLACES = 20  # sizes at which these are varied where unconnected sets compete
_MARKUP = (0.3, 1.0, 1.7)
_STEEPER = (1.0, 1.3, 1.6)
_DRAW_WORK = 1050  # candidates times prices for each draw and qubit
_ALONE_WORK = 1_400_000  # candidates for one set of errors
_CHUNK = 1500  # draws times prices at a time: tables stay in the cache
_ENOUGH = 60  # sizes of registers to learn prices from
_SEARCHED = 512  # qubits up to which all sizes are searched for them
_REGION_WIDTHS = (9, 7, 6, 4)  # of the regions into which wide graphs are cut


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
    moves: tuple[Move, ...]


def priced_bounds(n_nodes: int, edges: Ints, error: Real, alive: Bools, known: Bools | None = None) -> Real:
    """Bounds of every draw from prices on pairs and qubits.

    Let every pair cost its error less p, every qubit -q, and let c be at most the cost of the cheapest connected set of qubits, of any
    size. A register of k qubits with m pairs then has a mean of at least p + (c + q k) / m. Any p and q will do; good ones are taken from
    ``known`` registers, or from those that a search finds for the average over the draws. Pairs that a draw lacks cost nothing and still
    connect there, which only allows more; pairs that no draw has are left out.

    Returns:
        Shape ``(D, n_nodes + 1)``; minus infinity where nothing is known.
    """
    draws = len(error)
    used = np.flatnonzero(alive.any(axis=0))
    mean = np.where(alive, error, 0.0)[:, used].sum(axis=0) / alive[:, used].sum(axis=0)
    parts = components_of(n_nodes, edges[used], mean)
    best = np.full((draws, n_nodes + 1), np.inf if parts else -np.inf)
    for graph in parts:
        inside = used[np.isin(edges[used, 0], graph.nodes)]
        bound = np.full((draws, graph.n + 1), -np.inf)
        for regions in divisions_of(graph, _DRAW_WORK * graph.n // _FEWEST_PRICES[0]):
            tried = min(PRICES, _DRAW_WORK * graph.n // sum(move.candidates for region in regions for move in region.moves))
            if tried >= _FEWEST_PRICES[len(regions) > 1]:
                loose = len(regions) > 1 or not alive[:, inside].all()
                prices = prices_for(graph, _registers(graph, known), tried, loose)
                if loose:
                    prices = _most_telling(graph, regions, alive[0, inside], prices, tried)
                bound = np.maximum(bound, bounds_at(graph, regions, error[:, inside], alive[:, inside], prices))
                break
        best[:, : graph.n + 1] = np.minimum(best[:, : graph.n + 1], bound)
    return best


def _registers(graph: Graph, known: Bools | None) -> Bools:
    """Those known inside a component, if they are enough to learn prices from; otherwise those that a search finds."""
    inside = np.zeros((0, graph.n), dtype=bool) if known is None else known[:, graph.nodes][known[:, graph.nodes].sum(axis=1) == known.sum(axis=1)]
    if np.unique(inside.sum(axis=1)).size >= min(_ENOUGH, graph.n - 1):
        return inside
    return searched(graph) if graph.n <= _SEARCHED else chained(graph, np.unique(np.geomspace(2, graph.n, _ENOUGH).astype(np.int64)))


def divisions_of(graph: Graph, most: int = _ALONE_WORK) -> Iterator[tuple[_Region, ...]]:
    """The whole component if it has a programme; ever narrower pieces of it, without those that seem to have more candidates than ``most``."""
    pairs = graph.edges.tobytes()
    if whole := _whole(graph.n, pairs):
        yield whole
    for target in _REGION_WIDTHS:
        if graph.n * 3**target // 30 < most and (regions := _pieces(graph.n, pairs, target)):
            yield regions


@lru_cache(maxsize=4)
def _whole(n: int, edges: bytes) -> tuple[_Region, ...]:
    """The component as one region; none if it is too wide. Kept, like pieces, as the same device is looked at many times."""
    graph = without_errors(n, edges)
    steps = best_program(graph)
    return () if steps is None else (_Region(nodes=np.arange(n), pairs=np.arange(len(graph.edges)), moves=moves_of(steps)),)


@lru_cache(maxsize=8)
def _pieces(n: int, edges: bytes, target: int) -> tuple[_Region, ...]:
    """Regions about so wide; none if that is no division or they are too wide."""
    graph = without_errors(n, edges)
    width, order = order_of(graph)
    count = round(n / (target * width))
    return tuple(cut_regions(graph, np.array_split(np.array(order), count))) if count > 1 else ()


def cut_regions(graph: Graph, pieces: list[Ints]) -> list[_Region]:
    """Regions of the pieces; none if one is too wide."""
    piece_of = np.zeros(graph.n, dtype=np.int64)
    for number, piece in enumerate(pieces):
        piece_of[piece] = number
    whole = piece_of[graph.edges[:, 0]] == piece_of[graph.edges[:, 1]]
    held = np.zeros(graph.n, dtype=bool)
    held[graph.edges[~whole]] = True
    kept = np.flatnonzero(whole)
    table = sparse_table(np.ones(kept.size), graph.edges[kept, 0], graph.edges[kept, 1], graph.n)
    count, label = connected_components(table, directed=False)
    regions = []
    for part in range(count):
        nodes = np.flatnonzero(label == part)
        pairs = kept[label[graph.edges[kept, 0]] == part]
        local = graph_of(nodes, np.searchsorted(nodes, graph.edges[pairs]), graph.error[pairs])
        steps = best_program(local, held[nodes])
        if steps is None:
            return []
        regions.append(_Region(nodes=nodes, pairs=pairs, moves=moves_of(steps)))
    return regions


def prices_for(graph: Graph, members: Bools, count: int, loose: bool) -> _Prices:
    """Prices from the best registers known of many sizes, shape ``(K, n)``; about ``count``, but all variants if ``loose``.

    At a price for pairs all registers known have costs; the reward for qubits is the slope of their convex hull at the size in question.
    The price is the mean of the register of that size. Where unconnected sets compete (``loose``: pairs are cut or missing), it is more,
    and the reward less: these have fewer pairs than a connected register needs, and the more a pair is worth, the dearer that is; and they
    find good pairs all over the device, so that more qubits come too cheap. How much is best depends on the device: variants are tried.
    """
    weight, pairs = weights_of(graph, members)
    size, row = np.unique(np.where(pairs > 0, members.sum(axis=1), 0), return_index=True)
    size, row = size[size > 0], row[size > 0]
    weight, pairs = weight[row], pairs[row]
    marks, steeper = (np.array(_MARKUP), np.array(_STEEPER)) if loose else (np.zeros(1), np.ones(1))
    places = _PLACES if loose else count
    place = (np.arange(places) + 0.5) / places
    at = np.searchsorted(size, (2 + (graph.n - 2) * place**1.5).astype(np.int64))  # small registers differ more from size to size
    at, mark, times = (grid.ravel() for grid in np.meshgrid(np.unique(np.minimum(at, size.size - 1)), marks, steeper))
    price = (weight / pairs)[at]
    price = price + np.abs(price) * 0.5 * mark * (1 - size[at] / graph.n) ** 1.5
    slope = np.array([_slope(size, weight - p * pairs, k) for p, k in zip(price.tolist(), size[at].tolist(), strict=True)])
    return _Prices(price=price, reward=slope - np.abs(slope) * (times - 1), members=members[row[at]])


def _most_telling(graph: Graph, regions: Sequence[_Region], alive: Bools, prices: _Prices, count: int) -> _Prices:
    """Those that together give the best bounds for the errors of the graph, with the pairs of one draw, chosen one after the other."""
    size = np.unique(np.geomspace(2, graph.n, _ENOUGH).astype(np.int64))
    bound = _bounds_by_price(graph, regions, alive, prices)[:, size]
    reached = np.maximum(bound.min(axis=0), forest_bounds(graph.n, graph.edges, graph.error[None], np.ones((1, alive.size), dtype=bool))[0, size])
    scale = np.abs(bound).max(axis=0) + np.finfo(np.float64).tiny
    chosen: list[int] = []
    while len(chosen) < min(count, len(bound)):
        gain = (np.maximum(bound - reached, 0.0) / scale).sum(axis=1)
        if chosen and not gain.max() > 0:
            break
        chosen.append(int(gain.argmax()))
        reached = np.maximum(reached, bound[chosen[-1]])
    return _Prices(price=prices.price[chosen], reward=prices.reward[chosen], members=prices.members[chosen])


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


def bounds_at(graph: Graph, regions: Sequence[_Region], error: Real, alive: Bools, prices: _Prices) -> Real:
    """Bounds of a component from given prices, shape ``(D, n + 1)``."""
    draws, count = len(error), prices.price.size
    size, least, most = _ranges(graph, alive)
    bounds = np.full((draws, graph.n + 1), -np.inf)
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


def _bounds_by_price(graph: Graph, regions: Sequence[_Region], alive: Bools, prices: _Prices) -> Real:
    """Bounds for the errors of the graph, but with some pairs only, from each price alone, shape ``(J, n + 1)``."""
    size, least, most = _ranges(graph, alive[None])
    cost = np.where(alive[:, None], graph.error[:, None] - prices.price, 0.0)[:, None]
    rest = _cheapest_cut(graph, regions, cost, prices)[0][:, None] + prices.reward[:, None] * size
    bounds = np.full((prices.price.size, graph.n + 1), np.inf)
    bounds[:, 2:] = prices.price[:, None] + rest / np.where(rest < 0, least, most)
    return bounds


def _ranges(graph: Graph, alive: Bools) -> tuple[Ints, Ints, Ints]:
    """Sizes from 2, how few pairs registers of these can have in each draw, ``(D, n - 1)``, and how many."""
    size, label = np.arange(2, graph.n + 1), np.zeros(graph.n, dtype=np.int64)
    degree = np.bincount(graph.edges.ravel(), minlength=graph.n)
    least, most = pair_range(label, degree, is_two_sided(graph.n, graph.edges), label[1:], size)
    return size, np.maximum(least - (~alive).sum(axis=1)[:, None], size - 1), most


def _cheapest_cut(graph: Graph, regions: Sequence[_Region], cost: Real, prices: _Prices) -> Real:
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
        alone, anchored = cheapest(region.moves, cost[region.pairs].reshape(len(region.pairs), node.shape[1]), node[region.nodes])
        least, spanning = np.minimum(least, alone), spanning + anchored
    if len(regions) > 1:
        least = np.minimum(least, spanning)
    return (least - paid).reshape(shape)
