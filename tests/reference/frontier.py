"""Best connected sub-registers by looking at every set of qubits, one at a time."""

from fractions import Fraction
from itertools import combinations

from reference.graphs import neighbours_of


def connected(chosen, edges):
    near, seen = neighbours_of(max(chosen) + 1, [(a, b) for a, b in edges if a in chosen and b in chosen]), {min(chosen)}
    stack = list(seen)
    while stack:
        fresh = near[stack.pop()] - seen
        seen |= fresh
        stack.extend(fresh)
    return seen == set(chosen)


def mean_inside(chosen, edges, error):
    """Mean error over all pairs of which both qubits are chosen, without rounding until the end."""
    inside = [Fraction(w) for (a, b), w in zip(edges, error, strict=True) if a in chosen and b in chosen]
    return float(sum(inside) / len(inside))


def best_of_size(n, edges, error, size):
    """Smallest mean over the connected sets of a size; None if there is none."""
    edges, error = [(int(a), int(b)) for a, b in edges], [float(w) for w in error]
    found = [mean_inside(chosen, edges, error) for chosen in combinations(range(n), size) if connected(chosen, edges)]
    return min(found, default=None)


def frontier(n, edges, error):
    """Smallest mean of every size for which there is a connected set, from 2."""
    out = {}
    for size in range(2, n + 1):
        best = best_of_size(n, edges, error, size)
        if best is not None:
            out[size] = best
    return out
