"""The exact backend: a profile's device whose outcome probabilities are computed, and only the outcomes drawn at random.

No circuit is built: sequences come from the plan's stream and noisy channels from the profile's parameters, so that lengths of a hundred
thousand Cliffords and devices of ten thousand qubits are a matter of seconds to minutes. Probabilities equal those that qiskit-aer's
density matrices give for the same circuits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt

from qthreshold.backends.base import Progress
from qthreshold.backends.evolve import PairColumns, PairSteps, PairTables, QubitColumns, QubitTables, outcome_chances
from qthreshold.backends.noise import Noise, Truth, native_ptms, true_errors
from qthreshold.backends.outcomes import rows_by_target, target_rng
from qthreshold.backends.profiles import SimulatedDevice, build, load_profile
from qthreshold.datafiles import resolved
from qthreshold.device import Device
from qthreshold.plan import INTERLEAVED, TWO_QUBIT, Plan, seed_rng
from qthreshold.steps import draw_words, elements_of, paddings_of
from qthreshold.tallies import Tallies
from qthreshold.tasks import Run, inline
from qthreshold.ticket import Ticket

__all__ = ["ExactBackend", "ExactTask", "chances", "exact_tasks", "simulate"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_COLUMNS = 1024  # sequences that go through their steps together: states and channels of that many stay in the cache
_STEPS = 256_000  # steps that are taken apart at a time, over all columns


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


def simulate(task: ExactTask) -> Ints:
    """Outcomes of every unit of a task, drawn from their exact probabilities, ``(J, 4)``."""
    out = np.zeros((len(task.row), 4), dtype=np.int64)
    chance = chances(task)
    order = np.argsort(task.row, kind="stable")
    bounds = np.searchsorted(task.row[order], np.arange(len(task.targets) + 1))
    for target, (first, last) in zip(task.targets.tolist(), pairwise(bounds.tolist()), strict=True):
        mine = order[first:last]
        rng = seed_rng(task.seed, 2, task.experiment, target, task.ticket, 0)
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
    busiest = np.bincount(task.length_row + (int(task.length_row.max(initial=0)) + 1) * task.arm).max(initial=1)
    batches = min(max(1, round(busiest / _COLUMNS)), len(task.targets))
    for first, last in pairwise(np.linspace(0, len(task.targets), batches + 1).round().astype(int).tolist()):
        yield slice(first, last)


def _grid(task: ExactTask, units: Ints, rows: slice) -> Ints:
    """Units of one length and arm by target and place in the stream, ``(P, K)``; those with fewer than others have their last one twice."""
    units = units[np.lexsort((task.start[units], task.row[units]))]
    first = np.searchsorted(task.row[units], np.arange(rows.start, rows.stop + 1))
    count = np.diff(first)
    present = np.flatnonzero(count)
    k = np.minimum(np.arange(int(count.max(initial=0))), np.maximum(count, 1)[:, None] - 1)
    at = first[:-1, None] + k
    if len(present) < len(count):  # a target without any takes part with another's
        at[count == 0] = 0
    return units[at]


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
    at_once = max(2, _STEPS // len(units) // 2 * 2)
    if m <= at_once:
        pieces = [(0, m)] if m else []
    else:
        pieces = [(first, min(first + at_once, m)) for first in range(0, m, at_once)]
    for first, last in pieces:
        if first == 0 and last == m:  # whole sequences, which mostly follow each other in the stream
            cut = np.flatnonzero(np.diff(start) != m) + 1
            runs = [(int(r[0]), m * len(r)) for r in np.split(start, cut)]
        else:
            runs = [(s + first, last - first) for s in start.tolist()]
        words = np.concatenate([draw_words(task.seed, task.experiment, row, s, count) for s, count in runs])
        yield np.ascontiguousarray(words.reshape(len(units), -1).T)


def exact_tasks(plan: Plan, ticket: Ticket, device: Device, noise: Noise, size: int) -> Iterator[tuple[Ints, ExactTask]]:
    """A ticket's work in tasks of about ``size`` units, with the places of their units among the ticket's.

    Raises:
        ValueError: The plan holds its steps itself.
    """
    units = ticket.units(plan)
    experiment = int(plan.circuit_experiment[ticket.circuits[0]])
    two = experiment == TWO_QUBIT
    gates = np.array(device.gate)
    groups: dict[str, list[tuple[int, Ints]]] = {}
    for target, rows in rows_by_target(plan, units):
        groups.setdefault(str(gates[target]) if two else "", []).append((target, rows))
    lengths = plan.two_qubit_lengths if two else plan.one_qubit_lengths
    for gate, members in groups.items():
        count = max(1, size * len(members) // max(sum(len(r) for _, r in members), 1))
        for first in range(0, len(members), count):
            some = members[first : first + count]
            targets, places = np.array([t for t, _ in some]), np.concatenate([r for _, r in some])
            mine = units[places]
            circuit = plan.unit_circuit[mine]
            qubits = device.direction[targets] if two else targets[:, None]
            length = plan.circuit_length[circuit]
            yield places, ExactTask(
                seed=plan.seed, experiment=experiment, ticket=ticket.number, targets=targets, sx=noise.sx[qubits], x=noise.x[qubits],
                native=native_ptms(gate, noise, targets) if two else np.zeros((0, 16, 16)), gate=gate,
                flips=np.stack([noise.p1_given_0[qubits], noise.p0_given_1[qubits]]), block=plan.block, padded=plan.padded,
                row=np.repeat(np.arange(len(some)), [len(r) for _, r in some]), length=length,
                length_row=np.searchsorted(lengths, length) if length.any() else np.zeros_like(length),
                arm=plan.circuit_arm[circuit], start=plan.unit_start[mine], final=plan.unit_final[mine], shots=plan.circuit_shots[circuit],
            )  # fmt: skip
