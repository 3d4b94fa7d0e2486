"""Verdicts at the edges of the bands, under doubt, and under other readings of the law."""

import datetime
import hashlib
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import norm

from qthreshold.assess import judge as judge_numbers
from qthreshold.datafiles import shipped
from qthreshold.evidence import Evidence, RegisterEvidence, data_sheet_evidence, measured_evidence, run_evidence
from qthreshold.identity import Interval
from qthreshold.interpretation import Interpretation
from qthreshold.metrics import DeviceMetrics
from qthreshold.rulebook import load_instrument, load_instruments
from qthreshold.schema import Days
from qthreshold.verdict import judge, judge_all

US = load_instrument("us-ear")
DAY = datetime.date(2026, 1, 1)
EDGES = [(34, 1e-4), (99, 1e-4), (100, 1e-3), (199, 1e-3), (200, 2e-3), (349, 2e-3), (350, 3e-3), (499, 3e-3), (500, 4e-3), (699, 4e-3), (700, 5e-3),
         (1099, 5e-3), (1100, 6e-3), (1999, 6e-3)]  # fmt: skip


def evidence_of(qubits, error, *, level=0.95, best=None, systematic=None, **interpretation):
    """Evidence with the given draws; the best estimate is their median unless stated."""
    qubits, error = np.broadcast_arrays(np.asarray(qubits, dtype=np.int64), np.asarray(error, dtype=float))
    n, e = best or (int(np.median(qubits)), float(np.median(error)))
    low, high = systematic or (e, e)
    known = np.append(error[np.isfinite(error)], e)
    return Evidence(
        qubits=n, error=Interval(low=float(known.min()), best=e, high=float(known.max()), level=level),
        draw_qubits=np.atleast_1d(qubits).copy(), draw_qubits_if=np.atleast_1d(qubits).copy(), draw_error=np.atleast_1d(error).copy(),
        systematic_low=low, systematic_high=high, level=level,
        interpretation=Interpretation(**interpretation),
    )  # fmt: skip


def outcome_of(qubits, error, **changes):
    return judge(US, evidence_of(qubits, error, **changes), DAY).outcome


def sheet(qubits, error, low=None, high=None, level=0.95):
    return judge(US, data_sheet_evidence(qubits, error, low, high, level, Interpretation()), DAY)


@pytest.mark.parametrize(("qubits", "limit"), EDGES)
def test_an_error_exactly_at_the_limit_meets_the_band_and_the_next_number_does_not(qubits, limit):
    below, at, above = (sheet(qubits, e) for e in (math.nextafter(limit, 0), limit, math.nextafter(limit, 1)))
    assert below.outcome == "met"
    assert (at.outcome, at.probability_met, at.entry) == ("met", 1.0, US.band_at(qubits).entry)
    assert (above.outcome, above.probability_met, above.entry) == ("not_met", 0.0, None)


@pytest.mark.parametrize("rule", [i.id for i in load_instruments() if i.bands])
@pytest.mark.parametrize(("qubits", "limit"), EDGES)
def test_every_instrument_with_bands_has_the_same_edges_while_it_is_in_force(rule, qubits, limit):
    instrument = load_instrument(rule)
    day = instrument.in_force.latest
    for error, expected in ((math.nextafter(limit, 0), "met"), (limit, "met"), (math.nextafter(limit, 1), "not_met")):
        found = judge(instrument, data_sheet_evidence(qubits, error, None, None, 0.95, Interpretation()), day)
        assert (found.outcome, found.entry) == (expected, instrument.band_at(qubits).entry if expected == "met" else None)
    assert judge(instrument, data_sheet_evidence(33, 0.0, None, None, 0.95, Interpretation()), day).outcome == "not_met"
    assert judge(instrument, data_sheet_evidence(2000, 1.0, None, None, 0.95, Interpretation()), day).entry == instrument.bands[7].entry


@pytest.mark.parametrize("error", [0.0, 1e-9, 1e-4, 0.5])
def test_below_34_qubits_no_error_is_small_enough(error):
    verdict = sheet(33, error)
    assert (verdict.outcome, verdict.probability_met, verdict.entry) == ("not_met", 0.0, None)
    assert "33 qubits, below 34" in verdict.reason
    assert "1 more qubit: 4A906.a.1" in verdict.reason


