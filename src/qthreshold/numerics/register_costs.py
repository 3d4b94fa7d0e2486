"""The cheapest connected set of a narrow region, for thousands of costs at once: the inner loop of the bounds from prices."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qthreshold.numerics.register_program import Step

__all__ = ["Move", "cheapest", "moves_of"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Move:
    """A step, laid out such that all costs and many states advance in one operation on contiguous rows.

    States are numbered by how many candidates they have, most first. So those that have an r-th candidate are the first rows, and the
    minimum over candidates is one of whole blocks (``np.minimum.reduceat`` takes five times as long).

    Attributes:
        node: The node that joins or stays out.
        pairs: That connect it with decided ones.
        pays: Patterns of what is paid, the node first, then the pairs, shape ``(P, 1 + pairs)``. Candidates share few of them.
        rounds: Old state and pattern of the first candidates of all states, of the second ones of those that have two, and so on.
        finished: The same of the candidates that finish a register.
    """

    node: int
    pairs: Ints
    pays: Real
    rounds: tuple[tuple[Ints, Ints], ...]
    finished: tuple[Ints, Ints]

    @property
    def candidates(self) -> int:
        """How much work it is."""
        return self.finished[0].size + sum(source.size for source, _ in self.rounds)


def moves_of(steps: list[Step]) -> tuple[Move, ...]:
    """A programme as moves."""
    moves = []
    row = np.zeros(1, dtype=np.int64)  # of each old state
    for step in steps:
        code = step.joins.astype(np.int64) + step.added @ (2 << np.arange(step.pairs.size))
        different, pattern = np.unique(code, return_inverse=True)
        source = row[step.source]
        last = int(step.start[-2])  # from here on candidates finish
        count = np.diff(step.start[:-1])
        order = np.argsort(-count, kind="stable")
        first, count = step.start[:-2][order], count[order]
        chosen = [first[: np.searchsorted(-count, -place)] + place for place in range(int(count[0]))]
        moves.append(Move(
            node=step.node, pairs=step.pairs, pays=(different[:, None] >> np.arange(1 + step.pairs.size) & 1).astype(np.float64),
            rounds=tuple((source[c], pattern[c]) for c in chosen), finished=(source[last:], pattern[last:]),
        ))  # fmt: skip
        row = np.empty(order.size, dtype=np.int64)
        row[order] = np.arange(order.size)
    return tuple(moves)


def cheapest(moves: tuple[Move, ...], cost: Real, node: Real) -> tuple[Real, Real]:
    """Cost of the cheapest connected set of at least one qubit, and of the cheapest union of anchored parts, which may be empty.

    Args:
        moves: Of the region.
        cost: Of its pairs, shape ``(E, B)``.
        node: Of its qubits, shape ``(n, B)``.

    Returns:
        Shape ``(B,)`` each.
    """
    least = np.full(node.shape[1], np.inf)
    old = np.zeros((1, node.shape[1]))
    for move in moves:
        paid = move.pays[:, 1:] @ cost[move.pairs] + move.pays[:, :1] * node[move.node]
        source, pattern = move.finished
        if source.size:
            np.minimum(least, (old[source] + paid[pattern]).min(axis=0), out=least)
        (source, pattern), *others = move.rounds
        new = old[source]
        new += paid[pattern]
        for source, pattern in others:
            offered = old[source]
            offered += paid[pattern]
            np.minimum(new[: source.size], offered, out=new[: source.size])
        old = new
    return least, old[0]
