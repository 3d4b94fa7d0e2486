"""IBM devices: snapshots that come with qiskit-ibm-runtime, and the live service.

``qiskit-ibm-runtime`` is optional and imported only when such a device is named. Exceptions of the client may hold what was sent, so
none of their text is passed on, nor are they chained: a token must not reach a message or a traceback.

References:
    qiskit-ibm-runtime 0.51, its documentation and source: accounts, ``executor_sampler``, retries of the client, job states.
"""

import contextlib
import dataclasses
import importlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import re
import time
import urllib.parse
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from qiskit import QuantumCircuit

from qthreshold.backends.base import Sight
from qthreshold.backends.failures import StalledError, asking, class_names, links, looks_secret, within
from qthreshold.backends.noise import Truth
from qthreshold.backends.target import device_from_target, obstacles
from qthreshold.circuits.build import build_circuits
from qthreshold.counts import Counts, pack_outcomes
from qthreshold.datafiles import load_named, resolved
from qthreshold.device import Device
from qthreshold.errors import (
    AuthenticationError,
    BackendError,
    CorruptResultError,
    InputError,
    LostJobError,
    QThresholdError,
    QuotaError,
    RejectedError,
    TransientError,
)
from qthreshold.limits import Limits
from qthreshold.patience import Patience
from qthreshold.plan import Plan
from qthreshold.pool import Pool
from qthreshold.recipe import Execution
from qthreshold.suggest import near_matches
from qthreshold.ticket import Ticket

__all__ = ["IBMBackend", "IBMOptions", "fake_device", "split_options"]

T = TypeVar("T")

_NETWORK = {"ConnectionError", "Timeout", "ConnectTimeout", "ReadTimeout", "MaxRetryError", "ProxyError", "SSLError"}

_HOW_TO_SAVE = (
    'save one once with python -c "from qiskit_ibm_runtime import QiskitRuntimeService as S; import getpass;'
    ' S.save_account(token=getpass.getpass())", or set QISKIT_IBM_TOKEN and QISKIT_IBM_INSTANCE'
)
_ACCOUNT = f"no IBM account was found; {_HOW_TO_SAVE}"

_STATES = {
    "INITIALIZING": "queued", "QUEUED": "queued", "RUNNING": "running", "DONE": "done", "COMPLETED": "done", "ERROR": "failed", "FAILED": "failed",
    "CANCELLED": "cancelled",
}  # fmt: skip
_UNSURE = (408, 409, 425, 499)  # of these nobody knows whether the request was carried out
_TOO_LONG = 1305  # the service's reason code for a job that exceeded its time
_LOOKS_AT_QUEUE = 20.0  # seconds between two questions for the length of the queue


