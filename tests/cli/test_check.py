"""``qthreshold check`` from end to end: exit codes, gate files, baselines, and what cannot be checked."""

import json
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

import qthreshold as qt
from qthreshold import workflow
from qthreshold.check import CheckResult
from qthreshold.datafiles import shipped
from qthreshold.errors import StoreError
from reference.commands import command, content_of, here, plain_environment, qthreshold


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("QTHRESHOLD_HISTORY", raising=False)
    return lambda *words: here(list(words), monkeypatch, capsys)


@pytest.fixture(scope="session")
def _another(tmp_path_factory):
    out = tmp_path_factory.mktemp("another") / "run"
    workflow.run("aer:tiny-5", "quick", out=out, seed=8, workers=1)
    return out


@pytest.fixture
def another(_another, tmp_path):
    """Another night of the same device."""
    return shutil.copytree(_another, tmp_path / "another")


def gate_file(tmp_path, *lines):
    path = tmp_path / "gate.toml"
    path.write_text("\n".join(['schema = "qthreshold/gate/1"', *lines, ""]))
    return str(path)


def test_a_device_that_meets_no_rule_passes_and_the_answer_comes_first(finished, call):
    answer = call("check", str(finished))
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("tiny-5: the gate is passed")
    assert json.loads((finished / "check.json").read_text())["exit_code"] == 0
    assert call("verify", str(finished)).code == 0


def test_json_is_the_result_and_nothing_else(finished, call):
    answer = call("check", str(finished), "--json")
    result = CheckResult.from_dict(json.loads(answer.out))
    assert result.device == "tiny-5"
    assert json.loads((finished / "check.json").read_text()) == json.loads(answer.out)


@pytest.mark.parametrize(
    ("lines", "options", "code", "says"),
    [
        (['[[limits]]', 'metric = "cnot_error.mean"', "max = 1e-4"], [], 1, "beyond the max of 1e-4"),
        (['[[limits]]', 'metric = "cnot_error.mean"', "max = 1e-4"], ["--fail-on", "never"], 0, "the gate is passed"),
        (['[[limits]]', 'metric = "working_qubits"', "min = 5"], [], 0, "the gate is passed"),
        (['[[limits]]', 'metric = "cnot_error"', 'target = "0-1"', "max = 0.5", "min = 0.1"], [], 1, "C-NOT error of pair 0-1"),
        (['fail_on = ["never"]', '[[limits]]', 'metric = "cnot_error.mean"', "max = 1e-4"], ["--fail-on", "met"], 1, "beyond"),
    ],
)  # fmt: skip
def test_limits_of_a_gate_file_decide(lines, options, code, says, finished, tmp_path, call):
    answer = call("check", str(finished), "--gate", gate_file(tmp_path, *lines), *options)
    assert answer.code == code, answer.err
    assert says in " ".join(answer.out.split())


def test_an_unchanged_device_is_no_regression_and_a_worse_one_is(finished, another, call, tmp_path):
    calm = call("check", str(finished), "--baseline", str(another), "--max-regression", "100%", "--fail-on", "met")
    assert calm.code == 0, calm.out
    worse = tmp_path / "worse.toml"
    worse.write_text((shipped("backends") / "tiny-5.toml").read_text().replace("median = 6e-3", "median = 3e-2"))
    workflow.run(f"aer:{worse}", "quick", out=tmp_path / "worse", seed=9, workers=1)
    answer = call("check", str(tmp_path / "worse"), "--baseline", str(finished), "--json")
    result = CheckResult.from_dict(json.loads(answer.out))
    assert (answer.code, result.exit_code) == (5, 5)
    assert "cnot_error.mean" in {c.name for c in result.having("failed")}
    assert result.baseline == (json.loads((finished / "summary.json").read_text())["run_id"],)


