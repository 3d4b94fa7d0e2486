"""The engine behind jobs, with a provider that cannot be asked by tag; and what is said about cost and patience."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lab_backends
from qthreshold import workflow
from qthreshold.backends import open_backend
from qthreshold.errors import BackendError, ConsentError, InputError, QuotaError, StoreError
from qthreshold.jobs import Consent, read_journal
from qthreshold.limits import Prices
from qthreshold.patience import Patience
from qthreshold.store import RunDirectory

LAB = "provider:lab_backends:Lab#paid=yes"
RECIPE = """\
schema = "qthreshold/recipe/1"
name = "small"
readout = { patterns = 2, shots = 50 }
one_qubit = { lengths = [1, 4], sequences = 2, shots = 20 }
two_qubit = { lengths = [1, 3], sequences = 2, shots = 30 }
"""


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setenv("QTHRESHOLD_PATIENCE", "first=0.01,longest=0.05,tries=2,pause=0.01,settle=0.01,give_up=20")
    lab_backends.RUNS.clear()
    lab_backends.KEPT.clear()


@pytest.fixture
def planned(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    with open_backend(LAB) as backend:
        return workflow.make_run(tmp_path / "run", backend=backend, recipe=workflow.load_recipe(str(tmp_path / "recipe.toml")), seed=1)


def submit(directory, **options):
    with open_backend(LAB) as backend:
        workflow.submit(directory, backend, **{"consent": Consent(cap=1e6)} | options)


def test_an_intent_of_which_nobody_knows_stops_everything_until_the_user_decides(planned):
    """As a kill leaves it between the intent and the id, at a provider without tags."""
    planned.append_event({"event": "consent", "at": 0.0, "cap": 1e6})
    planned.append_event({"event": "intent", "at": 0.0, "ticket": 0, "attempt": 1, "tag": "t-0-1", "estimate": 2.0})
    for use in (submit, lambda d: workflow.resume(d, consent=Consent(cap=1e6)), lambda d: submit(d, retry=True)):
        with pytest.raises(BackendError, match=r"the last process ended while it sent job 1, and .* cannot be asked .* --resubmit'"):
            use(planned)
    assert lab_backends.RUNS == []
    result = workflow.resume(planned, consent=Consent(cap=1e6), resubmit=True, retry=True)
    assert result.missing == ()
    assert [e["event"] for e in planned.read_events() if e.get("tag") == "t-0-1"] == ["intent", "absent"]


def test_every_intent_is_on_the_disk_before_the_provider_is_called(planned, monkeypatch):
    seen = []
    run = lab_backends.Lab.run

    def look(self, circuits, **options):
        seen.append((RunDirectory(planned.path).read_events()[-1], len(circuits)))
        return run(self, circuits, **options)

    monkeypatch.setattr(lab_backends.Lab, "run", look)
    submit(planned)
    assert len(seen) == 4  # the preflight and three jobs
    for event, circuits in seen:
        assert event["event"] == "intent"
        assert event["circuits"] == circuits
        assert len(event["content"]) == 64
    assert [e["ticket"] for e, _ in seen] == [-1, 0, 1, 2]


def test_a_cap_is_kept_by_the_run_until_another_is_given(planned):
    with pytest.raises(ConsentError, match=r"because nobody can be asked here and no cap is given; 'qthreshold resume .* N' agrees to it"):
        submit(planned, consent=Consent())
    with pytest.raises(QuotaError, match="and would exceed the cap of 3 s; nothing more was sent"):
        submit(planned, consent=Consent(cap=3.0))
    assert lab_backends.RUNS == []
    asked = []
    with pytest.raises(ConsentError, match="nothing was sent"):
        submit(planned, consent=Consent(ask=lambda text: asked.append(text) is not None))
    assert "4 jobs on" in asked[0]  # the preflight too
    assert asked[0].endswith("(without a cap). Submit?")
    submit(planned, consent=Consent(cap=50.0))
    assert read_journal(planned).cap == 50.0
    submit(planned, consent=Consent())  # nothing left to send, nothing to agree to


@pytest.mark.parametrize("cap", [0.0, -1.0, float("inf"), float("nan")])
def test_a_cap_is_a_number_of_seconds(cap):
    with pytest.raises(InputError, match="must be a number of seconds above 0"):
        Consent(cap=cap)


def test_a_cap_can_be_changed_when_nothing_is_left_to_send(planned):
    submit(planned, consent=Consent(cap=50.0))
    submit(planned, consent=Consent(cap=70.0))
    assert read_journal(planned).cap == 70.0


def test_circuits_that_cannot_be_built_leave_no_doubt_about_a_job(planned, monkeypatch):
    monkeypatch.setattr("qthreshold.backends.provider.build_circuits", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        submit(planned)
    assert read_journal(planned).attempts == {}


def test_a_ticket_that_is_not_the_one_that_was_sent_gets_no_counts(planned):
    submit(planned)
    events = planned.read_events()
    (planned.path / "journal.jsonl").unlink()
    for event in events:
        planned.append_event(event | ({"content": "0" * 64} if event["event"] == "intent" and event["ticket"] == 1 else {}))
    with open_backend(LAB) as backend:
        backend._jobs.update(lab_backends.KEPT)
        with pytest.raises(StoreError, match="was sent with other circuits than ticket 1 has"):
            workflow.collect(planned, backend)


def test_a_missing_journal_of_a_paid_run_is_seen(planned):
    workflow.resume(planned, consent=Consent(cap=1e6))
    assert planned.verify() == []
    (planned.path / "journal.jsonl").unlink()
    assert [f for f in planned.verify() if f.startswith("journal.jsonl: missing")]


def test_a_forecast_names_every_job_and_its_money(planned, tmp_path):
    forecast = workflow.forecast(planned, Prices(schema="qthreshold/prices/1", currency="EUR", per_qpu_second=2.0, per_execution=0.01, per_job=0.5))
    plain = forecast.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert [j["executions"] for j in plain["per_job"]] == [j.circuits * j.shots for j in forecast.jobs]
    assert plain["executions"] == sum(j["executions"] for j in plain["per_job"])
    assert plain["estimated_seconds"] == pytest.approx(sum(j["seconds"] for j in plain["per_job"]), abs=0.01)
    expected = 2 * plain["estimated_seconds"] + 0.01 * plain["executions"] + 0.5 * len(forecast.jobs)
    assert plain["money"] == pytest.approx(expected, abs=0.02)
    assert f"in {len(forecast.jobs)} jobs" in forecast.line()
    assert forecast.line().endswith("EUR")
    assert workflow.forecast(planned).as_dict()["money"] is None


@pytest.mark.parametrize("text", ["", 'currency = "EUR"\nper_qpu_second = -1', 'currency = "EUR"\nper_hour = 3', "not toml ["])
def test_a_price_file_that_cannot_be_used_is_named(text, tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(f'schema = "qthreshold/prices/1"\n{text}\n')
    with pytest.raises(InputError, match=r"prices\.toml"):
        workflow.load_prices(path)


@given(st.sampled_from([f for f in Patience.__dataclass_fields__ if f != "give_up"]), st.floats(0, 1e4))
def test_patience_is_read_from_the_environment(name, seconds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QTHRESHOLD_PATIENCE", f" {name}={seconds!r} ,")
        found = getattr(Patience.usual(), name)
    assert found == (max(1, int(seconds)) if name == "tries" else min(seconds, 30.0) if name == "first" else seconds)


@pytest.mark.parametrize("text", ["read", "read=", "read=soon", "read=-1", "speed=3"])
def test_patience_that_cannot_be_read_is_explained(text, monkeypatch):
    monkeypatch.setenv("QTHRESHOLD_PATIENCE", text)
    with pytest.raises(InputError, match=r"QTHRESHOLD_PATIENCE: .* is not NAME=SECONDS\. Known: first, longest"):
        Patience.usual()
