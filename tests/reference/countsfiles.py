"""Counts files written row by row, as a lab would."""

import json

from qthreshold.counts import unpack_bits
from qthreshold.plan import circuit_name, measured_qubits

ORDERS = ("qubit0-last", "qubit0-first")


def readings(plan, device, counts, *, order="qubit0-last", full=True, every=0):
    """{name: [(bits, count)]} of counts; ``every`` puts a blank after so many characters."""
    measured = measured_qubits(plan, device)
    out = {}
    for c, bits, count in zip(counts.circuit.tolist(), unpack_bits(counts.bits, device.n_qubits).tolist(), counts.count.tolist(), strict=True):
        text = "".join(str(b) for b in (bits if full else [bits[q] for q in measured[c].tolist()]))
        text = text if order == "qubit0-first" else text[::-1]
        text = " ".join(text[i : i + every] for i in range(0, len(text), every)) if every else text
        out.setdefault(circuit_name(plan, c), []).append((text, count))
    return out


def as_json(rows, order="qubit0-last", **fields):
    """A JSON file; fields given as None are left out."""
    circuits = {name: dict(found) for name, found in rows.items()}
    document = {"schema": "qthreshold/counts-file/1", "bit_order": order, "circuits": circuits} | fields
    return json.dumps({k: v for k, v in document.items() if v is not None})


def as_csv(rows):
    lines = [f"{name},{bits},{count}" for name, found in rows.items() for bits, count in found]
    return "\n".join(["circuit,bits,count", *lines]) + "\n"
