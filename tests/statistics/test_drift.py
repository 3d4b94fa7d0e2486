"""How often a device that does not drift alarms, over hundreds of measured histories, and how soon planted drift is found.

Every night is a run of its own on exact probabilities: new sequences, new counts, new fits.
"""

import numpy as np
import pytest

from qthreshold.drift import DAY, find_drift
from qthreshold.numerics.charts import cusum, self_starting_scores, threshold
from qthreshold.numerics.intervals import clopper_pearson
from reference.nights import DIES_ON, DRIFTS_FROM, FIRST, history, nightly_recipe, quiet_nights, troubled_nights

pytestmark = pytest.mark.slow

STATED = 0.05


@pytest.fixture(scope="module", params=[0.0, 0.15], ids=["as precise as it says", "scattering from night to night"])
def histories(request):
    """A hundred histories of thirty nights of a device that does not drift."""
    return request.param, [history(quiet_nights(nightly_recipe(), seed, scatter=request.param)) for seed in range(100)]


def test_a_device_without_drift_alarms_no_more_often_than_stated(histories):
    scatter, found = histories[0], [find_drift(h) for h in histories[1]]
    alarms = sum(any(d.alarm is not None for d in drifts) for drifts in found)
    steps = sum(any(d.changes for d in drifts) for drifts in found)
    for what, count in (("alarms", alarms), ("steps", steps)):
        best, low, high = clopper_pearson(count, len(found), 0.95)
        print(f"\nscatter {scatter:g}, {what}: {count} of {len(found)} histories, {best:.1%} (95 %: {low:.1%} to {high:.1%}), stated {STATED:.0%}")
        assert low <= STATED


def test_single_charts_alarm_no_more_often_than_stated(histories):
    """Thousands of charts with a threshold that is reached often enough to be counted."""
    from qthreshold.drift import known_values

    h = threshold(STATED, 30)
    for metric in ("cnot_error", "readout_error", "one_qubit_error"):
        series = [s for nights in histories[1] for s in nights if s.metric == metric]
        values, errors = (np.array(v) for v in zip(*map(known_values, series), strict=True))
        charts = cusum(self_starting_scores(values, errors, np.array([s.dof for s in series])), h)
        shares = [float((c >= h).any(axis=1).mean()) for c in charts]
        print(f"\nscatter {histories[0]:g}, {metric}: {len(series)} series, rise {shares[0]:.1%}, fall {shares[1]:.1%}, stated {STATED:.0%} each")
        assert max(shares) <= STATED + 3 * np.sqrt(STATED * (1 - STATED) / len(series))


def test_planted_drift_is_found_within_two_weeks_and_a_dead_qubit_at_once():
    delays, dead = [], []
    for seed in range(10):
        found = {(d.metric, d.target): d.alarm for d in find_drift(history(troubled_nights(nightly_recipe(), seed)))}
        delays += [round((found["cnot_error", t].taken_at - FIRST) / DAY) + 1 - DRIFTS_FROM for t in ("0-1", "2-3", "4-5") if found["cnot_error", t]]
        dead.append(round((found["works", "6"].taken_at - FIRST) / DAY) + 1 - DIES_ON)
    print(f"\n5 % a night: nights to the alarm {sorted(delays)} of 30 pairs; dead qubit {dead}")
    assert len(delays) >= 27
    assert np.median(delays) <= 14
    assert dead == [0] * 10
