"""The exact backend: a profile's device whose outcome probabilities are computed, and only the outcomes drawn at random.

No circuit is built: sequences come from the plan's stream and noisy channels from the profile's parameters, so that lengths of a hundred
thousand Cliffords and devices of ten thousand qubits are a matter of seconds to minutes. Probabilities equal those that qiskit-aer's
density matrices give for the same circuits.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import overload

import numpy as np
import numpy.typing as npt

from qthreshold.backends.base import Progress
from qthreshold.backends.crosstalk import ClusterTask, cluster_task, clusters, simulate_cluster
from qthreshold.backends.evolve import PairColumns, PairSteps, PairTables, QubitColumns, QubitTables, outcome_chances
from qthreshold.backends.noise import Noise, native_ptms
from qthreshold.backends.outcomes import outcome_rng, rows_by_target
from qthreshold.backends.profiles import SimulatedDevice, build, load_profile
from qthreshold.backends.simulated import SimulatedBackend
from qthreshold.datafiles import resolved
from qthreshold.device import Device
from qthreshold.plan import INTERLEAVED, TWO_QUBIT, Plan
from qthreshold.pool import Pool
from qthreshold.steps import DRAWN, draw_words, elements_of, paddings_of
from qthreshold.tallies import Tallies
from qthreshold.ticket import Ticket

__all__ = ["TASK_MEMORY", "Chunks", "ExactBackend", "ExactTask", "chances", "simulate", "sizes"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_COLUMNS = 1024  # sequences that go through their steps together: states and channels of that many stay in the cache
_STEPS = 256_000  # steps that are taken apart at a time, over all columns
_TARGETS = 48  # whose tables are held at a time: half a megabyte for a pair, twice that while they are made
_UNITS = 20_000  # of a task, where all is done by one process
_FINER = 4  # where several share the work: so many times as many tasks, so that none waits long for the last one
_SMALL = 3.0  # seconds of work below which starting processes is not worth while

TASK_MEMORY = 128 * 2**20
"""Bytes that a task of so many units, sequences and steps needs at most."""


@dataclass(frozen=True, slots=True)
class ExactTask:
    """Some targets of a ticket, with all their units; for one worker.

    Attributes:
        seed, experiment, ticket: What the random generator of a target follows from, with the target itself.
        targets: Qubits or pairs, ``(P,)``.
        sx, x: Errors after the pulses of their qubits, ``(P, n, 4, 4)``.
        native: Noisy native gates, ``(P, 16, 16)``; none for qubits.
        gate: The native gate of all of them; empty for qubits.
        flips: P(1 read | 0) and P(0 read | 1) of each qubit, ``(2, P, n)``.
        block, padded: As in the plan.
        row, length, length_row, arm, start, final, shots: Of each unit, ``(J,)``; its target is ``targets[row]``.
        columns, steps: Sequences, and steps of all of them, that are worked on at once.
    """

    seed: int
    experiment: int
    ticket: int
    targets: Ints
    sx: Real
    x: Real
    native: Real
    gate: str
    flips: Real
    block: str
    padded: bool
    row: Ints
    length: Ints
    length_row: Ints
    arm: npt.NDArray[np.int8]
    start: Ints
    final: npt.NDArray[np.uint16]
    shots: Ints
    columns: int = _COLUMNS
    steps: int = _STEPS


def simulate(task: ExactTask) -> Ints:
    """Outcomes of every unit of a task, drawn from their exact probabilities, ``(J, 4)``."""
    out = np.zeros((len(task.row), 4), dtype=np.int64)
    chance = chances(task)
    order = np.argsort(task.row, kind="stable")
    bounds = np.searchsorted(task.row[order], np.arange(len(task.targets) + 1))
    for target, (first, last) in zip(task.targets.tolist(), pairwise(bounds.tolist()), strict=True):
        mine = order[first:last]
        rng = outcome_rng(task.seed, task.experiment, target, task.ticket)
        out[mine, : chance.shape[1]] = rng.multinomial(task.shots[mine], chance[mine])
    return out


def chances(task: ExactTask) -> Real:
    """Exact probability of every outcome of every unit, ``(J, 2**n)``."""
    n = task.sx.shape[1]
    out = np.zeros((len(task.row), 2**n))
    for rows in _batches(task):
        here = np.flatnonzero((task.row >= rows.start) & (task.row < rows.stop))
        if n == 2:
            pairs = PairTables.of(task.gate, task.block, task.padded, task.sx[rows], task.x[rows], task.native[rows])
            results = _pairs(task, rows, here, pairs)
        else:
            results = _qubits(task, rows, here, QubitTables.of(task.sx[rows, 0], task.x[rows, 0]))
        for units, components in results:
            flips = task.flips[:, task.row[units]].transpose(0, 2, 1)
            out[units] = outcome_chances(components, *flips)
    return out


def _batches(task: ExactTask) -> Iterator[slice]:
    """Targets in groups whose sequences of the busiest length are about as many as go through together."""
    busiest = np.bincount(2 * task.length_row + task.arm).max(initial=1)
    most = max(4, _TARGETS * task.columns // _COLUMNS)
    batches = min(max(1, round(busiest / task.columns), -(-len(task.targets) // most)), len(task.targets))
    for first, last in pairwise(np.linspace(0, len(task.targets), batches + 1).round().astype(int).tolist()):
        yield slice(first, last)


def _grid(task: ExactTask, units: Ints, rows: slice) -> Ints:
    """Units of one length and arm by target and place in the stream, ``(P, K)``; those with fewer than others have their last one twice."""
    units = units[np.lexsort((task.start[units], task.row[units]))]
    first = np.searchsorted(task.row[units], np.arange(rows.start, rows.stop + 1))
    count = np.diff(first)
    if not count.all():
        raise ValueError("every target of a task needs units of every length and arm")
    k = np.minimum(np.arange(int(count.max(initial=0))), count[:, None] - 1)
    return units[first[:-1, None] + k]


def _pairs(task: ExactTask, rows: slice, here: Ints, tables: PairTables) -> Iterator[tuple[Ints, Real]]:
    """Units and the components of their states at the end, ``(4, B)``."""
    for i in np.unique(task.length_row[here]).tolist():
        of_length = here[task.length_row[here] == i]
        grids: list[tuple[Ints, list[int]]] = []  # units whose steps are drawn, and the arms that take them
        by_arm = {arm: _grid(task, of_length[task.arm[of_length] == arm], rows) for arm in np.unique(task.arm[of_length]).tolist()}
        for arm, grid in by_arm.items():
            same = next((g for g in grids if np.array_equal(task.start[g[0]], task.start[grid])), None)
            if same is None:
                grids.append((grid, [arm]))
            else:
                same[1].append(arm)
        for grid, arms in grids:
            columns = {arm: PairColumns(tables, grid.size, interleaved=arm == INTERLEAVED) for arm in arms}
            for words in _blocks(task, grid.ravel()):
                steps = PairSteps(tables, elements_of(words, 2), paddings_of(words) if task.padded else None)
                for group in columns.values():
                    group.advance(steps)
            for arm, group in columns.items():
                units = by_arm[arm].ravel()
                yield units, group.finish(task.final[units])


def _qubits(task: ExactTask, rows: slice, here: Ints, tables: QubitTables) -> Iterator[tuple[Ints, Real]]:
    """The same for qubits, ``(2, B)``."""
    for i in np.unique(task.length_row[here]).tolist():
        units = _grid(task, here[task.length_row[here] == i], rows).ravel()
        columns = QubitColumns(tables, units.size)
        for words in _blocks(task, units):
            columns.advance(elements_of(words, 1))
        yield units, columns.finish(task.final[units])


def _blocks(task: ExactTask, units: Ints) -> Iterator[npt.NDArray[np.uint64]]:
    """Words of the steps of units of one length, ``(T, B)``, some steps after the others."""
    m, row = int(task.length[units[0]]), int(task.length_row[units[0]])
    start = task.start[units]
    at_once = max(2, task.steps // len(units) // 2 * 2)
    for first in range(0, m, at_once):
        last = min(first + at_once, m)
        if first == 0 and last == m:  # whole sequences, which mostly follow each other in the stream
            cut = np.flatnonzero(np.diff(start) != m) + 1
            runs = [(int(r[0]), m * len(r)) for r in np.split(start, cut)]
        else:
            runs = [(s + first, last - first) for s in start.tolist()]
        words = np.concatenate([draw_words(task.seed, task.experiment, row, s, count) for s, count in runs])
        yield np.ascontiguousarray(words.reshape(len(units), -1).T)


class Chunks(Sequence[ExactTask]):
    """A ticket's work in tasks for targets with the same native gate, made when they are asked for.

    Args:
        plan: The plan.
        ticket: Its ticket.
        device: Its device.
        noise: The channels.
        units: How many units a task may have, as far as whole targets allow.
        room: Sequences, and steps of all of them, that a task works on at once.
        without: Targets that are left out.

    Raises:
        ValueError: The plan holds its steps itself.
    """

    def __init__(
        self, plan: Plan, ticket: Ticket, device: Device, noise: Noise, units: int = _UNITS, room: tuple[int, int] = (_COLUMNS, _STEPS),
        without: Container[int] = (),
    ) -> None:  # fmt: skip
        if plan.steps != DRAWN:
            raise ValueError(f"steps that are {plan.steps} cannot be simulated exactly, only those drawn from the plan's stream")
        self._plan, self._ticket, self._device, self._noise, self._room = plan, ticket, device, noise, room
        self.units = ticket.units(plan)
        self._two = bool(plan.circuit_experiment[ticket.circuits[0]] == TWO_QUBIT)
        groups: dict[str, list[tuple[int, Ints]]] = {}
        for target, rows in rows_by_target(plan, self.units):
            if target not in without:
                groups.setdefault(device.gate[target] if self._two else "", []).append((target, rows))
        self._parts: list[tuple[str, list[tuple[int, Ints]]]] = []
        for gate, members in groups.items():
            total = sum(len(rows) for _, rows in members)
            bounds = np.linspace(0, len(members), min(-(-total // units), len(members)) + 1).round().astype(int).tolist()
            self._parts += [(gate, members[first:last]) for first, last in pairwise(bounds)]

    def __len__(self) -> int:
        return len(self._parts)

    def places(self, i: int) -> Ints:
        """Where the units of a task stand among the ticket's."""
        return np.concatenate([rows for _, rows in self._parts[i][1]])

    @overload
    def __getitem__(self, i: int) -> ExactTask: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[ExactTask]: ...
    def __getitem__(self, i: int | slice) -> ExactTask | Sequence[ExactTask]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        (gate, members), plan, noise = self._parts[i], self._plan, self._noise
        targets, units = np.array([t for t, _ in members]), self.units[self.places(i)]
        circuit = plan.unit_circuit[units]
        qubits = self._device.direction[targets] if self._two else targets[:, None]
        length, lengths = plan.circuit_length[circuit], plan.two_qubit_lengths if self._two else plan.one_qubit_lengths
        return ExactTask(
            seed=plan.seed, experiment=int(plan.circuit_experiment[circuit[0]]), ticket=self._ticket.number, targets=targets, sx=noise.sx[qubits],
            x=noise.x[qubits], native=native_ptms(gate, noise, targets) if self._two else np.zeros((0, 16, 16)), gate=gate,
            flips=np.stack([noise.p1_given_0[qubits], noise.p0_given_1[qubits]]), block=plan.block, padded=plan.padded,
            row=np.repeat(np.arange(len(members)), [len(rows) for _, rows in members]), length=length,
            length_row=np.searchsorted(lengths, length) if length.any() else np.zeros_like(length),
            arm=plan.circuit_arm[circuit], start=plan.unit_start[units], final=plan.unit_final[units], shots=plan.circuit_shots[circuit],
            columns=self._room[0], steps=self._room[1],
        )  # fmt: skip


