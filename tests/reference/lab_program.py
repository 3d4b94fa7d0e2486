"""A lab's own control program, of which qthreshold knows nothing: reads a job sheet and its circuits, runs them on a noisy chip, writes counts.

    python lab_program.py FOLDER COUNTS CHIP [ORDER]

FOLDER holds ``jobsheet.json``; COUNTS ends in ``.json`` (full width) or ``.csv`` (measured qubits only); CHIP is the JSON of a chip: seed,
pair_error (average gate infidelity of a depolarizing cz), readout_error. ORDER is the bit order to write.
"""

import csv
import hashlib
import json
import sys
from pathlib import Path

from qiskit import qasm3, qpy
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error


def chip(values):
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(4 / 3 * values["pair_error"], 2), ["cz"])
    e = values["readout_error"]
    noise.add_all_qubit_readout_error(ReadoutError([[1 - e, e], [e, 1 - e]]))
    return AerSimulator(noise_model=noise, method="density_matrix", seed_simulator=values["seed"], max_parallel_threads=1)


def circuits_of(folder, sheet):
    """Every circuit of the sheet in its order, files checked by their hashes."""
    loaded = {}
    for job in sheet["circuits"]:
        data = (folder / job["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == job["sha256"]
        if sheet["format"] == "qasm3":
            yield job, qasm3.loads(data.decode())
        else:
            if job["file"] not in loaded:
                with (folder / job["file"]).open("rb") as file:
                    loaded[job["file"]] = {c.name: c for c in qpy.load(file)}
            yield job, loaded[job["file"]][job["name"]]


def main(folder, out, values, order="qubit0-last"):
    sheet = json.loads((Path(folder) / "jobsheet.json").read_text())
    jobs = list(circuits_of(Path(folder), sheet))
    machine = chip(json.loads(values))
    counts = {}
    for shots in dict.fromkeys(job["shots"] for job, _ in jobs):
        group = [(job["name"], circuit) for job, circuit in jobs if job["shots"] == shots]
        result = machine.run([circuit for _, circuit in group], shots=shots).result()
        counts |= {name: result.get_counts(i) for i, (name, _) in enumerate(group)}
    turn = slice(None) if order == "qubit0-last" else slice(None, None, -1)
    if out.endswith(".json"):
        turned = {name: {bits[turn]: n for bits, n in found.items()} for name, found in counts.items()}
        document = {"schema": "qthreshold/counts-file/1", "plan_id": sheet["plan_id"], "bit_order": order, "circuits": turned}
        Path(out).write_text(json.dumps(document))
        return
    with Path(out).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["circuit", "bits", "count"])
        for job, _ in jobs:
            few = {}
            for bits, n in counts[job["name"]].items():
                read = "".join(bits[::-1][q] for q in sorted(job["qubits"], reverse=True))
                few[read] = few.get(read, 0) + n
            writer.writerows((job["name"], bits[turn], n) for bits, n in few.items())


if __name__ == "__main__":
    main(*sys.argv[1:])