def fake_device(name: str) -> Device:
    """A snapshot of a real device, such as ``FakeTorino`` (or ``torino``, ``fake_torino``).

    Raises:
        InputError: ``qiskit-ibm-runtime`` is not installed, or has no such snapshot.

    References:
        qiskit-ibm-runtime documentation, ``qiskit_ibm_runtime.fake_provider``.
    """
    module = _runtime("qiskit_ibm_runtime.fake_provider")
    known = {_plain(n): n for n in dir(module) if n.startswith("Fake") and hasattr(getattr(module, n), "props_filename")}
    if _plain(name) not in known:
        raise InputError(f"unknown snapshot {name!r}: {near_matches(name, known.values())}")
    chosen = known[_plain(name)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some snapshots say that they are not typical, which their errors show
        return _describe(getattr(module, chosen)(), chosen, f"fake:{chosen}")


def _plain(name: str) -> str:
    """A name without what people leave out: case, underscores, the first ``fake`` and the last ``v2``."""
    return name.lower().replace("_", "").removeprefix("fake").removesuffix("v2")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IBMOptions:
    """What follows the name of a device in ``ibm:NAME?key=value&key=value``.

    Attributes:
        account: Name of a saved account; by default the environment's, else the saved default.
        instance: CRN or name of the instance that pays; by default the account's.
        mode: ``batch`` (jobs of a run share one, the default) or ``job``.
        sampler: ``executor`` (the client's present Sampler), ``legacy`` (the one before 0.50); by default the first that is there.
        fractional: Whether to use fractional gates (rzz in place of cz).
        limits: Path of a file of limits in place of the shipped one.
    """

    account: str | None = None
    instance: str | None = None
    mode: str = "batch"
    sampler: str = ""
    fractional: bool = False
    limits: str = "ibm"


def split_options(text: str) -> tuple[str, IBMOptions]:
    """Name and options of ``NAME?key=value&...``.

    Raises:
        InputError: An option is unknown or has a value that is not accepted.

    Example:
        >>> split_options("ibm_torino?mode=job")[1].mode
        'job'
    """
    name, _, query = text.partition("?")
    if not name:
        raise InputError("ibm: needs the name of a device, for example ibm:ibm_torino, or ibm:least-busy")
    if any("=" not in part for part in filter(None, query.split("&"))):  # not repeated: it may be a secret
        raise InputError(f"ibm:{name}: what follows '?' must be key=value, several joined by '&'")
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) < len(pairs):
        raise InputError(f"ibm:{name}: an option is given twice")
    known = [f.name for f in dataclasses.fields(IBMOptions)]
    accepted = {"mode": ("batch", "job"), "sampler": ("executor", "legacy"), "fractional": ("yes", "no")}
    for key, value in given.items():
        if looks_secret(key, value):
            raise InputError(f"a {key} does not belong on the command line, where others can read it; {_HOW_TO_SAVE}")
        if key not in known:
            raise InputError(f"ibm:{name}: unknown option {key!r}: {near_matches(key, known)}")
        if key in accepted and value not in accepted[key]:
            raise InputError(f"ibm:{name}: {key}={value} is not accepted; {' or '.join(accepted[key])} is")
    values: dict[str, Any] = dict(given)
    if "fractional" in given:
        values["fractional"] = given["fractional"] == "yes"
    if "limits" in given:
        values["limits"] = resolved(given["limits"])
    return name, IBMOptions(**values)