class ClusterTasks(Sequence[ClusterTask]):
    """The tasks of clusters, made when they are asked for."""

    def __init__(self, plan: Plan, ticket: Ticket, simulated: SimulatedDevice, groups: list[Ints]) -> None:
        self._plan, self._ticket, self.simulated, self._groups = plan, ticket, simulated, groups

    def __len__(self) -> int:
        return len(self._groups)

    @overload
    def __getitem__(self, i: int) -> ClusterTask: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[ClusterTask]: ...
    def __getitem__(self, i: int | slice) -> ClusterTask | Sequence[ClusterTask]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        of = self.simulated
        return cluster_task(self._plan, self._ticket, of.device, of.noise, of.crosstalk, self._groups[i])


class ExactBackend(SimulatedBackend):
    """A profile's device, computed.

    Args:
        profile: Name of a shipped profile, or path of a TOML file.
        pool: Who computes; by default this process. Results do not depend on it. It is the caller's to close.

    Raises:
        InputError: The profile does not exist or is not valid.
    """

    def __init__(self, profile: str, pool: Pool | None = None) -> None:
        super().__init__(f"exact:{resolved(profile)}", build(load_profile(profile)), pool)

    def collect(self, plan: Plan, ticket: Ticket, progress: Progress) -> Tallies:
        """Compute the ticket's circuits and draw their outcomes.

        Raises:
            InputError: Crosstalk joins more pairs than can be simulated together.
            BackendError: Workers fail.
        """
        together = [g for g in clusters(plan, ticket, self.device, self.crosstalk) if len(g) > 1]
        joined = {t for g in together for t in g.tolist()}
        small = _seconds(plan) < _SMALL
        memory = min(self._pool.task_memory, TASK_MEMORY)
        units, room = sizes(memory)
        chunks = Chunks(plan, ticket, self.device, self.noise, units if small else max(1, units // _FINER), room, joined)
        outcomes = np.zeros((len(chunks.units), 4), dtype=np.int64)
        if not small and len(chunks):
            self._pool.announce(memory)
        for i, result in self._pool.run(simulate, chunks, small=small):
            outcomes[chunks.places(i)] = result
            progress(len(result))
        own = dict(rows_by_target(plan, chunks.units)) if together else {}
        tasks, small = ClusterTasks(plan, ticket, self.simulated, together), _seconds_together(plan, ticket, together) < _SMALL
        for i, result in self._pool.run(simulate_cluster, tasks, small=small):
            outcomes[np.stack([own[t] for t in together[i].tolist()])] = result
            progress(result.shape[0] * result.shape[1])
        return Tallies(plan_id=plan.id, units=chunks.units, outcomes=outcomes)


def sizes(memory: float) -> tuple[int, tuple[int, int]]:
    """Units of a task, and sequences and steps that it works on at once, so that it needs no more than some bytes."""
    share = min(1.0, memory / TASK_MEMORY)
    return max(1, round(share * _UNITS)), (max(32, round(share * _COLUMNS)), max(1000, round(share * _STEPS)))


def _seconds_together(plan: Plan, ticket: Ticket, groups: list[Ints]) -> float:
    """About how long a ticket's clusters take one process."""
    return 2.5 * float(plan.circuit_length[ticket.circuits].sum()) * sum(3e-5 + 2e-8 * 16 ** len(g) for g in groups)


def _seconds(plan: Plan) -> float:
    """About how long all circuits of a plan take one process."""
    return 4e-7 * float(plan.circuit_length[plan.unit_circuit].sum()) + 2e-5 * len(plan.unit_circuit)
