"""Backends of other packages: real ones end to end, and hand-made ones with everything that is known to go wrong."""

import datetime
import importlib.metadata
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.circuit.library import CZGate, ECRGate
from qiskit.providers import JobStatus
from qiskit.providers.fake_provider import GenericBackendV2
from typer.testing import CliRunner

import lab_backends
from qthreshold import workflow
from qthreshold.backends import describe_device, open_backend
from qthreshold.backends.failures import explained, looks_secret
from qthreshold.backends.provider_spec import ENTRY_POINTS, load_backend, parse_spec
from qthreshold.backends.results import pack_keys
from qthreshold.cli.app import app
from qthreshold.counts import unpack_bits
from qthreshold.errors import (
    AuthenticationError,
    BackendError,
    ConsentError,
    CorruptResultError,
    InputError,
    JobFailedError,
    LostJobError,
    QuotaError,
    RejectedError,
    TransientError,
)
from qthreshold.jobs import Consent, read_journal
from qthreshold.plan import make_plan
from qthreshold.store import RunDirectory

LAB = "provider:lab_backends:Lab"
GENERIC = "provider:qiskit.providers.fake_provider:GenericBackendV2"
FAKES = "provider:qiskit_ibm_runtime.fake_provider"
CAP = Consent(cap=1e6)

SMALL = """
schema = "qthreshold/recipe/1"
name = "small"
[readout]
patterns = 2
shots = 50
[one_qubit]
lengths = [1, 4]
sequences = 2
shots = 20
[two_qubit]
lengths = [1, 3]
sequences = 2
shots = 30
"""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setenv("QTHRESHOLD_PATIENCE", "first=0.01,longest=0.05,tries=2,pause=0.01,settle=0.01,give_up=20")
    lab_backends.RUNS.clear()
    lab_backends.KEPT.clear()


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return str(path)


def submitted(backend, recipe, out, consent=CAP):
    """A run whose jobs were sent by a process that has ended."""
    with open_backend(backend) as opened:
        directory = workflow.make_run(out, backend=opened, recipe=workflow.load_recipe(recipe), seed=1)
        workflow.submit(directory, opened, consent=consent)
    return directory


# Specs


def test_values_of_a_spec_are_numbers_truth_values_lists_or_text():
    spec = parse_spec("lab.chips:Chip.open?n=5&error=1e-3&quick=true&map=[[0,1],[1,2]]&site=north%26south&id=007&label=%225%22")
    assert spec.where == "lab.chips:Chip.open"
    assert spec.arguments == {"n": 5, "error": 1e-3, "quick": True, "map": [[0, 1], [1, 2]], "site": "north&south", "id": "007", "label": "5"}


def test_our_own_options_follow_a_hash_and_the_spec_means_the_same_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = parse_spec("lab:open?n=5#qubits=3&paid=no&limits=my limits.toml")
    assert (spec.qubits, spec.paid, spec.limits) == (3, False, tmp_path / "my limits.toml")
    monkeypatch.chdir("/")
    assert parse_spec(spec.text.removeprefix("provider:")) == spec


name = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda k: not looks_secret(k))


@given(st.dictionaries(name, st.one_of(st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.lists(st.integers()))))
def test_arguments_round_trip(arguments):
    spec = parse_spec("m:f?" + "&".join(f"{k}={json.dumps(v)}" for k, v in arguments.items()))
    assert spec.arguments == arguments
    assert parse_spec(spec.text.removeprefix("provider:")) == spec