class IBMBackend:
    """A device of the IBM service.

    Nothing is asked of the service before it is needed: results can be fetched while the device is away.

    Args:
        name: ``NAME`` or ``least-busy``, with options as in :class:`IBMOptions`.
        pool: Not used.

    Raises:
        InputError: The name or an option cannot be used, or ``qiskit-ibm-runtime`` is not installed.
    """

    paid = True
    ends_jobs = True
    preflight = False

    def __init__(self, name: str, pool: Pool | None = None) -> None:
        self.name, self.options = split_options(name)
        self.limits = load_named("backends/limits", self.options.limits, Limits, "limits")
        self._patience = Patience.usual()
        self._module = _runtime("qiskit_ibm_runtime")
        self._opened: Any = None
        self._backend: Any = None
        self._batch: Any = None
        self._device: Device | None = None
        self._jobs: dict[str, Any] = {}
        self._queue: tuple[float, int | None] = (0.0, None)
        _quieten()

    def __enter__(self) -> "IBMBackend":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._batch is not None:
            with contextlib.suppress(BackendError, InputError):  # it closes by itself in the end; its jobs go on either way
                self._ask(self._batch.close, self._patience.read)
            self._batch = None

    @property
    def spec(self) -> str:
        """The spec that opens the same device again."""
        defaults = IBMOptions()
        changed = {f.name: getattr(self.options, f.name) for f in dataclasses.fields(IBMOptions)}
        changed = {k: ("yes" if v is True else v) for k, v in changed.items() if v != getattr(defaults, k)}
        return f"ibm:{self._live.name if self.name == 'least-busy' else self.name}" + (f"?{urllib.parse.urlencode(changed)}" if changed else "")

    @property
    def device(self) -> Device:
        """The device as it was when this object first asked for it."""
        if self._device is None:
            found = self._ask(lambda: _describe(self._live, self._live.name, f"ibm:{self._live.name}"), 2 * self._patience.read)
            delay = self._repetition_delay
            self._device = found if delay is None else found.replace(repetition_delay=delay)
        return self._device

    @property
    def state(self) -> str:
        """Time of the calibration."""
        return str(self.calibration().get("last_update_date"))

    @property
    def settings(self) -> Mapping[str, Any]:
        """How jobs are run; error suppression is in the recipe."""
        return {
            "primitive": self._primitive, "mode": self.options.mode, "initialise_qubits": True, "repetition_delay": self._repetition_delay,
            "fractional_gates": self.options.fractional, "client": f"qiskit-ibm-runtime {importlib.metadata.version('qiskit-ibm-runtime')}",
        }  # fmt: skip

    def truth(self, block: str) -> Truth | None:
        """Nobody knows it."""
        return None

    def calibration(self) -> Mapping[str, Any]:
        """Properties and calibration id, as the service states them now."""

        def ask() -> dict[str, Any]:
            properties = self._live.properties()
            day = getattr(properties, "last_update_date", None)
            return {
                "device": self._live.name, "calibration_id": self._live.calibration_id, "backend_version": self._live.backend_version,
                "last_update_date": day.isoformat() if day is not None else None,
                "properties": properties.to_dict() if properties is not None else None,
            }  # fmt: skip

        return json.loads(json.dumps(self._ask(ask, 2 * self._patience.read), default=str))

    def obstacles(self, plan: Plan, device: Device) -> list[str]:
        """Why the device, as it is now, cannot run the plan."""

        def ask() -> tuple[Any, Any, bool]:
            self._live.refresh()
            return self._live.status(), self._live.target, bool(self._service.usage().get("usage_limit_reached"))

        status, target, used_up = self._ask(ask, 2 * self._patience.read)
        if used_up:  # the service takes jobs all the same, and leaves them in the queue
            raise QuotaError("the instance has no device time left; nothing was sent. Choose another (ibm:NAME?instance=CRN), or wait")
        if not status.operational:
            raise BackendError(f"{self._live.name} is offline{_why(status.status_msg)}; nothing was sent")
        return obstacles(target, plan, device)

    def prepare(self, plan: Plan, device: Device, ticket: Ticket) -> tuple[list[QuantumCircuit], int, Execution]:
        """Circuits, shots, and how to run them."""
        circuits = list(build_circuits(plan, device, ticket.circuits.tolist()))
        return circuits, int(plan.circuit_shots[ticket.circuits[0]]), plan.parsed_recipe().execution

    def send(self, prepared: tuple[list[QuantumCircuit], int, Execution], *, tags: Sequence[str], most_seconds: float | None) -> str:
        """Hand circuits over as one Sampler job."""
        circuits, shots, execution = prepared
        longest = self.limits.longest_job
        seconds = None if most_seconds is None else max(1, int(min(most_seconds, longest or most_seconds)))

        def post() -> str:
            mode = self._mode()
            run = _run_executor if self._primitive == "executor_sampler" else _run_legacy
            return str(run(mode, circuits, shots, tags, seconds, execution, self._repetition_delay).job_id())

        return self._ask(post, self._patience.post, sending=True)

    def find(self, tag: str) -> dict[str, list[str]]:
        """All jobs of a run, by the tag of the attempt."""

        def ask() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            service = self._service
            for instance in list(getattr(service, "_api_clients", {})) or [None]:  # nobody says which of an account's instances paid
                for job in reversed(service.jobs(limit=None, instance=instance, job_tags=[tag])):  # oldest first
                    self._jobs[job.job_id()] = job
                    for own in job.tags or []:
                        if own.startswith(f"{tag}-"):
                            found.setdefault(own, []).append(job.job_id())
            return found

        return self._ask(ask, 2 * self._patience.read)

    def look(self, job_id: str) -> Sight:
        """State of a job; while it is queued, also how many jobs wait for the device."""

        def ask() -> Sight:
            job = self._job(job_id)
            word = str(getattr(job.status(), "name", job.status())).upper()
            state = _STATES.get(word)
            if state is None:
                raise BackendError(f"the IBM service says {word!r} of job {job_id}, which this version does not know")
            message = self._redacted(str(job.error_message() or "")) if state == "failed" else ""
            if state == "failed" and (getattr(job, "_reason_code", None) == _TOO_LONG or "maximum execution time" in message):
                state = "timed_out"
            return Sight(state=state, ahead=self._ahead() if state == "queued" else None, message=message)

        return self._ask(ask, self._patience.read)

    def fetch(self, plan: Plan, device: Device, ticket: Ticket, job_id: str) -> Counts:
        """Counts of a job that is done."""

        def ask() -> Any:
            try:
                return self._job(job_id).result()
            except (TypeError, ValueError, KeyError, AttributeError) as error:  # how the client takes a result that is cut off
                self._jobs.pop(job_id, None)
                raise CorruptResultError(f"the result of job {job_id} cannot be read ({type(error).__name__})") from None

        result = self._ask(ask, 5 * self._patience.read)
        rounded_up = plan.parsed_recipe().execution != Execution()
        return _counts(result, plan, device, ticket, job_id, rounded_up)

    def charged(self, job_id: str) -> float | None:
        """Seconds that the service charged."""

        def ask() -> float | None:
            usage = self._job(job_id).metrics().get("usage") or {}
            seconds = usage.get("qpu_charge_time_seconds")
            return None if usage.get("status", "pending") == "pending" or seconds is None else float(seconds)

        return self._ask(ask, self._patience.read)

    def cancel(self, job_id: str) -> None:
        """Cancel a job that has not ended."""

        def ask() -> None:
            try:
                self._job(job_id).cancel()
            except Exception as error:
                if type(error).__name__ != "RuntimeInvalidStateError":  # it ended meanwhile
                    raise
            finally:
                self._jobs.pop(job_id, None)  # the client's copy believes what it was told last

        self._ask(ask, self._patience.read)

    def account(self) -> dict[str, Any]:
        """Which account, instance and remaining time, for ``doctor``; never the token."""

        def ask() -> dict[str, Any]:
            service = self._service
            account, usage = service.active_account() or {}, service.usage()
            source = f"saved as {self.options.account!r}" if self.options.account else _source_of_account()
            return {
                "account": source, "channel": account.get("channel"), "instance": service.active_instance(),
                "usage_remaining_seconds": usage.get("usage_remaining_seconds"), "usage_consumed_seconds": usage.get("usage_consumed_seconds"),
                "usage_limit_reached": usage.get("usage_limit_reached"),
            }  # fmt: skip

        return self._ask(ask, 2 * self._patience.read)

    def queue(self) -> dict[str, Any]:
        """Whether the device takes jobs, and how many wait, for ``doctor``."""

        def ask() -> dict[str, Any]:
            status = self._live.status()
            return {"operational": status.operational, "status": status.status_msg, "pending_jobs": status.pending_jobs}

        return self._ask(ask, 2 * self._patience.read)

    # The client

    @property
    def _primitive(self) -> str:
        """The Sampler to use: the client's present one where it is there."""
        if self.options.sampler:
            return {"executor": "executor_sampler", "legacy": "sampler"}[self.options.sampler]
        return "executor_sampler" if _has("qiskit_ibm_runtime.executor_sampler") else "sampler"

    @property
    def _service(self) -> Any:
        if self._opened is None:
            self._opened = self._ask(self._open, 2 * self._patience.read)
        return self._opened

    def _open(self) -> Any:
        options: dict[str, Any] = {"name": self.options.account, "instance": self.options.instance}
        channel = os.environ.get("QISKIT_IBM_CHANNEL")
        if channel and not self.options.account:
            options["channel"] = channel
        base = os.environ.get("QTHRESHOLD_IBM_API")  # a gateway in front of the service
        if base and not re.match(r"https?://\w", base):
            raise InputError(f"QTHRESHOLD_IBM_API is {base!r}, which is no address; write it as https://HOST/PATH, or unset it")
        if base:
            options["url_resolver"] = lambda *_: base
        service = self._module.QiskitRuntimeService(**{k: v for k, v in options.items() if v is not None})
        for client in getattr(service, "_api_clients", {}).values():
            session = getattr(client, "_session", None)
            if session is not None:
                self._tame(session)
            manager = getattr(getattr(session, "auth", None), "tm", None)
            if manager is not None and getattr(manager, "access_token", None) is None:
                manager.request_time = 0
                manager.get_token()  # the client goes on without a token, and reports a list of devices that it could not get as an empty one
        return service

    def _tame(self, session: Any) -> None:
        """Two habits of the client: it waits for an answer for ever, and sends a job again that was answered with an error (5xx).

        The first hangs; the second can make two jobs of one. A job is sent again by us, after asking for its tag.
        """
        if hasattr(session, "_timeout"):
            session._timeout = (5.0, self._patience.read)
        for adapter in getattr(session, "adapters", {}).values():
            retry = getattr(adapter, "max_retries", None)
            if retry is not None and retry.is_retry("POST", 500):
                plain = importlib.import_module("urllib3.util.retry").Retry  # which repeats no POST
                adapter.max_retries = plain(
                    total=retry.total, connect=retry.connect, backoff_factor=retry.backoff_factor, status_forcelist=retry.status_forcelist
                )

    @property
    def _live(self) -> Any:
        if self._backend is None:
            service = self._service
            self._backend = self._ask(lambda: self._find_backend(service), 2 * self._patience.read)
        return self._backend

    def _find_backend(self, service: Any) -> Any:
        fractional = {"use_fractional_gates": True} if self.options.fractional else {}
        try:
            if self.name == "least-busy":
                return service.least_busy(operational=True, simulator=False, **fractional)
            return service.backend(self.name, **fractional)
        except Exception as error:
            if type(error).__name__ != "QiskitBackendNotFoundError":
                raise
        client = getattr(service, "_active_api_client", None)
        if client is not None:
            client.list_backends()  # the client reports a list that it could not get as an empty one: here it fails
        offered = [b.name for b in service.backends()]
        if self.name in offered:
            raise TransientError(f"the IBM service offers {self.name!r}, but its description could not be read; try again later")
        what = "no device that is online" if self.name == "least-busy" else f"no device {self.name!r}: {near_matches(self.name, offered)}"
        raise InputError(f"the account is offered {what}")

    @property
    def _repetition_delay(self) -> float | None:
        """Seconds that the device takes between executions by default."""
        delay = getattr(self._live.configuration(), "default_rep_delay", None)
        return None if delay is None else float(delay)

    def _mode(self) -> Any:
        if self.options.mode == "job":
            return self._live
        if self._batch is None:
            self._batch = self._module.Batch(backend=self._live)
        return self._batch

    def _job(self, job_id: str) -> Any:
        if job_id not in self._jobs:
            self._jobs[job_id] = self._service.job(job_id)
        return self._jobs[job_id]

    def _ahead(self) -> int | None:
        asked, length = self._queue
        if time.monotonic() - asked > _LOOKS_AT_QUEUE:
            with contextlib.suppress(Exception):  # how long the queue is does not matter enough to fail
                length = int(self._live.status().pending_jobs)
            self._queue = (time.monotonic(), length)
        return length

    def _redacted(self, text: str) -> str:
        """What the service says, in one line, without anything that could be a secret."""
        token = getattr(getattr(self._opened, "_account", None), "token", None) or os.environ.get("QISKIT_IBM_TOKEN")
        if token:
            text = text.replace(token, "***")
        text = re.sub(r"(?i)(bearer|apikey|token)[ =:]+\S+", r"\1 ***", text)
        lines = [line.strip() for line in re.sub(r"\S{40,}", "***", text).splitlines() if line.strip()]
        return " ".join(lines[:1] + lines[-1:] if len(lines) > 1 else lines)[:300]

    def _ask(self, ask: Callable[[], T], seconds: float, *, sending: bool = False) -> T:
        if asking():  # already inside a question
            return ask()
        try:
            return _within(seconds, ask, self.name, sending=sending)
        except AuthenticationError:
            if not self._forget_tokens():
                raise
            return _within(seconds, ask, self.name, sending=sending)  # nothing that is not authorized was accepted
        finally:
            for manager in self._token_managers():
                manager.request_time = 0  # after one failed request for a token the client would wait a minute before the next

    def _token_managers(self) -> Iterator[Any]:
        for client in getattr(self._opened, "_api_clients", {}).values():
            manager = getattr(getattr(getattr(client, "_session", None), "auth", None), "tm", None)
            if manager is not None:
                yield manager

    def _forget_tokens(self) -> bool:
        """Make the client ask for new access tokens: one that the service has revoked it would send again until it expires."""
        known = [m for m in self._token_managers() if getattr(m, "access_token", None)]
        for manager in known:
            manager.expire_time = 0
        return bool(known)


