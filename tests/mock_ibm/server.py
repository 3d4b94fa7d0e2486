"""The mock service itself: identity and runtime routes, its ledger, and the switches a test pulls."""

import base64
import json
import re
import threading
import time
import traceback
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from .devices import Device
from .faults import Fault, Faults
from .jobs import FINAL, Job
from .wire import API, Handler, Reply, Request, Server, as_json, error

CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123456789abcdef0123456789abcdef:00000000-0000-4000-8000-000000000001::"
TOKEN = "planted-token-that-must-not-be-written-anywhere"
PROMPT = 0.3
"""Seconds that a poll waits for a run that it has just started: fast jobs answer Completed at once, slow ones Running."""


@dataclass
class Session:
    """A session or batch."""

    id: str
    mode: str
    backend: str
    accepting_jobs: bool = True
    created: str = field(default_factory=lambda: stamp(datetime.now(UTC)))

    def details(self, jobs: Iterable[Job]) -> dict[str, Any]:
        own = [job for job in jobs if job.session_id == self.id]
        state = "open" if not own else "active" if self.accepting_jobs or any(job.state not in FINAL for job in own) else "closed"
        return {
            "id": self.id,
            "backend_name": self.backend,
            "mode": self.mode,
            "state": state if self.accepting_jobs or own else "closed",
            "accepting_jobs": self.accepting_jobs,
            "started_at": self.created,
            "elapsed_time": sum(job.charge for job in own),
            "interactive_ttl": 60,
            "max_ttl": 28800,
            "active_ttl": 28800,
        }


def stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