@pytest.mark.parametrize(
    "text",
    ["m:f?token=t0p-s3cret", "m:f?API_KEY=t0p-s3cret", "m:f?apikey=t0p-s3cret", "m:f?n=1&client_secret=t0p-s3cret", "m:f?password=t0p-s3cret",
     "m:f#token=t0p-s3cret", "m:f?url=https://me:t0p-s3cret@lab.example", "m:f?%74oken=t0p-s3cret"],
)  # fmt: skip
def test_secrets_are_refused_without_being_repeated(text):
    with pytest.raises(InputError, match="looks like a secret") as caught:
        parse_spec(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "provider:MODULE:CALLABLE"), ("m:", "MODULE:CALLABLE"), ("m:f?t0p-s3cret", "key=value"), ("m:f?n=1&n=2", "n is given twice"),
        ("m:f#qubit=3", "did you mean qubits"), ("m:f#qubits=0", "1 or more"), ("m:f#qubits=x", "1 or more"), ("m:f#paid=maybe", "yes nor no"),
        ("a/b:f", "MODULE:CALLABLE"), ("m:f:g", "MODULE:CALLABLE"),
    ],
)  # fmt: skip
def test_a_spec_of_another_form_is_explained(text, words):
    with pytest.raises(InputError, match=words) as caught:
        parse_spec(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no_such_module:f", "no module 'no_such_module'"),
        ("qiskit.no_such:f", "no module 'qiskit.no_such'"),
        ("lab_backends:Labb", "did you mean Lab"),
        ("lab_backends:Lab?m=1", "takes no argument 'm'.*fault"),
        ("lab_backends:Provider.get_backend", r"needs name: add \?name="),
        ("lab_backends:Provider.get_backend?name=x", "NoneType, not a qiskit BackendV2"),
        ("lab_backends:Provider.no_such", "has no 'no_such'"),
        ("lab_backends:something", "int, not a qiskit BackendV2"),
        ("lab_backends:ready?n=1", "takes no arguments"),
        ("lab_backends:fails", r"failed \(RuntimeError\)"),
        ("no-such-entry", "no entry point 'no-such-entry'"),
    ],
)
def test_what_cannot_be_opened_is_explained_in_one_line_without_foreign_text(text, words):
    with pytest.raises(InputError, match=words) as caught:
        open_backend(f"provider:{text}")
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_that_cannot_be_imported_is_explained(tmp_path, monkeypatch):
    (tmp_path / "broken_lab.py").write_text("raise OSError('token=t0p-s3cret')\n")
    (tmp_path / "needy_lab.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"importing 'broken_lab' failed \(OSError\)$"):
        open_backend("provider:broken_lab:f")
    with pytest.raises(InputError, match="needs another one that is not installed"):
        open_backend("provider:needy_lab:f")


@pytest.mark.parametrize("where", ["Lab", "ready", "Provider.get_backend?name=lab", "Provider.only", "Provider.offline.noisy"])
def test_a_class_an_object_a_method_or_a_property_gives_the_backend(where):
    assert load_backend(parse_spec(f"lab_backends:{where}")).name == "lab"


def test_entry_points_of_installed_packages_are_found_by_name(monkeypatch):
    def entry(name, value):
        return importlib.metadata.EntryPoint(name=name, value=value, group=ENTRY_POINTS)

    known = importlib.metadata.EntryPoints(
        [entry("our-lab", "lab_backends:Lab"), entry("twice", "lab_backends:Lab"), entry("twice", "lab_backends:ready"), entry("gone", "no_such:f")]
    )
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **wanted: known.select(**wanted))
    with open_backend("provider:our-lab?n=2") as backend:
        assert backend.device.n_qubits == 2
        assert backend.spec == "provider:our-lab?n=2"
    with pytest.raises(InputError, match="did you mean our-lab"):
        open_backend("provider:our-lap")
    with pytest.raises(InputError, match="ambiguous: lab_backends:Lab and lab_backends:ready"):
        open_backend("provider:twice")
    with pytest.raises(InputError, match=r"failed \(ModuleNotFoundError\)"):
        open_backend("provider:gone")


# Devices, limits, settings


def test_directed_pairs_with_different_native_gates_are_described_and_checked(small):
    backend = lab_backends.directed = GenericBackendV2(4, coupling_map=[[1, 0], [1, 2], [3, 2]], seed=5)
    mixed = [(ECRGate(), (1, 0)), (CZGate(), (1, 2)), (ECRGate(), (3, 2))]
    backend._target = lab_backends.make_target(4, mixed)
    with open_backend("provider:lab_backends:directed") as opened:
        d = opened.device
        assert d.direction.tolist() == [[1, 0], [1, 2], [3, 2]]
        assert d.gate == ("ecr", "cz", "ecr")
        assert opened.paid is False
        plan = make_plan(d, workflow.load_recipe(small), 1, {"cz": 0, "ecr": 0})
        assert opened.obstacles(plan, d) == []
        backend._target = lab_backends.make_target(4, [*mixed[:2], (ECRGate(), (2, 3))])
        assert opened.obstacles(plan, d) == ["pair 3-2 offers no ecr in this direction now"]


