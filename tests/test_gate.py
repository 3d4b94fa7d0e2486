import collections
import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.check import CheckResult
from qthreshold.errors import InputError
from qthreshold.gate import Gate, Limit, run_gate, unreadable
from qthreshold.measurements import make_measurements
from reference.checks import RESULTS
from reference.grid_nights import night
from reference.reports import no_counts, one_pair_lost

RUN = night(1)
BEFORE = make_measurements(night(2))


def gate(**fields):
    return Gate.model_validate({"instruments": ["us-ear"], "limits": [], **fields})


def limit(metric="cnot_error.mean", **fields):
    return {"metric": metric, **fields}


def outcomes(result, kind):
    return collections.Counter(c.outcome for c in result.cases if c.kind == kind)


def test_a_small_device_that_meets_no_rule_passes():
    result = run_gate(RUN, gate())
    assert (result.exit_code, outcomes(result, "rule")) == (0, {"passed": 1})
    assert result.answer == "small: the gate is passed (2 cases)."


@pytest.mark.parametrize(
    ("bounds", "outcome", "code"),
    [
        ({"max": 8e-3}, "passed", 0),
        ({"max": 1e-3}, "failed", 1),
        ({"max": 4e-3}, "cannot_tell", 3),
        ({"min": 1e-3}, "passed", 0),
        ({"min": 8e-3}, "failed", 1),
        ({"min": 4e-3}, "cannot_tell", 3),
    ],
)
def test_a_limit_is_decided_by_the_interval(bounds, outcome, code):
    mean = RUN.metrics.mean
    assert mean.low < 4e-3 < mean.high  # the true error, so that nothing can be told of it
    result = run_gate(RUN, gate(limits=[limit(**bounds)]))
    case = result.cases[-1]
    assert (case.outcome, result.exit_code) == (outcome, code)
    assert case.reason.startswith("mean C-NOT error over the counted pairs: ")


def test_a_limit_without_a_target_holds_for_every_pair_and_with_one_for_it_alone():
    pairs = len(RUN.device.edges)
    every = run_gate(RUN, gate(limits=[limit("cnot_error", max=0.05)]))
    assert outcomes(every, "limit") == {"passed": pairs}
    one = run_gate(night(3, worse=[0], factor=4.0), gate(limits=[limit("cnot_error", target="1-0", max=8e-3)]))
    assert [(c.target, c.outcome) for c in one.cases if c.kind == "limit"] == [("0-1", "failed")]


def test_of_many_pairs_at_a_limit_few_are_called_beyond_it():
    """All pairs are exactly at the limit: a false one in few nights, though each interval misses the truth once in 20."""
    nights = [run_gate(night(seed, true=4e-3), gate(limits=[limit("cnot_error", max=4e-3)])) for seed in range(40, 60)]
    assert sum(outcomes(r, "limit")["failed"] > 0 for r in nights) <= 4  # 1 expected, and 17 pairs on each of 20 nights


@pytest.mark.parametrize(("fail_on", "code"), [(["met"], 0), (["undetermined"], 3), (["met", "undetermined"], 3), (["never"], 0)])
def test_what_cannot_be_told_fails_only_if_asked(fail_on, code):
    assert run_gate(RUN, gate(limits=[limit(max=4e-3)], fail_on=fail_on)).exit_code == code


@pytest.mark.parametrize(("fail_on", "code"), [(["met"], 1), (["undetermined"], 0), (["never"], 0)])
def test_what_is_beyond_a_limit_fails_only_if_asked(fail_on, code):
    assert run_gate(RUN, gate(limits=[limit(max=1e-3)], fail_on=fail_on)).exit_code == code


def test_a_rule_that_is_met_fails_the_gate():
    verdicts = RUN.verdicts.replace(verdicts=tuple(v.replace(outcome="met", entry="4A906.a") for v in RUN.verdicts.verdicts))
    result = run_gate(dataclasses.replace(RUN, verdicts=verdicts), gate())
    assert (result.exit_code, result.answer.split(".")[0]) == (1, "small: the gate fails")


@pytest.mark.parametrize(("outcome", "code"), [("undetermined", 3), ("not_verified", 0), ("no_entry", 0), ("not_in_force", 0), ("not_met", 0)])
def test_verdicts_that_say_nothing_are_no_failure(outcome, code):
    verdicts = RUN.verdicts.replace(verdicts=tuple(v.replace(outcome=outcome) for v in RUN.verdicts.verdicts))
    assert run_gate(dataclasses.replace(RUN, verdicts=verdicts), gate()).exit_code == code


def test_a_worse_pair_is_a_regression_and_an_unchanged_device_is_none():
    worse = run_gate(night(3, worse=[4], factor=4.0), gate(fail_on=["met"]), [BEFORE])
    assert worse.exit_code == 5
    assert [c.title for c in worse.having("failed") if c.target] == ["cnot_error 2-3"]
    assert worse.having("failed")[0].p_value < 0.01
    assert run_gate(RUN, gate(fail_on=["met"], max_regression="20%"), [BEFORE]).exit_code == 0


