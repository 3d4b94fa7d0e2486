"""Counts files: what a control stack of one's own read, as the counts of a plan's circuits.

JSON::

    {"schema": "qthreshold/counts-file/1", "plan_id": "...", "bit_order": "qubit0-last", "circuits": {"c000000-...": {"00101": 37, ...}, ...}}

or CSV with the columns of :data:`COLUMNS` in any order, one outcome of one circuit a row. A bit string has one character for every
qubit of the device, or for every qubit that the circuit measures, in the order of the qubits. ``qubit0-last`` is how Qiskit writes:
the lowest qubit is the last character. Blanks and underscores within a string are passed over. A file brings whole circuits: all shots
of each, none that the run has already.
"""

import csv
import io
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qthreshold.counts import Counts, pack_outcomes
from qthreshold.device import Device
from qthreshold.errors import InputError
from qthreshold.plan import Plan, measured_qubits
from qthreshold.suggest import near_matches

__all__ = ["BIT_ORDERS", "COLUMNS", "COUNTS_SCHEMA", "parse_counts"]

COUNTS_SCHEMA = "qthreshold/counts-file/1"

COLUMNS = ("circuit", "bits", "count")
"""Columns of a CSV file; all are required."""

BIT_ORDERS = ("qubit0-last", "qubit0-first")
"""Which end of a bit string is the lowest qubit."""

_HIGHEST_COUNT = 10**9
_COUNT_HELP = f"a whole number from 1 to {_HIGHEST_COUNT} is, and no row for outcomes that never came"
_FIELDS = ("schema", "plan_id", "bit_order", "circuits")
_SEPARATORS = str.maketrans("", "", " _")
_ORDER_HELP = f"{BIT_ORDERS[0]} (the lowest qubit is the last character, as Qiskit writes) or {BIT_ORDERS[1]}"


@dataclass(frozen=True, slots=True)
class _Row:
    """An outcome as the file states it."""

    bits: str
    count: int
    where: str


@dataclass(frozen=True, slots=True)
class _Content:
    """A file as far as it can be read without the plan: its rows by the circuit's name."""

    circuits: dict[str, list[_Row]]
    plan_id: str | None = None
    bit_order: str | None = None


def parse_counts(
    text: str, name: str, *, plan: Plan, device: Device, names: Sequence[str], held: Collection[int] = (), bit_order: str | None = None
) -> Counts:
    """Read a counts file.

    Args:
        text: JSON or CSV; a byte order mark, any line ends and blank lines are fine.
        name: Name of the file, for messages.
        plan: The plan whose circuits were run.
        device: Its device.
        names: Names of the plan's circuits.
        held: Circuits that the run has counts of already.
        bit_order: One of :data:`BIT_ORDERS`, where the file does not say.

    Returns:
        Counts of the circuits in the file, each with all its shots.

    Raises:
        InputError: The file cannot be used; names the line or the circuit, the value and what is accepted.
    """
    text = text.removeprefix("\ufeff")
    content = _from_json(text, name) if text.lstrip()[:1] in ("{", "[") else _from_csv(text, name)
    if content.plan_id not in (None, plan.id):
        raise InputError(f"{name} holds counts of plan {_shown(content.plan_id)}; this run's plan is {plan.id}")
    if not content.circuits:
        raise InputError(f"{name} holds no counts; expected outcomes of the circuits of the job sheet, such as {names[0] if names else 'c000000'}")
    low_last = _order(content.bit_order, bit_order, name) == BIT_ORDERS[0]
    number = {n: c for c, n in enumerate(names)}
    measured = measured_qubits(plan, device)
    circuit, packed, count = [], [], []
    for key, rows in content.circuits.items():
        where = rows[0].where if rows else f"{name}, circuit {_shown(key)}"
        if key not in number:
            raise InputError(f"{where}: the plan has no circuit {_shown(key)}; {near_matches(key, names, most=3)}")
        c = number[key]
        if c in held:
            raise InputError(
                f"{where}: counts of {key} were ingested before; a file may hold each circuit of the plan once, and only those that are missing"
            )
        bits = _outcomes(rows, device.n_qubits, measured[c], key, low_last=low_last)
        total, shots = sum(row.count for row in rows), int(plan.circuit_shots[c])
        if total != shots:
            raise InputError(
                f"{name}: the counts of {key} add up to {total:,}, the plan asks for {shots:,} shots; all of them are needed, and no more"
            )
        circuit.append(np.full(len(rows), c))
        packed.append(bits)
        count.append(np.array([row.count for row in rows], dtype=np.int64))
    return pack_outcomes(plan.id, device.n_qubits, np.concatenate(circuit), np.concatenate(packed), np.concatenate(count))