class MockIBM:
    """A mock of IBM's identity and runtime services on a loopback port, run in threads of this process.

    Args:
        devices: Name of each device and the name of the shipped snapshot (a class of `qiskit_ibm_runtime.fake_provider`) it is.
        token: The API key that the identity service accepts; clients get it through `environment`.
        queue_polls: Requests for a job that are answered Queued before it runs.
        queue_seconds: Seconds that a job stays Queued at least.
        running_polls: Requests answered Running at least, after that.
        usage_polls: Requests for a finished job's metrics that are answered with a pending usage.
        token_lifetime: Seconds that a bearer token lives. Clients ask for a new one 10 s before it ends.
        accept_apikey: Whether the key itself is good for authorization, which clients fall back to when the identity service fails.
        base_seconds: Charge of a job, and
        execution_seconds: charge of each of its executions (circuits times shots).
        usage_limit: Seconds of the plan; at the limit, jobs stay queued.
        simulate: "noisy" runs every part of up to 10 qubits that do not interact with others; "ideal-readout" answers random bits for circuits
            with more than 12 active qubits. Larger parts answer random bits in either case. Bits depend on the circuits and shots alone.

    Attributes:
        jobs: Accepted jobs in order; see `Job`.
        requests: Every request in order, also those that a fault answered.
        sessions: Sessions and batches by id.
    """

    def __init__(
        self,
        devices: Mapping[str, str],
        *,
        token: str = TOKEN,
        queue_polls: int = 0,
        queue_seconds: float = 0.0,
        running_polls: int = 0,
        usage_polls: int = 0,
        token_lifetime: float = 3600.0,
        accept_apikey: bool = True,
        base_seconds: float = 2.0,
        execution_seconds: float = 0.00035,
        usage_limit: float = 36_000.0,
        simulate: str = "noisy",
    ) -> None:
        if simulate not in {"noisy", "ideal-readout"}:
            raise ValueError(f"simulate must be 'noisy' or 'ideal-readout', not {simulate!r}")
        self.devices = {name: Device(name, fake) for name, fake in devices.items()}
        self.token = token
        self.instance = CRN
        self.queue_polls = queue_polls
        self.queue_seconds = queue_seconds
        self.running_polls = running_polls
        self.usage_polls = usage_polls
        self.token_lifetime = token_lifetime
        self.accept_apikey = accept_apikey
        self.base_seconds = base_seconds
        self.execution_seconds = execution_seconds
        self.usage_limit = usage_limit
        self.simulate = simulate
        self.jobs: list[Job] = []
        self.requests: list[Request] = []
        self.sessions: dict[str, Session] = {}
        self.closing = threading.Event()
        self.faults = Faults()
        self._bearers: dict[str, float] = {}
        self._runs: dict[str, Future[str]] = {}
        self._lock = threading.RLock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mock-ibm-run")
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.mock = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="mock-ibm", daemon=True)

    # ------------------------------------------------------------------ life

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Drops every connection, ends stalled answers and waits for all threads."""
        self.closing.set()
        self._server.shutdown()
        self._server.drop_all()
        self._server.server_close()
        self._thread.join()
        self._worker.shutdown(wait=True, cancel_futures=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of a client process. The caller sets HOME, so that no saved account is read."""
        return {
            "QISKIT_IBM_TOKEN": self.token,
            "QISKIT_IBM_INSTANCE": self.instance,
            "QISKIT_IBM_CHANNEL": "ibm_quantum_platform",
            "QISKIT_IBM_URL": self.url,
            "IAM_URL": self.url,
            "QISKIT_FUNCTIONS_EXPERIMENTAL": "1",
            "QTHRESHOLD_IBM_API": self.url + API,
            "NO_PROXY": "127.0.0.1",
        }

    # ---------------------------------------------------------------- ledger

    def job(self, job_id: str) -> Job:
        with self._lock:
            return next(job for job in self.jobs if job.id == job_id)

    @property
    def injected(self) -> int:
        """How many faults have shown so far; `faults.counts` says which."""
        return self.faults.counts.total()

    @property
    def authorizations(self) -> set[str]:
        """Every Authorization header that clients sent."""
        with self._lock:
            return {request.authorization for request in self.requests if request.authorization}

    @property
    def used_seconds(self) -> float:
        with self._lock:
            return sum(job.charge for job in self.jobs)

    # ---------------------------------------------------------------- faults

    def inject(self, route: str, fault: Fault, times: int | None = 1, skip: int = 0) -> None:
        """Lets a fault show on requests of a route.

        Args:
            route: Method and path without the API prefix, `*` for any one part: "POST /jobs", "GET /jobs/*/results", "POST /identity/token".
            fault: One of `faults`' functions. Job-level faults belong to "POST /jobs".
            times: On how many requests; None for every one until `clear_faults`.
            skip: Matching requests that are let through before.
        """
        self.faults.inject(route, fault, times, skip)

    def clear_faults(self) -> None:
        self.faults.clear()

    def release(self, job_id: str | None = None) -> None:
        """Lets a held job run, or all of them."""
        with self._lock:
            for job in self.jobs:
                job.held = job.held and job_id not in (None, job.id)

    def expire_tokens(self) -> None:
        """Makes every bearer token given out so far invalid."""
        with self._lock:
            self._bearers.clear()
        self.faults.count("expire_tokens")

    def set_operational(self, device: str, operational: bool, status: str = "active") -> None:
        self.devices[device].operational = operational
        self.devices[device].status = status
        if not operational:
            self.faults.count("device offline")

    def change_calibration(
        self, device: str, *, remove_edges: Iterable[tuple[int, int]] = (), remove_qubits: Iterable[int] = (), scale_errors: float = 1.0
    ) -> None:
        """New properties of a device from now on, in which edges and qubits are out of order and errors are larger or smaller."""
        with self._lock:
            self.devices[device].change_calibration(remove_edges, remove_qubits, scale_errors)
        self.faults.count("change_calibration")

    # ---------------------------------------------------------------- answers

    def answer(self, request: Request) -> Reply:
        if (request.method, request.path) == ("POST", "/identity/token"):
            return self._give_token(request)
        if not self._authorized(request.authorization):
            return error(401, "Unauthorized")
        for method, expression, answer in ROUTES:
            if method == request.method and (match := expression.fullmatch(request.path)):
                return answer(self, request, *match.groups())
        return error(404, f"No route {request.method} {request.path}")

    def _give_token(self, request: Request) -> Reply:
        if parse_qs(request.body.decode()).get("apikey") != [self.token]:
            return as_json({"errorCode": "BXNIM0415E", "errorMessage": "Provided API key could not be found."}, 400)
        now = time.time()
        claims = {"iat": int(now), "exp": int(now + self.token_lifetime), "jti": uuid.uuid4().hex}
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
        bearer = ".".join([*parts, "c2lnbmF0dXJl"])
        with self._lock:
            self._bearers[bearer] = now + self.token_lifetime
        answer = {"access_token": bearer, "refresh_token": "not_supported", "token_type": "Bearer", "scope": "ibm openid"}
        return as_json(answer | {"expires_in": int(self.token_lifetime), "expiration": claims["exp"]})

    def _authorized(self, header: str | None) -> bool:
        scheme, _, value = (header or "").partition(" ")
        with self._lock:
            return self._bearers.get(value, 0) > time.time() if scheme == "Bearer" else self.accept_apikey and header == f"apikey {self.token}"

    def _list_backends(self, request: Request) -> Reply:
        return as_json(
            {
                "devices": [
                    {
                        "name": device.name,
                        "status": {"name": "online" if device.operational else "offline", "reason": ""},
                        "is_simulator": False,
                        "qubits": device.configuration["n_qubits"],
                        "queue_length": self._queue_length(device.name),
                    }
                    for device in self.devices.values()
                ]
            }
        )

    def _queue_length(self, device: str) -> int:
        with self._lock:
            return sum(job.backend == device and job.state == "Queued" for job in self.jobs)

    def _configuration(self, request: Request, name: str) -> Reply:
        return as_json(self.devices[name].configuration) if name in self.devices else error(404, f"No backend {name}")

    def _properties(self, request: Request, name: str) -> Reply:
        if name not in self.devices:
            return error(404, f"No backend {name}")
        return as_json(self.devices[name].properties_before(request.query.get("updated_before", [None])[0]))

    def _status(self, request: Request, name: str) -> Reply:
        if (device := self.devices.get(name)) is None:
            return error(404, f"No backend {name}")
        answer = {"state": device.operational, "status": device.status, "message": "", "length_queue": self._queue_length(name)}
        return as_json(answer | {"backend_version": device.configuration["backend_version"]})

    def _usage(self, request: Request) -> Reply:
        used = self.used_seconds
        answer = {"instance_id": self.instance, "plan_id": "mock", "usage_consumed_seconds": used, "usage_limit_seconds": self.usage_limit}
        return as_json(answer | {"usage_limit_reached": used >= self.usage_limit})

    def _post_job(self, request: Request) -> Reply:
        posted = json.loads(request.body)
        session = self.sessions.get(posted.get("session_id", ""))
        if posted["backend"] not in self.devices:
            return error(404, f"No backend {posted['backend']}")
        if posted["program_id"] not in ("executor", "sampler"):
            return error(404, f"No program {posted['program_id']}", 1202)
        if session and not session.accepting_jobs:
            return error(400, "The session is closed", 1217)
        job = Job(
            id=f"mock{uuid.uuid4().hex[:20]}",
            program=posted["program_id"],
            backend=posted["backend"],
            tags=posted.get("tags", []),
            session_id=posted.get("session_id"),
            cost=posted.get("cost"),
            private=posted.get("private", False),
            params=posted["params"],
            payload_bytes=len(request.body),
            outcome=request.fault if request.fault and request.fault.kind.startswith("job") else None,
        )
        job.held = bool(job.outcome and job.outcome.kind == "job held")
        with self._lock:
            self.jobs.append(job)
        return as_json({"id": job.id, "backend": job.backend})

    def _list_jobs(self, request: Request) -> Reply:
        def only(name: str) -> str | None:
            return request.query.get(name, [None])[0]

        with self._lock:
            chosen = [job for job in self.jobs if not job.deleted and set(request.query.get("tags", [])) <= set(job.tags)]
        for name, attribute in (("backend", "backend"), ("program", "program"), ("session_id", "session_id")):
            if wanted := only(name):
                chosen = [job for job in chosen if getattr(job, attribute) == wanted]
        if pending := only("pending"):
            chosen = [job for job in chosen if (job.state not in FINAL) == (pending == "true")]
        if after := only("created_after"):
            chosen = [job for job in chosen if job.created >= datetime.fromisoformat(after)]
        if before := only("created_before"):
            chosen = [job for job in chosen if job.created <= datetime.fromisoformat(before)]
        if only("sort") != "ASC":
            chosen.reverse()
        offset, limit = int(only("offset") or 0), min(200, int(only("limit") or 20))
        page = [job.summary(with_params=only("exclude_params") != "true") for job in chosen[offset : offset + limit]]
        return as_json({"jobs": page, "count": len(chosen), "limit": limit, "offset": offset})

    def _find(self, job_id: str) -> Job | None:
        with self._lock:
            return next((job for job in self.jobs if job.id == job_id and not job.deleted), None)

    def _get_job(self, request: Request, job_id: str) -> Reply:
        if (job := self._find(job_id)) is None:
            return error(404, "Job not found", 1291)
        self._advance(job)
        estimate = {"estimated_running_time_seconds": self.charge_of(job)}
        return as_json(job.summary(with_params=request.query.get("exclude_params") != ["true"]) | estimate)

    def _results(self, request: Request, job_id: str) -> Reply:
        if (job := self._find(job_id)) is None:
            return error(404, "Job not found", 1291)
        if job.state == "Completed":
            return Reply(200, job.result, {"Content-Type": "application/json"})
        return Reply(200, (job.reason or "").encode(), {"Content-Type": "text/plain"}) if job.state in FINAL else Reply(204)

    def _metrics(self, request: Request, job_id: str) -> Reply:
        if (job := self._find(job_id)) is None:
            return error(404, "Job not found", 1291)
        with self._lock:
            final = job.state in FINAL and job.usage_polls >= self.usage_polls
            job.usage_polls += job.state in FINAL
        usage = {"qpu_charge_time_seconds": job.charge, "quantum_seconds": job.charge, "status": "final" if final else "pending"}
        times = {"created": stamp(job.created), "running": stamp(job.running), "finished": stamp(job.finished)}
        return as_json({"usage": usage, "timestamps": times, "bss": {"seconds": job.charge}})

    def _cancel(self, request: Request, job_id: str) -> Reply:
        if (job := self._find(job_id)) is None:
            return error(404, "Job not found", 1291)
        with self._lock:
            if job.state in FINAL:
                return error(409, f"Job is {job.state}", 1292)
            self._finish(job, "Cancelled")
        return Reply(204)

    def _put_tags(self, request: Request, job_id: str) -> Reply:
        if (job := self._find(job_id)) is None:
            return error(404, "Job not found", 1291)
        job.tags = json.loads(request.body)["tags"]
        return Reply(204)

    def _delete_job(self, request: Request, job_id: str) -> Reply:
        if (job := self._find(job_id)) is None:
            return error(404, "Job not found", 1291)
        job.deleted = True
        return Reply(204)

    def _post_session(self, request: Request) -> Reply:
        posted = json.loads(request.body)
        session = Session(uuid.uuid4().hex, posted.get("mode", "dedicated"), posted["backend"])
        with self._lock:
            self.sessions[session.id] = session
            return as_json(session.details(self.jobs))

    def _get_session(self, request: Request, session_id: str) -> Reply:
        with self._lock:
            session = self.sessions.get(session_id)
            return error(404, "Session not found") if session is None else as_json(session.details(self.jobs))

    def _patch_session(self, request: Request, session_id: str) -> Reply:
        if (session := self.sessions.get(session_id)) is None:
            return error(404, "Session not found")
        session.accepting_jobs = json.loads(request.body)["accepting_jobs"]
        return Reply(204)

    def _close_session(self, request: Request, session_id: str) -> Reply:
        if (session := self.sessions.get(session_id)) is None:
            return error(404, "Session not found")
        with self._lock:
            session.accepting_jobs = False
            for job in self.jobs:
                if job.session_id == session_id and job.state == "Queued":
                    self._finish(job, "Cancelled")
        return Reply(204)

    # ------------------------------------------------------------------- runs

    def charge_of(self, job: Job) -> float:
        """Seconds that running the job costs."""
        return self.base_seconds + self.execution_seconds * job.content.executions

    def _advance(self, job: Job) -> None:
        """One poll of a job: it waits, starts, or is seen to have finished."""
        with self._lock:
            if job.state in FINAL:
                return
            job.polls += 1
            if job.state == "Queued":
                waited = (datetime.now(UTC) - job.created).total_seconds()
                if job.held or job.polls <= self.queue_polls or waited < self.queue_seconds or self.used_seconds >= self.usage_limit:
                    return
                kind = job.outcome.kind if job.outcome else ""
                if kind in ("job fails", "job cancelled", "job times out"):
                    job.reason, job.reason_code = job.outcome.reason, job.outcome.code or None
                    self._finish(job, "Failed" if kind == "job fails" else "Cancelled")
                    return
                job.state, job.running, job.polls = "Running", datetime.now(UTC), 0
                self._runs[job.id] = self._worker.submit(self._run, job)
            run = self._runs[job.id]
        if not self.running_polls:
            wait([run], timeout=PROMPT)
        with self._lock:
            if job.state == "Running" and job.polls >= self.running_polls and run.done():
                self._finish(job, run.result())

    def _run(self, job: Job) -> str:
        """Executes the circuits, in the worker thread; returns the state that the job ends in."""
        try:
            charge = self.charge_of(job)
            job.runs += 1
            if job.cost is not None and job.cost < charge:
                job.charge, job.reason, job.reason_code = float(job.cost), "Job exceeded its maximum execution time", 1305
                return "Cancelled"
            job.result = job.content.run(self.devices[job.backend], job.seed, self.simulate == "noisy")
            job.charge = charge
        except Exception:  # whatever is wrong with a program, the service lives on and the job says why
            job.reason, job.reason_code = traceback.format_exc(), 9999
            return "Failed"
        return "Completed"

    def _finish(self, job: Job, state: str) -> None:
        job.state, job.finished = state, datetime.now(UTC)