def _run_executor(
    mode: Any, circuits: list[Any], shots: int, tags: Sequence[str], seconds: int | None, execution: Execution, delay: float | None
) -> Any:  # fmt: skip
    """One job of the client's present Sampler."""
    module = importlib.import_module("qiskit_ibm_runtime.executor_sampler")
    options: dict[str, Any] = {
        "dynamical_decoupling": {"enable": execution.dynamical_decoupling != "off"}, "environment": {"job_tags": list(tags)},
        "twirling": {"enable_gates": execution.gate_twirling, "enable_measure": execution.measure_twirling}, "execution": {"init_qubits": True},
    }  # fmt: skip
    if execution.dynamical_decoupling != "off":
        options["dynamical_decoupling"]["sequence_type"] = execution.dynamical_decoupling
    if (execution.repetition_delay or delay) is not None:
        options["execution"]["rep_delay"] = execution.repetition_delay or delay
    if seconds is not None:
        options["max_execution_time"] = seconds
    return module.Sampler(mode=mode, options=options).run(circuits, shots=shots)


def _run_legacy(
    mode: Any, circuits: list[Any], shots: int, tags: Sequence[str], seconds: int | None, execution: Execution, delay: float | None
) -> Any:  # fmt: skip
    """One job of the Sampler that the client had before."""
    sampler = importlib.import_module("qiskit_ibm_runtime.sampler").SamplerV2(mode=mode)
    options = sampler.options
    options.dynamical_decoupling.enable = execution.dynamical_decoupling != "off"
    if execution.dynamical_decoupling != "off":
        options.dynamical_decoupling.sequence_type = execution.dynamical_decoupling
    options.twirling.enable_gates, options.twirling.enable_measure = execution.gate_twirling, execution.measure_twirling
    options.execution.init_qubits = True
    if (execution.repetition_delay or delay) is not None:
        options.execution.rep_delay = execution.repetition_delay or delay
    options.environment.job_tags = list(tags)
    if seconds is not None:
        options.max_execution_time = seconds
    return sampler.run(circuits, shots=shots)


