"""The pytest plugin, in sessions of its own."""

import os
import shutil
import tomllib
from pathlib import Path

import pytest

import qthreshold
from qthreshold.device_report import make_device_report
from qthreshold.workflow import run

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "qthreshold.pytest_plugin", "-p", "no:cacheprovider", "-W", "error", "--strict-markers", "--strict-config")
MARKER = "@pytest.mark.qthreshold(backend='synthetic:tiny-5', recipe='quick', seed={seed})"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run("synthetic:tiny-5", "quick", seed=1, out=tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(autouse=True)
def only_this_plugin(monkeypatch):
    """Whether the entry point of an installed qthreshold is active or not, the plugin is loaded once: by name."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(qthreshold.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def session(pytester):
    """Runs pytest on the text of a test file."""

    def go(text, *args, apart=False):
        pytester.makepyfile(f"import pytest\n\n{text}")
        return (pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess)(*PLUGIN, *args)

    return go


def test_a_run_of_the_option_is_tested(session, finished):
    report = make_device_report(finished)
    inside = float(report.cnot_error.mean.best)
    result = session(f"""
def test_holds(device_report):
    assert device_report.cnot_error.mean.high < 1
    assert 0 < device_report.pair(3, 4).cnot_error.high < 1
    assert device_report.working_qubits.low >= 5
    assert device_report.verdict("us-ear").outcome == "not_met"

def test_fails(device_report):
    assert device_report.cnot_error.mean.high < 1e-4

def test_cannot_tell(device_report):
    assert {inside!r} >= device_report.cnot_error.mean.high

def test_not(device_report):
    assert not device_report.cnot_error.mean.high < 1

def test_verdict(device_report):
    assert device_report.verdict("us-ear").outcome == "met"
""", "--qthreshold-run", str(finished.directory))  # fmt: skip
    result.assert_outcomes(passed=1, failed=4)
    mean = f"{report.cnot_error.mean}; the upper end is"
    result.stdout.fnmatch_lines([
        f"qthreshold: run {finished.directory}, device tiny-5",
        f"E*{mean} not below 1e-4",
        f"E*{mean} not at most *", "E*cannot tell: the limit lies inside the interval",
        f"E*not {mean} below 1",
        "E*United States (us-ear): the outcome is 'not_met'; the test asks for == 'met'",
        "*== qthreshold ==*", f"{finished.directory}: {report.answer}",
    ])  # fmt: skip


def test_a_number_that_is_not_there_fails_with_its_reason_however_it_is_compared(session, finished, pytester):
    directory = pytester.path / "run"
    shutil.copytree(finished.directory, directory)
    pytester.makeconftest("""
import numpy as np
from qthreshold import workflow
whole = workflow.load_result

def broken(directory):
    import dataclasses
    run = whole(directory)
    cnot = run.fits.cnot.copy()
    cnot[-1] = np.nan
    return dataclasses.replace(run, fits=run.fits.replace(cnot=cnot, edge_status=(*run.fits.edge_status[:-1], "too_fast")))

import pytest
@pytest.fixture(autouse=True)
def lose_a_pair(monkeypatch):
    monkeypatch.setattr(workflow, "load_result", broken)
""")
    result = session("""
@pytest.mark.parametrize("text", ["high < 1", "high != 1", "high > 0"])
@pytest.mark.parametrize("wrong", ["", "not "])
def test_pair(device_report, text, wrong):
    assert eval(f"{wrong}device_report.pair(3, 4).cnot_error.{text}")
""", "-o", "qthreshold_run=run")  # fmt: skip
    result.assert_outcomes(failed=6)
    shown = [line for line in result.outlines if line.startswith("E  ")]  # pytest's summary repeats them where CI is set
    assert sum("NoEstimateError: the run has no C-NOT error of pair 3-4 of tiny-5: too_fast (" in line for line in shown) == 6
    assert "device_report.py" not in "".join(line for line in result.outlines if not line.startswith("E"))


def test_the_configuration_file_names_a_run_relative_to_itself(session, finished, pytester):
    shutil.copytree(finished.directory, pytester.path / "runs" / "tiny")
    pytester.makeini("[pytest]\nqthreshold_run = runs/tiny\n")
    (pytester.path / "deeper").mkdir()
    pytester.makepyfile(**{"deeper/test_it": "def test_it(device_report): assert device_report.working_qubits.low >= 1"})
    os.chdir(pytester.path / "deeper")
    result = session("")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"qthreshold: run {pytester.path}/runs/tiny, device tiny-5"])


def test_a_configured_run_that_is_not_there_fails_only_who_asks(session):
    result = session("def test_it(device_report): pass\ndef test_other(): pass", "-o", "qthreshold_run=nowhere")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["device_report: *nowhere is not a run directory (it has no run.json)*"])
    assert "During handling" not in str(result.stdout)
    assert "Traceback" not in str(result.stdout)


def test_without_a_run_the_test_says_what_to_do(session):
    result = session("def test_it(device_report): pass\ndef test_other(): pass")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["device_report needs a run: 'pytest --qthreshold-run DIR'*@pytest.mark.qthreshold(*"])
    assert "== qthreshold ==" not in str(result.stdout)


@pytest.mark.parametrize(("fault", "message"), [
    ("nothing", "--qthreshold-run run: that is no run directory (it has no run.json)*"),
    ("unfinished", "--qthreshold-run: *verdict.json does not exist; run the earlier stages first, or 'qthreshold resume *run'"),
    ("damaged", "--qthreshold-run: *fits.npz is damaged (*); delete it and run 'qthreshold resume *"),
    ("header", "--qthreshold-run: *run.json is damaged (*"),
    ("device", "--qthreshold-run: *device.json is damaged (*"),
])  # fmt: skip
def test_a_run_that_cannot_be_read_stops_the_session_in_one_line(session, finished, pytester, fault, message):
    directory = pytester.path / "run"
    if fault != "nothing":
        shutil.copytree(finished.directory, directory)
    if fault == "unfinished":
        (directory / "verdict.json").unlink()
    elif fault != "nothing":
        broken = directory / {"damaged": "fits.npz", "header": "run.json", "device": "device.json"}[fault]
        broken.write_bytes(broken.read_bytes()[:100])
    result = session("def test_it(device_report): pass", "--qthreshold-run", "run")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = [line for line in result.errlines + result.outlines if line.startswith("ERROR")]
    assert len(said) == 1
    pytest.LineMatcher(said).fnmatch_lines([f"ERROR: {message}"])
    assert "Traceback" not in str(result.stdout) + str(result.stderr)


def test_a_damaged_run_disturbs_no_session_that_does_not_ask(session, finished, pytester):
    shutil.copytree(finished.directory, pytester.path / "run")
    (pytester.path / "run" / "fits.npz").write_bytes(b"")
    session("def test_it(): pass", "--qthreshold-run", "run").assert_outcomes(passed=1)


@pytest.fixture
def made(finished, monkeypatch):
    """What runs were asked for; each is a copy of the finished one."""
    asked = []

    def copied(*, out, consent, **arguments):
        asked.append(arguments)
        return shutil.copytree(finished.directory, out)

    monkeypatch.setattr("qthreshold.workflow.run", copied)
    return asked


def test_a_marker_makes_a_run_once_for_equal_arguments(session, made, finished):
    result = session(f"""
pytestmark = {MARKER.format(seed=1)[1:]}
ids = []

def test_one(device_report):
    ids.append(device_report)
    assert device_report.run.header["run_id"] == {finished.header["run_id"]!r}

class TestClass:
    def test_two(self, device_report):
        assert device_report is ids[0]

    {MARKER.format(seed=2)}
    def test_nearest(self, device_report):
        assert device_report is not ids[0]
""")  # fmt: skip
    result.assert_outcomes(passed=3)
    assert made == [{"backend": "synthetic:tiny-5", "recipe": "quick", "seed": seed, "confidence": 0.95} for seed in (1, 2)]
    assert str(result.stdout).count("tiny-5: ") == 2  # the answers of both, once each


def test_a_marker_comes_before_the_option(session, finished, made):
    text = f"{MARKER.format(seed=3)}\ndef test_it(device_report):\n    assert device_report.run.directory.name != 'tiny'"
    session(text, "--qthreshold-run", str(finished.directory)).assert_outcomes(passed=1)
    assert [m["seed"] for m in made] == [3]


@pytest.mark.parametrize(("arguments", "message"), [
    ("backend='ibm:ibm_torino'", "runs on ibm:ibm_torino may cost: state a cap on device time in the marker, such as max_qpu_seconds=120"),
    ("backend='provider:no_such_module:make'", "runs on provider:no_such_module:make may cost: *"),
    ("backend='ibm:ibm_torino', max_qpu_seconds=0", "the cap on device time must be a number of seconds above 0, got 0"),
    ("backend='exact:tiny-6'", "*did you mean tiny-5*"),
    ("backend='exact:tiny-5', recipe='quack'", "*did you mean quick*"),
    ("backend='offline:tiny-5', recipe='quick'", "*what there is of the run is in *"),
    ("recipe='quick'", "the marker qthreshold takes a backend and, by name, recipe, seed, confidence, max_qpu_seconds, such as *"),
    ("backend='exact:tiny-5', sed=1", "the marker qthreshold takes a backend and, by name, *"),
    ("'exact:tiny-5'", "the marker qthreshold takes a backend and, by name, *"),
])  # fmt: skip
def test_a_marker_that_cannot_be_run_says_why_in_one_line(session, arguments, message):
    result = session(f"@pytest.mark.qthreshold({arguments})\ndef test_it(device_report): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"device_report: {message}"])
    assert "Traceback" not in str(result.stdout)


def test_a_cap_is_what_the_run_gets_and_a_run_that_failed_is_not_begun_again(session, monkeypatch):
    begun = []

    def fails(out, consent, **_):
        begun.append(consent.cap)
        out.mkdir()
        raise qthreshold.BackendError("the device is offline")

    monkeypatch.setattr("qthreshold.workflow.run", fails)
    result = session("""
pytestmark = pytest.mark.qthreshold(backend="ibm:lab", max_qpu_seconds=60)
def test_one(device_report): pass
def test_two(device_report): pass
""")  # fmt: skip
    result.assert_outcomes(errors=2)
    assert begun == [60]
    result.stdout.fnmatch_lines([
        "device_report: the device is offline; what there is of the run is in *", "device_report: *is not a run directory*",
    ])  # fmt: skip


def test_workers_share_a_run_and_its_answer_is_told_once(session):
    text = "\n".join(f"{MARKER.format(seed=5)}\ndef test_{i}(device_report):\n    assert device_report.working_qubits.low < {5 * (i % 2)}"
                     for i in range(4))  # fmt: skip
    result = session(text, "-p", "xdist", "-n", "2", "--basetemp=base", apart=True)
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["E*number of working qubits of tiny-5: 5; the lower end is not below *", "*base/qthreshold-*: tiny-5: 5 connected*"])
    assert str(result.stdout).count("tiny-5: 5 connected") == 1


def test_workers_get_the_option(session, finished, pytester):
    shutil.copytree(finished.directory, pytester.path / "run")
    result = session("def test_it(device_report): assert 0 < device_report.cnot_error.mean.low", "-p", "xdist", "-n", "1", "--qthreshold-run", "run",
                     apart=True)  # fmt: skip
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"{pytester.path}/run: tiny-5: *"])


def test_a_session_that_asks_for_nothing_imports_nothing(session, pytester):
    pytester.makeconftest("""
def pytest_unconfigure():
    import sys
    print("loaded", sorted(m for m in sys.modules if m.split(".")[0] in ("numpy", "scipy", "qiskit", "pydantic", "filelock", "qthreshold")))
""")
    result = session("def test_it(): pass", "--collect-only", apart=True)
    result.stdout.fnmatch_lines(["loaded ['qthreshold', 'qthreshold.pytest_plugin']"])
    assert "qthreshold:" not in str(result.stdout)


def test_the_entry_point_loads_it_and_can_be_turned_off(session, pytester, monkeypatch):
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text()
    points = tomllib.loads(text)["project"]["entry-points"]["pytest11"]
    installed = pytester.path / "site" / "lab-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{k} = {v}\n" for k, v in points.items()))
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.setenv("PYTHONPATH", f"{installed.parent}{os.pathsep}{os.environ['PYTHONPATH']}")
    pytester.makepyfile("def test_it(): pass")
    assert "device_report" in str(pytester.runpytest_subprocess("--fixtures").stdout)
    off = pytester.runpytest_subprocess("-p", "no:qthreshold", "--fixtures", "-rA")
    assert off.ret == 0
    assert "device_report" not in str(off.stdout)