def test_a_run_that_is_not_finished_is_a_fault_of_the_infrastructure(finished, call):
    (finished / "verdict.json").unlink()
    answer = call("check", str(finished), "--json")
    result = CheckResult.from_dict(json.loads(answer.out))
    assert (answer.code, [c.outcome for c in result.cases]) == (4, ["error"])
    assert "resume" in result.answer


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fail-on", "sometimes"], "--fail-on 'sometimes'"),
        (["--fail-on", "never,met"], "or never alone"),
        (["--instruments", "us-eer"], "did you mean us-ear"),
        (["--max-regression", "much"], "--max-regression 'much'"),
        (["--max-regression", "-5%"], "greater than or equal to 0"),
        (["--fdr", "2"], "--fdr '2'"),
        (["--baseline", "nowhere"], "nowhere is not a run directory"),
        (["--baseline", "{run}"], "is the run itself"),
        (["--baseline", "last-good"], "name it with --history"),
        (["--baseline", "last:none"], "last:7"),
        (["--gate", "nowhere.toml"], "nowhere.toml"),
        (["--record"], "--record needs --history"),
        (["--format", "junitt"], "junit"),
        (["--history", "new.db", "--baseline", "last-good"], "new.db"),
        (["--instruments", " "], "--instruments is empty"),
        (["--baseline", ""], "--baseline is empty"),
        (["--max-regression", "5"], "write 5% for percent"),
        (["--format", "junit={run}/verdict.json"], "lies in a run directory"),
        (["--format", "junit={run}/counts/0000.npz"], "lies in a run directory"),
        (["--format", "junit={run}"], "name a file, such as junit=out/junit.xml"),
        (["--format", "junit=out/"], "name a file"),
        (["--format", "junit=x,markdown=./x"], "junit is written there"),
        (["--history", "lab.db", "--record", "--format", "junit=lab.db"], "the history is written there"),
    ],
)
def test_bad_options_are_one_line_and_change_nothing(options, says, finished, tmp_path, call):
    before = content_of(tmp_path)
    answer = call("check", str(finished), *(o.format(run=finished) for o in options))
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert says in answer.err
    assert content_of(tmp_path) == before


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["[[limits]]", 'metric = "cnot_eror.mean"', "max = 1"], "line 3: limits.0.metric: unknown metric 'cnot_eror.mean': did you mean cnot_error"),
        (["limit = 3"], "limit"),
        (['max_regression = "five"'], "max_regression"),
        (['fail_on = "met"'], 'line 2: fail_on: is a list: fail_on = ["met"]'),
        (["[limits]", 'metric = "works"', "min = 1"], "limits: is a list of tables: write [[limits]]"),
        (["[[limits]]", 'metric = "works"', 'min = "1e-2"'], "line 4: limits.0.min: "),
        (["[[limits]]", 'metric = "works"', "min = true"], "line 4: limits.0.min: "),
        (["[[limits]]", 'metric = "cnot_error.mean"', "max = -1"], "-1 is no limit on cnot_error.mean, which lies between 0 and 1"),
        (["[[limits]]", 'metric = "readout_error"', "max = 2.5"], "2.5 is no limit on readout_error, which lies between 0 and 1"),
        (["[[limits]]", 'metric = "working_qubits"', "min = -3"], "-3 is no limit on working_qubits"),
    ],
)  # fmt: skip
def test_a_bad_gate_file_is_named_with_its_line(lines, says, finished, tmp_path, call):
    answer = call("check", str(finished), "--gate", gate_file(tmp_path, *lines))
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert says in answer.err


def test_another_device_is_no_baseline(finished, call, tmp_path):
    workflow.run("exact:crosstalk-12", "quick", out=tmp_path / "other", seed=1, workers=1)
    answer = call("check", str(finished), "--baseline", str(tmp_path / "other"))
    assert answer.code == 2
    assert "device: crosstalk-12 in the baseline, tiny-5 here" in answer.err


def test_the_history_gives_the_baseline(finished, another, call):
    first = call("check", str(another), "--history", "lab.db", "--baseline", "last-good", "--record", "--max-regression", "100%", "--fail-on", "met")
    assert first.code == 0, first.err
    second = call("check", str(finished), "--history", "lab.db", "--baseline", "last-good", "--max-regression", "100%", "--fail-on", "met", "--json")
    assert second.code == 0, second.err
    assert json.loads(second.out)["baseline"] == [json.loads((another / "summary.json").read_text())["run_id"]]
    assert len(json.loads(call("history", "list", "--history", "lab.db", "--json").out)) == 1  # without --record nothing was added