def route(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", "([^/]+)"))


ROUTES = [
    ("GET", route("/backends"), MockIBM._list_backends),
    ("GET", route("/backends/*/configuration"), MockIBM._configuration),
    ("GET", route("/backends/*/properties"), MockIBM._properties),
    ("GET", route("/backends/*/status"), MockIBM._status),
    ("GET", route("/instances/usage"), MockIBM._usage),
    ("POST", route("/jobs"), MockIBM._post_job),
    ("GET", route("/jobs"), MockIBM._list_jobs),
    ("GET", route("/jobs/*"), MockIBM._get_job),
    ("DELETE", route("/jobs/*"), MockIBM._delete_job),
    ("GET", route("/jobs/*/results"), MockIBM._results),
    ("GET", route("/jobs/*/metrics"), MockIBM._metrics),
    ("PUT", route("/jobs/*/tags"), MockIBM._put_tags),
    ("POST", route("/jobs/*/cancel"), MockIBM._cancel),
    ("POST", route("/sessions"), MockIBM._post_session),
    ("GET", route("/sessions/*"), MockIBM._get_session),
    ("PATCH", route("/sessions/*"), MockIBM._patch_session),
    ("DELETE", route("/sessions/*/close"), MockIBM._close_session),
]
"""Method, path, and what answers it, given the request and the free parts of the path."""
