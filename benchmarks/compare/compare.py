"""qthreshold beside qiskit-experiments: the same work on the same device, each in fresh processes of one interpreter.

Every process does one task for one side and prints JSON; the two sides alternate. ``cold`` is the first time in a
process, tables and caches included; ``warm`` is the second time, with other random sequences. Imports are measured apart.
Lengths, samples and shots are equal. The peer keeps its default of extending one sequence to all lengths (fewer Cliffords
to draw and to synthesise); qthreshold draws every sequence anew. ``qthreshold`` is plain interleaved RB, circuit for
circuit the same work; ``qthreshold padded`` is its default protocol, with more gates.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

PEER, OURS, PADDED = "qiskit-experiments", "qthreshold", "qthreshold padded"
SIDES = (PEER, OURS, PADDED)

SEQUENCES = {PEER: 150, OURS: 3000}  # 50 Cliffords each: enough for a stable time per Clifford on either side
LENGTHS, SAMPLES = [1, 50, 100, 150], 10  # circuits of one pair
FEW_LENGTHS, FEW_SAMPLES, SHOTS = [1, 30, 90], 8, 300  # end to end
PROFILE: dict[str, Any] = {
    "schema": "qthreshold/profile/1", "name": "compare", "seed": 1, "topology": {"kind": "line", "qubits": 6},
    "qubits": {"t1": 200e-6, "t2": 150e-6, "pulse_error": 3e-4, "pulse_duration": 32e-9, "p1_given_0": 0.01, "p0_given_1": 0.02},
    "pairs": {"gate": "cz", "error": 4e-3, "duration": 68e-9},
}  # fmt: skip
_SEED = "COMPARE_SEED"
PAIRS = [(0, 1), (2, 3), (4, 5)]


def timed(function: Any, *arguments: Any) -> tuple[float, Any]:
    """Seconds of wall time, and the result."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def device() -> Any:
    """The simulated device of both sides."""
    from qthreshold.backends.profiles import Profile, build

    return build(Profile.model_validate(PROFILE))


def cold_and_warm(work: Any) -> dict[str, float]:
    """Times of ``work(seed)`` for two seeds, in a fresh process."""
    seed = int(os.environ.get(_SEED, "1"))
    return {"cold": timed(work, seed)[0], "warm": timed(work, seed + 1)[0]}


# --- one process: one task of one side ---------------------------------------------------------------------------


def peer_import() -> dict[str, float]:
    import qiskit_aer  # noqa: F401
    import qiskit_experiments.library  # noqa: F401

    return {}


def our_import() -> dict[str, float]:
    import qthreshold.backends.aer
    import qthreshold.circuits.build
    import qthreshold.fits  # noqa: F401

    return {}


def peer_cliffords() -> dict[str, float]:
    """Random sequences and the element that inverts each: seconds per Clifford."""
    import functools

    import numpy as np
    from qiskit_experiments.library.randomized_benchmarking.clifford_utils import CliffordUtils, compose_2q, inverse_2q

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(SEQUENCES[PEER]):
            drawn = rng.integers(CliffordUtils.NUM_CLIFFORD_2_QUBIT, size=50)
            inverse_2q(functools.reduce(compose_2q, drawn, 0))

    return {k: v / (50 * SEQUENCES[PEER]) for k, v in cold_and_warm(work).items()}


def our_cliffords() -> dict[str, float]:
    import numpy as np

    from qthreshold.numerics import cliffords

    def work(seed: int) -> None:
        drawn = cliffords.sample(2, (50, SEQUENCES[OURS]), np.random.default_rng(seed))
        total = cliffords.pauli(np.zeros(SEQUENCES[OURS], dtype=int), 2)
        for step in drawn:
            total = cliffords.compose(total, step, 2)
        cliffords.inverse(total, 2)

    return {k: v / (50 * SEQUENCES[OURS]) for k, v in cold_and_warm(work).items()}


def _cnot() -> Any:
    """The compiled C-NOT of a cz device, the element that both sides interleave."""
    from math import pi

    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2)
    for _ in range(2):
        circuit.rz(pi / 2, 1)
        circuit.sx(1)
        circuit.rz(pi / 2, 1)
        if circuit.num_nonlocal_gates() == 0:
            circuit.cz(0, 1)
    return circuit