def test_the_schema_of_gate_files_is_printed(call):
    schema = json.loads(call("check", "--gate-schema").out)
    assert set(schema["properties"]) >= {"schema", "fail_on", "limits", "baseline", "max_regression", "fdr", "instruments"}


def test_the_real_command_line(finished, tmp_path):
    answer = qthreshold("check", finished, "--format", f"junit={tmp_path / 'out.xml'}", cwd=tmp_path)
    assert answer.code == 0, answer.err
    assert (tmp_path / "out.xml").read_text().startswith("<?xml")


def test_counts_that_are_not_what_was_written_do_not_pass(finished, call):
    counts = next((finished / "counts").iterdir())
    counts.write_bytes(counts.read_bytes()[:-1] + b"x")
    answer = call("check", str(finished))
    assert answer.code == 4
    assert counts.name in answer.out


def alter(run, name):
    """Another content that can be read as well as the first."""
    path = run / name
    path.write_bytes(path.read_bytes() + (b"\n" if name.endswith(".json") else b"\0"))


@pytest.mark.parametrize("name", ["fits.npz", "metrics.json", "counts/0000.npz"])
def test_a_run_that_is_not_what_was_written_is_no_evidence_anywhere(name, finished, another, call):
    alter(another, name)
    says = f"another/{name}: changed since it was written"
    assert call("report", "another").err.count(says) == 1
    assert call("verify", "another").code == 4  # which the report before has not put right
    for words in (("report", "another"), ("report", str(finished), "another", "--out", "side"), ("history", "add", "another", "--history", "lab.db")):
        answer = call(*words)
        assert (answer.code, answer.err.count("\n")) == (4, 1)
        assert says in answer.err
    assert says in call("check", "another").out
    answer = call("check", str(finished), "--baseline", "another", "--format", "junit")
    assert answer.code == 4
    assert says in answer.out
    assert says in (finished / "junit.xml").read_text()
    with pytest.raises(StoreError, match=says):
        qt.compare(another, finished)
    assert "resume" in call("report", "another").err or name.startswith("counts")


def test_a_derived_file_that_was_changed_is_made_again_as_the_message_says(another, call):
    before = (another / "fits.npz").read_bytes()
    alter(another, "fits.npz")
    (another / "fits.npz").unlink()
    assert call("resume", "another").code == 0
    assert (another / "fits.npz").read_bytes() == before
    assert call("check", "another").code == 0


def forms_of(finished):
    """Whether the JUnit file has an error, and the exit codes that Prometheus reads."""
    junit, prometheus = ((finished / name).read_text() for name in ("junit.xml", "qthreshold.prom"))
    return 'errors="1"' in junit, [float(line.split()[-1]) for line in prometheus.splitlines() if "check_exit_code{" in line]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--history", "postgresql://lab:planted@127.0.0.1:1/x", "--baseline", "last-good"], 4),
        (["--history", "gone/lab.db", "--baseline", "last-good"], 2),
        (["--baseline", "gone"], 2),
    ],
)
def test_a_baseline_out_of_reach_leaves_no_outcome_of_the_night_before(options, code, finished, call):
    forms = ["--format", "junit,prometheus"]
    assert call("check", str(finished), *forms).code == 0
    assert forms_of(finished) == (False, [0])
    answer = call("check", str(finished), *options, *forms)
    assert answer.code == code
    assert forms_of(finished) == (True, [code])
    assert "planted" not in answer.out + answer.err + (finished / "junit.xml").read_text()


def test_a_history_out_of_reach_leaves_what_needs_none_decided(finished, tmp_path, call):
    gate = gate_file(tmp_path, "[[limits]]", 'metric = "cnot_error.mean"', "max = 1e-4")
    answer = call("check", str(finished), "--gate", gate, "--history", "postgresql://lab@127.0.0.1:1/x", "--baseline", "last-good", "--record")
    assert answer.code == 1
    assert "beyond the max of 1e-4" in answer.out


