"""The pytest plugin, in pytest runs of its own."""

import math
import operator
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.device_report import Bound, DeviceReport, Value, explain
from qthreshold.identity import Interval
from qthreshold.measurements import Row
from reference.commands import plain_environment
from reference.grid_nights import night
from reference.reports import one_pair_lost

REPORT = DeviceReport.of(night(1))
LOST = DeviceReport.of(night(1, change=one_pair_lost))


def value(low, best, high, status="ok"):
    interval = Interval(low=low, best=best, high=high, level=0.95)
    return Value("chip", Row(metric="cnot_error.mean", target="", estimate=interval, dof=math.inf, status=status))


def pytest_run(folder, text, *options, plugin=True):
    """Run pytest on one file in a process of its own; the plugin comes by name, as the entry point may not be installed yet."""
    (folder / "test_chip.py").write_text(text)
    installed = any(e.name == "qthreshold" for e in entry_points(group="pytest11"))
    by_name = ["-p", "qthreshold.pytest_plugin"] if plugin and not installed else []
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *by_name, *map(str, options), "test_chip.py"]
    done = subprocess.run(line, cwd=folder, env=plain_environment(), capture_output=True, encoding="utf-8", timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_a_lab_asserts():
    truth = 4e-3
    assert REPORT.cnot_error.mean.low < truth < REPORT.cnot_error.mean.high
    assert REPORT.pair(1, 0).cnot_error.high < 1e-2
    assert REPORT.pair(0, 1).cnot_error.best == REPORT.pair(1, 0).cnot_error.best
    assert REPORT.qubit(5).readout_error.high < 0.05
    assert REPORT.working_qubits.low >= 12
    assert REPORT.verdict("us-ear").outcome == "not_met"
    assert REPORT.answer.startswith("small: 12 connected working qubits")


@pytest.mark.parametrize(
    ("ask", "kind", "says"),
    [
        (lambda r: r.cnot_eror, AttributeError, "did you mean cnot_error"),
        (lambda r: r.cnot_error.meen, AttributeError, "did you mean mean"),
        (lambda r: r.pair(0, 9), KeyError, "pair 0-9 of small was not measured"),
        (lambda r: r.qubit(99), KeyError, "qubit 99 of small was not measured"),
        (lambda r: r.verdict("us-eer"), KeyError, "did you mean us-ear"),
    ],
)
def test_what_does_not_exist_is_said_with_what_does(ask, kind, says):
    with pytest.raises(kind, match=says):
        ask(REPORT)


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
def test_a_pair_without_an_estimate_never_passes_a_comparison(compare):
    for swapped in (False, True):
        with pytest.raises(AssertionError, match="C-NOT error of pair 0-1 of small has no estimate: too fast"):
            compare(*(reversed if swapped else list)([LOST.pair(0, 1).cnot_error.high, 1.0]))


@given(st.floats(0, 1), st.floats(0, 1))
def test_ends_compare_as_numbers_do(a, b):
    end = value(a, a, a).high
    for compare in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        assert compare(end, b) == compare(a, b)
        assert compare(b, end) == compare(b, a)
    assert (hash(end), end + 1) == (hash(a), a + 1)


def test_a_failure_is_explained_whichever_side_stands_first():
    end = value(3e-3, 4e-3, 5e-3).high
    says = explain("<", end, 4.5e-3)
    assert says[1] == "mean C-NOT error over the counted pairs of chip: 3.00e-3 to 5.00e-3 (best 4.00e-3, 95 %)"
    assert says[2] == "the upper end is not below 0.0045; the limit lies inside the interval, so the data cannot tell"
    assert explain(">", 4.5e-3, end)[1:] == says[1:]
    assert explain("<", end, 1e-3)[2] == "the upper end is not below 0.001"
    assert explain("<", 1.0, 2.0) is None
    assert explain("in", end, 2.0) is None


def test_an_end_is_a_number_for_everything_else():
    assert np.isclose(value(1.0, 2.0, 3.0).best, 2.0)
    assert isinstance(value(1.0, 2.0, 3.0).best, Bound)


def test_a_run_is_read_and_a_failure_can_be_read(finished, tmp_path):
    text = """
        def test_good(device_report):
            assert device_report.cnot_error.mean.high < 0.5
            assert device_report.working_qubits.low >= 5

        def test_bad(device_report):
            assert device_report.cnot_error.mean.high < 1e-4
    """
    code, out = pytest_run(tmp_path, "\n".join(line[8:] for line in text.splitlines()), "--qthreshold-run", finished)
    assert code == 1
    assert "1 failed, 1 passed" in out
    assert "mean C-NOT error over the counted pairs of tiny-5: " in out
    assert "the upper end is not below 0.0001" in out
    assert "tiny-5: 5 connected working qubits" in out  # the answer at the end


def test_a_recipe_is_run_once_for_all_tests_that_ask_for_it(tmp_path):
    text = """
        import pytest
        pytestmark = pytest.mark.qthreshold(backend="exact:tiny-5", recipe="quick", seed=3)
        seen = []

        def test_one(device_report):
            seen.append(device_report)
            assert device_report.name == "tiny-5"

        def test_two(device_report):
            assert device_report is seen[0]
    """
    code, out = pytest_run(tmp_path, "\n".join(line[8:] for line in text.splitlines()))
    assert (code, "2 passed" in out) == (0, True), out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "device_report needs a run: pytest --qthreshold-run DIR"),
        (["--qthreshold-run", "nowhere"], "is not a run directory"),
    ],
)
def test_without_a_run_the_message_says_what_to_do(options, says, tmp_path):
    code, out = pytest_run(tmp_path, "def test_it(device_report):\n    pass\n", *options)
    assert code == 1
    assert says in out
    assert "Traceback" not in out


def test_nothing_is_paid_for_without_a_cap(tmp_path):
    text = (
        "import pytest\n@pytest.mark.qthreshold(backend='provider:qthreshold.backends.fake_service:nothing')\n"
        "def test_it(device_report):\n    pass\n"
    )
    code, out = pytest_run(tmp_path, text)
    assert code == 1
    assert "no report of a device" in out


def test_the_configuration_file_names_a_run_too(finished, tmp_path):
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nqthreshold_run = {finished}\n")
    code, out = pytest_run(tmp_path, "def test_it(device_report):\n    assert device_report.name == 'tiny-5'\n", "-rA")
    assert (code, "1 passed" in out) == (0, True), out


def test_it_costs_nothing_when_unused(tmp_path):
    text = """
import sys

def test_it():
    assert not {"numpy", "scipy", "qiskit", "qthreshold.workflow", "qthreshold.measurements"} & sys.modules.keys()
"""
    code, out = pytest_run(tmp_path, text)
    assert code == 0, out
