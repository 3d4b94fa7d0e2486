"""Counts: full-width outcomes of circuits, as integers. Counts of the same plan add."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from qthreshold.identity import Record

__all__ = ["Counts", "add_counts", "pack_outcomes", "unpack_bits"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Counts(Record):
    """How often each bit string was read in each circuit.

    Attributes:
        plan_id: The plan whose circuits these are.
        n_qubits: Width of the device; bit q of a string is qubit q, qubits that a circuit does not measure read 0.
        circuit: Circuit of each row, int32 ``(R,)``, not decreasing.
        bits: Bit strings, packed with bit 0 first, uint8 ``(R, ceil(n_qubits / 8))``; sorted within a circuit.
        count: How often, int64 ``(R,)``, positive.
    """

    schema: ClassVar[str] = "qthreshold/counts/1"
    plan_id: str
    n_qubits: int
    circuit: npt.NDArray[np.int32]
    bits: npt.NDArray[np.uint8]
    count: npt.NDArray[np.int64]

    def _check(self) -> None:
        rows = len(self.circuit)
        if self.bits.shape != (rows, -(-self.n_qubits // 8)) or self.count.shape != (rows,):
            raise ValueError(
                f"{rows} rows need bits {(rows, -(-self.n_qubits // 8))} and {rows} counts, got {self.bits.shape} and {self.count.shape}"
            )
        if rows and (np.diff(self.circuit) < 0).any():
            raise ValueError("rows must be sorted by circuit")
        if (self.count <= 0).any():
            raise ValueError("every row must have a positive count")


def pack_outcomes(plan_id: str, n_qubits: int, circuit: npt.ArrayLike, bits: npt.ArrayLike, count: npt.ArrayLike | None = None) -> Counts:
    """Counts from single shots or repeated strings, in any order.

    Args:
        plan_id: The plan.
        n_qubits: Width of the device.
        circuit: Circuit of each row, ``(R,)``.
        bits: 0/1 values, ``(R, n_qubits)``, or packed uint8 ``(R, ceil(n_qubits / 8))`` when ``count`` is given.
        count: Multiplicity of each row; left out: one each.
    """
    circuit = np.asarray(circuit, dtype=np.int32)
    if count is None:
        packed = np.packbits(np.asarray(bits, dtype=np.uint8), axis=1, bitorder="little")
        count = np.ones(len(packed), dtype=np.int64)
    else:
        packed = np.asarray(bits, dtype=np.uint8)
    count = np.asarray(count, dtype=np.int64)
    width = -(-n_qubits // 8)
    key = np.concatenate([circuit.astype(">i4").view(np.uint8).reshape(-1, 4), packed.reshape(-1, width)], axis=1)
    whole = np.ascontiguousarray(key).view(np.dtype((np.void, 4 + width))).ravel()
    order = np.argsort(whole, kind="stable")
    whole, count = whole[order], count[order]
    first = np.flatnonzero(np.concatenate([[True], whole[1:] != whole[:-1]])) if len(whole) else np.zeros(0, dtype=np.int64)
    rows = key[order][first]
    return Counts(
        plan_id=plan_id,
        n_qubits=n_qubits,
        circuit=np.ascontiguousarray(rows[:, :4]).view(">i4").ravel().astype(np.int32),
        bits=rows[:, 4:].copy(),
        count=np.add.reduceat(count, first) if first.size else count,
    )


def add_counts(parts: Iterable[Counts]) -> Counts:
    """The sum of counts of one plan.

    Raises:
        ValueError: There are none, or they belong to different plans or widths.
    """
    parts = list(parts)
    if not parts:
        raise ValueError("nothing to add")
    if len({(p.plan_id, p.n_qubits) for p in parts}) > 1:
        raise ValueError("counts of different plans do not add")
    join = [np.concatenate([getattr(p, name) for p in parts]) for name in ("circuit", "bits", "count")]
    return pack_outcomes(parts[0].plan_id, parts[0].n_qubits, *join)


def unpack_bits(packed: npt.NDArray[np.uint8], n_qubits: int) -> npt.NDArray[np.uint8]:
    """0/1 values, ``(R, n_qubits)``."""
    return np.unpackbits(packed, axis=1, count=n_qubits, bitorder="little")