def _order(stated: str | None, option: str | None, name: str) -> str:
    for value, where in ((option, "--bit-order"), (stated, f"{name}: bit_order")):
        if value is not None and value not in BIT_ORDERS:
            raise InputError(f"{where} {_shown(value)} is not accepted; {_ORDER_HELP} is")
    if stated is not None and option not in (None, stated):
        raise InputError(f"{name} says bit_order {stated}, the command line --bit-order {option}; leave the option out, or correct the file")
    order = stated or option
    if order is None:
        raise InputError(f"{name} does not say at which end of a bit string the lowest qubit is; add --bit-order: {_ORDER_HELP}")
    return order


class _Object(list[tuple[str, Any]]):
    """A JSON object with its keys in order, repeated ones kept."""


def _from_json(text: str, name: str) -> _Content:
    try:
        document = json.loads(text, object_pairs_hook=_Object)
    except json.JSONDecodeError as error:
        raise InputError(f"{name}, line {error.lineno}: not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or thousands of brackets
        raise InputError(f"{name}: not JSON that can be read: {error}") from None
    accepted = f'accepted: {{"schema": "{COUNTS_SCHEMA}", "bit_order": ..., "circuits": {{NAME: {{BITS: COUNT}}}}}}, and "plan_id"'
    if not isinstance(document, _Object):
        raise InputError(f"{name} is not a JSON object; {accepted}")
    fields = _unique(document, f"{name}: field")
    if unknown := [f for f in fields if f not in _FIELDS]:
        raise InputError(f"{name}: unknown field {_shown(unknown[0])}; {accepted}")
    if fields.get("schema") != COUNTS_SCHEMA:
        raise InputError(f"{name}: schema is {_shown(fields.get('schema'))}; {accepted}")
    for field in ("plan_id", "bit_order"):
        if not isinstance(fields.get(field, ""), str):
            raise InputError(f"{name}: {field} is {_shown(fields[field])}; text in quotes is accepted, or no such field")
    if not isinstance(fields.get("circuits"), _Object):
        raise InputError(f"{name}: no object 'circuits'; {accepted}")
    circuits = {}
    for key, outcomes in _unique(fields["circuits"], f"{name}: circuit").items():
        where = f"{name}, circuit {_shown(key)}"
        if not isinstance(outcomes, _Object):
            raise InputError(f"{where}: {_shown(outcomes)} is not accepted; an object of bit strings and counts is")
        for bits, count in outcomes:
            if type(count) is not int or not 1 <= count <= _HIGHEST_COUNT:
                raise InputError(f"{where}, {_shown(bits)}: count {_shown(count)} is not accepted; {_COUNT_HELP}")
        circuits[key] = [_Row(bits, count, where) for bits, count in outcomes]
    return _Content(circuits, fields.get("plan_id"), fields.get("bit_order"))


def _unique(pairs: _Object, what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InputError(f"{what} {_shown(key)} occurs twice; once is accepted")
        found[key] = value
    return found


def _from_csv(text: str, name: str) -> _Content:
    reader = csv.reader(io.StringIO(text, newline=""))
    columns: list[str] = []
    circuits: dict[str, list[_Row]] = {}
    try:
        for cells in reader:
            values = [c.strip() for c in cells]
            if not any(values):
                continue
            where = f"{name}, line {reader.line_num}"
            if not columns:
                columns = _checked_header(values, where)
                continue
            if len(values) != len(columns):
                raise InputError(f"{where}: {len(values)} values under {len(columns)} columns ({', '.join(columns)})")
            cell = dict(zip(columns, values, strict=True))
            if not re.fullmatch("[0-9]{1,18}", cell["count"]) or not 1 <= int(cell["count"]) <= _HIGHEST_COUNT:
                raise InputError(f"{where}: count {_shown(cell['count'])} is not accepted; {_COUNT_HELP}")
            circuits.setdefault(cell["circuit"], []).append(_Row(cell["bits"], int(cell["count"]), where))
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not CSV: {error}") from None
    return _Content(circuits)


def _checked_header(names: list[str], where: str) -> list[str]:
    if sorted(names) != sorted(COLUMNS):
        raise InputError(
            f"{where}: {_shown(','.join(names))} is neither JSON nor the header of a CSV file; accepted: {', '.join(COLUMNS)}, each once, with commas"
        )
    return names


def _outcomes(rows: Sequence[_Row], n_qubits: int, measured: npt.NDArray[np.int64], circuit: str, *, low_last: bool) -> npt.NDArray[np.uint8]:
    """Packed bit strings of one circuit's rows, ``(R, ceil(n_qubits / 8))``."""
    bits = np.zeros((len(rows), n_qubits), dtype=np.uint8)
    texts = [_checked_bits(row, n_qubits, len(measured), circuit) for row in rows]
    width = np.array([len(t) for t in texts], dtype=np.int64)
    for size, qubits in ((n_qubits, np.arange(n_qubits)), (len(measured), measured)):
        of_size = np.flatnonzero(width == size)
        values = np.frombuffer("".join(texts[i] for i in of_size.tolist()).encode(), dtype=np.uint8).reshape(-1, size) - ord("0")
        bits[np.ix_(of_size, qubits)] = values[:, ::-1] if low_last else values
    silent = np.ones(n_qubits, dtype=bool)
    silent[measured] = False
    for i, q in np.argwhere(bits * silent)[:1].tolist():
        raise InputError(f"{rows[i].where}: {_shown(rows[i].bits)} has a 1 at qubit {q}, which {circuit} does not measure; is the bit order right?")
    packed = np.packbits(bits, axis=1, bitorder="little")
    seen: dict[bytes, _Row] = {}
    for row, key in zip(rows, map(bytes, packed), strict=True):
        first = seen.setdefault(key, row)
        if first is not row:
            before = f" (first in {first.where.rpartition(', ')[2]})" if first.where != row.where else ""
            raise InputError(f"{row.where}: outcome {_shown(row.bits)} of {circuit} occurs twice{before}; once is accepted")
    return packed


def _checked_bits(row: _Row, n_qubits: int, measured: int, circuit: str) -> str:
    text = row.bits.translate(_SEPARATORS)
    if text.strip("01"):
        raise InputError(f"{row.where}: {_shown(row.bits)} is not accepted; a bit string of 0 and 1 is")
    if len(text) not in (n_qubits, measured):
        widths = f"{n_qubits} (all qubits)" + (f" or {measured} (those that {circuit} measures)" if measured != n_qubits else "")
        dropped = "; spreadsheets drop leading zeros" if len(text) < measured else ""
        raise InputError(f"{row.where}: {_shown(row.bits)} has {len(text)} bits; {widths} are accepted{dropped}")
    return text


def _shown(value: object) -> str:
    """A value in quotes, cut where it is long; JSON values other than text as they are written."""
    if isinstance(value, _Object | list):
        return "a JSON object" if isinstance(value, _Object) else "a JSON list"
    text = repr(value) if isinstance(value, str) else json.dumps(value) if isinstance(value, bool | None) else _number(value)
    return text if len(text) <= 50 else f"{text[:47]}..."


def _number(value: object) -> str:
    return f"a number of {len(str(value))} digits" if isinstance(value, int) and abs(value) >= 10**40 else str(value)
