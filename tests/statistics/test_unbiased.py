"""Sampled estimates scatter about the truth: exact sequence probabilities, binomial shots, the package's own plan and fit."""

import bias
import exact
import numpy as np
import numpy.typing as npt
import pytest

from qthreshold.backends.noise import Noise, true_errors
from qthreshold.backends.profiles import build, load_profile
from qthreshold.datafiles import load_named
from qthreshold.device import Device
from qthreshold.numerics.decay import InterleavedError, interleaved_error
from qthreshold.plan import make_plan
from qthreshold.recipe import Recipe

pytestmark = pytest.mark.slow

Real = npt.NDArray[np.float64]
FAMILY = {f.name: f for f in bias.FAMILIES}
MIXED = "cz ZZ, ZI, IZ; sx over-rotated; half damping and depolarizing"


def measure(device: Device, noise: Noise, recipe: Recipe, seeds: range) -> tuple[Real, list[InterleavedError]]:
    """True errors of the pairs ``(M,)`` and the fits of one simulated run for each seed."""
    register = exact.Register.of(device, noise)
    runs = []
    for seed in seeds:
        plan = make_plan(device, recipe, seed, exact.block_elements())
        probability, shots = exact.survival(register, plan)
        survived = np.random.default_rng([seed, 1]).binomial(shots, probability)
        runs.append(interleaved_error(plan.two_qubit_lengths, *survived, shots))
    return true_errors(device, noise).cnot_error[plan.edges], runs


@pytest.mark.parametrize(("name", "error"), [("depolarizing", 1e-2), ("depolarizing", 1e-3), (MIXED, 1e-2), (MIXED, 1e-3)])
def test_single_pairs_are_unbiased(name: str, error: float) -> None:
    simulated = FAMILY[name].device_at(error, copies=100)
    truth, runs = measure(simulated.device, simulated.noise, load_named("circuits", "default", Recipe, "recipe"), range(40))
    found = np.concatenate([r.error for r in runs])
    assert np.isfinite(found).mean() > 0.99
    sigma = np.nanstd(found, ddof=1) / np.sqrt(found.size)
    assert sigma < 0.01 * error  # precise enough for the next line to mean something
    assert abs(np.nanmean(found) / truth[0] - 1) < 0.03


@pytest.mark.parametrize(("profile", "recipe", "seeds", "allowed"), [("edge-100", "quick", 60, 0.005), ("coherent-16", "default", 500, 0.02)])
def test_device_means_are_unbiased_and_scatter_as_quoted(profile: str, recipe: str, seeds: int, allowed: float) -> None:
    simulated = build(load_profile(profile))
    truth, runs = measure(simulated.device, simulated.noise, load_named("circuits", recipe, Recipe, "recipe"), range(seeds))
    means = np.array([r.error.mean() for r in runs])
    quoted = np.array([np.sqrt((r.standard_error**2).sum()) / len(truth) for r in runs])
    assert abs(means.mean() / truth.mean() - 1) < allowed
    assert means.std(ddof=1) / quoted.mean() == pytest.approx(1.0, abs=3 / np.sqrt(2 * seeds))
