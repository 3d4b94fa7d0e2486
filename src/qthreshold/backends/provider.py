"""Any Qiskit ``BackendV2``: circuits go through ``run``, counts come back through ``get_counts``.

``BackendSamplerV2`` is not used: where a backend returns no ``memory`` it makes up zeros. Nothing is taken on trust: the circuits are
checked against the target before, one circuit with a known outcome goes first, and every result is checked for circuits, shots and width.
"""

import functools
import importlib.metadata
import json
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from qiskit import QuantumCircuit
from qiskit.providers import BackendV2

from qthreshold.backends.base import Sight
from qthreshold.backends.failures import StalledError, class_of, explained, looks_secret, quietly, within
from qthreshold.backends.noise import Truth
from qthreshold.backends.provider_spec import ProviderSpec, load_backend, parse_spec
from qthreshold.backends.results import read_counts
from qthreshold.backends.target import device_from_target, obstacles
from qthreshold.circuits.build import build_circuits
from qthreshold.counts import Counts
from qthreshold.datafiles import load_toml, shipped
from qthreshold.device import Device
from qthreshold.errors import AuthenticationError, BackendError, InputError, LostJobError, RejectedError, TransientError
from qthreshold.limits import Limits
from qthreshold.patience import Patience
from qthreshold.plan import Plan
from qthreshold.pool import Pool
from qthreshold.recipe import Execution
from qthreshold.ticket import Ticket

__all__ = ["ProviderBackend"]

T = TypeVar("T")

_LOCAL = ("qiskit.providers.fake_provider", "qiskit.providers.basic_provider", "qiskit_aer", "qiskit_ibm_runtime.fake_provider")
"""Modules of simulators that cost nothing."""

_WORDS = {
    "done": ("done", "completed", "complete", "succeeded", "success", "successful", "finished", "ready"),
    "failed": ("error", "failed", "failure", "rejected", "aborted", "invalid"),
    "cancelled": ("cancelled", "canceled", "deleted"),
    "timed_out": ("timeout", "timed_out", "timedout", "expired"),
    "queued": ("queued", "initializing", "validating", "pending", "waiting", "submitted", "created", "received", "accepted"),
}
_STATES = {word: state for state, words in _WORDS.items() for word in words}


