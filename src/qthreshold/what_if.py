"""What would it take: the error at which each band is reached, the counts at which the present error is caught, the shots that settle it."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from qthreshold.evidence import Evidence
from qthreshold.identity import Record
from qthreshold.interpretation import Interpretation, interpretation_dict
from qthreshold.rulebook import Instrument
from qthreshold.verdict import Verdict, shots_to_settle

__all__ = ["BandDistance", "WhatIf", "what_if"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BandDistance(Record):
    """How far a device is from one band.

    Attributes:
        entry, min_qubits, max_qubits, max_error: The band; None: no upper end, no error criterion.
        more_qubits: Fewest qubits more (or, below 0, fewer) that lead into the band; 0 inside.
        error_factor: The error must fall to this fraction of what it is; None where it need not, or is not known.
        met: Whether the best estimates lie in the band.
    """

    schema: ClassVar[str] = "qthreshold/band-distance/1"
    entry: str
    min_qubits: int
    max_qubits: int | None
    max_error: float | None
    more_qubits: int
    error_factor: float | None
    met: bool


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WhatIf(Record):
    """What one instrument would take.

    Attributes:
        instrument, jurisdiction: The instrument.
        interpretation: The reading.
        qubits, error: Where the device stands (best estimates; error NaN if unknown).
        limit: The error at which the band of the present count is reached; None where there is no band or no criterion.
        bands: Every band.
        caught_min, caught_max: Ranges of counts at which the present error meets a band; ``caught_max`` is the last number, -1 for no end.
        times_shots: How many times the shots would settle an undetermined verdict; None where it is settled or shots cannot.
        executions: The same in executions; None where nothing was run.
        open_because: Why more shots alone would not settle an undetermined verdict; empty where they would, or it is settled.
    """

    schema: ClassVar[str] = "qthreshold/what-if/1"
    instrument: str
    jurisdiction: str
    interpretation: Interpretation
    qubits: int
    error: float
    limit: float | None
    bands: tuple[BandDistance, ...]
    caught_min: tuple[int, ...]
    caught_max: tuple[int, ...]
    times_shots: int | None
    executions: int | None
    open_because: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        bands = [
            {
                "entry": b.entry, "min_qubits": b.min_qubits, "max_qubits": b.max_qubits, "max_error": b.max_error, "more_qubits": b.more_qubits,
                "error_factor": b.error_factor, "met": b.met,
            }
            for b in self.bands
        ]  # fmt: skip
        return {
            "instrument": self.instrument, "jurisdiction": self.jurisdiction, "interpretation": interpretation_dict(self.interpretation),
            "qubits": self.qubits, "cnot_error": None if np.isnan(self.error) else self.error, "limit_at_this_count": self.limit, "bands": bands,
            "counts_caught": [[a, None if b < 0 else b] for a, b in zip(self.caught_min, self.caught_max, strict=True)],
            "times_shots": self.times_shots, "executions": self.executions, "open_because": self.open_because or None,
        }  # fmt: skip


def what_if(instrument: Instrument, evidence: Evidence, verdict: Verdict, executions: int | None = None) -> WhatIf:
    """What it would take to reach each band, or to settle the verdict.

    Args:
        instrument: An instrument with bands.
        evidence: The device, under the reading of the verdict.
        verdict: Its verdict.
        executions: Executions (circuits times shots) behind the evidence; None for numbers from elsewhere.
    """
    n, error = evidence.qubits, evidence.error.best
    band = instrument.band_at(n)
    limit = None if band is None else band.max_error
    ranges = _caught(instrument, error)
    times = shots_to_settle(evidence, limit) if verdict.outcome == "undetermined" and limit is not None else None
    return WhatIf(
        instrument=instrument.id, jurisdiction=instrument.jurisdiction, interpretation=evidence.interpretation, qubits=n, error=error, limit=limit,
        bands=tuple(
            BandDistance(
                entry=b.entry, min_qubits=b.min_qubits, max_qubits=b.max_qubits, max_error=b.max_error,
                more_qubits=_into(n, b.min_qubits, b.max_qubits),
                error_factor=b.max_error / error if b.max_error is not None and error > b.max_error else None,
                met=b is band and (b.max_error is None or error <= b.max_error),
            )
            for b in instrument.bands
        ),
        caught_min=tuple(a for a, _ in ranges), caught_max=tuple(b for _, b in ranges), times_shots=times,
        executions=None if times is None or executions is None else times * executions,
        open_because=_still_open(evidence, limit, times) if verdict.outcome == "undetermined" else "",
    )  # fmt: skip


def _into(n: int, first: int, end: int | None) -> int:
    """Fewest qubits to add (or to take away) to come into a band."""
    return first - n if n < first else end - 1 - n if end is not None and n >= end else 0


def _caught(instrument: Instrument, error: float) -> list[tuple[int, int]]:
    """Ranges of counts, both ends included, at which an error meets a band; -1 for no end."""
    out: list[tuple[int, int]] = []
    for b in instrument.bands:
        if b.max_error is not None and not error <= b.max_error:
            continue
        last = -1 if b.max_qubits is None else b.max_qubits - 1
        if out and out[-1][1] == b.min_qubits - 1:
            out[-1] = (out[-1][0], last)
        else:
            out.append((b.min_qubits, last))
    return out


def _still_open(evidence: Evidence, limit: float | None, times: int | None) -> str:
    """What keeps a verdict open beside the number of shots."""
    why = []
    if np.isnan(evidence.draw_error).all():
        why.append("no C-NOT error was measured")
    elif limit is not None and evidence.error.best == limit:
        why.append("the estimate lies exactly at the limit")
    if evidence.failed_edges:
        why.append("pairs that could not be fitted must be measured otherwise")
    if np.unique(evidence.draw_qubits).size > 1 or (evidence.draw_qubits_if != evidence.draw_qubits).any():
        why.append("the number of working qubits is uncertain too")
    if evidence.interpretation.systematics == "included":
        why.append("the worst case of the protocol does not shrink with shots")
    return "; ".join(why) if why or times is not None else "more data of the same kind would have to decide"