def _counts(result: Any, plan: Plan, device: Device, ticket: Ticket, job_id: str, rounded_up: bool) -> Counts:
    """Counts of a ticket from a Sampler's result.

    Raises:
        CorruptResultError: It is not the result of these circuits.
    """
    if result is None:
        raise CorruptResultError(f"the result of job {job_id} is empty")
    try:
        arrays = [pub.data.c for pub in result]
    except (TypeError, AttributeError):
        raise CorruptResultError(f"the result of job {job_id} holds no measured bits in the register c") from None
    if len(arrays) != len(ticket.circuits):
        raise CorruptResultError(f"job {job_id} brought results of {len(arrays)} circuits for {len(ticket.circuits)}")
    for circuit, array in zip(ticket.circuits.tolist(), arrays, strict=True):
        asked = int(plan.circuit_shots[circuit])
        if array.num_bits != device.n_qubits or array.num_shots < asked or (array.num_shots > asked and not rounded_up):
            raise CorruptResultError(
                f"job {job_id}: circuit {circuit} came with {array.num_shots} shots of {array.num_bits} bits, asked were {asked} of {device.n_qubits}"
            )
    rows = np.concatenate([a.array.reshape(-1, a.array.shape[-1])[:, ::-1] for a in arrays])  # the client packs bit 0 last
    circuit = np.repeat(ticket.circuits, [a.num_shots for a in arrays])
    return pack_outcomes(plan.id, device.n_qubits, circuit, rows, np.ones(len(rows), dtype=np.int64))


