"""Reports for tests: the numbers of a run as floats that say what they are, and never NaN."""

import copy
import dataclasses
import json
import math
import operator
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.device_report import Estimate, make_device_report
from qthreshold.errors import InputError, NoEstimateError
from qthreshold.identity import Interval
from reference.reports import grid_run

OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
real = st.floats(allow_nan=False, allow_infinity=False)
three = st.lists(real, min_size=3, max_size=3).map(sorted)


def estimate_of(low, best, high, metric="cnot_error.mean", target="", status="ok"):
    interval = Interval(low=low, best=best, high=high, level=0.95)
    return Estimate(metric=metric, target=target, device="lab-7", interval=interval, status=status)


@pytest.fixture(scope="module")
def run():
    return grid_run(2, 3)


@pytest.fixture(scope="module")
def report(run):
    return make_device_report(run)


@given(ends=three, limit=st.one_of(real, st.integers(-9, 9)), end=st.sampled_from(["low", "best", "high"]))
def test_a_value_compares_and_counts_as_its_float(ends, limit, end):
    number = dict(zip(("low", "best", "high"), ends, strict=True))[end]
    value = getattr(estimate_of(*ends), end)
    for compare in OPERATORS.values():
        assert compare(value, limit) == compare(number, limit)
        assert compare(limit, value) == compare(limit, number)
    assert hash(value) == hash(number)
    assert value + 1 == number + 1
    assert str(value) == f"{value}" == repr(number)
    assert json.dumps(value) == json.dumps(number)
    assert np.asarray(value).dtype == float


@given(ends=three, limit=real, op=st.sampled_from(list(OPERATORS)))
def test_it_cannot_be_told_where_one_end_holds_and_the_other_does_not(ends, limit, op):
    low, _, high = ends
    text, *more = estimate_of(*ends).high.explain(op, limit)
    assert (" is not " in text) == (not OPERATORS[op](high, limit))
    assert bool(more) == (OPERATORS[op](low, limit) != OPERATORS[op](high, limit))


def test_what_is_said_of_a_comparison():
    mean = estimate_of(4.05e-3, 4.11e-3, 4.16e-3)
    head = "mean C-NOT error of lab-7: 4.11e-3 (95 %: 4.05e-3 to 4.16e-3); the upper end is"
    assert mean.high.explain("<", 4e-3) == [f"{head} not below 4e-3"]
    assert mean.high.explain("<", 4.1e-3) == [f"{head} not below 4.1e-3", "cannot tell: the limit lies inside the interval"]
    assert mean.high.explain("<", 1) == [f"{head} below 1"]
    assert mean.high.explain("in", [1]) is None
    assert mean.high.explain("==", "5e-3") is None
    assert mean.high.explain("==", pytest.approx(5e-3)) is None
    count = estimate_of(129.0, 130.0, 131.0, metric="working_qubits")
    assert count.low.explain(">=", 132) == ["number of working qubits of lab-7: 130 (95 %: 129 to 131); the lower end is not at least 132"]
    assert repr(estimate_of(0.9, 0.9, 0.9, metric="works", target="5")) == "probability that qubit 5 of lab-7 works: 0.9"
    assert repr(mean.low) == "<the lower end of mean C-NOT error of lab-7: 4.11e-3 (95 %: 4.05e-3 to 4.16e-3)>"


@pytest.mark.parametrize("end", ["low", "best", "high"])
def test_a_number_that_is_not_there_is_never_compared(end):
    nothing = estimate_of(math.nan, math.nan, math.nan, metric="cnot_error", target="3-4", status="too_fast")
    assert repr(nothing) == "C-NOT error of pair 3-4 of lab-7: none (too_fast)"
    with pytest.raises(NoEstimateError, match=r"no C-NOT error of pair 3-4 of lab-7: too_fast \("):
        getattr(nothing, end)


@pytest.mark.parametrize("compare", [*OPERATORS.values(), lambda a, _: bool(a)])
def test_an_interval_itself_is_neither_compared_nor_true(compare):
    with pytest.raises(TypeError, match=r"take its \.low, \.best or \.high"):
        compare(estimate_of(1e-3, 2e-3, 3e-3), 5e-3)