def test_one_more_qubit_can_bring_a_machine_under_control():
    assert [sheet(n, 5e-4).outcome for n in (99, 100)] == ["not_met", "met"]


@pytest.mark.parametrize("error", [0.0, 0.1, 1.0])
def test_from_2000_qubits_on_every_error_meets_the_last_band(error):
    verdict = sheet(2000, error)
    assert (verdict.outcome, verdict.entry) == ("met", "4A906.a.8")
    assert "no error criterion" in verdict.reason
    assert sheet(1999, 0.1).outcome == "not_met"


def test_published_machines_fall_where_the_facts_say():
    for qubits, error in ((98, 7.9e-4), (105, 3.3e-3), (60, 5e-3), (32, 1e-5)):
        assert sheet(qubits, error).outcome == "not_met"
    assert sheet(100, 7.9e-4).outcome == "met"


@pytest.mark.parametrize(("error", "low", "high"), [(1e-3, 9e-4, 1.1e-3), (9.5e-4, 8e-4, 1.1e-3), (1.2e-3, 9e-4, 1.5e-3), (9e-4, 8.9e-4, 1.3e-3)])
def test_an_interval_across_the_limit_has_the_probability_of_the_normal_distribution(error, low, high):
    verdict = sheet(150, error, low, high)
    sigma = (high - error if error < 1e-3 else error - low) / norm.ppf(0.975)
    assert verdict.probability_met == pytest.approx(norm.cdf((1e-3 - error) / sigma), abs=1e-3)
    assert verdict.outcome == "undetermined"
    assert verdict.entry == "4A906.a.2"


