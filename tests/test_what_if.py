"""What it would take: distances to every band, counts that the present error is caught at, shots that settle a verdict."""

import datetime
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qthreshold.evidence import data_sheet_evidence
from qthreshold.interpretation import Interpretation
from qthreshold.rulebook import load_instrument
from qthreshold.verdict import judge
from qthreshold.what_if import what_if

US = load_instrument("us-ear")
DAY = datetime.date(2026, 1, 1)


def ask(qubits, error, low=None, high=None, executions=None, **changes):
    evidence = data_sheet_evidence(qubits, error, low, high, 0.95, Interpretation()).replace(**changes)
    return what_if(US, evidence, judge(US, evidence, DAY), executions)


def test_a_machine_of_98_qubits_needs_two_more_for_a_looser_limit_or_an_error_eight_times_smaller():
    w = ask(98, 7.9e-4)
    assert (w.qubits, w.limit) == (98, 1e-4)
    first, second = w.bands[:2]
    assert (first.entry, first.more_qubits, first.met) == ("4A906.a.1", 0, False)
    assert first.error_factor == pytest.approx(1e-4 / 7.9e-4)
    assert (second.entry, second.more_qubits, second.error_factor, second.met) == ("4A906.a.2", 2, None, False)
    assert (w.caught_min, w.caught_max) == ((100,), (-1,))


def test_counts_at_which_an_error_is_caught_join_where_bands_touch():
    assert ask(50, 5e-5).caught_min == (34,)
    assert list(zip(ask(50, 2.5e-3).caught_min, ask(50, 2.5e-3).caught_max, strict=True)) == [(350, -1)]
    assert list(zip(ask(50, 0.5).caught_min, ask(50, 0.5).caught_max, strict=True)) == [(2000, -1)]


@given(st.integers(0, 3000), st.floats(0, 0.02))
def test_what_it_would_take_is_enough_and_no_less_is(qubits, error):
    w = ask(qubits, error)
    for band in w.bands:
        at = band.min_qubits if band.more_qubits > 0 else band.max_qubits - 1 if band.more_qubits < 0 else qubits
        assert qubits + band.more_qubits == at
        enough = error if band.error_factor is None else band.max_error
        verdict = judge(US, data_sheet_evidence(at, enough, None, None, 0.95, Interpretation()), DAY)
        assert (verdict.outcome, verdict.entry) == ("met", band.entry)
        assert band.met == (band.more_qubits == 0 and band.error_factor is None)
        if band.error_factor is not None:
            assert band.error_factor * error == pytest.approx(band.max_error)
            assert error > band.max_error
        if band.more_qubits:
            closer = qubits + band.more_qubits - int(np.sign(band.more_qubits))
            found = US.band_at(closer)
            assert found is None or found.entry != band.entry


@given(st.integers(0, 3000), st.floats(0, 0.02))
def test_counts_that_are_caught_are_those_that_a_verdict_says_are_met(qubits, error):
    w = ask(50, error)
    caught = any(a <= qubits and (b < 0 or qubits <= b) for a, b in zip(w.caught_min, w.caught_max, strict=True))
    assert caught == (judge(US, data_sheet_evidence(qubits, error, None, None, 0.95, Interpretation()), DAY).outcome == "met")


def test_shots_that_settle_a_verdict_are_stated_in_executions_too():
    w = ask(150, 9e-4, 7e-4, 1.1e-3, executions=1000)
    assert (w.times_shots, w.executions, w.open_because) == (4, 4000, "")
    assert ask(150, 9e-4, 7e-4, 1.1e-3).executions is None
    settled = ask(150, 9e-4, 8.9e-4, 9.1e-4, executions=1000)
    assert (settled.times_shots, settled.executions, settled.open_because) == (None, None, "")


def test_what_shots_cannot_settle_is_said():
    assert "exactly at the limit" in ask(150, 1e-3, 9e-4, 1.1e-3).open_because
    unsure = np.where(np.arange(2001) % 2, 99, 100)
    assert "number of working qubits is uncertain" in ask(100, 5e-4, 4.9e-4, 5.1e-4, draw_qubits=unsure, draw_qubits_if=unsure).open_because
    failed = ask(150, 9e-4, 8.9e-4, 9.1e-4, failed_edges=3, failed_shift=1e-3)
    assert "could not be fitted" in failed.open_because
    blank = np.full(2001, np.nan)
    assert "no C-NOT error was measured" in ask(150, 9e-4, 8e-4, 1e-3, draw_error=blank).open_because


def test_the_json_form_has_no_end_where_there_is_none():
    document = ask(98, 7.9e-4).as_dict()
    assert document["counts_caught"] == [[100, None]]
    assert document["bands"][7] == {
        "entry": "4A906.a.8", "min_qubits": 2000, "max_qubits": None, "max_error": None, "more_qubits": 1902, "error_factor": None, "met": False,
    }  # fmt: skip
    assert not math.isnan(document["cnot_error"])
