"""Registers of selected sizes in large graphs: chains that grow and shrink qubit by qubit, with heaps instead of looking at every qubit.

From one asked size to the next a register grows, always by the qubit that gives the smallest mean, and on the way back it shrinks, always by the
qubit that it is best rid of. Among qubits with the same number of pairs to the register the best one does not depend on the mean, so one
heap for each number finds it. A step costs as much in a large device as in a small one, and a sweep over all sizes about as many steps as there
are qubits.
"""

from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

from qthreshold.numerics.register_graph import Graph, as_network, lies_below, means_of
from qthreshold.numerics.register_search import articulation, subtrees

__all__ = ["chained"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_Heaps = list[list[tuple[float, int]]]

_SEEDS = ((400, 32), (16, 500))  # so many cheapest pairs grow to so many qubits
_TREES = 500  # qubits up to which subtrees are looked at
_BEYOND = (0.0, 0.01, 0.1)  # of its size, how far a register goes on before it turns back to the size asked
_DETOUR = 40  # qubits looked at for a detour around one that leaves
_FIRST_DETOUR = 600_000  # the same times those of the device, on the first sweep: it shapes the large registers


def chained(graph: Graph, sizes: Ints) -> Bools:
    """Good registers of some sizes.

    Args:
        graph: A component.
        sizes: Increasing, from 2 to that of the component.

    Returns:
        Shape ``(K, n)``.
    """
    best = np.zeros((sizes.size, graph.n), dtype=bool)
    small = sizes[sizes <= _TREES]
    best[: small.size] = subtrees(graph, small)
    best[-1] |= sizes[-1] == graph.n
    mean = means_of(graph, best)
    chain = _Chain(graph)
    cheap = graph.edges[np.argsort(graph.error, kind="stable")]
    for count, most in _SEEDS:
        _from_seeds(chain, cheap[:count], sizes[sizes <= most], best, mean)
    for beyond in _BEYOND:
        chain.detour = _DETOUR if beyond else max(_DETOUR, _FIRST_DETOUR // graph.n)
        _sweep(chain, sizes[::-1], best[::-1], mean[::-1], beyond)
        _sweep(chain, sizes, best, mean, beyond)
    return best


def _from_seeds(chain: "_Chain", seeds: Ints, sizes: Ints, best: Bools, mean: Real) -> None:
    """Grow every seed through the sizes."""
    chain.become(np.zeros(best.shape[1], dtype=bool))
    for seed in seeds.tolist():
        joined = list(seed)
        chain.flip(joined)
        for row, size in enumerate(sizes.tolist()):
            joined += chain.grow(size)
            if chain.size == size and lies_below(chain.mean, float(mean[row])):
                best[row], mean[row] = chain.members(), chain.mean
        chain.flip(joined)


def _sweep(chain: "_Chain", sizes: Ints, best: Bools, mean: Real, beyond: float) -> None:
    """From size to size in their order: a register that has grown or shrunk to the next one competes with the best known there."""
    ends = sizes.tolist()
    chain.forget()
    for row in range(len(ends) - 1):
        if not np.isfinite(mean[row]):
            continue
        chain.become(best[row])
        target = ends[row + 1]
        turn = round(target * (1 + beyond if target > ends[row] else 1 - beyond))
        for size in (min(max(turn, 2), best.shape[1]), target):
            chain.grow(size)
            chain.shrink(size)
        if chain.size == target and lies_below(chain.mean, float(mean[row + 1])):
            best[row + 1], mean[row + 1] = chain.members(), chain.mean


class _Chain:
    """A register that grows and shrinks.

    Heaps hold ``(cost, qubit)`` for each number of pairs to the register; entries that are no longer true are dropped when they come up.
    """

    def __init__(self, graph: Graph) -> None:
        self._near = [
            [(u, c) for u, c in zip(near, cost, strict=True) if u < graph.n]
            for near, cost in zip(graph.near.tolist(), graph.cost.tolist(), strict=True)
        ]
        self._member = bytearray(graph.n)
        self._links, self._cost = [0] * graph.n, [0.0] * graph.n
        self._outside: _Heaps = [[] for _ in range(graph.near.shape[1] + 1)]
        self._inside: _Heaps = [[] for _ in range(graph.near.shape[1] + 1)]
        self._weight, self._pairs = 0.0, 0
        self._network = as_network(graph.n, graph.edges)
        self._no_detour: set[int] = set()  # members that were not found to have one, until something beside them changes
        self.size = 0
        self.detour = _DETOUR

    @property
    def mean(self) -> float:
        """Of the errors of the pairs inside."""
        return self._weight / self._pairs

    def members(self) -> Bools:
        """Shape ``(n,)``."""
        return np.frombuffer(self._member, dtype=np.bool_).copy()

    def become(self, members: Bools) -> None:
        """Another register, by its differences from the present one."""
        self.flip(np.flatnonzero(np.frombuffer(self._member, dtype=np.bool_) != members).tolist())

    def flip(self, qubits: list[int]) -> None:
        """Let qubits join that are no members, and leave that are."""
        for v in qubits:
            self._flip(v)

    def _flip(self, v: int) -> None:
        member, links, cost = self._member, self._links, self._cost
        joins = not member[v]
        member[v] = joins
        sign = 1 if joins else -1
        self._weight += sign * cost[v]
        self._pairs += sign * links[v]
        self.size += sign
        if joins:
            heappush(self._inside[links[v]], (-cost[v], v))
        else:
            heappush(self._outside[links[v]], (cost[v], v))
        for u, c in self._near[v]:
            self._no_detour.discard(u)
            links[u] += sign
            cost[u] = cost[u] + sign * c if links[u] else 0.0
            if member[u]:
                heappush(self._inside[links[u]], (-cost[u], u))
            else:
                heappush(self._outside[links[u]], (cost[u], u))

    def grow(self, size: int) -> list[int]:
        """Add qubits, as far as there are any; those that joined."""
        joined = []
        while self.size < size and (v := self._next(self._outside, False, 1)) >= 0:
            self._flip(v)
            joined.append(v)
        return joined

    def forget(self) -> None:
        """Look for detours again where none was found."""
        self._no_detour.clear()

    def shrink(self, size: int) -> None:
        """Take qubits away without breaking the register, as far as some are found that may leave."""
        if self.size <= size:
            return
        needed = articulation(self._network, self.members())
        stuck = []
        while self.size > size and (v := self._next(self._inside, True, -1)) >= 0:
            if self._links[v] == 1 or (v not in needed and v not in self._no_detour and self._may_leave(v)):
                self._flip(v)
                continue
            stuck.append(heappop(self._inside[self._links[v]]))  # until something beside it changes, or the next time
            if v not in needed:
                self._no_detour.add(v)
        for entry in stuck:
            heappush(self._inside[self._links[entry[1]]], entry)

    def _next(self, heaps: _Heaps, is_member: bool, sign: int) -> int:
        """The qubit without or with which the mean is smallest; -1 if there is none."""
        member, links, cost = self._member, self._links, self._cost
        least, chosen = np.inf, -1
        for count in range(1, len(heaps)):
            heap = heaps[count]
            while heap and (member[heap[0][1]] != is_member or links[heap[0][1]] != count or sign * cost[heap[0][1]] != heap[0][0]):
                heappop(heap)
            pairs = self._pairs + sign * count
            if heap and pairs > 0 and (mean := (self._weight + heap[0][0]) / pairs) < least:
                least, chosen = mean, heap[0][1]
        return chosen

    def _may_leave(self, v: int) -> bool:
        """Whether short detours connect the neighbours of a member without it. No means that it may be needed."""
        member, near = self._member, self._near
        wanted = {u for u, _ in near[v] if member[u]}
        first = wanted.pop()
        seen, front = {v, first}, [first]
        for u in front:  # grows as it is walked through
            for w, _ in near[u]:
                if member[w] and w not in seen:
                    seen.add(w)
                    wanted.discard(w)
                    front.append(w)
            if not wanted:
                return True
            if len(front) > self.detour:
                return False
        return not wanted