@pytest.mark.parametrize("level", [0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
def test_the_outcome_flips_exactly_at_the_confidence(level):
    draws = 1000
    needed = round(level * draws)
    for met, expected in ((needed, "met"), (needed - 1, "undetermined"), (draws - needed, "not_met"), (draws - needed + 1, "undetermined")):
        error = np.where(np.arange(draws) < met, 9e-4, 1.1e-3)
        verdict = judge(US, evidence_of(150, error, level=level), DAY)
        assert (verdict.outcome, verdict.probability_met) == (expected, met / draws)


def test_without_a_measured_error_a_band_with_a_limit_stays_open_and_one_without_is_met():
    assert outcome_of(50, np.nan) == "undetermined"
    assert outcome_of(33, np.nan) == "not_met"
    assert outcome_of(2000, np.nan) == "met"
    verdict = judge(US, evidence_of(50, np.nan), DAY)
    assert verdict.probability_met is None  # nothing was measured that would give one
    assert "no C-NOT error was measured" in verdict.reason


def test_a_few_draws_without_an_error_do_not_count_as_met_or_as_missed():
    error = np.where(np.arange(100) < 4, np.nan, 5e-4)
    assert outcome_of(150, error) == "met"  # 96 of 100 surely inside
    error = np.where(np.arange(100) < 6, np.nan, 5e-4)
    assert outcome_of(150, error) == "undetermined"
    error = np.where(np.arange(100) < 6, np.nan, 5e-3)
    assert outcome_of(150, error) == "undetermined"


def test_qubits_and_error_are_judged_draw_by_draw_together():
    # at 99 qubits the error is too large and at 100 it is small enough: the count decides
    for share, expected in ((0.97, "met"), (0.5, "undetermined"), (0.03, "not_met")):
        qubits = np.where(np.arange(1000) < 1000 * share, 100, 99)
        verdict = judge(US, evidence_of(qubits, 5e-4), DAY)
        assert (verdict.outcome, verdict.probability_met) == (expected, share)
    # anticorrelated: the error is small where the count is small, so no draw is inside although half of each would be
    qubits, error = np.where(np.arange(100) < 50, 99, 100), np.where(np.arange(100) < 50, 5e-4, 2e-3)
    assert judge(US, evidence_of(qubits, error), DAY).probability_met == 0
    assert judge(US, evidence_of(qubits, error[::-1]), DAY).probability_met == 0.5


def test_systematics_are_left_out_unless_asked_for():
    assert outcome_of(150, 5e-4, systematic=(0.0, 5e-3)) == "met"


@pytest.mark.parametrize(
    ("error", "ends", "expected"),
    [(5e-4, (0, 1e-3), "met"), (5e-4, (0, 2e-3), "undetermined"), (5e-3, (4e-3, 9e-3), "not_met"), (2e-3, (0, 6e-3), "undetermined")],
)
def test_with_systematics_the_verdict_must_hold_at_both_ends(error, ends, expected):
    assert outcome_of(150, error, systematic=ends, systematics="included") == expected


def test_with_systematics_the_draws_move_with_the_ends():
    draws = 5e-4 + 1e-4 * norm.ppf((np.arange(1000) + 0.5) / 1000)
    verdict = judge(US, evidence_of(150, draws, systematic=(5e-4, 1e-3), systematics="included"), DAY)
    assert verdict.outcome == "undetermined"
    assert verdict.probability_met == pytest.approx((1 + 0.5) / 2, abs=2e-3)


def test_unknown_systematics_never_give_a_firm_verdict():
    assert outcome_of(150, 5e-4, systematic=(np.nan, np.nan), systematics="included") == "undetermined"


@pytest.mark.parametrize(
    ("change", "day", "expected", "words"),
    [
        ({}, datetime.date(2024, 9, 5), "not_in_force", "in force from 2024-09-06"),
        ({"until": Days.parse("2025-12-31")}, DAY, "not_in_force", "superseded after 2025-12-31"),
        ({"standing": "secondary"}, DAY, "not_verified", "secondary sources"),
        ({"bands": []}, DAY, "no_entry", "no entry"),
        ({"bands": [], "standing": "none"}, DAY, "not_verified", "nothing usable was read"),
        ({"standing": "secondary", "bands": []}, DAY, "not_verified", "secondary sources"),
        ({"standing": "secondary"}, datetime.date(2020, 1, 1), "not_in_force", "in force from"),
        ({"standing": "secondary", "reported": "eight bands"}, DAY, "not_verified", "reported: eight bands"),
        ({"in_force": Days.parse("2026-01")}, DAY, "not_verified", "it came into force in 2026-01, the day itself was not read"),
        ({"in_force": Days.parse("2026-01")}, datetime.date(2025, 12, 31), "not_in_force", "in force from 2026-01"),
        ({"amended": Days.parse("2026")}, DAY, "not_verified", "by the bands read: met, 4A906.a.2"),
    ],
)
def test_an_instrument_without_bands_that_can_be_used_gives_no_verdict(change, day, expected, words):
    verdict = judge(US.model_copy(update=change), evidence_of(150, 1e-5), day)
    assert (verdict.outcome, verdict.probability_met, verdict.entry) == (expected, None, None)
    assert words in verdict.reason
    assert verdict.as_of == day.isoformat()


@pytest.mark.parametrize(
    ("change", "day"),
    [({"in_force": Days.parse("2025-12")}, DAY), ({"amended": Days.parse("2026")}, datetime.date(2025, 12, 31)),
     ({"until": Days.parse("2026-01-01")}, DAY)],
)  # fmt: skip
def test_outside_the_range_of_days_that_is_not_known_there_is_a_verdict(change, day):
    assert judge(US.model_copy(update=change), evidence_of(150, 1e-5), day).outcome == "met"


def test_the_same_machine_was_free_in_the_union_a_day_earlier():
    found = [judge_numbers(qubits=150, cnot_error=5e-4, as_of=datetime.date(2025, 11, d), rules=["us-ear", "eu-dual-use"]) for d in (14, 15)]
    assert [[v.outcome for v in verdicts] for verdicts in found] == [["met", "not_in_force"], ["met", "met"]]


@given(st.integers(0, 2500), st.floats(0, 0.02), st.floats(0, 0.02), st.floats(1e-6, 2e-3), st.sampled_from([0.6, 0.9, 0.95]))
def test_a_larger_error_never_brings_a_machine_under_control(qubits, first, second, sigma, level):
    noise = sigma * norm.ppf((np.arange(201) + 0.5) / 201)
    rank = {"not_met": 0, "undetermined": 1, "met": 2}
    small, large = sorted((first, second))
    a, b = (judge(US, evidence_of(qubits, e + noise, level=level), DAY) for e in (small, large))
    assert rank[a.outcome] >= rank[b.outcome]
    assert a.probability_met >= b.probability_met


@given(st.integers(1, 2300), st.integers(0, 60), st.floats(1e-5, 8e-3), st.floats(0, 3e-3), st.integers(0, 2**32 - 1))
def test_the_probability_is_the_share_of_draws_that_one_by_one_lie_in_a_band(qubits, spread, error, sigma, seed):
    rng = np.random.default_rng(seed)
    n = np.maximum(qubits + rng.integers(-spread, spread + 1, 300), 0)
    e = error + sigma * rng.standard_normal(300)
    e[rng.random(300) < 0.02] = np.nan
    inside = [(band := US.band_at(int(k))) is not None and (band.max_error is None or x <= band.max_error) for k, x in zip(n, e, strict=True)]
    verdict = judge(US, evidence_of(n, e, best=(qubits, error)), DAY)
    assert verdict.probability_met == pytest.approx(np.mean(inside), abs=1e-12)
    assert verdict.outcome != "met" or np.mean(inside) >= 0.95
    assert (verdict.entry is None) == (verdict.outcome == "not_met")


@pytest.mark.parametrize(("error", "half"), [(9e-4, 2e-4), (1.1e-3, 3e-4), (9.9e-4, 1.5e-4), (1.05e-3, 6e-5)])
def test_the_stated_multiple_of_shots_would_settle_it_and_is_not_far_too_many(error, half):
    verdict = sheet(150, error, error - half, error + half)
    assert verdict.outcome == "undetermined"
    stated = int(re.search(r"about ([\d,]+) times the shots", verdict.reason)[1].replace(",", ""))
    assert stated == math.ceil((half / abs(error - 1e-3)) ** 2)
    smaller = half / math.sqrt(stated)  # errors shrink as one over the square root
    assert sheet(150, error, error - smaller, error + smaller).outcome == ("met" if error < 1e-3 else "not_met")
    enough = (norm.ppf(0.95) * half / norm.ppf(0.975) / abs(error - 1e-3)) ** 2
    assert enough <= stated <= 1.45 * enough + 1


def test_no_number_of_shots_settles_an_error_exactly_at_the_limit():
    verdict = sheet(150, 1e-3, 9e-4, 1.1e-3)
    assert verdict.outcome == "undetermined"
    assert "times the shots" not in verdict.reason
    assert "at the limit" in verdict.reason


def metrics_of(*, mean=9e-4, median=9e-4, sigma=1e-5, qubits=150, systematic=(0.0, 3e-3), estimate="interleaved", connected="measured"):
    z = norm.ppf((np.arange(1000) + 0.5) / 1000)
    count = Interval(low=qubits, best=qubits, high=qubits, level=0.95)

    def interval(best):
        return Interval(low=best - 1.96 * sigma, best=best, high=best + 1.96 * sigma, level=0.95)

    return DeviceMetrics(
        fits_id="0" * 64, estimate=estimate, connected=connected,
        works=np.ones(qubits), criteria_met=np.ones((qubits, 3)), qubit_reason=("",) * qubits, members=np.arange(qubits),
        member_edges=np.arange(qubits - 1), unmeasured_edges=0, failed_edges=0, failed_shift=0.0, working_qubits=count,
        connected_working_qubits=count, mean=interval(mean), median=interval(median),
        best=interval(mean), worst=interval(mean), systematic_low=systematic[0], systematic_high=systematic[1],
        draw_qubits=np.full(1000, qubits), draw_qubits_if=np.full(1000, qubits), draw_mean=mean + sigma * z, draw_median=median + sigma * z,
    )  # fmt: skip


def disagreements(metrics, day=DAY):
    default = Interpretation(estimate=metrics.estimate, connected=metrics.connected)
    found = judge_all(load_instruments(["us-ear"]), run_evidence(metrics, None, default, 0.95), day).disagreements
    return {(v.interpretation.aggregate, v.interpretation.infidelity, v.interpretation.systematics): v.outcome for v in found}


def test_the_median_is_judged_where_it_differs_from_the_mean():
    assert disagreements(metrics_of(mean=2e-3, median=5e-4, systematic=(2e-3, 2e-3))) == {("median", "average_gate", "excluded"): "met"}


def test_process_infidelity_is_five_quarters_of_the_average_gate_infidelity():
    evidence = measured_evidence(metrics_of(mean=9e-4), Interpretation(infidelity="process"), 0.95)
    assert evidence.error.best == pytest.approx(1.125e-3)
    np.testing.assert_allclose(evidence.draw_error, 1.25 * metrics_of(mean=9e-4).draw_mean)
    assert disagreements(metrics_of(systematic=(9e-4, 9e-4))) == {("mean", "process", "excluded"): "not_met"}


def test_a_systematic_range_across_the_limit_is_a_disagreement():
    assert disagreements(metrics_of(mean=5e-4, median=5e-4)) == {("mean", "average_gate", "included"): "undetermined"}


def test_no_disagreement_when_every_reading_agrees_or_nothing_is_in_force():
    assert disagreements(metrics_of(mean=1e-4, median=1e-4, systematic=(0, 2e-4))) == {}
    assert disagreements(metrics_of(mean=2e-3, median=5e-4), datetime.date(2020, 1, 1)) == {}


def test_the_systematic_range_follows_the_aggregate_and_the_scale():
    metrics = metrics_of(mean=9e-4, median=7e-4, systematic=(4e-4, 2e-3))
    evidence = measured_evidence(metrics, Interpretation(aggregate="median", infidelity="process"), 0.95)
    assert evidence.systematic_low == pytest.approx(1.25 * (4e-4 - 2e-4))
    assert evidence.systematic_high == pytest.approx(1.25 * (2e-3 - 2e-4))


UPPER = {"estimate": "upper", "systematic": (math.nan, math.nan)}


def judged(metrics, **interpretation):
    default = Interpretation(estimate=metrics.estimate, connected=metrics.connected)
    return judge(US, measured_evidence(metrics, default.replace(**interpretation), 0.95), DAY)


def test_an_upper_estimate_below_the_limit_is_met_under_every_reading():
    metrics = metrics_of(mean=5e-4, median=5e-4, **UPPER)
    verdict = judged(metrics)
    assert (verdict.outcome, verdict.interpretation.estimate) == ("met", "upper")
    assert "the upper estimate of the error is 50 % below it" in verdict.reason
    assert "may be lower" not in verdict.reason
    assert judged(metrics, systematics="included").outcome == "met"
    assert disagreements(metrics) == {}


def test_an_upper_estimate_above_the_limit_does_not_prove_that_the_error_is():
    metrics = metrics_of(mean=2e-3, median=2e-3, **UPPER)
    verdict = judged(metrics)
    assert (verdict.outcome, verdict.probability_met) == ("not_met", 0.0)
    assert "the upper estimate of the error is 2 times that" in verdict.reason
    assert "the C-NOT error itself may be lower" in verdict.reason
    assert disagreements(metrics) == {("mean", "average_gate", "included"): "undetermined"}


@pytest.mark.parametrize("change", [{}, {"aggregate": "median"}, {"infidelity": "process"}])
def test_the_systematic_range_of_an_upper_estimate_reaches_from_itself_down_to_zero(change):
    evidence = measured_evidence(metrics_of(mean=9e-4, median=7e-4, **UPPER), Interpretation(**change), 0.95)
    assert (evidence.systematic_low, evidence.systematic_high) == (0.0, pytest.approx(evidence.error.best))


def test_below_34_qubits_the_reason_still_says_that_the_error_is_an_upper_estimate():
    assert "the C-NOT error is an upper estimate" in judged(metrics_of(qubits=8, **UPPER)).reason


def test_a_stated_number_of_qubits_is_said_to_be_stated():
    for qubits in (8, 150, 2500):
        verdict = judged(metrics_of(qubits=qubits, connected="stated"))
        assert verdict.reason.endswith("the number of qubits is stated, not measured")
        assert verdict.interpretation.connected == "stated"
    assert "stated" not in judged(metrics_of()).reason


def test_of_numbers_on_a_data_sheet_it_is_not_known_how_they_were_measured():
    verdict = judge_numbers(qubits=150, cnot_error=5e-4)[0]
    assert (verdict.interpretation.estimate, verdict.interpretation.connected) == ("unstated", "unstated")


def test_an_asymmetric_interval_is_wider_on_its_wider_side():
    assert sheet(150, 9e-4, 8.99e-4, 1.1e-3).probability_met < sheet(150, 9e-4, 7e-4, 1.001e-3).probability_met


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"qubits": -1, "error": 1e-3}, "qubits"), ({"qubits": 10**20, "error": 1e-3}, "qubits"), ({"qubits": 50, "error": -1e-3}, "C-NOT error"),
        ({"qubits": 50, "error": 1.1}, "C-NOT error"), ({"qubits": 50, "error": math.nan}, "C-NOT error"),
        ({"qubits": 50, "error": 1e-3, "low": -1e-3}, "low"), ({"qubits": 50, "error": 1e-3, "high": 2.0}, "high"),
        ({"qubits": 50, "error": 1e-3, "low": 2e-3}, "contain"), ({"qubits": 50, "error": 1e-3, "level": 0.4}, "confidence"),
        ({"qubits": 50, "error": 1e-3, "level": 1.0}, "confidence"), ({"qubits": 50, "error": 1e-3, "level": math.nan}, "confidence"),
    ],
)  # fmt: skip
def test_impossible_numbers_on_a_data_sheet_are_refused(numbers, words):
    with pytest.raises(ValueError, match=words):
        sheet(**numbers)


