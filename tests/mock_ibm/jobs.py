"""Jobs of the mock: what was posted, what it decodes to, and the results it gives, encoded as the service does."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from ibm_quantum_schemas.common import CompressedTensorModel
from ibm_quantum_schemas.executor import version_2_0 as schema
from qiskit import QuantumCircuit
from qiskit.primitives import PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers import BitArray, DataBin
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit_ibm_runtime.fake_provider.executor.run_quantum_program import run_quantum_program
from qiskit_ibm_runtime.json import RuntimeDecoder, RuntimeEncoder
from qiskit_ibm_runtime.options_models.simulator import SimulatorOptions
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS
from samplomatic.quantum_program import SamplexItem

from .devices import Device, simulator_of
from .faults import Fault

FINAL = ("Completed", "Failed", "Cancelled")


@dataclass
class Job:
    """One accepted job. Circuits are decoded when first asked for, so that posting stays fast.

    Attributes:
        params: The program's parameters as posted, JSON.
        cost: The longest execution time that the client allows, in seconds.
        outcome: The job-level fault it was posted under.
        state: Queued, Running, Completed, Failed or Cancelled.
        runs: How many times its circuits were executed.
        charge: Seconds charged for it.
    """

    id: str
    program: str
    backend: str
    tags: list[str]
    session_id: str | None
    cost: float | None
    private: bool
    params: dict[str, Any]
    payload_bytes: int
    outcome: Fault | None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    running: datetime | None = None
    finished: datetime | None = None
    state: str = "Queued"
    reason: str | None = None
    reason_code: int | None = None
    held: bool = False
    deleted: bool = False
    polls: int = 0
    usage_polls: int = 0
    runs: int = 0
    charge: float = 0.0
    result: bytes = b""

    @cached_property
    def content(self) -> "ExecutorContent | SamplerContent":
        return ExecutorContent(self.params) if self.program == "executor" else SamplerContent(self.params)

    @property
    def circuits(self) -> list[QuantumCircuit]:
        return self.content.circuits

    @property
    def shots(self) -> int | list[int]:
        """Shots of every circuit; a list where a legacy job's circuits differ."""
        return self.content.shots

    @cached_property
    def circuit_hashes(self) -> list[str]:
        """SHA-256 of each circuit's instructions and bound values; names and metadata do not enter."""
        return [hash_circuit(circuit, values) for circuit, values in zip(self.circuits, self.content.values, strict=True)]

    @property
    def num_circuits(self) -> int:
        return len(self.params["quantum_program"]["items"] if self.program == "executor" else self.params["pubs"])

    @property
    def options(self) -> dict[str, Any]:
        """The options the job was posted with (twirling, dynamical_decoupling, execution.rep_delay, ...)."""
        if self.program != "executor":
            return self.params.get("options", {})
        passed = self.params["quantum_program"].get("passthrough_data") or {}
        return passed.get("post_processor", {}).get("options", {}) | {"executor": self.params["options"]}

    @property
    def seed(self) -> int:
        """From the circuits and shots alone, so that the same circuits give the same counts under any id and tag."""
        digest = hashlib.sha256(json.dumps([self.circuit_hashes, self.shots]).encode()).digest()
        return int.from_bytes(digest[:8], "big") >> 1

    def summary(self, with_params: bool) -> dict[str, Any]:
        """The answer to a request for this job."""
        state = {"status": self.state}
        if self.reason:
            state |= {"reason": self.reason, "reason_code": self.reason_code}
        answer = {
            "id": self.id,
            "backend": self.backend,
            "program": {"id": self.program},
            "state": state,
            "status": self.state,
            "created": self.created.isoformat().replace("+00:00", "Z"),
            "tags": self.tags,
            "private": self.private,
            "cost": self.cost,
        }
        if self.session_id:
            answer["session_id"] = self.session_id
        return answer | ({"params": self.params} if with_params else {})


def hash_circuit(circuit: QuantumCircuit, values: np.ndarray | None) -> str:
    place = {bit: i for bits in (circuit.qubits, circuit.clbits) for i, bit in enumerate(bits)}
    lines = [f"{circuit.num_qubits} {[(register.name, register.size) for register in circuit.cregs]}"]
    for item in circuit.data:
        lines.append(f"{item.name} {item.params} {[place[bit] for bit in item.qubits]} {[place[bit] for bit in item.clbits]}")
    digest = hashlib.sha256("\n".join(lines).encode())
    if values is not None:
        digest.update(repr(values.tolist()).encode())
    return digest.hexdigest()


