"""What lies around the measurement, at 100, 1,000 and 10,000 qubits: profiles, layers, fits, records on disk.

python benchmarks/records.py

Times are the best of three; the last column is the exponent between the two larger sizes (the number of pairs grows by 10.2). Every record is
read back and its id compared.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qthreshold.backends.noise import true_errors
from qthreshold.backends.profiles import Topology, build, load_profile
from qthreshold.decays import DecayTable
from qthreshold.fits import make_fits
from qthreshold.numerics.graphs import color_layers
from qthreshold.store import RunDirectory

SIZES = {100: (10, 10), 1000: (25, 40), 10_000: (100, 100)}


def timed(table: dict[str, float], what: str, work: Callable[[], Any]) -> Any:
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - start)
    table[f"{what}, s"] = best
    return result


def survival(rng: np.random.Generator, p: np.ndarray, lengths: np.ndarray, dim: int, sequences: int, shots: int) -> np.ndarray:
    chance = 1 / dim + 0.97 * (1 - 1 / dim) * p[:, None] ** lengths
    return rng.binomial(shots, np.broadcast_to(chance[:, :, None], (*chance.shape, sequences)))


def decays_of(one: np.ndarray, two: np.ndarray, shots: int = 300) -> DecayTable:
    rng = np.random.default_rng(1)
    short, long = np.array([1, 400]), np.array([1, 4, 12, 40])
    single = survival(rng, 1 - 2 * one, short, 2, 4, shots)
    pairs = np.stack([survival(rng, p, long, 4, 16, shots) for p in (1 - 2 * two, (1 - 2 * two) * (1 - 4 / 3 * two))])
    return DecayTable(
        plan_id="", qubits=np.arange(one.size), edges=np.arange(two.size), readout_wrong=rng.binomial(1000, 0.01, (one.size, 2)),
        readout_shots=np.full((one.size, 2), 1000), one_qubit_lengths=short, one_qubit_survived=single, one_qubit_shots=np.full(single.shape, shots),
        one_qubit_expected=rng.integers(0, 2, single.shape, dtype=np.uint8), two_qubit_lengths=long, two_qubit_survived=pairs,
        two_qubit_shots=np.full(pairs.shape, shots), two_qubit_expected=rng.integers(0, 4, pairs.shape, dtype=np.uint8),
    )  # fmt: skip


def measure(rows: int, columns: int) -> dict[str, float]:
    table: dict[str, float] = {}
    profile = load_profile("grid-10000").model_copy(update={"topology": Topology(kind="grid", rows=rows, columns=columns)})
    simulated = timed(table, "build the profile", lambda: build(profile))
    device = simulated.device
    truth = timed(table, "true errors", lambda: true_errors(device, simulated.noise))
    for spacing in (0, 1):
        timed(table, f"layers of pairs, spacing {spacing}", lambda s=spacing: color_layers(device.edges, device.edges, device.n_qubits, s))
    decays = decays_of(truth.one_qubit_error, truth.cnot_error)
    fits = timed(table, "fits", lambda: make_fits(decays, 0.95))
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory.create(Path(folder) / "run")
        for name, record in {"device.json": device, "truth.json": truth, "decays.npz": decays, "fits.npz": fits}.items():
            timed(table, f"write {name}", lambda n=name, r=record: run.write_record(n, r, software={}))
            assert timed(table, f"read {name}", lambda n=name, r=record: run.read_record(n, type(r))).id == record.id
            table[f"  {name}, kB"] = (run.path / name).stat().st_size / 1e3
    table["  largest memory so far, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return table


if __name__ == "__main__":
    tables = [measure(*shape) for shape in SIZES.values()]
    pairs = [r * (c - 1) + c * (r - 1) for r, c in SIZES.values()]
    print(f"{'':30}" + "".join(f"{n:>12,}" for n in SIZES) + "    exponent in pairs")
    for what in tables[0]:
        small, middle, large = (t[what] for t in tables)
        print(f"{what:30}{small:12.4f}{middle:12.4f}{large:12.4f}{np.log(large / middle) / np.log(pairs[2] / pairs[1]):12.2f}")
