"""Thousands of qubits and of Cliffords: what the exact engine takes.

python benchmarks/scale.py runs         whole runs: wall time with start-up, memory of all processes, precision; 4 minutes
python benchmarks/scale.py growth       from 100 to 10,000 qubits: the exponent of the cost, and a plot; 5 minutes
python benchmarks/scale.py throughput   noisy two-qubit Cliffords a second, beside the bandwidth of memory; 20 s
python benchmarks/scale.py aer          beside Aer running the same circuits gate by gate; 1 minute
python benchmarks/scale.py dask         one and two workers of a Dask cluster on this machine; 2 minutes

The two sides of a ratio take turns in the same run.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # what follows is measured on a stated number of cores

import numpy as np

import main_job
from qthreshold.backends.evolve import PairColumns, PairSteps, PairTables
from qthreshold.backends.exact import Chunks, chances
from qthreshold.backends.noise import native_ptms
from qthreshold.backends.profiles import SimulatedDevice, build, load_profile
from qthreshold.circuits.native import NATIVE_UNITARY, block_element
from qthreshold.plan import TWO_QUBIT, Plan, make_plan
from qthreshold.recipe import Recipe
from qthreshold.steps import draw_words, elements_of, paddings_of
from qthreshold.ticket import layer_tickets

RUNS = (
    ("exact:heron-133", "default", 3), ("exact:ions-56-1e-4", "precise", 2), ("exact:heavy-hex-1121", "default", 1),
    ("exact:modular-4x462", "default", 1), ("exact:grid-2025", "default", 1), ("exact:grid-10000", "default", 1),
)  # fmt: skip
SIDES = (10, 18, 32, 57, 100)  # of square grids
COLUMNS, STEPS = 1024, 250


def runs() -> None:
    """Whole runs as a user starts them."""
    for backend, recipe, repeat in RUNS:
        for _ in range(repeat):
            m = main_job.measure(backend, recipe)
            print(
                f"{backend}, {recipe}: {m['wall']:.1f} s, {m['peak'] / 2**20:,.0f} MiB, {m['pairs']:,.0f} pairs; "
                f"half-width of the mean's interval {100 * m['half']:.2f} %, estimate / truth - 1 = {100 * m['pull']:+.2f} %",
                flush=True,
            )


def growth() -> None:
    """The same recipe on ever larger grids, one worker; every stage up to the verdict."""
    text = (Path(__file__).parents[1] / "backends" / "grid-10000.toml").read_text()
    pairs, seconds, memory, stages = [], [], [], []
    for side in SIDES:
        with tempfile.TemporaryDirectory() as folder:
            profile = Path(folder) / f"grid-{side}x{side}.toml"
            profile.write_text(re.sub(r"(rows|columns) = 100", rf"\1 = {side}", text))
            m = main_job.measure(f"exact:{profile}", "default", "--workers", "1")
        pairs.append(m["pairs"])
        seconds.append(m["wall"])
        memory.append(m["peak"] / 2**20)
        stages.append(m["stages"])
        print(f"{side} x {side}: {m['pairs']:,.0f} pairs, {m['wall']:.1f} s, {memory[-1]:,.0f} MiB; {m['stages']}", flush=True)
    x = np.log(pairs)
    print(f"wall time grows as pairs^{np.polyfit(x, np.log(seconds), 1)[0]:.2f}, start-up included")
    sums = [sum(s.values()) for s in stages]
    print(f"the stages' sum grows as pairs^{np.polyfit(x, np.log(sums), 1)[0]:.2f}; from {SIDES[-3]} x {SIDES[-3]} on ", end="")
    print(f"as pairs^{np.polyfit(x[-3:], np.log(sums[-3:]), 1)[0]:.2f}")
    _plot(pairs, sums, memory)


def _plot(pairs: list[float], seconds: list[float], memory: list[float]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, left = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    left.loglog(pairs, seconds, "o-", color="#0072b2", label="all stages, seconds")
    left.loglog(pairs, seconds[0] * np.array(pairs) / pairs[0], ":", color="#555555", label="in proportion to the pairs")
    left.set(xlabel="pairs measured", ylabel="seconds, one process")
    right = left.twinx()
    right.loglog(pairs, memory, "s--", color="#d55e00", label="largest memory, MiB")
    right.set_ylabel("MiB")
    handles = [h for axes in (left, right) for h in axes.get_legend_handles_labels()[0]]
    left.legend(handles=handles, loc="upper left", frameon=False)
    left.set_title("Cost of a default run on square grids, exact engine")
    path = Path(__file__).parent / "scale.png"
    figure.savefig(path, dpi=110)
    print(f"plot: {path.name}")


def _plan(simulated: SimulatedDevice, **two_qubit: Any) -> Plan:
    least = {"lengths": [1, 2], "sequences": 2, "shots": 1}
    values = {"schema": "qthreshold/recipe/1", "name": "scale", "readout": {"patterns": 2, "shots": 1}, "one_qubit": least, "two_qubit": two_qubit}
    return make_plan(simulated.device, Recipe.model_validate(values), 1, {g: block_element("cnot", g) for g in NATIVE_UNITARY})


def _evolve(seconds: float) -> tuple[float, float]:
    """Cliffords and seconds of one process: both arms of padded RB on 32 pairs whose tables are there, draws included."""
    simulated = build(load_profile("heron-133"))
    edges = np.arange(32)
    qubits = simulated.device.direction[edges]
    tables = PairTables.of("cz", "cnot", True, simulated.noise.sx[qubits], simulated.noise.x[qubits], native_ptms("cz", simulated.noise, edges))
    arms = [PairColumns(tables, COLUMNS, interleaved=interleaved) for interleaved in (False, True)]
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        words = draw_words(1, TWO_QUBIT, 0, done, STEPS * COLUMNS).reshape(COLUMNS, STEPS).T
        steps = PairSteps(tables, elements_of(words, 2), paddings_of(words))
        for arm in arms:
            arm.advance(steps)
        done += STEPS * COLUMNS
    return len(arms) * done, took


def _copy(seconds: float) -> tuple[float, float]:
    """Bytes read and written, and seconds, of one process that copies memory."""
    source = np.ones(32 * 2**20)
    target = np.empty_like(source)
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        np.copyto(target, source)
        done += 2 * source.nbytes
    return done, took


def throughput() -> None:
    """Two processes at once."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for work, unit in ((_evolve, "million noisy two-qubit Cliffords"), (_copy, "million bytes copied")) * 2:
            parts = list(pool.map(work, [4.0, 4.0]))
            print(f"{sum(n / t for n, t in parts) / 1e6:,.1f} {unit} a second on two processes")
    # what a step needs: 2.05 slots on average over both arms, each one product with the native gate and one with each qubit's channel
    flops = 2.05 * 2 * (16 * 16 + 2 * 48)
    print(f"a step is about {flops:.0f} floating-point operations, and 8 bytes of it come from outside the cache (the word that draws it)")


