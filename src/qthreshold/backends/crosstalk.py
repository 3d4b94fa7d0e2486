"""Coherent crosstalk: which pairs run together, and their joint simulation.

This is a model. Every coupling ab of a device has an angle ``zz``, 0 by default. Where it joins two targets of one circuit (pairs, a in
one of them and b in the other), the k-th native two-qubit gate of one and the k-th native gate of the other count as simultaneous:
pairs start together, native gates take most of the time, and barriers are per pair. After both, each with its own error channels,
``exp(-i/2 zz Z_a Z_b)`` acts on a and b. Nothing else is coupled: one-qubit sequences, readout circuits, and a pair whose partner has
finished feel nothing, and neither do couplings that are out of order. True errors stay those of isolated pairs.

Targets that crosstalk joins are a *cluster* and are simulated together. Its circuits go through *slots*: in slot k every pair that still has
one does its k-th native gate, after the one-qubit operations before it; then the angles act, which commute. States are vectors of Pauli
components, one axis of size 4 for each qubit, many circuits at a time. Time and memory grow as 4**n with the number of qubits: a slot of one
circuit takes about 0.03 ms with 4 qubits, 0.1 ms with 6 and 1.2 ms with 8, so that the 88 circuits of a layer of the default recipe (3,900
slots at an error of 0.5 %) take 0.1, 0.3 and 5 s. Ten qubits would take a minute and a half; hence :data:`MOST_QUBITS`.

References:
    P. Mundada et al., Phys. Rev. Applied 12, 054023 (2019), arXiv:1810.04182 (ZZ between neighbours, seen by simultaneous RB).
    J. M. Gambetta et al., Phys. Rev. Lett. 109, 240504 (2012), arXiv:1204.6308 (isolated against simultaneous RB).
    D. Greenbaum, arXiv:1509.02921 (Pauli transfer matrices).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from qthreshold.backends.noise import Noise, native_ptm
from qthreshold.backends.outcomes import outcome_rng
from qthreshold.circuits import native
from qthreshold.device import Device
from qthreshold.errors import InputError
from qthreshold.numerics.graphs import sparse_table
from qthreshold.plan import INTERLEAVED, TWO_QUBIT, Plan
from qthreshold.ticket import Ticket

__all__ = [
    "MOST_QUBITS", "ClusterSlots", "ClusterTask", "check_clusters", "cluster_chances", "cluster_task", "cluster_units", "clusters",
    "couplings_to_cut", "simulate_cluster",
]  # fmt: skip

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_QUBITS = 8
"""Of a cluster that can be simulated."""

_NAMED = 10  # pairs in a message; couplings to cut are all named
_STATES = 2**18  # Pauli components of the circuits that go through their slots together: 2 MiB
_WIDTH = 256  # of the matrices that channels are multiplied with
_PIECES = 2**17  # one-qubit channels between native gates that are held at a time: 16 MiB


def clusters(plan: Plan, ticket: Ticket, device: Device, crosstalk: Real) -> list[Ints]:
    """Targets of a ticket in connected groups: what crosstalk joins, and all others alone.

    Args:
        plan: The plan.
        ticket: Its ticket, whose circuits have the same targets.
        device: Its device.
        crosstalk: Angle of each coupling, radians, ``(E,)``.

    Returns:
        Targets of each group, increasing; groups in the order of their first targets.

    Raises:
        InputError: A group is too large to be simulated.
    """
    circuit = int(ticket.circuits[0])
    targets = _targets(plan, circuit)
    if plan.circuit_experiment[circuit] != TWO_QUBIT:
        return [targets[i : i + 1] for i in range(len(targets))]
    groups = _groups(targets, _joins(device, crosstalk, targets)[1])
    if 2 * max(map(len, groups)) > MOST_QUBITS:
        check_clusters(plan, device, crosstalk)
    return groups


def check_clusters(plan: Plan, device: Device, crosstalk: Real) -> None:
    """Refuse a plan whose clusters are too large to be simulated.

    Raises:
        InputError: One is; the message says how to do without.
    """
    starts = [c for c in plan.layer_starts[:-1] if plan.circuit_experiment[c] == TWO_QUBIT] if crosstalk.any() else []
    layers = [_targets(plan, c) for c in starts]
    groups = [g for targets in layers for g in _groups(targets, _joins(device, crosstalk, targets)[1])]
    largest = max(groups, key=len, default=np.zeros(0, dtype=np.int64))
    if 2 * len(largest) <= MOST_QUBITS:
        return
    cut = couplings_to_cut(device, crosstalk, layers)
    spacing = '"isolated"' if plan.n_edges_usable > len(plan.edges) else 1  # where all are neighbours, and pairs a sample, no spacing helps
    raise InputError(
        f"crosstalk joins {len(largest):,} pairs that run at the same time, {_listed(device, largest, _NAMED)}: {2 * len(largest):,} qubits, and "
        f"at most {MOST_QUBITS} can be simulated together; keep neighbours apart with spacing = {spacing} in [two_qubit] of the recipe, or cut "
        f"{'this coupling' if len(cut) == 1 else f'these {len(cut):,} couplings'} by zz = 0 in [[crosstalk.coupling]] of the profile: "
        f"{_listed(device, cut)}"
    )


def _listed(device: Device, edges: Ints, most: int | None = None) -> str:
    names = [f"{a}-{b}" for a, b in device.edges[edges[:most]].tolist()]
    return ", ".join(names) + (f" and {len(edges) - len(names):,} more" if len(edges) > len(names) else "")


def _targets(plan: Plan, circuit: int) -> Ints:
    first, last = np.searchsorted(plan.unit_circuit, [circuit, circuit + 1])
    return np.sort(plan.unit_target[first:last]).astype(np.int64)


def _joins(device: Device, crosstalk: Real, targets: Ints) -> tuple[Ints, Ints]:
    """Couplings that join two of the targets, ``(C,)``, and which two by position, ``(C, 2)``, that of the coupling's first qubit first."""
    holder = np.full(device.n_qubits, -1)
    holder[device.edges[targets]] = np.arange(len(targets))[:, None]
    edges = device.usable_edges
    edges = edges[crosstalk[edges] != 0]
    ends = holder[device.edges[edges]]
    acts = (ends >= 0).all(axis=1) & (ends[:, 0] != ends[:, 1])
    return edges[acts], ends[acts]


