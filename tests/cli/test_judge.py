"""``judge`` from end to end: data sheets, reported calibrations, runs, readings, best parts, what it would take."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.cli.common import parse_criteria
from qthreshold.errors import InputError
from reference.commands import PROFILE, here

LAW = Path(__file__).parents[2] / "docs" / "law.md"


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "QTHRESHOLD_RULES_DIR"):
        monkeypatch.delenv(name, raising=False)
    return lambda line: here(line if isinstance(line, list) else line.split(), monkeypatch, capsys)


def words(text):
    return " ".join(text.split())


def rows():
    """Machine, command and outcome of the table of published machines."""
    found = re.findall(r"^\| ([^|]+) \| `qthreshold (judge [^`]+)` \| ([a-z ]+) \|$", LAW.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) >= 5
    return found


@pytest.mark.parametrize(("machine", "command", "outcome"), rows())
def test_published_machines_come_out_as_the_documentation_says(machine, command, outcome, call):
    answer = call([*shlex.split(command), "--rules", "us-ear", "--as-of", "2026-01-01", "--json"])
    assert (answer.code, answer.err) == (0, "")
    assert [v["outcome"] for v in json.loads(answer.out)["verdicts"]] == [outcome.replace(" ", "_")]


def test_a_data_sheet_is_judged_by_all_instruments_and_those_without_a_verdict_say_why(call):
    answer = call("judge --qubits 98 --cnot-error 7.9e-4 --as-of 2026-01-01")
    text = words(answer.out)
    for said in ("4A906.a.1", "4A506.a.1", "5506(2)(c)(ii)(A)(I)", "2 more qubits: 4A906.a.2, limit 1e-3", "the error is 7.9 times that",
                 "No verdict, not verified: ", "France", "China (cn-dual-use): no entry", "superseded after 2025-12-15"):  # fmt: skip
        assert said in text
    assert max(map(len, answer.out.splitlines())) <= 80


@pytest.mark.parametrize(("day", "old", "new"), [("2025-12-15", "met", "not_in_force"), ("2025-12-16", "not_in_force", "met")])
def test_the_british_entries_take_turns(day, old, new, call):
    document = json.loads(call(f"judge --qubits 150 --cnot-error 5e-4 --rules gb-pl9014,gb-4a506 --as-of {day} --json").out)
    assert [v["outcome"] for v in document["verdicts"]] == [old, new]


def test_the_process_reading_of_a_data_sheet_is_named_where_it_differs(call):
    text = words(call("judge --qubits 150 --cnot-error 9e-4 --rules us-ear").out)
    assert "Read with infidelity process: not met (United States)." in text
    assert "Read with" not in words(call("judge --qubits 150 --cnot-error 5e-4 --rules us-ear").out)


def test_what_if_states_distances_counts_and_shots(call):
    text = words(call("judge --qubits 98 --cnot-error 7.9e-4 --rules us-ear --what-if").out)
    assert "4A906.a.1 34 to 99 1e-4 an error 7.9 times smaller" in text
    assert "4A906.a.2 100 to 199 1e-3 2 more qubits" in text
    assert "At 98 qubits a band is met with an error of 1e-4 or less." in text
    assert "An error of 7.90e-4 meets a band with 100 and more qubits." in text
    open_ = words(call("judge --qubits 150 --cnot-error 9e-4 --low 7e-4 --high 1.1e-3 --rules us-ear --what-if").out)
    assert "About 4 times the shots would settle the verdict" in open_
    document = json.loads(call("judge --qubits 150 --cnot-error 9e-4 --low 7e-4 --high 1.1e-3 --rules us-ear --json").out)
    assert document["what_if"][0]["times_shots"] == 4


def test_every_verdict_in_the_json_says_what_it_rests_on(call):
    document = json.loads(call("judge --qubits 150 --cnot-error 5e-4 --json").out)
    assert document["schema"] == "qthreshold/verdicts/1"
    for v in document["verdicts"]:
        assert re.fullmatch(r"[0-9a-f]{64}", v["rule_sha256"])
        assert re.fullmatch(r"[0-9a-f]{64}", v["evidence"]["id"])
        assert v["notice"] == "Evidence, not legal advice."
    assert {v["outcome"] for v in document["verdicts"]} == {"met", "not_verified", "no_entry", "not_in_force"}


@pytest.fixture
def finished(tmp_path, call):
    assert call("run -b aer:tiny-5 -r quick -o run -q --workers 1").code == 0
    return tmp_path / "run"


def test_the_matrix_of_a_run_has_every_reading_once(finished, call):
    answer = call("judge run --matrix --rules us-ear,jp-fefta")
    text = words(answer.out)
    for reading in ("the usual choices", "aggregate median", "infidelity process", "register any subregister", "systematics included"):
        assert reading in text
    assert max(map(len, answer.out.splitlines())) <= 80
    matrix = json.loads(call("judge run --json --rules us-ear,jp-fefta").out)["matrix"]
    assert len(matrix) == len({json.dumps(r["interpretation"], sort_keys=True) for r in matrix}) == 12
    assert matrix[0]["changes"] == {}
    assert all(set(r["outcomes"]) == {"us-ear", "jp-fefta"} for r in matrix)


MINE = """\
schema = "qthreshold/rule/1"
id = "house-rule"
title = "Our own limits"
jurisdiction = "Our lab"
entry = "X"
citation = "none"
in_force = 2020-01-01
standing = "text"
counted_qubits = "as counted"
error_term = "as measured"

