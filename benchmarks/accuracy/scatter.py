"""Scatter of sampled errors about the truth: exact sequence probabilities, binomial shots, the package's plan and fit.

python benchmarks/accuracy/scatter.py edge-100 quick 60

The recipe is a name or the path of a TOML file. Products with the square root of an effort compare recipes at equal effort.
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
from qthreshold.plan import TWO_QUBIT, Plan, make_plan
from qthreshold.recipe import Recipe
from qthreshold.schedule import step_seconds

Real = npt.NDArray[np.float64]


def measure(device: Device, noise: Noise, recipe: Recipe, seeds: range) -> tuple[Real, list[InterleavedError]]:
    """True errors of the pairs ``(M,)`` and the fits of one simulated run for each seed."""
    runs = []
    for seed in seeds:
        plan = make_plan(device, recipe, seed, exact.block_elements())
        probability, shots = exact.survival(device, noise, plan)
        survived = np.random.default_rng([seed, 1]).binomial(shots, probability)
        runs.append(interleaved_error(plan.two_qubit_lengths, *survived, shots))
    return true_errors(device, noise).cnot_error[plan.edges], runs


def device_means(profile: str, recipe: str, runs: int) -> tuple[float, Real, Real]:
    """True mean of a profile, the estimated mean of each run and its quoted standard error, ``(runs,)``."""
    simulated = build(load_profile(profile))
    return _means(*measure(simulated.device, simulated.noise, load_named("circuits", recipe, Recipe, "recipe"), range(runs)))


def _means(truth: Real, fits: list[InterleavedError]) -> tuple[float, Real, Real]:
    means = np.array([f.error.mean() for f in fits])
    quoted = np.array([np.sqrt((f.standard_error**2).sum()) / len(truth) for f in fits])
    return float(truth.mean()), means, quoted


def efforts(plan: Plan, device: Device) -> tuple[float, int]:
    """Device seconds of the two-qubit circuits of a plan without overhead of jobs, and the Cliffords of one pair, which is what simulation costs."""
    two = plan.circuit_experiment == TWO_QUBIT
    step = step_seconds(device, padded=plan.padded)
    length, arm = plan.circuit_length[two], plan.circuit_arm[two]
    duration = device.repetition_delay + step.readout + length * np.array([step.reference, step.interleaved])[arm]
    return float(plan.circuit_shots[two] @ duration), int(length[plan.circuit_layer[two] == 0].sum())


def main() -> None:
    profile, recipe, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
    simulated, wanted = build(load_profile(profile)), load_named("circuits", recipe, Recipe, "recipe")
    errors, fits = measure(simulated.device, simulated.noise, wanted, range(runs))
    truth, means, quoted = _means(errors, fits)
    off, spread = means.mean() / truth - 1, means.std(ddof=1) / truth
    print(f"{profile}, {recipe}, {runs} runs: mean {100 * off:+.2f} % +- {100 * spread / np.sqrt(runs):.2f} % of the truth;", end=" ")
    print(f"sd of a run {100 * spread:.2f} %, quoted {100 * quoted.mean() / truth:.2f} %")
    pair = np.exp(np.log(np.std([f.error for f in fits], axis=0, ddof=1) / errors).mean())
    seconds, steps = efforts(make_plan(simulated.device, wanted, 0, exact.block_elements()), simulated.device)
    print(f"  sd of a pair {100 * pair:.1f} %; {seconds:.1f} s of device time, {steps:,} Cliffords a pair;", end=" ")
    for what, effort in (("seconds", seconds), ("Cliffords", steps)):
        print(f"x sqrt({what}): mean (quoted) {quoted.mean() / truth * effort**0.5:.3f}, pair {pair * effort**0.5:.2f}", end="; ")
    print()


if __name__ == "__main__":
    main()
