"""``qthreshold history`` from end to end."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qthreshold import workflow
from qthreshold.check import CheckResult
from qthreshold.ci import drift_of
from qthreshold.history import open_history
from qthreshold.measurements import from_dict, make_measurements
from qthreshold.report.site import page_name
from qthreshold.store import RunDirectory
from reference.commands import command as command_line
from reference.commands import here, plain_environment
from reference.measured import measured


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run of three qubits, from a table of survival counts; only read."""
    out = tmp_path_factory.mktemp("finished") / "run"
    workflow.run("synthetic:tiny-5", "quick", out=out, seed=7, workers=1)
    return out


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("QTHRESHOLD_HISTORY", raising=False)
    return lambda *words: here(["history", *words], monkeypatch, capsys)


@pytest.fixture
def three(call, tmp_path):
    """A history of three runs of one device, and one of another."""
    with open_history(tmp_path / "qthreshold-history.db", create=True) as history:
        for k, outcome in enumerate(("passed", "failed", ""), start=1):
            history.add(measured(f"run{k}", day=k, scale=k), outcome)
    return call


def checked(run, code, run_id=None):
    """Write what a gate would have."""
    header = workflow.read_header(RunDirectory.open(run))
    result = CheckResult(
        run_id=run_id or header["run_id"], device="x", taken_at="", answer="", exit_code=code, cases=(), properties={}, metrics={},
    )  # fmt: skip
    (run / "check.json").write_text(json.dumps(result.as_dict()))


def test_runs_go_in_and_come_out_again(finished, call, tmp_path):
    m = make_measurements(workflow.load_result(RunDirectory.open(finished)))
    answer = call("add", finished)
    assert (answer.code, answer.err) == (0, "")
    assert f"run {m.run_id} added; gate: not asked." in " ".join(answer.out.split())
    assert "was there already" in call("add", finished).out
    assert (tmp_path / "qthreshold-history.db").exists()
    shown = json.loads(call("show", m.run_id[:6], "--json").out)
    assert from_dict(shown) == m
    assert m.run_id in call("list").out
    text = call("show", m.run_id).out
    assert "cnot_error.mean" in text
    assert f"And {len(m.metric) - 10} numbers of pairs and qubits" in text
    assert "readout_error" in call("show", m.run_id, "--all").out
    assert json.loads(call("trend", "--json").out)["points"][0]["best"] == m.best[0]
    assert "is sound: 1 run." in call("verify").out


@pytest.mark.parametrize(("code", "outcome"), [(0, "passed"), (1, "failed"), (5, "failed"), (3, "undetermined"), (4, "error")])
def test_the_gate_is_read_from_the_run_directory(finished, call, code, outcome):
    try:
        checked(finished, code)
        assert json.loads(call("add", finished, "--json").out)[0]["gate"] == outcome
        assert json.loads(call("list", "--json").out)[0]["outcome"] == outcome
        checked(finished, 1)
        answer = call("add", finished)
        assert f"gate: {outcome}." in " ".join(answer.out.split())
        assert ("the gate now says failed" in answer.err) == (outcome != "failed")
        assert call("add", finished, "--replace", "-q").out == ""
        assert json.loads(call("list", "--json").out)[0]["outcome"] == "failed"
        checked(finished, 0, run_id="another")
        assert "is of run 'another', not of this one" in call("add", finished).err
        (finished / "check.json").write_text('{"schema": "qthreshold/check/1"}')
        assert "check.json is damaged" in call("add", finished).err
    finally:
        (finished / "check.json").unlink()


def test_a_run_can_be_given_the_time_it_was_made_at_and_keeps_it(finished, call, monkeypatch, capsys):
    assert call("add", finished, "--taken-at", "2020-02-29T12:00:00+02:00").code == 0
    assert "2020-02-29 10:00" in call("list").out
    assert call("add", finished).code == 0
    recorded = here(["check", str(finished), "--history", "qthreshold-history.db", "--record"], monkeypatch, capsys)
    assert "Was there already in qthreshold-history.db as passed." in recorded.out
    assert "2020-02-29 10:00" in call("list").out
    answer = call("add", finished, "--taken-at", "2020-02-29T13:00:00+02:00")
    assert answer.code == 2
    assert "with other content (taken_at)" in answer.err
    assert call("add", finished, "--replace").code == 0
    assert "2020-02-29" not in call("list").out
    for wrong in ("yesterday", "2020-02-30T00:00:00Z", "2020-02-29T12:00:00"):
        answer = call("add", finished, "--taken-at", wrong)
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert "write it as 2026-03-01T04:00:00Z" in answer.err
    assert "one run directory only" in call("add", finished, finished, "--taken-at", "2020-02-29T12:00:00Z").err


