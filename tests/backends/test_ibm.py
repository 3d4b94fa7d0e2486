"""IBM devices: snapshots, the real service class in its local mode, every way to have no account, and what exceptions mean."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from qthreshold.backends import describe_device, ibm, open_backend
from qthreshold.backends.base import is_provider, is_simulator
from qthreshold.errors import AuthenticationError, BackendError, InputError, QuotaError, RejectedError, TransientError

pytest.importorskip("qiskit_ibm_runtime", reason="snapshots of devices come with qiskit-ibm-runtime: pip install 'qthreshold[ibm]'")

TOKEN = "planted-token-7f3a"


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [n for n in os.environ if n.startswith("QISKIT_IBM_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "qubits", "usable", "gate"),
    [("FakeTorino", 133, 139, "cz"), ("FakeMarrakesh", 156, 163, "cz"), ("FakeKyoto", 127, 0, "ecr"), ("FakeCairo", 27, 25, "cx+ecr"),
     ("FakeBrisbane", 127, 143, "ecr"), ("FakeKingston", 156, 164, "cz"), ("FakeArmonk", 1, 0, ""), ("FakeNighthawk", 120, 214, "cz"),
     ("FakeFractionalBackend", 5, 4, "cx"), ("FakeManila", 5, 4, "cx")],
)  # fmt: skip
def test_snapshots_of_every_kind_of_device_are_described(name, qubits, usable, gate):
    device = describe_device(f"fake:{name}")
    assert (device.n_qubits, len(device.usable_edges), device.two_qubit_gate) == (qubits, usable, gate)
    assert device.source.startswith(f"fake:{name}")
    assert ", calibrated 20" in device.source
    assert (device.edge_error[device.usable_edges] < 0.5).all()


@pytest.mark.parametrize("name", ["torino", "fake_torino", "faketorino", "TORINO"])
def test_people_need_not_know_how_a_snapshot_is_spelt(name):
    assert describe_device(f"fake:{name}").name == "FakeTorino"


def test_an_unknown_snapshot_brings_near_matches():
    with pytest.raises(InputError, match="unknown snapshot 'FakeTorin': did you mean FakeTorino"):
        describe_device("fake:FakeTorin")


def test_the_service_itself_is_asked_for_a_live_device(monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_CHANNEL", "local")  # the client's own service that offers the snapshots
    device, snapshot = describe_device("ibm:fake_torino"), describe_device("fake:FakeTorino")
    assert device.source.startswith("ibm:fake_torino, calibrated 2025-02-26")
    np.testing.assert_array_equal(device.edge_error, snapshot.edge_error)
    with pytest.raises(InputError, match="offered no device 'fake_torin': did you mean fake_torino"):
        describe_device("ibm:fake_torin")


def test_without_an_account_the_message_says_how_to_get_one():
    with pytest.raises(InputError, match=r"no IBM account was found; save one once .* or set QISKIT_IBM_TOKEN"):
        describe_device("ibm:ibm_torino")
    with pytest.raises(InputError, match="needs the name of a device"):
        describe_device("ibm:")


@pytest.mark.parametrize("instance", [None, "crn:v1:bluemix:public:quantum-computing:us-east:a/0:1::"])
def test_an_unreachable_service_is_no_bad_account_and_never_shows_the_token(instance, tmp_path):
    env = os.environ | {"QISKIT_IBM_TOKEN": TOKEN, "HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    env |= {"QISKIT_IBM_INSTANCE": instance} if instance else {}
    for debug in ([], ["--debug"]):
        command = [sys.executable, "-m", "qthreshold", *debug, "judge", "--device", "ibm:ibm_torino"]
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", timeout=120, check=False)
        assert TOKEN not in done.stdout + done.stderr
        assert "could not be reached" in done.stderr
        assert done.returncode == 4
        assert debug or done.stderr.count("\n") == 1


class AccountNotFoundError(Exception): ...


class IBMNotAuthorizedError(Exception): ...


class IBMInputValueError(Exception): ...


class ReadTimeout(Exception): ...  # noqa: N818


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [(AccountNotFoundError, InputError, "no IBM account"), (IBMNotAuthorizedError, InputError, "did not accept"),
     (IBMInputValueError, InputError, "cannot use the account or the name"), (ReadTimeout, BackendError, "could not be reached"),
     (RuntimeError, BackendError, r"could not be asked about 'x' \(RuntimeError\)")],
)  # fmt: skip
def test_each_failure_of_the_client_is_one_line_without_its_text(error, kind, words):
    def fail():
        raise error(f"Authorization: {TOKEN}")

    with pytest.raises(kind, match=words) as caught:
        ibm._within(5, fail, "x")
    assert TOKEN not in str(caught.value)
    assert caught.value.__suppress_context__
    assert "\n" not in str(caught.value)


def test_a_service_that_does_not_answer_is_given_up_on():
    hang = threading.Event()
    with pytest.raises(BackendError, match=r"did not answer within 0.05 s about 'x'"):
        ibm._within(0.05, hang.wait, "x")
    hang.set()


def test_nothing_is_asked_of_the_service_before_it_is_needed():
    """So that results can be fetched while a device is away, and a spec that is wrong costs nothing."""
    with open_backend("ibm:ibm_torino?mode=job&sampler=legacy&instance=mine") as backend:
        assert backend.spec == "ibm:ibm_torino?instance=mine&mode=job&sampler=legacy"
        assert (backend.paid, backend.preflight, backend.truth("cnot")) == (True, False, None)
        assert is_provider(backend)
        assert not is_simulator(backend)


@pytest.mark.parametrize(
    ("spec", "words"),
    [("ibm:", "needs the name of a device"), ("ibm:x?mode=fast", "mode=fast is not accepted; batch or job is"),
     ("ibm:x?modus=job", "unknown option 'modus': did you mean mode"), ("ibm:x?fractional=maybe", "yes or no is"),
     ("ibm:x?limits=nowhere.toml", "no limits file at"), ("ibm:x?token=abc", "a token does not belong on the command line")],
)  # fmt: skip
def test_a_spec_that_cannot_be_used_says_why(spec, words):
    with pytest.raises(InputError, match=words) as caught:
        open_backend(spec)
    assert "abc" not in str(caught.value)


class RequestsApiError(Exception):
    def __init__(self, status_code):
        super().__init__(f"secret {TOKEN}")
        self.status_code = status_code


class IBMRuntimeError(Exception): ...


KINDS = [(401, AuthenticationError), (403, AuthenticationError), (400, RejectedError), (413, RejectedError), (422, RejectedError), (429, QuotaError),
         (500, TransientError), (502, TransientError), (-1, TransientError)]  # fmt: skip


@pytest.mark.parametrize(("status", "kind"), KINDS)
def test_a_status_behind_an_exception_decides_its_kind(status, kind):
    def fail():
        try:
            raise RequestsApiError(status)
        except RequestsApiError as inner:
            raise IBMRuntimeError(f"Failed: {inner}") from None  # as the client hides it

    with pytest.raises(kind) as caught:
        ibm._within(5, fail, "x")
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_job_that_may_be_under_way_says_so():
    hang = threading.Event()
    with pytest.raises(TransientError, match="whether the job arrived is asked when the run is resumed") as caught:
        ibm._within(0.05, hang.wait, "x", sending=True)
    assert caught.value.under_way
    hang.set()


def test_without_the_package_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "qiskit_ibm_runtime.fake_provider", None)
    with pytest.raises(InputError, match=r"pip install 'qthreshold\[ibm\]'"):
        ibm.fake_device("FakeTorino")
