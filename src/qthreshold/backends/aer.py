"""The Aer backend: a simulated device, such as a profile's, run by qiskit-aer with density matrices.

A wide circuit falls apart into clusters that never interact: without crosstalk, its targets. Each cluster is simulated
alone, and the outcomes, in random order, are joined to full width; because the clusters' outcomes are independent, this
is exactly the distribution of the wide circuit. Within a cluster, consecutive noisy operations on the same qubits are merged
into one superoperator instruction before Aer sees them, readout errors included; that is exact too, and much faster.
:func:`noise_model` gives the same noise gate by gate, for running the native circuits themselves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, Instruction
from qiskit.quantum_info import Kraus, SuperOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, QuantumError, ReadoutError

from qthreshold.backends.base import Progress
from qthreshold.backends.crosstalk import ClusterSlots, ClusterTask, cluster_task, clusters
from qthreshold.backends.noise import Noise, native_ptm, pair_channels, qubit_channels
from qthreshold.backends.outcomes import join_outcomes, outcome_rng, rows_by_target, target_rng
from qthreshold.backends.profiles import build, load_profile
from qthreshold.backends.simulated import SimulatedBackend
from qthreshold.circuits import native
from qthreshold.counts import Counts
from qthreshold.datafiles import resolved
from qthreshold.device import Device
from qthreshold.errors import BackendError
from qthreshold.numerics import channels
from qthreshold.plan import INTERLEAVED, TWO_QUBIT, Plan
from qthreshold.pool import Pool
from qthreshold.ticket import Ticket

__all__ = ["AerBackend", "Simulation", "noise_model", "simulate"]

Real = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MERGE = {1: 64, 2: 8}  # steps per Aer instruction, by number of qubits: large enough that Aer's cost per circuit dominates
_AT_ONCE = 64  # circuits of a cluster whose channels are held together
_FEW_UNITS = 400  # below this, starting worker processes costs more than it saves


@dataclass(frozen=True, slots=True)
class Task:
    """All sequences of one target in a ticket, for one worker."""

    target: int
    n_qubits: int
    lengths: npt.NDArray[np.int64]  # (J,)
    arms: npt.NDArray[np.int8]  # (J,)
    shots: npt.NDArray[np.int64]  # (J,)
    cliffords: list[npt.NDArray[np.uint16]]
    paddings: list[npt.NDArray[np.uint8]]
    final: npt.NDArray[np.uint16]  # (J,)
    channels: native.PairChannels | Real  # of a pair, or (24, 4, 4) of a qubit
    block: Real  # (16, 16), or (0, 0)
    readout: Real
    padded: bool
    seeds: npt.NDArray[np.int64]  # one for each number of shots


class Simulation(SimulatedBackend):
    """A simulated device on qiskit-aer."""

    def collect(self, plan: Plan, ticket: Ticket, progress: Progress) -> Counts:
        """Simulate the ticket's circuits.

        Raises:
            InputError: Crosstalk joins more pairs than can be simulated together.
            BackendError: Aer fails.
        """
        return join_outcomes(plan, ticket, self.device, self._run(plan, ticket), progress)

    def _run(self, plan: Plan, ticket: Ticket) -> Iterator[tuple[Ints, Ints, Ints]]:
        units = ticket.units(plan)
        groups = clusters(plan, ticket, self.device, self.crosstalk)
        own = {target: units[rows] for target, rows in rows_by_target(plan, units)}
        tasks = _Tasks(self, plan, ticket, [(g, np.stack([own[t] for t in g.tolist()])) for g in groups])
        for i, outcomes in self._pool.run(simulate, tasks, small=len(plan.unit_circuit) < _FEW_UNITS):
            targets, mine = tasks.parts[i]
            yield targets, mine, outcomes

    def task(self, plan: Plan, ticket: Ticket, target: int, units: npt.NDArray[np.int64]) -> Task:
        """Everything that a worker needs for one target."""
        circuits = plan.unit_circuit[units]
        lengths, shots = plan.circuit_length[circuits], plan.circuit_shots[circuits]
        two = plan.circuit_experiment[ticket.circuits[0]] == TWO_QUBIT
        drawn, paddings = plan.sequences(units)
        ends = np.cumsum(lengths)[:-1]
        noise = self.noise
        if two:
            a, b = self.device.direction[target]
            pair = pair_channels(self.device, noise, target)
            readout = channels.tensor(*(channels.readout_flip(noise.p1_given_0[q], noise.p0_given_1[q]) for q in (a, b)))
            block = native_ptm(self.device, noise, target) if plan.block == "native" else pair.elements(native.CNOT)
        else:
            one = noise.replace(sx=noise.sx[target : target + 1], x=noise.x[target : target + 1])
            pair, block = qubit_channels(one)[0], np.zeros((0, 0))
            readout = channels.readout_flip(noise.p1_given_0[target], noise.p0_given_1[target])
        return Task(
            target=target, n_qubits=2 if two else 1, lengths=lengths, arms=plan.circuit_arm[circuits],
            shots=shots, cliffords=np.split(drawn, ends), paddings=np.split(paddings, ends), final=plan.unit_final[units], channels=pair, block=block,
            readout=readout, padded=plan.padded, seeds=target_rng(plan, ticket, target, 0).integers(2**62, size=np.unique(shots).size),
        )  # fmt: skip


class _Tasks(Sequence[Task | ClusterTask]):
    """The tasks of a ticket, made when they are asked for: all of them together would take as much memory as its circuits."""

    def __init__(self, simulation: Simulation, plan: Plan, ticket: Ticket, parts: list[tuple[Ints, Ints]]) -> None:
        self._simulation, self._plan, self._ticket, self.parts = simulation, plan, ticket, parts

    def __len__(self) -> int:
        return len(self.parts)

    @overload
    def __getitem__(self, i: int) -> Task | ClusterTask: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Task | ClusterTask]: ...
    def __getitem__(self, i: int | slice) -> Task | ClusterTask | Sequence[Task | ClusterTask]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        of, (targets, units) = self._simulation, self.parts[i]
        if len(targets) > 1:
            return cluster_task(self._plan, self._ticket, of.device, of.noise, of.crosstalk, targets)
        return of.task(self._plan, self._ticket, int(targets[0]), units[0])


class AerBackend(Simulation):
    """A profile's device on qiskit-aer.

    Args:
        profile: Name of a shipped profile, or path of a TOML file.
        pool: As for :class:`Simulation`.

    Raises:
        InputError: The profile does not exist or is not valid.
    """

    def __init__(self, profile: str, pool: Pool | None = None) -> None:
        super().__init__(f"aer:{resolved(profile)}", build(load_profile(profile)), pool)


def simulate(task: Task | ClusterTask) -> Ints:
    """Outcome counts of every circuit of a task, int64 ``(J, 2**n_qubits)``.

    Raises:
        BackendError: Aer reports a failure.
    """
    if isinstance(task, ClusterTask):
        rng = outcome_rng(task.seed, task.experiment, int(task.targets[0]), task.ticket)
        seeds, target = rng.integers(2**62, size=np.unique(task.shots).size), ", ".join(str(t) for t in task.targets)
        circuits = cluster_circuits(task, measured=True)
    else:
        seeds, target = task.seeds, str(task.target)
        circuits = [merged_circuit(m, task.n_qubits, measured=True) for m in merged_channels(task)]
    simulator = AerSimulator(method="density_matrix", max_parallel_threads=1, fusion_enable=False)
    out = np.zeros((len(circuits), 2 ** circuits[0].num_qubits), dtype=np.int64)
    for shots, seed in zip(np.unique(task.shots).tolist(), seeds.tolist(), strict=True):  # Aer runs equal numbers of shots together
        mine = np.flatnonzero(task.shots == shots)
        result = simulator.run([circuits[i] for i in mine], shots=shots, seed_simulator=seed).result()
        if not result.success:
            raise BackendError(f"Aer failed on target {target}: {result.status}")
        for row, entry in zip(mine, result.results, strict=True):
            for outcome, count in entry.data.counts.items():
                out[row, int(outcome, 16)] = count
    return out


def merged_channels(task: Task) -> list[Real]:
    """The noisy channels of every sequence, several steps merged into one: PTMs ``(parts, d**2, d**2)`` each."""
    out = []
    size = 4**task.n_qubits
    for m, arm, cliffords, paddings, final in zip(task.lengths.tolist(), task.arms, task.cliffords, task.paddings, task.final, strict=True):
        last = task.readout @ _elements(task, np.array([final]))[0]
        if m == 0:
            out.append(last[None])
            continue
        step = _elements(task, cliffords)
        if task.n_qubits == 2:
            pads = task.channels.paddings if task.padded else None  # type: ignore[union-attr]
            step = pads[paddings[:, 0]] @ step if pads is not None else step
            step = task.block @ step if arm == INTERLEAVED else step
            step = pads[paddings[:, 1]] @ step if pads is not None else step
        group = _MERGE[task.n_qubits]
        whole = np.broadcast_to(np.eye(size), (-(-m // group) * group, size, size)).copy()
        whole[:m] = step
        whole = whole.reshape(-1, group, size, size)
        while whole.shape[1] > 1:
            whole = whole[:, 1::2] @ whole[:, 0::2]
        parts = whole[:, 0]
        parts[-1] = last @ parts[-1]
        out.append(parts)
    return out


def _elements(task: Task, index: npt.NDArray[np.uint16]) -> Real:
    return task.channels[index] if isinstance(task.channels, np.ndarray) else task.channels.elements(index)


def merged_circuit(parts: Real, n_qubits: int, *, measured: bool) -> QuantumCircuit:
    """A circuit of superoperator instructions, one per merged channel; measured, or with its probabilities saved."""
    circuit = QuantumCircuit(n_qubits, n_qubits)
    for matrix in channels.to_superop(parts):
        _superop(circuit, matrix, range(n_qubits))
    _finish(circuit, measured=measured)
    return circuit


def cluster_circuits(task: ClusterTask, *, measured: bool) -> list[QuantumCircuit]:
    """Circuits of a cluster: in each slot a superoperator instruction on every pair that is at work, then an rzz for every angle.

    Args:
        task: The cluster.
        measured: Measured, or with probabilities saved.
    """
    pairs = range(len(task.targets))
    n = 2 * len(pairs)
    readout = [channels.tensor(*(channels.readout_flip(*task.flips[:, 2 * p + q]) for q in (0, 1))) for p in pairs]
    out: dict[int, QuantumCircuit] = {}
    for slots in ClusterSlots.batches(task, _AT_ONCE):
        batch = [QuantumCircuit(n, n) for _ in slots.circuits]
        for k in range(slots.count):
            busy = slots.busy(k)
            for p in pairs:
                matrices = slots.channel(p, k)
                last = slots.natives[p, :busy] == k
                matrices[last] = readout[p] @ matrices[last]
                superops = channels.to_superop(matrices)
                for i in np.flatnonzero(slots.natives[p, :busy] >= k).tolist():
                    _superop(batch[i], superops[i], (2 * p, 2 * p + 1))
            for ends, angle in zip(task.joined.tolist(), slots.angles(k), strict=True):
                for i in np.flatnonzero(angle).tolist():
                    batch[i].rzz(angle[i], *ends)
        out.update(zip(slots.circuits.tolist(), batch, strict=True))
    for circuit in out.values():
        _finish(circuit, measured=measured)
    return [out[j] for j in range(len(out))]


def _superop(circuit: QuantumCircuit, matrix: npt.NDArray[np.complex128], qubits: Sequence[int]) -> None:
    at = tuple(circuit.qubits[q] for q in qubits)
    circuit._append(CircuitInstruction(Instruction("superop", len(at), 0, [matrix]), at, ()))


def _finish(circuit: QuantumCircuit, *, measured: bool) -> None:
    if measured:
        circuit.measure(range(circuit.num_qubits), range(circuit.num_qubits))
    else:
        circuit.save_probabilities()


def noise_model(device: Device, noise: Noise) -> NoiseModel:
    """The same noise as an Aer noise model, gate by gate, for circuits in native gates."""
    model = NoiseModel(basis_gates=[*device.basis, *sorted(set(device.gate))])
    for q in range(device.n_qubits):
        for name, ptm in zip(device.basis[1:], (noise.sx[q], noise.x[q]), strict=True):
            model.add_quantum_error(_error(ptm), name, [q], warnings=False)
        a, b = noise.p1_given_0[q], noise.p0_given_1[q]
        model.add_readout_error(ReadoutError([[1 - a, a], [b, 1 - b]]), [q], warnings=False)
    for gate, qubits, ptm in zip(device.gate, device.direction.tolist(), noise.native, strict=True):
        model.add_quantum_error(_error(ptm), gate, qubits, warnings=False)
    return model


def _error(ptm: Real) -> QuantumError:
    return QuantumError(Kraus(SuperOp(channels.to_superop(ptm))))