def test_a_simulator_of_any_number_of_qubits_takes_as_many_as_are_asked_for():
    device = describe_device("provider:qiskit_aer:AerSimulator#qubits=3")
    assert device.n_qubits == 3
    assert device.edges.tolist() == [[0, 1], [0, 2], [1, 2]]
    with pytest.raises(InputError, match=r"for example provider:lab_backends:Lab\?stated=false#qubits=5"):
        describe_device(f"{LAB}?stated=false")


@pytest.mark.parametrize(
    ("fake", "qubits", "pairs", "gates"),
    [("FakeManilaV2", 5, 4, "cx"), ("FakeLimaV2", 5, 4, "cx"), ("FakeCairoV2", 27, 28, "cx+ecr"), ("FakeArmonkV2", 1, 0, ""),
     ("FakeTorino", 133, 150, "cz")],
)  # fmt: skip
def test_snapshots_of_ibm_describe_themselves(fake, qubits, pairs, gates):
    pytest.importorskip("qiskit_ibm_runtime")
    with open_backend(f"{FAKES}:{fake}") as backend:
        assert (backend.device.n_qubits, len(backend.device.edges), backend.device.two_qubit_gate) == (qubits, pairs, gates)
        assert backend.paid is False
        calibration = backend.calibration()
    assert json.loads(json.dumps(calibration, allow_nan=False)) == calibration
    assert calibration["properties"]["qubits"]


def test_only_known_simulators_cost_nothing_unless_the_user_says_so():
    paid = {s: open_backend(s).paid for s in (f"{GENERIC}?num_qubits=2", "provider:qiskit_aer:AerSimulator#qubits=2", LAB, f"{LAB}#paid=no")}
    assert list(paid.values()) == [False, False, True, False]
    assert open_backend(f"{GENERIC}?num_qubits=2#paid=yes").paid


def test_limits_are_the_users_and_no_more_circuits_than_the_backend_states(tmp_path):
    assert open_backend(LAB).limits.circuits is None
    assert open_backend(f"{LAB}?most=3").limits.circuits == 3
    path = tmp_path / "limits.toml"
    path.write_text('schema = "qthreshold/limits/1"\nprovider = "lab"\nchecked = 2026-11-24\nsource = "a call"\ncircuits = 2\njob_overhead = 9.0\n')
    limits = open_backend(f"{LAB}?most=3#limits={path}").limits
    assert (limits.circuits, limits.job_overhead) == (2, 9.0)
    with pytest.raises(InputError, match="no limits file at"):
        open_backend(f"{LAB}#limits={tmp_path / 'none.toml'}")


def test_settings_say_how_jobs_are_run_without_what_could_be_a_secret():
    backend = open_backend(LAB)
    assert backend.settings["class"] == "lab_backends.Lab"
    assert backend.settings["run_options"] == {"detuning": 0.5}
    assert backend.calibration() is None
    assert backend.truth("cnot") is None
    assert backend.find("tag") is None
    assert open_backend(f"{GENERIC}?num_qubits=2").settings["packages"] == {"qiskit": importlib.metadata.version("qiskit")}


# Bit strings


@given(st.integers(1, 140), st.data())
def test_keys_of_any_writing_are_packed_alike(width, data):
    numbers = data.draw(st.lists(st.integers(0, 2**width - 1), min_size=1, max_size=8))
    plain = [f"{k:0{width}b}" for k in numbers]
    cut = data.draw(st.integers(0, width))
    packed = pack_keys(plain, width, "c")
    bits = unpack_bits(packed, width)
    assert all((k >> q) & 1 == bits[i, q] for i, k in enumerate(numbers) for q in range(width))
    np.testing.assert_array_equal(pack_keys([hex(k) for k in numbers], width, "c"), packed)
    np.testing.assert_array_equal(pack_keys([f"{k[:cut]} {k[cut:]}" for k in plain], width, "c"), packed)


@pytest.mark.parametrize("keys", [["01", "0x1"], ["0x1", "01"], ["0b1"], ["0xg"], ["0x4"], [""], ["0²"], [1], [(0, 1)], ["1_"], ["0x-1"], ["0x1_0"]])
def test_other_keys_are_refused(keys):
    with pytest.raises(CorruptResultError, match=r"^c came with"):
        pack_keys(keys, 2, "c")


