"""The mock service against the real client: routes, results, and what the client makes of each fault."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import requests
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.providers import JobError
from qiskit.providers.exceptions import QiskitBackendNotFoundError
from qiskit_ibm_runtime import Batch, IBMBackend, QiskitRuntimeService, SamplerV2, Session
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import (
    IBMNotAuthorizedError,
    IBMRuntimeError,
    RuntimeInvalidStateError,
    RuntimeJobFailureError,
    RuntimeJobMaxTimeoutError,
    RuntimeJobNotFound,
    RuntimeJobTimeoutError,
    RuntimeProgramNotFound,
)
from qiskit_ibm_runtime.executor_sampler import Sampler

from mock_ibm import MockIBM, faults

NAME = "ibm_manila_mock"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """No saved account and no settings of the machine are read."""
    for name in [name for name in os.environ if name.startswith("QISKIT")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def open_service(mock: MockIBM, monkeypatch: pytest.MonkeyPatch) -> QiskitRuntimeService:
    for name, value in mock.environment.items():
        monkeypatch.setenv(name, value)
    return QiskitRuntimeService(url_resolver=lambda *_: mock.environment["QTHRESHOLD_IBM_API"])


@pytest.fixture
def mock() -> Iterator[MockIBM]:
    with MockIBM({NAME: "FakeManilaV2"}) as running:
        yield running


@pytest.fixture
def service(mock: MockIBM, monkeypatch: pytest.MonkeyPatch) -> QiskitRuntimeService:
    return open_service(mock, monkeypatch)


@pytest.fixture
def backend(service: QiskitRuntimeService) -> IBMBackend:
    return service.backend(NAME)


def circuit(*ones: int, width: int = 5) -> QuantumCircuit:
    made = QuantumCircuit(QuantumRegister(width), ClassicalRegister(width, "c"))
    made.x(list(ones))
    made.barrier()
    made.measure(range(width), range(width))
    return made


def submit(backend, *circuits, shots=200, tags=(), **options):
    return Sampler(mode=backend, options={"environment": {"job_tags": list(tags)}, **options}).run(list(circuits) or [circuit(1)], shots=shots)


def result(job, **kwargs):
    return job.result(poll_interval=0.1, **kwargs)


def test_a_job_runs_with_the_noise_of_the_device_and_bits_in_order(mock, backend):
    job = submit(backend, circuit(1), circuit(0, 3), shots=1000, tags=["run-1"], dynamical_decoupling={"enable": False})
    first, second = result(job)
    assert 0.8 < first.data.c.get_counts()["00010"] / 1000 < 0.99
    assert 0.8 < second.data.c.get_counts()["01001"] / 1000 < 0.99
    assert job.usage() == pytest.approx(2 + 0.00035 * 2000)
    assert job.usage_estimation["quantum_seconds"] == pytest.approx(2.7)
    assert job.metrics()["timestamps"]["finished"]
    assert job.properties().last_update_date == backend.properties().last_update_date
    accepted = mock.jobs[0]
    assert (accepted.id, accepted.tags, accepted.num_circuits, accepted.shots, accepted.runs) == (job.job_id(), ["run-1"], 2, 1000, 1)
    assert accepted.state == "Completed"
    assert len(set(accepted.circuit_hashes)) == 2
    assert accepted.options["twirling"]["enable_gates"] is False
    assert accepted.options["executor"]["rep_delay"] is None
    assert accepted.payload_bytes > 1000
    assert all(mock.token not in header for header in mock.authorizations)


def test_the_same_circuits_give_the_same_counts_under_any_tag(mock, backend):
    one, two = (result(submit(backend, circuit(1), tags=[tag]))[0].data.c for tag in ("a", "b"))
    assert one == two
    other = result(submit(backend, circuit(1), shots=201))[0].data.c
    assert one.get_counts() != other.get_counts()


def test_parts_that_do_not_interact_are_sampled_independently(backend):
    made = QuantumCircuit(QuantumRegister(5), ClassicalRegister(5, "c"))
    made.sx([0, 2])
    made.cx(0, 1)
    made.measure(range(5), range(5))
    bits = result(submit(backend, made, shots=4000))[0].data.c.to_bool_array(order="little")
    agree = np.corrcoef(bits[:, :3].T)
    assert agree[0, 1] > 0.8
    assert abs(agree[0, 2]) < 0.06


def test_swept_parameters_keep_their_shape(backend):
    angle = Parameter("angle")
    made = QuantumCircuit(QuantumRegister(5), ClassicalRegister(5, "c"))
    made.sx(0)
    made.rz(angle, 0)
    made.sx(0)
    made.measure(0, 0)
    pub = result(submit(backend, (made, np.array([[0.0], [np.pi]]))))[0]
    assert pub.data.c.shape == (2,)
    ones = pub.data.c.to_bool_array(order="little")[..., 0].mean(axis=-1)
    assert ones[0] > 0.8
    assert ones[1] < 0.2


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_twirled_circuits_and_the_legacy_sampler_run_too(mock, backend):
    twirled = submit(backend, circuit(1), twirling={"enable_measure": True, "num_randomizations": 4, "shots_per_randomization": 50})
    assert result(twirled)[0].data.c.get_counts()["00010"] > 150
    assert mock.jobs[-1].options["twirling"]["enable_measure"] is True
    job = SamplerV2(mode=backend).run([circuit(1), (circuit(0, 3), None, 300)], shots=200)
    first, second = result(job)
    assert first.data.c.get_counts()["00010"] > 150
    assert second.data.c.get_counts()["01001"] > 230
    assert mock.jobs[-1].program == "sampler"
    submit(backend, circuit(1), circuit(0, 3))
    assert mock.jobs[-1].circuit_hashes == mock.jobs[-2].circuit_hashes
    assert (mock.jobs[-1].shots, mock.jobs[-2].shots) == (200, [200, 300])


def test_batches_sessions_and_tags(mock, service, backend):
    with Batch(backend=backend) as batch:
        for k in range(3):
            submit(batch, tags=["run", f"part-{k}"])
        assert batch.details()["mode"] == "batch"
    assert batch.status() == "In progress, not accepting new jobs"
    assert [job.session_id for job in mock.jobs] == [batch.session_id] * 3
    assert [job.job_id() for job in service.jobs(job_tags=["run", "part-1"])] == [mock.jobs[1].id]
    assert [job.job_id() for job in service.jobs(job_tags=["run"], limit=2, skip=1)] == [mock.jobs[1].id, mock.jobs[0].id]
    assert service.jobs(job_tags=["run", "other"]) == []
    assert len(service.jobs(job_tags=["run"], limit=None, pending=True)) == 3
    assert len(service.jobs(backend_name=NAME, session_id=batch.session_id, descending=False)) == 3
    with pytest.raises(IBMRuntimeError, match="400"):
        service._run("executor", mock.jobs[0].params, {"backend": backend}, session_id=batch.session_id)
    batch.cancel()
    assert [(job.state, job.runs) for job in mock.jobs] == [("Cancelled", 0)] * 3
    with Session(backend=backend) as session:
        result(submit(session))
    assert session.usage() == pytest.approx(2.07)
    with pytest.raises(RuntimeJobNotFound):
        service.job("unknown")
    again = service.job(mock.jobs[-1].id)
    assert result(again)[0].data.c.num_shots == 200


def test_queued_then_running_then_completed_and_cancelled_jobs_never_run(monkeypatch):
    with MockIBM({NAME: "FakeManilaV2"}, queue_polls=1, running_polls=1, usage_polls=1) as mock:
        backend = open_service(mock, monkeypatch).backend(NAME)
        job, other = submit(backend), submit(backend)
        states = [job.status(), job.status()]
        while job.status() != "DONE":
            time.sleep(0.02)
        assert states == ["QUEUED", "RUNNING"]
        assert (job.usage(), job.usage()) == (0, pytest.approx(2.07))
        other.cancel()
        assert other.status() == "CANCELLED"
        with pytest.raises(RuntimeInvalidStateError):
            other.cancel()
        assert [(entry.state, entry.runs, entry.charge > 0) for entry in mock.jobs] == [("Completed", 1, True), ("Cancelled", 0, False)]


def test_a_plan_at_its_limit_warns_and_leaves_the_job_in_the_queue(monkeypatch):
    with MockIBM({NAME: "FakeManilaV2"}, usage_limit=2) as mock:
        service = open_service(mock, monkeypatch)
        backend = service.backend(NAME)
        result(submit(backend))
        assert service.usage()["usage_remaining_seconds"] == 0
        with pytest.warns(UserWarning, match="usage limit"):
            job = submit(backend)
        assert job.status() == "QUEUED"


def test_133_qubits_are_answered_in_the_right_shape(monkeypatch):
    with MockIBM({"ibm_torino_mock": "FakeTorino"}, simulate="ideal-readout") as mock:
        backend = open_service(mock, monkeypatch).backend("ibm_torino_mock")
        assert backend.target.num_qubits == 133
        bits = result(submit(backend, circuit(*range(133), width=133)))[0].data.c
        assert (bits.num_bits, bits.num_shots) == (133, 200)
        assert mock.jobs[0].runs == 1


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (400, IBMRuntimeError),
        (401, IBMNotAuthorizedError),
        (403, IBMRuntimeError),
        (404, RuntimeProgramNotFound),
        (413, IBMRuntimeError),
        (429, IBMRuntimeError),
    ],
)
def test_refused_submissions(mock, backend, code, raised):
    mock.inject("POST /jobs", faults.status(code, retry_after=1 if code == 429 else None))
    with pytest.raises(raised) as caught:
        submit(backend)
    if code != 401:
        assert caught.value.__context__.status_code == code
    assert mock.jobs == []
    assert mock.injected == 1


def test_a_server_error_is_posted_again_by_the_client_itself(mock, service, backend):
    mock.inject("POST /jobs", faults.status(503))
    submit(backend, tags=["once"])
    assert len(mock.jobs) == 1
    mock.inject("POST /jobs", faults.status(500, accepted=True))
    submit(backend, tags=["twice"])
    assert [job.tags for job in mock.jobs[1:]] == [["twice"], ["twice"]]
    assert len(service.jobs(job_tags=["twice"])) == 2


@pytest.mark.parametrize("accepted", [False, True])
def test_a_dropped_submission_leaves_a_job_or_not(mock, service, backend, accepted):
    mock.inject("POST /jobs", faults.drop(accepted=accepted))
    with pytest.raises(IBMRuntimeError, match="Connection aborted") as caught:
        submit(backend, tags=["lost"])
    assert caught.value.__context__.status_code == -1
    assert len(service.jobs(job_tags=["lost"])) == accepted


def test_failing_reads(mock, service, backend):
    job = submit(backend)
    mock.inject("GET /jobs/*", faults.drop())
    mock.inject("GET /jobs/*", faults.status(500))
    job.wait_for_final_state(timeout=60)
    assert job.status() == "DONE"
    mock.inject("GET /jobs/*/metrics", faults.status(429))
    with pytest.raises(IBMRuntimeError, match="429"):
        job.usage()
    mock.inject("GET /jobs/*/results", faults.truncate())
    with pytest.raises(TypeError, match="string indices"):
        result(job)
    mock.inject("GET /jobs/*/results", faults.empty())
    assert result(job) is None
    for fault in (faults.truncate(), faults.empty()):
        mock.inject("GET /jobs/*", fault)
        with pytest.raises(requests.exceptions.JSONDecodeError):
            submit(backend).status()
        mock.inject("POST /jobs", fault)
        with pytest.raises(requests.exceptions.JSONDecodeError):
            submit(backend)
    assert len(mock.jobs) == 5
    mock.inject("GET /backends/*/status", faults.status(404))
    with pytest.raises(RequestsApiError):
        submit(backend)
    mock.inject("GET /backends", faults.status(403))
    with pytest.raises(QiskitBackendNotFoundError):
        service.backend(NAME)
    assert mock.injected == 11


def test_job_level_faults(mock, backend):
    mock.inject("POST /jobs", faults.job_fails("Out of memory", 6000))
    with pytest.raises(RuntimeJobFailureError, match="Error code 6000; Out of memory") as caught:
        result(submit(backend))
    assert isinstance(caught.value, JobError)
    mock.inject("POST /jobs", faults.job_cancelled())
    with pytest.raises(RuntimeInvalidStateError):
        result(submit(backend))
    mock.inject("POST /jobs", faults.job_times_out())
    with pytest.raises(RuntimeJobMaxTimeoutError):
        result(submit(backend))
    with pytest.raises(RuntimeJobMaxTimeoutError):
        result(submit(backend, max_execution_time=1))
    assert mock.jobs[-1].charge == 1
    mock.inject("POST /jobs", faults.job_held(), skip=1)
    result(submit(backend))
    held = submit(backend)
    with pytest.raises(RuntimeJobTimeoutError):
        result(held, timeout=0.1)
    mock.release()
    assert result(held)
    assert mock.injected == 4


def test_a_stalled_read_ends_only_with_a_timeout_of_our_own(mock, service, backend):
    job = submit(backend)
    for client in service._api_clients.values():
        client._session._timeout = (5, 0.2)
    mock.inject("GET /jobs/*", faults.stall())
    start = time.monotonic()
    assert job.status() == "DONE"
    assert 0.2 <= time.monotonic() - start < 3
    mock.inject("GET /backends", faults.stall(0.5))
    start = time.monotonic()
    assert service.backend(NAME)
    assert time.monotonic() - start > 0.45, "the list of backends is asked for without any timeout"


def test_closing_ends_stalled_answers_and_all_threads(monkeypatch):
    with MockIBM({NAME: "FakeManilaV2"}) as mock:
        backend = open_service(mock, monkeypatch).backend(NAME)
        mock.inject("POST /jobs", faults.stall())
        caught: list[BaseException] = []

        def hang() -> None:
            try:
                submit(backend)
            except IBMRuntimeError as error:
                caught.append(error)

        client = threading.Thread(target=hang)
        client.start()
        while not mock.jobs:
            time.sleep(0.01)
    client.join(timeout=5)
    assert len(caught) == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("mock-ibm", "Thread-"))]


def test_expired_tokens_are_sent_until_the_client_is_told(mock, service, backend):
    mock.expire_tokens()
    for _ in range(2):
        with pytest.raises(IBMNotAuthorizedError):
            backend.status()
    service._api_clients[mock.instance]._session.auth.tm.expire_time = 0
    assert backend.status().operational


def test_short_tokens_are_renewed_by_the_client(monkeypatch):
    with MockIBM({NAME: "FakeManilaV2"}, token_lifetime=10) as mock:
        backend = open_service(mock, monkeypatch).backend(NAME)
        assert backend.status().operational
        assert len(mock.authorizations) >= 4


def test_a_failed_token_request_stalls_the_next_call_unless_reset(mock, service, backend):
    manager = service._api_clients[mock.instance]._session.auth.tm
    manager.expire_time = 0
    mock.inject("POST /identity/token", faults.status(500))
    with pytest.warns(UserWarning, match="API Key will be used instead"):
        assert backend.status().operational
    assert manager.request_time > time.time() - 60, "the next call would wait until a minute has passed since"
    manager.request_time = 0
    start = time.monotonic()
    assert backend.status().operational
    assert time.monotonic() - start < 2
    assert f"apikey {mock.token}" in mock.authorizations


def test_offline_devices_and_new_calibrations(mock, backend):
    mock.set_operational(NAME, False, "maintenance")
    assert not backend.status().operational
    assert submit(backend).job_id() == mock.jobs[0].id, "the client submits nevertheless"
    mock.set_operational(NAME, True, "internal")
    with pytest.warns(UserWarning, match="internal"):
        submit(backend)
    before = backend.properties().last_update_date
    error = backend.target["cx"][1, 2].error
    mock.change_calibration(NAME, remove_edges=[(1, 0)], remove_qubits=[4], scale_errors=2)
    assert backend.properties().last_update_date == before, "cached"
    backend.refresh()
    assert backend.properties().last_update_date > before
    assert sorted(backend.target["cx"]) == [(1, 2), (2, 1), (2, 3), (3, 2)]
    assert sorted(backend.target["measure"]) == [(0,), (1,), (2,), (3,)]
    assert backend.target.num_qubits == 5
    assert backend.target["cx"][1, 2].error == pytest.approx(2 * error)


def test_a_client_in_another_process_needs_the_environment_alone(mock, tmp_path):
    script = (
        "import os; from qiskit_ibm_runtime import QiskitRuntimeService as S;"
        "s = S(url_resolver=lambda *a: os.environ['QTHRESHOLD_IBM_API']); import json; print(json.dumps([b.name for b in s.backends()]))"
    )
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LANG")} | mock.environment
    answer = subprocess.run([sys.executable, "-c", script], env=environment | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == [NAME]