def test_what_is_no_run_leaves_no_history_behind(call, tmp_path):
    answer = call("add", tmp_path / "nothing")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert list(tmp_path.iterdir()) == []
    for command in ("list", "trend", "export", "verify", "show x", "prune --keep 1"):
        answer = call(*command.split())
        assert answer.code == 2
        assert answer.err == (
            "qthreshold: there is no history at qthreshold-history.db; start one with 'qthreshold history add RUN_DIR ...',"
            " or name another with --history\n"
        )
    assert list(tmp_path.iterdir()) == []


def test_of_several_the_good_ones_go_in_and_the_others_are_named(finished, call, tmp_path):
    stray, unfinished, other = tmp_path / "runs" / "nightly.log", tmp_path / "runs" / "half", tmp_path / "runs" / "other"
    shutil.copytree(finished, unfinished)
    shutil.copytree(finished, other)
    (unfinished / "verdict.json").unlink()
    stray.write_text("all is well")
    answer = call("add", stray, unfinished, "-q")  # none of them is good
    assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 2)
    assert not (tmp_path / "qthreshold-history.db").exists()
    answer = call("add", stray, finished, other)
    assert answer.code == 2
    assert answer.out.splitlines()[-1] == "1 added, 1 there already, 1 left out."
    assert re.fullmatch(r"qthreshold: \S+/nightly.log is left out: .* is not a run directory .*\n", answer.err)
    m = make_measurements(workflow.load_result(RunDirectory.open(finished)))
    with open_history(tmp_path / "other.db", create=True) as history:
        history.add(m.replace(high=m.high + 1e-9))  # the same run with other numbers
    other_run = tmp_path / "runs" / "second"
    workflow.run("synthetic:tiny-5", "quick", out=other_run, seed=8, workers=1)
    answer = call("add", finished, unfinished, stray, other_run, "--history", "other.db", "--json")
    assert answer.code == 4
    assert [line.split()[1].rpartition("/")[2] for line in answer.err.splitlines()] == ["run", "half", "nightly.log"]
    said = json.loads(answer.out)
    assert [(Path(s["directory"]).name, s["added"]) for s in said] == [("second", True), ("run", False), ("half", False), ("nightly.log", False)]
    assert "with other content (high)" in said[1]["why"]
    assert len(json.loads(call("list", "--json", "--history", "other.db").out)) == 2
    assert call("add", finished, other).out.splitlines()[-1] == "0 added, 2 there already, 0 left out."


def test_an_empty_history_says_so(call, tmp_path):
    open_history(tmp_path / "e.db", create=True).close()
    where = ("--history", tmp_path / "e.db")
    for command, code in (("list", 0), ("trend", 2), ("export", 2), ("show x", 2), ("verify", 0), ("prune --keep 1", 0)):
        answer = call(*command.split(), *where)
        assert answer.code == code, command
        if command not in ("verify", "prune --keep 1"):
            assert "holds no runs yet; add some: qthreshold history add RUN_DIR" in " ".join((answer.out + answer.err).split())


def test_the_environment_says_where(three, tmp_path, monkeypatch):
    (tmp_path / "qthreshold-history.db").rename(tmp_path / "moved.db")
    assert three("list").code == 2
    monkeypatch.setenv("QTHRESHOLD_HISTORY", str(tmp_path / "moved.db"))
    assert three("list").code == 0
    assert three("list", "--history", "none.db").code == 2