[[bands]]
entry = "X.1"
min_qubits = 3
max_qubits = 5
max_error = 1e-5

[[bands]]
entry = "X.2"
min_qubits = 5
max_error = 0.5
"""


def test_rules_of_ones_own_are_used_and_kept_in_the_run(call, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/house-rule.toml").write_text(MINE)
    assert call("run -b aer:tiny-5 -r quick -o run -q --workers 1 --rules-dir mine --rules us-ear,house-rule").code == 0
    outcomes = {v["instrument"]: v["outcome"] for v in json.loads((tmp_path / "run/summary.json").read_text())["verdicts"]}
    assert outcomes == {"us-ear": "not_met", "house-rule": "met"}
    (tmp_path / "mine").rename(tmp_path / "gone")
    assert call("verify run").code == 0
    moved = shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    text = words(call(["judge", str(moved)]).out)
    assert "Our lab X.2 met" in text
    (Path(moved) / "rules/house-rule.toml").write_text(MINE.replace("0.5", "1e-9"))
    answer = call(["verify", str(moved)])
    assert answer.code == 4
    assert "rules/house-rule.toml: changed" in answer.err


def test_best_parts_of_a_run_name_their_qubits_and_what_is_proven(finished, call, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/house-rule.toml").write_text(MINE)
    text = words(call("judge run --rules-dir mine --rules house-rule --frontier").out)
    assert "best part C-NOT error as picked proven bound gap" in text
    assert re.search(r"3 qubits \d\.\d\de-3 \(", text)
    assert re.search(r"3 qubits: (0-2|1-3|2-4)", text)
    found = json.loads(call("judge run --rules-dir mine --rules house-rule --json").out)["frontier"]
    assert found["sizes"] == [2, 3, 4, 5]
    assert found["picked"] == pytest.approx(found["bound"])  # five qubits are searched to the end
    assert set(found["registers"]) == {"3", "5"}


def test_criteria_of_the_command_line_change_who_works(finished, call):
    usual = json.loads(call("judge run --json --rules us-ear").out)["verdicts"][0]
    strict = json.loads(call("judge run --json --rules us-ear --criteria cnot_error=1e-6").out)["verdicts"][0]
    assert (usual["distance"]["qubits"], strict["distance"]["qubits"]) == (5, 0)
    assert call("verify run").code == 0  # a question, not a part of the run
    assert call("run -b aer:tiny-5 -r quick -o other -q --workers 1 --criteria cnot_error=1e-6").code == 0
    assert json.loads((finished.parent / "other/summary.json").read_text())["connected_working_qubits"]["best"] == 0


def test_an_uncertain_count_has_an_interval_and_names_its_effect(call, tmp_path):
    # readout of every qubit lies near the criterion, so each works or not with some probability
    (tmp_path / "mine.toml").write_text(PROFILE.replace("qubits = 3", "qubits = 6").replace("p1_given_0 = 0.01", "p1_given_0 = 0.05"))
    assert call("run -b synthetic:mine.toml -r quick -o run -q").code == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/house-rule.toml").write_text(MINE)
    line = "judge run --rules-dir mine --rules house-rule --criteria readout_error=0.0252"
    text, document = words(call(line).out), json.loads(call(f"{line} --json").out)
    count = document["connected_working_qubits"]
    assert count["low"] < count["high"]
    assert f"{count['best']:.0f} connected working qubits (95 %: {count['low']:.0f} to {count['high']:.0f})" in text
    assert "the count is in " in text


def test_reported_errors_are_labelled_as_reported(call, tmp_path):
    (tmp_path / "mine.toml").write_text(PROFILE)
    answer = call("judge --device aer:mine.toml --rules us-ear --frontier")
    text = words(answer.out)
    assert (answer.code, answer.err) == (0, "")
    assert "nothing was measured" in text
    assert "reported, not measured" in text
    document = json.loads(call("judge --device aer:mine.toml --rules us-ear --json").out)
    assert document["device"]["basis"] == "reported, not measured"
    assert document["device"]["two_qubit_error"]["mean"] == pytest.approx(6e-3)
    assert document["verdicts"][0]["interpretation"]["estimate"] == "reported"
    assert {"device"} == set(document["verdicts"][0]["evidence"]["records"])


CRITERIA = st.dictionaries(st.sampled_from(["one_qubit_error", "readout_error", "cnot_error"]), st.floats(1e-9, 1), min_size=1)


@given(CRITERIA, st.sampled_from(["", " "]))
def test_criteria_are_read_as_they_are_written(criteria, space):
    text = f",{space}".join(f"{name}{space}={space}{value!r}" for name, value in criteria.items())
    assert parse_criteria(text) == criteria


@given(st.text(max_size=30))
def test_any_other_text_is_refused_or_read_whole(text):
    try:
        found = parse_criteria(text)
    except InputError:
        return
    assert len(found) == text.count(",") + 1


def test_criteria_apply_to_reported_errors(call, tmp_path):
    (tmp_path / "mine.toml").write_text(PROFILE)
    document = json.loads(call("judge --device aer:mine.toml --criteria readout_error=0.5,cnot_error=0.5 --json").out)
    assert document["device"]["connected_working_qubits"] == 3
    answer = call("judge --device aer:mine.toml --criteria cnot_error=1e-4")
    assert answer.code == 2
    assert "reports no two-qubit error of a working pair" in answer.err


def test_a_system_sheet_is_judged_alone_or_beside_a_computer(call):
    alone = call("judge --system example-lab --as-of 2026-01-01")
    assert (alone.code, alone.err) == (0, "")
    assert "3A904.a" in alone.out
    assert "4A906.a.1" not in alone.out
    assert max(map(len, alone.out.splitlines())) <= 80
    both = json.loads(call("judge --system example-lab --qubits 98 --cnot-error 7.9e-4 --json").out)
    assert both["verdicts"]
    assert {n["outcome"] for n in both["neighbours"]} <= {"met", "not_met", "not_stated", "not_in_force"}


def test_the_choices_are_explained(call):
    answer = call("interpretations show")
    assert max(map(len, answer.out.splitlines())) <= 80
    for name in ("aggregate", "infidelity", "register", "systematics", "context", "gate", "estimate", "connected", "any_subregister"):
        assert name in answer.out
    assert "systematics" not in call("interpretations show register").out
    assert [c["name"] for c in json.loads(call("interpretations show gate --json").out)] == ["gate"]


BAD = {
    "nothing to judge": ("judge", "give one of: a run directory, --qubits with --cnot-error, or --device; or --system"),
    "two things to judge": ("judge run --qubits 5 --cnot-error 1e-3", "give one of"),
    "reversed interval": ("judge --qubits 98 --cnot-error 7.9e-4 --low 8e-4 --high 7e-4", "the interval must contain the error"),
    "error above one": ("judge --qubits 98 --cnot-error 1.5", "the C-NOT error must lie between 0 and 1"),
    "half a data sheet": ("judge --qubits 98", "--qubits and --cnot-error go together"),
    "frontier of a data sheet": ("judge --qubits 98 --cnot-error 1e-3 --frontier", "--frontier and --criteria need single qubits and pairs"),
    "matrix of a system": ("judge --system example-lab --matrix", "--what-if, --matrix and --frontier need"),
    "unknown instrument": ("judge --qubits 98 --cnot-error 1e-3 --rules us-eer", "unknown rule 'us-eer': did you mean us-ear"),
    "no day": ("judge --qubits 98 --cnot-error 1e-3 --as-of 2026-02-30", "--as-of '2026-02-30' is not a day"),
    "criterion without a number": ("judge --device aer:tiny-5 --criteria cnot_error", "'cnot_error' is not NAME=NUMBER"),
    "unknown criterion": ("judge --device aer:tiny-5 --criteria cnot=0.1", "unknown criterion 'cnot'. Known: one_qubit_error"),
    "criterion above one": ("judge --device aer:tiny-5 --criteria cnot_error=2", "criterion cnot_error"),
    "criterion twice": ("judge --device aer:tiny-5 --criteria cnot_error=0.1,cnot_error=0.2", "states cnot_error twice"),
    "no directory of rules": ("judge --qubits 98 --cnot-error 1e-3 --rules-dir nowhere", "nowhere"),
    "no system sheet": ("judge --system nosuch", "unknown system sheet 'nosuch'"),
    "rules without equipment": ("judge --system example-lab --rules cn-dual-use", "no entry for such equipment is stated in cn-dual-use"),
    "unknown choice": ("interpretations show registr", "unknown choice 'registr': did you mean register"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line(name, call):
    line, said = BAD[name]
    answer = call(line)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert said in answer.err
