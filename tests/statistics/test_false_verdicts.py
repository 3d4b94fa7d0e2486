"""How often a firm verdict is wrong, over thousands of simulated devices near a limit.

Survival counts are drawn from the decays that the true errors give; everything after them is what a run does.
"""

import datetime

import numpy as np
import pytest

from qthreshold.evidence import run_evidence
from qthreshold.fits import make_fits
from qthreshold.frontier import make_frontier
from qthreshold.interpretation import Interpretation
from qthreshold.metrics import make_metrics
from qthreshold.numerics.frontier import best_subregisters
from qthreshold.recipe import Criteria
from qthreshold.rulebook import Band, load_instrument
from qthreshold.verdict import judge
from reference.devices import device_of
from reference.survival import table_of

pytestmark = pytest.mark.slow

DAY = datetime.date(2026, 1, 1)
LIMIT = 2e-3


def rule(first, limit=LIMIT):
    """The US instrument with a single band that begins at ``first`` qubits."""
    return load_instrument("us-ear").model_copy(update={"bands": [Band(entry="a", min_qubits=first, max_error=limit)]})


def measured(device, truth, rng):
    decays = table_of(device, truth, rng)
    fits = make_fits(decays, 0.95)
    return decays, fits, make_metrics(device, fits, Criteria(), rng)


def too_many(wrong, trials, allowed=0.05):
    """Whether wrong answers are more than the allowed share explains (4 sigma)."""
    return wrong > trials * allowed + 4 * np.sqrt(trials * allowed * (1 - allowed))


def test_firm_verdicts_about_the_whole_device_are_wrong_less_often_than_the_confidence_allows():
    rng, device, instrument = np.random.default_rng(11), device_of([(i, i + 1) for i in range(11)], "cz", 12), rule(8)
    wrong, firm, trials = 0, 0, 2000
    pilot = measured(device, np.full(len(device.edges), LIMIT), rng)[2].mean
    sigma = (pilot.high - pilot.low) / 4  # about a standard error; only sets how near the limit the devices lie
    for _ in range(trials):
        truth = LIMIT * rng.lognormal(0, 0.3, len(device.edges))
        truth *= (LIMIT + sigma * rng.uniform(-3, 3)) / truth.mean()
        metrics = measured(device, truth, rng)[2]
        outcome = judge(instrument, run_evidence(metrics, None, Interpretation(), 0.95)[0], DAY).outcome
        firm += outcome != "undetermined"
        wrong += outcome == ("met" if truth.mean() > LIMIT else "not_met")
    print(f"\nwhole device: {wrong} wrong of {firm} firm verdicts on {trials} devices within three standard errors of the limit")
    assert trials * 0.2 < firm < trials * 0.95  # near the limit indeed, and not always undecided
    assert wrong < 0.05 * trials


def test_just_on_the_wrong_side_of_the_limit_a_firm_verdict_is_as_rare_as_stated():
    rng, device, instrument = np.random.default_rng(12), device_of([(i, i + 1) for i in range(11)], "cz", 12), rule(8)
    wrong, trials = 0, 1000
    for _ in range(trials):
        truth = LIMIT * rng.lognormal(0, 0.3, len(device.edges))
        truth *= LIMIT * (1 + 1e-9) / truth.mean()
        evidence = run_evidence(measured(device, truth, rng)[2], None, Interpretation(), 0.95)[0]
        wrong += judge(instrument, evidence, DAY).outcome == "met"
    print(f"\nat the limit: {wrong} of {trials} said to be met")
    assert not too_many(wrong, trials)
    assert wrong > 0.02 * trials  # and no more cautious than it says


GRID = [(4 * r + c, 4 * r + c + 1) for r in range(3) for c in range(3)] + [(4 * r + c, 4 * r + c + 4) for r in range(2) for c in range(4)]


def test_verdicts_about_any_connected_part_are_wrong_less_often_than_the_confidence_allows():
    rng, device, first, trials = np.random.default_rng(13), device_of(GRID, "cz", 12), 6, 500
    wrong, firm = 0, {"met": 0, "not_met": 0}
    bias, low = [], []
    for _ in range(trials):
        truth = LIMIT * rng.lognormal(0, 0.3, len(device.edges))
        best = best_subregisters(device.n_qubits, device.edges, truth)  # exact at this size, as its own tests show
        frontier_truth = best.mean[best.sizes >= first].min()
        limit = frontier_truth * np.exp(rng.uniform(-0.4, 0.4))
        decays, fits, metrics = measured(device, truth, rng)
        frontier = make_frontier(device, decays, fits, metrics, Criteria(), rng)
        found = run_evidence(metrics, frontier, Interpretation(), 0.95)
        evidence = next(e for e in found if e.interpretation.register == "any_subregister" and e.interpretation.systematics == "excluded")
        outcome = judge(rule(first, limit), evidence, DAY).outcome
        if outcome != "undetermined":
            firm[outcome] += 1
        wrong += outcome == ("met" if frontier_truth > limit else "not_met")
        row = int(np.flatnonzero(frontier.sizes == first)[0])
        bias.append(frontier.cross[row, 0] / best.mean[row] - 1)
        low.append(frontier.picked[row] / best.mean[row] - 1)
    print(f"\nany part: {wrong} wrong of {firm} firm verdicts on {trials} devices; cross-fitted {np.mean(bias):+.1%}, as picked {np.mean(low):+.1%}")
    assert firm["met"] > 20
    assert not too_many(wrong, trials)
    assert np.mean(low) < -0.005  # picking the best of noisy numbers makes them look better than anything that exists
    assert np.mean(bias) > -2 * np.std(bias) / np.sqrt(trials)  # estimated apart, the part picked is no better than the best


def test_the_cross_fitted_interval_covers_the_truth_of_the_parts_that_were_picked():
    rng, device, first, trials = np.random.default_rng(14), device_of(GRID, "cz", 12), 6, 400
    covered = 0
    for _ in range(trials):
        truth = LIMIT * rng.lognormal(0, 0.3, len(device.edges))
        decays, fits, metrics = measured(device, truth, rng)
        frontier = make_frontier(device, decays, fits, metrics, Criteria(), rng)
        row = int(np.flatnonzero(frontier.sizes == first)[0])
        wanted = np.mean([truth_of_picked(device, decays, half, first, truth) for half in (0, 1)])
        covered += frontier.cross[row, 1] <= wanted <= frontier.cross[row, 2]
    print(f"\ncross-fitted 95 % interval: covers {covered} of {trials}")
    assert covered >= trials * 0.95 - 4 * np.sqrt(trials * 0.95 * 0.05)  # at least: correlation of the halves is taken at its most


def truth_of_picked(device, decays, half, size, truth):
    """True mean error of the part that one half of the sequences picks."""
    some = {f: getattr(decays, f)[..., half::2] for f in ("two_qubit_survived", "two_qubit_shots", "two_qubit_expected")}
    error = make_fits(decays.replace(**some), 0.95).cnot[:, 0]
    found = best_subregisters(device.n_qubits, device.edges, error)
    members = found.members[found.sizes == size][0]
    return truth[members[device.edges].all(axis=1)].mean()
