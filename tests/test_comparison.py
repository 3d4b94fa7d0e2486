import json

import numpy as np
import pytest

from qthreshold.comparison import OF_DEVICE, compare_measurements
from qthreshold.errors import InputError
from qthreshold.measurements import METRICS, make_measurements
from reference.grid_nights import night
from reference.reports import no_counts, one_pair_lost

QUIET = [make_measurements(night(seed)) for seed in range(1, 7)]


def at(comparison, metric, target=""):
    return next(c for c in comparison.changes if (c.metric, c.target) == (metric, target))


def test_an_unchanged_device_is_not_called_worse():
    for after in QUIET[1:]:
        assert compare_measurements(QUIET[:1], after).having("worse") == ()


def test_a_pair_that_became_four_times_worse_is_found_and_only_that():
    after = make_measurements(night(9, worse=[4], factor=4.0))
    found = compare_measurements(QUIET[:1], after, max_regression=0.05).having("worse")
    assert [c.title for c in found if c.target] == [f"cnot_error {pair(4)}"]
    assert next(c for c in found if c.target).change == pytest.approx(3.0, abs=1.5)


def pair(row):
    a, b = night().device.edges[row].tolist()
    return f"{a}-{b}"


def test_what_got_better_is_not_worse():
    before, after = (make_measurements(night(s, true=t)) for s, t in ((1, 8e-3), (2, 2e-3)))
    comparison = compare_measurements([before], after)
    assert at(comparison, "cnot_error.mean").outcome == "not_worse"
    assert comparison.having("worse") == ()


def test_a_change_inside_the_tolerance_is_not_worse():
    before, after = (make_measurements(night(s, true=t)) for s, t in ((1, 4e-3), (2, 6e-3)))
    assert at(compare_measurements([before], after, max_regression=0.05), "cnot_error.mean").outcome == "worse"
    assert at(compare_measurements([before], after, max_regression=2.0), "cnot_error.mean").outcome == "not_worse"


def test_the_share_of_false_alarms_without_any_tolerance_is_that_of_the_test():
    """Each pair of nights of an unchanged device is worse at one place or more with a chance of at most the rate."""
    runs = [make_measurements(night(seed, rows=2, columns=3)) for seed in range(100, 220)]
    false = sum(bool(compare_measurements([a], b, max_regression=0.0, fdr=0.1).having("worse")) for a, b in zip(runs[::2], runs[1::2], strict=True))
    assert false <= 0.1 * 60 + 3 * np.sqrt(60 * 0.1 * 0.9)


def test_several_nights_say_what_scatter_is_ordinary():
    """A device that is 50 % worse every other night: against one night that is worse, against eight it is nothing new."""
    nights = [make_measurements(night(seed, true=4e-3 * (1.5 if seed % 2 else 1.0))) for seed in range(20, 28)]
    bad = make_measurements(night(31, true=6e-3))
    assert at(compare_measurements([nights[0]], bad), "cnot_error.mean").outcome == "worse"
    assert at(compare_measurements(nights, bad), "cnot_error.mean").outcome != "worse"


@pytest.mark.parametrize(("nights", "scatter"), [(1, 0.0), *((n, s) for n in (2, 3, 7) for s in (0.0, 3e-4, 1e-3))])
def test_a_device_that_scatters_from_night_to_night_is_seldom_called_worse(nights, scatter):
    """300 pairs, errors of 3e-4 at a level of 1e-2, 5 % false discoveries; a baseline of one night knows nothing of scatter and is not asked."""
    rng, false = np.random.default_rng(nights), 0
    for _ in range(60):
        values = 1e-2 + rng.normal(0, np.hypot(3e-4, scatter), (nights + 1, 300))
        runs = [pairs_of(v, 3e-4) for v in values]
        false += bool(compare_measurements(runs[:-1], runs[-1], max_regression=0.0).having("worse"))
    assert false <= 0.05 * 60 + 3 * np.sqrt(60 * 0.05 * 0.95)


