"""Every command from end to end: what it prints, what it writes, and how it exits."""

import json
import re
import subprocess
import time

import pytest

from reference.commands import PROFILE, RECIPE, Answer, command, content_of, here, plain_environment, qthreshold

COMMANDS = [
    "run", "ingest", "plan", "submit", "collect", "analyse", "judge", "report", "resume", "verify", "backends", "rules", "interpretations",
    "circuits", "history", "circuits export", "backends list", "backends show", "rules list", "rules show", "rules diff", "rules validate",
    "rules schema", "interpretations show", "history add", "history list", "history show", "history trend", "history export", "history prune",
    "history verify",
]  # fmt: skip


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run a command in this process, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return lambda line: here(line if isinstance(line, list) else line.split(), monkeypatch, capsys)


def assert_readable(text):
    """For a pipe, a log or an old terminal: 80 columns, no escape codes, no Python objects."""
    assert text.strip()
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert not re.search(r"<[a-z_.]+ object at|Traceback|\bnan\b|\bNone\b", text)


def test_help_lists_every_command(call):
    answer = call("--help")
    assert (answer.code, answer.err) == (0, "")
    assert_readable(answer.out)
    for name in COMMANDS[:15]:
        assert re.search(rf"^  {name} +\S", answer.out, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_in_80_columns(name, call):
    answer = call(f"{name} --help")
    assert (answer.code, answer.err) == (0, "")
    assert_readable(answer.out)
    for option in re.findall(r"^  (?:-\w, )?--[\w-]+.*(?:\n {10,}.*)*", answer.out, re.MULTILINE):
        assert re.search(r"[a-z]{2,}.*\.|Show this", option.partition("--")[2]), f"undocumented: {option}"
    if name in ("run", "ingest", "plan", "judge"):
        assert all(re.search(rf"^ +qthreshold {name} .*", line) for line in answer.out.splitlines() if line.strip().startswith("qthreshold "))


@pytest.mark.parametrize("line", ["", "rules", "backends", "interpretations", "circuits", "history"])
def test_without_a_command_the_help_is_shown_and_the_exit_code_says_misuse(line, call):
    answer = call(line)
    assert answer.code == 2
    assert "Commands:" in answer.out + answer.err


def test_help_is_fast():
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        assert qthreshold("--help").code == 0
        seconds.append(time.monotonic() - began)
    assert min(seconds) < 0.6  # 0.3 on a quiet machine


def test_version(call):
    assert re.fullmatch(r"qthreshold \d+\.\d+\.\d+\n", call("--version").out)


@pytest.fixture(scope="module")
def piped(tmp_path_factory):
    """The main job as a user starts it, output piped: the answer, and where it ran."""
    directory = tmp_path_factory.mktemp("piped")
    return qthreshold("run", "-b", "aer:tiny-5", "-r", "quick", "--seed", 7, cwd=directory, figures=True), directory


def test_the_main_job_answers_first_and_says_where_everything_is(piped):
    answer, directory = piped
    assert answer.code == 0
    assert_readable(answer.out)
    assert re.match(r"tiny-5: 5 connected working qubits, mean C-NOT error \d\.\d\de-3 \(95 %: ", answer.out)
    assert "No entry is met; " in " ".join(answer.out.splitlines()[:3])
    (run,) = (directory / "qthreshold-runs").iterdir()
    assert re.fullmatch(r"tiny-5-\d{8}-\d{6}", run.name)
    assert f"qthreshold-runs/{run.name}" in answer.out
    assert "not legal advice" in answer.out
    contract = "device.json plan.npz tickets counts decays.npz fits.npz metrics.json frontier.npz verdict.json summary.json manifest.json"
    assert set(contract.split()) <= {p.name for p in run.iterdir()}
    assert 'id="figure-staircase"' in (run / "report.html").read_text()


def test_progress_goes_to_stderr(piped):
    answer, _ = piped
    assert "circuits" in answer.err
    assert "executions" in answer.err
    assert "\x1b" not in answer.err
    assert "Traceback" not in answer.err
    assert "Warning" not in answer.err


def test_output_is_plain_where_only_ascii_can_be_printed():
    answer = qthreshold("judge", "--qubits", 98, "--cnot-error", 7.9e-4, env={"PYTHONIOENCODING": "ascii"})
    assert (answer.code, answer.err) == (0, "")
    assert "not met" in answer.out


def test_a_reader_that_stops_reading_causes_no_traceback(finished):
    for args in (("rules", "list", "--json"), ("report", finished)):
        with subprocess.Popen(command(*args), env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as process:
            process.stdout.close()
            assert process.stderr.read() == ""


def test_json_is_the_summary_and_nothing_else(call, tmp_path):
    answer = call("run -b aer:tiny-5 -r quick -o run --json")
    assert answer.code == 0
    assert json.loads(answer.out) == json.loads((tmp_path / "run/summary.json").read_text())


def test_quiet_prints_nothing(call, tmp_path):
    assert call("run -b aer:tiny-5 -r quick -o run -q") == Answer(0, "", "")
    assert call("plan staged -b aer:tiny-5 -r quick -q") == Answer(0, "", "")
    for name in ("submit", "collect", "analyse", "judge", "report", "resume", "verify"):
        assert call(f"{name} staged -q") == Answer(0, "", "")


@pytest.mark.usefixtures("figures")
def test_stage_after_stage_ends_where_run_ends(call, finished):
    stages = ("plan", "submit", "collect", "analyse", "judge", "report")
    for name, following in zip(stages, [*stages[1:5], None, None], strict=True):
        answer = call(f"{name} staged" + (" -b aer:tiny-5 -r quick --seed 7" if name == "plan" else ""))
        assert (answer.code, answer.err) == (0, "")
        assert_readable(answer.out)
        if following:
            assert f"qthreshold {following} staged" in " ".join(answer.out.split())
    staged = finished.parent / "staged"
    ours, theirs = content_of(staged), content_of(finished)
    assert set(ours) == set(theirs)
    assert {n for n in ours if ours[n] != theirs[n]} <= {"manifest.json", "report.html", "run.json", "summary.json", "timing.json"}
    assert call("verify staged").code == 0


@pytest.mark.usefixtures("figures")
def test_resume_of_a_finished_run_reports_again_and_changes_nothing(call, finished):
    before = content_of(finished)
    answer = call(["resume", str(finished), "--no-progress"])
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == call(["report", str(finished)]).out
    assert content_of(finished) == before
    assert json.loads(call(["resume", str(finished), "--json", "--no-progress"]).out)["schema"] == "qthreshold/summary/1"


def test_plan_says_what_a_run_costs_and_runs_nothing(call, tmp_path):
    answer = call("plan run -b aer:tiny-5 -r quick --json")
    plan = json.loads(answer.out)
    assert plan["circuits"] > 0
    assert plan["executions"] > plan["circuits"]
    assert plan["estimated_seconds"] > 0
    assert not (tmp_path / "run/counts").exists()


def test_own_files_of_device_and_recipe_are_used(call, tmp_path):
    (tmp_path / "mine.toml").write_text(PROFILE)
    (tmp_path / "short.toml").write_text(RECIPE)
    assert call("run -b aer:mine.toml -r short.toml -o run -q").code == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (summary["device"]["name"], summary["device"]["n_qubits"], summary["recipe"]) == ("mine", 3, "short")


def test_a_run_can_be_judged_again_by_another_day_and_other_rules(call, finished):
    assert "not in force" in call(["judge", str(finished), "--as-of", "2024-01-01"]).out
    verdicts = json.loads(call(["judge", str(finished), "--rules", "eu-dual-use", "--json"]).out)
    assert verdicts["schema"] == "qthreshold/verdicts/1"
    assert [v["instrument"] for v in verdicts["verdicts"]] == ["eu-dual-use"]


@pytest.mark.parametrize(
    ("line", "outcome"),
    [("--qubits 98 --cnot-error 7.9e-4", "not_met"), ("--qubits 100 --cnot-error 7.9e-4", "met"), ("--qubits 100 --cnot-error 1e-3", "met"),
     ("--qubits 100 --cnot-error 9e-4 --low 8e-4 --high 1.1e-3", "undetermined"),
     ("--qubits 100 --cnot-error 9e-4 --low 8e-4 --high 1.1e-3 --confidence 0.6", "met"), ("--qubits 3000 --cnot-error 0.1", "met"),
     ("--qubits 0 --cnot-error 0", "not_met")],
)  # fmt: skip
def test_a_data_sheet_is_judged(line, outcome, call):
    answer = call(f"judge {line} --rules us-ear")
    assert (answer.code, answer.err) == (0, "")
    assert_readable(answer.out)
    assert outcome.replace("_", " ") in answer.out
    document = json.loads(call(f"judge {line} --rules us-ear --json").out)
    assert [v["outcome"] for v in document["verdicts"]] == [outcome]


def test_a_device_is_judged_by_its_reported_calibration(call):
    answer = call("judge --device aer:tiny-5")
    assert answer.code == 0
    assert_readable(answer.out)
    assert "no circuits were run" in " ".join(answer.out.split())
    assert len(json.loads(call("judge --device aer:tiny-5 --json").out)["verdicts"]) == 17


def test_rules_are_listed_and_shown_with_bands_and_citation(call):
    answer = call("rules list")
    assert_readable(answer.out)
    assert "us-ear" in answer.out
    assert "eu-dual-use" in answer.out
    shown = call("rules show us-ear").out
    assert_readable(shown)
    for words in ("4A906.a.1", "34 to 99", "1e-4", "4A906.a.8", "2000 or more", "no criterion", "89 FR 72926", "2024-09-06", "ecfr.gov"):
        assert words in shown
    assert len(json.loads(call("rules list --json").out)) == 17
    assert json.loads(call("rules show eu-dual-use --json").out)["bands"][7]["max_error"] is None


def test_backends_are_listed_and_shown_with_their_truth(call):
    answer = call("backends list")
    assert_readable(answer.out)
    assert "aer:heron-133" in answer.out
    specs = [b["spec"] for b in json.loads(call("backends list --json").out)]
    assert "aer:tiny-5" in specs
    for spec in specs:
        shown = call(f"backends show {spec}")
        assert (shown.code, shown.err) == (0, "")
        assert_readable(shown.out)
    tiny, crosstalk = (json.loads(call(f"backends show aer:{name} --json").out) for name in ("tiny-5", "crosstalk-12"))
    assert tiny["true_cnot_error_mean"] > 0
    assert not any("crosstalk" in key for key in tiny)
    assert 0 < crosstalk["crosstalk_zz_least"] < 0.1 < crosstalk["crosstalk_zz_largest"] < 0.3


def test_verify_passes_a_whole_run_and_names_every_fault(call, finished):
    assert call(["verify", str(finished)]).code == 0
    (finished / "fits.npz").write_bytes(b"x")
    (finished / "metrics.json").unlink()
    answer = call(["verify", str(finished)])
    assert (answer.code, answer.out, answer.err.count("\n")) == (4, "", 1)
    assert "metrics.json: missing" in answer.err
    assert "fits.npz: changed" in answer.err


def test_debug_shows_the_traceback_of_a_mistake():
    answer = qthreshold("--debug", "rules", "show", "nosuch")
    assert "Traceback" in answer.err
    assert "unknown rule 'nosuch'" in answer.err
    assert answer.code != 0


def test_the_bias_of_protocols_is_shown_for_devices_whose_channels_are_known(call):
    done = call("backends show exact:coherent-16 --bias --json")
    assert done.code == 0
    facts = json.loads(done.out)
    assert len(facts["protocol_limits"]) == 24
    for pair in facts["protocol_limits"]:
        assert abs(pair["padded"]["bias"]) < 0.005 < 0.1 < abs(pair["plain"]["bias"])
    assert "protocol limits" not in call("backends show exact:coherent-16 --bias").out
    refused = call("backends show synthetic:tiny-5 --bias")
    assert refused.code == 2
    assert "channels are known" in refused.err