def _groups(targets: Ints, ends: Ints) -> list[Ints]:
    joined = sparse_table(np.ones(len(ends), dtype=np.int8), ends[:, 0], ends[:, 1], len(targets))
    _, label = connected_components(joined, directed=False)
    _, first, label = np.unique(label, return_index=True, return_inverse=True)
    order = np.argsort(first[label], kind="stable")
    return np.split(targets[order], np.flatnonzero(np.diff(first[label][order])) + 1)


def couplings_to_cut(device: Device, crosstalk: Real, layers: Sequence[Ints]) -> Ints:
    """Couplings without which no cluster is too large; each of them is needed for that, but there may be a smaller set.

    Couplings are kept as long as what they join fits: in the order of their numbers or those first that have others beside them, letting
    clusters fill up one after the other or grow alike. The best of these is taken.

    Args:
        device: The device.
        crosstalk: Angle of each coupling, radians, ``(E,)``.
        layers: Targets that run at the same time, ``(T,)`` each.

    Returns:
        Rows of ``device.edges``, increasing.
    """
    ends: dict[int, list[tuple[int, int]]] = {}  # of each coupling, in every layer where it acts: targets, numbered through
    beside: dict[tuple[int, int], int] = {}
    count = 0
    for targets in layers:
        edges, places = _joins(device, crosstalk, targets)
        for edge, (a, b) in zip(edges.tolist(), np.sort(places + count, axis=1).tolist(), strict=True):
            ends.setdefault(edge, []).append((a, b))
            beside[a, b] = beside.get((a, b), 0) + 1
        count += len(targets)
    most = MOST_QUBITS // 2
    plain = sorted(ends)
    thick = sorted(plain, key=lambda edge: -max(beside[two] for two in ends[edge]))
    found = [_cut(ends, order, count, sizes) for order in (plain, thick) for sizes in ([most], range(2, most + 1))]
    return np.array(min(found, key=lambda cut: len(cut)), dtype=np.int64)


def _cut(ends: dict[int, list[tuple[int, int]]], order: Iterable[int], count: int, sizes: Iterable[int]) -> list[int]:
    """What is left over when couplings are kept in some order while no cluster has more targets than some size, one size after the other."""
    parent, size = list(range(count)), [1] * count

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    left = list(order)
    for most in sizes:
        rest = []
        for edge in left:
            apart = [(a, b) for a, b in ((root(i), root(j)) for i, j in ends[edge]) if a != b]
            if any(size[a] + size[b] > most for a, b in apart):
                rest.append(edge)
                continue
            for a, b in apart:
                parent[b] = a
                size[a] += size[b]
        left = rest
    return sorted(left)


