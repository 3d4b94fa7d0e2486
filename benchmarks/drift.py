"""Drift: how often a device that does not drift alarms, how soon one that does is found, and what looking costs.

python benchmarks/drift.py [--histories 200] [--planted 10] [--recipe quick] [--scatter 0.0]

Every night is a run of its own on the exact engine: new sequences, new counts, new fits.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from qthreshold.drift import find_drift
from qthreshold.numerics.charts import threshold
from qthreshold.numerics.drift import change_points
from qthreshold.numerics.intervals import clopper_pearson
from qthreshold.workflow import load_recipe
from reference.histories import series_of
from reference.nights import DAY, DIES_ON, DRIFTS_FROM, FIRST, history, quiet_nights, troubled_nights


def quiet(recipe, scatter, seed):
    """What is said of a history without drift: number of charts, of alarms and of series with a step."""
    found = find_drift(history(quiet_nights(load_recipe(recipe), seed, scatter=scatter)))
    return sum(np.isfinite(d.threshold) for d in found), sum(d.alarm is not None for d in found), sum(bool(d.changes) for d in found)


def planted(recipe, growth, seed):
    """Nights from the beginning of the drift, or death, to the alarm: of each drifting pair, of the device's mean and of the qubit; None: never."""
    found = {(d.metric, d.target): d for d in find_drift(history(troubled_nights(load_recipe(recipe), seed, growth=growth)))}

    def nights(metric, target, first):
        alarm = found[metric, target].alarm
        return None if alarm is None else round((alarm.taken_at - FIRST) / DAY) + 1 - first

    false = sum(d.alarm is not None for (metric, target), d in found.items() if metric == "cnot_error" and target not in ("0-1", "2-3", "4-5"))
    pairs = [nights("cnot_error", t, DRIFTS_FROM) for t in ("0-1", "2-3", "4-5")]
    return pairs, nights("cnot_error.mean", "", DRIFTS_FROM), nights("works", "6", DIES_ON), false


def rate(count, trials):
    """A share with its exact interval, in words."""
    best, low, high = (100 * float(v) for v in clopper_pearson(count, trials, 0.95))
    return f"{count} of {trials} = {best:.1f} % (95 %: {low:.1f} to {high:.1f} %)"


def speed():
    """Seconds of the numerics at the sizes of a device and of long histories."""
    rng = np.random.default_rng(1)
    threshold(0.05, 30)  # imports scipy
    started = time.perf_counter()
    threshold(1e-4, 30)
    print(f"threshold: {1e3 * (time.perf_counter() - started):.0f} ms")
    x = np.repeat(3 * rng.standard_normal(20), 500) + rng.standard_normal(10_000)
    started = time.perf_counter()
    steps = change_points(x, 1.0, 0.05).index.size
    print(f"steps of 10,000 values, {steps} found: {time.perf_counter() - started:.2f} s")
    for nights in (30, 365):
        kinds = [("cnot_error", [f"{i}-{i + 1}" for i in range(150)]), *((m, map(str, range(133))) for m in ("readout_error", "one_qubit_error"))]
        series = [
            series_of(5e-3 * (1 + 0.1 * rng.standard_normal(nights)), error=4e-4, metric=metric, target=target)
            for metric, targets in kinds for target in targets
        ]  # fmt: skip
        started = time.perf_counter()
        find_drift(series)
        print(f"drift of 133 qubits and 150 pairs over {nights} nights: {time.perf_counter() - started:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--planted", type=int, default=10)
    parser.add_argument("--recipe", default="quick")
    parser.add_argument("--scatter", type=float, default=0.0, help="of the pairs' errors from night to night, without drift")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    speed()
    with ProcessPoolExecutor(options.processes) as pool:
        results = list(pool.map(partial(quiet, options.recipe, options.scatter), range(1, options.histories + 1)))
        if results:
            charts, alarms, steps = (np.array(c) for c in zip(*results, strict=True))
            print(f"{options.recipe}, 30 nights, scatter {options.scatter:g}, {charts[0]} series with charts, stated 5 %")
            print(f"  any alarm: {rate(int((alarms > 0).sum()), len(alarms))}; any step: {rate(int((steps > 0).sum()), len(steps))}")
        for growth in (0.05, 0.1):
            found = list(pool.map(partial(planted, options.recipe, growth), range(1, options.planted + 1)))
            if found:
                pairs, means, dead, false = zip(*found, strict=True)
                every = sorted((n for p in pairs for n in p), key=lambda n: np.inf if n is None else n)
                print(f"  {growth:.0%} a night from night {DRIFTS_FROM}: nights to the alarm, pairs {every}, mean {list(means)}")
                print(f"    dead qubit: nights to the alarm {list(dead)}; pairs that did not drift and alarmed: {sum(false)}")


if __name__ == "__main__":
    main()
