"""Graph questions answered by walking, one node at a time."""

from collections import deque


def neighbours_of(n, edges):
    out = {q: set() for q in range(n)}
    for a, b in edges:
        out[int(a)].add(int(b))
        out[int(b)].add(int(a))
    return out


def distance(n, edges, sources, goals):
    """Steps from the nearest source to the nearest goal (sets of qubits); None if there is no path."""
    near, goals = neighbours_of(n, edges), {int(g) for g in goals}
    seen = {int(s): 0 for s in sources}
    queue = deque(seen)
    while queue:
        q = queue.popleft()
        if q in goals:
            return seen[q]
        for other in near[q] - seen.keys():
            seen[other] = seen[q] + 1
            queue.append(other)
    return None


def largest_component(n, edges, node_up, edge_up):
    """Members of the largest component; of equal ones, that with the lowest node."""
    alive = [(a, b) for (a, b), up in zip(edges, edge_up, strict=True) if up and node_up[a] and node_up[b]]
    near, best, done = neighbours_of(n, alive), set(), set()
    for start in range(n):
        if not node_up[start] or start in done:
            continue
        group, stack = {start}, [start]
        while stack:
            for other in near[stack.pop()] - group:
                group.add(other)
                stack.append(other)
        done |= group
        best = group if len(group) > len(best) else best
    return [q in best for q in range(n)]