@dataclass(frozen=True, slots=True)
class ClusterTask:
    """All circuits of a ticket on the targets of a cluster, for one worker.

    Qubit 2 p + q of the cluster is qubit q, in native order, of target p.

    Attributes:
        seed, experiment, ticket: What the random generator follows from, with the first target.
        targets: Pairs, ``(P,)``.
        gates: Their native gates.
        opcodes: Channels of the one-qubit opcodes of their qubits, ``(P, 2, 5, 4, 4)``.
        native: Noisy native gates, ``(P, 16, 16)``.
        flips: P(1 read | 0) and P(0 read | 1) of each qubit, ``(2, 2 P)``.
        joined: Qubits of the cluster that are coupled, ``(C, 2)``.
        zz: Their angles, ``(C,)``.
        block, padded: As in the plan.
        length, arm, shots: Of each circuit, ``(J,)``.
        elements: Steps of all circuits one after the other, ``(P, S)``.
        paddings: Their padding layers, ``(P, S, 2)``.
        final: ``(P, J)``.
    """

    seed: int
    experiment: int
    ticket: int
    targets: Ints
    gates: tuple[str, ...]
    opcodes: Real
    native: Real
    flips: Real
    joined: Ints
    zz: Real
    block: str
    padded: bool
    length: Ints
    arm: npt.NDArray[np.int8]
    shots: Ints
    elements: npt.NDArray[np.uint16]
    paddings: npt.NDArray[np.uint8]
    final: npt.NDArray[np.uint16]


def cluster_units(plan: Plan, ticket: Ticket, targets: Ints) -> Ints:
    """Units of a cluster in a ticket, by target and circuit, ``(P, J)``.

    Raises:
        ValueError: Some circuits lack some of the targets.
    """
    units = ticket.units(plan)
    mine = [units[plan.unit_target[units] == target] for target in targets.tolist()]
    if any(plan.unit_circuit[u].tolist() != ticket.circuits.tolist() for u in mine):
        raise ValueError(f"targets {targets.tolist()} are not in every circuit of ticket {ticket.number}")
    return np.stack(mine)


def cluster_task(plan: Plan, ticket: Ticket, device: Device, noise: Noise, crosstalk: Real, targets: Ints) -> ClusterTask:
    """The work of one cluster in a ticket.

    Args:
        plan: The plan.
        ticket: Its ticket.
        device: Its device.
        noise: The device's noise.
        crosstalk: Angle of each coupling, radians, ``(E,)``.
        targets: The cluster, as :func:`clusters` gives it.

    Raises:
        ValueError: Some circuits lack some of the targets.
    """
    mine = cluster_units(plan, ticket, targets)
    steps = [plan.sequences(u) for u in mine]
    qubits = device.direction[targets]
    edges, _ = _joins(device, crosstalk, targets)
    position = np.full(device.n_qubits, -1)
    position[qubits.ravel()] = np.arange(qubits.size)
    return ClusterTask(
        seed=plan.seed, experiment=int(plan.circuit_experiment[ticket.circuits[0]]), ticket=ticket.number, targets=targets,
        gates=tuple(device.gate[t] for t in targets), opcodes=native.opcode_ptms(noise.sx[qubits], noise.x[qubits]),
        native=np.stack([native_ptm(device, noise, t) for t in targets.tolist()]),
        flips=np.stack([noise.p1_given_0[qubits.ravel()], noise.p0_given_1[qubits.ravel()]]),
        joined=position[device.edges[edges]], zz=crosstalk[edges], block=plan.block, padded=plan.padded,
        length=plan.circuit_length[ticket.circuits], arm=plan.circuit_arm[ticket.circuits], shots=plan.circuit_shots[ticket.circuits],
        elements=np.stack([e for e, _ in steps]), paddings=np.stack([p for _, p in steps]), final=plan.unit_final[mine],
    )  # fmt: skip


def simulate_cluster(task: ClusterTask) -> Ints:
    """Outcomes of every unit of a cluster, as in :func:`cluster_units`, ``(P, J, 4)``: a circuit's shots are drawn for all targets at once."""
    rng = outcome_rng(task.seed, task.experiment, int(task.targets[0]), task.ticket)
    together = rng.multinomial(task.shots, cluster_chances(task))
    count = len(task.targets)
    seen = together.reshape(-1, *[4] * count)  # the last axis is the first target
    return np.stack([seen.sum(axis=tuple(a for a in range(1, count + 1) if a != count - p)) for p in range(count)])


