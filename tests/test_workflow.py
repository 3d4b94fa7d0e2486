"""The whole job from Python: its summary is the contract, it repeats exactly, and its stages can be run again offline."""

import datetime
import json
import re
import shutil

import numpy as np
import pytest

import qthreshold as qt
from qthreshold import workflow
from qthreshold.assess import assess_device
from qthreshold.backends import open_backend
from qthreshold.errors import InputError, RunExistsError, StoreError
from qthreshold.rulebook import load_instruments
from qthreshold.store import RunDirectory
from reference.commands import PROFILE, content_of

NUMBER = (int, float, type(None))
INTERVAL = {"low": NUMBER, "best": NUMBER, "high": NUMBER, "level": float}
INTERPRETATION = dict.fromkeys(("aggregate", "infidelity", "context", "gate", "register", "systematics", "estimate", "connected"), str)
VERDICT = {
    "instrument": str, "entry": (str, type(None)), "outcome": str, "probability_met": NUMBER, "interpretation": INTERPRETATION, "reason": str,
    "jurisdiction": str, "as_of": str, "rule_sha256": str, "evidence": {"id": str, "records": dict}, "notice": str,
}  # fmt: skip
TEXT_OR_NONE = (str, type(None))
CONTRACT = {
    "schema": str, "run_id": str, "created_at": str, "software": {"python": str, "qthreshold": str, "numpy": str}, "seed": int,
    "device": {"name": str, "source": str, "n_qubits": int, "n_edges": int, "two_qubit_gate": str},
    "qubits": [{"qubit": int, "works": float, "readout_error": INTERVAL, "one_qubit_error": INTERVAL, "status": str, "reason": TEXT_OR_NONE}],
    "edges": [{"edge": [int], "cnot_error": INTERVAL, "epc": INTERVAL, "upper_cnot_error": INTERVAL, "systematic": [NUMBER],
               "p_ref": INTERVAL, "p_int": INTERVAL, "chi2_per_dof": NUMBER,
               "status": str, "reason": TEXT_OR_NONE, "true_cnot_error": NUMBER}],
    "not_measured": {"readout_error": [int], "one_qubit_error": [int]},
    "working_qubits": INTERVAL, "connected_working_qubits": INTERVAL, "connected": str,
    "cnot_error": {"estimate": str,
                   "mean": INTERVAL, "median": INTERVAL, "best": INTERVAL, "worst": INTERVAL, "systematic": [NUMBER], "true_mean": NUMBER,
                   "interpretation": INTERPRETATION},
    "verdicts": [VERDICT],
    "disagreements": [VERDICT],
    "matrix": [{"changes": dict, "interpretation": INTERPRETATION, "outcomes": dict}],
    "frontier": {"reason": TEXT_OR_NONE, "sizes": [int], "picked": [float], "bound": [float],
                 "cnot_error": {"low": [float], "best": [float], "high": [float], "level": float}},
    "cost": {"circuits": int, "executions": int, "estimated_qpu_seconds": NUMBER, "actual_qpu_seconds": NUMBER,
             "wall_seconds": dict.fromkeys(("plan", "submit", "collect", "analyse", "judge", "report"), float)},
}  # fmt: skip


def check(value, form, place="summary"):
    """Every key of the contract is there and of its type; further keys are allowed."""
    if isinstance(form, dict):
        assert isinstance(value, dict), place
        assert not set(form) - set(value), f"{place} lacks {set(form) - set(value)}"
        for key, inner in form.items():
            check(value[key], inner, f"{place}.{key}")
    elif isinstance(form, list):
        assert isinstance(value, list), place
        for i, item in enumerate(value):
            check(item, form[0], f"{place}[{i}]")
    else:
        assert isinstance(value, form), f"{place}: {value!r}"
        assert not isinstance(value, bool), place


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return qt.run(backend="aer:tiny-5", recipe="quick", seed=7, out=tmp_path_factory.mktemp("run") / "run", workers=1)


def without_changing(summary):
    """The part of a summary that does not depend on when and how fast a run went."""
    summary = json.loads(json.dumps(summary))
    for name in ("created_at", "run_id"):
        del summary[name]
    del summary["cost"]["wall_seconds"]
    return summary


def test_the_summary_holds_everything_in_the_contract(result):
    summary = result.summary()
    check(summary, CONTRACT)
    assert summary["schema"] == "qthreshold/summary/1"
    assert datetime.datetime.fromisoformat(summary["created_at"]).tzinfo is not None
    assert re.fullmatch(r"[0-9a-f]{16}", summary["run_id"])
    assert summary["seed"] == 7
    assert (len(summary["qubits"]), len(summary["edges"])) == (5, 4)
    assert [v["instrument"] for v in summary["verdicts"]] == [i.id for i in load_instruments()]
    assert len(summary["verdicts"]) == 17
    assert {v["outcome"] for v in summary["verdicts"]} <= {"met", "not_met", "undetermined", "not_verified", "no_entry", "not_in_force"}