def test_qubits_behind_failed_fits_keep_a_verdict_open_that_hangs_on_them():
    sure = evidence_of(21, 5e-5)
    verdict = judge(US, sure, DAY)
    assert (verdict.outcome, verdict.probability_met) == ("not_met", 0)
    verdict = judge(US, sure.replace(draw_qubits_if=np.full_like(sure.draw_qubits, 40)), DAY)
    assert (verdict.outcome, verdict.entry) == ("undetermined", "4A906.a.1")
    assert "40 qubits if those behind fits that failed work" in verdict.reason
    far = evidence_of(21, 5e-3)
    assert judge(US, far.replace(draw_qubits_if=np.full_like(far.draw_qubits, 40)), DAY).outcome == "not_met"  # either way


def registers(sizes, estimate, *, error=0.0, bound=None, draws=None, picked=None, doubt=0.0, whole=None, dof=20.0, **interpretation):
    """Evidence of sub-registers: the same numbers on both halves unless stated."""
    sizes, estimate = np.asarray(sizes), np.broadcast_to(np.asarray(estimate, dtype=float), (2, len(sizes))).copy()
    k = len(sizes)
    bound = np.broadcast_to(np.asarray(estimate.mean(axis=0) if bound is None else bound, dtype=float), k).copy()
    table = np.full((500 if draws is None else draws, sizes.max() + 1), np.inf)
    table[:, sizes] = bound
    return RegisterEvidence(
        whole=whole or evidence_of(int(sizes.max()), 5e-2), sizes=sizes, picked=estimate if picked is None else np.asarray(picked, dtype=float),
        estimate=estimate, standard_error=np.full((2, k), error), dof=np.full((2, k), dof), doubt=np.full((2, k), doubt),
        cross=np.stack([estimate.mean(axis=0)] * 3, axis=1), bound=bound, draw_bound=table,
        interpretation=Interpretation(register="any_subregister", **interpretation),
    )  # fmt: skip