def cluster_chances(task: ClusterTask) -> Real:
    """Exact probability of every outcome of every circuit, ``(J, 4**P)``; bit i of the outcome belongs to qubit i of the cluster."""
    out = np.zeros((len(task.length), 4 ** len(task.targets)))
    for slots in ClusterSlots.batches(task, max(1, _STATES // 16 ** len(task.targets))):
        out[slots.circuits] = _read(task, _evolve(slots))
    out = np.maximum(out, 0)
    return out / out.sum(axis=1, keepdims=True)


def _evolve(slots: "ClusterSlots") -> Real:
    """Pauli components of circuits at the end, ``(B, 16**P)``: those of the last target first."""
    count = len(slots.task.targets)
    ground = np.zeros(16)
    ground[[0, 3, 12, 15]] = 1  # I and Z on either qubit
    start = ground
    for _ in range(count - 1):
        start = np.multiply.outer(start, ground).ravel()
    state = np.tile(start, (len(slots.circuits), 1))
    final = np.empty_like(state)
    for k in range(slots.count):
        busy = slots.busy(k)
        final[busy : len(state)] = state[busy:]
        state = state[:busy]
        for p in range(count):
            state = _apply(slots.channel(p, k), state, p)
        for (i, j), angle in zip(slots.task.joined.tolist(), slots.angles(k), strict=True):
            _turn(state.reshape(busy, *[4] * (2 * count)), 2 * count - i, 2 * count - j, angle)
    final[: len(state)] = state
    return final


def _apply(channel: Real, state: Real, target: int) -> Real:
    """States ``(B, 16**P)`` after channels ``(B, 16, 16)`` on one target; in products too small for more threads to be started on them."""
    out = np.empty_like(state)
    if target == 0:
        tall = (len(state), -1, min(state.shape[1] // 16, _WIDTH), 16)
        np.matmul(state.reshape(tall), channel.swapaxes(1, 2)[:, None], out=out.reshape(tall))
    else:
        width = min(16**target, _WIDTH)
        wide = (len(state), -1, 16, 16**target // width, width)
        np.matmul(channel[:, None, None], state.reshape(wide).swapaxes(2, 3), out=out.reshape(wide).swapaxes(2, 3))
    return out


def _turn(state: Real, a: int, b: int, angle: Real) -> None:
    """Rotate states ``(B, 4, ...)`` by ``exp(-i/2 angle Z_a Z_b)``, one angle for each; ``a`` and ``b`` are axes.

    Of the sixteen products of Paulis on both, eight turn into each other in pairs: XI and YZ, XZ and YI, and the same with a and b swapped.
    """
    shape = (-1, *[1] * (state.ndim - 3))
    c, s = np.cos(angle).reshape(shape), np.sin(angle).reshape(shape)

    def part(on_a: int, on_b: int) -> Real:
        at: list[slice | int] = [slice(None)] * state.ndim
        at[a], at[b] = on_a, on_b
        return state[tuple(at)]

    for x, y in (((1, 0), (2, 3)), ((1, 3), (2, 0)), ((0, 1), (3, 2)), ((3, 1), (0, 2))):
        first, second = part(*x), part(*y)
        turned = c * first - s * second
        second *= c
        second += s * first
        first[...] = turned


def _read(task: ClusterTask, state: Real) -> Real:
    """Probabilities of what is read, ``(B, 4**P)``, of states ``(B, 16**P)``."""
    zero, one = task.flips
    rows = np.zeros((len(zero), 2, 4))  # P(read) from the components I and Z of each qubit
    rows[:, 0, 0], rows[:, 0, 3] = (1 - zero + one) / 2, (1 - zero - one) / 2
    rows[:, 1, 0], rows[:, 1, 3] = (1 + zero - one) / 2, -(1 - zero - one) / 2
    for row in rows[::-1]:
        state = (state.reshape(len(state), 4, -1).swapaxes(1, 2) @ row.T).reshape(len(state), -1)
    return state


class ClusterSlots:
    """Some circuits of a cluster, slot by slot; those with the most slots first.

    Args:
        task: The cluster.
        circuits: Which of its circuits, ``(B,)``.
        opcodes: Of each target and circuit.

    Attributes:
        circuits: The circuits in the order of everything else here.
        natives: Native gates of each target in each circuit, ``(P, B)``.
        count: Slots of the longest circuit; in its last one stand the operations after the last native gate.
    """

    def __init__(self, task: ClusterTask, circuits: Ints, opcodes: list[list[npt.NDArray[np.uint8]]]) -> None:
        natives = np.array([[np.count_nonzero(ops == native.NATIVE) for ops in row] for row in opcodes], dtype=np.int64).reshape(len(opcodes), -1)
        order = np.argsort(-natives.max(axis=0), kind="stable")
        self.task, self.circuits, self.natives = task, circuits[order], natives[:, order]
        self._slots = self.natives.max(axis=0) + 1
        self.count = int(self._slots.max(initial=0))
        self._start = np.cumsum(self.natives + 1, axis=1) - (self.natives + 1)
        self._local = [_pieces([row[i] for i in order], task.opcodes[p]) for p, row in enumerate(opcodes)]

    @classmethod
    def batches(cls, task: ClusterTask, most: int) -> Iterator["ClusterSlots"]:
        """All circuits of a task, at most some at a time, fewer where they are long."""
        order = np.argsort(task.length, kind="stable")
        start = np.cumsum(task.length) - task.length
        while order.size:
            length = np.cumsum(task.length[order] + 1)
            take = max(1, min(most, int(np.searchsorted(5 * len(task.targets) * length, _PIECES))))
            some, order = order[:take], order[take:]
            yield cls(task, some, [[_opcodes(task, p, j, int(start[j])) for j in some.tolist()] for p in range(len(task.targets))])

    def busy(self, k: int) -> int:
        """How many circuits have a slot k."""
        return int(np.searchsorted(-self._slots, -k))

    def channel(self, target: int, k: int) -> Real:
        """What a target does in slot k of the busy circuits, ``(busy, 16, 16)``; nothing once it has finished."""
        mine = self.natives[target, : self.busy(k)]
        row = np.where(k <= mine, self._start[target, : mine.size] + k, -1)
        on_0, on_1 = self._local[target][:, row]
        out = (on_1[:, :, None, :, None] * on_0[:, None, :, None, :]).reshape(-1, 16, 16)
        gate = k < mine
        if gate.all():
            return self.task.native[target] @ out
        out[gate] = self.task.native[target] @ out[gate]
        return out

    def angles(self, k: int) -> Real:
        """Angle of each coupling after slot k of the busy circuits, ``(C, busy)``; 0 where one of its targets has no native gate there."""
        both = (k < self.natives[self.task.joined // 2, : self.busy(k)]).all(axis=1)
        return self.task.zz[:, None] * both


def _opcodes(task: ClusterTask, target: int, circuit: int, start: int) -> npt.NDArray[np.uint8]:
    """Opcodes of one target in one circuit whose steps begin at ``start``."""
    m = int(task.length[circuit])
    steps = slice(start, start + m)
    layers = [task.elements[target, steps].astype(np.int64)]
    if task.padded:
        layers.append(native.PAIR_PADDING + task.paddings[target, steps, 0].astype(np.int64))
    if task.arm[circuit] == INTERLEAVED:
        layers.append(np.full(m, native.PAIR_BLOCK))
    if task.padded:
        layers.append(native.PAIR_PADDING + task.paddings[target, steps, 1].astype(np.int64))
    return native.pair_words(task.gates[target], task.block).join(np.append(np.stack(layers, axis=1), task.final[target, circuit]))


def _pieces(opcodes: list[npt.NDArray[np.uint8]], table: Real) -> Real:
    """Channels of the one-qubit operations before each native gate and after the last, on either qubit, of many rows of opcodes.

    Args:
        opcodes: Rows.
        table: Channels of the opcodes, ``(2, 5, 4, 4)``.

    Returns:
        ``(2, N + 1, 4, 4)``, one row after the other; the last one does nothing.
    """
    flat = np.concatenate(opcodes)
    ends = np.cumsum([len(ops) for ops in opcodes])
    cut = flat == native.NATIVE
    piece = np.cumsum(cut) - cut + np.repeat(np.arange(len(opcodes)), np.diff(ends, prepend=0))
    out = np.tile(np.eye(4), (2, int(cut.sum()) + len(opcodes) + 1, 1, 1))
    for q in (0, 1):
        mine = np.flatnonzero(flat // 5 == q)
        where, op = piece[mine], flat[mine] % 5
        rank = np.arange(len(mine)) - np.searchsorted(where, where)
        for r in range(int(rank.max(initial=-1)) + 1):
            now = rank == r
            out[q, where[now]] = table[q, op[now]] @ out[q, where[now]]
    return out