def test_the_summary_is_strict_json_and_the_file_says_the_same(result):
    text = json.dumps(result.summary(), allow_nan=False)
    assert json.loads(text) == json.loads((result.directory / "summary.json").read_text())


def test_numbers_in_the_summary_agree_with_each_other(result):
    summary = result.summary()
    errors = [e["cnot_error"]["best"] for e in summary["edges"]]
    assert summary["cnot_error"]["mean"]["best"] == pytest.approx(np.mean(errors))
    assert summary["cnot_error"]["best"]["best"] == min(errors)
    assert summary["cnot_error"]["worst"]["best"] == max(errors)
    assert summary["cnot_error"]["true_mean"] == pytest.approx(np.mean([e["true_cnot_error"] for e in summary["edges"]]))
    for item in [*summary["qubits"], *summary["edges"]]:
        for interval in (v for v in item.values() if isinstance(v, dict)):
            assert interval["low"] <= interval["best"] <= interval["high"]
            assert interval["level"] == 0.95
    for edge in summary["edges"]:  # the definition of the interleaved error, from the joint fit
        assert edge["cnot_error"]["best"] == pytest.approx(0.75 * (1 - edge["p_int"]["best"] / edge["p_ref"]["best"]), rel=1e-6)
        assert edge["systematic"][0] <= edge["cnot_error"]["best"] <= edge["systematic"][1]
    assert summary["connected_working_qubits"]["best"] == 5


def test_the_measured_errors_are_near_the_true_ones(result):
    for edge in result.summary()["edges"]:
        half = (edge["cnot_error"]["high"] - edge["cnot_error"]["low"]) / 2
        assert abs(edge["cnot_error"]["best"] - edge["true_cnot_error"]) < 2.5 * half


def test_the_same_seed_gives_the_same_summary_whatever_the_number_of_workers(result, tmp_path, monkeypatch):
    monkeypatch.setattr("qthreshold.backends.aer._FEW_UNITS", 0)  # start processes even for so few circuits
    again = qt.run(backend="aer:tiny-5", recipe="quick", seed=7, out=tmp_path / "again", workers=2)
    assert without_changing(again.summary()) == without_changing(result.summary())
    for name in ("device", "plan", "decays", "fits", "metrics", "verdicts"):
        assert getattr(again, name) == getattr(result, name)


def test_another_seed_gives_other_counts(result, tmp_path):
    other = qt.run(backend="aer:tiny-5", recipe="quick", seed=8, out=tmp_path / "other", workers=1)
    assert other.plan != result.plan
    assert other.summary()["cnot_error"]["mean"] != result.summary()["cnot_error"]["mean"]
    assert other.device == result.device


def test_stages_repeated_offline_leave_every_byte_as_it_was(result, monkeypatch):
    before = content_of(result.directory)
    monkeypatch.setattr(workflow, "open_backend", lambda *a, **k: pytest.fail("a backend was opened"))
    directory = RunDirectory.open(result.directory)
    for stage in (workflow.analyse, workflow.judge_run, workflow.report, workflow.resume, workflow.report):
        stage(directory)
        assert content_of(result.directory) == before


def test_stages_one_by_one_give_the_same_files_as_a_run(result, tmp_path):
    with open_backend("aer:tiny-5") as backend:
        directory = workflow.make_run(tmp_path / "staged", backend=backend, recipe=workflow.load_recipe("quick"), seed=7)
        workflow.submit(directory, backend)
        workflow.collect(directory, backend)
    workflow.analyse(directory)
    workflow.judge_run(directory)
    assert without_changing(workflow.report(directory).summary()) == without_changing(result.summary())
    ours, theirs = content_of(tmp_path / "staged"), content_of(result.directory)
    assert set(ours) == set(theirs)
    assert {n for n in ours if ours[n] != theirs[n]} <= {"manifest.json", "report.html", "run.json", "summary.json", "timing.json"}


def test_a_run_can_be_judged_as_of_another_day_and_by_other_rules(result, tmp_path):
    directory = RunDirectory(shutil.copytree(result.directory, tmp_path / "run"))
    verdicts = workflow.assess_run(directory, rules=["eu-dual-use"], as_of=datetime.date(2025, 11, 14)).verdicts
    assert [(v.instrument, v.outcome, v.as_of) for v in verdicts.verdicts] == [("eu-dual-use", "not_in_force", "2025-11-14")]
    assert directory.verify() == []
    again = workflow.judge_run(directory).verdicts  # back to what the run was started with
    assert again == result.verdicts


def test_confidence_is_the_level_of_every_interval(tmp_path):
    result = qt.run(backend="aer:tiny-5", recipe="quick", seed=7, out=tmp_path / "run", workers=1, confidence=0.8)
    levels = set(re.findall(r'"level": ([\d.]+)', (tmp_path / "run/summary.json").read_text()))
    assert levels == {"0.8"}
    assert result.metrics.mean.high - result.metrics.mean.low > 0