def _peer_experiment(pair: tuple[int, int], lengths: list[int], samples: int, seed: int) -> Any:
    from qiskit_experiments.library import InterleavedRB

    experiment = InterleavedRB(_cnot(), pair, lengths, num_samples=samples, seed=seed)
    experiment.set_transpile_options(basis_gates=["rz", "sx", "x", "cz"])
    experiment.analysis.set_options(plot=False)
    return experiment


def peer_circuits() -> dict[str, float]:
    """Native circuits of standard and interleaved RB on one pair."""
    import qiskit_experiments.library  # noqa: F401

    def work(seed: int) -> None:
        assert len(_peer_experiment((0, 1), LENGTHS, SAMPLES, seed)._transpiled_circuits()) == 2 * len(LENGTHS) * SAMPLES

    return cold_and_warm(work)


def _recipe(protocol: str, lengths: list[int], samples: int, shots: int) -> Any:
    from qthreshold.recipe import Recipe

    least = {"lengths": [1, 2], "sequences": 2, "shots": 1}  # one-qubit RB and readout as small as they can be
    two = {"protocol": protocol, "lengths": lengths, "sequences": samples, "shots": shots}
    return Recipe.model_validate(
        {"schema": "qthreshold/recipe/1", "name": "compare", "readout": {"patterns": 2, "shots": 1}, "one_qubit": least, "two_qubit": two}
    )


def _plan(simulated: Any, protocol: str, lengths: list[int], samples: int, seed: int) -> Any:
    from qthreshold.circuits.native import NATIVE_UNITARY, block_element
    from qthreshold.plan import make_plan

    blocks = {g: block_element("cnot", g) for g in NATIVE_UNITARY}
    return make_plan(simulated.device, _recipe(protocol, lengths, samples, SHOTS), seed, blocks)


def _pairs_only(simulated: Any, pairs: list[tuple[int, int]]) -> Any:
    """The simulated device with every other pair declared absent."""
    from qthreshold.backends.profiles import Profile, build

    dead = [e for e in simulated.device.edges.tolist() if tuple(e) not in pairs]
    return build(Profile.model_validate({**PROFILE, "dead_pairs": dead}))


def our_circuits(protocol: str) -> dict[str, float]:
    import numpy as np

    from qthreshold.circuits.build import build_circuits
    from qthreshold.plan import TWO_QUBIT

    simulated = _pairs_only(device(), PAIRS[:1])

    def work(seed: int) -> None:
        plan = _plan(simulated, protocol, LENGTHS, SAMPLES, seed)
        wanted = np.flatnonzero(plan.circuit_experiment == TWO_QUBIT).tolist()
        assert len(list(build_circuits(plan, simulated.device, wanted))) == 2 * len(LENGTHS) * SAMPLES

    return cold_and_warm(work)


def peer_end_to_end() -> dict[str, float]:
    """Circuits, density-matrix simulation with the device's noise, and analysis of a few pairs, one after the other."""
    import qiskit_experiments.library  # noqa: F401
    from qiskit_aer import AerSimulator

    from qthreshold.backends.aer import noise_model

    simulated = device()
    model = noise_model(simulated.device, simulated.noise)
    found: list[float] = []

    def work(seed: int) -> None:
        backend = AerSimulator(method="density_matrix", noise_model=model, seed_simulator=seed)
        found.clear()
        for pair in PAIRS:
            data = _peer_experiment(pair, FEW_LENGTHS, FEW_SAMPLES, seed).run(backend, shots=SHOTS).block_for_results()
            found.append(data.analysis_results("EPC", dataframe=True).iloc[0].value.nominal_value)

    times = cold_and_warm(work)
    return {**times, **_accuracy(found, simulated)}


def our_end_to_end(protocol: str) -> dict[str, float]:
    import tempfile

    from qthreshold.backends.aer import AerBackend
    from qthreshold.counts import add_counts
    from qthreshold.decays import make_decays
    from qthreshold.fits import make_fits
    from qthreshold.ticket import layer_tickets

    simulated = _pairs_only(device(), PAIRS)
    found: list[float] = []

    def work(seed: int) -> None:
        plan = _plan(simulated, protocol, FEW_LENGTHS, FEW_SAMPLES, seed)
        counts = add_counts(backend.collect(plan, t, lambda done: None) for t in layer_tickets(plan, backend.spec))
        found[:] = make_fits(make_decays(plan, backend.device, counts), 0.95).cnot[:, 0].tolist()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compare.toml"
        path.write_text(_toml(), encoding="utf-8")
        with AerBackend(str(path)) as backend:
            times = cold_and_warm(work)
    return {**times, **_accuracy(found, simulated)}


