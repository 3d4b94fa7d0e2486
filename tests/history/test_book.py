"""What goes into a history comes out of it, in a file as on a server."""

import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qthreshold.errors import InputError
from qthreshold.history import open_history
from qthreshold.history.book import seconds
from qthreshold.measurements import METRICS, Measurements
from qthreshold.numerics.intervals import student_t
from qthreshold.series import LeftOut
from reference.measured import measured

WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
VALUE = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 5e-324, 0.1 + 0.2]))
ZONE = st.sampled_from([datetime.UTC, datetime.timezone(datetime.timedelta(hours=-7, minutes=30))])
TIME = st.datetimes(timezones=ZONE).map(datetime.datetime.isoformat)


@st.composite
def any_measurements(draw):
    rows = draw(st.lists(st.tuples(st.sampled_from(sorted(METRICS)), WORD), unique=True, max_size=5))
    count = len(rows)
    ends = [sorted(draw(st.lists(VALUE, min_size=3, max_size=3)), key=lambda v: (v != v, v)) for _ in rows]
    ends = [e if e == e and not any(np.isnan(e)) else [e[0], np.nan, e[2]] for e in ends]  # without an estimate the rest may be anything
    low, best, high = np.array(ends, dtype=float).reshape(-1, 3).T
    return Measurements(
        run_id=draw(WORD), device=draw(WORD), taken_at=draw(TIME), calibrated_at=draw(st.one_of(WORD, TIME)), calibration_id=draw(WORD),
        context=draw(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)), origin=draw(st.dictionaries(WORD, WORD, max_size=3)),
        missing=draw(st.integers(0, 2**31 - 1)), level=draw(st.floats(0.5, 0.999)), metric=tuple(m for m, _ in rows),
        target=tuple(t for _, t in rows), best=best, low=low, high=high,
        dof=np.array(draw(st.lists(VALUE, min_size=count, max_size=count)), dtype=float),
        status=tuple(draw(st.lists(WORD, min_size=count, max_size=count))),
    )  # fmt: skip


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(m=any_measurements())
def test_any_run_comes_back_as_it_was(where, m):
    with open_history(where, create=True) as history:
        history.add(m, replace=True)
        back = history.measurements(m.run_id)
        assert back == m
        assert [repr(r) for r in back.rows()] == [repr(r) for r in m.rows()]  # the sign of a zero too
        assert history.verify() == []


@pytest.fixture
def history(where):
    with open_history(where, create=True) as opened:
        yield opened


def test_a_run_twice_is_once_and_an_unknown_gate_is_filled_in(history):
    assert history.add(measured()) is True
    before = history.entry("r1")
    assert history.add(measured()) is False
    assert history.entry("r1") == before
    assert history.add(measured(), "passed") is False
    assert history.entry("r1").outcome == "passed"
    assert history.add(measured(), "failed") is False
    assert history.entry("r1").outcome == "passed"
    assert history.add(measured(), "failed", replace=True) is True
    assert [(e.run_id, e.outcome) for e in history.runs()] == [("r1", "failed")]


def test_other_numbers_of_the_same_run_are_refused_unless_they_replace_it(history):
    history.add(measured())
    other = measured(scale=2, rows=(("cnot_error.mean", ""), ("cnot_error", "5-6")))
    with pytest.raises(InputError, match=r"run r1 of chip is in .* with other content \(metric, target, best, low, high, dof, status\).*--replace"):
        history.add(other)
    with pytest.raises(InputError, match=r"other content \(taken_at\)"):
        history.add(measured().replace(taken_at="2026-01-01T05:00:00Z"))
    assert history.measurements("r1") == measured()
    assert history.add(other, replace=True)
    assert history.measurements("r1") == other
    assert history.targets("chip", "cnot_error") == ["5-6"]
    assert history.verify() == []


def test_a_run_that_lacked_data_gives_way_to_the_complete_one(history):
    lacking, complete = measured().replace(missing=3), measured()
    assert history.add(lacking, "error")
    assert not history.add(lacking, "error")
    assert history.add(complete, "passed")
    assert (history.measurements("r1"), history.entry("r1").outcome) == (complete, "passed")
    with pytest.raises(InputError, match="with other content"):
        history.add(lacking, "error")