def test_lists_and_trends(three):
    text = three("list", "--last", "2").out
    assert "run1" not in text
    assert ["run2", "chip", "2026-01-02", "04:00", "failed", "-"] in [line.split() for line in text.splitlines()]
    assert [e["run_id"] for e in json.loads(three("list", "--json").out)] == ["run1", "run2", "run3"]
    text = three("trend", "-m", "cnot_error", "-t", "3-4").out
    assert "chip, 3 runs, intervals at 95 %. Last calibrated 1.0 hours before the last run." in " ".join(text.split())
    assert "C-NOT error of pair 3-4: " in text
    assert "3.00e-3 (2.70e-3 to 3.60e-3)" in text
    found = json.loads(three("trend", "-m", "cnot_error", "-t", "3-4", "--last", "2", "--json").out)
    assert found["schema"] == "qthreshold/trend/1"
    assert json.loads(three("trend", "-m", "cnot_error", "-t", "4-3", "--last", "2", "--json").out) == found
    assert [p["run_id"] for p in found["points"]] == ["run2", "run3"]
    assert found["points"][0]["calibrated_at"] == "2026-01-02T03:00:00Z"
    for words, message in (
        (("trend", "-d", "chop"), "did you mean chip?"), (("trend", "-m", "cnot"), "did you mean cnot_error"), (("show", "run"), "3 runs in"),
        (("trend", "-m", "cnot_error", "-t", "3-5"), "did you mean 3-4"), (("list", "-d", "chop"), "did you mean chip?"),
        (("export", "-m", "cnot"), "did you mean cnot_error"),
    ):  # fmt: skip
        answer = three(*words)
        assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
        assert message in answer.err


def test_a_long_trend_shows_its_end(call, tmp_path):
    with open_history(tmp_path / "qthreshold-history.db", create=True) as history:
        for k in range(25):
            history.add(measured(f"run{k:02}", day=k + 1))
        history.add(measured("other", device="other"))
    assert "--device: which of 'chip', 'other'?" in call("trend").err
    text = call("trend", "-d", "chip").out
    assert "run14" not in text
    assert "run15" in text
    assert "These are the newest 10 of the 25 runs looked at; --last N shows more" in " ".join(text.split())
    assert "run04" in call("trend", "-d", "chip", "--last", "24").out


def test_counts_are_whole_numbers_and_runs_of_an_hour_have_no_trend(call, tmp_path):
    rows, half = (("working_qubits", ""), ("cnot_error.mean", "")), np.array([0.0, 1e-4])
    with open_history(tmp_path / "qthreshold-history.db", create=True) as history:
        for k in range(4):
            best = np.array([1205, 4e-3])
            taken = f"2026-01-01T04:{20 * k // 60:02}:{20 * k % 60:02}Z"
            history.add(measured(f"run{k}", rows=rows, taken_at=taken, best=best, low=best - half, high=best + half))
    text = call("trend", "-m", "working_qubits").out
    assert [line.split()[3:] for line in text.splitlines() if line.strip().startswith("run3")] == [["1,205"]]
    assert "now 1,205." in text
    assert " working_qubits device 1,205 " in " ".join(call("show", "run1").out.split())
    text = " ".join(call("trend").out.split())
    assert "too short a time for a trend (1 minute)" in text
    assert "a day" not in text
    assert json.loads(call("trend", "--json").out)["drift"]["trend_per_day"]["high"] > 0.1  # the numbers are there for who wants them


def test_pairs_are_shown_together_and_those_that_drift_first(call, tmp_path):
    rng = np.random.default_rng(4)
    steady, rising = 3e-3 + 1e-4 * rng.standard_normal(30), 3e-3 + 1e-4 * rng.standard_normal(30) + 1e-4 * np.clip(np.arange(30) - 10, 0, None)
    with open_history(tmp_path / "qthreshold-history.db", create=True) as history:
        for k in range(30):
            m = measured(f"run{k:02}", day=k + 1)
            best = np.where([t == "10-11" for t in m.target], rising[k], np.where([t == "3-4" for t in m.target], steady[k], m.best))
            history.add(m.replace(best=best, low=best - 2e-4, high=best + 2e-4))
    text = call("trend", "-m", "cnot_error").out
    assert "chip, C-NOT error of a pair: 1 alarm among 2 series, 1 of them last." in text
    assert text.index("10-11") < text.index(" 3-4")
    found = json.loads(call("trend", "-m", "cnot_error", "--json").out)
    assert {f["target"]: f["drift"]["alarm"] is not None for f in found} == {"10-11": True, "3-4": False}
    shared = "The chance of any false alarm is at most 5 % in 30 runs, for the 3 error rates of the device together."
    assert shared in " ".join(text.split())
    with open_history(tmp_path / "qthreshold-history.db", create=False) as history:
        whole = {(d.metric, d.target): d for d in drift_of(history, "chip").drifts}
    for target in ("10-11", "3-4"):  # one number, the numbers of a metric and the device say the same
        alone = json.loads(call("trend", "-m", "cnot_error", "-t", target, "--json").out)["drift"]
        assert alone == next(f["drift"] for f in found if f["target"] == target) == whole["cnot_error", target].as_dict()
    assert shared in " ".join(call("trend").out.split())
    text = call("trend", "-m", "works").out
    assert "false alarm" not in text
    assert [line.split()[-3:] for line in text.splitlines() if line.split()[:1] == ["3"]] == [["-", "no", "alarm"]]
    assert call("site", "--out", "pages").code == 0
    assert "1 device with an alarm to the worse (chip)" in (tmp_path / "pages" / "index.html").read_text()