def _within(seconds: float, ask: Callable[[], T], name: str, *, sending: bool = False) -> T:
    """The answer to a question to the service, or one line that says why there is none.

    Args:
        seconds: How long to wait.
        ask: The question.
        name: What it is about, for messages.
        sending: Whether it hands a job over, so that nobody knows what happened if it fails half-way.
    """
    try:
        return within(seconds, ask)
    except StalledError:
        unsure = "; whether the job arrived is asked when the run is resumed" if sending else "; check the network, or try again later"
        raise TransientError(f"the IBM service did not answer within {seconds:g} s about {name!r}{unsure}", under_way=sending) from None
    except BaseException as error:  # whatever it is, it is explained
        raise _explained(error, name) from None


def _explained(error: BaseException, name: str) -> BaseException:
    """What an exception of the client means to its user, without its text."""
    if isinstance(error, (QThresholdError, KeyboardInterrupt)):
        return error
    kinds, chain = {cls.__name__ for cls in type(error).__mro__}, class_names(error)
    status = _status(error)
    if "AccountNotFoundError" in kinds:
        return AuthenticationError(_ACCOUNT)
    if "JSONDecodeError" in kinds:  # the answer was cut off; what was asked may have been done
        return TransientError("the IBM service's answer was cut off; try again later")
    if status is None and chain & _NETWORK:  # the client reports an unreachable service as a bad account
        return TransientError("the IBM service could not be reached; check the network and proxies, or try again later")
    if kinds & {"IBMNotAuthorizedError", "InvalidAccountError"} or status in (401, 403) or ("ApiException" in kinds and status == 400):
        return AuthenticationError(
            "IBM did not accept the account; check token and instance (QISKIT_IBM_TOKEN, QISKIT_IBM_INSTANCE, or the saved ones)"
        )
    if status == 429:
        return QuotaError("the IBM service takes no more requests or jobs for the moment (status 429); wait, or end other jobs", passing=True)
    if status == 413:
        return RejectedError(
            "the IBM service refused the job as too large (status 413); copy backends/limits/ibm.toml, lower payload_bytes, "
            "and plan again with ibm:NAME?limits=FILE"
        )
    if status is not None and 400 <= status < 500 and status not in _UNSURE:
        return RejectedError(
            f"the IBM service refused the request about {name!r} (status {status}); it may be too large or use what the device does not offer: "
            "lower the numbers in a copy of backends/limits/ibm.toml (ibm:NAME?limits=FILE), or update qiskit-ibm-runtime"
        )
    if status is not None or chain & _NETWORK:
        return TransientError(f"the IBM service failed for the moment{f' (status {status})' if status else ''}; try again later")
    if kinds & {"IBMInputValueError"}:
        return InputError(f"the IBM client cannot use the account or the name {name!r}; check channel, instance and name")
    if kinds & {"RuntimeJobNotFound"}:
        return LostJobError("the IBM service knows no such job in this instance; check account and instance")
    return BackendError(f"the IBM service could not be asked about {name!r} ({type(error).__name__}); check the network, or try again later")