# Runs


@pytest.mark.parametrize("fault", ["", "hex", "spaces", "numpy"])
def test_a_run_on_a_labs_backend(fault, small, tmp_path):
    result = workflow.run(f"{LAB}?fault={fault}&most=7&usage=1.5", small, out=tmp_path / "run", consent=CAP)
    assert len(lab_backends.RUNS[0]) == 1
    assert max(map(len, lab_backends.RUNS)) == 7
    assert sum(map(len, lab_backends.RUNS[1:])) == result.plan.n_circuits
    assert result.metrics.connected_working_qubits.best == 3
    assert result.charged == 1.5 * len(lab_backends.RUNS)
    assert abs(result.metrics.mean.best) < 1e-3


def test_a_backend_without_number_of_qubits_coupling_map_or_properties_runs(small, tmp_path):
    result = workflow.run(f"{LAB}?stated=false#qubits=3&paid=no", small, out=tmp_path / "run")
    assert result.device.edges.tolist() == [[0, 1], [0, 2], [1, 2]]


@pytest.mark.parametrize(
    "spec", [f"{GENERIC}?num_qubits=3&seed=3", "provider:qiskit_aer:AerSimulator#qubits=3", f"{FAKES}:FakeManilaV2", f"{FAKES}:FakeArmonkV2"]
)
def test_a_small_run_on_a_simulator(spec, small, tmp_path):
    pytest.importorskip(spec.split(":")[1])
    result = workflow.run(spec, small, out=tmp_path / "run")
    assert result.missing == ()
    assert result.header["backend"] == spec
    assert read_journal(RunDirectory(tmp_path / "run")).last(-1).state == "collected"


@pytest.mark.parametrize(("fault", "words"), [("reversed", "reverse order"), ("zeros", "1 in 0 %")])
def test_the_preflight_stops_a_run_before_anything_else_is_sent(fault, words, small, tmp_path):
    with pytest.raises(CorruptResultError, match=words):
        workflow.run(f"{LAB}?fault={fault}", small, out=tmp_path / "run", consent=CAP)
    assert len(lab_backends.RUNS) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [("shots", "came with 49 shots where 50"), ("more", "came with 51 shots where 50"), ("missing", "results of 1 circuits came where 2"),
     ("order", "not in the order"), ("floats", "no whole numbers"), ("narrow", "2 characters; its register has 3"), ("wide", "more than the 3 bits"),
     ("letters", "no bit string"), ("integers", "type int"), ("empty", "without counts")],
)  # fmt: skip
def test_results_of_something_else_are_refused_by_name(fault, words, small, tmp_path):
    with pytest.raises(CorruptResultError, match=words):
        workflow.run(f"{LAB}?fault={fault}", small, out=tmp_path / "run", consent=CAP)


def test_a_result_that_says_it_failed_can_be_asked_for_again(small, tmp_path):
    with pytest.raises(JobFailedError, match=r"not all circuits succeeded.*--retry"):
        workflow.run(f"{LAB}?fault=unsuccessful", small, out=tmp_path / "run", consent=CAP)


@pytest.mark.parametrize(
    ("fault", "kind", "state"),
    [("raises#paid=no", RejectedError, "refused"), ("raises", TransientError, "intended"), ("account", AuthenticationError, "refused"),
     ("network", BackendError, "intended"),
     ("odd", BackendError, "intended")],
)  # fmt: skip
def test_failures_of_run_become_our_kinds_without_their_text(fault, kind, state, small, tmp_path):
    with pytest.raises(kind) as caught:
        workflow.run(f"{LAB}?fault={fault}", small, out=tmp_path / "run", consent=CAP)
    assert "s3cret" not in str(caught.value)
    journal = read_journal(RunDirectory(tmp_path / "run"))
    assert journal.last(-1).state == state
    assert len(lab_backends.RUNS) == 1  # nobody knows whether a job arrived, so nothing is sent twice
    assert not [p for p in (tmp_path / "run").rglob("*") if p.is_file() and b"s3cret" in p.read_bytes()]


def test_a_paid_backend_needs_consent(small, tmp_path):
    with pytest.raises(ConsentError):
        workflow.run(LAB, small, out=tmp_path / "run")
    assert lab_backends.RUNS == []