def test_one_good_part_of_a_bad_machine_is_met_where_any_part_counts():
    evidence = registers([34, 60, 120], [9e-5, 3e-4, 5e-3])
    verdict = judge(US, evidence, DAY)
    assert (verdict.outcome, verdict.entry, verdict.probability_met) == ("met", "4A906.a.1", 1.0)
    assert "best connected part for 4A906.a.1: 34 qubits at 9e-5, limit 1e-4" in verdict.reason
    assert judge(US, evidence.whole, DAY).outcome == "not_met"


@pytest.mark.parametrize(("qubits", "limit"), EDGES)
def test_a_part_exactly_at_the_limit_meets_it(qubits, limit):
    assert judge(US, registers([qubits], limit), DAY).outcome == "met"
    assert judge(US, registers([qubits], limit * (1 + 1e-6)), DAY).outcome == "not_met"


def test_no_part_of_fewer_than_34_qubits_counts():
    verdict = judge(US, registers([2, 33], 1e-6), DAY)
    assert verdict.outcome == "not_met"
    assert "no connected part has 34 qubits" in verdict.reason


def test_the_part_of_100_qubits_is_compared_with_its_own_limit():
    assert judge(US, registers([34, 99, 100], [5e-4, 5e-4, 5e-4]), DAY).entry == "4A906.a.2"