@pytest.mark.parametrize("tolerated", [0.3, 0.0])
def test_changes_too_uncertain_to_tell_are_reported_and_do_not_hold_up_the_gate(tolerated):
    result = run_gate(RUN, gate(max_regression=tolerated), [BEFORE])
    unsure = [c for c in result.cases if c.outcome == "cannot_tell"]
    assert unsure
    assert not any(c.name in ("works", "working_qubits") for c in unsure)  # what is certain at the limit is certain
    assert not any(c.gates for c in unsure)
    assert result.exit_code == 0


def test_a_pair_that_is_lost_is_not_passed_over():
    result = run_gate(night(3, change=one_pair_lost), gate(max_regression=0.5), [BEFORE])
    assert (result.exit_code, [c.title for c in result.having("cannot_tell")]) == (3, ["cnot_error 0-1"])
    overlooked = run_gate(night(3, change=one_pair_lost), gate(max_regression=0.5, fail_on=["met"]), [BEFORE])
    assert (overlooked.exit_code, overlooked.outcome) == (0, "undetermined")  # no baseline for the next night


def test_what_is_certain_at_a_limit_is_within_it():
    for target in ({}, {"target": "3"}):
        assert run_gate(RUN, gate(limits=[limit("works", min=1, **target)])).exit_code == 0


def test_a_baseline_that_cannot_be_read_is_a_fault_of_the_infrastructure_and_all_else_is_decided():
    result = run_gate(RUN, gate(), lost="the history is damaged")
    assert result.exit_code == 4
    assert result.answer.endswith("nothing was compared: the history is damaged.")
    assert [c.outcome for c in result.cases] == ["passed"] * (len(result.cases) - 1) + ["error"]
    assert run_gate(RUN, gate(limits=[limit("working_qubits", max=0)]), lost="the history is damaged").exit_code == 1


@pytest.mark.parametrize("missing", [(), ("two_qubit-0",)])
def test_lost_counts_are_a_fault_of_the_infrastructure_and_no_worse_device(missing):
    run = dataclasses.replace(night(3, change=None if missing else no_counts), missing=missing)
    result = run_gate(run, gate(limits=[limit("working_qubits", min=12), limit(max=1e-4)]), [BEFORE])
    assert result.exit_code == 4
    assert not result.having("failed")
    assert "nothing is said of the device" in result.answer


def test_a_failure_outweighs_the_rest():
    worse = night(3, worse=[4], factor=4.0)
    assert run_gate(worse, gate(limits=[limit(max=1e-3)]), [BEFORE]).exit_code == 1
    assert run_gate(dataclasses.replace(worse, missing=("x",)), gate(), [BEFORE]).exit_code == 5


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"instruments": ["us-eer"]}, "did you mean us-ear"),
        ({"limits": [limit("cnot_error", target="0-9", max=1)]}, "no cnot_error '0-9' in this run"),
        ({"limits": [limit("readout_error", target=77, max=1)]}, "no readout_error '77' in this run"),
    ],
)
def test_what_the_run_has_not_is_refused(fields, says):
    with pytest.raises(InputError, match=says):
        run_gate(RUN, gate(**fields))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"limits": [limit("cnot_eror.mean", max=1)]}, "did you mean cnot_error.mean"),
        ({"limits": [limit()]}, "needs max, min or both"),
        ({"limits": [limit(min=2, max=1)]}, "min 2 is above max 1"),
        ({"limits": [limit(target="1-2", max=1)]}, "is of the device"),
        ({"limits": [limit("cnot_error", target="1", max=1)]}, "pairs such as 3-4"),
        ({"limits": [limit("readout_error", target="1-2", max=1)]}, "qubits such as 5"),
        ({"fail_on": ["never", "met"]}, "never alone"),
        ({"fail_on": []}, "never alone"),
        ({"fail_on": ["maybe"]}, "undetermined"),
        ({"max_regression": "much"}, "valid number"),
        ({"max_regression": "-5%"}, "greater than or equal to 0"),
        ({"fdr": "100%"}, "less than 1"),
        ({"instruments": []}, "at least 1 item"),
        ({"baseline": "last:0"}, "last:N"),
        ({"baseline": "last:many"}, "last:N"),
        ({"baselin": "x"}, "Extra inputs"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        gate(**fields)


@given(st.floats(0, 10, exclude_min=True))
def test_shares_are_written_as_numbers_or_percent(share):
    assert gate(max_regression=f"{100 * share!r}%").max_regression == pytest.approx(share)
    for plain in (share, repr(share)):
        if share < 1:
            assert gate(max_regression=plain).max_regression == share
        else:
            with pytest.raises(ValueError, match="% for percent"):  # whoever writes 5 means 5 %
                gate(max_regression=plain)


@given(RESULTS)
def test_a_result_survives_json(result):
    assert CheckResult.from_dict(json.loads(json.dumps(result.as_dict(), allow_nan=False))) == result


def test_a_result_of_another_schema_is_refused():
    with pytest.raises(ValueError, match="schema 'x' is not"):
        CheckResult.from_dict(run_gate(RUN, gate()).as_dict() | {"schema": "x"})


def test_a_run_that_cannot_be_read_is_an_error_and_no_failure():
    result = unreadable("tonight", "there are no counts", gate())
    assert (result.exit_code, result.cases[0].outcome, result.passed) == (4, "error", False)
    assert result.device == ""  # the run's name is none: a new one every night would be a new device every night


def test_a_target_is_a_qubit_or_a_pair():
    assert Limit(metric="works", target="3", min=0.5).target == "3"