def aer() -> None:
    """The same circuits on Aer with its noise model, gate by gate; what both sides can prepare once is not timed."""
    from qiskit_aer import AerSimulator

    from qthreshold.backends.aer import noise_model
    from qthreshold.circuits.build import build_circuits

    whole = load_profile("heron-133")
    values = {**whole.model_dump(by_alias=True), "name": "pair", "topology": {"kind": "line", "qubits": 2}}
    simulated = build(type(whole).model_validate(values))
    plan = _plan(simulated, lengths=[1, 20, 60, 150], sequences=16, shots=100)
    ticket = layer_tickets(plan, "x")[-1]
    circuits = list(build_circuits(plan, simulated.device, ticket.circuits.tolist()))
    steps = int(plan.circuit_length[ticket.circuits].sum())
    simulator = AerSimulator(method="density_matrix", noise_model=noise_model(simulated.device, simulated.noise), max_parallel_threads=1)
    device = build(whole)
    wide = _plan(device, lengths=[1, 20, 60, 150], sequences=16, shots=100)

    def peer() -> None:
        assert simulator.run(circuits, shots=100, seed_simulator=1).result().success

    def ours() -> None:
        list(map(chances, Chunks(plan, ticket, simulated.device, simulated.noise)))

    def ours_many() -> None:
        for some in layer_tickets(wide, "x"):
            if wide.circuit_experiment[some.circuits[0]] == TWO_QUBIT:
                list(map(chances, Chunks(wide, some, device.device, device.noise)))

    many = int(wide.circuit_length[wide.unit_circuit[wide.circuit_experiment[wide.unit_circuit] == TWO_QUBIT]].sum())
    times: dict[str, list[float]] = {"peer": [], "ours": [], "many": []}
    for _ in range(5):
        for name, work in (("peer", peer), ("ours", ours), ("many", ours_many)):
            times[name].append(_timed(work))
    slow, fast, wide_ = (statistics.median(times[n]) / s for n, s in (("peer", steps), ("ours", steps), ("many", many)))
    print(f"Aer, gate by gate, one pair: {1e6 * slow:.1f} us a Clifford")
    print(f"exact, the same circuits, tables included: {1e6 * fast:.2f} us a Clifford, {slow / fast:,.0f} times faster")
    print(f"exact, the same on the 150 pairs of heron-133: {1e6 * wide_:.2f} us a Clifford, {slow / wide_:,.0f} times faster")


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _cluster(workers: int) -> Iterator[str]:
    """A scheduler and some workers of one thread each on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        where, file = Path(folder), Path(folder) / "scheduler.json"
        memory = {name: str(2**28) for name in ("MALLOC_MMAP_THRESHOLD_", "DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON__MALLOC_TRIM_THRESHOLD_")}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": where, "env": {**os.environ, **memory}}  # as docs/cluster.md says
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        processes = [subprocess.Popen([*command, "--scheduler-file", str(file)], **quiet)]
        try:
            while not file.exists():
                time.sleep(0.1)
            command = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard", "--scheduler-file", str(file)]
            processes += [subprocess.Popen(command, **quiet) for _ in range(workers)]
            yield json.loads(file.read_text())["address"]
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


def dask() -> None:
    """Seconds of the stage that simulates, on clusters of one and of two workers, taking turns."""
    took: dict[tuple[str, int], list[float]] = {}
    for _ in range(2):
        for workers in (1, 2):
            with _cluster(workers) as address:
                _collected("exact:tiny-5", "quick", address)  # workers import what they need when the first task comes
                for recipe in ("default", "thorough"):
                    took.setdefault((recipe, workers), []).append(_collected("exact:grid-2025", recipe, address))
                    print(f"{recipe}, {workers} workers: {took[recipe, workers][-1]:.1f} s", flush=True)
    for recipe in ("default", "thorough"):
        print(f"{recipe}: two workers are {statistics.mean(took[recipe, 1]) / statistics.mean(took[recipe, 2]):.2f} times as fast as one")


def _collected(backend: str, recipe: str, address: str) -> float:
    """Seconds of ``qthreshold collect --dask``, without start-up."""
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        for command in (["plan", run, "-b", backend, "-r", recipe], ["submit", run], ["collect", run, "--dask", address]):
            subprocess.run([sys.executable, "-m", "qthreshold", *command, "-q"], check=True)
        return float(json.loads((Path(run) / "timing.json").read_text())["collect"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = {"runs": runs, "growth": growth, "throughput": throughput, "aer": aer, "dask": dask}
    parser.add_argument("what", choices=what)
    what[parser.parse_args().what]()


if __name__ == "__main__":
    main()
