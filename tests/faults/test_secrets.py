"""A token is planted, and every artefact is searched for it: output, tracebacks, run directory, journal, reports, logs of the client."""

import json

import pytest

from faults.conftest import LIMITS, PATIENCE, RECIPE
from mock_ibm import MockIBM, faults
from reference.commands import qthreshold

TOKEN = "Zq7-planted_KEY.that.must-never-appear-anywhere_0123456789"
ENDS = [
    ("POST /jobs", faults.status(401)), ("POST /jobs", faults.status(400)), ("POST /jobs", faults.drop()),
    ("POST /identity/token", faults.status(500)), ("POST /identity/token", faults.drop()),
    ("GET /backends", faults.status(403)), ("GET /backends/*/configuration", faults.status(500)),
    ("POST /jobs", faults.job_fails(f"apikey {TOKEN} and Bearer {TOKEN}x were not accepted\nTraceback\n  token={TOKEN}")),
]  # fmt: skip


@pytest.fixture
def home(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "limits.toml").write_text(LIMITS)
    return tmp_path


def search(home, answers, mock):
    """Whether the key, or an access token made of it, is anywhere it should not be."""
    bearers = {a.split()[-1] for a in mock.authorizations}
    assert bearers
    for secret in {TOKEN, *bearers}:
        for answer in answers:
            assert secret not in answer.out + answer.err
        for path in home.rglob("*"):
            if path.is_file() and ".qiskit" not in path.parts:
                assert secret.encode() not in path.read_bytes(), path


def commands(*spec):
    return [
        ("doctor", *spec), ("doctor", *spec, "--json"), ("plan", "p", *spec, "-r", "recipe.toml"), ("submit", "p", "--max-qpu-seconds", 90),
        ("collect", "p"), ("resume", "p", "--retry"), ("cancel", "p"), ("analyse", "p", "--partial"), ("judge", "--device", spec[1]),
        ("run", *spec, "-r", "recipe.toml", "-o", "r", "--max-qpu-seconds", 90), ("report", "r"), ("report", "r", "--json"), ("verify", "r"),
    ]  # fmt: skip


SPEC = ("-b", "ibm:ibm_mock?limits=limits.toml")


@pytest.mark.system
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(("route", "fault"), ENDS, ids=[f"{r} {f}" for r, f in ENDS])
def test_no_token_in_anything_that_a_failing_service_leads_to(route, fault, debug, zygote, home):
    with MockIBM({"ibm_mock": "FakeManilaV2"}, token=TOKEN) as mock:
        mock.inject(route, fault, times=None)
        env = mock.environment | {"HOME": str(home), "QTHRESHOLD_PATIENCE": PATIENCE.replace("tries=3", "tries=1")}
        chosen = [c for c in commands(*SPEC) if c[0] in ("doctor", "plan", "submit", "resume", "judge")]
        answers = [zygote.run(*(["--debug"] if debug else []), *c, out=home / "output", env=env, cwd=home) for c in chosen]
        assert any(a.code for a in answers)
        assert debug == any("Traceback" in a.err for a in answers)
        search(home, answers, mock)


def test_no_token_in_anything_that_a_working_service_leads_to(zygote, home):
    with MockIBM({"ibm_mock": "FakeManilaV2"}, token=TOKEN) as mock:
        env = mock.environment | {"HOME": str(home), "QTHRESHOLD_PATIENCE": PATIENCE}
        answers = [zygote.run(*c, out=home / "output", env=env, cwd=home) for c in commands(*SPEC)]
        assert [a.code for a in answers if a.code] == []
        search(home, answers, mock)
        assert (home / "r/summary.json").exists()


@pytest.mark.system
def test_a_saved_account_is_found_by_name_and_by_default_and_stays_where_it_is(home):
    """In fresh processes: the client looks for the home directory when it is imported."""
    with MockIBM({"ibm_mock": "FakeManilaV2"}, token=TOKEN) as mock:
        plain = {k: v for k, v in mock.environment.items() if not k.startswith("QISKIT_IBM_")} | {"HOME": str(home), "QTHRESHOLD_PATIENCE": PATIENCE}
        none = qthreshold("doctor", "-b", "ibm:ibm_mock", env=plain, cwd=home)
        assert none.code == 2
        assert "no IBM account was found; save one once with python -c" in none.err
        account = {"channel": "ibm_quantum_platform", "token": TOKEN, "url": mock.url, "instance": mock.instance, "private_endpoint": False}
        (home / ".qiskit").mkdir(exist_ok=True)
        (home / ".qiskit/qiskit-ibm.json").write_text(json.dumps({"work": account, "default-ibm-quantum-platform": account}))
        answers = [qthreshold("doctor", "-b", s, env=plain, cwd=home) for s in ("ibm:ibm_mock?account=work", "ibm:ibm_mock")]
        assert [a.code for a in answers] == [0, 0], answers
        assert "saved as 'work'" in answers[0].out
        assert "the saved default" in answers[1].out
        wrong = qthreshold("doctor", "-b", "ibm:ibm_mock?account=home", env=plain, cwd=home)
        assert wrong.code == 2
        search(home, [none, *answers, wrong], mock)


@pytest.mark.system
def test_a_wrong_token_is_named_as_such_at_once(zygote, home):
    with MockIBM({"ibm_mock": "FakeManilaV2"}, token=TOKEN) as mock:
        env = mock.environment | {"HOME": str(home), "QISKIT_IBM_TOKEN": "another-key-that-is-wrong", "QTHRESHOLD_PATIENCE": PATIENCE}
        answer = zygote.run("doctor", "-b", "ibm:ibm_mock", out=home / "output", env=env, cwd=home)
        assert answer.code == 2
        assert "IBM did not accept the account" in answer.err
        assert "another-key" not in answer.out + answer.err
        assert answer.seconds < 10


def test_a_token_on_the_command_line_is_refused_and_not_repeated(zygote, home):
    answer = zygote.run("plan", "p", "-b", f"ibm:ibm_mock?token={TOKEN}", out=home / "output", env={"HOME": str(home)}, cwd=home)
    assert answer.code == 2
    assert "does not belong on the command line" in answer.err
    assert TOKEN not in answer.out + answer.err
    assert not (home / "p").exists()