def test_between_what_was_found_and_what_is_proven_nothing_is_claimed():
    verdict = judge(US, registers([34, 60], [1.3e-4, 2e-4], bound=[0.9e-4, 1.5e-4]), DAY)
    assert (verdict.outcome, verdict.probability_met, verdict.entry) == ("undetermined", None, "4A906.a.1")
    assert "none of that size can lie below 9e-5" in verdict.reason
    proven = judge(US, registers([34, 60], [1.3e-4, 2e-4], bound=[1.1e-4, 1.5e-4]), DAY)
    assert proven.outcome == "not_met"
    assert "proven: no connected part of any size is within its limit" in proven.reason


def test_a_bound_must_exclude_every_size_at_once():
    evidence = registers([34, 60], [5e-4, 5e-4])
    table = evidence.draw_bound.copy()
    table[:15, 34] = table[15:30, 60] = 5e-5  # 3 % of the draws leave one size open, 3 % the other
    assert judge(US, evidence.replace(draw_bound=table), DAY).outcome == "undetermined"
    table[:10, 34] = table[15:25, 60] = 5e-4
    assert judge(US, evidence.replace(draw_bound=table), DAY).outcome == "not_met"


def test_few_draws_of_the_bound_do_not_prove_with_high_confidence():
    evidence = registers([34], 5e-4, draws=10)
    assert judge(US, evidence, DAY).outcome == "undetermined"  # 10 of 10 is no more than 10 of 11
    assert judge(US, evidence.replace(whole=evidence.whole.replace(level=0.9)), DAY).outcome == "not_met"


