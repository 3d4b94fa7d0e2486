"""Devices of the mock: configuration and properties of a shipped snapshot, and a simulator with its noise."""

import copy
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Bit, CircuitInstruction
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
            active = {qubit for item in circuit.data if item.name != "barrier" for qubit in item.qubits}
            if not wide and len(active) > LARGEST_IDEAL:
                measured = sorted({circuit.find_bit(clbit).index for item in circuit.data for clbit in item.clbits})
                bits[index][:, measured] = rng.integers(2, size=(shots, len(measured)), dtype=np.uint8)
                continue
            for members in split_into_parts(circuit):
                columns = sorted({circuit.find_bit(clbit).index for item in members for clbit in item.clbits})
                if len({qubit for item in members for qubit in item.qubits}) > LARGEST_PART:
                    bits[index][:, columns] = rng.integers(2, size=(shots, len(columns)), dtype=np.uint8)
                elif columns:
                    parts.append(circuit_of(members, circuit, columns))
                    places.append((index, columns))
        if parts:
            sampler = AerSampler.from_backend(simulator_of(self.fake), seed=seed)
            for (index, columns), outcome in zip(places, sampler.run(parts, shots=shots).result(), strict=True):
                bits[index][:, columns] = outcome.data.bits.to_bool_array(order="little")
        return bits


def split_into_parts(circuit: QuantumCircuit) -> list[list[CircuitInstruction]]:
    """The instructions of a circuit, grouped so that no two groups share a qubit or a classical bit; barriers are left out."""
    root: dict[Bit, Bit] = {bit: bit for bit in [*circuit.qubits, *circuit.clbits]}

    def find(bit: Bit) -> Bit:
        while root[bit] is not bit:
            root[bit] = bit = root[root[bit]]
        return bit

    instructions = [item for item in circuit.data if item.name != "barrier"]
    for item in instructions:
        if item.is_control_flow():
            raise NotImplementedError(f"the mock does not run {item.name}")
        first, *others = [*item.qubits, *item.clbits]
        for other in others:
            root[find(other)] = find(first)
    parts: dict[Bit, list[CircuitInstruction]] = {}
    for item in instructions:
        parts.setdefault(find(item.qubits[0]), []).append(item)
    return list(parts.values())


def circuit_of(members: Iterable[CircuitInstruction], whole: QuantumCircuit, columns: Sequence[int]) -> QuantumCircuit:
    """A circuit of some instructions on the same qubits, its register `bits` holding the given classical bits of the whole."""
    register = ClassicalRegister(len(columns), "bits")
    part = QuantumCircuit(whole.qubits, register)
    local = {whole.clbits[column]: bit for column, bit in zip(columns, register, strict=True)}
    for item in members:
        part._append(item.replace(clbits=[local[bit] for bit in item.clbits]) if item.clbits else item)
    return part
