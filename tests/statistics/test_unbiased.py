"""Sampled estimates scatter about the truth: exact sequence probabilities, binomial shots, the package's own plan and fit."""

import bias
import numpy as np
import pytest
from scatter import device_means, measure

from qthreshold.datafiles import load_named
from qthreshold.recipe import Recipe

pytestmark = pytest.mark.slow

FAMILY = {f.name: f for f in bias.FAMILIES}
MIXED = "cz ZZ, ZI, IZ; sx over-rotated; half damping and depolarizing"


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
    truth, means, quoted = device_means(profile, recipe, seeds)
    assert abs(means.mean() / truth - 1) < allowed
    assert means.std(ddof=1) / quoted.mean() == pytest.approx(1.0, abs=3 / np.sqrt(2 * seeds))