def test_runs_are_in_the_order_in_which_they_were_made_whatever_the_time_zone(history):
    history.add(measured("late", day=9))
    history.add(measured("early", day=2).replace(taken_at="2026-01-02T04:00:00+12:00"))
    history.add(measured("middle", day=2).replace(taken_at="2026-01-01T23:00:00-05:00"))
    history.add(measured("else", day=5, device="other"))
    assert [e.run_id for e in history.runs("chip")] == ["early", "middle", "late"]
    assert [e.run_id for e in history.runs("chip", last=2)] == ["middle", "late"]
    assert [e.run_id for e in history.runs(last=2)] == ["else", "late"]
    assert history.devices() == ["chip", "other"]
    found = history.series("chip", "cnot_error.mean")
    assert found.run_ids == ("early", "middle", "late")
    assert found.taken_at.tolist() == [seconds("2026-01-01T16:00:00Z"), seconds("2026-01-02T04:00:00Z"), seconds("2026-01-09T04:00:00Z")]


def test_a_series_has_the_numbers_of_its_runs(history):
    made = [measured(f"r{k}", day=k, scale=k) for k in (3, 1, 2)]
    made[1] = made[1].replace(calibrated_at="yesterday")
    for m in made:
        history.add(m)
    history.add(measured("r9", day=9, rows=(("cnot_error.mean", ""),)))
    found = history.series("chip", "cnot_error", "3-4")
    assert found.run_ids == ("r1", "r2", "r3")
    assert found.best.tolist() == pytest.approx([0.003, 0.006, 0.009])
    assert np.isnan(found.calibrated_at).tolist() == [True, False, False]
    assert (found.dof, found.status, found.level) == (pytest.approx([12.5] * 3), ("ok",) * 3, 0.95)
    assert history.series("chip", "cnot_error", "3-4", last=2).run_ids == ("r3",)  # the newest run does not have the pair
    pairs = history.all_series("chip", "cnot_error")
    assert [s.target for s in pairs] == ["3-4", "10-11"]
    assert pairs[0] == found
    assert [s.run_ids for s in history.all_series("chip", "cnot_error", last=3)] == [("r2", "r3")] * 2


def test_a_series_says_which_runs_it_lacks(history):
    rows = (("cnot_error", "3-4"), ("works", "3"))
    old, other, new = ({"gate": gate, "criterion readout_error": limit} for gate, limit in (("cz", "0.1"), ("ecr", "0.1"), ("cz", "0.2")))
    for day, context in enumerate((old, other, old, new), start=1):
        history.add(measured(f"r{day}", day=day, context=context, rows=rows if day < 4 else (*rows, ("works", "4"))))
    history.add(measured("old", day=1, context=other, rows=(("works", "5"),)))
    pair, qubit = history.series("chip", "cnot_error", "3-4"), history.series("chip", "works", "3")
    assert pair.run_ids == ("r1", "r3", "r4")
    assert pair.left_out == LeftOut(runs=2, differences=(("gate", "ecr", "cz"),))
    assert qubit.run_ids == ("r4",)
    assert qubit.left_out == LeftOut(runs=4, differences=(("criterion readout_error", "0.1", "0.2"), ("gate", "ecr", "cz")))
    assert history.series("chip", "cnot_error", "3-4", last=2).left_out == LeftOut()
    assert history.series("chip", "works", "4").left_out.runs == 4
    with pytest.raises(InputError, match="runs of chip that were measured as its newest have no works 5"):
        history.series("chip", "works", "5")


def test_intervals_of_another_level_keep_their_standard_errors(history):
    history.add(measured("r1", day=1, level=0.9))
    history.add(measured("r2", day=2, level=0.99))
    found = history.series("chip", "cnot_error.mean")
    assert found.level == 0.99
    error = (found.high - found.low) / (2 * student_t(found.dof, found.level))
    assert error.tolist() == pytest.approx([measured(level=0.9).error[0], measured(level=0.99).error[0]], rel=1e-12)
    assert found.low[1] == measured(level=0.99).low[0]
    assert found.low[0] < measured().low[0]


def test_a_run_is_found_by_how_it_begins(history):
    for k, run_id in enumerate(("ab12", "ab34", "AB12", "a%c", "ab")):
        history.add(measured(run_id, day=k + 1))
    assert history.measurements("ab1").run_id == "ab12"
    assert history.measurements("ab").run_id == "ab"
    assert history.measurements("A").run_id == "AB12"
    with pytest.raises(InputError, match=r"4 runs in .* begin with 'a': a%c, ab, ab12, ab34; write more"):
        history.measurements("a")
    for unknown in ("b", "a_", "%", ""):
        with pytest.raises(InputError, match=r"has no run .* Known: "):
            history.measurements(unknown)