class ProviderBackend:
    """A backend of any package.

    Args:
        name: What follows ``provider:`` in a spec; :mod:`.provider_spec` says what that can be.
        pool: Not used.

    Raises:
        InputError: There is no such backend, it fails, or its device cannot be used.
    """

    ends_jobs = False
    preflight = True

    def __init__(self, name: str, pool: Pool | None = None) -> None:
        spec = parse_spec(name)
        self.spec = spec.text
        self._backend = load_backend(spec)
        kind = type(self._backend)
        local = any(f"{kind.__module__}.".startswith(f"{m}.") for m in _LOCAL)
        self.paid = not local if spec.paid is None else spec.paid
        self.device: Device = self._described(spec)
        self.limits = _limits(spec, self._backend)
        packages = _packages(kind.__module__)
        self.settings: Mapping[str, Any] = {
            "packages": packages, "class": f"{kind.__module__}.{kind.__qualname__}", "run_options": _run_options(self._backend),
        }  # fmt: skip
        self.state = " ".join(f"{p} {v}" for p, v in packages.items())
        self._patience = Patience.usual()
        self._jobs: dict[str, Any] = {}
        self._results: dict[str, Any] = {}

    def __enter__(self) -> "ProviderBackend":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def truth(self, block: str) -> Truth | None:
        """Nobody tells."""
        return None

    def _described(self, spec: ProviderSpec) -> Device:
        b = self._backend

        def ask() -> Device:
            stated = getattr(_called(getattr(b, "configuration", None)), "coupling_map", None)  # with pairs that are out of order, as on IBM's
            coupling = getattr(b, "coupling_map", None) if stated is None else stated
            pairs = [(int(p), int(q)) for p, q in coupling] if coupling is not None else []
            return device_from_target(b.target, str(getattr(b, "name", None) or type(b).__name__), spec.source, pairs, spec.qubits)

        try:
            return quietly(ask)
        except InputError as error:
            hint = f"; for example {spec.source}#qubits=5" if "how many" in str(error) else ""
            raise InputError(f"{error}{hint}") from None
        except Exception as error:  # of a class that nobody can know
            raise InputError(f"{spec.name} has no target that can be used ({class_of(error)})") from None

    def calibration(self) -> Mapping[str, Any] | None:
        """``backend.properties()``, where there is such a thing."""
        properties = getattr(self._backend, "properties", None)
        if not callable(properties):
            return None
        found = self._ask("its calibration", lambda: _called(getattr(properties(), "to_dict", None)))
        return None if found is None else {"properties": _plain(found)}

    def obstacles(self, plan: Plan, device: Device) -> list[str]:
        """Why the plan's circuits cannot run on the backend's target as it is now."""
        if plan.parsed_recipe().execution != Execution():
            return ["what the recipe's [execution] asks for cannot be asked of a Qiskit backend"]
        return obstacles(self._ask("its target", lambda: self._backend.target), plan, device)

    # Jobs

    def prepare(self, plan: Plan, device: Device, ticket: Ticket) -> tuple[list[QuantumCircuit], int]:
        """Circuits and shots."""
        return list(build_circuits(plan, device, ticket.circuits.tolist())), int(plan.circuit_shots[ticket.circuits[0]])

    def send(self, prepared: tuple[list[QuantumCircuit], int], *, tags: Sequence[str], most_seconds: float | None) -> str:
        """Hand circuits to ``run``. Tags and the bound on seconds have no place there."""
        circuits, shots = prepared
        what = f"{self.device.name} did not take {len(circuits)} circuits of {shots} shots"
        try:
            job = self._watched(lambda: self._backend.run(circuits, shots=shots), self._patience.post)
        except StalledError:
            raise TransientError(f"{what}: no answer within {self._patience.post:g} s", under_way=True) from None
        except (Exception, SystemExit) as error:  # whatever a client raises, it is explained
            kind = explained(error, what, otherwise=RejectedError)
            if self.paid and not isinstance(kind, AuthenticationError):
                # it may have been raised after the job was accepted, and nobody can be asked; a simulator here has certainly not taken it
                kind = TransientError(f"{kind}; nobody knows whether the job arrived, look at the provider's list of jobs")
            raise kind from None
        job_id = self._name(job)
        self._jobs[job_id] = job
        return job_id

    def _name(self, job: Any) -> str:
        """The job's id; one of our own where it has none, or that of another job."""
        try:
            stated = str(_called(getattr(job, "job_id", None)) or "")
        except Exception:  # a job without an id is a job all the same
            stated = ""
        return stated if stated and stated not in self._jobs else f"{stated or 'unnamed'}+{uuid.uuid4().hex[:8]}"

    def find(self, tag: str) -> dict[str, list[str]] | None:
        """Jobs of a ``BackendV2`` carry no tags."""
        return None

    def look(self, job_id: str) -> Sight:
        """The job's status; of one that is done, whether its result can be had."""
        try:
            job = self._job(job_id)
        except LostJobError:
            if self.paid:
                raise
            # costs nothing to say that it failed, and 'resume --retry' sends it again
            return Sight(state="failed", message="it ran in a process that has ended, and this simulator keeps no jobs")
        state = self._ask(f"the state of job {job_id}", lambda: _state(job))
        if state == "done" and job_id not in self._results:
            try:
                self._results[job_id] = self._watched(job.result, 5 * self._patience.read)
            except StalledError:
                raise TransientError(f"the result of job {job_id} did not come within {5 * self._patience.read:g} s") from None
            except Exception as error:
                kind = explained(error, f"the result of job {job_id} could not be had", otherwise=BackendError)
                if self.paid or type(kind) is not BackendError:
                    raise kind from None
                return Sight(state="failed", message=f"its result could not be had ({class_of(error)})")
        if state == "done" and getattr(self._results[job_id], "success", True) is False:
            return Sight(state="failed", message="the backend says that not all circuits succeeded")
        if state == "failed":
            return Sight(state=state, message="the backend says no more than that")
        ahead = self._ask(f"the place of job {job_id}", lambda: _called(getattr(job, "queue_position", None))) if state == "queued" else None
        return Sight(state=state, ahead=ahead if isinstance(ahead, int) else None)

    def fetch(self, plan: Plan, device: Device, ticket: Ticket, job_id: str) -> Counts:
        """Counts of a job that is done."""
        result = self._results.pop(job_id, None)
        if result is None:
            result = self._ask(f"the result of job {job_id}", self._job(job_id).result, 5 * self._patience.read)
        return read_counts(result, plan, ticket, device.n_qubits)

    def charged(self, job_id: str) -> float | None:
        """``job.usage()`` or the seconds in ``job.metrics()``, where there are such."""
        job = self._job(job_id)
        return self._ask(f"what job {job_id} cost", lambda: _seconds(job))

    def cancel(self, job_id: str) -> None:
        """``job.cancel()``, where there is such a thing and the job has not ended."""
        job = self._job(job_id)
        if callable(getattr(job, "cancel", None)) and self.look(job_id).state in ("queued", "running"):
            self._ask(f"job {job_id} to be cancelled", job.cancel)

    def _job(self, job_id: str) -> Any:
        """The job, of this process or as the provider gives it back.

        Raises:
            LostJobError: The provider cannot.
        """
        if job_id in self._jobs:
            return self._jobs[job_id]
        owner = getattr(self._backend, "provider", None)
        for holder in (self._backend, owner):
            for method in ("retrieve_job", "job"):
                give = getattr(holder, method, None)
                if not callable(give):
                    continue
                try:
                    job = self._watched(functools.partial(give, job_id), self._patience.read)
                except StalledError:
                    raise TransientError(f"{self.device.name} did not give job {job_id} within {self._patience.read:g} s") from None
                except NotImplementedError:
                    continue
                except Exception as error:
                    raise explained(error, f"{self.device.name} did not give job {job_id} back", otherwise=LostJobError) from None
                self._jobs[job_id] = job
                return job
        raise LostJobError(
            f"{self.device.name} cannot give job {job_id} back to another process than the one that sent it (look for it at the provider)"
        )

    # Asking

    def _watched(self, ask: Callable[[], T], seconds: float) -> T:
        """The answer in bounded time; a simulator here takes the time it takes, and Ctrl-C works."""
        return within(seconds, ask) if self.paid else quietly(ask)

    def _ask(self, what: str, ask: Callable[[], T], seconds: float | None = None) -> T:
        """The answer to a question that changes nothing, or can be put again."""
        seconds = self._patience.read if seconds is None else seconds
        try:
            return self._watched(ask, seconds)
        except StalledError:
            raise TransientError(f"{self.device.name} did not answer within {seconds:g} s when asked for {what}") from None
        except (Exception, SystemExit) as error:  # of a class that nobody can know
            raise explained(error, f"{self.device.name} could not be asked for {what}", otherwise=BackendError) from None


