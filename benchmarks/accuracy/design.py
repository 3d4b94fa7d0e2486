"""What the lengths of a recipe cost: variance of the C-NOT error per second of device time, beside the best design that there is.

python benchmarks/accuracy/design.py

Repetition delay and durations of heron-133. The best design is free of every restriction: one error, known beforehand, and as few
lengths as it likes. A figure of 2 means twice the variance after the same time, or twice the time for the same precision. The last
column is a Monte-Carlo check of the prediction: standard deviation of fits of sampled counts over the predicted one.
"""

from pathlib import Path

import numpy as np

from qthreshold.backends.profiles import build, load_profile
from qthreshold.datafiles import load_named, names_in
from qthreshold.device import Device
from qthreshold.numerics.decay import interleaved_error
from qthreshold.numerics.design import Setup, optimal_lengths, relative_error
from qthreshold.recipe import Recipe
from qthreshold.schedule import Schedule, expected_errors, step_seconds, two_qubit_schedule

ERRORS = (1e-2, 3e-3, 1e-3, 1e-4)
PULSES = 0.1  # error of a pulse in units of that of the native gate, as on heron-133
SAMPLES = 4000


def device_with(error: float) -> Device:
    """heron-133 whose pairs all report one error, which gives the C-NOT the error asked for."""
    device = build(load_profile("heron-133")).device
    gate = error / (1 + PULSES)
    return device.replace(edge_error=np.full(len(device.edges), gate), qubit_error=np.full(device.n_qubits, PULSES * gate))


def recipes() -> dict[str, Recipe]:
    """The shipped recipes, and the fixed lengths that two of them had before."""
    files = [*names_in("circuits"), *sorted(str(p) for p in Path(__file__).parent.glob("fixed-*.toml"))]
    found = [load_named("circuits", f, Recipe, "recipe") for f in files]
    return {r.name: r for r in found}


def costs(schedule: Schedule, device: Device, setup: Setup) -> tuple[float, float]:
    """Mean over the pairs of the variance in units of the best, and sampled over predicted standard deviation of the first pair."""
    error, reference = expected_errors(device, np.arange(len(device.edges)))
    shares = schedule.sequences * schedule.shots / (schedule.sequences * schedule.shots).sum()
    mine = relative_error(schedule.lengths, shares, error, reference_error=reference, setup=setup)
    pairs = [0] if np.ptp(error) == 0 else range(len(error))
    best = [optimal_lengths(error[i], reference_error=reference[i], setup=setup, least=1).relative_error[0] for i in pairs]
    first = mine[0] / np.sqrt((setup.seconds(schedule.lengths) * schedule.sequences * schedule.shots).sum())
    return float(np.mean((mine[pairs] / best) ** 2)), sampled(schedule, error[0], reference[0], setup) / float(first)


def sampled(schedule: Schedule, error: float, reference: float, setup: Setup) -> float:
    """Relative standard deviation of the estimate over simulated experiments."""
    rates = setup.rates(np.array([error]), np.array([reference]))[0]
    survival = 0.75 * setup.visibility * np.exp(-rates[:, None] * schedule.lengths) + 0.25
    taken = np.arange(schedule.sequences.max()) < schedule.sequences[:, None]
    shots = taken * schedule.shots[:, None]
    counts = np.random.default_rng(1).binomial(shots, survival[:, None, :, None], size=(2, SAMPLES, *shots.shape))
    return float((interleaved_error(schedule.lengths, *counts, shots).error / error).std(ddof=1))


def main() -> None:
    devices = {f"{r:.0e}": device_with(r) for r in ERRORS} | {"heron-133": build(load_profile("heron-133")).device}
    print(f"| recipe | {' | '.join(devices)} | sampled / predicted sd |")
    print(f"|---|{'--:|' * len(devices)}--:|")
    for name, recipe in recipes().items():
        cells, ratios = [], []
        for device in devices.values():
            schedule, seconds = two_qubit_schedule(device, recipe, np.arange(len(device.edges))), step_seconds(device, padded=True)
            setup = Setup(overhead=device.repetition_delay + seconds.readout, step=(seconds.reference, seconds.interleaved))
            cost, ratio = costs(schedule, device, setup)
            cells.append(f"{cost:.2f}")
            ratios.append(ratio)
        print(f"| {name} | {' | '.join(cells)} | {min(ratios):.3f} to {max(ratios):.3f} |", flush=True)


if __name__ == "__main__":
    main()
