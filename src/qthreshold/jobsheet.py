"""Circuits of a run as files, with a sheet that tells the person at the bench how to run them and what to bring back."""

import csv
import hashlib
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qthreshold.circuits.export import qasm3_texts, qpy_bytes
from qthreshold.countsfile import BIT_ORDERS, COUNTS_SCHEMA
from qthreshold.device import Device
from qthreshold.errors import InputError
from qthreshold.jobs import Watcher
from qthreshold.plan import Plan, circuit_name, measured_qubits
from qthreshold.store import RunDirectory, others_in, write_folder
from qthreshold.workflow import SILENT, load_plan

__all__ = ["FORMATS", "Exported", "export_circuits", "parse_selection"]

FORMATS = {"qasm3": "OpenQASM 3, a text file for every circuit", "qpy": "Qiskit's QPY, several circuits of one number of shots a file"}
"""Forms that circuits can be written in."""

_FOLDER = "circuits"
_SHEETS = ("jobs.csv", "jobsheet.json")
_QPY_CIRCUITS = 50  # in one file, so that neither writing nor reading it takes gigabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where.
        circuits, files, size: How many circuits in how many files, and bytes of these.
        seconds: How long it took.
    """

    folder: Path
    circuits: int
    files: int
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _File:
    """A file to write: its name, its circuits, and what makes its content when its turn comes."""

    name: str
    circuits: Sequence[int]
    content: Callable[[], bytes]


def export_circuits(
    directory: RunDirectory, *, form: str = "qasm3", out: Path | None = None, circuits: Sequence[int] | None = None, watch: Watcher = SILENT
) -> Exported:
    """Write the circuits of a run, and the job sheet: ``jobsheet.json`` and, the same as a table, ``jobs.csv``.

    Writing again what is there already is fine, so an interrupted export can be repeated.

    Args:
        directory: The run.
        form: One of :data:`FORMATS`.
        out: Folder; ``circuits`` in the run by default.
        circuits: Which circuits, increasing; all by default.
        watch: Told about progress.

    Raises:
        InputError: The form is unknown, or the folder holds other files.
        StoreError: A file cannot be written.
    """
    started = time.monotonic()
    if form not in FORMATS:
        raise InputError(f"unknown format {form!r}; accepted: {', '.join(FORMATS)}")
    device, plan = load_plan(directory)
    chosen = range(plan.n_circuits) if circuits is None else circuits
    if not chosen:
        raise InputError(f"no circuits to write; {directory.path} has {plan.n_circuits:,}")
    files = _qasm3_files(plan, device, chosen) if form == "qasm3" else _qpy_files(plan, device, chosen)
    folder = out if out is not None else directory.path / _FOLDER
    inside = _name_inside(directory.path, folder)
    others = others_in(folder, {f.name for f in files} | set(_SHEETS))
    if others:
        more = " and others" if len(others) > 1 else ""
        raise InputError(f"{folder} holds other files already ({others[0]}{more}); name a new folder with --out")
    watch.stage("export", len(chosen))
    sizes: list[int] = []

    def content() -> Iterator[tuple[str, bytes]]:
        rows: dict[int, tuple[str, str]] = {}
        for file in files:
            data = file.content()
            rows |= dict.fromkeys(file.circuits, (file.name, hashlib.sha256(data).hexdigest()))
            sizes.append(len(data))
            yield file.name, data
            watch.advance(len(file.circuits))
        yield from _sheets(plan, device, form, rows)

    if inside is None:
        write_folder(folder, content())
    else:
        with directory.locked():
            directory.seal()
            directory.write_files((f"{inside}/{name}", data) for name, data in content())
    return Exported(folder=folder, circuits=len(chosen), files=len(files), size=sum(sizes), seconds=time.monotonic() - started)


def parse_selection(text: str, n_circuits: int) -> list[int]:
    """Circuits from a list of numbers and ranges.

    Raises:
        InputError: It is not such a list, or the plan has no such circuit.

    Example:
        >>> parse_selection("0-2,7", 10)
        [0, 1, 2, 7]
    """
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < n_circuits:
            raise InputError(
                f"--circuits {text!r}: {part.strip()!r} is not accepted; numbers from 0 to {n_circuits - 1} and ranges are, such as 0-9,12"
            )
        chosen.update(range(first, last + 1))
    return sorted(chosen)


def _qasm3_files(plan: Plan, device: Device, circuits: Sequence[int]) -> list[_File]:
    texts = qasm3_texts(plan, device, circuits)  # files are written in this order
    return [_File(f"{circuit_name(plan, c)}.qasm", [c], lambda: next(texts).encode()) for c in circuits]


def _qpy_files(plan: Plan, device: Device, circuits: Sequence[int]) -> list[_File]:
    """Circuits of one number of shots together, in execution order."""
    chosen, files = np.array(circuits, dtype=np.int64), []
    for shots in dict.fromkeys(plan.circuit_shots[chosen].tolist()):
        group = chosen[plan.circuit_shots[chosen] == shots].tolist()
        for some in (group[i : i + _QPY_CIRCUITS] for i in range(0, len(group), _QPY_CIRCUITS)):
            name = f"c{some[0]:06d}-to-c{some[-1]:06d}-shots{shots}.qpy"
            files.append(_File(name, some, lambda some=some: qpy_bytes(plan, device, some)))  # type: ignore[misc]
    return files


def _name_inside(run: Path, folder: Path) -> str | None:
    """The folder's name in the run's manifest; None for one outside the run.

    Raises:
        InputError: It is in the run, but not where circuits belong.
    """
    try:
        name = folder.resolve().relative_to(run.resolve())
    except ValueError:
        return None
    if name.parts[:1] != (_FOLDER,):
        raise InputError(f"--out {folder} lies in the run directory; circuits go to {run / _FOLDER}, a folder in it, or one outside the run")
    return name.as_posix()


def _sheets(plan: Plan, device: Device, form: str, rows: dict[int, tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    measured = measured_qubits(plan, device)
    entries: list[dict[str, Any]] = [
        {
            "name": circuit_name(plan, c), "file": file, "shots": int(plan.circuit_shots[c]), "qubits": measured[c].tolist(),
            "classical_bits": device.n_qubits, "sha256": digest,
        }
        for c, (file, digest) in sorted(rows.items())
    ]  # fmt: skip
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("circuit", "file", "shots", "qubits", "classical_bits", "sha256"))
    writer.writerows((e["name"], e["file"], e["shots"], " ".join(map(str, e["qubits"])), e["classical_bits"], e["sha256"]) for e in entries)
    yield "jobs.csv", table.getvalue().encode()
    sheet = {
        "schema": "qthreshold/jobsheet/1", "plan_id": plan.id, "device": device.name, "n_qubits": device.n_qubits, "format": form,
        "bit_order": _BIT_ORDER, "instructions": _INSTRUCTIONS, "counts_file": _example(plan, entries), "circuits": entries,
    }  # fmt: skip
    yield "jobsheet.json", (json.dumps(sheet, indent=1) + "\n").encode()


_BIT_ORDER = {
    "registers": "Qubit q of a circuit is qubit q of the device; classical bit q holds the outcome of qubit q.",
    BIT_ORDERS[0]: "The lowest qubit is the last character of a bit string (as Qiskit writes).",
    BIT_ORDERS[1]: "The lowest qubit is the first character.",
}
_INSTRUCTIONS = [
    "Run every circuit as it is: gates are native, so no optimisation, no merging across barriers, no other layout.",
    "Run them in the order of this sheet, in one go if you can: the arms of a sequence are neighbours, so that drift meets both.",
    "Run each for its number of shots, from a fresh reset of all qubits to 0.",
    "No error mitigation, readout correction, post-selection or dynamical decoupling: all shots count, as they were read.",
    "Check the SHA-256 of a file if it travelled.",
    "Bring the counts as JSON (see counts_file) or as CSV with the columns circuit, bits, count. Bit strings have a character for every qubit "
    "of the device, or for every qubit that the circuit measures, in the order of the qubits. Outcomes that never came are left out.",
    "Say which end of a bit string the lowest qubit is: bit_order in JSON, --bit-order for CSV. A mistake here looks like a broken device.",
    "Then: qthreshold ingest DIR FILE, once for each file of whole circuits; when all are there: qthreshold resume DIR.",
]


def _example(plan: Plan, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """What comes back, for the first circuit of the sheet; the outcome is made up."""
    counts = {e["name"]: {"0" * e["classical_bits"]: e["shots"]} for e in entries[:1]}
    return {"schema": COUNTS_SCHEMA, "plan_id": plan.id, "bit_order": BIT_ORDERS[0], "circuits": counts}