def test_a_file_that_cannot_be_written_takes_no_verdict_away(finished, tmp_path, call):
    (tmp_path / "file").touch()
    answer = call("check", str(finished), "--format", "json=file/x.json,junit=out.xml")
    assert answer.code == 4
    assert answer.out.startswith("tiny-5: the gate is passed")
    assert (tmp_path / "out.xml").exists()
    assert "json is not written: " in answer.err
    gate = gate_file(tmp_path, "[[limits]]", 'metric = "cnot_error.mean"', "max = 1e-4")
    assert call("check", str(finished), "--gate", gate, "--format", "json=file/x.json").code == 1


def test_tests_of_a_junit_file_have_names_of_their_own(finished, tmp_path, call):
    limits = [("1e-1", ""), ("1e-3", ""), ("1e-1", "3-4"), ("1e-1", "4-3")]
    lines = [line for m, t in limits for line in ("[[limits]]", f'metric = "cnot_error{"" if t else ".mean"}"', f'target = "{t}"', f"max = {m}")]
    call("check", str(finished), "--gate", gate_file(tmp_path, *lines), "--format", "junit")
    names = [case.get("name") for case in ElementTree.parse(finished / "junit.xml").iter("testcase")]
    assert len(set(names)) == len(names)
    assert {"limit cnot_error.mean", "limit cnot_error.mean (2)", "limit cnot_error 3-4", "limit cnot_error 3-4 (2)"} <= set(names)


def test_a_repeated_record_says_what_the_history_keeps(finished, call):
    assert "Recorded in lab.db as passed." in call("check", str(finished), "--history", "lab.db", "--record").out
    assert "Was there already in lab.db as passed." in call("check", str(finished), "--history", "lab.db", "--record").out


def test_places_that_github_names_and_that_cannot_be_written_change_no_outcome(finished, tmp_path, call, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "nowhere" / "x"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    answer = call("check", str(finished), "--format", "github")
    assert answer.code == 0
    assert "GITHUB_STEP_SUMMARY" in answer.err
    assert "outcome=passed" in (tmp_path / "output").read_text()


def test_what_is_no_file_is_written_to(finished, tmp_path):
    answer = qthreshold("check", finished, "--quiet", "--format", "json=/dev/stdout", cwd=tmp_path)
    assert json.loads(answer.out)["device"] == "tiny-5"


def test_debug_does_not_change_the_exit_code(call):
    answer = call("--debug", "check", "nowhere")
    assert answer.code == 2
    assert "Traceback" in answer.err
    assert answer.err.splitlines()[-1].startswith("qthreshold: nowhere is not a run directory")


def test_a_history_that_cannot_be_written_takes_no_verdict_away(finished, tmp_path, call):
    (tmp_path / "lab.db").write_text("no database, and longer than a header of one would be" * 3)
    limits = gate_file(tmp_path, "[[limits]]", 'metric = "cnot_error.mean"', "max = 1e-4")
    answer = call("check", str(finished), "--gate", limits, "--history", "lab.db", "--record", "--format", "junit")
    assert answer.code == 1
    assert "qthreshold: not recorded: lab.db is damaged" in answer.err
    assert (finished / "junit.xml").exists()
    assert call("check", str(finished), "--history", "lab.db", "--record").code == 4


def test_a_new_recipe_starts_a_new_baseline(finished, call, tmp_path):
    assert call("check", str(finished), "--history", "lab.db", "--record").code == 0
    workflow.run("aer:tiny-5", "quick", out=tmp_path / "strict", seed=7, workers=1, criteria={"cnot_error": 0.02})
    again = call("check", str(tmp_path / "strict"), "--history", "lab.db", "--baseline", "last-good", "--record", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["baseline"] == []
    assert "criterion cnot_error: 0.1 in the baseline" in call(
        "check", str(tmp_path / "strict"), "--history", "lab.db", "--baseline", "last-good"
    ).err


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize(("limit", "code"), [("0.1", 0), ("1e-4", 1)])
def test_a_reader_that_leaves_changes_no_outcome(options, limit, code, finished, tmp_path):
    limits = gate_file(tmp_path, "[[limits]]", 'metric = "cnot_error.mean"', f"max = {limit}")
    line = " ".join([*map(str, command("check", finished, "--gate", limits)), *options])
    done = subprocess.run(["bash", "-c", f"{line} | true; exit ${{PIPESTATUS[0]}}"], env=plain_environment(), capture_output=True, check=False)
    assert done.returncode == code
