"""Devices of the mock: configuration and properties of a shipped snapshot, and a simulator with its noise."""

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime import fake_provider

LARGEST_PART = 10
"""Most qubits that are simulated together; a larger part of a circuit answers random bits."""
LARGEST_IDEAL = 12
"""Most active qubits of a circuit that is simulated at all when the mock was told not to simulate wide circuits."""


@cache
def simulator_of(fake: str) -> AerSimulator:
    """The noisy simulator of a snapshot, built once (seconds for a hundred qubits)."""
    simulator = AerSimulator.from_backend(getattr(fake_provider, fake)(), method="density_matrix", max_parallel_threads=1)
    simulator.set_max_qubits(10_000)
    return simulator


class Device:
    """One device: what the service says about it, and what it would measure."""

    def __init__(self, name: str, fake: str) -> None:
        snapshot = getattr(fake_provider, fake)
        folder = Path(snapshot.dirname)
        self.name = name
        self.fake = fake
        self.configuration = json.loads((folder / snapshot.conf_filename).read_text()) | {"backend_name": name}
        properties = json.loads((folder / snapshot.props_filename).read_text()) | {"backend_name": name}
        self.history: list[tuple[datetime, dict]] = [(datetime.min.replace(tzinfo=UTC), properties)]
        self.operational = True
        self.status = "active"

    @property
    def properties(self) -> dict:
        return self.history[-1][1]

    def properties_before(self, moment: str | None) -> dict:
        """The properties in force at an ISO date, now without one."""
        if moment is None:
            return self.properties
        date = datetime.fromisoformat(moment)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return [properties for since, properties in self.history if since <= date][-1]

    def change_calibration(self, remove_edges: Iterable[tuple[int, int]], remove_qubits: Iterable[int], scale_errors: float) -> None:
        """New properties from now on. The simulated noise stays as it is: a calibration is what the service says, not what the device does."""
        properties = copy.deepcopy(self.properties)
        now = datetime.now(UTC)
        latest = datetime.fromisoformat(properties["last_update_date"]).astimezone(UTC)
        properties["last_update_date"] = max(now, latest + timedelta(seconds=1)).isoformat()
        out_of_order = {"date": properties["last_update_date"], "name": "operational", "unit": "", "value": 0}
        edges = {tuple(sorted(edge)) for edge in remove_edges}
        for gate in properties["gates"]:
            if len(gate["qubits"]) == 2 and tuple(sorted(gate["qubits"])) in edges:
                gate["parameters"].append(dict(out_of_order))
        for qubit in remove_qubits:
            properties["qubits"][qubit].append(dict(out_of_order))
        for parameter in [p for gate in properties["gates"] for p in gate["parameters"]] + [p for qubit in properties["qubits"] for p in qubit]:
            if parameter["name"] in {"gate_error", "readout_error", "prob_meas0_prep1", "prob_meas1_prep0"}:
                parameter["value"] = min(1.0, parameter["value"] * scale_errors)
        self.history.append((now, properties))

    def sample(self, circuits: Sequence[QuantumCircuit], shots: int, seed: int, *, wide: bool) -> list[np.ndarray]:
        """Bits of every circuit, shape (shots, classical bits), bool; circuits act on parts that do not interact, each simulated by itself.

        Args:
            circuits: Bound circuits on the device's qubits, without control flow.
            shots: Shots of each circuit.
            seed: Fixes every bit.
            wide: Whether circuits with many active qubits are simulated too, or answer random bits.
        """
        rng = np.random.default_rng(seed)
        bits = [np.zeros((shots, circuit.num_clbits), dtype=bool) for circuit in circuits]
        parts, places = [], []
        for index, circuit in enumerate(circuits):
            split = list(split_into_parts(circuit))
            simulated = wide or sum(size for _, _, size in split) <= LARGEST_IDEAL
            for part, columns, size in split:
                if simulated and size <= LARGEST_PART:
                    parts.append(part)
                    places.append((index, columns))
                else:
                    bits[index][:, columns] = rng.integers(2, size=(shots, len(columns)), dtype=np.uint8)
        if parts:
            sampler = AerSampler.from_backend(simulator_of(self.fake), seed=seed)
            for (index, columns), outcome in zip(places, sampler.run(parts, shots=shots).result(), strict=True):
                bits[index][:, columns] = outcome.data.bits.to_bool_array(order="little")
        return bits


def split_into_parts(circuit: QuantumCircuit) -> Iterator[tuple[QuantumCircuit, list[int], int]]:
    """The measured parts of a circuit that share no instruction: the part on the same qubits, its classical bits, and its number of qubits."""
    qubit_of = {bit: i for i, bit in enumerate(circuit.qubits)}
    clbit_of = {bit: i for i, bit in enumerate(circuit.clbits)}
    width = circuit.num_qubits
    root = list(range(width + circuit.num_clbits))

    def find(bit: int) -> int:
        while root[bit] != bit:
            root[bit] = root[root[bit]]
            bit = root[bit]
        return bit

    instructions = []
    for item in circuit.data:
        if item.operation.name == "barrier":
            continue
        if item.is_control_flow():
            raise NotImplementedError(f"the mock does not run {item.operation.name}")
        qubits = [qubit_of[bit] for bit in item.qubits]
        clbits = [clbit_of[bit] for bit in item.clbits]
        first, *others = [*qubits, *(width + bit for bit in clbits)]
        for other in others:
            root[find(other)] = find(first)
        instructions.append((item.operation, qubits, clbits))
    by_part: dict[int, list] = {}
    for instruction in instructions:
        by_part.setdefault(find(instruction[1][0]), []).append(instruction)
    for members in by_part.values():
        columns = sorted({bit for _, _, clbits in members for bit in clbits})
        if not columns:
            continue
        part = QuantumCircuit(QuantumRegister(width), ClassicalRegister(len(columns), "bits"))
        local = {bit: i for i, bit in enumerate(columns)}
        for operation, qubits, clbits in members:
            part.append(operation, qubits, [local[bit] for bit in clbits], copy=False)
        yield part, columns, len({qubit for _, qubits, _ in members for qubit in qubits})
