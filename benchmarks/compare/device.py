"""A whole device beside qiskit-experiments: interleaved RB of many pairs with the same lengths, samples, shots and noise, end to end.

python benchmarks/compare/device.py [--minutes 10]

qiskit-experiments runs its interleaved RB pair after pair on qiskit-aer, each with the noise model of that pair alone, which is the cheapest
way there is, until the minutes are over; its time for the whole device is that of a pair times the number of pairs. qthreshold plans,
computes and fits all pairs with its exact engine, plain protocol, before and after. Both start from the device and its channels.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from compare import _peer_experiment, timed
from qthreshold.backends.aer import noise_model
from qthreshold.backends.exact import ExactBackend
from qthreshold.backends.noise import Noise
from qthreshold.circuits.native import NATIVE_UNITARY, block_element
from qthreshold.decays import make_decays
from qthreshold.device import Device
from qthreshold.fits import make_fits
from qthreshold.plan import make_plan
from qthreshold.recipe import Recipe
from qthreshold.ticket import layer_tickets

PROFILE, LENGTHS, SAMPLES, SHOTS = "heron-133", [1, 10, 30, 90], 10, 300


def ours(seed: int) -> tuple[float, float]:
    """Seconds for all pairs, and the mean deviation from the true errors, relative."""
    backend = ExactBackend(PROFILE)
    least = {"lengths": [1, 2], "sequences": 2, "shots": 1}
    two = {"protocol": "plain", "lengths": LENGTHS, "sequences": SAMPLES, "shots": SHOTS}
    recipe = Recipe.model_validate(
        {"schema": "qthreshold/recipe/1", "name": "compare", "readout": {"patterns": 2, "shots": 1}, "one_qubit": least, "two_qubit": two}
    )
    began = time.perf_counter()
    plan = make_plan(backend.device, recipe, seed, {g: block_element("cnot", g) for g in NATIVE_UNITARY})
    counts = [backend.collect(plan, t, lambda done: None) for t in layer_tickets(plan, backend.spec)]
    fits = make_fits(make_decays(plan, backend.device, counts), 0.95)
    took = time.perf_counter() - began
    return took, float((fits.cnot[:, 0] / backend.truth("cnot").cnot_error[fits.edges]).mean()) - 1


def only(device: Device, noise: Noise, edge: int) -> tuple[Device, Noise]:
    """One pair of a device as a device of its own."""
    from qthreshold.device import build_device

    qubits = device.direction[edge].tolist()
    alone = build_device(
        name="pair", source="test", n_qubits=2, directed=[(0, 1)], gate=[device.gate[edge]], edge_error=[0.0], edge_duration=[1e-7],
        qubit_error=[0.0, 0.0], readout_error=[0.0, 0.0], pulse_duration=[1e-8] * 2, readout_duration=[1e-6] * 2, t1=[1e-4] * 2, t2=[1e-4] * 2,
    )  # fmt: skip
    channels = {f: getattr(noise, f)[qubits] for f in ("sx", "x", "p1_given_0", "p0_given_1")}
    return alone, Noise(native=noise.native[[edge]], **channels)


def peer(device: Device, noise: Noise, edge: int) -> float:
    """Error of one pair, from circuits, simulation and analysis."""
    from qiskit_aer import AerSimulator

    backend = AerSimulator(method="density_matrix", noise_model=noise_model(*only(device, noise, edge)), seed_simulator=edge)
    data = _peer_experiment((0, 1), LENGTHS, SAMPLES, edge).run(backend, shots=SHOTS).block_for_results()
    return float(data.analysis_results("EPC", dataframe=True).iloc[0].value.nominal_value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    most = 60 * parser.parse_args().minutes
    mine = [ours(seed) for seed in (1, 2, 3)]
    backend = ExactBackend(PROFILE)
    truth, seconds, deviation = backend.truth("cnot").cnot_error, [], []
    edges = backend.device.usable_edges.tolist()
    for edge in edges:
        took, found = timed(peer, backend.device, backend.noise, edge)
        seconds.append(took)
        deviation.append(found / truth[edge] - 1)
        if sum(seconds) > most:
            break
    mine += [ours(seed) for seed in (4, 5, 6)]
    fast = statistics.median(t for t, _ in mine[1:])
    whole = sum(seconds) / len(seconds) * len(edges)
    print(f"qiskit-experiments: {len(seconds)} of {len(edges)} pairs in {sum(seconds):.0f} s; {whole:.0f} s for all of them", end="")
    print(" by proportion" if len(seconds) < len(edges) else "")
    print(f"qthreshold: all {len(edges)} pairs in {fast:.2f} s (first in the process {mine[0][0]:.2f} s): {whole / fast:,.0f} times as fast")
    off = ", ".join(f"{d:+.0%}" for _, d in mine)
    print(f"mean of all pairs off the truth: qiskit-experiments {statistics.mean(deviation):+.0%}; qthreshold, plain protocol, {off}")


if __name__ == "__main__":
    main()
