import json

import numpy as np
import pytest

from qthreshold.measurements import METRICS, from_dict, make_measurements
from reference.grid_nights import night
from reference.reports import no_counts, one_pair_lost, reference_only


@pytest.mark.parametrize("change", [None, one_pair_lost, no_counts, reference_only], ids=lambda c: getattr(c, "__name__", "plain"))
def test_the_table_survives_json(change):
    m = make_measurements(night(change=change))
    assert from_dict(json.loads(json.dumps(m.as_dict()))) == m


def test_a_table_holds_every_metric_of_every_target_once():
    run = night()
    m = make_measurements(run)
    assert set(m.metric) == METRICS.keys()
    assert sum(name == "cnot_error" for name in m.metric) == len(run.device.edges)
    assert sum(name == "works" for name in m.metric) == run.device.n_qubits
    assert {s for name, s in zip(m.metric, m.status, strict=True) if not name.startswith("one_qubit")} == {"ok"}
    assert {s for name, s in zip(m.metric, m.status, strict=True) if name == "one_qubit_error"} == {"not_measured"}


def test_standard_errors_are_those_of_the_fits():
    run = night()
    m = make_measurements(run)
    rows = [i for i, name in enumerate(m.metric) if name == "cnot_error"]
    assert m.error[rows] == pytest.approx(run.fits.cnot_error, rel=1e-5)  # the quantile of t is a series, good to 1e-6 here
    assert m.dof[rows].tolist() == run.fits.cnot_dof.tolist()


def test_lost_counts_and_bad_decays_have_names_of_their_own():
    of = {m: make_measurements(night(change=m)) for m in (no_counts, one_pair_lost)}
    lost, bad = (of[c].status[of[c].index()["cnot_error", "0-1"]] for c in (no_counts, one_pair_lost))
    assert (lost, bad) == ("no_data", "too_fast")
    works = {of[no_counts].status[i] for i, name in enumerate(of[no_counts].metric) if name == "works"}
    assert works == {"no_data"}  # that no qubit counts is no finding about any


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("metric", ("nothing",), "unknown metrics"),
        ("target", (), "values of target"),
        ("low", np.array([9.0]), "not ordered"),
    ],
)
def test_a_table_that_cannot_be_is_refused(field, value, says):
    good = from_dict({
        "schema": "qthreshold/measurements/1", "run_id": "a", "device": "d", "taken_at": "2026-11-25T12:00:00Z", "calibrated_at": "",
        "calibration_id": "", "context": {}, "origin": {}, "missing": 0, "level": 0.95,
        "rows": [{"metric": "works", "target": "1", "low": 0.0, "best": 0.5, "high": 1.0, "dof": None, "status": "ok"}],
    })  # fmt: skip
    with pytest.raises(ValueError, match=says):
        good.replace(**{field: value})
