"""Scatter of sampled device means about the truth: exact sequence probabilities, binomial shots, the package's plan and fit.

python benchmarks/accuracy/scatter.py edge-100 quick 60
"""

import sys

import exact
import numpy as np
import numpy.typing as npt

from qthreshold.backends.noise import Noise, true_errors
from qthreshold.backends.profiles import build, load_profile
from qthreshold.datafiles import load_named
from qthreshold.device import Device
from qthreshold.numerics.decay import InterleavedError, interleaved_error
from qthreshold.plan import make_plan
from qthreshold.recipe import Recipe

Real = npt.NDArray[np.float64]


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


def device_means(profile: str, recipe: str, runs: int) -> tuple[float, Real, Real]:
    """True mean of a profile, the estimated mean of each run and its quoted standard error, ``(runs,)``."""
    simulated = build(load_profile(profile))
    truth, fits = measure(simulated.device, simulated.noise, load_named("circuits", recipe, Recipe, "recipe"), range(runs))
    means = np.array([f.error.mean() for f in fits])
    quoted = np.array([np.sqrt((f.standard_error**2).sum()) / len(truth) for f in fits])
    return float(truth.mean()), means, quoted


def main() -> None:
    profile, recipe, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    truth, means, quoted = device_means(profile, recipe, runs)
    off, spread = means.mean() / truth - 1, means.std(ddof=1) / truth
    print(f"{profile}, {recipe}, {runs} runs: mean {100 * off:+.2f} % +- {100 * spread / np.sqrt(runs):.2f} % of the truth;", end=" ")
    print(f"sd of a run {100 * spread:.2f} %, quoted {100 * quoted.mean() / truth:.2f} %")


if __name__ == "__main__":
    main()
