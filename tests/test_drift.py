import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qthreshold.drift import DAY, find_drift
from reference.histories import count_series, noise, series_of, works_series
from reference.nights import DIES_ON, DRIFTS_FROM, FIRST, history, nightly_recipe, troubled_nights


def night(at):
    """Number of a night, from 1."""
    return round((at - FIRST) / DAY) + 1


def one(*args, **more):
    return find_drift([series_of(*args, **more)])[0]


def works(*values, **more):
    return find_drift([works_series(values, **more)])[0]


@pytest.fixture(scope="module")
def troubled():
    """Drifts of a measured device, by metric and target."""
    found = find_drift(history(troubled_nights(nightly_recipe(), 11, growth=0.08)))
    return {(d.metric, d.target): d for d in found}


def test_pairs_that_get_worse_are_found_and_no_other(troubled):
    alarms = {target: d.alarm for (metric, target), d in troubled.items() if metric == "cnot_error" and d.alarm}
    assert set(alarms) == {"0-1", "2-3", "4-5"}
    for alarm in alarms.values():
        assert alarm.kind == "rises"
        assert alarm.worse
        assert alarm.active
        assert DRIFTS_FROM < night(alarm.taken_at) <= DRIFTS_FROM + 16
        assert night(alarm.since) < night(alarm.taken_at)


def test_their_trend_holds_the_planted_growth(troubled):
    """Native gates get 1.08**23 = 5.9 times as bad; other errors of a C-NOT do not, so that it is 3 % of the mean a day at least."""
    for target in ("0-1", "2-3", "4-5"):
        assert troubled["cnot_error", target].relative.low > 0.03
    assert troubled["cnot_error", "1-2"].relative.low < 0 < troubled["cnot_error", "1-2"].relative.high


def test_a_qubit_that_dies_alarms_the_same_night(troubled):
    drift = troubled["works", "6"]
    assert drift.alarm.kind == "stopped working"
    assert night(drift.alarm.taken_at) == DIES_ON
    assert troubled["works", "0"].alarm is None
    assert night(troubled["working_qubits", ""].alarm.taken_at) == DIES_ON
    assert [night(c.taken_at) for c in troubled["readout_error", "6"].changes] == [DIES_ON]
    assert troubled["one_qubit_error", "6"].state == "can no longer be fitted"


def test_one_bad_night_is_no_alarm_but_three_are():
    rng = np.random.default_rng(3)
    quiet = 1 + 0.1 * rng.standard_normal(20)
    assert one(np.append(quiet, 2.0)).alarm is None
    alarm = one(np.append(quiet, [2.0, 2.1, 1.9])).alarm
    assert (alarm.kind, night(alarm.since), alarm.active) == ("rises", 21, True)
    assert one(np.append(quiet, [0.1, 0.0, 0.1])).alarm.worse is False


def test_an_alarm_is_over_when_the_level_returns():
    rng = np.random.default_rng(4)
    x = 1 + 0.1 * rng.standard_normal(60)
    x[20:26] += 1
    drift = one(x)
    assert drift.state == "alarm is over"
    assert night(drift.alarm.since) == 21
    assert [night(c.taken_at) for c in drift.changes] == [21, 27]
    assert drift.changes[0].size.low < 1 < drift.changes[0].size.high


@settings(max_examples=25)
@given(st.lists(st.booleans(), min_size=30, max_size=30))
def test_nights_without_data_change_nothing(lost):
    x = np.where(np.arange(30) < 20, 1.0, 1.6) + 0.1 * np.random.default_rng(5).standard_normal(30)
    kept = one(x)
    with_gaps = one([v for gap, value in zip(lost, x, strict=True) for v in [np.nan] * gap + [value]])
    assert with_gaps.alarm.runs == kept.alarm.runs
    assert (with_gaps.rises, with_gaps.falls, with_gaps.measured) == (kept.rises, kept.falls, kept.measured)
    assert [c.size.best for c in with_gaps.changes] == [c.size.best for c in kept.changes]


def test_a_qubit_must_have_worked_to_stop_and_lost_counts_are_no_death():
    assert works(1, 1, 1, 0).alarm.kind == "stopped working"
    assert night(works(1, 1, 1, 0, 0, 0).alarm.taken_at) == 4
    assert works(1, 1, 0).alarm is None
    assert works(0, 0, 0, 0).alarm is None
    assert works(1, 1, 1, 0, 1).alarm is None
    assert works(1, 1, 1, 0.5).alarm is None
    assert works(1, 0.3, 1, 0.4, 0.4, 0.4, 0.4, 1, 0).alarm is None  # it never surely worked
    assert works(1, 1, 1, 0, status=["ok"] * 3 + ["no_data"]).alarm is None


def test_a_count_stops_where_it_surely_was_higher():
    def alarm(*values):
        return find_drift([count_series(*values)])[0].alarm

    assert alarm([7, 7, 7, 6]).kind == "stopped working"
    assert alarm([7, 7, 7, 6], [6, 6, 6, 6], [7, 7, 7, 7]) is None
    assert alarm([7, 7, 6]) is None
    assert alarm([7, 7, 7, 6, 7]) is None


def test_states_of_what_has_no_number():
    assert one([1.0, 1.1, np.nan], status=["ok", "ok", "no_signal"]).state == "can no longer be fitted"
    assert one([1.0, 1.1, np.nan]).state == "too few runs"
    assert one([np.nan, np.nan]).state == "no data"
    assert one([]).state == "no data"
    assert np.isnan(one([1.0, 1.1]).trend.best)


def test_the_threshold_grows_with_the_device_and_the_calibration_is_told():
    alone = one([1.0, 1.1, 1.0], calibrated=5.0)
    many = find_drift([series_of([1.0, 1.1, 1.0], target=f"{i}-{i + 1}") for i in range(100)])
    assert many[0].threshold > alone.threshold + 2
    assert alone.hours_since_calibration == pytest.approx(5.0)


def test_what_else_is_looked_at_changes_nothing():
    device = [series_of(1 + 0.1 * noise(30, seed) + 0.02 * np.arange(30), target=f"{seed}-{seed + 1}") for seed in range(20)]
    device += [works_series([1] * 30), count_series([7] * 30)]
    among = {"cnot_error": 20, "works": 1, "connected_working_qubits": 1}
    together, alone = find_drift(device), [find_drift([s], among=among)[0] for s in device]
    assert [d.id for d in together] == [d.id for d in alone]
    assert find_drift(device[:1])[0].threshold < together[0].threshold


def test_series_of_two_devices_are_refused():
    with pytest.raises(ValueError, match="one device"):
        find_drift([series_of([1.0]), series_of([1.0], device="other")])
    with pytest.raises(ValueError, match="false alarms"):
        find_drift([], false_alarms=0)
    assert find_drift([]) == ()


def test_series_of_unequal_length_are_charted_as_if_alone():
    long, short = series_of(1 + 0.1 * noise(40)), series_of(1 + 0.1 * noise(12, seed=7), target="1-2")
    together = find_drift([long, short])
    assert [d.runs for d in together] == [40, 12]
    assert together[1].rises == find_drift([short, short.replace(target="2-3")])[0].rises


def test_the_json_form_says_all_and_holds_no_nan(troubled):
    import json

    for drift in (*troubled.values(), one([])):
        json.dumps(drift.as_dict(), allow_nan=False)
    document = troubled["cnot_error", "0-1"].as_dict()
    assert document["alarm"]["kind"] == "rises"
    assert document["schema"] == "qthreshold/drift/1"
