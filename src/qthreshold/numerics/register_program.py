"""The best registers of narrow graphs, by dynamic programming along an order of the qubits.

All that matters of the qubits decided so far is which members at the frontier are connected. Exact where cycles are few enough to be told
apart, otherwise by prices (Dinkelbach), mostly with proof.

References:
    W. Dinkelbach, Management Science 13, 492 (1967).
    H. L. Bodlaender, Theor. Comput. Sci. 209, 1 (1998) (path and tree decompositions, and dynamic programming over them).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import breadth_first_order, shortest_path

from qthreshold.numerics.graphs import sparse_table
from qthreshold.numerics.register_graph import Graph, better_of, graph_of, is_two_sided, means_of, pair_range, reaches

__all__ = ["ENTRIES", "Step", "best_program", "entries_of", "order_of", "priced_registers", "told_apart", "without_errors"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_Choice = npt.NDArray[np.unsignedinteger]
_STARTS = 8  # lonely nodes that orders start from
_TRIED = 2  # orders of which the programme is written
_WIDEST = 12  # frontier
_STATES = 600_000  # over all steps
ENTRIES = 32_000_000  # of tables: states times sizes, times numbers of cycles where these are told apart
_WORK = 120_000_000  # entries of all runs together
_RUNS = 20  # at most
_NEW = 15  # label of the part that a node joins, until parts are numbered again
_HELD = 14  # label of parts that hold an anchored node


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Step:
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
        """Number of new states."""
        return self.start.size - 1


def best_program(graph: Graph, anchored: Bools | None = None) -> list[Step] | None:
    """The programme with the fewest states among some orders; None if all are too wide."""
    if anchored is None:
        return _program_of(graph.n, graph.edges.tobytes())
    return _best_program(graph, anchored)


@lru_cache(maxsize=4)
def _program_of(n: int, edges: bytes) -> list[Step] | None:
    """Programmes depend on the pairs alone, and one device is looked at many times: by all data, by halves, by draws."""
    graph = without_errors(n, edges)
    return _best_program(graph, np.zeros(n, dtype=bool))


def without_errors(n: int, edges: bytes) -> Graph:
    """A component from its pairs alone, as stored in memory."""
    pairs = np.frombuffer(edges, dtype=np.int64).reshape(-1, 2)
    return graph_of(np.arange(n), pairs, np.zeros(len(pairs)))


def _best_program(graph: Graph, anchored: Bools) -> list[Step] | None:
    narrow = [order for _, width, order in _orders_of(graph) if width <= _WIDEST]
    programs = [_program(graph, order, anchored) for order in narrow[:_TRIED]]
    return min((steps for steps in programs if steps is not None), key=entries_of, default=None)


def entries_of(steps: list[Step]) -> int:
    """Size of the tables of a programme."""
    return sum(step.states * (number + 2) for number, step in enumerate(steps))


def told_apart(graph: Graph, steps: list[Step]) -> Bools:
    """The best register of every size, proven: the cheapest for every size and number of pairs."""
    n = graph.n
    solved = _solved(graph, steps, None)
    pairs = np.arange(n + 1)[:, None] - 1 + np.arange(solved.value.shape[1])
    mean = solved.value[2:] / pairs[2:]
    members = np.zeros((n + 1, n), dtype=bool)
    members[2:] = _traced(solved, np.arange(2, n + 1), mean.argmin(axis=1), n)
    return members


def priced_registers(graph: Graph, steps: list[Step], members: Bools, bound: Real) -> tuple[Bools, Real]:
    """Better registers and bounds. A register that costs g when every pair has a price p off has the mean p + g / pairs.

    Where the cheapest register at p = the mean in hand costs nothing, that mean is the smallest (Dinkelbach [2]); at other p it has a bound.
    The next price is the mean where the gap is widest.
    """
    n = graph.n
    size = np.arange(2, n + 1)
    degree = np.bincount(graph.edges.ravel(), minlength=n)
    label = np.zeros(n, dtype=np.int64)
    least, most = pair_range(label, degree, is_two_sided(n, graph.edges), label[1:], size)
    pairs = least[:, None] + np.arange((most - least).max() + 1)
    lowest = np.where(pairs <= most[:, None], bound[2:, None], np.inf)  # mean for each size and number of pairs
    for _ in range(min(_RUNS, max(2, _WORK // entries_of(steps)))):
        mean, bound = means_of(graph, members), np.append([np.inf, np.inf], lowest.min(axis=1))
        gap = np.where(reaches(bound, mean)[2:], 0.0, mean[2:] - bound[2:])
        if not gap.any():
            break
        price = float(mean[2 + gap.argmax()])
        solved = _solved(graph, steps, price)
        lowest = np.maximum(lowest, price + solved.value[2:] / pairs)
        found = np.zeros_like(members)
        found[2:] = _traced(solved, size, np.zeros(n - 1, dtype=np.int64), n)
        members = better_of(graph, members, found)
    return members, np.append([np.inf, np.inf], lowest.min(axis=1))


def order_of(graph: Graph) -> tuple[int, list[int]]:
    """The most promising order in which to decide about the nodes, and its width."""
    _, width, order = _orders_of(graph)[0]
    return width, order


def _orders_of(graph: Graph) -> list[tuple[float, int, list[int]]]:
    """Orders such that few decided nodes have undecided neighbours: effort, width and order, most promising first."""
    near = [row[row < graph.n].tolist() for row in graph.near]
    table = sparse_table(np.ones(len(graph.edges)), graph.edges[:, 0], graph.edges[:, 1], graph.n)
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


def _program(graph: Graph, order: list[int], anchored: Bools) -> list[Step] | None:
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
        steps.append(Step(
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

    steps: list[Step]
    value: Real
    finish: Ints
    choice: list[_Choice]


def _solved(graph: Graph, steps: list[Step], price: float | None) -> _Solved:
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
            new, chosen = _advanced_apart(old, step, number, graph.error, closable)
        else:
            new, chosen = _advanced(old, step, graph.error, price)
        last = new[-1]
        better = np.zeros(value.shape, dtype=bool)
        better[: number + 2, : closable + 1] = last < value[: number + 2, : closable + 1]
        value[: number + 2, : closable + 1] = np.minimum(value[: number + 2, : closable + 1], last)
        finish[better] = number
        choice.append(chosen)
        old = new[:-1]
    return _Solved(steps=steps, value=value, finish=finish, choice=choice)


def _advanced(old: Real, step: Step, error: Real, price: float) -> tuple[Real, _Choice]:
    """Values and choices after a step, where numbers of cycles are not told apart.

    States with the most candidates come first, so those that have an r-th candidate are one block.
    """
    states, width = old.shape[:2]
    offers = np.full((2 * states, width + 1), np.inf)  # without the node, and with it
    offers[:states, :-1] = offers[states:, 1:] = old[:, :, 0]
    offer, cost = step.source + states * step.joins, step.added @ (error[step.pairs] - price)
    new = np.full((step.states, width + 1, 1), np.inf)
    count = np.diff(step.start)
    chosen = np.zeros(new.shape, dtype=_choices(count))
    order = np.argsort(-count[:-1], kind="stable")
    first, count = step.start[:-2][order], count[order]
    value, choice = np.empty((order.size, width + 1)), np.zeros((order.size, width + 1), dtype=chosen.dtype)
    for place in range(int(count[0])):
        candidate = first[: np.searchsorted(-count, -place)] + place
        offered = offers[offer[candidate]]
        offered += cost[candidate, None]
        if place:
            present = value[: candidate.size]
            np.copyto(choice[: candidate.size], place, where=offered < present)
            np.minimum(present, offered, out=present)
        else:
            value[:] = offered
    new[order, :, 0], chosen[order, :, 0] = value, choice
    if step.start[-2] < step.start[-1]:
        done = slice(int(step.start[-2]), int(step.start[-1]))
        offered = offers[offer[done]] + cost[done, None]
        new[-1, :, 0], chosen[-1, :, 0] = offered.min(axis=0), offered.argmin(axis=0)
    return new, chosen


def _advanced_apart(old: Real, step: Step, number: int, error: Real, closable: int) -> tuple[Real, _Choice]:
    """The same for every number of cycles up to ``closable``."""
    new = np.full((step.states, number + 2, closable + 1), np.inf)
    count = np.diff(step.start)
    chosen = np.zeros(new.shape, dtype=_choices(count))
    cost = step.added @ error[step.pairs]
    for place in range(int(count.max())):
        state = np.flatnonzero(count > place)
        _relax(new, chosen, old, step, state, step.start[state] + place, cost, place)
    return new, chosen


def _choices(count: Ints) -> type[np.uint8] | type[np.uint32]:
    """What holds the number of a candidate."""
    return np.uint8 if count.max() <= 256 else np.uint32


def _relax(new: Real, chosen: _Choice, old: Real, step: Step, state: Ints, candidate: Ints, cost: Real, place: int) -> None:
    """Let one candidate of each given state compete."""
    shift = np.where(step.joins[candidate], 1 + step.cycles[candidate], 0)
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