def test_rules_and_day_of_a_run_are_kept(tmp_path):
    result = qt.run(
        backend="aer:tiny-5", recipe="quick", out=tmp_path / "run", workers=1, rules=["eu-dual-use"], as_of=datetime.date(2025, 1, 1)
    )  # fmt: skip
    assert [(v.instrument, v.outcome) for v in result.verdicts.verdicts] == [("eu-dual-use", "not_in_force")]
    assert "eu-dual-use" in (tmp_path / "run/run.json").read_text()
    assert workflow.judge_run(RunDirectory(tmp_path / "run")).verdicts == result.verdicts


@pytest.mark.parametrize(
    ("change", "words"),
    [({"backend": "aer:nosuch"}, "unknown profile"), ({"backend": "nosuch"}, "unknown backend"), ({"recipe": "nosuch"}, "unknown recipe"),
     ({"confidence": 1.0}, "confidence"), ({"confidence": 0.4}, "confidence"), ({"seed": -1}, "seed"), ({"rules": ["nosuch"]}, "unknown rule")],
)  # fmt: skip
def test_bad_arguments_are_input_errors_and_make_no_directory(change, words, tmp_path):
    with pytest.raises(InputError, match=words):
        qt.run(**({"backend": "aer:tiny-5", "recipe": "quick", "out": tmp_path / "run"} | change))
    assert not (tmp_path / "run").exists()


def test_a_run_never_writes_over_another(result):
    before = content_of(result.directory)
    with pytest.raises(RunExistsError, match="already holds a run"):
        qt.run(backend="aer:tiny-5", recipe="quick", out=result.directory)
    assert content_of(result.directory) == before


def test_counts_are_not_collected_from_a_device_that_has_changed_since(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(PROFILE)
    with open_backend("aer:mine.toml") as backend:
        directory = workflow.make_run(tmp_path / "run", backend=backend, recipe=workflow.load_recipe("quick"), seed=1)
    (tmp_path / "mine.toml").write_text(PROFILE.replace("6e-3", "7e-3"))
    with pytest.raises(InputError, match="planned for another state of 'mine'"):
        workflow.resume(directory, workers=1)


def test_a_changed_header_is_noticed(tmp_path):
    with open_backend("aer:tiny-5") as backend:
        directory = workflow.make_run(tmp_path / "run", backend=backend, recipe=workflow.load_recipe("quick"), seed=1)
    path = tmp_path / "run/run.json"
    path.write_text(path.read_text().replace("0.95", "0.55"))
    with pytest.raises(StoreError, match=r"run\.json was changed"):
        workflow.resume(directory, workers=1)


def test_two_runs_started_in_the_same_second_do_not_share_a_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    now = datetime.datetime(2026, 1, 2, 3, 4, 5)
    first = workflow.default_directory("aer:profiles/tiny-5.toml", now)
    assert first.as_posix() == "qthreshold-runs/tiny-5-20260102-030405"
    first.mkdir(parents=True)
    assert workflow.default_directory("aer:tiny-5", now).name == "tiny-5-20260102-030405-2"


def test_a_data_sheet_is_judged_without_a_run():
    verdicts = qt.judge(qubits=133, cnot_error=2.5e-3, as_of=datetime.date(2026, 11, 24))
    outcomes = {v.instrument: v.outcome for v in verdicts}
    assert {i for i, o in outcomes.items() if o == "not_met"} == {"us-ear", "eu-dual-use", "gb-4a506", "de-aw", "ca-ecl", "jp-fefta"}
    assert {o for i, o in outcomes.items() if i not in ("cn-dual-use", "gb-pl9014")} == {"not_met", "not_verified"}
    assert (outcomes["cn-dual-use"], outcomes["gb-pl9014"]) == ("no_entry", "not_in_force")
    verdict = qt.judge(qubits=133, cnot_error=9e-4, low=8e-4, high=1.1e-3, rules=["us-ear"], as_of=datetime.date(2026, 1, 1))[0]
    assert (verdict.outcome, verdict.entry, verdict.as_of) == ("undetermined", "4A906.a.2", "2026-01-01")
    assert qt.judge(qubits=133, cnot_error=9e-4, low=8e-4, high=1.1e-3, rules=["us-ear"], confidence=0.6)[0].outcome == "met"
    check(json.loads(json.dumps(verdict.as_dict(), allow_nan=False)), VERDICT)


@pytest.mark.parametrize("change", [{"qubits": -1}, {"cnot_error": 2.0}, {"low": 1e-2}, {"confidence": 1.5}, {"rules": ["nosuch"]}])
def test_a_bad_data_sheet_is_an_input_error(change):
    with pytest.raises(InputError):
        qt.judge(**({"qubits": 50, "cnot_error": 1e-3} | change))


def test_a_device_is_judged_by_its_own_calibration():
    found = assess_device("aer:tiny-5", as_of=datetime.date(2026, 1, 1))
    with open_backend("aer:tiny-5") as backend:
        assert (found.reported.connected, found.reported.mean) == (5, pytest.approx(backend.device.edge_error.mean()))
    first = found.verdicts.verdicts[0]
    assert (first.interpretation.gate, first.interpretation.estimate, first.outcome) == ("native", "reported", "not_met")