def test_runs_that_were_counted_otherwise_are_left_out_and_every_view_says_so(call, tmp_path):
    criterion = "criterion cnot_error"
    rising = 3e-3 * np.append(1 + 0.02 * np.random.default_rng(5).standard_normal(12), 1.1 ** np.arange(1, 9))
    with open_history(tmp_path / "qthreshold-history.db", create=True) as history:
        for k, value in enumerate(rising):
            m = measured(f"run{k:02}", day=k + 1, context={"device": "chip", "gate": "cnot", criterion: "0.1"})
            history.add(m.replace(best=np.full(4, value), low=np.full(4, 0.97 * value), high=np.full(4, 1.03 * value)))
        assert call("site", "--out", "pages", "-q").code == 0
        assert "left out" not in (tmp_path / "pages" / "index.html").read_text()
        assert "left out" not in call("trend").out
        m = measured("run99", day=31, context={"device": "chip", "gate": "cnot", criterion: "0.05"})
        history.add(m.replace(best=np.full(4, rising[-1]), low=np.full(4, 0.97 * rising[-1]), high=np.full(4, 1.03 * rising[-1])))
    said = "20 earlier runs are left out: they were measured or counted otherwise (criterion cnot_error: 0.1 there, 0.05 here)."
    for words in (("trend",), ("trend", "-m", "works"), ("trend", "-m", "works", "-t", "3")):
        assert said in " ".join(call(*words).out.split())
    left_out = {"runs": 20, "differences": [{"name": criterion, "there": "0.1", "here": "0.05"}]}
    assert json.loads(call("trend", "--json").out)["left_out"] == left_out
    assert [f["left_out"] for f in json.loads(call("trend", "-m", "works", "--json").out)] == [left_out]
    assert json.loads(call("trend", "--last", "5", "--json").out)["left_out"]["runs"] == 4  # of the newest five
    # what was found of a pair is the same whatever counts
    pairs = json.loads(call("trend", "-m", "cnot_error", "--json").out)
    assert [(f["left_out"]["runs"], len(f["points"]), f["drift"]["alarm"]["active"]) for f in pairs] == [(0, 21, True)] * 2
    assert "left out" not in call("trend", "-m", "cnot_error").out
    assert call("site", "--out", "pages", "-q").code == 0
    note = said.replace("left out:", "left out of all numbers but errors of single pairs and qubits:")
    index, page = ((tmp_path / "pages" / name).read_text() for name in ("index.html", page_name("chip")))
    assert "Runs of 1 device are left out, see below." in index
    assert f"chip: {note}" in index.replace("\N{NO-BREAK SPACE}", " ")
    assert note in page.replace("\N{NO-BREAK SPACE}", " ")


def test_a_metric_that_the_newest_run_does_not_have_stops_no_page(three, tmp_path):
    with open_history(tmp_path / "qthreshold-history.db", create=False) as history:
        history.add(measured("run4", day=4, context={"device": "chip", "gate": "cz"}, rows=(("working_qubits", ""), ("works", "3"))))
    assert three("site", "--out", "pages").code == 0
    assert "(gate: cnot there, cz here)" in (tmp_path / "pages" / "index.html").read_text().replace("\N{NO-BREAK SPACE}", " ")
    answer = three("trend", "-m", "cnot_error")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert "measured as its newest have no cnot_error" in answer.err


