"""Best connected sub-registers: time, memory, and how far the best register found can be from the optimum.

python benchmarks/frontier.py [--skip-large]

Errors are log-normal with spread 0.4 about 3e-3, from fixed seeds. The gap is mean / bound - 1: the optimum lies between. Memory is the
largest resident size of the process so far (Linux, macOS).
"""

import argparse
import resource
import sys
import time

import numpy as np

from qthreshold.backends.profiles import Topology, layout, load_profile
from qthreshold.numerics.frontier import best_subregisters, subregister_bounds

SIZES = (34, 50, 100, 200, 500, 1000)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-large", action="store_true", help="leave out the grid of 45 x 45")
    options = parser.parse_args()
    show("heavy-hex 133", load_profile("heron-133").topology, range(3), 1000)
    show("grid 7 x 15", Topology(kind="grid", rows=7, columns=15), range(3), 1000)
    show("grid 10 x 10", Topology(kind="grid", rows=10, columns=10), range(2), 1000)
    show("all to all 56", Topology(kind="all-to-all", qubits=56), range(1), 1000)
    show("heavy-hex 433", Topology(kind="heavy-hex", rows=13, columns=27), range(1), 200)
    if not options.skip_large:
        show("grid 45 x 45", Topology(kind="grid", rows=45, columns=45), range(1), 200)


if __name__ == "__main__":
    main()