def _toml() -> str:
    """The profile as a file, other pairs dead."""
    dead = [[a + 1, b + 1] for a, b in PAIRS[:-1]]
    top = [f"{k} = {json.dumps(v)}" for k, v in PROFILE.items() if not isinstance(v, dict)]
    tables = [f"[{k}]\n" + "\n".join(f"{n} = {json.dumps(x)}" for n, x in v.items()) for k, v in PROFILE.items() if isinstance(v, dict)]
    return "\n".join([*top, f"dead_pairs = {dead}", *tables]) + "\n"


def _accuracy(found: list[float], simulated: Any) -> dict[str, float]:
    """Deviation from the true errors: mean, relative."""
    from qthreshold.backends.noise import true_errors

    device_ = simulated.device
    truth = dict(zip(map(tuple, device_.edges.tolist()), true_errors(device_, simulated.noise).cnot_error.tolist(), strict=True))
    return {"deviation": statistics.mean(f / truth[p] for f, p in zip(found, PAIRS, strict=True)) - 1}


TASKS: dict[str, dict[str, Any]] = {
    "import": {PEER: peer_import, OURS: our_import},
    "cliffords": {PEER: peer_cliffords, OURS: our_cliffords},
    "circuits": {PEER: peer_circuits, OURS: lambda: our_circuits("plain"), PADDED: lambda: our_circuits("padded")},
    "end to end": {PEER: peer_end_to_end, OURS: lambda: our_end_to_end("plain"), PADDED: lambda: our_end_to_end("padded")},
}


def one(task: str, side: str) -> None:
    """What a child process does."""
    seconds, result = timed(TASKS[task][side])
    if task == "import":
        result = {"cold": seconds}
    print(json.dumps({**result, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


# --- the driver -------------------------------------------------------------------------------------------------


def child(task: str, side: str, seed: int) -> dict[str, float]:
    """One measurement in a fresh process."""
    command = [sys.executable, __file__, "--task", task, "--side", side]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, _SEED: str(seed)})
    if done.returncode:
        raise RuntimeError(f"{task} of {side} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def spread(values: list[float], scale: float = 1.0) -> str:
    """Median and range."""
    low, mid, high = (scale * f(values) for f in (min, statistics.median, max))
    return f"{mid:.3g} ({low:.3g} to {high:.3g})"


def table(results: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    """Markdown; a ratio is the peer's median over ours."""
    units = {"import": (1, "s"), "cliffords": (1e9, "ns per Clifford"), "circuits": (1, "s"), "end to end": (1, "s")}
    lines = ["| work | when | side | median (range) | ratio to qiskit-experiments | peak MiB |", "|---|---|---|--:|--:|--:|"]
    for task, sides in results.items():
        scale, unit = units[task]
        for when in ("cold", "warm"):
            if when not in sides[PEER][0]:
                continue
            base = statistics.median(r[when] for r in sides[PEER])
            for side, runs in sides.items():
                values = [r[when] for r in runs]
                ratio = f"{base / statistics.median(values):.3g} x faster" if side != PEER else "1"
                memory = statistics.median(r["memory"] for r in runs)
                lines.append(f"| {task}, {unit} | {when} | {side} | {spread(values, scale)} | {ratio} | {memory:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=TASKS, help="one task only")
    parser.add_argument("--side", choices=SIDES, help="with --task: measure one side in this process")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.side:
        return one(arguments.task, arguments.side)
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    for task in [arguments.task] if arguments.task else TASKS:
        results[task] = {side: [] for side in TASKS[task]}
        for seed in range(1, 2 * arguments.repeat, 2):
            for side in TASKS[task]:
                results[task][side].append(child(task, side, seed))
        print(f"done: {task}", file=sys.stderr)
    names = ("qiskit", "qiskit-aer", "qiskit-experiments", "numpy")
    print(", ".join([f"python {platform.python_version()}", *(f"{n} {version(n)}" for n in names), f"{os.cpu_count()} cores"]))
    print(table(results))
    for side, runs in results.get("end to end", {}).items():
        deviations = ", ".join(f"{r['deviation']:+.0%}" for r in runs)
        print(f"end to end, {side}: mean error of {len(PAIRS)} pairs off the truth by {deviations} in single runs")
    return None


if __name__ == "__main__":
    main()