def test_exports_hold_every_number_and_no_formula(call, tmp_path):
    values = np.array([0.1, 0.2, np.nan, 0.3])
    runs = [
        measured("run1", day=1, device="=cmd()", dof=np.array([np.inf, 2.0, 3.5, 1e3])),
        measured("run2", day=2, best=values, low=values, high=values, status=("ok", "ok", "no_data", "ok")),
    ]
    with open_history(tmp_path / "qthreshold-history.db", create=True) as history:
        for m in runs:
            history.add(m, "passed")
    rows = list(csv.DictReader(io.StringIO(call("export").out)))
    assert len(rows) == 8
    assert rows[0]["device"] == "'=cmd()"
    assert (rows[0]["dof"], rows[1]["best"], rows[6]["best"], rows[6]["status"]) == ("", "0.002", "", "no_data")
    lines = [json.loads(line) for line in call("export", "--json").out.splitlines()]
    assert [line["best"] for line in lines] == [v if v == v else None for m in runs for v in m.best.tolist()]
    assert {line["gate"] for line in lines} == {"passed"}
    assert [r["run_id"] for r in csv.DictReader(io.StringIO(call("export", "-m", "works", "--last", "1").out))] == ["run2"]
    assert "2 runs written to out.csv" in call("export", "--out", "out.csv").out
    assert (tmp_path / "out.csv").read_text() == call("export").out


def test_pruning_asks_first(three):
    answer = three("prune", "--keep", "1")
    assert (answer.code, answer.out) == (2, "")
    assert "nothing was removed; --yes removes without a question" in answer.err
    assert json.loads(three("prune", "--before", "2026-01-02", "--yes", "--json").out) == {"removed": ["run1"]}
    assert "1 run removed from qthreshold-history.db." in three("prune", "--run", "run2", "-y").out
    assert [e["run_id"] for e in json.loads(three("list", "--json").out)] == ["run3"]
    for words in ((), ("--run", "x", "--keep", "1"), ("--before", "soon"), ("--run", "x", "--device", "chip"), ("--keep", "1", "-d", "chop")):
        answer = three("prune", *words, "-y")
        assert (answer.code, answer.err.count("\n")) == (2, 1)


def test_damage_is_said_in_one_line(three, tmp_path):
    path = tmp_path / "qthreshold-history.db"
    path.write_bytes(path.read_bytes().replace(b'"seed":"1"', b'"seed":"2"'))
    answer = three("verify")
    assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1)
    found = json.loads(three("verify", "--json").out)
    assert found["sound"] is False
    assert len(found["faults"]) == 3
    path.write_bytes(b"")
    for command in ("list", "trend", "verify", "show run1"):
        answer = three(*command.split())
        assert answer.code == 4
        assert answer.err == (
            "qthreshold: qthreshold-history.db is damaged (it is empty); move it away and add the run directories again:"
            " qthreshold history add RUN_DIR ...\n"
        )


def test_no_other_command_waits_for_the_database():
    code = "import sys, qthreshold.cli.app, qthreshold.history; print([m for m in ('sqlalchemy', 'alembic', 'psycopg', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=plain_environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_history_that_is_up_to_date_does_not_wait_for_migrations(three, tmp_path):
    code = (
        "import sys, qthreshold.history as h; s = h.open_history('qthreshold-history.db', create=True).series('chip', 'cnot_error.mean');"
        "print([m for m in ('alembic', 'psycopg', 'qiskit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=plain_environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def left(words, folder, *, buffered=True):
    """Exit code and stderr of a command whose reader leaves at once."""
    line = f"{' '.join(command_line('history', *words.split()))} | true; exit ${{PIPESTATUS[0]}}"
    env = plain_environment() | {"PYTHONUNBUFFERED": "" if buffered else "1"}
    done = subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", ["list", "trend --json", "export", "show run1"])
def test_a_reader_that_leaves_is_no_failed_gate(words, three, tmp_path):
    assert [left(words, tmp_path, buffered=b) for b in (True, False)] == [(0, ""), (0, "")]


@pytest.mark.parametrize(("words", "code"), [("verify --json", 4), ("add run missing --json", 2), ("add run missing", 2)])
def test_a_reader_that_leaves_hides_no_fault(words, code, three, tmp_path):
    path = tmp_path / "qthreshold-history.db"
    path.write_bytes(path.read_bytes().replace(b'"seed":"1"', b'"seed":"2"'))
    found, said = left(words, tmp_path)
    assert found == code
    assert said.startswith("qthreshold: ")