@pytest.mark.parametrize(("margin", "expected"), [(3.0, "met"), (1.0, "undetermined"), (-1.0, "undetermined")])
def test_the_probability_is_that_of_the_register_on_the_other_half(margin, expected):
    error = 1e-5
    verdict = judge(US, registers([34], 1e-4 - margin * error, error=error, bound=5e-5), DAY)
    assert verdict.outcome == expected
    if expected == "met":
        assert verdict.probability_met == pytest.approx(stats.t.cdf(margin, 20.0), abs=1e-6)


def test_which_size_looks_best_is_decided_by_the_half_that_does_not_estimate():
    # the first half picks 40 qubits, the second half 34; each is estimated by the other
    picked = [[2e-4, 1e-4], [1e-4, 2e-4]]
    estimate = [[9e-5, 8e-5], [7e-5, 9e-5]]
    verdict = judge(US, registers([34, 40], estimate, picked=picked, error=1e-5, bound=5e-5), DAY)
    margin = 1e-4 - (8e-5 + 7e-5) / 2
    assert verdict.probability_met is None or verdict.probability_met == pytest.approx(stats.t.cdf(margin / 1e-5, 20.0), abs=1e-6)
    assert verdict.outcome == ("met" if stats.t.cdf(margin / 1e-5, 20.0) >= 0.95 else "undetermined")


def test_a_qubit_that_may_not_work_weakens_a_part():
    assert judge(US, registers([34], 5e-5, doubt=0.04), DAY).probability_met == pytest.approx(0.96)
    assert judge(US, registers([34], 5e-5, doubt=0.06), DAY).outcome == "undetermined"


