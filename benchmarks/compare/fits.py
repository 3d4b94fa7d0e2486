"""Speed of the fits beside scipy and lmfit, on the same curves, in one process with one thread; and the bootstrap, memory and start-up.

Each side gets the same counts: 8 lengths, 10 sequences of 300 shots. Ours fits A and p with sandwich intervals and all checks;
curve_fit and lmfit fit A and p to the mean survival with binomial weights, one curve after the other, as people do; and curve_fit
with B free, as most do. Sides take turns; the ratio is that of the medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

LENGTHS = np.array([1, 10, 25, 50, 100, 200, 350, 600])
SEQUENCES, SHOTS = 10, 300


def counts(curves: int, rng: np.random.Generator) -> np.ndarray:
    """Survival counts of decays with C-NOT errors around 1e-3, ``(N, L, K)``."""
    p = 1 - 4 / 3 * 2.6e-3 * rng.uniform(0.5, 2.0, curves)
    survival = 0.72 * p[:, None] ** LENGTHS + 0.25
    return rng.binomial(SHOTS, np.broadcast_to(survival[..., None], (*survival.shape, SEQUENCES)))


def model(m: np.ndarray, a: float, p: float) -> np.ndarray:
    return a * p**m + 0.25


def means(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean survival and its binomial standard error, ``(N, L)``."""
    y = x.sum(axis=2) / (SEQUENCES * SHOTS)
    return y, np.sqrt(np.clip(y * (1 - y), 1e-4, None) / (SEQUENCES * SHOTS))


def our_fits(x: np.ndarray) -> np.ndarray:
    from qthreshold.numerics.decay import fit_decays

    return fit_decays(LENGTHS, x, SHOTS).p


def curve_fit_loop(x: np.ndarray) -> np.ndarray:
    from scipy.optimize import curve_fit

    return np.array([curve_fit(model, LENGTHS, y, p0=(0.7, 0.997), sigma=e, absolute_sigma=True)[0][1] for y, e in zip(*means(x), strict=True)])


def curve_fit_free_loop(x: np.ndarray) -> np.ndarray:
    from scipy.optimize import curve_fit

    def free(m: np.ndarray, a: float, p: float, b: float) -> np.ndarray:
        return a * p**m + b

    y, e = means(x)
    fits = [curve_fit(free, LENGTHS, u, p0=(0.7, 0.997, 0.25), sigma=v, absolute_sigma=True, maxfev=5000) for u, v in zip(y, e, strict=True)]
    return np.array([fit[0][1] for fit in fits])


def lmfit_loop(x: np.ndarray) -> np.ndarray:
    import lmfit

    decay = lmfit.Model(model)
    return np.array([decay.fit(y, m=LENGTHS, a=0.7, p=0.997, weights=1 / e).params["p"].value for y, e in zip(*means(x), strict=True)])


def bootstrap() -> float:
    """Seconds for 1,000 replicates of 150 pairs with two arms: 6 lengths, 12 sequences of 300 shots."""
    from qthreshold.numerics.bootstrap import bootstrap_interleaved

    rng = np.random.default_rng(2)
    lengths = np.array([1, 10, 40, 80, 150, 250])
    ref, inter = (rng.binomial(300, np.broadcast_to((0.72 * p**lengths + 0.25)[:, None], (150, 6, 12))) for p in (0.9965, 0.9952))
    start = time.perf_counter()
    draws = bootstrap_interleaved(lengths, ref, inter, 300, rng=rng, replicates=1000)
    seconds = time.perf_counter() - start
    assert (draws.failed == 0).all()
    return seconds


def per_fit(work: Callable[[np.ndarray], np.ndarray], x: np.ndarray, seconds: list[float]) -> np.ndarray:
    """Run, and note the seconds for each fit."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        p = work(x)
    seconds.append((time.perf_counter() - start) / len(x))
    return p


def peak_mib(curves: int) -> float:
    """Peak memory of a fresh process that makes the counts of so many curves and fits them."""
    code = f"import fits, numpy as np; fits.our_fits(fits.counts({curves}, np.random.default_rng(1))); print(open('/proc/self/status').read())"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parent)
    return int(answer.stdout.split("VmHWM:")[1].split()[0]) / 1024  # ru_maxrss would count the parent's


def import_seconds(repeat: int) -> float:
    """Median wall time of a fresh interpreter that imports the fits, less that of one that imports nothing."""

    def once(code: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - start

    pairs = [(once("import qthreshold.numerics.decay"), once("pass")) for _ in range(repeat)]
    return statistics.median(a - b for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7)
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # threads are fixed when numpy is imported
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        sys.exit(subprocess.run([sys.executable, *sys.argv], env=one_thread, check=False).returncode)
    x = counts(100_000, np.random.default_rng(1))
    sides: dict[str, tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]] = {
        "ours": (our_fits, x), "curve_fit": (curve_fit_loop, x[:1000]), "curve_fit, B free": (curve_fit_free_loop, x[:500]),
        "lmfit": (lmfit_loop, x[:100]),
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    found = {"ours": our_fits(x)}  # warms up
    peers = [name for name in sides if name != "ours"]
    for name in peers:
        sides[name][0](x[:5])
    for _ in range(options.repeat):
        for name, (work, data) in sides.items():
            found[name] = per_fit(work, data, seconds[name])
    median: dict[str, float] = {name: statistics.median(s) for name, s in seconds.items()}
    boots = [bootstrap() for _ in range(max(options.repeat // 2, 3))]
    for name in peers:
        off = np.nanmedian(np.abs(found[name] - found["ours"][: len(found[name])]) / (1 - found["ours"][: len(found[name])]))
        print(f"{name}: {1e3 * median[name]:.3f} ms a fit, {median[name] / median['ours']:,.0f} times ours; median difference of 1 - p {off:.1e}")
    rates = [1 / s for s in seconds["ours"]]
    print(f"ours: {1 / median['ours']:,.0f} fits a second ({min(rates):,.0f} to {max(rates):,.0f}), sandwich intervals and checks included")
    print(f"peak memory, fits and all: {', '.join(f'{peak_mib(n):.0f} MiB for {n:,} curves' for n in (50_000, 100_000, 200_000))}")
    print(f"bootstrap: {statistics.median(boots):.2f} s ({min(boots):.2f} to {max(boots):.2f}) for 1,000 replicates of 150 pairs with two arms")
    print(f"import of qthreshold.numerics.decay: {import_seconds(options.repeat):.3f} s beyond the interpreter's own start")


if __name__ == "__main__":
    main()