def test_jobs_that_the_provider_keeps_are_fetched_by_another_process(small, tmp_path):
    directory = submitted("provider:lab_backends:KeepingLab", small, tmp_path / "run")
    before = len(lab_backends.RUNS)
    assert workflow.resume(directory).missing == ()
    assert len(lab_backends.RUNS) == before


def test_jobs_lost_with_a_local_simulator_are_sent_again_on_request(small, tmp_path):
    directory = submitted(f"{LAB}#paid=no", small, tmp_path / "run")
    with pytest.raises(JobFailedError, match=r"in a process that has ended.*--retry"):
        workflow.resume(directory)
    assert workflow.resume(directory, retry=True).missing == ()


def test_jobs_that_a_paid_provider_cannot_give_back_are_sent_again_only_if_the_user_insists(small, tmp_path):
    directory = submitted(LAB, small, tmp_path / "run")
    before = len(lab_backends.RUNS)
    for options in ({}, {"retry": True}, {"resubmit": True}):
        with pytest.raises(LostJobError, match=r"job-2 .*resume .* --retry --resubmit"):
            workflow.resume(directory, **options)
    assert len(lab_backends.RUNS) == before
    spoken_for = read_journal(directory).seconds
    assert workflow.resume(directory, retry=True, resubmit=True).missing == ()
    assert len(lab_backends.RUNS) == 2 * before - 1  # all but the preflight
    assert read_journal(directory).seconds > 1.5 * spoken_for  # the lost ones may cost too


@pytest.mark.parametrize(
    ("status", "state"),
    [(JobStatus.INITIALIZING, "queued"), (JobStatus.VALIDATING, "queued"), (JobStatus.QUEUED, "queued"), (JobStatus.RUNNING, "running"),
     (JobStatus.ERROR, "failed"), (JobStatus.CANCELLED, "cancelled"), ("Succeeded", "done"), ("COMPLETED", "done"), ("JobState.Failed", "failed"),
     ("canceled", "cancelled"), ("timed out", "timed_out"), ("a word of its own", "running"), (None, "done")],
)  # fmt: skip
def test_states_of_jobs_are_understood(status, state):
    backend = open_backend(LAB)
    backend._jobs["x"] = job = lab_backends.LabJob("x", lab_backends.Answer([], []), status)
    job.done = lambda: status is None
    assert backend.look("x").state == state
    backend.cancel("x")
    assert (job.state is JobStatus.CANCELLED) == (state in ("queued", "running", "cancelled")) or status == "canceled"


def test_a_result_that_raises_is_a_failed_job_only_where_another_costs_nothing():
    for paid, error, words in (("no", RuntimeError, None), ("yes", RuntimeError, r"\(RuntimeError\)"), ("no", TimeoutError, r"\(TimeoutError\)")):
        backend = open_backend(f"{LAB}#paid={paid}")
        backend._jobs["x"] = lab_backends.LabJob("x", error("t0p-s3cret"))
        if words is None:
            sight = backend.look("x")
            assert (sight.state, sight.message) == ("failed", "its result could not be had (RuntimeError)")
        else:
            with pytest.raises(BackendError, match=words):
                backend.look("x")


def test_jobs_without_an_id_or_with_that_of_another_get_one_of_ours():
    backend = open_backend(LAB)
    first = backend._name(lab_backends.LabJob("same", None))
    backend._jobs[first] = None
    assert first == "same"
    assert backend._name(lab_backends.LabJob("same", None)) not in ("same", "")
    assert backend._name(object()).startswith("unnamed+")


def test_foreign_exceptions_are_told_apart_by_class_and_status_code():
    class HttpError(Exception):
        def __init__(self, code):
            self.response = type("Response", (), {"status_code": code})()

    class RateLimitExceededError(Exception):
        pass

    class InsufficientCreditsError(Exception):
        pass

    def kind(error):
        return type(explained(error, "x", otherwise=BackendError, refusal=RejectedError))

    assert [kind(HttpError(c)) for c in (400, 401, 403, 413, 429, 500, 503)] == [
        RejectedError, AuthenticationError, AuthenticationError, RejectedError, QuotaError, TransientError, TransientError,
    ]  # fmt: skip
    assert [kind(e) for e in (ConnectionError(), TimeoutError(), ValueError(), TypeError(), RuntimeError(), PermissionError())] == [
        TransientError, TransientError, RejectedError, RejectedError, BackendError, BackendError,
    ]  # fmt: skip
    assert kind(InsufficientCreditsError()) is QuotaError
    assert explained(RateLimitExceededError(), "x", otherwise=BackendError).passing
    chained = ValueError()
    chained.__cause__ = ConnectionResetError()
    assert kind(chained) is TransientError


