"""Counts from a result as ``BackendV2.run`` gives it, checked for everything that backends are known to get wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qthreshold.backends.failures import class_of
from qthreshold.counts import Counts, pack_outcomes
from qthreshold.errors import CorruptResultError
from qthreshold.plan import Plan, circuit_name
from qthreshold.ticket import Ticket

__all__ = ["pack_keys", "read_counts"]


def read_counts(result: Any, plan: Plan, ticket: Ticket, n_qubits: int) -> Counts:
    """Counts of a ticket from a backend's result, by ``get_counts``: ``memory`` is missing on many backends.

    Args:
        result: What ``backend.run(circuits).result()`` returned.
        plan: The plan.
        ticket: The ticket whose circuits were run, in its order.
        n_qubits: Width of the circuits.

    Raises:
        CorruptResultError: Circuits or shots are missing or too many, in another order, or a bit string is none of this width.
    """
    names = [circuit_name(plan, c) for c in ticket.circuits.tolist()]
    tables = _tables(result, names)
    bits, counts = [], []
    for name, table, shots in zip(names, tables, plan.circuit_shots[ticket.circuits].tolist(), strict=True):
        values = np.array(list(table.values()))
        if values.dtype.kind not in "iu" or (values < 0).any():
            raise CorruptResultError(f"{name} came with counts that are no whole numbers" if table else f"{name} came without counts")
        if values.sum() != shots:
            raise CorruptResultError(f"{name} came with {values.sum():,} shots where {shots:,} were asked for")
        bits.append(pack_keys(list(table), n_qubits, name)[values > 0])
        counts.append(values[values > 0].astype(np.int64))
    circuit = np.repeat(ticket.circuits, [len(c) for c in counts])
    return pack_outcomes(plan.id, n_qubits, circuit, np.concatenate(bits), np.concatenate(counts))


def pack_keys(keys: Sequence[Any], n_qubits: int, name: str) -> npt.NDArray[np.uint8]:
    """Bit strings as Qiskit writes them, packed with bit 0 first.

    Args:
        keys: ``"0110"`` with qubit 0 last, perhaps with spaces between registers, or ``"0x6"``; not both.
        n_qubits: Width.
        name: Of the circuit, for messages.

    Returns:
        uint8 ``(R, ceil(n_qubits / 8))``.

    Raises:
        CorruptResultError: A key is something else.

    Example:
        >>> pack_keys(["01 1", "000"], 3, "c").tolist(), pack_keys(["0x3"], 3, "c").tolist()
        ([[3], [0]], [[3]])
    """
    odd = next((k for k in keys if not isinstance(k, str)), None)
    if odd is not None:
        raise CorruptResultError(f"{name} came with a key of type {type(odd).__name__} in place of a bit string")
    if all(k[:2] in ("0x", "0X") for k in keys):
        return _packed_hex(keys, n_qubits, name)
    plain = [k.replace(" ", "") for k in keys]
    wrong = next((k for k in plain if len(k) != n_qubits), None)
    if wrong is not None:
        raise CorruptResultError(f"{name} came with the bit string {_short(wrong)} of {len(wrong)} characters; its register has {n_qubits} bits")
    raw = np.frombuffer("".join(plain).encode("ascii", "replace"), dtype=np.uint8).reshape(-1, n_qubits) - np.uint8(ord("0"))
    strange = np.flatnonzero((raw > 1).any(axis=1))
    if strange.size:
        raise CorruptResultError(f"{name} came with the key {_short(plain[strange[0]])}, which is no bit string")
    return np.packbits(raw[:, ::-1], axis=1, bitorder="little")


def _packed_hex(keys: Sequence[str], n_qubits: int, name: str) -> npt.NDArray[np.uint8]:
    width = -(-n_qubits // 8)
    out = bytearray()
    for key in keys:
        try:
            number = int(key, 16)
        except ValueError:
            raise CorruptResultError(f"{name} came with the key {_short(key)}, which is no hexadecimal number") from None
        if number >> n_qubits:
            raise CorruptResultError(f"{name} came with the key {_short(key)}, which has more than the {n_qubits} bits of its register")
        out += number.to_bytes(width, "little")
    return np.frombuffer(bytes(out), dtype=np.uint8).reshape(-1, width)


def _tables(result: Any, names: Sequence[str]) -> list[Mapping[Any, Any]]:
    """One table of counts for each circuit, in the order in which they were sent."""
    if result is None:
        raise CorruptResultError("the result is empty")
    if getattr(result, "success", True) is False:
        raise CorruptResultError("the backend says that not all circuits succeeded")
    try:
        entries = getattr(result, "results", None)
        tables = result.get_counts() if entries is None else [result.get_counts(i) for i in range(len(entries))]
    except Exception as error:  # of a class that nobody can know
        raise CorruptResultError(f"the result gives no counts ({class_of(error)})") from None
    tables = [tables] if isinstance(tables, Mapping) else list(tables)
    if len(tables) != len(names):
        raise CorruptResultError(f"results of {len(tables)} circuits came where {len(names)} were sent")
    for name, table in zip(names, tables, strict=True):
        if not isinstance(table, Mapping):
            raise CorruptResultError(f"{name} came as {type(table).__name__} in place of a table of counts")
    _check_order(entries, names)
    return tables


def _check_order(entries: Any, names: Sequence[str]) -> None:
    """Where results carry the names of our circuits, they must be in our order."""
    for sent, entry in zip(names, entries or (), strict=False):
        header = getattr(entry, "header", None)
        came = header.get("name") if isinstance(header, Mapping) else getattr(header, "name", None)
        if came in names and came != sent:
            raise CorruptResultError(f"the result of {came} came where that of {sent} was due: results are not in the order of the circuits")


def _short(key: str) -> str:
    return repr(key if len(key) <= 24 else f"{key[:24]}...")