def pairs_of(values, error):
    """A table of pairs only, with normal errors."""
    m, n = QUIET[0], len(values)
    return m.replace(
        metric=("cnot_error",) * n, target=tuple(f"{i}-{i + 1}" for i in range(n)), best=values, low=values - 1.959964 * error,
        high=values + 1.959964 * error, dof=np.full(n, np.inf), status=("ok",) * n,
    )  # fmt: skip


def with_works(m, target, probability):
    i = m.index()["works", target]
    return m.replace(**{name: np.where(np.arange(len(m.best)) == i, probability, getattr(m, name)) for name in ("best", "low", "high")})


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [([1.0], 0.0, "worse"), ([0.999], 0.001, "worse"), ([1.0] * 6 + [0.0], 0.0, "worse"), ([1.0], 0.4, "cannot_tell"), ([0.0], 0.0, "not_worse"),
     ([0.0, 1.0, 0.0], 0.0, "not_worse"), ([1.0], 0.99, "not_worse")],
)  # fmt: skip
def test_a_qubit_that_stops_is_found_by_its_probabilities(before, after, outcome):
    baseline = [with_works(QUIET[k % 3], "3", p).replace(run_id=f"n{k}") for k, p in enumerate(before)]
    assert at(compare_measurements(baseline, with_works(QUIET[4], "3", after)), "works", "3").outcome == outcome


def test_a_run_that_lacked_data_is_no_baseline_of_the_whole_device():
    few = QUIET[0].replace(missing=5)
    assert at(compare_measurements([few], QUIET[1]), "working_qubits").reason == "not measured in the baseline"


def test_missing_counts_are_never_a_worse_device():
    lost = compare_measurements(QUIET[:1], make_measurements(night(9, change=no_counts)))
    assert lost.having("worse") == ()
    assert {c.outcome for c in lost.changes if c.metric in (*OF_DEVICE, "cnot_error", "works")} == {"no_data"}
    some = compare_measurements(QUIET[:1], make_measurements(night(9)).replace(missing=3))
    assert {c.outcome for c in some.changes if not c.target} == {"no_data"}
    assert at(some, "cnot_error", "0-1").outcome != "no_data"


def test_a_pair_that_cannot_be_fitted_any_more_is_said():
    change = at(compare_measurements(QUIET[:1], make_measurements(night(9, change=one_pair_lost))), "cnot_error", "0-1")
    assert (change.outcome, change.reason) == ("cannot_tell", "no estimate (too fast)")


def test_a_dead_qubit_is_worse_whatever_is_tolerated():
    m = QUIET[1]
    i = m.index()["works", "3"]
    values = {name: np.where(np.arange(len(m.best)) == i, 0.0, getattr(m, name)) for name in ("best", "low", "high")}
    comparison = compare_measurements(QUIET[:1], m.replace(**values), max_regression=0.5)
    assert [c.title for c in comparison.having("worse")] == ["works 3"]


def test_a_mended_pair_does_not_make_the_device_worse():
    """A bad pair that could not be fitted comes back: the mean rises because it is in it again."""
    before = make_measurements(night(1, worse=[0], factor=5.0, change=one_pair_lost))
    after = make_measurements(night(2, worse=[0], factor=5.0))
    assert after.best[0] > 1.2 * before.best[0]
    comparison = compare_measurements([before], after)
    assert comparison.having("worse") == ()
    assert at(comparison, "cnot_error.mean").reason.startswith("other qubits and pairs count")


@pytest.mark.parametrize(("name", "value"), [("device", "other"), ("protocol", "plain"), ("criterion cnot_error", "0.5")])
def test_a_foreign_baseline_is_refused_with_what_differs(name, value):
    foreign = QUIET[0].replace(context=dict(QUIET[0].context) | {name: value})
    with pytest.raises(InputError, match=f"{name}: {value} in the baseline, {QUIET[1].context[name]} here"):
        compare_measurements([foreign], QUIET[1])


def test_a_comparison_has_a_json_form():
    comparison = compare_measurements(QUIET[:2], QUIET[2])
    document = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    assert document["schema"] == "qthreshold/comparison/1"
    assert document["baseline"] == ["night-1", "night-2"]
    assert len(document["changes"]) == len(comparison.changes)
    assert {c["metric"] for c in document["changes"]} <= METRICS.keys()