def _status(error: BaseException) -> int | None:
    """HTTP status behind an exception; 0 where a request failed without one; None where none was made."""
    found: int | None = None
    for link in links(error):
        response = getattr(link, "response", None)
        code = getattr(link, "status_code", None) or getattr(response, "status_code", None)
        if isinstance(code, int) and code > 0:
            return code
        if code == -1:
            found = 0
        match = re.search(r"\b([45]\d\d) (?:Client|Server) Error", str(link))
        if match:
            return int(match[1])
    return found


def _why(status: str) -> str:
    """What a device says about itself, where it says anything that explains."""
    return f" ({status})" if status and status != "active" else ""


def _source_of_account() -> str:
    return "from QISKIT_IBM_TOKEN" if os.environ.get("QISKIT_IBM_TOKEN") else "the saved default"


def _quieten() -> None:
    """Keep the client's log lines off the terminal, unless its own variables ask for them."""
    if not os.environ.get("QISKIT_IBM_RUNTIME_LOG_LEVEL"):
        logging.getLogger("qiskit_ibm_runtime").setLevel(logging.CRITICAL)
    for name in ("qiskit_ibm_runtime", "urllib3", "ibm_cloud_sdk_core"):
        logger = logging.getLogger(name)
        if not any(isinstance(h, logging.NullHandler) for h in logger.handlers):
            logger.addHandler(logging.NullHandler())


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _runtime(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise InputError("fake: and ibm: need qiskit-ibm-runtime: pip install 'qthreshold[ibm]'") from None


def _describe(backend: Any, name: str, source: str) -> Device:
    """The device of a backend, with the time of its calibration in the source."""
    properties = backend.properties()
    day = getattr(properties, "last_update_date", None)
    calibrated = f", calibrated {day:%Y-%m-%d}" if day is not None else ""
    coupling = backend.configuration().coupling_map or []
    return device_from_target(backend.target, name, source + calibrated, [(int(a), int(b)) for a, b in coupling])