def test_the_numbers_are_those_of_the_run(run, report):
    for name in ("mean", "median", "best", "worst"):
        there, expected = getattr(report.cnot_error, name), getattr(run.metrics, name)
        assert (there.low, there.best, there.high) == (expected.low, expected.best, expected.high)
    assert report.working_qubits.best == run.metrics.working_qubits.best == 6
    for edge, (best, low, high) in zip(run.device.edges[run.fits.edges].tolist(), run.fits.cnot.tolist(), strict=True):
        there = report.pair(*reversed(edge)).cnot_error
        assert (there.best, there.low, there.high) == (best, low, high)
        assert report.pair(*edge) is report.pair(*reversed(edge))
    assert report.qubit(5).readout_error.high == run.fits.readout[5, 2]
    assert report.qubit(5).works.best == run.metrics.works[5]
    assert report.answer.startswith(f"{run.device.name}: 6 connected working qubits")
    assert report.run is run
    assert report.measurements.run_id == run.header["run_id"]
    assert {"cnot_error", "working_qubits", "pair"} <= set(dir(report))
    assert {"mean", "worst"} <= set(dir(report.cnot_error))


def test_failed_fits_and_missing_statistics_raise(run):
    cnot = run.fits.cnot.copy()
    cnot[0] = np.nan
    broken = make_device_report(dataclasses.replace(run, fits=run.fits.replace(cnot=cnot, edge_status=("too_fast", *run.fits.edge_status[1:]))))
    a, b = run.device.edges[run.fits.edges[0]].tolist()
    with pytest.raises(NoEstimateError, match=f"no C-NOT error of pair {a}-{b} of .*: too_fast"):
        assert not broken.pair(a, b).cnot_error.high < 1


def test_a_part_of_a_device_passes_no_test_of_the_whole(run):
    partly = make_device_report(dataclasses.replace(run, missing=("two_qubit-0",)))
    for question in (lambda: partly.working_qubits.low >= 0, lambda: partly.cnot_error.mean.high < 1, lambda: partly.verdict("us-ear")):
        with pytest.raises(NoEstimateError, match="counts are missing, so the device as a whole was not measured"):
            question()
    assert partly.pair(0, 1).cnot_error.high < 1
    assert partly.qubit(5).works.best == run.metrics.works[5]


def test_unknown_names_say_what_there_is(report):
    with pytest.raises(AttributeError, match=r"no 'cnot_eror': did you mean cnot_error"):
        _ = report.cnot_eror
    with pytest.raises(AttributeError, match=r"no 'meen': did you mean mean"):
        _ = report.cnot_error.meen
    with pytest.raises(AttributeError, match="Known: cnot_error"):
        _ = report.pair(0, 1).readout_error
    with pytest.raises(InputError, match=r"no pair 0-5 .* measured pairs of qubit 0: 0-1, 0-3"):
        report.pair(0, 5)
    with pytest.raises(InputError, match=r"no qubit 6 .* 0 to 5"):
        report.qubit(6)
    with pytest.raises(InputError, match=r"judged by 'us-er': did you mean us-ear"):
        report.verdict("us-er")


def test_outcomes_are_words_that_say_why(run, report):
    verdict = next(v for v in run.verdicts.verdicts if v.instrument == "us-ear")
    outcome = report.verdict("us-ear").outcome
    assert outcome == verdict.outcome == "not_met"
    assert outcome.explain("==", "met") == ["United States (us-ear): the outcome is 'not_met'; the test asks for == 'met'", verdict.reason]
    assert outcome.explain("in", ("met",)) is None
    assert report.verdict("us-ear") == verdict


def test_values_survive_copies_and_other_processes(report):
    for value in (report.cnot_error.mean.high, report.verdict("us-ear").outcome):
        for again in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            assert (type(again), again) == (type(value), value)
            assert again.explain("==", type(value).__base__(1)) == value.explain("==", type(value).__base__(1))