def test_what_the_whole_device_meets_one_of_its_parts_meets():
    whole = evidence_of(150, 9e-4)
    verdict = judge(US, registers([34, 150], [5e-4, 1.5e-3], whole=whole, bound=[2e-4, 9e-4]), DAY)
    assert (verdict.outcome, verdict.entry) == ("met", "4A906.a.2")


def test_from_2000_connected_qubits_on_there_is_no_criterion_for_parts_either():
    verdict = judge(US, registers([34, 2000], [5e-3, 5e-3], whole=evidence_of(2000, 0.1)), DAY)
    assert (verdict.outcome, verdict.entry) == ("met", "4A906.a.8")
    assert "no error criterion" in verdict.reason


def test_an_uncertain_count_is_named_with_the_bands_that_it_spans():
    qubits = np.where(np.arange(1000) < 850, 98, 100)
    verdict = judge(US, evidence_of(qubits, 5e-4), DAY)
    assert "the count is in 4A906.a.1 (85 %) or 4A906.a.2 (15 %)" in verdict.reason
    assert "2 more qubits: 4A906.a.2, limit 1e-3" in verdict.reason
    assert "the count is in" not in judge(US, evidence_of(98, 5e-4), DAY).reason
    edge = judge(US, evidence_of(np.where(np.arange(1000) < 500, 33, 34), 5e-5), DAY)
    assert "no band (50 %)" in edge.reason


def test_the_distance_to_the_nearest_edge_is_stated_for_scripts_too():
    position = sheet(98, 7.9e-4).position
    assert (position.entry, position.min_qubits, position.max_qubits, position.max_error) == ("4A906.a.1", 34, 100, 1e-4)
    assert position.error_ratio == pytest.approx(7.9)
    assert (position.step, position.step_entry, position.step_max_error) == (2, "4A906.a.2", 1e-3)
    fewer = sheet(36, 5e-5).position
    assert (fewer.step, fewer.step_entry) == (-3, None)
    below = sheet(10, 5e-5).position
    assert (below.entry, below.error_ratio, below.step, below.step_entry) == (None, None, 24, "4A906.a.1")
    assert (sheet(2500, 0.1).position.step, sheet(2500, 0.1).position.error_ratio) == (None, None)


def test_every_verdict_says_what_it_rests_on():
    metrics = metrics_of()
    evidence = measured_evidence(metrics, Interpretation(), 0.95)
    document = judge(US, evidence, DAY).as_dict()
    assert document["evidence"] == {"id": evidence.id, "records": {"metrics": metrics.id, "fits": metrics.fits_id}}
    assert document["rule_sha256"] == hashlib.sha256((shipped("rules") / "us-ear.toml").read_bytes()).hexdigest()
    assert document["notice"] == "Evidence, not legal advice."
    assert (document["instrument"], document["as_of"]) == ("us-ear", "2026-01-01")
    assert document["interpretation"]["register"] == "whole_device"


def test_a_verdict_of_a_changed_rule_has_another_hash_and_another_id():
    verdict = sheet(98, 7.9e-4)
    assert verdict.replace(rule_sha256="0" * 64) != verdict


def test_every_reading_that_the_data_allow_is_judged_once():
    found = judge_all(load_instruments(["us-ear", "cn-dual-use"]), run_evidence(metrics_of(), None, Interpretation(), 0.95), DAY)
    assert [v.instrument for v in found.verdicts] == ["us-ear", "cn-dual-use"]
    assert {v.instrument for v in found.alternatives} == {"us-ear"}  # no reading gives China an entry
    assert len({v.interpretation.id for v in found.alternatives}) == len(found.alternatives) == 7


def test_a_combination_is_named_only_where_no_part_of_it_explains_the_outcome():
    # median or process alone: met and not met as the mean; both together fall between
    metrics = metrics_of(mean=1.2e-3, median=7e-4, systematic=(1.2e-3, 1.2e-3))
    assert disagreements(metrics) == {("median", "average_gate", "excluded"): "met"}
    metrics = metrics_of(mean=9e-4, median=9e-4, systematic=(0, 9e-4))
    assert disagreements(metrics) == {("mean", "process", "excluded"): "not_met", ("mean", "process", "included"): "undetermined"}