def _limits(spec: ProviderSpec, backend: BackendV2) -> Limits:
    """The user's limits, or those of any backend; no more circuits than the backend states."""
    limits = load_toml(spec.limits or shipped("backends") / "limits" / "generic.toml", Limits, "limits")
    most = getattr(backend, "max_circuits", None)
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        return limits
    return limits.model_copy(update={"circuits": min(most, limits.circuits or most)})


def _packages(module: str) -> dict[str, str]:
    """Installed packages that a module belongs to, with their versions."""
    top = module.partition(".")[0]
    try:
        return {top.replace("_", "-"): importlib.metadata.version(top)}
    except importlib.metadata.PackageNotFoundError:
        names = sorted(set(importlib.metadata.packages_distributions().get(top, ())))
        return {n: importlib.metadata.version(n) for n in names}


def _run_options(backend: BackendV2) -> dict[str, Any]:
    """Options that are set, where they are plain values; words that could be secrets are left out."""
    options = getattr(backend, "options", None)
    found = dict(options) if isinstance(options, Mapping) else dict(getattr(options, "__dict__", {}))
    plain = {k: v for k, v in found.items() if isinstance(v, bool | int) or (isinstance(v, float) and math.isfinite(v))}
    plain |= {k: v for k, v in found.items() if isinstance(v, str) and len(v) <= 20}
    return {k: v for k, v in sorted(plain.items()) if k != "shots" and not looks_secret(k, str(v))}


def _plain(value: Any) -> Any:
    """Plain JSON values: what is none becomes text, what is not finite None."""

    def finite(v: Any) -> Any:
        if isinstance(v, float):
            return v if math.isfinite(v) else None
        if isinstance(v, dict):
            return {k: finite(x) for k, x in v.items()}
        return [finite(x) for x in v] if isinstance(v, list) else v

    return finite(json.loads(json.dumps(value, default=str)))


def _called(value: Any) -> Any:
    """What a method returns, or the value that stands in its place."""
    return value() if callable(value) else value


def _state(job: Any) -> str:
    status = _called(getattr(job, "status", None))
    word = str(getattr(status, "name", status)).rpartition(".")[2].strip().lower().replace(" ", "_")
    if word in _STATES:
        return _STATES[word]
    return "done" if _called(getattr(job, "done", None)) is True else "running"


def _seconds(job: Any) -> float | None:
    found = _called(getattr(job, "usage", None))
    if not _is_number(found):
        metrics = _called(getattr(job, "metrics", None))
        usage = metrics.get("usage", metrics) if isinstance(metrics, Mapping) else None
        names = ("qpu_charge_time_seconds", "quantum_seconds", "seconds")
        found = next((usage[n] for n in names if _is_number(usage.get(n))), None) if isinstance(usage, Mapping) else None
    return float(found) if _is_number(found) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