def test_a_call_that_hangs_is_given_up_on(monkeypatch, small, tmp_path):
    monkeypatch.setenv("QTHRESHOLD_PATIENCE", "first=0.01,longest=0.05,tries=1,read=0.1,post=0.2")
    import threading

    forever = threading.Event()
    monkeypatch.setattr(lab_backends.Lab, "run", lambda *_, **__: forever.wait(30))
    with pytest.raises(TransientError, match=r"no answer within 0.2 s"):
        workflow.run(LAB, small, out=tmp_path / "run", consent=CAP)
    assert read_journal(RunDirectory(tmp_path / "run")).last(-1).state == "intended"
    forever.set()


def test_error_suppression_cannot_be_asked_for(small, tmp_path):
    path = tmp_path / "dd.toml"
    path.write_text(SMALL + '[execution]\ndynamical_decoupling = "XX"\n')
    with pytest.raises(InputError, match=r"\[execution\]"):
        workflow.run(f"{LAB}#paid=no", str(path), out=tmp_path / "run")
    assert lab_backends.RUNS == []


def test_a_gate_that_went_away_stops_a_run_before_anything_is_sent(small, tmp_path):
    with open_backend(f"{LAB}#paid=no") as opened:
        directory = workflow.make_run(tmp_path / "run", backend=opened, recipe=workflow.load_recipe(small), seed=1)
        opened._backend._target = lab_backends.make_target(3, [(CZGate(), (0, 1))])
        with pytest.raises(InputError, match="pair 1-2 offers no cz"):
            workflow.submit(directory, opened)
    assert lab_backends.RUNS == []


# Command line


def cli(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_the_whole_run_from_the_command_line(tmp_path):
    spec = f"{GENERIC}?num_qubits=4&seed=3"
    done = cli("run", "-b", spec, "-r", "quick", "--out", str(tmp_path / "run"), "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["connected_working_qubits"]["best"] == 4
    assert summary["settings"]["packages"]["qiskit"] == importlib.metadata.version("qiskit")
    journal = [json.loads(line.partition(" ")[2]) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    assert [e["ticket"] for e in journal if e["event"] == "intent"] == [-1, 0, 1, 2, 3]
    assert journal[2]["event"] == "collected"  # the preflight, before the next intent
    assert cli("resume", str(tmp_path / "run"), "--quiet").exit_code == 0


def test_backends_and_judge_know_providers():
    assert "provider:MODULE:CALLABLE" in cli("backends", "list").stdout
    shown = json.loads(cli("backends", "show", f"{GENERIC}?num_qubits=4&seed=3", "--json").stdout)
    assert (shown["n_qubits"], shown["usable_edges"]) == (4, 6)
    judged = json.loads(cli("judge", "--device", f"{GENERIC}?num_qubits=4&seed=3", "--json").stdout)
    assert judged["device"]["source"] == f"{GENERIC}?num_qubits=4&seed=3"


def test_default_directories_are_named_after_the_callable():
    now = datetime.datetime(2026, 1, 2, 3, 4, 5)
    path = workflow.default_directory(f"{GENERIC}?num_qubits=4&seed=3#limits=/tmp/x.toml", now)
    assert path.name == "GenericBackendV2-20260102-030405"


# Other packages


def test_a_small_run_on_the_simulator_of_the_qdk(small, tmp_path):
    """A third party's backend: no number of qubits, no coupling map, no properties; BackendSamplerV2 reads nothing but zeros from it."""
    pytest.importorskip("qdk.qiskit")
    result = workflow.run("provider:qdk.qiskit:QSharpBackend#qubits=3&paid=no", small, out=tmp_path / "run")
    assert result.missing == ()
    assert result.header["settings"]["packages"]["qdk"] == importlib.metadata.version("qdk")
    assert abs(result.metrics.mean.best) < 1e-3