class SamplerContent:
    """What a job of the legacy sampler program decodes to."""

    def __init__(self, params: dict[str, Any]) -> None:
        decoded = json.loads(json.dumps(params), cls=RuntimeDecoder)
        default = params.get("options", {}).get("default_shots", 4096)
        self.pubs = [SamplerPub.coerce(tuple(pub), default) for pub in decoded["pubs"]]
        self.circuits = [pub.circuit for pub in self.pubs]
        self.values = [pub.parameter_values.as_array(pub.circuit.parameters) if pub.circuit.parameters else None for pub in self.pubs]
        shots = [pub.shots for pub in self.pubs]
        self.shots = shots[0] if len(set(shots)) == 1 else shots
        self.executions = sum(prod(pub.shape) * pub.shots for pub in self.pubs)

    def run(self, device: Device, seed: int, wide: bool) -> bytes:
        results: list[Any] = [None] * len(self.pubs)
        for shots in {pub.shots for pub in self.pubs}:
            chosen = [i for i, pub in enumerate(self.pubs) if pub.shots == shots]
            registers = sample(device, [self.circuits[i] for i in chosen], [self.values[i] for i in chosen], shots, seed, wide)
            for i, bits in zip(chosen, registers, strict=True):
                data = {name: BitArray.from_bool_array(array, order="little") for name, array in bits.items()}
                results[i] = SamplerPubResult(DataBin(**data, shape=self.pubs[i].shape), {"circuit_metadata": self.circuits[i].metadata or {}})
        return json.dumps(PrimitiveResult(results, {"version": 2}), cls=RuntimeEncoder).encode()


class ExecutorContent:
    """What a job of the executor program decodes to; twirled circuits (samplex items) run as the client's local mode runs them."""

    def __init__(self, params: dict[str, Any]) -> None:
        converter = QUANTUM_PROGRAM_PARAMS_CONVERTERS[params["schema_version"]]
        self.model = converter.model.model_validate(params)
        self.program, _ = converter.decoder(self.model)
        self.circuits = [item.circuit for item in self.program.items]
        self.twirled = any(isinstance(item, SamplexItem) for item in self.program.items)
        self.values = [None if self.twirled or not item.circuit.parameters else item.circuit_arguments for item in self.program.items]
        self.shots = self.program.shots
        self.executions = sum(prod(item.shape) * self.shots for item in self.program.items)

    def run(self, device: Device, seed: int, wide: bool) -> bytes:
        start = datetime.now(UTC)
        if self.twirled:
            for item in self.program.items:
                item.samplex.finalize()
            ran = run_quantum_program(simulator_of(device.fake), self.program, SimulatorOptions(seed_simulator=seed))
            arrays = [dict(item.items()) for item in ran]
        else:
            arrays = sample(device, self.circuits, self.values, self.shots, seed, wide)
        sizes = [prod(item.shape) for item in self.program.items]
        pieces = [
            schema.ChunkPart(idx_item=i, size=size, permutation=list(range(len(item.shape))), element_range=(0, size, 1))
            for i, (item, size) in enumerate(zip(self.program.items, sizes, strict=True))
        ]
        data = [
            schema.QuantumProgramResultItemModel(
                results={name: CompressedTensorModel.from_numpy(array) for name, array in item.items()}, metadata=schema.ItemMetadataModel()
            )
            for item in arrays
        ]
        result = schema.QuantumProgramResultModel(
            data=data,
            metadata=schema.MetadataModel(chunk_timing=[schema.ChunkSpan(start=start, stop=datetime.now(UTC), parts=pieces)]),
            passthrough_data=self.model.quantum_program.passthrough_data,
            semantic_role=self.model.quantum_program.semantic_role,
        )
        return result.model_dump_json().encode()


def sample(
    device: Device, circuits: Sequence[QuantumCircuit], values: Sequence[np.ndarray | None], shots: int, seed: int, wide: bool
) -> list[dict[str, np.ndarray]]:
    """Bits by classical register of every circuit, shape (*sweep, shots, width), bool."""
    bound: list[QuantumCircuit] = []
    shapes = []
    for circuit, array in zip(circuits, values, strict=True):
        points = np.empty((), dtype=object) if array is None else BindingsArray({tuple(circuit.parameters): array}).bind_all(circuit)
        if array is None:
            points[()] = circuit
        shapes.append(points.shape)
        bound.extend(points.reshape(-1))
    bits = iter(device.sample(bound, shots, seed, wide=wide))
    registers = []
    for circuit, shape in zip(circuits, shapes, strict=True):
        array = np.stack([next(bits) for _ in range(prod(shape))]).reshape(*shape, shots, circuit.num_clbits)
        place = {bit: i for i, bit in enumerate(circuit.clbits)}
        registers.append({register.name: array[..., [place[bit] for bit in register]] for register in circuit.cregs})
    return registers
