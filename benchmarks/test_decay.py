"""Speed of the fits and of the bootstrap, in this process; beside scipy and lmfit: ``compare/fits.py``."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from qthreshold.numerics.bootstrap import bootstrap_interleaved
from qthreshold.numerics.decay import fit_decays, interleaved_error

LENGTHS = np.array([1, 10, 25, 50, 100, 200, 350, 600])
CURVES, SHOTS = 20_000, 300


def counts(curves: int, sequences: int, p: float) -> np.ndarray:
    survival = 0.72 * p**LENGTHS + 0.25
    return np.random.default_rng(1).binomial(SHOTS, np.broadcast_to(survival[:, None], (curves, len(LENGTHS), sequences)))


@pytest.mark.parametrize("free", [False, True])
def test_fits(benchmark: BenchmarkFixture, free: bool) -> None:
    """20,000 curves of 8 lengths and 10 sequences, intervals and checks included; with the asymptote fixed, and fitted."""
    x = counts(CURVES, 10, 0.996)
    fit = benchmark(lambda: fit_decays(LENGTHS, x, SHOTS, asymptote=None if free else 0.25))
    assert np.isfinite(fit.p).mean() > 0.99
    if benchmark.stats:
        benchmark.extra_info["fits_per_second"] = CURVES / benchmark.stats["median"]


@pytest.mark.parametrize("told", [False, True])
def test_joint_fits(benchmark: BenchmarkFixture, told: bool) -> None:
    """The same with two arms; and told the expected outcomes."""
    arms = [counts(CURVES, 12, p) for p in (0.996, 0.995)]
    outcome = np.broadcast_to(np.arange(12) % 4, arms[0].shape) if told else None
    fit = benchmark(lambda: interleaved_error(LENGTHS, *arms, SHOTS, outcome=outcome))
    assert np.isfinite(fit.error).all()
    if benchmark.stats:
        benchmark.extra_info["fits_per_second"] = CURVES / benchmark.stats["median"]


def test_bootstrap(benchmark: BenchmarkFixture) -> None:
    """1,000 replicates of 150 pairs with two arms, 12 sequences."""
    arms = [counts(150, 12, p) for p in (0.996, 0.995)]
    draws = benchmark.pedantic(lambda: bootstrap_interleaved(LENGTHS, *arms, SHOTS, rng=np.random.default_rng(2)), rounds=3)
    assert (draws.failed == 0).all()
