"""Backends as a lab could have them, around qiskit-aer, with all that can go wrong. Opened as ``provider:lab_backends:Lab?fault=NAME``."""

import numpy as np
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CZGate, RZGate, SXGate, XGate
from qiskit.providers import BackendV2, JobStatus, Options
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator

RUNS: list[list[str]] = []
"""Names of the circuits of every call of ``run``."""

KEPT: dict[str, "LabJob"] = {}
"""Jobs that the lab's server keeps."""


class UnauthorizedError(Exception):
    pass


def make_target(n, pairs):
    """A target that states gates and nothing else; ``pairs`` holds a gate and its qubits each."""
    target = Target(num_qubits=n)
    for gate in (RZGate(Parameter("a")), SXGate(), XGate(), Measure()):
        target.add_instruction(gate, {None: None} if n is None else {(q,): None for q in range(n)})
    by_name = {}
    for gate, qubits in pairs:
        by_name.setdefault(gate.name, (gate, {}))[1][qubits] = None
    for gate, where in by_name.values():
        target.add_instruction(gate, where)
    return target


class Answer:
    """A result with no more than ``get_counts``, as small packages have."""

    success = True

    def __init__(self, tables, names):
        self.tables = tables
        self.results = [type("Entry", (), {"header": {"name": n}})() for n in names]

    def get_counts(self, i):
        return self.tables[i]


class LabJob:
    def __init__(self, job_id, answer, status=JobStatus.DONE, usage=None):
        self.id, self.answer, self.state, self.cancelled = job_id, answer, status, False
        if usage is not None:
            self.usage = lambda: usage

    def job_id(self):
        return self.id

    def status(self):
        return self.state

    def result(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def cancel(self):
        self.state = JobStatus.CANCELLED


class Lab(BackendV2):
    def __init__(self, fault="", n=3, stated=True, most=None, usage=None, status=None):
        super().__init__(name="lab", description="")
        self.fault, self.n, self.most, self.usage, self._status = fault, n, most, usage, status
        self._target = make_target(n, [(CZGate(), (q, q + 1)) for q in range(n - 1)]) if stated else make_target(None, [(CZGate(), None)])
        self.simulator = AerSimulator(seed_simulator=7, max_parallel_threads=1)

    @property
    def target(self):
        return self._target

    @property
    def max_circuits(self):
        return self.most

    @classmethod
    def _default_options(cls):
        return Options(shots=10, access_token="t0p-s3cret", detuning=0.5)

    def run(self, circuits, shots, **unknown):
        assert not unknown
        RUNS.append([c.name for c in circuits])
        preflight = len(RUNS) == 1
        failure = {"raises": ValueError, "account": UnauthorizedError, "network": ConnectionResetError, "odd": RuntimeError}.get(self.fault)
        if failure:
            raise failure("token=t0p-s3cret")
        tables = [self.spoilt(dict(c), preflight) for c in self.simulated(circuits, shots)]
        names = [c.name for c in circuits]
        if not preflight and self.fault == "missing":
            tables, names = tables[:-1], names[:-1]
        if not preflight and self.fault == "order":
            tables, names = tables[::-1], names[::-1]
        answer = Answer(tables, names)
        if not preflight and self.fault == "unsuccessful":
            answer.success = False
        job = LabJob(f"job-{len(RUNS)}", answer, self._status or JobStatus.DONE, self.usage)
        KEPT[job.id] = job
        return job

    def simulated(self, circuits, shots):
        found = self.simulator.run(circuits, shots=shots).result().get_counts()
        return [found] if len(circuits) == 1 else found

    def spoilt(self, table, preflight):
        fault = self.fault
        if fault == "reversed":
            return {k[::-1]: v for k, v in table.items()}
        if fault == "zeros":
            return {"0" * self.n: sum(table.values())}
        if fault == "hex":
            return {hex(int(k, 2)): v for k, v in table.items()}
        if fault == "spaces":
            return {f"{k[0]} {k[1:]}": v for k, v in table.items()}
        if fault == "numpy":
            return {k: np.int64(v) for k, v in table.items()}
        if preflight:
            return table
        if fault == "shots":
            return {k: v - (i == 0) for i, (k, v) in enumerate(table.items())}
        if fault == "more":
            return {k: v + (i == 0) for i, (k, v) in enumerate(table.items())}
        if fault == "floats":
            return {k: float(v) for k, v in table.items()}
        if fault == "narrow":
            return {k[1:]: v for k, v in table.items()}
        if fault == "wide":
            return {hex(int(k, 2) + (1 << self.n)): v for k, v in table.items()}
        if fault == "letters":
            return {k.replace("0", "-"): v for k, v in table.items()}
        if fault == "integers":
            return {int(k, 2): v for k, v in table.items()}
        return {} if fault == "empty" else table


class KeepingLab(Lab):
    """A lab whose server keeps jobs."""

    def retrieve_job(self, job_id):
        return KEPT[job_id]


class Provider:
    """Backends by name, and some that only an instance has, as providers have them."""

    def __init__(self):
        self.offline = Shelf()

    def get_backend(self, name, n=3):
        return Lab(n=n) if name == "lab" else None

    @property
    def only(self):
        return Lab()


class Shelf:
    def noisy(self):
        return Lab()


def fails():
    raise RuntimeError("token=t0p-s3cret")


ready = Lab()
something = 3