def test_what_is_not_there_is_said_with_what_is(history):
    for call in (lambda: history.measurements("r1"), lambda: history.series("chip", "works"), lambda: history.baseline("chip", "last-good", "x")):
        with pytest.raises(InputError, match="holds no runs yet; add some: qthreshold history add RUN_DIR"):
            call()
    history.add(measured())
    for call, message in (
        (lambda: history.runs("chop"), r"no device 'chop'; did you mean chip\? Known: chip"),
        (lambda: history.series("chop", "works"), r"did you mean chip\?"),
        (lambda: history.prune(keep=1, device="chop"), r"did you mean chip\?"),
        (lambda: history.series("chip", "cnot_eror"), r"chip has no metric 'cnot_eror' in .* did you mean cnot_error"),
        (lambda: history.series("chip", "cnot_error"), r"single pairs or qubits; name one as target: 3-4, 10-11"),
        (lambda: history.series("chip", "cnot_error", "3-5"), r"no cnot_error of '3-5' .* did you mean 3-4\?"),
        (lambda: history.series("chip", "cnot_error.mean", "3-4"), r"whole device; leave the target '3-4' out"),
        (lambda: history.measurements("r2"), r"no run 'r2'; did you mean r1\?"),
        (lambda: history.add(measured("x", device="a\0b")), r"device 'a\\x00b' is no text"),
        (lambda: history.add(measured("x", device="\ud800")), r"is no text"),
        (lambda: history.add(measured("x").replace(taken_at="yesterday")), r"made at 'yesterday', which is no time; state it: .*--taken-at"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            call()
    assert [e.run_id for e in history.runs()] == ["r1"]


def test_a_baseline_is_earlier_good_and_never_the_run_itself(history):
    with pytest.raises(InputError, match="neither last-good nor last:N"):
        history.baseline("chip", "last:0", "x")
    for k, outcome in enumerate(("passed", "passed", "failed", "passed"), start=1):
        history.add(measured(f"r{k}", day=k), outcome)
    history.add(measured("good elsewhere", day=9, device="other"), "passed")

    def ids(which, before):
        return [m.run_id for m in history.baseline("chip", which, before)]

    assert ids("last-good", "new") == ["r4"]
    assert ids("last-good", "r4") == ["r2"]
    assert ids("last-good", "r2") == ["r1"]
    assert ids("last:2", "new") == ["r3", "r4"]
    assert ids("last:3", "r4") == ["r1", "r2", "r3"]
    assert ids("last:99", "r3") == ["r1", "r2"]
    with pytest.raises(InputError, match="no other run of chip"):
        history.baseline("chip", "last-good", "r1")
    history.add(measured("f1", day=1, device="bad"), "failed")
    history.add(measured("f2", day=2, device="bad"))
    with pytest.raises(InputError, match=r"no earlier run of bad in .* passed the gate; there is f2 \(gate not asked\), f1 \(failed\).*last:N"):
        history.baseline("bad", "last-good", "new")


def test_pruning_keeps_the_newest_of_each_device(history):
    for k in range(1, 6):
        history.add(measured(f"a{k}", day=k))
        history.add(measured(f"b{k}", day=k, device="other"))
    day = datetime.datetime(2026, 1, 4)
    assert [e.run_id for e in history.prunable(keep=2, before=day, device="chip")] == ["a1", "a2", "a3"]
    assert [e.run_id for e in history.prunable(keep=3, before=day)] == ["a1", "b1", "a2", "b2"]
    assert history.prune(keep=2) == 6
    assert [e.run_id for e in history.runs()] == ["a4", "b4", "a5", "b5"]
    assert history.prune(before=datetime.datetime(2026, 1, 4, 4, tzinfo=datetime.UTC)) == 0
    assert history.prune(before=datetime.datetime(2026, 1, 4, 4, 0, 1, tzinfo=datetime.UTC), device="other") == 1
    assert history.prune(keep=0, device="other") == 1
    assert history.devices() == ["chip"]
    with pytest.raises(InputError, match="no run 'a9'"):
        history.remove("a5", "a9")
    assert len(history.runs()) == 2
    history.remove("a5")
    assert history.series("chip", "cnot_error", "3-4").run_ids == ("a4",)
    assert history.verify() == []
    for wrong in ({}, {"keep": -1}):
        with pytest.raises(ValueError, match="keep"):
            history.prune(**wrong)
