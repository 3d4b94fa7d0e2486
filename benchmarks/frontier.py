"""Best connected sub-registers: time, memory, and how far the best register found can be from the optimum.

python benchmarks/frontier.py [--skip-large | --scale [SIDE ...]]

First the search and the bounds alone, then the whole stage of a run: half of the sequences fitted, the registers picked and estimated, the
bounds of all draws.

With --scale instead: metrics, frontier and verdicts of a heavy-hex device and of square grids of 100 to 10,000 qubits (or of the sides given),
the seconds of processor time that each takes (one process; whatever else the machine does lengthens the clock, not these) and the power of the
number of pairs with which their sum grows over the grids.

Errors are log-normal with spread 0.4 about 3e-3, from fixed seeds. The gap is mean / bound - 1: the optimum lies between. Memory is the
largest resident size of the process so far (Linux, macOS).
"""

import argparse
import datetime
import resource
import sys
import time
from pathlib import Path

import numpy as np

from qthreshold.backends.profiles import Topology, layout, load_profile
from qthreshold.evidence import run_evidence
from qthreshold.fits import make_fits
from qthreshold.frontier import make_frontier
from qthreshold.interpretation import Interpretation
from qthreshold.metrics import make_metrics
from qthreshold.numerics.frontier import best_subregisters, subregister_bounds
from qthreshold.recipe import Criteria
from qthreshold.rulebook import load_instruments
from qthreshold.verdict import judge_all

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from reference.devices import device_of
from reference.survival import table_of

SIZES = (34, 50, 100, 200, 500, 1000)
SIDES = (10, 15, 22, 32, 45, 71, 100)


def errors(pairs: int, seed: int) -> np.ndarray:
    return 3e-3 * np.exp(0.4 * np.random.default_rng(seed).standard_normal(pairs))


def peak() -> float:
    """Mebibytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def show(name: str, topology: Topology, seeds: range, draws: int) -> None:
    n, edges, _ = layout(topology)
    for seed in seeds:
        started = time.perf_counter()
        found = best_subregisters(n, edges, errors(len(edges), seed))
        seconds = time.perf_counter() - started
        gap = found.mean / found.bound - 1
        at = ", ".join(f"{gap[k - 2]:.2%} at {k}" for k in SIZES if k <= n)
        proven = (found.mean == found.bound).mean()
        print(f"{name}, seed {seed}: {seconds:.2f} s, {peak():.0f} MiB; {proven:.0%} of sizes proven optimal")
        print(f"  gap {at}; median {np.median(gap):.2%}, max {gap.max():.2%}")
    many = np.stack([errors(len(edges), seed) for seed in range(draws)])
    started = time.perf_counter()
    bounds = subregister_bounds(n, edges, many)
    print(f"{name}: bounds of {draws} draws {time.perf_counter() - started:.2f} s, {np.isfinite(bounds).sum()} sizes; {peak():.0f} MiB")


def stage(name: str, topology: Topology) -> None:
    n, edges, _ = layout(topology)
    device, rng = device_of(edges, "cz", n), np.random.default_rng(1)
    decays = table_of(device, errors(len(device.edges), 0), rng)
    fits = make_fits(decays, 0.95)
    metrics = make_metrics(device, fits, Criteria(), rng)
    started = time.perf_counter()
    found = make_frontier(device, decays, fits, metrics, Criteria(), rng)
    print(f"{name}: the whole stage {time.perf_counter() - started:.1f} s, {len(found.draw_bound)} draws; {peak():.0f} MiB")


def grid(side: int) -> Topology:
    return Topology(kind="grid", rows=side, columns=side)


def scale(topology: Topology) -> tuple[int, float]:
    """Pairs of a device, and seconds of all stages after the fits."""
    n, edges, _ = layout(topology)
    device, rng = device_of(edges, "cz", n), np.random.default_rng(1)
    decays = table_of(device, errors(len(device.edges), 0), rng)
    fits = make_fits(decays, 0.95)
    instruments = load_instruments(None)
    clock = [time.process_time()]
    metrics = make_metrics(device, fits, Criteria(), rng)
    clock.append(time.process_time())
    found = make_frontier(device, decays, fits, metrics, Criteria(), rng)
    clock.append(time.process_time())
    judge_all(instruments, run_evidence(metrics, found, Interpretation(), 0.95), datetime.date(2026, 1, 1))
    clock.append(time.process_time())
    gap = found.picked / found.bound - 1
    at = ", ".join(f"{gap[row]:.1%} at {k}" for k in SIZES if (row := np.searchsorted(found.sizes, k)) < found.sizes.size)
    took = np.diff(clock)
    print(f"{n:6,} qubits, {len(edges):6,} pairs: sum {took.sum():6.2f} s, {peak():5.0f} MiB", end="; ")
    print(f"metrics {took[0]:.2f} s, frontier {took[1]:.2f} s, verdicts {took[2]:.2f} s; {found.sizes.size} sizes, gap {at}", flush=True)
    return len(edges), float(took.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-large", action="store_true", help="leave out the grid of 45 x 45")
    parser.add_argument("--scale", nargs="*", type=int, metavar="SIDE", help="how the stages after the fits grow with the device")
    options = parser.parse_args()
    if options.scale is not None:
        scale(load_profile("heron-133").topology)
        pairs, seconds = np.log([scale(grid(side)) for side in options.scale or SIDES]).T
        if pairs.size > 1:
            ends = (seconds[-1] - seconds[0]) / (pairs[-1] - pairs[0])
            print(f"the sum grows as pairs^{np.polyfit(pairs, seconds, 1)[0]:.2f} (fit), pairs^{ends:.2f} (from the first to the last)")
        return
    stage("heavy-hex 133", load_profile("heron-133").topology)
    show("heavy-hex 133", load_profile("heron-133").topology, range(3), 1000)
    show("grid 7 x 15", Topology(kind="grid", rows=7, columns=15), range(3), 1000)
    show("grid 10 x 10", Topology(kind="grid", rows=10, columns=10), range(2), 1000)
    show("all to all 56", Topology(kind="all-to-all", qubits=56), range(1), 1000)
    show("heavy-hex 433", Topology(kind="heavy-hex", rows=13, columns=27), range(1), 200)
    if not options.skip_large:
        show("grid 45 x 45", Topology(kind="grid", rows=45, columns=45), range(1), 200)
        stage("grid 45 x 45", Topology(kind="grid", rows=45, columns=45))


if __name__ == "__main__":
    main()
